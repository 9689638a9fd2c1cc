package help_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/help"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

const day = 24 * time.Hour

var traits = map[method.Kind]method.Traits{
	method.Password: {Kind: method.Password, Factors: method.Knowledge, Guessable: true, First: true, Limit: 1, Strength: 10},
	method.TOTP:     {Kind: method.TOTP, Factors: method.Possession, Guessable: true, Limit: 5, Strength: 20},
	method.Passkey: {Kind: method.Passkey, Factors: method.Possession | method.Inherence, PhishingResistant: true, First: true,
		Limit: 10, Strength: 30},
}

var (
	library  = policy.Application{ID: "1", Name: "Library", Category: "teaching"}
	patients = policy.Application{ID: "2", Name: "Patient records", Category: "clinical"}
	expenses = policy.Application{ID: "3", Name: "Expenses", Category: "finance"}
)

func input(rules ...policy.Rule) help.Input {
	p := policy.Default()
	for _, r := range rules {
		r.State = policy.RuleOn
		p.Rules = append(p.Rules, r)
	}
	return help.Input{Policy: p, Traits: traits, BrowserCookie: 400 * day, Applications: []policy.Application{library, patients, expenses}}
}

func in(category string) policy.Match { return policy.Match{Categories: []string{category}} }

// find gives the point of an answer with a key, nil where it is not said.
func find(answers []help.Answer, anchor, key string) *help.Point {
	for _, a := range answers {
		if a.Anchor != anchor {
			continue
		}
		if i := slices.IndexFunc(a.Points, func(p help.Point) bool { return p.Key == key }); i >= 0 {
			return &a.Points[i]
		}
	}
	return nil
}

func said(t *testing.T, answers []help.Answer, anchor, key string, params map[string]any, names ...string) {
	t.Helper()
	p := find(answers, anchor, key)
	switch {
	case p == nil:
		t.Errorf("%s: %s is not said", anchor, key)
	case !slices.Equal(p.Names, names) || params != nil && !reflect.DeepEqual(p.Params, params):
		t.Errorf("%s: %s says %v of %q, want %v of %q", anchor, key, p.Params, p.Names, params, names)
	}
}

func unsaid(t *testing.T, answers []help.Answer, anchor, key string) {
	t.Helper()
	if p := find(answers, anchor, key); p != nil {
		t.Errorf("%s says %s of %q", anchor, key, p.Names)
	}
}

func age(d time.Duration) map[string]any { return map[string]any{"Age": d} }

func TestHowOften(t *testing.T) {
	got := help.For(input(
		policy.Rule{Name: "clinical", Applications: in("clinical"), Grant: policy.Grant{Strength: policy.StrengthPhishingResistant,
			Freshness: policy.Freshness{EveryTime: true}}},
		policy.Rule{Name: "finance", Applications: in("finance"), Grant: policy.Grant{Freshness: policy.Freshness{MaxAge: 8 * time.Hour}}}))
	said(t, got, "often", "help.often.remember", age(30*day), "Library")
	said(t, got, "often", "help.often.max_age", age(8*time.Hour), "Expenses")
	said(t, got, "often", "help.often.every_time", nil, "Patient records")
	said(t, got, "needs-passkey", "help.needs-passkey.these", nil, "Patient records")
	said(t, got, "refresh", "help.refresh.every_time", nil, "Patient records")
	said(t, got, "remember", "help.remember.except", nil, "Patient records")
	unsaid(t, got, "often", "help.often.signin")
}

// TestThePolicyChangesTheAnswer in each of its parts.
func TestThePolicyChangesTheAnswer(t *testing.T) {
	before := help.For(input())
	said(t, before, "often", "help.often.remember", age(30*day), "Expenses", "Library", "Patient records")
	said(t, before, "length", "help.length.least", map[string]any{"Least": 15})
	said(t, before, "session", "help.session.max", age(day))
	said(t, before, "needs-passkey", "help.needs-passkey.none", nil)
	said(t, before, "privacy", "help.privacy.remembered", age(30*day))

	week := help.For(input(policy.Rule{Name: "a week", Grant: policy.Grant{RememberSet: true, Remember: 7 * day}}))
	said(t, week, "often", "help.often.remember", age(7*day), "Expenses", "Library", "Patient records")
	said(t, week, "lost", "help.lost.remembered", age(7*day))

	never := input(policy.Rule{Name: "never", Grant: policy.Grant{RememberSet: true}})
	never.Policy.SessionMax, never.Policy.SessionIdle = 4*time.Hour, 5*time.Hour
	got := help.For(never)
	said(t, got, "remember", "help.remember.never", nil)
	said(t, got, "length", "help.length.least", map[string]any{"Least": 8})
	said(t, got, "session", "help.session.max", age(4*time.Hour))
	unsaid(t, got, "session", "help.session.idle")
	unsaid(t, got, "privacy", "help.privacy.remembered")
	unsaid(t, got, "forgot", "help.forgot.remembered")

	off := input()
	off.Policy.Rules = append(off.Policy.Rules, policy.Rule{Name: "trial", State: policy.RuleReportOnly, Grant: policy.Grant{Block: true}})
	if got := help.For(off); !reflect.DeepEqual(got, before) {
		t.Error("a rule that only reports changes an answer")
	}
}

// TestWhoReads: the answers are for one person's groups, and a blocked application is not spoken of.
func TestWhoReads(t *testing.T) {
	i := input(
		policy.Rule{Name: "administrators", People: policy.Match{Groups: []string{"it"}}, Grant: policy.Grant{Strength: policy.StrengthHardware}},
		policy.Rule{Name: "closed", People: policy.Match{ExceptGroups: []string{"it"}}, Applications: in("clinical"), Grant: policy.Grant{Block: true}})
	stranger := help.For(i)
	said(t, stranger, "often", "help.often.remember", age(30*day), "Expenses", "Library")
	said(t, stranger, "needs-passkey", "help.needs-passkey.none", nil)
	if p := find(stranger, "ways", "help.ways.alone"); p == nil || p.Kind != method.Passkey {
		t.Errorf("a passkey is not enough: %+v", p)
	}

	i.Person = policy.Person{ID: "x", Username: "dev", Groups: []string{"IT"}, Active: true}
	mine := help.For(i)
	said(t, mine, "needs-passkey", "help.needs-passkey.all", nil)
	said(t, mine, "needs-passkey", "help.needs-passkey.hardware", nil, "Expenses", "Library", "Patient records")
	said(t, mine, "remember", "help.remember.never", nil)
	if p := find(mine, "ways", "help.ways.attested"); p == nil || p.Kind != method.Passkey {
		t.Errorf("an attested passkey is not said to be enough: %+v", p)
	}
	if p := find(mine, "ways", "help.ways.too_weak"); p == nil || p.Kind != method.TOTP {
		t.Errorf("passcodes are not said to be too weak: %+v", p)
	}
}

// TestWhatIsOffered: what the house does not have is not spoken of.
func TestWhatIsOffered(t *testing.T) {
	i := input()
	i.Traits = map[method.Kind]method.Traits{method.Passkey: traits[method.Passkey]}
	got := help.For(i)
	for anchor, key := range map[string]string{"length": "help.length.least", "mistake": "help.mistake.wait", "abroad": "help.abroad.totp",
		"new-phone": "help.new-phone.totp", "remember": "help.remember.for"} {
		unsaid(t, got, anchor, key)
	}
	said(t, got, "unexpected", "help.unexpected.silent", nil)
	for _, key := range []string{"help.unexpected.app", "help.unexpected.phone"} {
		unsaid(t, got, "unexpected", key)
	}
	i.Traits = map[method.Kind]method.Traits{method.Phone: {Kind: method.Phone, Factors: method.Possession, Outbound: true}}
	got = help.For(i)
	said(t, got, "unexpected", "help.unexpected.phone", nil)
	unsaid(t, got, "unexpected", "help.unexpected.app")
	i.Traits = map[method.Kind]method.Traits{method.App: {Kind: method.App, Factors: method.Possession, Outbound: true},
		method.Recovery: {Kind: method.Recovery, Factors: method.Possession, Replaced: true}}
	got = help.For(i)
	for anchor, key := range map[string]string{"unexpected": "help.unexpected.app", "new-phone": "help.new-phone.app", "abroad": "help.abroad.app",
		"privacy": "help.privacy.app", "lost": "help.lost.recovery", "forgot": "help.forgot.recovery"} {
		said(t, got, anchor, key, nil)
	}
	unsaid(t, got, "unexpected", "help.unexpected.silent")
	unsaid(t, got, "abroad", "help.abroad.silent")
}

// TestWrongAnswers: a wait that nobody sits out is told apart, without a number.
func TestWrongAnswers(t *testing.T) {
	i := input()
	got := help.For(i)
	said(t, got, "mistake", "help.mistake.wait", nil)
	said(t, got, "mistake", "help.mistake.long", nil)
	i.Limits = func(method.Kind, throttle.Audience) throttle.Limit {
		return throttle.Limit{Burst: 5, Refill: time.Minute}
	}
	unsaid(t, help.For(i), "mistake", "help.mistake.long")
	for _, a := range got {
		for _, p := range a.Points {
			if a.Anchor == "mistake" && len(p.Params) > 0 {
				t.Errorf("%s tells %v", p.Key, p.Params)
			}
		}
	}
}

// TestTheAnswersHold: whatever the rules, what the page says is what a sign-in meets. The remembered browser lets in
// with the password alone until the age that is said and no longer, and a passkey opens what is said to need no more.
func TestTheAnswersHold(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	one := func(list ...time.Duration) time.Duration { return list[rnd.IntN(len(list))] }
	strengths := []policy.Strength{"", "", policy.StrengthAny, policy.StrengthMFA, policy.StrengthPasswordless, policy.StrengthPhishingResistant, policy.StrengthHardware}
	states := []policy.RuleState{policy.RuleOn, policy.RuleOn, policy.RuleOn, policy.RuleReportOnly, policy.RuleOff}
	remembered, shortened := 0, 0
	for n := range 3000 {
		i := help.Input{Traits: traits, Applications: []policy.Application{library}}
		for r := range 1 + rnd.IntN(4) {
			i.Policy.Rules = append(i.Policy.Rules, policy.Rule{Name: fmt.Sprint(r), State: states[rnd.IntN(len(states))],
				Applications: policy.Match{Categories: [][]string{nil, {"teaching"}, {"finance"}}[rnd.IntN(3)]},
				Grant: policy.Grant{Strength: strengths[rnd.IntN(len(strengths))], RememberSet: rnd.IntN(2) == 0, Remember: one(0, day, 30*day),
					Freshness: policy.Freshness{EveryTime: rnd.IntN(9) == 0, MaxAge: one(0, 0, 0, time.Hour, 10*day)}}})
		}
		said := time.Duration(0)
		for _, a := range help.For(i) {
			for _, p := range a.Points {
				if p.Key == "help.remember.for" {
					said = p.Params["Age"].(time.Duration)
				}
			}
		}
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		skips := func(age time.Duration) bool {
			d := policy.Decide(i.Policy, policy.Input{Person: policy.Person{ID: "x", Active: true}, Application: library, Traits: traits, Now: now,
				Evidence:   []method.Evidence{{Kind: method.Password, Credential: "p", Factors: method.Knowledge, Long: true, At: now}},
				Remembered: &policy.Remembered{Since: now.Add(-age), ProvenAt: now.Add(-age)}})
			return d.Verdict == policy.Allow
		}
		if single := skips(1000 * day); single { // the password alone is enough
			continue
		}
		if said > 0 {
			remembered++
			if said < 30*day && said != day {
				shortened++
			}
			if !skips(said-time.Second) || skips(said+time.Second) {
				t.Fatalf("%d: %v is said, which does not hold under %+v", n, said, i.Policy.Rules)
			}
		} else if skips(time.Minute) {
			t.Fatalf("%d: never is said, which does not hold under %+v", n, i.Policy.Rules)
		}
	}
	if remembered < 200 || shortened < 20 {
		t.Errorf("too few to tell: %d, %d", remembered, shortened)
	}
}

func BenchmarkFor(b *testing.B) {
	i := input()
	for n := range 500 {
		i.Applications = append(i.Applications, policy.Application{ID: fmt.Sprint("a", n), Name: fmt.Sprint("Application ", n), Category: "teaching"})
	}
	for b.Loop() {
		help.For(i)
	}
}
