package throttle

import (
	"crypto/sha256"
	"fmt"
	"time"
)

// MaxDelay bounds the growing delay after Cap wrong guesses: an attacker makes a member wait, never for ever.
const MaxDelay = 24 * time.Hour

// TellAfter is how many wrong guesses in a row are worth a notice to the member, and TellEvery how often at most.
const (
	TellAfter = 10
	TellEvery = 24 * time.Hour
)

// Default gives the budgets of docs/limits.md, where the arithmetic is. kind is a method.Kind. A kind that this table
// does not know gets the strictest budget.
func Default(kind string, a Audience) Limit {
	switch {
	case kind == "password" && a == Known:
		return Limit{Burst: 10, Refill: 30 * time.Second, Cap: 100}
	case kind == "password":
		return Limit{Burst: 10, Refill: time.Minute, Cap: 50}
	}
	switch kind {
	case "phone":
		// A code of six digits, one of them good at a time: 1 in a million per guess.
		return Limit{Burst: 10, Refill: 24 * time.Hour}
	case "recovery":
		// 64 bits are not guessed: this only bounds the work.
		return Limit{Burst: 10, Refill: 5 * time.Minute}
	}
	// A passcode of six digits with three steps in the window: 3 in a million per guess.
	return Limit{Burst: 10, Refill: 72 * time.Hour}
}

// Starts is the budget of requests to the app that are started for one account: five at once, and from there each is
// twice as far from the next as the one before, up to MaxDelay. A new attempt does not begin it anew; an approval gives
// its attempt's back.
func Starts(a Audience) Limit {
	if a == Known {
		return Limit{Burst: 5, Refill: time.Minute, Cap: 5}
	}
	return Limit{Burst: 5, Refill: 2 * time.Minute, Cap: 5}
}

// Key is the counter of one account, kind and audience. It knows no attempt, door, node or address (attack G22).
func Key(kind, person string, a Audience) []byte {
	return key("person", kind, person, a)
}

// UnknownKey is the counter of a name that means nobody: pseudonym is a keyed hash of the normalised name, so that it
// behaves as a member's and cannot be read back from the store.
func UnknownKey(pseudonym []byte, kind string, a Audience) []byte {
	return key("name", kind, string(pseudonym), a)
}

func key(space, kind, who string, a Audience) []byte {
	h := sha256.New()
	fmt.Fprintf(h, "guess\x00%s\x00%d:%s%d:%s%d", space, len(kind), kind, len(who), who, a)
	return h.Sum(nil)
}

// Take returns the function that reserves one guess before it is checked (for Store.ReserveGuess).
//
// Up to Cap wrong guesses in a row it is the generic cell rate algorithm: Burst at once, one more each Refill. From
// then on there is no burst, and each guess doubles the wait for the next, up to MaxDelay. A Cap of 0 never grows. A
// refused guess changes nothing: hammering a spent budget does not make it worse.
func Take(l Limit, now time.Time) func(Counter) (Counter, bool) {
	return func(c Counter) (Counter, bool) {
		if l.Burst < 1 || l.Refill <= 0 || now.Before(c.free(l)) {
			return c, false
		}
		c.TAT = later(c.TAT, now).Add(c.cost(l))
		c.Wrong++
		return c, true
	}
}

// Refund gives back the guesses of an attempt that ended right, all n of them with the right one, and ends the row of
// wrong ones. It does not give back anybody else's: whoever guesses while the member signs in every day gains nothing
// by it. n is at least 1.
func Refund(l Limit, n int, now time.Time) func(Counter) Counter {
	return func(c Counter) Counter {
		c.Wrong = 0
		c.TAT = c.TAT.Add(-time.Duration(max(n, 1)) * l.Refill)
		// The delay that had grown ends with the row; what an ordinary budget owes stays owed.
		if full := now.Add(time.Duration(l.Burst-1) * l.Refill); c.TAT.After(full) {
			c.TAT = full
		}
		if c.TAT.Before(now) {
			c.TAT = time.Time{}
		}
		return c
	}
}

// RetryAfter is how long until the next guess is taken; 0: now.
func RetryAfter(l Limit, c Counter, now time.Time) time.Duration {
	return max(0, c.free(l).Sub(now))
}

// Tell says whether the member should hear of guessing, and gives the counter that remembers having told.
func Tell(c Counter, now time.Time) (Counter, bool) {
	if c.Wrong < TellAfter || !c.Told.IsZero() && now.Sub(c.Told) < TellEvery {
		return c, false
	}
	c.Told = now
	return c, true
}

// free is when the next guess is taken.
func (c Counter) free(l Limit) time.Time {
	if l.Cap > 0 && c.Wrong >= l.Cap {
		return c.TAT
	}
	return c.TAT.Add(-time.Duration(l.Burst-1) * l.Refill)
}

// cost is how far one guess moves the theoretical arrival time.
func (c Counter) cost(l Limit) time.Duration {
	if l.Cap == 0 || c.Wrong < l.Cap {
		return l.Refill
	}
	d := l.Refill
	for i := c.Wrong - l.Cap; i >= 0 && d < MaxDelay; i-- {
		d *= 2
	}
	return min(d, max(MaxDelay, l.Refill))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
