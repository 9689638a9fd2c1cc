package signin_test

import (
	"context"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/signin/signintest"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

func TestRefusalSaysWhatWouldLiftIt(t *testing.T) {
	h := quick(t)
	h.Application("records", "Records", "clinical")
	h.Application("closed", "Closed", "clinical")
	p := policy.Default()
	p.Rules = append(p.Rules,
		policy.Rule{Name: "records", State: policy.RuleOn, Applications: policy.Match{Names: []string{"Records"}},
			Grant: policy.Grant{Strength: policy.StrengthPhishingResistant}},
		policy.Rule{Name: "closed", State: policy.RuleOn, Applications: policy.Match{Names: []string{"Closed"}}, Grant: policy.Grant{Block: true}})
	h.Policy(p)
	ada, ella := h.Person("ada", method.TOTP), h.Person("ella")
	for _, c := range []struct {
		person *signintest.Person
		app    string
		want   signin.Remedy
	}{
		{ada, "records", signin.Remedy{Kind: method.Passkey}},
		{ada, "closed", signin.Remedy{}},
		{ella, "records", signin.Remedy{Kind: method.Passkey, Invited: true}},
		{ella, "", signin.Remedy{Kind: method.Passkey, Invited: true}},
	} {
		s := h.Browser().SignIn(c.person, signin.Target{Application: c.app}, false)
		want(t, s, signin.StepRefused)
		if s.Remedy != c.want {
			t.Errorf("%s at %q: %+v, want %+v", c.person.Username, c.app, s.Remedy, c.want)
		}
	}
}

// full is a password method whose pool has no room left.
type full struct{ method.Method }

func (full) Verify(method.VerifyInput) (method.Verdict, error) {
	return method.Verdict{}, fault.New(fault.Busy, "password.busy", "Full.").After(time.Second)
}

// A full house uses up nobody's guesses: afterwards as many wrong ones are taken as without it.
func TestAnswerThatNobodyLookedAtIsNoGuess(t *testing.T) {
	h := quick(t)
	h.Person("ada", method.TOTP)
	d := h.Flow.Deps
	d.Methods = map[method.Kind]method.Method{method.Password: full{h.Methods[method.Password]}, method.TOTP: h.Methods[method.TOTP],
		method.Passkey: h.Methods[method.Passkey]}
	busy := signin.New(d)
	b := h.Browser()
	page := b.Identify(b.Open(signin.Target{}).Attempt, "ada")
	for range 3 * throttle.Default("password", throttle.Stranger).Burst {
		ctx, cancel := context.WithCancel(context.Background())
		_, err := busy.Answer(ctx, b.Caller, page.Attempt, method.Password, method.Answer{Text: signintest.Password}, false)
		cancel()
		if !fault.IsKind(err, fault.Busy) {
			t.Fatal(err)
		}
	}
	if s := b.Type(page.Attempt, signintest.Password); !s.Known || s.Method != method.TOTP {
		t.Fatalf("after a full house: %+v", s)
	}
}
