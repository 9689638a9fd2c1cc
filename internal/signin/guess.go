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
	if isNobody(p) {
		return throttle.UnknownKey([]byte(p.ID), string(kind), a)
	}
	return throttle.Key(string(kind), string(p.ID), a)
}

func audience(known bool) throttle.Audience {
	if known {
		return throttle.Known
	}
	return throttle.Stranger
}

// reserve counts a guess before it is checked. ok is false where the budget is spent; wait is then how long it is
// empty. The member is told of guessing as throttle.Tell says.
func (f *Flow) reserve(ctx context.Context, s Store, sit *situation, t *try) error {
	a := audience(sit.knownBrowser)
	limit, tell := f.Limits(t.kind, a), false
	c, ok, err := s.ReserveGuess(ctx, f.guessKey(sit.person, t.kind, a), func(c throttle.Counter) (next throttle.Counter, ok bool) {
		next, ok = throttle.Take(limit, sit.now)(c)
		next, tell = throttle.Tell(next, sit.now)
		return next, ok
	})
	if t.locked = !ok; err != nil {
		return err
	}
	if t.locked {
		t.wait = throttle.RetryAfter(limit, c, sit.now)
	}
	if !tell || isNobody(sit.person) {
		return nil
	}
	entry := f.entry(sit, "signin.guessing", audit.Refused)
	entry.Actor, entry.Reason, entry.Detail["method"] = "stranger", "throttle", string(t.kind)
	if err := s.Record(ctx, entry); err != nil {
		return err
	}
	return f.tell(ctx, s, sit, "signin.guessing", map[string]string{"method": string(t.kind)})
}

// refund gives back the guesses of this attempt after a success with that very kind, and nobody else's.
func (f *Flow) refund(ctx context.Context, s Store, sit *situation, kind method.Kind) error {
	return f.giveBack(ctx, s, sit, kind, sit.page.Tries[kind]+1)
}

func (f *Flow) giveBack(ctx context.Context, s Store, sit *situation, kind method.Kind, n int) error {
	a := audience(sit.knownBrowser)
	limit := f.Limits(kind, a)
	_, _, err := s.ReserveGuess(ctx, f.guessKey(sit.person, kind, a), func(c throttle.Counter) (throttle.Counter, bool) {
		return throttle.Refund(limit, n, sit.now)(c), true
	})
	return err
}

// These bound how many lines of the trail failures have that anybody could cause without end: beyond the burst
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
		next, ok := throttle.Take(l, now)(c)
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
