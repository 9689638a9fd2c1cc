package signin

import (
	"time"

	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// take applies the generic cell rate algorithm and the cap to one guess, counted before it is checked.
func take(c throttle.Counter, l throttle.Limit, now time.Time) (throttle.Counter, bool) {
	if l.Cap > 0 && c.Wrong >= l.Cap {
		return c, false
	}
	tat := c.TAT
	if tat.Before(now) {
		tat = now
	}
	tat = tat.Add(l.Refill)
	if tat.Sub(now) > time.Duration(l.Burst)*l.Refill {
		return c, false
	}
	c.TAT = tat
	c.Wrong++
	return c, true
}

func address(c Caller) string {
	if !c.Address.IsValid() {
		return ""
	}
	return c.Address.Unmap().String()
}
