package help

import (
	"cmp"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

// need is the least that lets in.
type need uint8

const (
	needAny      need = iota // any one proof
	needTwo                  // a password and a second proof, or a passkey
	needPasskey              // a passkey
	needHardware             // a key that was attested and never leaves its device
	needSpecial              // proofs that only this policy describes
)

var needKeys = map[need]string{needAny: "help.need.any", needTwo: "help.need.two", needPasskey: "help.need.passkey",
	needHardware: "help.need.hardware", needSpecial: "help.need.special"}

// standing is what an application asks of a person.
type standing struct {
	need      need
	everyTime bool
	maxAge    time.Duration // 0: none
	remember  time.Duration // 0: never; for how long the second proof is really skipped
}

func (s standing) compare(o standing) int {
	return cmp.Or(order(s.everyTime, o.everyTime), cmp.Compare(s.need, o.need), order(s.maxAge > 0, o.maxAge > 0),
		cmp.Compare(o.maxAge, s.maxAge), cmp.Compare(o.remember, s.remember))
}

func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// at is when the made-up proofs are judged, and longAgo when the old ones were given. Any two moments will do that lie
// further apart than every age a rule can name.
var (
	at      = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
	longAgo = time.Date(1970, 1, 1, 0, 0, 1, 0, time.UTC)
)

// standing asks policy; open is false where the application is blocked.
func (v view) standing(app policy.Application) (s standing, open bool) {
	everything := append(v.proofs(longAgo, true, v.kinds...), madeUp("attested", longAgo, keyTraits, true))
	for _, r := range v.decide(app, everything).Reasons {
		switch r.Code {
		case "blocked", "account":
			return s, false
		case "freshness.every_time":
			s.everyTime = true
		case "freshness.max_age":
			if n, ok := r.Params["minutes"].(int); ok {
				if age := time.Duration(n) * time.Minute; s.maxAge == 0 || age < s.maxAge {
					s.maxAge = age
				}
			}
		}
	}
	s.need = v.need(app)
	s.remember = v.remembered(app)
	if s.maxAge > 0 {
		s.remember = min(s.remember, s.maxAge)
	}
	return s, true
}

// rules marks those that speak of an application for this person.
func (v view) rules(app policy.Application) string {
	trace := policy.Explain(v.Policy, policy.Input{Person: v.Person, Application: app, Act: policy.ActSignIn})
	marks := make([]byte, len(trace))
	for i, t := range trace {
		marks[i] = '-'
		if t.Applies {
			marks[i] = '+'
		}
	}
	return string(marks)
}

// need tries proofs, the least first.
func (v view) need(app policy.Application) need {
	noPasskey := slices.DeleteFunc(slices.Clone(v.kinds), func(k method.Kind) bool { return v.Traits[k].PhishingResistant })
	for _, try := range []struct {
		need   need
		proofs []method.Evidence
	}{
		{needAny, v.proofs(at, false, method.Password)},
		{needTwo, v.proofs(at, false, noPasskey...)},
		{needPasskey, []method.Evidence{madeUp("passkey", at, keyTraits, false)}},
		{needHardware, []method.Evidence{madeUp("key", at, keyTraits, true)}},
	} {
		if v.decide(app, try.proofs).Verdict == policy.Allow {
			return try.need
		}
	}
	return needSpecial
}

// remembered is what policy offers after a password and a second proof; 0: nothing.
func (v view) remembered(app policy.Application) time.Duration {
	return v.decide(app, v.proofs(at, false, v.kinds...)).RememberFor
}

// worth is what one proof of a kind does for signing in to this service, as a key of the catalogue.
func (v view) worth(k method.Kind) string {
	enough := func(best bool, kinds ...method.Kind) bool {
		return v.decide(policy.Application{}, v.proofs(at, best, kinds...)).Verdict == policy.Allow
	}
	switch {
	case enough(false, k):
		return "help.ways.alone"
	case enough(true, k):
		return "help.ways.attested"
	}
	for _, other := range v.kinds {
		if !enough(false, other) && enough(false, k, other) {
			return "help.ways.together"
		}
	}
	return "help.ways.too_weak"
}

func (v view) decide(app policy.Application, evidence []method.Evidence) policy.Decision {
	return policy.Decide(v.Policy, policy.Input{Person: v.Person, Application: app, Act: policy.ActSignIn, Evidence: evidence,
		Traits: v.Traits, Now: at})
}

// keyTraits are those of any passkey, also where the house offers none.
var keyTraits = method.Traits{Kind: method.Passkey, Factors: method.Possession | method.Inherence, PhishingResistant: true}

// proofs makes up one of each kind that is offered, all given at t.
func (v view) proofs(t time.Time, best bool, kinds ...method.Kind) []method.Evidence {
	var out []method.Evidence
	for _, k := range kinds {
		if traits, ok := v.Traits[k]; ok {
			out = append(out, madeUp(string(k), t, traits, best))
		}
	}
	return out
}

// madeUp is what a usual proof of a kind shows of itself; best: also what only an attestation can show.
func madeUp(credential string, t time.Time, traits method.Traits, best bool) method.Evidence {
	return method.Evidence{Kind: traits.Kind, Credential: credential, Factors: traits.Factors, PhishingResistant: traits.PhishingResistant,
		UserVerified: traits.PhishingResistant, DeviceBound: best && traits.PhishingResistant,
		Attested: best && traits.PhishingResistant, Long: true, At: t}
}
