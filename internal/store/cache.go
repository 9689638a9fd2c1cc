package store

import (
	"container/list"
	"sync"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

// The lines of the versions table.
const (
	versionPolicy       = "policy"
	versionApplications = "applications"
)

// cache holds, per node, what is read at every decision and changes rarely, each with the version it was read at. A
// transaction reads the version line and uses the cache only where it is the same; it fills the cache once it is
// durable, so that a version that was rolled back is never remembered.
type cache struct {
	mu           sync.RWMutex
	policy       cachedPolicy
	applications cachedApplications
}

type cachedPolicy struct {
	version int64
	policy  policy.Policy
	loaded  bool
}

type cachedApplications struct {
	version  int64
	loaded   bool
	all      []apps.Application
	byID     map[string]int
	byClient map[string]int
}

// version gives the present number of a versions line, reading all lines at the transaction's first question.
func (t *Tx) version(name string) (int64, error) {
	if t.versions == nil {
		seen := map[string]int64{}
		err := t.each("SELECT name, value FROM versions", nil, func(scan func(...any) error) error {
			var name string
			var value int64
			err := scan(&name, &value)
			seen[name] = value
			return err
		})
		if err != nil {
			return 0, err
		}
		t.versions = seen
	}
	return t.versions[name], nil
}

// raise moves a versions line from old to the next number; false: somebody else did.
func (t *Tx) raise(name string, old int64) (moved bool, err error) {
	var n int64
	if old == 0 {
		n, err = t.exec("INSERT INTO versions (name, value) VALUES ($1, 1) ON CONFLICT DO NOTHING", name)
	} else {
		n, err = t.exec("UPDATE versions SET value = value + 1 WHERE name = $1 AND value = $2", name, old)
	}
	if err != nil || n == 0 {
		return false, err
	}
	t.versions[name] = old + 1
	if t.dirty == nil {
		t.dirty = map[string]bool{}
	}
	t.dirty[name] = true
	return true, nil
}

// keep runs fill once the transaction is durable, unless the thing was changed by this very transaction.
func (t *Tx) keep(name string, fill func(c *cache)) {
	if t.dirty[name] {
		return
	}
	t.after = append(t.after, func() {
		t.db.cache.mu.Lock()
		defer t.db.cache.mu.Unlock()
		fill(&t.db.cache)
	})
}

// keyCacheSize is how many people's opened audit keys a node remembers; about 700 bytes each.
const keyCacheSize = 4096

// keyCache is a bounded cache of opened audit keys, least recently used out first.
type keyCache struct {
	mu    sync.Mutex
	size  int
	order *list.List // of *openKey, most recent first
	by    map[string]*list.Element
}

type openKey struct {
	person string
	box    *personalBox
}

func (k *keyCache) init(size int) {
	k.size, k.order, k.by = size, list.New(), map[string]*list.Element{}
}

func (k *keyCache) get(person string) *personalBox {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, ok := k.by[person]
	if !ok {
		return nil
	}
	k.order.MoveToFront(e)
	return e.Value.(*openKey).box
}

func (k *keyCache) put(person string, box *personalBox) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e, ok := k.by[person]; ok {
		e.Value.(*openKey).box = box
		k.order.MoveToFront(e)
		return
	}
	k.by[person] = k.order.PushFront(&openKey{person, box})
	if k.order.Len() > k.size {
		last := k.order.Back()
		k.order.Remove(last)
		delete(k.by, last.Value.(*openKey).person)
	}
}

func (k *keyCache) remove(person string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e, ok := k.by[person]; ok {
		k.order.Remove(e)
		delete(k.by, person)
	}
}
