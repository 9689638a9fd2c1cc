package policy_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

// reference decides again in another way: by what kinds of fresh proof there are, with no subsets and no search. It
// knows one credential a kind, the built-in strengths, and an app that may be on hold.
func reference(p policy.Policy, in policy.Input) policy.Verdict {
	for _, c := range in.Owned {
		if len(p.FirstEnrolment.HoldCategories) > 0 && c.HeldUntil.After(in.Now) {
			in.Remembered = nil
			in.Evidence = slices.DeleteFunc(slices.Clone(in.Evidence), func(e method.Evidence) bool { return e.Kind == c.Kind })
			in.Owned = slices.DeleteFunc(slices.Clone(in.Owned), func(o method.Credential) bool { return o.ID == c.ID })
			return reference(p, in)
		}
	}
	need, age, window, set, always := map[policy.Strength]bool{}, 100*365*24*time.Hour, time.Duration(0), false, false
	for _, r := range p.Rules {
		inside := len(r.People.Groups) == 0 || slices.Contains(in.Person.Groups, r.People.Groups[0])
		if r.State != policy.RuleOn || !inside || len(r.People.ExceptGroups) > 0 && slices.Contains(in.Person.Groups, r.People.ExceptGroups[0]) {
			continue
		}
		if r.Grant.Block {
			return policy.Deny
		}
		need[r.Grant.Strength] = true
		if r.Grant.Freshness.EveryTime {
			always, age = true, min(age, 5*time.Minute)
		}
		if r.Grant.Freshness.MaxAge > 0 {
			age = min(age, r.Grant.Freshness.MaxAge)
		}
		if r.Grant.RememberSet && (!set || r.Grant.Remember < window) {
			set, window = true, r.Grant.Remember
		}
	}
	delete(need, "")
	if len(need) == 0 {
		need[policy.StrengthMFA] = true
	}
	if in.Person.NewPassword {
		need[policy.StrengthMFA], set, window = true, true, 0
	}
	holds := func(f map[string]bool) bool {
		thing := f["touch"] || f["otp"] || f["phone"]
		two := f["key"] || f["unlocked"] && thing
		hold := map[policy.Strength]bool{
			policy.StrengthAny: f["key"] || f["app"] || f["unlocked"] || thing || f["long"], policy.StrengthPasswordless: two,
			policy.StrengthPhishingResistant: f["key"],
			policy.StrengthMFA:               two || (f["long"] || f["short"]) && (thing || f["app"] || f["unlocked"]),
		}
		for s := range need {
			if !hold[s] {
				return false
			}
		}
		return hold[policy.StrengthAny]
	}
	what := func(e method.Evidence) string {
		switch {
		case e.Kind == method.Passkey && e.UserVerified:
			return "key"
		case e.Kind == method.Passkey:
			return "touch"
		case e.Kind == method.TOTP:
			return "otp"
		case e.Kind == method.App && e.UserVerified:
			return "unlocked"
		case e.Kind == method.App || e.Kind == method.Phone:
			return string(e.Kind)
		case e.Long:
			return "long"
		}
		return "short"
	}
	have, latest := map[string]bool{}, map[method.Kind]method.Evidence{}
	for _, e := range in.Evidence {
		have[what(e)] = have[what(e)] || in.Now.Sub(e.At) <= age
		if e.At.After(latest[e.Kind].At) {
			latest[e.Kind] = e
		}
	}
	if holds(have) {
		return policy.Allow
	}
	strong := need[policy.StrengthPasswordless] || need[policy.StrengthPhishingResistant]
	if r := in.Remembered; r != nil && have["long"] && !strong && !always && in.Now.Sub(r.ProvenAt) < window && in.Now.Sub(r.ProvenAt) <= age {
		return policy.Allow
	}
	could, first := have, len(in.Evidence) > 0
	for _, c := range in.Owned {
		best := map[method.Kind]string{method.Passkey: "key", method.TOTP: "otp", method.App: "app", method.Phone: "phone", method.Password: "long"}[c.Kind]
		if e, shown := latest[c.Kind]; shown {
			best = what(e)
		}
		could[best] = could[best] || !c.Pending
		first = first || !c.Pending && in.Traits[c.Kind].First
	}
	if first && holds(could) {
		return policy.Ask
	}
	return policy.Deny
}

var allKinds = []method.Kind{method.Password, method.TOTP, method.App, method.Phone, method.Passkey}

func drawEvidence(t *rapid.T, label string) method.Evidence {
	k := rapid.SampledFrom(allKinds).Draw(t, label+" kind")
	at := now.Add(-rapid.SampledFrom([]time.Duration{0, time.Minute, 5 * time.Minute, 6 * time.Minute, time.Hour, 9 * time.Hour, 40 * 24 * time.Hour}).Draw(t, label+" age"))
	e := prove(k, at)
	e.Long = k == method.Password && rapid.Bool().Draw(t, label+" long")
	if k == method.Passkey && rapid.Bool().Draw(t, label+" touch only") {
		e.UserVerified, e.Factors = false, method.Possession
	}
	if k == method.App && rapid.Bool().Draw(t, label+" unlocked") {
		e.UserVerified, e.Factors = true, method.Possession|method.Inherence
	}
	return e
}

func drawRule(t *rapid.T, i int) policy.Rule {
	r := policy.Rule{
		Name:  string(rune('a' + i)),
		State: rapid.SampledFrom([]policy.RuleState{policy.RuleOn, policy.RuleOn, policy.RuleOn, policy.RuleOff, policy.RuleReportOnly}).Draw(t, "state"),
	}
	if g := rapid.SampledFrom([]string{"", "", "g1", "g2"}).Draw(t, "group"); g != "" {
		r.People.Groups = []string{g}
	}
	if g := rapid.SampledFrom([]string{"", "", "g1", "g2"}).Draw(t, "except"); g != "" {
		r.People.ExceptGroups = []string{g}
	}
	r.Grant.Block = rapid.IntRange(0, 19).Draw(t, "block") == 0
	r.Grant.Strength = rapid.SampledFrom([]policy.Strength{"", policy.StrengthAny, policy.StrengthMFA, policy.StrengthMFA, policy.StrengthPasswordless, policy.StrengthPhishingResistant}).Draw(t, "strength")
	r.Grant.Freshness.EveryTime = rapid.IntRange(0, 4).Draw(t, "every time") == 0
	r.Grant.Freshness.MaxAge = rapid.SampledFrom([]time.Duration{0, 0, 8 * time.Hour, 30 * 24 * time.Hour}).Draw(t, "max age")
	if rapid.Bool().Draw(t, "remember set") {
		r.Grant.RememberSet, r.Grant.Remember = true, rapid.SampledFrom([]time.Duration{0, 12 * time.Hour, 30 * 24 * time.Hour}).Draw(t, "remember")
	}
	return r
}

func drawCase(t *rapid.T) (policy.Policy, policy.Input) {
	p := policy.Policy{ACR: policy.BuiltinACR()}
	for i := range rapid.IntRange(0, 4).Draw(t, "rules") {
		p.Rules = append(p.Rules, drawRule(t, i))
	}
	if rapid.IntRange(0, 3).Draw(t, "hold") == 0 {
		p.FirstEnrolment.HoldCategories = []string{"Teaching and Learning"}
	}
	in := input()
	in.Person.NewPassword = rapid.IntRange(0, 4).Draw(t, "reported") == 0
	in.Person.Groups = rapid.SampledFrom([][]string{nil, {"g1"}, {"g2"}, {"g1", "g2"}}).Draw(t, "groups")
	in.Owned = nil
	for _, k := range allKinds {
		switch rapid.IntRange(0, 4).Draw(t, "owns "+string(k)) {
		case 0, 1, 2:
			c := credential(k)
			if k == method.App && rapid.Bool().Draw(t, "held") {
				c.HeldUntil = now.Add(day)
			}
			in.Owned = append(in.Owned, c)
		case 3:
			c := credential(k)
			c.Pending = true
			in.Owned = append(in.Owned, c)
		}
	}
	for range rapid.IntRange(0, 4).Draw(t, "proofs") {
		in.Evidence = append(in.Evidence, drawEvidence(t, "proof"))
	}
	if rapid.Bool().Draw(t, "remembered") {
		at := now.Add(-rapid.SampledFrom([]time.Duration{time.Hour, 10 * time.Hour, 20 * 24 * time.Hour, 31 * 24 * time.Hour}).Draw(t, "proven"))
		in.Remembered = &policy.Remembered{Since: at, ProvenAt: at}
	}
	return p, in
}

// TestG18_DecisionsEqualTheReference holds Decide to the reference over credential sets, policies, evidence and
// remembered browsers; also after the policy was saved and loaded.
func TestG18_DecisionsEqualTheReference(t *testing.T) {
	seen := map[policy.Verdict]int{}
	rapid.Check(t, func(t *rapid.T) {
		p, in := drawCase(t)
		want := reference(p, in)
		got := policy.Decide(p, in)
		if got.Verdict != want {
			t.Fatalf("verdict %d, reference %d: %+v", got.Verdict, want, got)
		}
		var loaded policy.Policy
		saved, err := json.Marshal(p)
		if err != nil || json.Unmarshal(saved, &loaded) != nil {
			t.Fatalf("the policy does not survive saving: %v", err)
		}
		if again := policy.Decide(loaded, in); !reflect.DeepEqual(got, again) {
			t.Fatalf("decided otherwise after a reload:\n%+v\n%+v", got, again)
		}
		seen[want]++
	})
	for _, v := range []policy.Verdict{policy.Allow, policy.Ask, policy.Deny} {
		if seen[v] == 0 {
			t.Errorf("no case reached verdict %d: the property says nothing about it", v)
		}
	}
}

func TestDecideIsPure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, in := drawCase(t)
		p2, in2 := clone(t, p), in
		in2.Evidence = slices.Clone(in.Evidence)
		in2.Owned = slices.Clone(in.Owned)
		first := policy.Decide(p, in)
		if !reflect.DeepEqual(first, policy.Decide(p, in)) {
			t.Fatal("the same input is decided in two ways")
		}
		if !reflect.DeepEqual(p, p2) || !reflect.DeepEqual(in, in2) {
			t.Fatal("Decide changed its input")
		}
		if first.Verdict != policy.Allow && len(first.Reasons) == 0 {
			t.Fatalf("no reason: %+v", first)
		}
		if len(first.Ask) > 1 && first.Ask[0].Fallback() && !first.Ask[len(first.Ask)-1].Fallback() {
			t.Fatalf("a fallback leads: %v", first.Ask)
		}
		if (first.Verdict == policy.Ask) != (len(first.Ask) > 0) {
			t.Fatalf("verdict and kinds disagree: %+v", first)
		}
	})
}

func clone(t *rapid.T, p policy.Policy) policy.Policy {
	p.Rules = slices.Clone(p.Rules)
	return p
}

// TestMoreProofNeverTakesAway: adding a proof never turns Allow into anything else.
func TestMoreProofNeverTakesAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, in := drawCase(t)
		if policy.Decide(p, in).Verdict != policy.Allow {
			return
		}
		in.Evidence = append(in.Evidence, drawEvidence(t, "more"))
		if d := policy.Decide(p, in); d.Verdict != policy.Allow {
			t.Fatalf("a further proof took the right away: %+v", d)
		}
	})
}

// TestMoreRulesNeverGive: adding a rule that is on never turns a refusal or an ask into Allow, unless it is the first
// to name a strength (then it takes the place of the default rule).
func TestMoreRulesNeverGive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, in := drawCase(t)
		p.Rules = append(p.Rules, policy.Rule{Name: "base", State: policy.RuleOn, Grant: policy.Grant{Strength: policy.StrengthAny, RememberSet: true, Remember: 30 * 24 * time.Hour}})
		before := policy.Decide(p, in).Verdict
		p.Rules = append(p.Rules, drawRule(t, 20))
		if after := policy.Decide(p, in).Verdict; after > before {
			t.Fatalf("a further rule gave %d where it was %d", after, before)
		}
	})
}

// TestAskingLeadsToAllow: whoever gives what is asked first, again and again, is let in within four proofs.
func TestAskingLeadsToAllow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, in := drawCase(t)
		for range 4 {
			d := policy.Decide(p, in)
			if d.Verdict != policy.Ask {
				return
			}
			k := rapid.SampledFrom(d.Ask).Draw(t, "answered with")
			e := prove(k, now)
			e.Long = k == method.Password
			for _, old := range in.Evidence { // what a credential is, it stays
				if old.Kind == k {
					e.Long, e.UserVerified, e.Factors = old.Long, old.UserVerified, old.Factors
				}
			}
			in.Evidence = append(in.Evidence, e)
		}
		if d := policy.Decide(p, in); d.Verdict == policy.Ask {
			t.Fatalf("asked in a circle: %+v", d)
		}
	})
}
