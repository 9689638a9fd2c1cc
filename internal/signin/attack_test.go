package signin_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/signin/signintest"
)

// passwordGiven stands at the page for the second proof.
func passwordGiven(b *signintest.Browser, name string, target signin.Target) signin.Step {
	return b.Type(b.Identify(b.Open(target).Attempt, name).Attempt, signintest.Password)
}

func TestG1_TokenIsNewAtEveryElevation(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.Passkey), h.Browser()
	planted := secret.NewString("planted-by-a-sibling-subdomain")
	b.Session = planted
	b.SignIn(ada, signin.Target{}, false)
	before := b.Caller
	if before.Session.Equal(planted) {
		t.Fatal("the planted token lives")
	}
	h.Clock.Add(time.Hour)
	s := b.Open(signin.Target{Act: policy.ActMethodRename, Object: "x"})
	s = b.Answer(s.Attempt, method.Passkey, b.Touch(s, ada), false)
	want(t, s, signin.StepDone)
	if b.Session.Equal(before.Session) {
		t.Fatal("the token did not change")
	}
	if _, _, err := h.Flow.Who(ctx, before); !fault.IsKind(err, fault.Unauthenticated) {
		t.Fatal("the old token rose with the session:", err)
	}
	thief := h.Browser()
	thief.Session = b.Session
	if _, _, err := h.Flow.Who(ctx, thief.Caller); !fault.IsKind(err, fault.Unauthenticated) {
		t.Fatal("the session left its browser:", err)
	}
}

func TestG3_NothingAfterOneFactorOpensAnything(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.TOTP), h.Browser()
	s := passwordGiven(b, "ada", signin.Target{})
	want(t, s, signin.StepProve)
	for _, artefact := range []string{s.Attempt, string(s.Prompt.Public), b.Browser.Reveal()} {
		c := b.Caller
		c.Session = secret.NewString(artefact)
		if _, _, err := h.Flow.Who(ctx, c); !fault.IsKind(err, fault.Unauthenticated) {
			t.Fatal(err)
		}
	}
	if len(h.Sessions(ada)) != 0 {
		t.Fatal("a session after one factor")
	}
	// Saying the same proof again does not make it two.
	s = b.Answer(s.Attempt, method.Password, method.Answer{Text: signintest.Password}, false)
	if s.Kind == signin.StepDone || len(h.Sessions(ada)) != 0 {
		t.Fatal("the same factor twice was enough")
	}
}

func TestG7_TwoTabs(t *testing.T) {
	h := quick(t)
	h.Application("lib", "Library", "library")
	h.Application("pat", "Patients", "clinic")
	p := policy.Default()
	p.Rules = append(p.Rules, policy.Rule{Name: "clinic", State: policy.RuleOn,
		Applications: policy.Match{Categories: []string{"clinic"}}, Grant: policy.Grant{Strength: policy.StrengthPhishingResistant}})
	h.Policy(p)
	ada, b := h.Person("ada", method.TOTP, method.Passkey), h.Browser()
	one := passwordGiven(b, "ada", signin.Target{Application: "lib", Return: "/one"})
	two := b.Open(signin.Target{Application: "pat", Return: "/two"})
	want(t, two, signin.StepIdentify) // the first tab's password is not the second's
	one = b.Choose(one.Attempt, method.TOTP)
	one = b.Answer(one.Attempt, method.TOTP, ada.Code(), false)
	want(t, one, signin.StepDone)
	two = b.Show(two.Attempt)
	want(t, two, signin.StepProve)
	if two.Method != method.Passkey || !two.Known {
		t.Fatalf("%+v", two)
	}
	// Back in the first tab, everything is still done.
	want(t, b.Open(signin.Target{Application: "lib"}), signin.StepDone)
	want(t, b.Answer(two.Attempt, method.Passkey, b.Touch(two, ada), false), signin.StepDone)
	if len(h.Sessions(ada)) != 1 {
		t.Fatal("one browser, one session")
	}
}

func TestG14_StolenRememberedBrowser(t *testing.T) {
	both(t, func(t *testing.T, h *signintest.House) {
		ada, b := h.Person("ada", method.TOTP), h.Browser()
		want(t, b.SignIn(ada, signin.Target{}, true), signin.StepDone)
		if len(b.Remembered) != 1 {
			t.Fatal("not remembered")
		}
		b.Session = secret.String{}
		// The cookie alone, without the password, gives nothing.
		want(t, b.Identify(b.Open(signin.Target{}).Attempt, "ada"), signin.StepProve)
		thief := b.On(h) // all cookies copied
		h.Clock.Add(time.Hour)
		want(t, passwordGiven(thief, "ada", signin.Target{}), signin.StepDone)
		h.Clock.Add(time.Hour)
		s := passwordGiven(b, "ada", signin.Target{})
		want(t, s, signin.StepProve)
		if _, _, err := h.Flow.Who(ctx, thief.Caller); !fault.IsKind(err, fault.Unauthenticated) {
			t.Fatal("the session born from the copy lives:", err)
		}
		if len(b.Remembered) != 0 || !has(h.Notices(ada), "browser.stolen") || !has(h.Acts(ada), "browser.stolen done") {
			t.Fatal(b.Remembered, h.Notices(ada), h.Acts(ada))
		}
		thief.Session = secret.String{}
		want(t, passwordGiven(thief, "ada", signin.Target{}), signin.StepProve)
	})
}

func TestG14_CopyInAnotherBrowserIsFoundAtOnce(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.TOTP), h.Browser()
	b.SignIn(ada, signin.Target{}, true)
	thief := h.Browser()
	thief.Remembered = b.Remembered
	want(t, passwordGiven(thief, "ada", signin.Target{}), signin.StepProve)
	if !has(h.Notices(ada), "browser.stolen") {
		t.Fatal(h.Notices(ada))
	}
}

func TestG22_ParallelAttemptsShareOneBudget(t *testing.T) {
	clock := signintest.NewClock()
	nodes := threeNodes(t, clock)
	h := nodes[0]
	ada := h.Person("ada", method.TOTP)
	var steps []signin.Step
	var browsers []*signintest.Browser
	for i := range 60 {
		b := h.Browser().On(nodes[i%3])
		steps, browsers = append(steps, passwordGiven(b, "ada", signin.Target{})), append(browsers, b)
	}
	wrong := method.Answer{Text: "000000"}
	if ada.Code().Text == wrong.Text {
		wrong.Text = "000001"
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	judged := 0
	for i, b := range browsers {
		wg.Go(func() {
			s, err := nodes[i%3].Flow.Answer(ctx, b.Caller, steps[i].Attempt, method.TOTP, wrong, false)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			} else if s.Problem == nil {
				t.Errorf("no problem: %+v", s)
			} else if s.Problem.Code != "signin.too_many" {
				judged++
			}
		})
	}
	wg.Wait()
	if judged != 10 {
		t.Fatalf("%d guesses were judged, the budget is 10", judged)
	}
	b := h.Browser().On(nodes[1])
	s := b.Answer(passwordGiven(b, "ada", signin.Target{}).Attempt, method.TOTP, ada.Code(), false)
	wantProblem(t, s, "signin.too_many")
	if len(h.Sessions(ada)) != 0 || !has(h.Notices(ada), "signin.guessing") {
		t.Fatal(h.Sessions(ada), h.Notices(ada))
	}
}

func TestG27_LockedSaysTheSameForRightAndWrong(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.TOTP), h.Browser()
	s := passwordGiven(b, "ada", signin.Target{})
	for range 12 {
		s = b.Answer(s.Attempt, method.TOTP, method.Answer{Text: "12345x"}, false)
	}
	wantProblem(t, s, "signin.too_many")
	right := b.Answer(s.Attempt, method.TOTP, ada.Code(), false)
	wrong := b.Answer(s.Attempt, method.TOTP, method.Answer{Text: "12345x"}, false)
	if right.Kind != wrong.Kind || right.Problem.Code != wrong.Problem.Code || right.Problem.Params["minutes"] != wrong.Problem.Params["minutes"] {
		t.Fatalf("%v %v", right.Problem, wrong.Problem)
	}
	// A locked password, too, is not looked at.
	eve := h.Browser()
	for range 12 {
		s = eve.Type(eve.Identify(eve.Open(signin.Target{}).Attempt, "ada").Attempt, "wrong")
	}
	s = eve.Type(eve.Identify(eve.Open(signin.Target{}).Attempt, "ada").Attempt, signintest.Password)
	want(t, s, signin.StepProve)
	wantProblem(t, s, "signin.wrong")
}

func TestG29_OneCodeFiftyTimes(t *testing.T) {
	both(t, func(t *testing.T, h *signintest.House) {
		ada := h.Person("ada", method.TOTP)
		var steps []signin.Step
		var browsers []*signintest.Browser
		for range 50 {
			b := h.Browser()
			steps, browsers = append(steps, passwordGiven(b, "ada", signin.Target{})), append(browsers, b)
		}
		code := ada.Code()
		var wg sync.WaitGroup
		var mu sync.Mutex
		done := 0
		for i, b := range browsers {
			wg.Go(func() {
				s, err := h.Flow.Answer(ctx, b.Caller, steps[i].Attempt, method.TOTP, code, false)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if s.Kind == signin.StepDone {
					done++
				}
			})
		}
		wg.Wait()
		if done != 1 || len(h.Sessions(ada)) != 1 {
			t.Fatalf("%d successes, %d sessions", done, len(h.Sessions(ada)))
		}
	})
}

func TestG30_CodeAgainAndOlderCode(t *testing.T) {
	h := quick(t)
	ada := h.Person("ada", method.TOTP)
	older := ada.Code()
	h.Clock.Add(30 * time.Second)
	newer := ada.Code()
	done := 0
	for _, code := range []method.Answer{newer, newer, older} {
		b := h.Browser()
		if b.Answer(passwordGiven(b, "ada", signin.Target{}).Attempt, method.TOTP, code, false).Kind == signin.StepDone {
			done++
		}
	}
	if done != 1 {
		t.Fatal(done)
	}
}

func TestG44_StrangersDoNotLockTheMemberOut(t *testing.T) {
	h := quick(t)
	ada, home := h.Person("ada", method.TOTP, method.Passkey), h.Browser()
	home.SignIn(ada, signin.Target{}, false)
	home.Session = secret.String{}
	for range 40 {
		b := h.Browser()
		b.Type(b.Identify(b.Open(signin.Target{}).Attempt, "ada").Attempt, "guess")
	}
	s := passwordGiven(home, "ada", signin.Target{})
	if !s.Known || s.Problem != nil {
		t.Fatalf("the known browser was locked out: %+v", s)
	}
	away := h.Browser()
	want(t, away.SignIn(ada, signin.Target{}, false), signin.StepDone)
}

func TestG65_CredentialOfSomebodyElse(t *testing.T) {
	h := quick(t)
	ada, eve, b := h.Person("ada", method.Passkey), h.Person("eve", method.Passkey), h.Browser()
	for _, handle := range [][]byte{[]byte(eve.ID), nil, []byte(ada.ID)} {
		eve.Key.UserHandle = &handle
		s := b.Identify(b.Open(signin.Target{}).Attempt, "ada")
		s = b.Answer(s.Attempt, method.Passkey, b.Touch(s, eve), false)
		if s.Kind == signin.StepDone || s.Problem == nil {
			t.Fatalf("%q: %+v", handle, s)
		}
	}
	// After ada's password, eve's key is no second proof of hers.
	eve.Key.UserHandle = nil
	s := passwordGiven(b, "ada", signin.Target{})
	want(t, s, signin.StepProve)
	eve.Key.Use = eve.Handles[method.Passkey]
	s = b.Answer(s.Attempt, method.Passkey, b.Touch(s, eve), false)
	want(t, s, signin.StepProve)
	if len(h.Sessions(ada))+len(h.Sessions(eve)) != 0 {
		t.Fatal("somebody is in")
	}
}

func TestG66_CredentialIDTakenTwice(t *testing.T) {
	h := quick(t)
	ada, eve := h.Person("ada", method.Passkey), h.Person("eve")
	c := method.Credential{ID: "x", Person: string(eve.ID), Kind: method.Passkey, Handle: ada.Handles[method.Passkey], State: []byte("{}")}
	err := h.InTx(ctx, func(s signin.Store) error { return s.AddCredential(ctx, c) })
	if !fault.IsKind(err, fault.Conflict) {
		t.Fatal(err)
	}
	want(t, h.Browser().SignIn(ada, signin.Target{}, false), signin.StepDone)
}

func TestG71_BackupFlagsChange(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.Passkey), h.Browser()
	ada.Key.BackupEligible = true
	s := b.Open(signin.Target{})
	s = b.Answer(s.Attempt, method.Passkey, b.Touch(s, ada), false)
	want(t, s, signin.StepIdentify)
	wantProblem(t, s, "signin.wrong")
}

func TestG72_ChallengeHasOnePurposeAndOneUse(t *testing.T) {
	both(t, func(t *testing.T, h *signintest.House) {
		ada, b := h.Person("ada", method.Passkey), h.Browser()
		first := b.Open(signin.Target{})
		answer := b.Touch(first, ada)
		// Another attempt of the same browser, another act: not this challenge.
		other := b.Open(signin.Target{Return: "/other"})
		wantProblem(t, b.Answer(other.Attempt, method.Passkey, answer, false), "signin.wrong")
		// Twenty at once: one.
		var wg sync.WaitGroup
		var mu sync.Mutex
		done := 0
		for range 20 {
			wg.Go(func() {
				s, err := h.Flow.Answer(ctx, b.Caller, first.Attempt, method.Passkey, answer, false)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if s.Kind == signin.StepDone {
					done++
				}
			})
		}
		wg.Wait()
		if done != 1 || len(h.Sessions(ada)) != 1 {
			t.Fatalf("%d successes, %d sessions", done, len(h.Sessions(ada)))
		}
		// After ten minutes: late, and the next press works.
		late := h.Browser()
		s := late.Open(signin.Target{})
		answer = late.Touch(s, ada)
		h.Clock.Add(10 * time.Minute)
		s = late.Answer(s.Attempt, method.Passkey, answer, false)
		wantProblem(t, s, "signin.prompt_expired")
		want(t, late.Answer(s.Attempt, method.Passkey, late.Touch(s, ada), false), signin.StepDone)
		// A wrong answer spends the challenge too.
		wrong := h.Browser()
		s = wrong.Open(signin.Target{})
		ada.Key.NotVerified = true
		bad := wrong.Touch(s, ada)
		ada.Key.NotVerified = false
		good := wrong.Touch(s, ada)
		wantProblem(t, wrong.Answer(s.Attempt, method.Passkey, bad, false), "signin.wrong")
		wantProblem(t, wrong.Answer(s.Attempt, method.Passkey, good, false), "signin.already_used")
	})
}

func TestG72_ProofNamesItsAct(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.Passkey), h.Browser()
	b.SignIn(ada, signin.Target{}, false)
	h.Clock.Add(time.Minute)
	remove := b.Open(signin.Target{Act: policy.ActMethodRemove, Object: "one"})
	rename := b.Open(signin.Target{Act: policy.ActMethodRename, Object: "two"})
	want(t, remove, signin.StepProve)
	// The challenge of one act is none of the other's.
	wantProblem(t, b.Answer(rename.Attempt, method.Passkey, b.Touch(remove, ada), false), "signin.wrong")
	want(t, b.Answer(remove.Attempt, method.Passkey, b.Touch(remove, ada), false), signin.StepDone)
	// Though a proof was just given, it was given for the other act.
	want(t, b.Show(rename.Attempt), signin.StepProve)
	proofs := 0
	for _, act := range []struct {
		act    policy.Act
		object string
	}{{policy.ActMethodRemove, "one"}, {policy.ActMethodRemove, "two"}, {policy.ActMethodRename, "two"}, {policy.ActMethodAdd, "one"}} {
		live, _, err := h.Flow.Who(ctx, b.Caller)
		if err != nil {
			t.Fatal(err)
		}
		err = h.InTx(ctx, func(s signin.Store) error {
			ok, err := s.TakeProof(ctx, live.ID, act.act, act.object, time.Time{}.Add(time.Hour))
			if ok {
				proofs++
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if proofs != 1 {
		t.Fatalf("%d proofs from one act", proofs)
	}
}

func TestG75_LowSessionMustProveAtTheAccountsLevel(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.TOTP, method.Passkey), h.Browser()
	s := b.Choose(passwordGiven(b, "ada", signin.Target{}).Attempt, method.TOTP)
	want(t, b.Answer(s.Attempt, method.TOTP, ada.Code(), false), signin.StepDone)
	h.Clock.Add(time.Minute)
	s = b.Open(signin.Target{Act: policy.ActMethodRemove, Object: ada.Creds[method.Passkey]})
	want(t, s, signin.StepProve)
	if s.Method != method.Passkey || slices.Contains(s.Others, method.TOTP) {
		t.Fatalf("a weaker proof is offered: %s %v", s.Method, s.Others)
	}
	s = b.Answer(s.Attempt, method.TOTP, ada.Code(), false)
	want(t, s, signin.StepProve)
}

func TestCounterRegressionIsToldToTheMember(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada"), h.Browser()
	ada.Key = softkey.New(signintest.Origin)
	ada.Key.Count = true
	h.Enrol(ada, method.Passkey)
	want(t, b.SignIn(ada, signin.Target{}, false), signin.StepDone)
	back := uint32(1)
	ada.Key.CounterIs = &back
	clone := h.Browser()
	s := clone.Open(signin.Target{})
	s = clone.Answer(s.Attempt, method.Passkey, clone.Touch(s, ada), false)
	want(t, s, signin.StepIdentify)
	if !has(h.Notices(ada), "method.risk") {
		t.Fatal(h.Notices(ada))
	}
}

func TestStrangersCannotFillTheTrail(t *testing.T) {
	h := quick(t)
	b := h.Browser()
	before := countRows(t, h)
	for range 100 {
		b.Type(b.Identify(b.Open(signin.Target{}).Attempt, secret.Token(16).Reveal()).Attempt, "guess")
	}
	if n := countRows(t, h) - before; n == 0 || n > 25 {
		t.Fatalf("%d lines for 100 strangers' failures", n)
	}
}
