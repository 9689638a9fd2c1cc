package store

import (
	"context"
	"errors"

	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// CounterFor implements throttle.Store.
func (t *Tx) CounterFor(ctx context.Context, key []byte) (throttle.Counter, error) {
	c, _, err := t.counter(key)
	return c, err
}

func (t *Tx) counter(key []byte) (c throttle.Counter, found bool, err error) {
	found, err = t.one("SELECT tat, wrong, told FROM counters WHERE key = $1", []any{key}, timeTo{&c.TAT}, &c.Wrong, timeTo{&c.Told})
	c.Key = key
	return c, found, err
}

// reserveTries bounds the compare-and-swap loop of one guess. Each lost turn means that another guess was counted.
const reserveTries = 10_000

// ReserveGuess implements throttle.Store by compare-and-swap on the whole counter. On PostgreSQL the update waits for
// whoever holds the row, finds that the old value is gone, and the loop looks again; on SQLite there is one writer
// and the first turn succeeds.
func (t *Tx) ReserveGuess(ctx context.Context, key []byte, take func(throttle.Counter) (throttle.Counter, bool)) (throttle.Counter, bool, error) {
	for range reserveTries {
		old, found, err := t.counter(key)
		if err != nil {
			return old, false, err
		}
		next, ok := take(old)
		next.Key = key
		if micros(next.TAT) == micros(old.TAT) && next.Wrong == old.Wrong && micros(next.Told) == micros(old.Told) {
			return next, ok, nil // nothing to save: a refusal, as a rule
		}
		var n int64
		if found {
			n, err = t.exec("UPDATE counters SET tat = $1, wrong = $2, told = $3 WHERE key = $4 AND tat = $5 AND wrong = $6 AND told = $7",
				next.TAT, next.Wrong, next.Told, key, old.TAT, old.Wrong, old.Told)
		} else {
			n, err = t.exec("INSERT INTO counters (key, tat, wrong, told) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
				key, next.TAT, next.Wrong, next.Told)
		}
		if err != nil {
			return old, false, err
		}
		if n == 1 {
			return next, ok, nil
		}
	}
	return throttle.Counter{}, false, errors.New("store: a guess counter kept changing")
}

// ClearCounter implements throttle.Store.
func (t *Tx) ClearCounter(ctx context.Context, key []byte) error {
	_, err := t.exec("DELETE FROM counters WHERE key = $1", key)
	return err
}
