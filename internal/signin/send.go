package signin

import (
	"context"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
)

var errUnbuilt = fault.New(fault.Internal, "internal", "not built")

// Send starts a challenge of kind for the attempt, or sends it again (with a new number or code; the old one ends).
// It needs a preceding proof: the attempt's own or a live session's (attack rule 18). via is "", "text" or "voice".
func (f *Flow) Send(ctx context.Context, caller Caller, ref string, kind method.Kind, via string) (Step, error) {
	return Step{}, errUnbuilt
}

// Extend gives the open challenge of the attempt another ChallengeFor, up to ChallengeMax.
func (f *Flow) Extend(ctx context.Context, caller Caller, ref string) (Step, error) {
	return Step{}, errUnbuilt
}

// Waiting gives the state of the attempt's challenge without changing anything; fault Expired for a foreign ref.
func (f *Flow) Waiting(ctx context.Context, caller Caller, ref string) (Waiting, error) {
	return Waiting{}, errUnbuilt
}

// NewPassword sets the password that StepNewPassword asks for and goes on. An answer that does not do is a problem.
func (f *Flow) NewPassword(ctx context.Context, caller Caller, ref, password string) (Step, error) {
	return Step{}, errUnbuilt
}
