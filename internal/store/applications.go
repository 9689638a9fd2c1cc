package store

import (
	"context"
	"slices"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

// catalogue gives all applications, from this node's cache where it is of the present version.
func (t *Tx) catalogue() (cachedApplications, error) {
	version, err := t.version(versionApplications)
	if err != nil {
		return cachedApplications{}, err
	}
	t.db.cache.mu.RLock()
	have := t.db.cache.applications
	t.db.cache.mu.RUnlock()
	if have.loaded && have.version == version && !t.dirty[versionApplications] {
		return have, nil
	}
	c := cachedApplications{version: version, loaded: true, byID: map[string]int{}, byClient: map[string]int{}}
	err = t.each("SELECT data, version FROM applications ORDER BY name, id", nil, func(scan func(...any) error) error {
		var a apps.Application
		var version int64
		if err := scan(jsonTo{&a}, &version); err != nil {
			return err
		}
		a.Version = version
		c.byID[a.ID] = len(c.all)
		if a.OIDC.ClientID != "" {
			c.byClient[a.OIDC.ClientID] = len(c.all)
		}
		c.all = append(c.all, a)
		return nil
	})
	if err != nil {
		return cachedApplications{}, err
	}
	t.keep(versionApplications, func(to *cache) { to.applications = c })
	return c, nil
}

// ApplicationByID implements apps.Store. What the application's slices hold is shared with other callers.
func (t *Tx) ApplicationByID(ctx context.Context, id string) (apps.Application, error) {
	c, err := t.catalogue()
	return pick(c, c.byID, id, err)
}

// ApplicationByClientID implements apps.Store.
func (t *Tx) ApplicationByClientID(ctx context.Context, clientID string) (apps.Application, error) {
	c, err := t.catalogue()
	return pick(c, c.byClient, clientID, err)
}

func pick(c cachedApplications, index map[string]int, key string, err error) (apps.Application, error) {
	if err != nil {
		return apps.Application{}, err
	}
	i, ok := index[key]
	if !ok {
		return apps.Application{}, notFound("application")
	}
	return c.all[i], nil
}

// Applications implements apps.Store, by name.
func (t *Tx) Applications(ctx context.Context) ([]apps.Application, error) {
	c, err := t.catalogue()
	return slices.Clone(c.all), err
}

// PolicyApplication implements signin.Store.
func (t *Tx) PolicyApplication(ctx context.Context, id string) (policy.Application, error) {
	a, err := t.ApplicationByID(ctx, id)
	if err == nil && a.Closed {
		err = notFound("application")
	}
	if err != nil {
		return policy.Application{}, err
	}
	return policy.Application{ID: a.ID, Name: a.Name, Category: a.Category}, nil
}

// SaveApplication implements apps.Store. A client_id that another application has is fault Conflict
// "application.taken".
func (t *Tx) SaveApplication(ctx context.Context, a apps.Application) error {
	old := a.Version
	a.Version++
	data, err := toJSON(a)
	if err != nil {
		return err
	}
	if old == 0 {
		n, err := t.exec(`INSERT INTO applications (id, name, client_id, data, version) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT DO NOTHING`, a.ID, a.Name, orNull(a.OIDC.ClientID), data, a.Version)
		if err := atMostOne(n, err, taken("application")); err != nil {
			return err
		}
		return t.applicationsChanged()
	}
	var other string
	found, err := t.one("SELECT id FROM applications WHERE client_id = $1 AND id <> $2", []any{orNull(a.OIDC.ClientID), a.ID}, &other)
	if err != nil {
		return err
	}
	if found {
		return taken("application")
	}
	n, err := t.exec("UPDATE applications SET name = $1, client_id = $2, data = $3, version = version + 1 WHERE id = $4 AND version = $5",
		a.Name, orNull(a.OIDC.ClientID), data, a.ID, old)
	if err := atMostOne(n, err, changed("application")); err != nil {
		return err
	}
	return t.applicationsChanged()
}

// RemoveApplication implements apps.Store.
func (t *Tx) RemoveApplication(ctx context.Context, id string) (bool, error) {
	gone, err := did(t.exec("DELETE FROM applications WHERE id = $1", id))
	if err != nil || !gone {
		return false, err
	}
	return true, t.applicationsChanged()
}

// applicationsChanged raises the version under which nodes cache the applications. It does not matter who else
// raises it: only that the number was not seen before.
func (t *Tx) applicationsChanged() error {
	if _, err := t.version(versionApplications); err != nil {
		return err
	}
	_, err := t.exec(`INSERT INTO versions (name, value) VALUES ($1, 1)
		ON CONFLICT (name) DO UPDATE SET value = versions.value + 1`, versionApplications)
	if err != nil {
		return err
	}
	if t.dirty == nil {
		t.dirty = map[string]bool{}
	}
	t.dirty[versionApplications] = true
	return nil
}
