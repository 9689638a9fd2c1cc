package signin_test

import (
	"context"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/signin/signintest"
)

var ctx = context.Background()

func TestPasswordThenPasscode(t *testing.T) {
	both(t, func(t *testing.T, h *signintest.House) {
		ada, b := h.Person("ada", method.TOTP), h.Browser()
		s := b.Open(signin.Target{})
		want(t, s, signin.StepIdentify)
		s = b.Identify(s.Attempt, " ADA ")
		want(t, s, signin.StepProve)
		if s.Known || s.Method != method.Password || s.Passkey == nil {
			t.Fatalf("first page: %+v", s)
		}
		s = b.Type(s.Attempt, signintest.Password)
		want(t, s, signin.StepProve)
		if !s.Known || s.Method != method.TOTP || s.RememberFor == 0 || !b.Session.Empty() {
			t.Fatalf("second page: %+v", s)
		}
		s = b.Answer(s.Attempt, method.TOTP, ada.Code(), false)
		want(t, s, signin.StepDone)
		if s.Return != "/apps" || s.SessionID == "" || b.Remembered != nil {
			t.Fatalf("done: %+v", s)
		}
		live, who, err := h.Flow.Who(ctx, b.Caller)
		if err != nil || who.ID != ada.ID || len(live.Evidence) != 2 || live.ID != s.SessionID {
			t.Fatalf("who: %v %v %v", live, who, err)
		}
		if acts := h.Acts(ada); !has(acts, "signin.proof done") || !has(acts, "signin.finished done") {
			t.Fatal(acts)
		}
	})
}

func TestPasskeyAloneIsOneViewAndOneWrite(t *testing.T) {
	both(t, func(t *testing.T, h *signintest.House) {
		ada, b := h.Person("ada", method.Passkey), h.Browser()
		views, writes := 0, 0
		flow := signin.New(countingDeps(h, &views, &writes))
		s := b.Open(signin.Target{})
		s, err := flow.Answer(ctx, b.Caller, s.Attempt, method.Passkey, b.Touch(s, ada), false)
		if err != nil {
			t.Fatal(err)
		}
		want(t, s, signin.StepDone)
		if views != 1 || writes != 1 {
			t.Fatalf("%d views, %d writes", views, writes)
		}
		b.Keep(s.SetSession, s.SetRemembered)
		if _, who, err := h.Flow.Who(ctx, b.Caller); err != nil || who.ID != ada.ID {
			t.Fatal(who, err)
		}
	})
}

func countingDeps(h *signintest.House, views, writes *int) signin.Deps {
	d := h.Flow.Deps
	d.View = func(ctx context.Context, fn func(signin.Store) error) error { *views++; return h.View(ctx, fn) }
	d.InTx = func(ctx context.Context, fn func(signin.Store) error) error { *writes++; return h.InTx(ctx, fn) }
	return d
}

// Everything of a person ends while their last proof is judged: the proof before it counts no more.
func TestWhatEndsDuringTheLastProofStaysEnded(t *testing.T) {
	both(t, func(t *testing.T, h *signintest.House) {
		ada, b := h.Person("ada", method.TOTP), h.Browser()
		s := b.Type(b.Identify(b.Open(signin.Target{}).Attempt, "ada").Attempt, signintest.Password)
		deps, ended := h.Flow.Deps, 0
		deps.InTx = func(ctx context.Context, fn func(signin.Store) error) error {
			if ended++; ended == 1 {
				if err := h.InTx(ctx, func(s signin.Store) error {
					_, err := signin.EndEverything(ctx, s, ada.ID)
					return err
				}); err != nil {
					return err
				}
			}
			return h.InTx(ctx, fn)
		}
		s, err := signin.New(deps).Answer(ctx, b.Caller, s.Attempt, method.TOTP, ada.Code(), false)
		if err != nil || s.Kind != signin.StepExpired || s.SetSession != nil || ended != 1 {
			t.Fatalf("step %d, session %v, %d writes, %v", s.Kind, s.SetSession != nil, ended, err)
		}
	})
}

func TestStateComesBackThroughReturn(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.Passkey), h.Browser()
	s := b.SignIn(ada, signin.Target{Return: "/oauth2/authorize", State: []byte("request")}, false)
	want(t, s, signin.StepDone)
	target, err := h.Flow.ReadTarget(ctx, b.Caller, s.Attempt)
	if err != nil || string(target.State) != "request" || s.Return == "/oauth2/authorize" {
		t.Fatalf("%v %v %q", target, err, s.Return)
	}
	if _, err := h.Flow.ReadTarget(ctx, h.Browser().Caller, s.Attempt); !fault.IsKind(err, fault.Expired) {
		t.Fatal("another browser read the target:", err)
	}
}

func TestReturnStaysHere(t *testing.T) {
	h := quick(t)
	for _, bad := range []string{"", "https://evil.example/", "//evil.example", "/\\evil.example", "/a\r\nb"} {
		if _, err := h.Flow.Open(h.Browser().Caller, signin.Target{Return: bad}); !fault.IsKind(err, fault.BadInput) {
			t.Errorf("Return %q: %v", bad, err)
		}
	}
}

// A stranger's answers are alike for a known, an unknown, a suspended and a locked name.
func TestNamesAnswerAlike(t *testing.T) {
	h := quick(t)
	h.Person("ada", method.TOTP)
	sus := h.Person("sus", method.TOTP)
	setState(t, h, sus, people.Suspended)
	locked := h.Person("locked")
	for range 15 {
		b := h.Browser()
		b.Type(b.Identify(b.Open(signin.Target{}).Attempt, "locked").Attempt, "wrong password")
	}
	var first signin.Step
	for i, name := range []string{"ada", "nobody", "sus", "locked", "ada@example.ac.uk", "x\x00y"} {
		views, writes := 0, 0
		flow := signin.New(countingDeps(h, &views, &writes))
		b := h.Browser()
		s := b.Identify(b.Open(signin.Target{}).Attempt, name)
		s, err := flow.Answer(ctx, b.Caller, s.Attempt, method.Password, method.Answer{Text: "not this one"}, false)
		if err != nil {
			t.Fatal(err)
		}
		wantProblem(t, s, "signin.wrong")
		if views != 1 || writes != 2 {
			t.Errorf("%s: %d views, %d writes", name, views, writes)
		}
		s.Attempt, s.Name, s.Passkey.Public, s.Target.Started = "", "", nil, time.Time{}
		if i == 0 {
			first = s
			continue
		}
		if s.Kind != first.Kind || s.Method != first.Method || s.Known != first.Known || len(s.Others) != len(first.Others) ||
			s.RememberFor != first.RememberFor || len(s.Reasons) != len(first.Reasons) {
			t.Errorf("%s: %+v differs from %+v", name, s, first)
		}
	}
	if !has(h.Notices(locked), "signin.guessing") {
		t.Error("the member was not told of guessing:", h.Notices(locked))
	}
}

func setState(t *testing.T, h *signintest.House, p *signintest.Person, to people.State) {
	t.Helper()
	err := h.InTx(ctx, func(s signin.Store) error {
		now, err := s.PersonByID(ctx, p.ID)
		if err != nil {
			return err
		}
		now.State = to
		return s.UpdatePerson(ctx, now)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSuspendedDiesAtTheNextRequest(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.Passkey), h.Browser()
	want(t, b.SignIn(ada, signin.Target{}, false), signin.StepDone)
	setState(t, h, ada, people.Suspended)
	if _, _, err := h.Flow.Who(ctx, b.Caller); !fault.IsKind(err, fault.Unauthenticated) {
		t.Fatal(err)
	}
	s := b.Open(signin.Target{})
	s = b.Answer(s.Attempt, method.Passkey, b.Touch(s, ada), false)
	want(t, s, signin.StepRefused)
	if len(h.Sessions(ada)) != 1 {
		t.Fatal("a session was made")
	}
}

func TestPageLeftOpenOvernight(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.TOTP), h.Browser()
	s := b.Identify(b.Open(signin.Target{Return: "/here"}).Attempt, "ada")
	h.Clock.Add(12 * time.Hour)
	s = b.Type(s.Attempt, signintest.Password)
	want(t, s, signin.StepExpired)
	s = b.Show(s.Attempt)
	want(t, s, signin.StepIdentify)
	if s.Target.Return != "/here" {
		t.Fatal(s.Target)
	}
	s = b.Identify(s.Attempt, "ada")
	s = b.Type(s.Attempt, signintest.Password)
	h.Clock.Add(45 * time.Minute) // the attempt's row is over, the page is not
	s = b.Answer(s.Attempt, method.TOTP, ada.Code(), false)
	want(t, s, signin.StepExpired)
	want(t, b.Show(s.Attempt), signin.StepIdentify)
	for _, foreign := range []string{"", "x", b.Open(signin.Target{}).Attempt} {
		s, err := h.Flow.Show(ctx, h.Browser().Caller, foreign)
		if err != nil || s.Kind != signin.StepExpired || s.Attempt != "" {
			t.Fatalf("foreign ref: %+v %v", s, err)
		}
	}
}

func TestSecondPressLeadsSomewhere(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.TOTP, method.Passkey), h.Browser()
	first := b.Open(signin.Target{})
	answer := b.Touch(first, ada)
	want(t, b.Answer(first.Attempt, method.Passkey, answer, false), signin.StepDone)
	want(t, b.Answer(first.Attempt, method.Passkey, answer, false), signin.StepDone)
	want(t, b.Show(first.Attempt), signin.StepDone)
	if n := len(h.Sessions(ada)); n != 1 {
		t.Fatalf("%d sessions", n)
	}
	// The same in a browser that does not have the session: a new try, not an error.
	other := h.Browser()
	first = other.Open(signin.Target{})
	answer = other.Touch(first, ada)
	out := *other
	want(t, other.Answer(first.Attempt, method.Passkey, answer, false), signin.StepDone)
	s := out.Answer(first.Attempt, method.Passkey, answer, false)
	want(t, s, signin.StepIdentify)
	wantProblem(t, s, "signin.already_used")
	// A passcode's page after its attempt is over.
	third := h.Browser()
	s = third.Type(third.Identify(third.Open(signin.Target{}).Attempt, "ada").Attempt, signintest.Password)
	s = third.Choose(s.Attempt, method.TOTP)
	want(t, third.Answer(s.Attempt, method.TOTP, ada.Code(), false), signin.StepDone)
	want(t, third.Answer(s.Attempt, method.TOTP, ada.Code(), false), signin.StepDone)
}

func TestAnotherPersonInTheSameBrowser(t *testing.T) {
	h := quick(t)
	ada, bob, b := h.Person("ada", method.Passkey), h.Person("bob", method.Passkey), h.Browser()
	b.SignIn(ada, signin.Target{}, false)
	s := b.SignIn(bob, signin.Target{Another: true}, false)
	want(t, s, signin.StepDone)
	_, who, err := h.Flow.Who(ctx, b.Caller)
	if err != nil || who.ID != bob.ID || len(h.Sessions(ada)) != 0 {
		t.Fatal(who, err, h.Sessions(ada))
	}
}

func TestSignOutEverywhere(t *testing.T) {
	both(t, func(t *testing.T, h *signintest.House) {
		ada, b, other := h.Person("ada", method.TOTP), h.Browser(), h.Browser()
		b.SignIn(ada, signin.Target{}, true)
		other.SignIn(ada, signin.Target{}, false)
		if err := h.Flow.SignOut(ctx, other.Caller, false); err != nil || len(h.Sessions(ada)) != 1 {
			t.Fatal(err, h.Sessions(ada))
		}
		if err := h.Flow.SignOut(ctx, other.Caller, true); err != nil || len(h.Sessions(ada)) != 1 {
			t.Fatal("signing out everywhere without a session:", err, h.Sessions(ada))
		}
		if err := h.Flow.SignOut(ctx, b.Caller, true); err != nil || len(h.Sessions(ada)) != 0 {
			t.Fatal(err, h.Sessions(ada))
		}
		b.Session = secret.String{}
		s := b.Type(b.Identify(b.Open(signin.Target{}).Attempt, "ada").Attempt, signintest.Password)
		want(t, s, signin.StepProve) // nothing is remembered any more
		if !has(h.Notices(ada), "signout.everywhere") {
			t.Fatal(h.Notices(ada))
		}
	})
}

func TestRefreshGivesTheFullWindow(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.Passkey), h.Browser()
	first := b.SignIn(ada, signin.Target{}, false)
	h.Clock.Add(7 * time.Hour)
	s := b.Open(signin.Target{Act: policy.ActRefreshSignIn})
	want(t, s, signin.StepProve)
	s = b.Answer(s.Attempt, method.Passkey, b.Touch(s, ada), false)
	want(t, s, signin.StepDone)
	live, _, err := h.Flow.Who(ctx, b.Caller)
	if err != nil || live.ID == first.SessionID || live.Expires.Sub(h.Clock.Now()) < policy.DefaultSessionMax-time.Second || len(h.Sessions(ada)) != 1 {
		t.Fatal(live, err)
	}
}

func TestNewBrowserIsToldOnce(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.Passkey), h.Browser()
	b.SignIn(ada, signin.Target{}, false)
	if n := h.Notices(ada); len(n) != 0 {
		t.Fatal("the first browser of all is no news:", n)
	}
	other := h.Browser()
	other.SignIn(ada, signin.Target{}, false)
	other.Session = secret.String{}
	other.SignIn(ada, signin.Target{}, false)
	if n := h.Notices(ada); count(n, "signin.new_browser") != 1 {
		t.Fatal(n)
	}
}

func TestASecondTabGoesOnBesideTheFirstOnesSession(t *testing.T) {
	h := quick(t)
	h.Application("pat", "Patients", "clinic")
	p := policy.Default()
	p.Rules = append(p.Rules, policy.Rule{Name: "clinic", State: policy.RuleOn,
		Applications: policy.Match{Categories: []string{"clinic"}}, Grant: policy.Grant{Strength: policy.StrengthPhishingResistant}})
	h.Policy(p)
	ada, b := h.Person("ada", method.TOTP, method.Passkey), h.Browser()
	one := passwordGiven(b, "ada", signin.Target{Application: "pat"})
	two := b.Choose(passwordGiven(b, "ada", signin.Target{}).Attempt, method.TOTP)
	want(t, b.Answer(two.Attempt, method.TOTP, ada.Code(), false), signin.StepDone)
	one = b.Show(one.Attempt)
	want(t, one, signin.StepProve)
	want(t, b.Answer(one.Attempt, method.Passkey, b.Touch(one, ada), false), signin.StepDone)
	live, _, err := h.Flow.Who(ctx, b.Caller)
	if err != nil || len(live.Evidence) != 4 || len(h.Sessions(ada)) != 1 {
		t.Fatal(live.Evidence, err)
	}
}

func TestLastUseIsSavedAtMostOnceAMinute(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.Passkey), h.Browser()
	b.SignIn(ada, signin.Target{}, false)
	views, writes := 0, 0
	flow := signin.New(countingDeps(h, &views, &writes))
	for range 20 {
		h.Clock.Add(10 * time.Second)
		if _, _, err := flow.Who(ctx, b.Caller); err != nil {
			t.Fatal(err)
		}
	}
	if writes != 3 || views != 20 {
		t.Fatalf("%d writes, %d views", writes, views)
	}
	for range 3 { // in use all day, it lives; its absolute end comes all the same
		h.Clock.Add(7 * time.Hour)
		if _, _, err := flow.Who(ctx, b.Caller); err != nil {
			t.Fatal(err)
		}
	}
	h.Clock.Add(3 * time.Hour)
	if _, _, err := flow.Who(ctx, b.Caller); !fault.IsKind(err, fault.Unauthenticated) {
		t.Fatal("nothing extends a session:", err)
	}
	b.SignIn(ada, signin.Target{}, false)
	h.Clock.Add(8 * time.Hour)
	if _, _, err := flow.Who(ctx, b.Caller); !fault.IsKind(err, fault.Unauthenticated) {
		t.Fatal("idle:", err)
	}
}

func TestRememberedBrowserSkipsOnlyTheSecondProof(t *testing.T) {
	both(t, func(t *testing.T, h *signintest.House) {
		ada, b := h.Person("ada", method.TOTP), h.Browser()
		want(t, b.SignIn(ada, signin.Target{}, true), signin.StepDone)
		token := b.Remembered[0]
		for day := range 4 {
			h.Clock.Add(9 * 24 * time.Hour)
			s := passwordGiven(b, "ada", signin.Target{})
			if asked := s.Kind == signin.StepProve; asked != (day == 3) {
				t.Fatalf("day %d: asked %v", 9*(day+1), asked)
			}
			if day == 3 {
				break
			}
			live, _, err := h.Flow.Who(ctx, b.Caller)
			if err != nil || len(live.Evidence) != 1 || live.Family == "" || b.Remembered[0].Equal(token) {
				t.Fatal(live, err)
			}
			token = b.Remembered[0]
		}
		// Asked again, the member chooses again: one family for the person, five tokens at most.
		want(t, b.SignIn(ada, signin.Target{}, true), signin.StepDone)
		if len(b.Remembered) != 1 {
			t.Fatal(len(b.Remembered))
		}
	})
}

func TestOneBrowserRemembersFivePeople(t *testing.T) {
	h := quick(t)
	b := h.Browser()
	for _, name := range []string{"ann", "ben", "cat", "dan", "eve", "fay"} {
		p := h.Person(name, method.TOTP)
		want(t, b.SignIn(p, signin.Target{Another: true}, true), signin.StepDone)
	}
	b.Session = secret.String{}
	if s := passwordGiven(b, "ann", signin.Target{}); s.Kind != signin.StepProve {
		t.Fatal("the oldest was to go")
	}
	if s := passwordGiven(b, "fay", signin.Target{}); s.Kind != signin.StepDone {
		t.Fatalf("the newest was to stay: %+v", s.Reasons)
	}
}

// A refresh counts its own proofs alone, and what it begins keeps them all.
func TestRefreshBesideAnotherTab(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.TOTP), h.Browser()
	first := b.SignIn(ada, signin.Target{}, false)
	h.Clock.Add(time.Hour)
	refresh := b.Open(signin.Target{Act: policy.ActRefreshSignIn})
	page := b.Open(signin.Target{Act: policy.ActSecurityPage})
	for i, s := range []signin.Step{page, refresh} {
		asked := map[method.Kind]bool{}
		for s.Kind == signin.StepProve {
			asked[s.Method] = true
			if s.Method == method.Password {
				s = b.Type(s.Attempt, signintest.Password)
				continue
			}
			h.Clock.Add(time.Minute)
			s = b.Answer(s.Attempt, s.Method, ada.Code(), false)
		}
		want(t, s, signin.StepDone)
		live, _, err := h.Flow.Who(ctx, b.Caller)
		if err != nil || len(asked) != 2 || (live.ID == first.SessionID) != (i == 0) {
			t.Fatal(live, asked, err)
		}
		if i == 1 && (len(live.Evidence) != 2 || live.Evidence[0].Kind == live.Evidence[1].Kind) {
			t.Fatal(live.Evidence)
		}
	}
	want(t, b.Show(refresh.Attempt), signin.StepDone)
}

// A password that was changed while its hash was computed proves nothing any more.
func TestPasswordChangedMeanwhile(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.TOTP), h.Browser()
	other := h.Person("other")
	d, writes := h.Flow.Deps, 0
	d.InTx = func(ctx context.Context, fn func(signin.Store) error) error {
		if writes++; writes == 2 {
			err := h.InTx(ctx, func(s signin.Store) error {
				hers, err := s.CredentialsOf(ctx, string(ada.ID))
				if err != nil {
					return err
				}
				theirs, err := s.CredentialsOf(ctx, string(other.ID))
				if err != nil {
					return err
				}
				hers[0].State = theirs[0].State
				return s.UpdateCredential(ctx, hers[0])
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		return h.InTx(ctx, fn)
	}
	s := b.Identify(b.Open(signin.Target{}).Attempt, "ada")
	s, err := signin.New(d).Answer(ctx, b.Caller, s.Attempt, method.Password, method.Answer{Text: signintest.Password}, false)
	if err != nil || s.Known {
		t.Fatal(s, err)
	}
	wantProblem(t, s, "signin.already_used")
}
