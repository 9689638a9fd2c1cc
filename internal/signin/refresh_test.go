package signin_test

import (
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// A refresh that another tab's sign-in overtakes rests partly on that session: both stay together, so that no session
// is left with a password alone.
func TestRefreshOvertakenByASignIn(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.TOTP), h.Browser()
	first := b.Open(signin.Target{})
	first = b.Type(b.Identify(first.Attempt, "ada").Attempt, "violet tractors sing at noon")
	refresh := b.Open(signin.Target{Act: policy.ActRefreshSignIn})
	refresh = b.Identify(refresh.Attempt, "ada")
	h.Clock.Add(time.Minute)
	want(t, b.Answer(first.Attempt, method.TOTP, ada.Code(), false), signin.StepDone)
	want(t, b.Type(refresh.Attempt, "violet tractors sing at noon"), signin.StepDone)
	open := h.Sessions(ada)
	if len(open) != 1 {
		t.Fatalf("%d sessions", len(open))
	}
	kinds := map[method.Kind]bool{}
	for _, e := range open[0].Evidence {
		kinds[e.Kind] = true
	}
	if !kinds[method.Password] || !kinds[method.TOTP] {
		t.Errorf("the session rests on %v", kinds)
	}
}
