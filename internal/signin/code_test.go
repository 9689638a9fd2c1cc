package signin_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/incident"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/signin/signintest"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

func TestG34_AnOldCodeAndAnotherAttemptsCodeAreWorthNothing(t *testing.T) {
	both(t, func(t *testing.T, h *signintest.House) {
		ada, b, other := h.Person("ada", method.Phone), h.Browser(), h.Browser()
		s := passwordGiven(b, "ada", signin.Target{})
		if s.Method != method.Phone || s.Sending == nil || s.Sending.Number != "" || len(h.Pushed()) != 0 {
			t.Fatalf("%+v", s)
		}
		o := passwordGiven(other, "ada", signin.Target{})
		s = b.Send(s.Attempt, method.Phone, "voice:"+ada.Creds[method.Phone])
		codes := h.Codes(ada)
		if len(codes) != 3 || codes[0].Kind != "code.text" || codes[2].Kind != "code.voice" || codes[2].Expires.IsZero() {
			t.Fatalf("%+v", codes)
		}
		code := func(i int) method.Answer { return method.Answer{Text: codes[i].Code.Reveal()} }
		wantProblem(t, b.Answer(s.Attempt, method.Phone, code(0), false), "signin.wrong")     // replaced
		wantProblem(t, b.Answer(s.Attempt, method.Phone, code(1), false), "signin.wrong")     // another attempt's
		wantProblem(t, other.Answer(o.Attempt, method.Phone, code(2), false), "signin.wrong") // the other way round
		h.Clock.Add(signin.ChallengeFor)
		wantProblem(t, b.Answer(s.Attempt, method.Phone, code(2), false), "signin.code_expired")
		s = b.Send(s.Attempt, method.Phone, "")
		codes = h.Codes(ada)
		done := b.Answer(s.Attempt, method.Phone, code(3), false)
		want(t, done, signin.StepDone)
		again := passwordGiven(h.Browser(), "ada", signin.Target{})
		if got := h.Codes(ada); got[len(got)-1].Code.Equal(codes[3].Code) || again.Sending == nil {
			t.Fatal("the same code twice")
		}
	})
}

func TestFiveWrongCodesEndOne(t *testing.T) {
	h := quick(t)
	ada, b := h.Person("ada", method.Phone), h.Browser()
	s := passwordGiven(b, "ada", signin.Target{})
	right := h.Codes(ada)[0].Code.Reveal()
	wrong := method.Answer{Text: fmt.Sprintf("%06d", 1)}
	if wrong.Text == right {
		wrong.Text = "000002"
	}
	page := s.Attempt // the same old page again and again: what is counted is not in it
	for i := range 5 {
		s = b.Answer(page, method.Phone, wrong, false)
		if code := map[bool]string{false: "signin.wrong", true: "signin.code_over"}[i == 4]; s.Problem == nil || s.Problem.Code != code {
			t.Fatalf("wrong code %d: %v", i+1, s.Problem)
		}
	}
	wantProblem(t, b.Answer(page, method.Phone, method.Answer{Text: right}, false), "signin.code_expired")
	if s.Sending != nil {
		t.Fatal("the page still waits for it")
	}
}

func TestG53_CapsHoldForOneRangeOverManyAccounts(t *testing.T) {
	h := quick(t)
	caps := signintest.Caps()
	caps.Prefix = throttle.Limit{Burst: 20, Refill: time.Hour}
	h.Gateway = caps
	h.Rebuild()
	h.Clock.Add(time.Hour)
	sent, capped := 0, 0
	var first *signintest.Person
	for i := range 60 {
		p := h.Person(fmt.Sprintf("new%d", i), method.Phone, method.TOTP)
		if first == nil {
			first = p
		}
		b := h.Browser()
		s := passwordGiven(b, p.Username, signin.Target{}) // the passcode leads
		if s.Method != method.TOTP {
			t.Fatal(s.Method)
		}
		if s = b.Choose(s.Attempt, method.Phone); s.Problem == nil {
			sent++
		} else {
			wantProblem(t, s, "signin.phone_capped")
			capped++
		}
		want(t, b.Answer(b.Choose(s.Attempt, method.TOTP).Attempt, method.TOTP, p.Code(), false), signin.StepDone)
	}
	if sent < 20 || sent > 24 || capped != 60-sent { // some hours pass meanwhile
		t.Fatalf("%d sent, %d capped", sent, capped)
	}
	list := incidents(t, h, "")
	if !slices.ContainsFunc(list, func(i incident.Incident) bool {
		return i.Kind == incident.Cap && i.Object == "prefix +324701" && i.Person == ""
	}) {
		t.Fatalf("no alarm: %+v", list)
	}
}

func TestG53_EveryCapIsACap(t *testing.T) {
	one := throttle.Limit{Burst: 1, Refill: time.Hour}
	for name, set := range map[string]func(*signin.SendingCaps){
		"number": func(c *signin.SendingCaps) { c.Number = one }, "account": func(c *signin.SendingCaps) { c.Account = one },
		"address": func(c *signin.SendingCaps) { c.Address = one }, "prefix": func(c *signin.SendingCaps) { c.Prefix = one },
		"total": func(c *signin.SendingCaps) { c.Total = one }, "nowhere": func(c *signin.SendingCaps) { c.Countries = []string{"US"} },
		"nothing": func(c *signin.SendingCaps) { *c = signin.SendingCaps{} },
	} {
		h := quick(t)
		caps := signintest.Caps()
		set(&caps)
		h.Gateway = caps
		h.Rebuild()
		ada, b := h.Person("ada", method.Phone), h.Browser()
		s := passwordGiven(b, "ada", signin.Target{})
		if name == "nowhere" || name == "nothing" {
			wantProblem(t, s, "signin.phone_country")
			continue
		}
		s = b.Send(s.Attempt, method.Phone, "")
		wantProblem(t, s, "signin.phone_capped")
		if len(h.Codes(ada)) != 1 || s.Problem.RetryAfter <= 0 || s.Sending == nil {
			t.Fatalf("%s: %d codes, %v, %+v", name, len(h.Codes(ada)), s.Problem, s.Sending)
		}
		if !has(h.Acts(ada), "code.sent refused") {
			t.Fatal(name, h.Acts(ada))
		}
	}
}

func TestPrefixes(t *testing.T) {
	for number, want := range map[string]string{"+447700900123": "+447700", "+12025550123": "+12025", "+85291234567": "+8529123",
		"+79161234567": "+79161", "+3246": "+3246", "+": "+"} {
		if got := signin.Prefix(number); got != want {
			t.Errorf("%s: %s, want %s", number, got, want)
		}
	}
}
