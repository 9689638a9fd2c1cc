package passkey

import "time"

// counters remembers signature counters so that a copy is found out without accusing two honest assertions that
// overtook each other.
//
// The rule (WebAuthn section 6.1.1, attack G80): an authenticator's counter rises with every signature. A value is
// accepted when it is greater than every value received before this challenge was issued, and was never received
// itself. Two assertions under way at once may therefore arrive in either order, while a copy that repeats or falls
// behind is refused.
type counters struct {
	// Base is the greatest value no longer in Recent.
	Base   uint32 `json:"b,omitempty"`
	Recent []seen `json:"r,omitempty"`
}

type seen struct {
	Count uint32 `json:"n"`
	At    int64  `json:"t"` // Unix microseconds
}

// keptCounters bounds Recent: more assertions than this under way at once from one authenticator are not real.
const keptCounters = 8

// accept judges count for a challenge issued at issued and returns the counters to keep. changed is false where
// nothing needs saving. A passkey that always says zero has no counter, which is fine.
func (c counters) accept(count uint32, issued, now time.Time) (next counters, ok, changed bool) {
	if count == 0 && c.Base == 0 && len(c.Recent) == 0 {
		return c, true, false
	}
	floor := c.Base
	for _, s := range c.Recent {
		if s.Count == count {
			return c, false, false
		}
		if s.At <= issued.UnixMicro() {
			floor = max(floor, s.Count)
		}
	}
	if count <= floor {
		return c, false, false
	}
	return c.add(count, now), true, true
}

func (c counters) add(count uint32, now time.Time) counters {
	next := counters{Base: c.Base}
	old := now.Add(-Lifetime).UnixMicro()
	for i, s := range c.Recent {
		if s.At < old || len(c.Recent)-i >= keptCounters {
			next.Base = max(next.Base, s.Count)
			continue
		}
		next.Recent = append(next.Recent, s)
	}
	next.Recent = append(next.Recent, seen{Count: count, At: now.UnixMicro()})
	return next
}

// first is the counter as it was at registration.
func (c counters) first(count uint32) counters { return counters{Base: count} }
