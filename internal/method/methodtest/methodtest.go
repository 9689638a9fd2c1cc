// Package methodtest is the suite that every method passes: what the flows rely on without asking.
//
//	Case (how to answer rightly) ─► Run ─► zero and wrong answers deny, and are results, not errors
//	                                   ├─► pending, foreign and other kinds' credentials count for nothing
//	                                   ├─► inputs stay as they were; the same input gives the same verdict
//	                                   └─► a proof says what it is, and when
package methodtest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
)

// Case says how one method is answered.
type Case struct {
	Method method.Method
	// Typed is what is typed before there is an offer (a phone number); zero for most.
	Typed method.Answer
	// Enrol answers an Offer rightly.
	Enrol func(t *testing.T, p method.Prompt, now time.Time) method.Answer
	// Right answers a Begin rightly, at now; the Dispatch of a method that sends stands in p.
	Right func(t *testing.T, p method.Prompt, now time.Time) method.Answer
	// Wrong are answers that are well formed and wrong, beside those that no method can take.
	Wrong func(t *testing.T, p method.Prompt, now time.Time) []method.Answer
}

// Ada is who enrols.
var Ada = method.Subject{ID: "01h00000000000000000000ada", Username: "ada", DisplayName: "Ada Example", Email: "ada@example.ac.uk"}

// Noon is when.
var Noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

// Enrolled makes a credential as a flow would.
func (c Case) Enrolled(t *testing.T, now time.Time) method.Credential {
	t.Helper()
	p, err := c.Method.Offer(method.OfferInput{Subject: Ada, Now: now, Answer: c.Typed})
	if err != nil {
		t.Fatalf("offer: %v", err)
	}
	cred, err := c.Method.Enrol(method.EnrolInput{Subject: Ada, State: p.State, Answer: c.Enrol(t, p, now), Name: "mine", Now: now})
	if err != nil {
		t.Fatalf("enrol: %v", err)
	}
	if cred.Kind != c.Method.Traits().Kind || cred.Pending || len(cred.State) == 0 {
		t.Fatalf("enrolled %+v", cred)
	}
	if cred.ID != "" || cred.Person != "" {
		t.Errorf("a method named the owner or the id: %+v", cred)
	}
	cred.ID, cred.Person, cred.Created = "cred-1", Ada.ID, now
	return cred
}

// Begun is a question to Ada, who owns creds.
func (c Case) Begun(t *testing.T, now time.Time, creds ...method.Credential) method.Prompt {
	t.Helper()
	if out, ok := c.Method.(method.Outbound); ok {
		d, err := out.Dispatch(method.DispatchInput{Subject: Ada, Credentials: creds, Now: now})
		if err != nil {
			t.Fatalf("dispatch: %v", err)
		}
		return method.Prompt{Public: d.Public, State: d.State, Send: d.Send}
	}
	p, err := c.Method.Begin(method.BeginInput{Subject: Ada, Credentials: creds, Now: now})
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	return p
}

// Run runs the suite.
func Run(t *testing.T, c Case) {
	t.Run("right answer proves", func(t *testing.T) { right(t, c) })
	t.Run("nothing denies", func(t *testing.T) { nothing(t, c) })
	t.Run("wrong answers are results", func(t *testing.T) { wrong(t, c) })
	t.Run("what counts for nothing", func(t *testing.T) { countsForNothing(t, c) })
	t.Run("pure", func(t *testing.T) { pure(t, c) })
	t.Run("concurrent", func(t *testing.T) { concurrent(t, c) })
	t.Run("enrolment refuses with what to do", func(t *testing.T) { enrolment(t, c) })
	t.Run("nobody known, nothing named", func(t *testing.T) { namesNothing(t, c) })
}

// ask is a fresh question and its right answer, later than enrolment, so that one-time codes are new.
func ask(t *testing.T, c Case, creds ...method.Credential) method.VerifyInput {
	t.Helper()
	now := Noon.Add(5 * time.Minute)
	p := c.Begun(t, now, creds...)
	return method.VerifyInput{Subject: Ada, Credentials: creds, State: p.State, Answer: c.Right(t, p, now), Now: now}
}

func right(t *testing.T, c Case) {
	in := ask(t, c, c.Enrolled(t, Noon))
	v, err := c.Method.Verify(in)
	if err != nil || !v.OK {
		t.Fatalf("%+v, %v", v, err)
	}
	e := v.Evidence
	traits := c.Method.Traits()
	if e.Kind != traits.Kind || e.Credential != "cred-1" || v.Used != "cred-1" || !e.At.Equal(in.Now) {
		t.Errorf("evidence %+v, used %q", e, v.Used)
	}
	if e.Factors == 0 || e.Factors&^traits.Factors != 0 || e.PhishingResistant && !traits.PhishingResistant {
		t.Errorf("evidence claims more than the method: %+v", e)
	}
	if v.Risk || v.Code != "" {
		t.Errorf("a plain success warns: %+v", v)
	}
	if u := v.Updated; u != nil && (u.ID != "cred-1" || u.Person != Ada.ID || u.Kind != traits.Kind || u.Name != "mine" || !u.Created.Equal(Noon)) {
		t.Errorf("the updated credential lost something: %+v", u)
	}
}

func nothing(t *testing.T, c Case) {
	if (method.Verdict{}).OK {
		t.Fatal("the zero verdict allows")
	}
	denied(t, c, "zero input", method.VerifyInput{})
	in := ask(t, c, c.Enrolled(t, Noon))
	for name, change := range map[string]func(*method.VerifyInput){
		"no credentials": func(in *method.VerifyInput) { in.Credentials = nil },
		"no answer":      func(in *method.VerifyInput) { in.Answer = method.Answer{} },
		"corrupt question": func(in *method.VerifyInput) {
			if in.State == nil {
				in.Answer = method.Answer{}
			}
			in.State = []byte("x")
		},
	} {
		changed := in
		change(&changed)
		denied(t, c, name, changed)
	}
}

var reasonForm = regexp.MustCompile(`^[a-z]+(\.[a-z_]+)+$`)

func denied(t *testing.T, c Case, name string, in method.VerifyInput) {
	t.Helper()
	v, err := c.Method.Verify(in)
	if err != nil {
		t.Errorf("%s: a wrong answer is an error: %v", name, err)
	}
	if v.OK || v.Evidence != (method.Evidence{}) {
		t.Errorf("%s: %+v", name, v)
	}
	if !reasonForm.MatchString(v.Reason) {
		t.Errorf("%s: reason %q", name, v.Reason)
	}
}

// hopeless are answers that no method can take.
func hopeless() []method.Answer {
	return []method.Answer{
		{Text: strings.Repeat("a", 1<<20)}, {Text: "\x00\xff\xfe"}, {Text: "000000"}, {Text: " "},
		{JSON: json.RawMessage(`null`)}, {JSON: json.RawMessage(`{}`)}, {JSON: json.RawMessage(`[`)},
		{JSON: json.RawMessage(`{"id":1,"rawId":{},"response":[]}`)},
		{JSON: json.RawMessage(strings.Repeat(`{"response":`, 20_000))},
	}
}

func wrong(t *testing.T, c Case) {
	in := ask(t, c, c.Enrolled(t, Noon))
	answers := append(hopeless(), c.Wrong(t, method.Prompt{State: in.State}, in.Now)...)
	for i, a := range answers {
		in.Answer = a
		denied(t, c, fmt.Sprintf("answer %d", i), in)
	}
}

func countsForNothing(t *testing.T, c Case) {
	in := ask(t, c, c.Enrolled(t, Noon))
	for name, change := range map[string]func(*method.Credential){
		"pending":      func(c *method.Credential) { c.Pending = true },
		"other kind":   func(c *method.Credential) { c.Kind = "other" },
		"someone else": func(c *method.Credential) { c.Person = "01h00000000000000000000eve" },
		"nobody's":     func(c *method.Credential) { c.Person = "" },
	} {
		changed := in
		changed.Credentials = slices.Clone(in.Credentials)
		change(&changed.Credentials[0])
		denied(t, c, name, changed)
	}
}

func pure(t *testing.T, c Case) {
	in := ask(t, c, c.Enrolled(t, Noon))
	before := clone(in)
	first, err := c.Method.Verify(in)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(in, before) {
		t.Error("Verify changed its input")
	}
	second, err := c.Method.Verify(in)
	if err != nil {
		t.Fatal(err)
	}
	if first.OK != second.OK || first.Reason != second.Reason || first.Evidence != second.Evidence || (first.Updated == nil) != (second.Updated == nil) {
		t.Errorf("the same input gave %+v and %+v", first, second)
	}
}

func clone(in method.VerifyInput) method.VerifyInput {
	in.State, in.Answer.JSON = slices.Clone(in.State), slices.Clone(in.Answer.JSON)
	in.Credentials = slices.Clone(in.Credentials)
	for i := range in.Credentials {
		in.Credentials[i].State, in.Credentials[i].Handle = slices.Clone(in.Credentials[i].State), slices.Clone(in.Credentials[i].Handle)
	}
	return in
}

func concurrent(t *testing.T, c Case) {
	in := ask(t, c, c.Enrolled(t, Noon))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if v, err := c.Method.Verify(in); err != nil || !v.OK {
				t.Errorf("%+v, %v", v, err)
			}
		})
	}
	all.Wait()
}

func enrolment(t *testing.T, c Case) {
	p, err := c.Method.Offer(method.OfferInput{Subject: Ada, Now: Noon, Answer: c.Typed})
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name string, in method.EnrolInput) {
		cred, err := c.Method.Enrol(in)
		f := fault.Of(err)
		if err == nil || f.Kind != fault.BadInput || f.Public == "" || !strings.HasPrefix(f.Code, string(c.Method.Traits().Kind)+".") {
			t.Errorf("%s: %v", name, err)
		}
		if len(cred.State) != 0 {
			t.Errorf("%s: refused and made a credential", name)
		}
	}
	for i, a := range append(hopeless(), method.Answer{}) {
		refused(fmt.Sprintf("answer %d", i), method.EnrolInput{Subject: Ada, State: p.State, Answer: a, Now: Noon})
	}
	if p.State != nil {
		answer := c.Enrol(t, p, Noon)
		refused("someone else's offer", method.EnrolInput{Subject: method.Subject{ID: "eve"}, State: p.State, Answer: answer, Now: Noon})
		refused("a day later", method.EnrolInput{Subject: Ada, State: p.State, Answer: answer, Now: Noon.Add(24 * time.Hour)})
		refused("no offer", method.EnrolInput{Subject: Ada, Answer: answer, Now: Noon})
	}
}

func namesNothing(t *testing.T, c Case) {
	cred := c.Enrolled(t, Noon)
	with, err := c.Method.Begin(method.BeginInput{Credentials: []method.Credential{cred}, Now: Noon})
	if err != nil {
		t.Fatal(err)
	}
	without, err := c.Method.Begin(method.BeginInput{Now: Noon})
	if err != nil {
		t.Fatal(err)
	}
	if len(with.Public) != len(without.Public) {
		t.Errorf("before anybody is known the question tells of credentials:\n%s\n%s", with.Public, without.Public)
	}
}
