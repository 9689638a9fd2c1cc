package signin_test

import (
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/signin/signintest"
)

func TestOnlyTheBrowserAndAttemptThatAskedTakeTheAnswer(t *testing.T) {
	h := quick(t)
	ada := h.Person("ada", method.App, method.TOTP)
	own, other := h.Browser(), h.Browser()
	s := passwordGiven(own, "ada", signin.Target{})
	o := passwordGiven(other, "ada", signin.Target{})
	wantProblem(t, o, "signin.app_busy")
	h.Approve(ada, s)
	want(t, other.Next(s.Attempt), signin.StepExpired) // the page of another browser
	want(t, other.Next(o.Attempt), signin.StepProve)   // its own attempt has nothing
	second := passwordGiven(own, "ada", signin.Target{})
	if got := own.Next(second.Attempt); got.Kind == signin.StepDone {
		t.Fatal("another attempt of the same browser took it")
	}
	if h.Challenge(s.Sending.ID).Standing != signin.Approved {
		t.Fatal("taken by somebody else")
	}
	want(t, own.Next(s.Attempt), signin.StepDone)
	if got := own.Next(s.Attempt); got.SetSession != nil {
		t.Fatal("taken twice")
	}
}

func TestAnAnswerOfARemovedPhoneIsWorthNothing(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.App, method.TOTP), h.Browser()
	s := passwordGiven(b, "ada", signin.Target{})
	h.Approve(ada, s)
	err := h.InTx(ctx, func(st signin.Store) error {
		_, err := st.RemoveCredential(ctx, string(ada.ID), ada.Creds[method.App])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if s = b.Next(s.Attempt); s.Kind != signin.StepProve || s.Method != method.TOTP {
		t.Fatalf("%+v", s)
	}
	slow, ben := h.Browser(), h.Person("ben", method.App)
	s = passwordGiven(slow, "ben", signin.Target{})
	h.Approve(ben, s)
	h.Clock.Add(signin.ChallengeFor + time.Second)
	wantProblem(t, slow.Next(s.Attempt), "signin.app_expired")
}

func TestTwentyClaimsAtOnceTakeOneApproval(t *testing.T) {
	both(t, func(t *testing.T, h *signintest.House) {
		ada, b := h.Person("ada", method.App), h.Browser()
		s := passwordGiven(b, "ada", signin.Target{})
		h.Approve(ada, s)
		var wg sync.WaitGroup
		sessions := make(chan struct{}, 20)
		for range 20 {
			wg.Go(func() {
				step, err := h.Flow.Answer(ctx, b.Caller, s.Attempt, method.App, method.Answer{}, false)
				if err != nil && !fault.IsKind(err, fault.Conflict) {
					t.Error(err)
				}
				if step.SetSession != nil {
					sessions <- struct{}{}
				}
			})
		}
		wg.Wait()
		if n := len(sessions); n != 1 || len(h.Sessions(ada)) != 1 {
			t.Fatalf("%d sessions from one approval, %d stored", n, len(h.Sessions(ada)))
		}
	})
}

func TestApproveAgainstDenyHasOneOutcome(t *testing.T) {
	both(t, func(t *testing.T, h *signintest.House) {
		ada := h.Person("ada", method.App)
		b := h.Browser().KnownTo(ada)
		for range 5 {
			b.Session = h.Browser().Session
			s := passwordGiven(b, "ada", signin.Target{})
			sent := waits(t, s)
			var wg sync.WaitGroup
			for _, answer := range []signin.Standing{signin.Approved, signin.Denied} {
				wg.Go(func() {
					if _, err := h.Respond(ada, sent.ID, sent.Number, answer); err != nil && !fault.IsKind(err, fault.Conflict) {
						t.Error(err)
					}
				})
			}
			var took signin.Step
			wg.Go(func() {
				var err error
				if took, err = h.Flow.Answer(ctx, b.Caller, s.Attempt, method.App, method.Answer{}, false); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
			final := h.Challenge(sent.ID).Standing
			if took.SetSession == nil {
				took = b.Next(s.Attempt)
			}
			if done := took.Kind == signin.StepDone; done != (final == signin.Approved || final == signin.Taken) {
				t.Fatalf("done %v where the request stands at %d", done, final)
			}
		}
	})
}

func TestParallelStartsLeaveOneRequest(t *testing.T) {
	both(t, func(t *testing.T, h *signintest.House) {
		ada := h.Person("ada", method.App)
		var pages []func()
		for range 8 {
			b := h.Browser()
			s := b.Identify(b.Open(signin.Target{}).Attempt, "ada")
			pages = append(pages, func() {
				if _, err := h.Flow.Answer(ctx, b.Caller, s.Attempt, method.Password, method.Answer{Text: signintest.Password}, false); err != nil {
					t.Error(err)
				}
			})
		}
		var wg sync.WaitGroup
		for _, p := range pages {
			wg.Go(p)
		}
		wg.Wait()
		if open := h.Requests(ada); len(open) != 1 || len(h.Pushed()) < 1 {
			t.Fatalf("%d requests wait", len(open))
		}
	})
}
