package signin

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// guessKey is the counter of one account, kind and audience. It knows no attempt, door, node or address (attack G22),
// and a name that means nobody has one too.
func (f *Flow) guessKey(p people.Person, kind method.Kind, a throttle.Audience) []byte {
	return f.Keyring.Pseudonym("throttle.guess", fmt.Sprintf("%s|%s|%d", p.ID, kind, a))
}

func audience(known bool) throttle.Audience {
	if known {
		return throttle.Known
	}
	return throttle.Stranger
}

// reserve counts a guess before it is checked. ok is false where the budget is spent; the member is told of it at
// most once in TellGuessingEvery.
func (f *Flow) reserve(ctx context.Context, s Store, sit *situation, kind method.Kind) (ok bool, err error) {
	a := audience(sit.knownBrowser)
	limit := f.Limits(kind, a)
	tell := false
	_, ok, err = s.ReserveGuess(ctx, f.guessKey(sit.person, kind, a), func(c throttle.Counter) (throttle.Counter, bool) {
		next, ok := take(c, limit, sit.now)
		tell = !ok && sit.now.Sub(next.Told) >= TellGuessingEvery
		if tell {
			next.Told = sit.now
		}
		return next, ok
	})
	if err != nil || ok || !tell {
		return ok, err
	}
	if isNobody(sit.person) {
		return false, nil
	}
	return false, f.tell(ctx, s, sit, "guessing", map[string]string{"method": string(kind)})
}

// clearGuesses forgets wrong guesses after a success with that very kind.
func (f *Flow) clearGuesses(ctx context.Context, s Store, p people.Person, kind method.Kind) error {
	for _, a := range []throttle.Audience{throttle.Stranger, throttle.Known} {
		if err := s.ClearCounter(ctx, f.guessKey(p, kind, a)); err != nil {
			return err
		}
	}
	return nil
}

// sparingly bounds how many lines of the trail failures have that anybody could cause without end: beyond the burst
// one a minute, and that line tells how many had none. Strangers cannot fill the trail.
var (
	strangerLines = throttle.Limit{Burst: 20, Refill: time.Minute}
	lockedLines   = throttle.Limit{Burst: 1, Refill: 10 * time.Minute}
)

// recordStranger records a failure before any proof that belongs to no account. Its counters are sixteen, so that
// strangers do not wait for one another.
func (f *Flow) recordStranger(ctx context.Context, s Store, sit *situation, e audit.Entry) error {
	e.Actor, e.Subject, e.Personal = "stranger", "", nil
	shard := f.Keyring.Pseudonym("audit.stranger.shard", sit.caller.Browser.Reveal())[0] & 15
	return f.recordSparingly(ctx, s, sit, fmt.Sprint("stranger ", shard), strangerLines, e)
}

// recordLocked records a refused guess; for a name that means nobody, as a stranger's.
func (f *Flow) recordLocked(ctx context.Context, s Store, sit *situation, e audit.Entry) error {
	if isNobody(sit.person) {
		return f.recordStranger(ctx, s, sit, e)
	}
	return f.recordSparingly(ctx, s, sit, "locked "+string(sit.person.ID), lockedLines, e)
}

func (f *Flow) recordSparingly(ctx context.Context, s Store, sit *situation, of string, l throttle.Limit, e audit.Entry) error {
	_, err := f.RecordSparingly(ctx, s, sit.now, of, l, e)
	return err
}

// RecordSparingly records e where the budget named by of has room, and counts it otherwise. within is false in the
// second case; the next line of that budget tells how many there were.
func (f *Flow) RecordSparingly(ctx context.Context, s Store, now time.Time, of string, l throttle.Limit, e audit.Entry) (within bool, err error) {
	missed := 0
	_, within, err = s.ReserveGuess(ctx, f.Keyring.Pseudonym("audit.sparingly", of), func(c throttle.Counter) (throttle.Counter, bool) {
		next, ok := take(c, l, now)
		missed = c.Wrong
		next.Wrong = 0
		if !ok {
			next.Wrong = c.Wrong + 1
		}
		return next, ok
	})
	if err != nil || !within {
		return within, err
	}
	if missed > 0 {
		e.Detail = maps.Clone(e.Detail)
		if e.Detail == nil {
			e.Detail = map[string]string{}
		}
		e.Detail["unlisted"] = fmt.Sprint(missed)
	}
	return true, s.Record(ctx, e)
}
