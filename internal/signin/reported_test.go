package signin_test

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/signin/signintest"
)

const another = "seven quiet herons over Leeds"

// suspect marks a person's password as one that somebody else may know.
func suspect(t *testing.T, h *signintest.House, p *signintest.Person) {
	t.Helper()
	err := h.InTx(ctx, func(s signin.Store) error {
		now, err := s.PersonByID(ctx, p.ID)
		if err != nil {
			return err
		}
		now.NewPassword = true
		return s.UpdatePerson(ctx, now)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAfterAReportAnotherPasswordComesBeforeAnythingElse(t *testing.T) {
	both(t, func(t *testing.T, h *signintest.House) {
		ada, b, old := h.Person("ada", method.TOTP), h.Browser(), h.Browser()
		want(t, old.SignIn(ada, signin.Target{}, true), signin.StepDone)
		want(t, b.SignIn(ada, signin.Target{}, true), signin.StepDone)
		b.Session = h.Browser().Session
		suspect(t, h, ada)
		h.Clock.Add(time.Minute)
		s := passwordGiven(b, "ada", signin.Target{}) // remembered, and asked all the same
		if s.Kind != signin.StepProve || s.Method != method.TOTP || !slices.ContainsFunc(s.Reasons, func(r policy.Reason) bool { return r.Rule == policy.RuleReported }) {
			t.Fatalf("%+v", s)
		}
		s = b.Answer(s.Attempt, method.TOTP, ada.Code(), true)
		want(t, s, signin.StepNewPassword)
		want(t, b.Show(s.Attempt), signin.StepNewPassword)
		if !b.Session.Empty() || len(s.Prompt.Public) == 0 {
			t.Fatal("signed in before the password was set, or its length is not said")
		}
		set := func(text string) signin.Step {
			t.Helper()
			step, err := h.Flow.NewPassword(ctx, b.Caller, s.Attempt, text)
			if err != nil {
				t.Fatal(err)
			}
			return step
		}
		same := set(signintest.Password)
		want(t, same, signin.StepNewPassword)
		wantProblem(t, same, "password.same")
		wantProblem(t, set("short"), "password.too_short")
		done := set(another)
		want(t, done, signin.StepDone)
		b.Keep(done.SetSession, done.SetRemembered)
		if _, p, err := h.Flow.Who(ctx, b.Caller); err != nil || p.NewPassword {
			t.Fatal(p.NewPassword, err)
		}
		if _, _, err := h.Flow.Who(ctx, old.Caller); !fault.IsKind(err, fault.Unauthenticated) {
			t.Fatal("the other session lives:", err)
		}
		if len(b.Remembered) != 0 || !has(h.Acts(ada), "password.changed done") || !has(h.Notices(ada), "password.changed") {
			t.Fatal(b.Remembered, h.Acts(ada), h.Notices(ada))
		}
		if got := set(another + " again"); got.Kind == signin.StepNewPassword {
			t.Fatal("the page sets a password twice")
		}
		wantProblem(t, passwordGiven(h.Browser(), "ada", signin.Target{}), "signin.wrong")
		fresh := h.Browser()
		s = fresh.Type(fresh.Identify(fresh.Open(signin.Target{}).Attempt, "ada").Attempt, another)
		want(t, s, signin.StepProve)
		if s.Method != method.TOTP {
			t.Fatal(s.Method)
		}
	})
}

func TestTheNewPasswordNeedsAFullProofOfItsOwnAttempt(t *testing.T) {
	h := quick(t)
	ada, cyd := h.Person("ada", method.TOTP), h.Person("cyd")
	suspect(t, h, ada)
	suspect(t, h, cyd)
	b := h.Browser()
	s := b.Open(signin.Target{})
	for _, page := range []signin.Step{s, b.Identify(s.Attempt, "ada"), passwordGiven(b, "ada", signin.Target{})} {
		if got, err := h.Flow.NewPassword(ctx, b.Caller, page.Attempt, another); err != nil || got.Kind == signin.StepDone {
			t.Fatalf("%+v %v", got, err)
		}
	}
	s = passwordGiven(b, "ada", signin.Target{})
	h.Clock.Add(time.Minute)
	s = b.Answer(s.Attempt, method.TOTP, ada.Code(), false)
	want(t, s, signin.StepNewPassword)
	if got, err := h.Flow.NewPassword(ctx, h.Browser().Caller, s.Attempt, another); err != nil || got.Kind != signin.StepExpired {
		t.Fatalf("another browser: %+v %v", got, err)
	}
	var wg sync.WaitGroup
	sessions := make(chan struct{}, 4)
	for _, text := range []string{another, another + " two", another + " three"} {
		wg.Go(func() {
			got, err := h.Flow.NewPassword(ctx, b.Caller, s.Attempt, text)
			if err != nil {
				t.Error(err)
			}
			if got.SetSession != nil {
				sessions <- struct{}{}
			}
		})
	}
	wg.Wait()
	if len(sessions) != 1 {
		t.Fatalf("%d of three at once set it", len(sessions))
	}
	// Without another method there is a refusal with its reason, not a way around it.
	s = passwordGiven(h.Browser(), "cyd", signin.Target{})
	want(t, s, signin.StepRefused)
	if s.Reasons[0].Code != "no_method" {
		t.Fatalf("%+v", s.Reasons)
	}
}

// campusOnly lets newcomers register a first method with their password, from the house's own network.
func campusOnly() policy.Policy {
	p := policy.Default()
	p.FirstEnrolment = policy.FirstEnrolment{PasswordOnly: true, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, HoldCategories: []string{"clinical"}}
	return p
}

func TestAFirstMethodWithThePasswordAloneWhereTheCampusAllowsIt(t *testing.T) {
	both(t, func(t *testing.T, h *signintest.House) {
		ada := h.Person("ada")
		want(t, passwordGiven(h.Browser(), "ada", signin.Target{}), signin.StepRefused)
		h.Policy(campusOnly())
		b := h.Browser()
		s := passwordGiven(b, "ada", signin.Target{})
		want(t, s, signin.StepFirstMethod)
		want(t, b.Show(s.Attempt), signin.StepFirstMethod)
		judged := func(c signin.Caller) (who people.ID, err error) {
			err = h.InTx(ctx, func(st signin.Store) error {
				p, _, err := h.Flow.FirstEnrolment(ctx, st, c, s.Attempt)
				who = p.ID
				return err
			})
			return who, err
		}
		if who, err := judged(b.Caller); err != nil || who != ada.ID {
			t.Fatal(who, err)
		}
		away := b.Caller
		away.Address = netip.MustParseAddr("198.51.100.7")
		if _, err := judged(away); !fault.IsKind(err, fault.Forbidden) {
			t.Fatal("from elsewhere:", err)
		}
		if _, err := judged(h.Browser().Caller); !fault.IsKind(err, fault.Expired) {
			t.Fatal("another browser:", err)
		}
		h.Enrol(ada, method.TOTP)
		if _, err := judged(b.Caller); !fault.IsKind(err, fault.Forbidden) {
			t.Fatal("a second one with the same page:", err)
		}
		h.Clock.Add(time.Minute)
		s = b.Show(s.Attempt)
		want(t, s, signin.StepProve)
		want(t, b.Answer(s.Attempt, method.TOTP, ada.Code(), false), signin.StepDone)
	})
}

func TestG89_ADormantReportedOrOnceEnrolledAccountRegistersNothing(t *testing.T) {
	h := quick(t)
	h.Policy(campusOnly())
	dormant, reported, once := h.Person("ada"), h.Person("ben"), h.Person("cyd", method.TOTP)
	suspect(t, h, reported)
	want(t, passwordGiven(h.Browser(), "ben", signin.Target{}), signin.StepRefused)
	b := h.Browser()
	err := h.InTx(ctx, func(s signin.Store) error {
		if _, err := s.RemoveCredential(ctx, string(once.ID), once.Creds[method.TOTP]); err != nil {
			return err
		}
		e := signin.Entry(b.Caller, h.Clock.Now(), once.Person, "method.removed", "done")
		e.Detail["method"] = "totp"
		return s.Record(ctx, e)
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, passwordGiven(b, "cyd", signin.Target{}), signin.StepRefused)
	h.Clock.Add(policy.DefaultDormant)
	for range 3 { // trying does not wake it
		want(t, passwordGiven(h.Browser(), "ada", signin.Target{}), signin.StepRefused)
		h.Clock.Add(time.Minute)
	}
	_ = dormant
	fresh := h.Person("dan")
	want(t, passwordGiven(h.Browser(), "dan", signin.Target{}), signin.StepFirstMethod)
	away := h.Browser()
	away.Address = netip.MustParseAddr("198.51.100.7")
	want(t, passwordGiven(away, "dan", signin.Target{}), signin.StepRefused)
	away.Address = netip.Addr{}
	want(t, passwordGiven(away, "dan", signin.Target{}), signin.StepRefused)
	_ = fresh
}
