package store

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
)

const (
	// aggregateEvery is how often one kind of stranger's failure may become an entry.
	aggregateEvery = time.Minute
	// aggregateKinds bounds the kinds told apart; acts, reasons and doors are words of ours, so that it is never met
	// by honest use. What comes beyond is counted under one kind.
	aggregateKinds = 1000
)

// aggregate counts strangers' failures in memory (audit.Aggregator).
type aggregate struct {
	mu    sync.Mutex
	kinds map[strangerKind]*strangerCount
}

type strangerKind struct {
	act     string
	outcome audit.Outcome
	door    string
	reason  string
}

type strangerCount struct {
	n       int64
	first   time.Time
	written time.Time // when the last entry of this kind was
}

// RecordAggregated implements audit.Aggregator, in InTx and in View.
func (t *Tx) RecordAggregated(ctx context.Context, e audit.Entry) error {
	if e.Subject != "" {
		return fmt.Errorf("store: %s is about a person and must be recorded by itself", e.Act)
	}
	e = audit.Clean(audit.Entry{At: e.At, Act: e.Act, Outcome: e.Outcome, Actor: "stranger", Door: e.Door, Reason: e.Reason})
	if err := audit.Check(e); err != nil {
		return err
	}
	kind := strangerKind{e.Act, e.Outcome, e.Door, e.Reason}
	// Counted once the transaction is durable, so that what is repeated or rolled back is not counted twice.
	t.after = append(t.after, func() { t.db.agg.add(kind, 1, e.At) })
	return nil
}

func (a *aggregate) add(kind strangerKind, n int64, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.kinds == nil {
		a.kinds = map[strangerKind]*strangerCount{}
	}
	c := a.kinds[kind]
	if c == nil {
		if len(a.kinds) >= aggregateKinds {
			kind.act, kind.door, kind.reason = "stranger.failures", "", "other"
		}
		if c = a.kinds[kind]; c == nil {
			c = &strangerCount{}
			a.kinds[kind] = c
		}
	}
	if c.n == 0 || at.Before(c.first) {
		c.first = at
	}
	c.n += n
}

// take empties the counts that may be written now, or all.
func (a *aggregate) take(now time.Time, all bool) (due []audit.Entry, restore func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	type taken struct {
		kind strangerKind
		was  strangerCount
	}
	var back []taken
	for kind, c := range a.kinds {
		old := now.Sub(c.written) >= aggregateEvery
		if c.n == 0 && old {
			delete(a.kinds, kind)
			continue
		}
		if c.n == 0 || !old && !all {
			continue
		}
		back = append(back, taken{kind, *c})
		due = append(due, audit.Clean(audit.Entry{At: now, Act: kind.act, Outcome: kind.outcome, Actor: "stranger", Door: kind.door,
			Reason: kind.reason, Detail: map[string]string{"count": strconv.FormatInt(c.n, 10), "since": c.first.UTC().Format(time.RFC3339)}}))
		c.n, c.written = 0, now
	}
	return due, func() {
		for _, b := range back {
			a.add(b.kind, b.was.n, b.was.first)
			a.mu.Lock()
			if c := a.kinds[b.kind]; c != nil {
				c.written = b.was.written
			}
			a.mu.Unlock()
		}
	}
}

// takeAggregated adds what is due to this transaction's entries; it comes back if the transaction fails.
func (t *Tx) takeAggregated() {
	t.take(false)
}

func (t *Tx) take(all bool) {
	t.db.agg.mu.Lock()
	empty := len(t.db.agg.kinds) == 0
	t.db.agg.mu.Unlock()
	if empty {
		return
	}
	due, restore := t.db.agg.take(t.db.cfg.Now(), all)
	if len(due) > 0 {
		t.entries = append(t.entries, due...)
		t.undo = append(t.undo, restore)
	}
}

// flushAggregated writes all counts, due or not.
func (db *DB) flushAggregated(ctx context.Context) error {
	return db.InTx(ctx, func(tx *Tx) error {
		tx.take(true)
		return nil
	})
}
