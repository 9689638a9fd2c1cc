package enrol

import (
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// inherited is until when a method is on hold that was added with a proof by these: where all of them but the password
// are, so is what they let in, or the hold would be lifted by adding a second one.
func inherited(all []method.Credential, now time.Time) (until time.Time) {
	for _, c := range all {
		switch {
		case c.Pending || c.Kind == method.Password:
		case !now.Before(c.HeldUntil):
			return time.Time{}
		case c.HeldUntil.After(until):
			until = c.HeldUntil
		}
	}
	return until
}
