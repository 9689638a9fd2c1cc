package phone_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/methodtest"
	"github.com/gatehouse-id/gatehouse/internal/method/phone"
	"github.com/gatehouse-id/gatehouse/internal/notice"
)

// The numbers are of the ranges that regulators keep for drama and examples, where there are some.
const (
	mobile   = "+12025550123"
	landline = "+442079460958"
)

func made(t testing.TB, s phone.Settings) *phone.Method {
	t.Helper()
	if s.Countries == nil {
		s = phone.Settings{Country: "US", Countries: []string{"US", "GB"}, Channels: []string{notice.Text, notice.Voice}}
	}
	m, err := phone.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSuite(t *testing.T) {
	sent := func(_ *testing.T, p method.Prompt, _ time.Time) method.Answer {
		return method.Answer{Text: p.Send[0].Code}
	}
	methodtest.Run(t, methodtest.Case{
		Method: made(t, phone.Settings{}), Typed: method.Answer{Text: mobile}, Enrol: sent, Right: sent,
		Wrong: func(*testing.T, method.Prompt, time.Time) []method.Answer {
			return []method.Answer{{Text: "12345"}, {Text: "1234567"}, {Text: "12a456"}, {JSON: json.RawMessage(`{"number":"+12025550999"}`)}}
		},
	})
}

func offer(t *testing.T, m *phone.Method, in method.OfferInput) (method.Prompt, phone.Offered) {
	t.Helper()
	in.Subject = methodtest.Ada
	if in.Now.IsZero() {
		in.Now = methodtest.Noon
	}
	p, err := m.Offer(in)
	if err != nil {
		t.Fatal(err)
	}
	var o phone.Offered
	if err := json.Unmarshal(p.Public, &o); err != nil {
		t.Fatal(err)
	}
	return p, o
}

func TestOfferAsksForTheNumberThenForTheCode(t *testing.T) {
	m := made(t, phone.Settings{})
	p, o := offer(t, m, method.OfferInput{})
	if o.Ask != "number" || p.State != nil || p.Send != nil || o.Country != "US" || !slices.Equal(o.Channels, []string{"text", "voice"}) {
		t.Errorf("%+v", o)
	}
	p, o = offer(t, m, method.OfferInput{Answer: method.Answer{Text: "(202) 555-0123"}})
	if o.Ask != "code" || o.To != "•••• 123" || o.Via != notice.Text || len(p.Send) != 1 || p.Send[0].Address != mobile || p.Send[0].Country != "US" {
		t.Errorf("%+v %+v", o, p.Send)
	}
	if len(p.Send[0].Code) != phone.CodeDigits || strings.Contains(string(p.Public), p.Send[0].Code) || strings.Contains(string(p.State), p.Send[0].Code) {
		t.Error("the code is in the page, or kept in clear")
	}
	_, o = offer(t, m, method.OfferInput{Answer: method.Answer{Text: mobile}, Via: notice.Voice})
	if o.Via != notice.Voice {
		t.Errorf("%+v", o)
	}
	// A landline is called, whatever comes first, and not texted.
	if _, o = offer(t, m, method.OfferInput{Answer: method.Answer{Text: landline}}); o.Via != notice.Voice {
		t.Errorf("%+v", o)
	}
	if _, err := m.Offer(method.OfferInput{Subject: methodtest.Ada, Now: methodtest.Noon, Answer: method.Answer{Text: landline}, Via: notice.Text}); fault.Of(err).Code != "phone.via" {
		t.Error(err)
	}
	// After a wrong code the same one is asked for, and nothing is sent.
	again, o := offer(t, m, method.OfferInput{Again: p.State, Now: methodtest.Noon.Add(9 * time.Minute)})
	if o.Ask != "code" || len(again.Send) != 0 || string(again.State) != string(p.State) {
		t.Errorf("%+v", o)
	}
	if _, o = offer(t, m, method.OfferInput{Again: p.State, Now: methodtest.Noon.Add(phone.CodeFor)}); o.Ask != "number" {
		t.Errorf("%+v", o)
	}
}

// The number is the one that the code was sent to, whatever the answer says (attack G55).
func TestG55_TheNumberIsNeverTakenFromTheAnswer(t *testing.T) {
	m := made(t, phone.Settings{})
	p, _ := offer(t, m, method.OfferInput{Answer: method.Answer{Text: mobile}})
	c, err := m.Enrol(method.EnrolInput{Subject: methodtest.Ada, State: p.State, Name: "phone", Now: methodtest.Noon,
		Answer: method.Answer{Text: p.Send[0].Code, JSON: json.RawMessage(`{"n":"+12025550999","number":"+12025550999","verified":true}`)}})
	if err != nil || !strings.Contains(string(c.State), mobile) || strings.Contains(string(c.State), "999") || c.Name != "•••• 123" {
		t.Errorf("%s %q %v", c.State, c.Name, err)
	}
	to, ok := m.Reach(c)
	if !ok || to.Address != mobile || to.Channel != notice.Text {
		t.Errorf("%+v %v", to, ok)
	}
}

// numbers are two credentials of Ada's.
func numbers(t *testing.T, m *phone.Method) []method.Credential {
	t.Helper()
	var all []method.Credential
	for i, n := range []string{mobile, landline} {
		p, _ := offer(t, m, method.OfferInput{Answer: method.Answer{Text: n}, Existing: all})
		c, err := m.Enrol(method.EnrolInput{Subject: methodtest.Ada, State: p.State, Answer: method.Answer{Text: p.Send[0].Code}, Now: methodtest.Noon})
		if err != nil {
			t.Fatal(err)
		}
		c.ID, c.Person, c.LastUsed = string(rune('a'+i)), methodtest.Ada.ID, methodtest.Noon.Add(time.Duration(i)*time.Hour)
		all = append(all, c)
	}
	return all
}

func TestDispatchChoosesAndObeys(t *testing.T) {
	m := made(t, phone.Settings{})
	all := numbers(t, m)
	in := method.DispatchInput{Subject: methodtest.Ada, Credentials: all, Now: methodtest.Noon}
	d, err := m.Dispatch(in)
	if err != nil || d.Via != notice.Voice || d.Send[0].Credential != "b" || d.Number != "" {
		t.Fatalf("not the one used last: %+v %v", d.Send, err)
	}
	var p phone.Dispatched
	if err := json.Unmarshal(d.Public, &p); err != nil || p.To != "•••• 958" || len(p.Numbers) != 2 || p.Numbers[1].To != "•••• 123" {
		t.Errorf("%+v %v", p, err)
	}
	in.Credential, in.Via = "a", notice.Voice
	if d, err = m.Dispatch(in); err != nil || d.Send[0].Address != mobile || d.Via != notice.Voice {
		t.Errorf("%+v %v", d.Send, err)
	}
	for name, change := range map[string]func(*method.DispatchInput){
		"text to a landline":    func(in *method.DispatchInput) { in.Credential, in.Via = "b", notice.Text },
		"somebody else's":       func(in *method.DispatchInput) { in.Credential = "z" },
		"nobody's":              func(in *method.DispatchInput) { in.Credentials = nil },
		"another person's":      func(in *method.DispatchInput) { in.Subject.ID = "eve" },
		"an unheard-of channel": func(in *method.DispatchInput) { in.Via = "pigeon" },
	} {
		changed := in
		change(&changed)
		if d, err := m.Dispatch(changed); fault.Of(err) == nil || fault.Of(err).Kind != fault.BadInput || len(d.Send) != 0 {
			t.Errorf("%s: %+v %v", name, d.Send, err)
		}
	}
	// A country that was taken off the list is sent nothing, though its number is registered.
	if _, err := made(t, phone.Settings{Countries: []string{"BE"}, Channels: []string{notice.Text}}).Dispatch(method.DispatchInput{
		Subject: methodtest.Ada, Credentials: all, Now: methodtest.Noon}); fault.Of(err).Code != "phone.none" {
		t.Error(err)
	}
}

// A code belongs to its own challenge and number, and ten minutes are its life (attack G34).
func TestG34_ACodeFitsItsOwnChallengeAlone(t *testing.T) {
	m := made(t, phone.Settings{})
	all := numbers(t, m)
	in := method.DispatchInput{Subject: methodtest.Ada, Credentials: all, Now: methodtest.Noon}
	first, err := m.Dispatch(in)
	if err != nil {
		t.Fatal(err)
	}
	second, err := m.Dispatch(in)
	if err != nil {
		t.Fatal(err)
	}
	verify := func(state []byte, code string, after time.Duration, creds []method.Credential) method.Verdict {
		v, err := m.Verify(method.VerifyInput{Subject: methodtest.Ada, Credentials: creds, State: state,
			Answer: method.Answer{Text: code}, Now: methodtest.Noon.Add(after)})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	code := first.Send[0].Code
	if code != second.Send[0].Code { // one time in a million they are the same
		if v := verify(second.State, code, 0, all); v.OK || v.Reason != "phone.wrong" {
			t.Errorf("another challenge's code: %+v", v)
		}
	}
	if v := verify(first.State, code, phone.CodeFor+time.Minute, all); v.OK || v.Reason != "phone.expired" {
		t.Errorf("after eleven minutes: %+v", v)
	}
	if v := verify(first.State, code, phone.CodeFor, all); v.OK {
		t.Errorf("at its end: %+v", v)
	}
	if v := verify(first.State, code, -time.Second, all); v.OK {
		t.Errorf("before it was sent: %+v", v)
	}
	if v := verify(first.State, code, 0, all[:1]); v.OK || v.Reason != "phone.none" {
		t.Errorf("after its number was removed: %+v", v)
	}
	if v := verify(first.State, code[:3]+" "+code[3:], phone.CodeFor-time.Second, all); !v.OK || v.Used != "b" {
		t.Errorf("the right one: %+v", v)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, s := range []phone.Settings{
		{}, {Channels: []string{notice.Text}}, {Countries: []string{"GB"}}, {Countries: []string{"gb"}, Channels: []string{notice.Text}},
		{Countries: []string{"GB"}, Channels: []string{"mail"}}, {Countries: []string{"GB"}, Channels: []string{notice.Text}, Country: "001"},
	} {
		if _, err := phone.New(s); err == nil {
			t.Errorf("%+v was taken", s)
		}
	}
}
