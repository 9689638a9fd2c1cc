package signin_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/incident"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/signin/signintest"
)

// waits checks that a page waits for the phone and gives its request.
func waits(t *testing.T, s signin.Step) *signin.Sending {
	t.Helper()
	want(t, s, signin.StepProve)
	if s.Method != method.App || s.Sending == nil || s.Sending.Number == "" {
		t.Fatalf("the page does not wait for the phone: method %q, sending %+v, problem %v", s.Method, s.Sending, s.Problem)
	}
	return s.Sending
}

func incidents(t *testing.T, h *signintest.House, person people.ID) (list []incident.Incident) {
	t.Helper()
	err := h.View(ctx, func(s signin.Store) (err error) {
		list, err = s.Incidents(ctx, string(person), true, 100)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestPasswordStartsTheRequestAndTheApprovalSignsIn(t *testing.T) {
	both(t, func(t *testing.T, h *signintest.House) {
		ada, b := h.Person("ada", method.App, method.TOTP), h.Browser()
		h.Application("lib", "Library", "teaching")
		s := passwordGiven(b, "ada", signin.Target{Application: "lib"})
		sent := waits(t, s)
		if pushed := h.Pushed(); len(pushed) != 1 || pushed[0].ID != sent.ID {
			t.Fatalf("pushed: %+v", pushed)
		}
		if c := h.Challenge(sent.ID); c.Application != "Library" || c.Country != "GB" || c.Known || !slices.Equal(c.Sent, []string{ada.Creds[method.App]}) {
			t.Fatalf("what the phone shows: %+v", c)
		}
		again := b.Show(s.Attempt)
		if waits(t, again).ID != sent.ID || len(h.Pushed()) != 1 {
			t.Fatal("looking sent something")
		}
		if w, err := h.Flow.Waiting(ctx, b.Caller, again.Attempt); err != nil || w.Standing != signin.Open || w.Topic != signin.ChallengeTopic(sent.ID) {
			t.Fatal(w, err)
		}
		if waits(t, b.Next(again.Attempt)).ID != sent.ID {
			t.Fatal("asking for the answer before there is one changed the page")
		}
		h.Approve(ada, again)
		if w, err := h.Flow.Waiting(ctx, b.Caller, again.Attempt); err != nil || w.Standing != signin.Approved {
			t.Fatal(w, err)
		}
		want(t, b.Next(again.Attempt), signin.StepDone)
		live, _, err := h.Flow.Who(ctx, b.Caller)
		if err != nil || len(live.Evidence) != 2 || live.Evidence[1].Kind != method.App || live.Evidence[1].PhishingResistant || live.Evidence[1].DeviceBound {
			t.Fatalf("%+v %v", live.Evidence, err)
		}
		if h.Challenge(sent.ID).Standing != signin.Taken {
			t.Fatal("the approval can be taken again")
		}
	})
}

func TestRule18_NothingIsSentBeforeAProofOrByLooking(t *testing.T) {
	h := quick(t)
	h.Person("ada", method.App, method.Phone)
	b := h.Browser()
	s := b.Open(signin.Target{})
	for _, kind := range []method.Kind{method.App, method.Phone} {
		b.Choose(s.Attempt, kind)
		b.Send(s.Attempt, kind, "")
		s = b.Identify(s.Attempt, "ada")
		b.Choose(s.Attempt, kind)
		b.Send(s.Attempt, kind, "")
		b.Answer(s.Attempt, kind, method.Answer{Text: "123456"}, false)
		b.Show(s.Attempt)
		b.Type(s.Attempt, "wrong "+string(kind))
	}
	ada := h.Person("ben", method.App)
	// From a live session a page waits for a button, or its script.
	b.Open(signin.Target{})
	signed := h.Browser()
	s = passwordGiven(signed, "ben", signin.Target{})
	h.Approve(ada, s)
	want(t, signed.Next(s.Attempt), signin.StepDone)
	n := len(h.Pushed())
	if n != 1 {
		t.Fatalf("%d requests were sent, one was asked for", n)
	}
	s = signed.Open(signin.Target{Act: policy.ActMethodRename, Object: "x"})
	want(t, s, signin.StepProve)
	if s.Method != method.App || s.Sending != nil || len(h.Pushed()) != n {
		t.Fatalf("a look sent a request: %+v", s)
	}
	s = signed.Send(s.Attempt, method.App, "")
	waits(t, s)
	h.Approve(ada, s)
	s = signed.Next(s.Attempt)
	if s.Kind != signin.StepDone && s.Method != method.Password {
		t.Fatalf("%+v", s)
	}
}

func TestARowWithoutEvidenceProvesNothing(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.App), h.Browser()
	s := passwordGiven(b, "ada", signin.Target{})
	h.Approve(ada, s)
	want(t, b.Next(s.Attempt), signin.StepDone)
	s = b.Send(b.Open(signin.Target{Act: policy.ActMethodRemove, Object: "x"}).Attempt, method.App, "")
	sent := waits(t, s)
	// The page alone, without an answer, opens nothing, whatever is pressed on it.
	want(t, b.Next(s.Attempt), signin.StepProve)
	want(t, b.Show(s.Attempt), signin.StepProve)
	// Without the session that it steps up the attempt is nobody's.
	without := *b
	without.Session = h.Browser().Session
	h.Approve(ada, s)
	if got := without.Next(s.Attempt); got.Kind == signin.StepDone || got.Known {
		t.Fatalf("an attempt outlived the session that it steps up: %+v", got)
	}
	if h.Challenge(sent.ID).Standing != signin.Approved {
		t.Fatal("somebody without the session took the approval")
	}
	if s = b.Next(s.Attempt); s.Kind != signin.StepProve || s.Method != method.Password {
		t.Fatalf("an act proven by half: %+v", s)
	}
	want(t, b.Type(s.Attempt, signintest.Password), signin.StepDone)
}

func TestG46_TwentyStartsLeaveOneRequestAndGrowingDelay(t *testing.T) {
	both(t, func(t *testing.T, h *signintest.House) {
		ada := h.Person("ada", method.App, method.TOTP)
		started, refused := 0, 0
		for i := range 20 {
			b := h.Browser() // a new attempt in a new browser every time, as fast as can be
			s := passwordGiven(b, "ada", signin.Target{})
			want(t, s, signin.StepProve)
			if s.Sending != nil {
				started++
			} else if refused++; s.Problem == nil || s.Problem.RetryAfter < 0 || !slices.Contains(s.Others, method.TOTP) {
				t.Fatalf("refused without a reason, or nothing else is offered: %+v", s)
			}
			if n := len(h.Requests(ada)); n > 1 {
				t.Fatalf("%d requests wait after %d starts", n, i+1)
			}
		}
		if started != 1 || refused != 19 {
			t.Fatalf("%d started, %d refused", started, refused)
		}
		// One browser that replaces its own runs into the budget, and a new attempt does not begin it anew.
		b := h.Browser()
		h.Clock.Add(6 * time.Minute) // the one that waits is over
		var waited []time.Duration
		for range 18 {
			s := passwordGiven(b, "ada", signin.Target{})
			if s.Sending != nil {
				continue
			}
			wantProblem(t, s, "signin.app_wait")
			waited = append(waited, s.Problem.RetryAfter)
			h.Clock.Add(s.Problem.RetryAfter)
		}
		if len(waited) < 6 || !slices.IsSorted(waited[1:]) {
			t.Fatalf("the delay does not grow: %v", waited)
		}
		last := waited[len(waited)-1]
		if last < 30*time.Minute {
			t.Fatalf("the delay grew to %v only", last)
		}
		list := incidents(t, h, ada.ID)
		if len(list) != 1 || list[0].Kind != incident.Flood || list[0].Personal["address"] != "192.0.2.7" {
			t.Fatalf("incidents: %+v", list)
		}
		if got := count(h.Notices(ada), "approval.flood"); got == 0 || got > 1+int(last/(24*time.Hour)) {
			t.Fatalf("told %d times", got)
		}
		if !has(h.Acts(ada), "approval.flood refused") {
			t.Fatal(h.Acts(ada))
		}
	})
}

func TestG46_AStrangerDoesNotCrowdTheMemberOut(t *testing.T) {
	h := quick(t)
	ada := h.Person("ada", method.App)
	thief := h.Browser()
	for range 9 {
		passwordGiven(thief, "ada", signin.Target{})
	}
	own := h.Browser().KnownTo(ada)
	s := passwordGiven(own, "ada", signin.Target{})
	waits(t, s)
	if open := h.Requests(ada); len(open) != 2 || open[0].Number == open[1].Number || open[0].Known == open[1].Known {
		t.Fatalf("%+v", open)
	}
	h.Approve(ada, s)
	want(t, own.Next(s.Attempt), signin.StepDone)
	wantProblem(t, passwordGiven(thief, "ada", signin.Target{}), "signin.app_wait")
}

func TestAnApprovalGivesItsOwnStartsBack(t *testing.T) {
	h := quick(t)
	ada := h.Person("ada", method.App)
	b := h.Browser().KnownTo(ada)
	for i := range 12 { // more often than the budget in one go, each approved
		b.Session = h.Browser().Session
		s := passwordGiven(b, "ada", signin.Target{})
		if s.Sending == nil {
			t.Fatalf("refused at the %dth: %v", i+1, s.Problem)
		}
		s = b.Send(s.Attempt, method.App, "")
		h.Approve(ada, s)
		want(t, b.Next(s.Attempt), signin.StepDone)
	}
}

func TestG46_AReportedSourceIsBlockedAndNobodyElse(t *testing.T) {
	both(t, func(t *testing.T, h *signintest.House) {
		ada, ben := h.Person("ada", method.App, method.TOTP), h.Person("ben", method.App)
		thief := h.Browser()
		s := passwordGiven(thief, "ada", signin.Target{})
		c := h.Challenge(waits(t, s).ID)
		if _, err := h.Respond(ada, c.ID, "", signin.Reported); err != nil {
			t.Fatal(err)
		}
		err := h.InTx(ctx, func(st signin.Store) error {
			for _, source := range h.Flow.Sources(c) {
				if err := st.AddBlock(ctx, signin.Block{Person: c.Person, Source: source, Until: h.Clock.Now().Add(signin.BlockFor)}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		over := thief.Next(s.Attempt)
		want(t, over, signin.StepExpired)
		wantProblem(t, over, "signin.app_reported")
		// With no other method either: the attempt is gone.
		want(t, thief.Answer(s.Attempt, method.TOTP, ada.Code(), false), signin.StepExpired)
		wantProblem(t, passwordGiven(thief, "ada", signin.Target{}), "signin.app_blocked")
		fresh := h.Browser() // no cookies, the same address
		s = passwordGiven(fresh, "ada", signin.Target{})
		wantProblem(t, s, "signin.app_blocked")
		if !slices.Contains(s.Others, method.TOTP) {
			t.Fatal("the other methods are gone")
		}
		waits(t, passwordGiven(h.Browser(), "ben", signin.Target{})) // another account behind that address
		waits(t, passwordGiven(h.Browser().KnownTo(ada), "ada", signin.Target{}))
		h.Clock.Add(signin.BlockFor)
		waits(t, passwordGiven(h.Browser(), "ada", signin.Target{}))
		_ = ben
	})
}

func TestG47_OneWrongNumberEndsTheRequest(t *testing.T) {
	both(t, func(t *testing.T, h *signintest.House) {
		ada, b := h.Person("ada", method.App, method.TOTP), h.Browser()
		s := passwordGiven(b, "ada", signin.Target{})
		sent := waits(t, s)
		wrong := "11"
		if sent.Number == wrong {
			wrong = "12"
		}
		if came, err := h.Respond(ada, sent.ID, wrong, signin.Approved); err != nil || came != signin.WrongNumber {
			t.Fatal(came, err)
		}
		if _, err := h.Respond(ada, sent.ID, sent.Number, signin.Approved); err != nil {
			t.Fatal(err)
		}
		s = b.Next(s.Attempt)
		want(t, s, signin.StepProve)
		wantProblem(t, s, "signin.app_wrong_number")
		if s.Sending != nil || !slices.Contains(s.Others, method.TOTP) {
			t.Fatalf("%+v", s)
		}
		want(t, b.Answer(b.Choose(s.Attempt, method.TOTP).Attempt, method.TOTP, ada.Code(), false), signin.StepDone)
		for _, c := range h.Pushed() {
			if c.Number == "" || h.Challenge(c.ID).Standing == signin.Approved {
				t.Fatal(c)
			}
		}
	})
}

func TestG47_SixDigitsWherePolicySaysSo(t *testing.T) {
	h := quick(t)
	p := policy.Default()
	p.App.SixDigits = true
	h.Policy(p)
	h.Person("ada", method.App)
	if n := waits(t, passwordGiven(h.Browser(), "ada", signin.Target{})).Number; len(n) != 6 {
		t.Fatal(n)
	}
}

func TestADenialIsSaidAndAnotherMethodGoesOn(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.App, method.TOTP), h.Browser()
	s := passwordGiven(b, "ada", signin.Target{})
	if _, err := h.Respond(ada, waits(t, s).ID, "", signin.Denied); err != nil {
		t.Fatal(err)
	}
	s = b.Next(s.Attempt)
	wantProblem(t, s, "signin.app_denied")
	wantProblem(t, b.Show(s.Attempt), "signin.app_denied")
	s = b.Send(s.Attempt, method.App, "")
	h.Approve(ada, s)
	want(t, b.Next(s.Attempt), signin.StepDone)
}

func TestARequestEndsWithItsAttemptItsTimeAndTheChoiceOfAnotherWay(t *testing.T) {
	both(t, func(t *testing.T, h *signintest.House) {
		ada, b := h.Person("ada", method.App, method.TOTP), h.Browser()
		stands := func(id string, want signin.Standing) {
			t.Helper()
			if got := h.Challenge(id).Standing; got != want {
				t.Fatalf("standing %d, want %d", got, want)
			}
		}
		s := passwordGiven(b, "ada", signin.Target{})
		first := waits(t, s)
		second := waits(t, b.Send(s.Attempt, method.App, ""))
		stands(first.ID, signin.Ended)
		if second.Number == first.Number {
			t.Fatal("a new request has the old one's number")
		}
		code := b.Choose(s.Attempt, method.TOTP)
		stands(second.ID, signin.Ended)
		if code.Method != method.TOTP {
			t.Fatal(code.Method)
		}
		third := waits(t, b.Choose(code.Attempt, method.App))
		kept := waits(t, b.Choose(code.Attempt, method.App))
		if third.ID != kept.ID {
			t.Fatal("choosing what is under way sent another")
		}
		want(t, b.Answer(code.Attempt, method.TOTP, ada.Code(), false), signin.StepDone)
		stands(third.ID, signin.Ended)

		late := h.Browser().KnownTo(ada)
		s = passwordGiven(late, "ada", signin.Target{})
		id := waits(t, s).ID
		h.Clock.Add(signin.ChallengeFor)
		if came, err := h.Respond(ada, id, s.Sending.Number, signin.Approved); err != nil || came == signin.Approved {
			t.Fatal("answered after its time", came, err)
		}
		s = late.Next(s.Attempt)
		wantProblem(t, s, "signin.app_expired")
		s = late.Send(s.Attempt, method.App, "")
		id = waits(t, s).ID
		if err := h.Flow.SignOut(ctx, b.Caller, true); err != nil { // everywhere: half-done sign-ins too
			t.Fatal(err)
		}
		stands(id, signin.Ended)
		want(t, late.Next(s.Attempt), signin.StepExpired)
	})
}

func TestMoreTimeUpToItsBound(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.App), h.Browser()
	s := passwordGiven(b, "ada", signin.Target{})
	began := h.Clock.Now()
	more := 0
	for ; waits(t, s).CanExtend; more++ {
		if more > 10 {
			t.Fatal("without end")
		}
		h.Clock.Add(4 * time.Minute)
		var err error
		if s, err = h.Flow.Extend(ctx, b.Caller, s.Attempt); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Sending.Expires.Sub(began); got < 29*time.Minute || got > signin.ChallengeMax {
		t.Fatal(got)
	}
	var rows []audit.Row
	if err := h.View(ctx, func(st signin.Store) (err error) {
		rows, err = st.AuditBySubject(ctx, string(ada.ID), "challenge.extended", 100)
		return err
	}); err != nil || len(rows) != more || rows[0].Object != s.Sending.ID || rows[0].Detail["method"] != string(method.App) {
		t.Errorf("more time was had %d times, and the trail says %+v %v", more, rows, err)
	}
	h.Approve(ada, s)
	want(t, b.Next(s.Attempt), signin.StepDone)
	if _, err := h.Flow.Waiting(ctx, h.Browser().Caller, s.Attempt); !fault.IsKind(err, fault.Expired) {
		t.Fatal("another browser may look:", err)
	}
}

// counted counts what is asked of the store about challenges.
type counted struct {
	signin.Store
	n map[string]int
}

func (c counted) ChallengeOfAttempt(ctx context.Context, a string) (signin.Challenge, error) {
	c.n["read"]++
	return c.Store.ChallengeOfAttempt(ctx, a)
}

func (c counted) OpenChallenges(ctx context.Context, p string, now time.Time) ([]signin.Challenge, error) {
	c.n["open"]++
	return c.Store.OpenChallenges(ctx, p, now)
}

func (c counted) Blocked(ctx context.Context, p string, of [][]byte, now time.Time) (bool, error) {
	c.n["blocked"]++
	return c.Store.Blocked(ctx, p, of, now)
}

func (c counted) AddChallenge(ctx context.Context, ch signin.Challenge) error {
	c.n["added"]++
	return c.Store.AddChallenge(ctx, ch)
}

// TestWhoHasNoPhonePaysNothingForOne: a person without the app asks the store for no challenge on their whole way; one
// with it has the request made in the transaction of the password.
func TestWhoHasNoPhonePaysNothingForOne(t *testing.T) {
	h := quick(t)
	n, writes := map[string]int{}, 0
	d := h.Deps()
	d.View = func(ctx context.Context, fn func(signin.Store) error) error {
		return h.View(ctx, func(s signin.Store) error { return fn(counted{s, n}) })
	}
	d.InTx = func(ctx context.Context, fn func(signin.Store) error) error {
		writes++
		return h.InTx(ctx, func(s signin.Store) error { return fn(counted{s, n}) })
	}
	h.Flow = signin.New(d)
	ada, ben := h.Person("ada", method.TOTP), h.Person("ben", method.App)
	b := h.Browser()
	s := b.Show(passwordGiven(b, "ada", signin.Target{}).Attempt)
	want(t, b.Answer(s.Attempt, method.TOTP, ada.Code(), false), signin.StepDone)
	if len(n) != 0 {
		t.Fatal(n)
	}
	writes, b = 0, h.Browser()
	s = passwordGiven(b, "ben", signin.Target{})
	if writes != 2 || n["read"] != 0 || n["added"] != 1 || n["open"] != 1 || n["blocked"] != 1 {
		t.Fatal(writes, n)
	}
	h.Approve(ben, s)
	want(t, b.Next(s.Attempt), signin.StepDone)
	if writes != 3 || n["read"] != 1 || n["added"] != 1 || n["open"] != 1 {
		t.Fatal(writes, n)
	}
}

func TestTypingAnotherNameEndsTheRequest(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.App), h.Browser()
	s := passwordGiven(b, "ada", signin.Target{})
	waits(t, s)
	h.Browser().Identify(s.Attempt, "eve") // another browser's page: nothing happens
	if len(h.Requests(ada)) != 1 {
		t.Fatal("another browser ended it")
	}
	b.Identify(s.Attempt, "eve")
	if len(h.Requests(ada)) != 0 {
		t.Fatal("a request waits for a sign-in that was left")
	}
}
