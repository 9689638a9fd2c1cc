package recovery_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/methodtest"
	"github.com/gatehouse-id/gatehouse/internal/method/recovery"
)

func codes(t *testing.T, p method.Prompt) []string {
	t.Helper()
	var o recovery.Offered
	if err := json.Unmarshal(p.Public, &o); err != nil {
		t.Fatal(err)
	}
	return o.Codes
}

func TestSuite(t *testing.T) {
	var paper []string
	methodtest.Run(t, methodtest.Case{
		Method: recovery.Method{},
		Enrol: func(t *testing.T, p method.Prompt, _ time.Time) method.Answer {
			paper = codes(t, p)
			return method.Answer{Text: recovery.Saved}
		},
		Right: func(*testing.T, method.Prompt, time.Time) method.Answer { return method.Answer{Text: paper[3]} },
		Wrong: func(*testing.T, method.Prompt, time.Time) []method.Answer {
			return []method.Answer{{Text: recovery.Saved}, {Text: paper[3] + "a"}, {Text: paper[3][1:]}, {Text: strings.Repeat("a", recovery.Chars)}}
		},
	})
}

// set enrols one and gives its codes.
func set(t *testing.T) (method.Credential, []string) {
	t.Helper()
	m := recovery.Method{}
	p, err := m.Offer(method.OfferInput{Subject: methodtest.Ada, Now: methodtest.Noon})
	if err != nil {
		t.Fatal(err)
	}
	c, err := m.Enrol(method.EnrolInput{Subject: methodtest.Ada, State: p.State, Answer: method.Answer{Text: recovery.Saved}, Now: methodtest.Noon})
	if err != nil {
		t.Fatal(err)
	}
	c.ID, c.Person = "set", methodtest.Ada.ID
	return c, codes(t, p)
}

func TestEachCodeOnceAndHowManyAreLeft(t *testing.T) {
	m := recovery.Method{}
	c, paper := set(t)
	seen := map[string]bool{}
	for i, code := range paper {
		if seen[code] || len(strings.ReplaceAll(code, "-", ""))*5 < 64 {
			t.Errorf("code %d is short or there twice", i)
		}
		seen[code] = true
		if strings.Contains(string(c.State), strings.ReplaceAll(code, "-", "")) {
			t.Error("a code is kept in clear")
		}
		in := method.VerifyInput{Subject: methodtest.Ada, Credentials: []method.Credential{c}, Answer: method.Answer{Text: code}, Now: methodtest.Noon}
		v, err := m.Verify(in)
		if err != nil || !v.OK || v.Updated == nil || v.Notice != "recovery.used" || m.Left(*v.Updated) != len(paper)-i-1 {
			t.Fatalf("code %d: %+v %v", i, v, err)
		}
		in.Credentials = []method.Credential{*v.Updated}
		if v, err := m.Verify(in); err != nil || v.OK || v.Reason != "recovery.wrong" {
			t.Fatalf("code %d again: %+v %v", i, v, err)
		}
		c = *v.Updated
	}
	if v, _ := m.Verify(method.VerifyInput{Credentials: []method.Credential{c}, Answer: method.Answer{Text: ""}, Now: methodtest.Noon}); v.OK {
		t.Error("an empty set lets an empty answer in")
	}
}

func TestTypedForgivingly(t *testing.T) {
	m := recovery.Method{}
	c, paper := set(t)
	i := slices.IndexFunc(paper, func(s string) bool { return strings.Contains(s, "0") })
	code := paper[max(i, 0)]
	for _, typed := range []string{strings.ToUpper(code), strings.ReplaceAll(code, "-", ""), strings.ReplaceAll(code, "-", " "), " " + code + "\n",
		strings.ReplaceAll(code, "-", "\u2011"), strings.ReplaceAll(code, "0", "O"), strings.ReplaceAll(code, "0", "o")} {
		if v, err := m.Verify(method.VerifyInput{Credentials: []method.Credential{c}, Answer: method.Answer{Text: typed}, Now: methodtest.Noon}); err != nil || !v.OK {
			t.Errorf("%q: %+v %v", typed, v, err)
		}
	}
}

func TestASetThatWasNotConfirmedIsShownAgain(t *testing.T) {
	m := recovery.Method{}
	in := method.OfferInput{Subject: methodtest.Ada, Now: methodtest.Noon}
	first, err := m.Offer(in)
	if err != nil {
		t.Fatal(err)
	}
	in.Again, in.Now = first.State, methodtest.Noon.Add(recovery.OfferFor-time.Second)
	again, err := m.Offer(in)
	if err != nil || !slices.Equal(codes(t, again), codes(t, first)) {
		t.Error("what may be on paper already changed", err)
	}
	for what, change := range map[string]func(*method.OfferInput){
		"too late": func(in *method.OfferInput) { in.Now = methodtest.Noon.Add(recovery.OfferFor) },
		"somebody": func(in *method.OfferInput) { in.Subject.ID = "eve" },
		"damaged":  func(in *method.OfferInput) { in.Again = []byte(`{"c":["a"]}`) },
	} {
		changed := in
		change(&changed)
		other, err := m.Offer(changed)
		if err != nil || slices.Equal(codes(t, other), codes(t, first)) || len(codes(t, other)) != recovery.Codes {
			t.Errorf("%s: %v", what, err)
		}
	}
	// One of the codes confirms as well as the word does.
	if _, err := m.Enrol(method.EnrolInput{Subject: methodtest.Ada, State: first.State, Answer: method.Answer{Text: strings.ToUpper(codes(t, first)[9])}, Now: methodtest.Noon}); err != nil {
		t.Error(err)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("abcde-fghjk-mnpq")
	f.Add("")
	f.Add("saved")
	m := recovery.Method{}
	p, err := m.Offer(method.OfferInput{Subject: methodtest.Ada, Now: methodtest.Noon})
	if err != nil {
		f.Fatal(err)
	}
	c, err := m.Enrol(method.EnrolInput{Subject: methodtest.Ada, State: p.State, Answer: method.Answer{Text: recovery.Saved}, Now: methodtest.Noon})
	if err != nil {
		f.Fatal(err)
	}
	c.ID, c.Person = "set", methodtest.Ada.ID
	f.Fuzz(func(t *testing.T, text string) {
		v, err := m.Verify(method.VerifyInput{Credentials: []method.Credential{c}, Answer: method.Answer{Text: text}, Now: methodtest.Noon})
		if err != nil || v.OK {
			t.Fatalf("%q: %+v %v", text, v, err)
		}
	})
}
