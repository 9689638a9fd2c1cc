package keys

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// Fresh is how long a node trusts its opened keys before it looks again. A key is published for Schedule.Ahead before
// it signs, so a few seconds never matter.
const Fresh = 5 * time.Second

// Keeper holds a node's opened keys and turns them over in time. It is a flow: the one place that opens transactions
// for this room. Keys are the operator's to see in the log; who turned them is the schedule.
type Keeper struct {
	InTx    func(context.Context, func(Store) error) error
	View    func(context.Context, func(Store) error) error
	Keyring *secret.Keyring
	Now     func() time.Time
	// Schedule is DefaultSchedule where it is zero.
	Schedule Schedule

	mu     sync.Mutex // one loads, the others wait or go on with the last ring
	held   atomic.Pointer[held]
	opened map[string]Key // by id: unsealing RSA is slow, and a key never changes; guarded by mu
}

type held struct {
	ring   *Ring
	loaded time.Time
}

// Ring gives the opened keys, at most Fresh old. The first call makes the first keys.
func (k *Keeper) Ring(ctx context.Context) (*Ring, error) {
	h := k.held.Load()
	if h != nil && k.young(h) {
		return h.ring, nil
	}
	if h != nil {
		if !k.mu.TryLock() {
			return h.ring, nil // another request is loading; the last ring serves meanwhile
		}
	} else {
		k.mu.Lock()
	}
	defer k.mu.Unlock()
	if h = k.held.Load(); h != nil && k.young(h) {
		return h.ring, nil
	}
	ring, err := k.load(ctx)
	if err != nil {
		return nil, err
	}
	if !ring.Ready(ES256) || !ring.Ready(RS256) {
		return k.turn(ctx)
	}
	return ring, nil
}

// young takes a clock that was set back as a reason to look again.
func (k *Keeper) young(h *held) bool {
	age := k.Now().Sub(h.loaded)
	return age >= 0 && age < Fresh
}

// Verify is Ring.Verify; a token that names an unknown key makes the node look once more, at most once a second, so
// that a token signed on another node a moment ago verifies here.
func (k *Keeper) Verify(ctx context.Context, token, typ string) ([]byte, error) {
	ring, err := k.Ring(ctx)
	if err != nil {
		return nil, err
	}
	payload, err := ring.Verify(token, typ)
	if err == nil || ring.Knows(token) {
		return payload, err
	}
	if ring, err = k.again(ctx); err != nil {
		return nil, err
	}
	return ring.Verify(token, typ)
}

func (k *Keeper) again(ctx context.Context) (*Ring, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if h := k.held.Load(); h != nil && k.Now().Sub(h.loaded) < time.Second {
		return h.ring, nil
	}
	return k.load(ctx)
}

// Turn does what the schedule owes and gives the ring as it is then. It is called at start and every few minutes on
// every node; compare-and-swap in the store makes two nodes agree.
func (k *Keeper) Turn(ctx context.Context) (*Ring, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.turn(ctx)
}

func (k *Keeper) turn(ctx context.Context) (*Ring, error) {
	stored, err := k.stored(ctx)
	if err != nil {
		return nil, err
	}
	schedule := k.Schedule
	if schedule == (Schedule{}) {
		schedule = DefaultSchedule()
	}
	now := k.Now()
	for _, algorithm := range []string{ES256, RS256} {
		if err := k.apply(ctx, Moves(stored, algorithm, schedule, now), now); err != nil {
			return nil, err
		}
	}
	return k.load(ctx)
}

// apply does the moves of one algorithm in one transaction: there is never a moment without a key that signs.
func (k *Keeper) apply(ctx context.Context, moves []Move, now time.Time) error {
	if len(moves) == 0 {
		return nil
	}
	made := map[int]Key{}
	for i, m := range moves {
		if m.Make == "" {
			continue
		}
		key, err := Generate(m.Make, m.To, k.Keyring.Seal, now)
		if err != nil {
			return err
		}
		made[i] = key
	}
	err := k.InTx(ctx, func(s Store) error {
		for i, m := range moves {
			if err := do(ctx, s, m, made[i], now); err != nil {
				return err
			}
		}
		return nil
	})
	if fault.IsKind(err, fault.Conflict) {
		return nil // another node was first; its keys are loaded next
	}
	return err
}

func do(ctx context.Context, s Store, m Move, made Key, now time.Time) error {
	switch {
	case m.Make != "":
		current, err := s.SigningKeys(ctx)
		if err != nil {
			return err
		}
		for _, c := range current {
			if c.Algorithm == m.Make && c.State == m.To {
				return nil // another node made one meanwhile
			}
		}
		return s.AddSigningKey(ctx, made)
	case m.Drop:
		return s.RemoveSigningKey(ctx, m.Key)
	}
	moved, err := s.UpdateSigningKey(ctx, m.Key, m.From, m.To, now)
	if err != nil {
		return err
	}
	if !moved {
		return fault.New(fault.Conflict, "keys.moved", "Another node turned this key over.")
	}
	return nil
}

func (k *Keeper) stored(ctx context.Context) ([]Key, error) {
	var stored []Key
	err := k.View(ctx, func(s Store) (err error) {
		stored, err = s.SigningKeys(ctx)
		return err
	})
	return stored, err
}

// load opens what is stored and publishes it to this node. mu is held.
func (k *Keeper) load(ctx context.Context) (*Ring, error) {
	stored, err := k.stored(ctx)
	if err != nil {
		return nil, err
	}
	opened := make(map[string]Key, len(stored))
	all := make([]Key, 0, len(stored))
	for _, s := range stored {
		key, ok := k.opened[s.ID]
		if !ok {
			if key, err = Open(s, k.Keyring.Open); err != nil {
				return nil, err
			}
		}
		key.State, key.Created, key.Changed, key.Sealed = s.State, s.Created, s.Changed, s.Sealed
		opened[s.ID] = key
		all = append(all, key)
	}
	ring, err := NewRing(all)
	if err != nil {
		return nil, err
	}
	k.opened = opened
	k.held.Store(&held{ring: ring, loaded: k.Now()})
	return ring, nil
}
