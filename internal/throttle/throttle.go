// Package throttle is how often somebody may guess.
//
//	reserve (counted before the check) ─► check ─► wrong: the count stands
//	                                             └► right: this credential's counter is cleared
//
// Counters are keyed by account and credential kind, not by attempt, door, node or address, so that a
// thousand parallel attempts share one budget. Unknown names are keyed by an HMAC of the normalised name and
// behave alike. Strangers' browsers and known ones have budgets of their own, so that a stranger cannot
// lock the member out. Defaults and reasons: docs/limits.md.
package throttle

import (
	"context"
	"time"
)

// Audience tells strangers' browsers from those that have signed this person in before.
type Audience uint8

const (
	// Stranger is any browser that has not.
	Stranger Audience = iota
	// Known is a browser that has.
	Known
)

// Limit is one budget: Burst guesses at once, one more each Refill, and after Cap wrong ones in a row a delay that
// doubles with each further one, up to MaxDelay (Cap 0: the delay never grows). The zero value takes nothing.
type Limit struct {
	Burst  int
	Refill time.Duration
	Cap    int
}

// Counter is the stored state of one budget (generic cell rate algorithm: one time and one count).
type Counter struct {
	Key []byte
	// TAT is the theoretical arrival time.
	TAT time.Time
	// Wrong in a row since the last success.
	Wrong int
	// Told is when the member was last told of guessing.
	Told time.Time
}

// Store is what the room needs kept.
type Store interface {
	// CounterFor returns the counter, zero where there is none.
	CounterFor(ctx context.Context, key []byte) (Counter, error)
	// ReserveGuess takes one guess atomically: it reads, applies take, and saves, so that of N parallel calls exactly
	// as many pass as the limit allows, on all nodes.
	ReserveGuess(ctx context.Context, key []byte, take func(Counter) (Counter, bool)) (Counter, bool, error)
	// ClearCounter removes the counter of a credential that is no more.
	ClearCounter(ctx context.Context, key []byte) error
}
