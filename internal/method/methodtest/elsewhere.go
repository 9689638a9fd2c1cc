package methodtest

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// Elsewhere says how a method whose answer is given outside of the browser that asks is held to what the flows rely on.
type Elsewhere struct {
	Method method.Method
	// Credential makes one of Ada's, by its ID.
	Credential func(t *testing.T, id string) method.Credential
}

// RunElsewhere runs the suite for methods with Traits.Outbound and Traits.Elsewhere.
func RunElsewhere(t *testing.T, c Elsewhere) {
	traits := c.Method.Traits()
	if !traits.Outbound || !traits.Elsewhere {
		t.Fatalf("traits %+v", traits)
	}
	if traits.First || traits.Guessable || traits.SlowVerify {
		t.Error("nothing is typed into the browser that asks, before any proof or after")
	}
	t.Run("what is typed proves nothing", func(t *testing.T) { typedProvesNothing(t, c) })
	t.Run("dispatch", func(t *testing.T) { dispatches(t, c) })
	t.Run("pending, foreign and other kinds' are not sent to", func(t *testing.T) { sendsToNobodyElse(t, c) })
	t.Run("enrolment refuses with what to do", func(t *testing.T) { enrolment(t, Case{Method: c.Method}) })
}

func typedProvesNothing(t *testing.T, c Elsewhere) {
	as := Case{Method: c.Method}
	cred := c.Credential(t, "cred-1")
	d, err := outbound(t, c).Dispatch(method.DispatchInput{Subject: Ada, Credentials: []method.Credential{cred}, Digits: 2, Now: Noon})
	if err != nil {
		t.Fatal(err)
	}
	denied(t, as, "zero input", method.VerifyInput{})
	for i, a := range append(hopeless(), method.Answer{Text: d.Number}, method.Answer{JSON: d.Public}, method.Answer{}) {
		denied(t, as, fmt.Sprintf("answer %d", i), method.VerifyInput{Subject: Ada, Credentials: []method.Credential{cred}, State: d.State, Answer: a, Now: Noon})
	}
	p, err := c.Method.Begin(method.BeginInput{Subject: Ada, Credentials: []method.Credential{cred}, Now: Noon})
	if err != nil || len(p.Public) != 0 || len(p.State) != 0 || len(p.Send) != 0 {
		t.Errorf("showing a page prepares nothing and sends nothing: %+v %v", p, err)
	}
}

func outbound(t *testing.T, c Elsewhere) method.Outbound {
	t.Helper()
	o, ok := c.Method.(method.Outbound)
	if !ok {
		t.Fatal("outbound by its traits, and cannot be sent")
	}
	return o
}

func dispatches(t *testing.T, c Elsewhere) {
	one, two := c.Credential(t, "cred-1"), c.Credential(t, "cred-2")
	in := method.DispatchInput{Subject: Ada, Credentials: []method.Credential{one, two}, Digits: 2, Now: Noon}
	before := slices.Clone(in.Credentials)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			d, err := outbound(t, c).Dispatch(in)
			if err != nil || d.Via == "" || len(d.Send) != 2 || d.Send[0].Credential != "cred-1" || d.Send[1].Credential != "cred-2" {
				t.Errorf("%+v %v", d, err)
			}
			for _, s := range d.Send {
				if s.Code != "" || s.Channel == "" {
					t.Errorf("what is sent holds a code, or goes nowhere: %+v", s)
				}
			}
		})
	}
	all.Wait()
	if in.Credentials[0].ID != before[0].ID || in.Credentials[1].Version != before[1].Version {
		t.Error("Dispatch changed its input")
	}
	in.Credential = "cred-2"
	if d, err := outbound(t, c).Dispatch(in); err != nil || len(d.Send) != 1 || d.Send[0].Credential != "cred-2" {
		t.Errorf("one was named: %+v %v", d, err)
	}
}

func sendsToNobodyElse(t *testing.T, c Elsewhere) {
	for name, change := range map[string]func(*method.Credential){
		"pending":      func(c *method.Credential) { c.Pending = true },
		"other kind":   func(c *method.Credential) { c.Kind = "other" },
		"someone else": func(c *method.Credential) { c.Person = "01h00000000000000000000eve" },
		"nobody's":     func(c *method.Credential) { c.Person = "" },
	} {
		cred := c.Credential(t, "cred-1")
		change(&cred)
		d, err := outbound(t, c).Dispatch(method.DispatchInput{Subject: Ada, Credentials: []method.Credential{cred}, Digits: 2, Now: Noon})
		if err == nil || len(d.Send) != 0 {
			t.Errorf("%s: %+v %v", name, d, err)
		}
	}
}
