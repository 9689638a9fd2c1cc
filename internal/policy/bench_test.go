package policy_test

import (
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

func BenchmarkDecide(b *testing.B) {
	p := with(mfa, remember, always, shift)
	p.Rules[2].Applications.Categories = []string{"clinical"}
	for name, in := range map[string]policy.Input{
		"allow": input(key), "ask": input(pw), "ask from many": many(),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				policy.Decide(p, in)
			}
		})
	}
}

// many owns as much as the limits allow, and is asked for a second proof.
func many() policy.Input {
	in := input(pw)
	for i := range 10 {
		for _, k := range []method.Kind{method.Passkey, method.TOTP} {
			c := credential(k)
			c.ID += string(rune('a' + i))
			in.Owned = append(in.Owned, c)
		}
	}
	return in
}

// TestManyCredentialsAreFewQuestions: how many ways are tried is bounded, whatever somebody owns and a rule wants.
func TestManyCredentialsAreFewQuestions(t *testing.T) {
	in := many()
	in.Evidence = nil
	for i := range 50 {
		e := prove(method.Passkey, now.Add(-time.Hour))
		e.Credential = "c-passkey" + string(rune('a'+i%10))
		in.Evidence = append(in.Evidence, e)
	}
	p := with(rule("four", policy.Grant{Strength: "four", Freshness: policy.Freshness{EveryTime: true}}))
	passkey := policy.ProofMatch{Kinds: []method.Kind{method.Passkey}}
	p.Strengths = map[policy.Strength][]policy.Combination{"four": {{passkey, passkey, passkey, passkey}}}
	tries := testing.AllocsPerRun(1, func() {
		if d := policy.Decide(p, in); show(d) != "ask passkey | four freshness.every_time" {
			t.Error(show(d))
		}
	})
	if tries > 200_000 {
		t.Errorf("%v allocations for one decision", tries)
	}
}
