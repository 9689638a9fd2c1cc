package enrol

import (
	"context"

	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// FirstByAttempt turns a sign-in attempt that stands at StepFirstMethod into an invitation that is open in this browser.
// Welcome.Ref goes through the wizard; afterwards the attempt goes on.
func (f *Flow) FirstByAttempt(ctx context.Context, caller signin.Caller, attempt string) (Welcome, error) {
	return Welcome{}, errUnbuilt
}
