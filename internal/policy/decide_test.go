package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

var traits = map[method.Kind]method.Traits{
	method.Password: {Kind: method.Password, Factors: method.Knowledge, First: true, Strength: 10},
	method.TOTP:     {Kind: method.TOTP, Factors: method.Possession, Strength: 50},
	method.App:      {Kind: method.App, Factors: method.Possession, Strength: 70, Outbound: true, Elsewhere: true},
	method.Phone:    {Kind: method.Phone, Factors: method.Possession, Strength: 20, Outbound: true},
	method.Passkey:  {Kind: method.Passkey, Factors: method.Possession | method.Inherence, PhishingResistant: true, First: true, Strength: 90},
}

func credential(k method.Kind) method.Credential {
	return method.Credential{ID: "c-" + string(k), Person: "ada", Kind: k}
}

func prove(k method.Kind, at time.Time) method.Evidence {
	t := traits[k]
	return method.Evidence{Kind: k, Credential: "c-" + string(k), Factors: t.Factors, PhishingResistant: t.PhishingResistant,
		UserVerified: t.PhishingResistant, Long: k == method.Password, At: at}
}

func short(at time.Time) method.Evidence {
	e := prove(method.Password, at)
	e.Long = false
	return e
}

func owns(kinds ...method.Kind) []method.Credential {
	var out []method.Credential
	for _, k := range kinds {
		out = append(out, credential(k))
	}
	return out
}

func input(evidence ...method.Evidence) policy.Input {
	return policy.Input{
		Person: policy.Person{ID: "ada", Username: "ada", Active: true}, Act: policy.ActSignIn, Evidence: evidence,
		Owned: owns(method.Password, method.TOTP, method.Passkey), Traits: traits, Now: now,
		Application: policy.Application{ID: "library", Name: "Library", Category: "teaching and learning"},
	}
}

func rule(name string, g policy.Grant) policy.Rule {
	return policy.Rule{Name: name, State: policy.RuleOn, Grant: g}
}

func with(rules ...policy.Rule) policy.Policy {
	return policy.Policy{Version: 7, Rules: rules, ACR: policy.BuiltinACR()}
}

// show prints what a decision comes to: verdict, kinds asked, the first reason.
func show(d policy.Decision) string {
	s := []string{"deny", "ask", "allow"}[d.Verdict]
	for _, k := range d.Ask {
		s += " " + string(k)
	}
	if len(d.Reasons) > 0 {
		s += " | " + d.Reasons[0].Rule + " " + d.Reasons[0].Code
	}
	return s
}

var (
	mfa       = rule("mfa", policy.Grant{Strength: policy.StrengthMFA})
	anyProof  = rule("any", policy.Grant{Strength: policy.StrengthAny})
	phishing  = rule("pr", policy.Grant{Strength: policy.StrengthPhishingResistant})
	always    = rule("always", policy.Grant{Strength: policy.StrengthPhishingResistant, Freshness: policy.Freshness{EveryTime: true}})
	shift     = rule("shift", policy.Grant{Strength: policy.StrengthMFA, Freshness: policy.Freshness{MaxAge: 8 * time.Hour}})
	remember  = rule("remember", policy.Grant{RememberSet: true, Remember: 30 * day})
	never     = rule("never", policy.Grant{RememberSet: true})
	pw        = prove(method.Password, now)
	otp       = prove(method.TOTP, now)
	key       = prove(method.Passkey, now)
	yesterday = now.Add(-day)
)

func TestDecide(t *testing.T) {
	remembered := func(ago time.Duration) func(*policy.Input) {
		return func(in *policy.Input) {
			in.Remembered = &policy.Remembered{Since: now.Add(-ago), ProvenAt: now.Add(-ago)}
		}
	}
	only := func(kinds ...method.Kind) func(*policy.Input) {
		return func(in *policy.Input) { in.Owned = owns(kinds...) }
	}
	lead := func(k method.Kind) func(*policy.Input) { return func(in *policy.Input) { in.Person.Lead = k } }
	cases := []struct {
		name  string
		rules []policy.Rule
		proof []method.Evidence
		and   []func(*policy.Input)
		want  string
	}{
		{"no rule at all is MFA", nil, ev(pw), nil, "ask passkey totp | <default> strength"},
		{"no rule at all, met", nil, ev(pw, otp), nil, "allow"},
		{"a rule that names no strength leaves the default", []policy.Rule{remember}, ev(pw), nil, "ask passkey totp | <default> strength"},
		{"any: a long password", []policy.Rule{anyProof}, ev(pw), nil, "allow"},
		{"any: a short password asks for the second proof", []policy.Rule{anyProof}, ev(short(now)), nil, "ask passkey totp | any password_too_short"},
		{"any: a short password and nothing else", []policy.Rule{anyProof}, ev(short(now)), and(only(method.Password)), "deny | any no_method"},
		{"any: a short password and a passcode", []policy.Rule{anyProof}, ev(short(now), otp), nil, "allow"},
		{"MFA: passkey alone", []policy.Rule{mfa}, ev(key), nil, "allow"},
		{"MFA: password twice is one", []policy.Rule{mfa}, ev(pw, prove(method.Password, now.Add(-time.Minute))), nil, "ask passkey totp | mfa strength"},
		{"MFA: the lead first", []policy.Rule{mfa}, ev(pw), and(lead(method.TOTP)), "ask totp passkey | mfa strength"},
		{"MFA: nothing owned beside the password", []policy.Rule{mfa}, ev(pw), and(only(method.Password)), "deny | mfa no_method"},
		{"MFA: before any proof only kinds that may open", []policy.Rule{mfa}, nil, nil, "ask passkey password | mfa strength"},
		{"MFA: a passcode in hand asks for the password too", []policy.Rule{mfa}, ev(otp), nil, "ask passkey password | mfa strength"},
		{"phishing-resistant asks only what helps", []policy.Rule{mfa, phishing}, ev(pw, otp), and(lead(method.TOTP)), "ask passkey | pr strength"},
		{"phishing-resistant, none owned", []policy.Rule{phishing}, ev(pw, otp), and(only(method.Password, method.TOTP)), "deny | pr no_method"},
		{"the strictest is named first", []policy.Rule{mfa, phishing}, ev(pw), nil, "ask passkey | pr strength"},
		{"block wins over all", []policy.Rule{anyProof, rule("no", policy.Grant{Block: true})}, ev(key), nil, "deny | no blocked"},
		{"every time: five minutes old counts", []policy.Rule{always}, ev(prove(method.Passkey, now.Add(-5*time.Minute))), nil, "allow"},
		{"every time: older does not", []policy.Rule{always}, ev(prove(method.Passkey, now.Add(-5*time.Minute-time.Microsecond))), nil, "ask passkey | always freshness.every_time"},
		{"every time: proven in this attempt, slowly", []policy.Rule{always}, ev(prove(method.Passkey, now.Add(-9*time.Minute))), and(func(in *policy.Input) { in.Demand.Began = now.Add(-10 * time.Minute) }), "allow"},
		{"every time: a page left open counts for nothing", []policy.Rule{always}, ev(prove(method.Passkey, now.Add(-9*time.Hour))), and(func(in *policy.Input) { in.Demand.Began = now.Add(-10 * time.Hour) }), "ask passkey | always freshness.every_time"},
		{"every time: a long max_age makes nothing fresh", []policy.Rule{always}, ev(prove(method.Passkey, now.Add(-9*time.Minute))), and(func(in *policy.Input) { in.Demand.FreshSince = now.Add(-29 * time.Minute) }), "ask passkey | always freshness.every_time"},
		{"max age counts the oldest proof used", []policy.Rule{shift}, ev(pw, prove(method.TOTP, now.Add(-9*time.Hour))), nil, "ask passkey totp | shift freshness.max_age"},
		{"max age: an old proof that is not needed does not count", []policy.Rule{shift}, ev(prove(method.Password, yesterday), prove(method.TOTP, yesterday), key), nil, "allow"},
		{"remembered: a long password is enough", []policy.Rule{mfa, remember}, ev(pw), and(remembered(29 * day)), "allow"},
		{"remembered: a short one is not", []policy.Rule{mfa, remember}, ev(short(now)), and(remembered(29 * day)), "ask passkey totp | <password alone> password_too_short"},
		{"remembered: alone it is nothing", []policy.Rule{mfa, remember}, nil, and(remembered(day)), "ask passkey password | mfa strength"},
		{"remembered: lapsed to the moment", []policy.Rule{mfa, remember}, ev(pw), and(remembered(30 * day)), "ask passkey totp | mfa strength"},
		{"remembered: one rule says never", []policy.Rule{mfa, remember, never}, ev(pw), and(remembered(day)), "ask passkey totp | mfa strength"},
		{"remembered: no rule speaks of it", []policy.Rule{mfa}, ev(pw), and(remembered(day)), "ask passkey totp | mfa strength"},
		{"remembered: never for more than MFA", []policy.Rule{phishing, remember}, ev(pw), and(remembered(day)), "ask passkey | pr strength"},
		{"remembered: never where every time", []policy.Rule{rule("x", policy.Grant{Strength: policy.StrengthMFA, Freshness: policy.Freshness{EveryTime: true}}), remember}, ev(pw), and(remembered(time.Minute)), "ask passkey totp | x strength"},
		{"remembered: the maximum age counts for it too", []policy.Rule{shift, remember}, ev(pw), and(remembered(9 * time.Hour)), "ask passkey totp | shift strength"},
		{"remembered: the password itself is too old", []policy.Rule{shift, remember}, ev(prove(method.Password, now.Add(-9*time.Hour))), and(remembered(time.Hour)), "ask passkey totp password | shift strength"},
		{"two ages: the shorter", []policy.Rule{shift, rule("hour", policy.Grant{Freshness: policy.Freshness{MaxAge: time.Hour}})}, ev(prove(method.Passkey, now.Add(-2*time.Hour))), nil, "ask passkey totp password | hour freshness.max_age"},
		{"two ages, the other way round", []policy.Rule{rule("hour", policy.Grant{Freshness: policy.Freshness{MaxAge: time.Hour}}), shift}, ev(prove(method.Passkey, now.Add(-2*time.Hour))), nil, "ask passkey totp password | hour freshness.max_age"},
		{"remembered: from the future is unknown", []policy.Rule{mfa, remember}, ev(pw), and(remembered(-time.Hour)), "ask passkey totp | mfa strength"},
		{"inactive", []policy.Rule{anyProof}, ev(key), and(func(in *policy.Input) { in.Person.Active = false }), "deny | <account> account"},
		{"nobody", []policy.Rule{anyProof}, ev(key), and(func(in *policy.Input) { in.Person.ID = "" }), "deny | <account> account"},
		{"unknown strength is never met", []policy.Rule{rule("x", policy.Grant{Strength: "x"})}, ev(key), nil, "deny | x no_method"},
		{"a pending credential counts for nothing", []policy.Rule{mfa}, ev(pw), and(only(method.Password, method.TOTP), func(in *policy.Input) { in.Owned[1].Pending = true }), "deny | mfa no_method"},
		{"a kind that the house does not offer is not asked", []policy.Rule{mfa}, ev(pw), and(func(in *policy.Input) { in.Traits = map[method.Kind]method.Traits{method.TOTP: traits[method.TOTP]} }), "ask totp | mfa strength"},
		{"off is off", []policy.Rule{anyProof, {Name: "off", State: policy.RuleOff, Grant: policy.Grant{Block: true}}}, ev(pw), nil, "allow"},
		{"an unknown state is not on", []policy.Rule{{Name: "?", State: "On", Grant: policy.Grant{Strength: policy.StrengthAny}}}, ev(pw), nil, "ask passkey totp | <default> strength"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			in := input(c.proof...)
			for _, f := range c.and {
				f(&in)
			}
			if got := show(policy.Decide(with(c.rules...), in)); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

func ev(e ...method.Evidence) []method.Evidence             { return e }
func and(f ...func(*policy.Input)) []func(in *policy.Input) { return f }

func TestZeroValuesDeny(t *testing.T) {
	if d := policy.Decide(policy.Policy{}, policy.Input{}); d.Verdict != policy.Deny || len(d.Reasons) == 0 || d.RememberFor != 0 {
		t.Errorf("%+v", d)
	}
	if (policy.Decision{}).Verdict != policy.Deny {
		t.Error("the zero decision does not deny")
	}
}

// TestUnknownProofsCountForNothing: an entry that does not say what, by what, or when.
func TestUnknownProofsCountForNothing(t *testing.T) {
	for name, spoil := range map[string]func(*method.Evidence){
		"no time": func(e *method.Evidence) { e.At = time.Time{} }, "no credential": func(e *method.Evidence) { e.Credential = "" },
		"no kind": func(e *method.Evidence) { e.Kind = "" }, "no factor": func(e *method.Evidence) { e.Factors = 0 },
		"the future": func(e *method.Evidence) { e.At = now.Add(2 * time.Minute) },
	} {
		e := key
		spoil(&e)
		if d := policy.Decide(with(mfa), input(e)); d.Verdict != policy.Ask || !d.AuthTime.IsZero() {
			t.Errorf("%s: %s", name, show(d))
		}
	}
}

// TestOneThingIsNotTwo: one credential that proves in two ways, and an inherence that no device checked.
func TestOneThingIsNotTwo(t *testing.T) {
	know := prove(method.Password, now)
	have := know
	have.Kind, have.Factors = "card", method.Possession
	if d := policy.Decide(with(mfa), input(know, have)); d.Verdict == policy.Allow {
		t.Error("one credential counts as two")
	}
	have.Credential = "c-card"
	if d := policy.Decide(with(mfa), input(know, have)); d.Verdict != policy.Allow {
		t.Error("a password and a card are not MFA")
	}
	touch := key
	touch.UserVerified = false
	again := touch
	again.Credential = "c-2"
	if d := policy.Decide(with(mfa), input(touch, again)); d.Verdict == policy.Allow {
		t.Error("two touched keys count as a finger")
	}
}

func TestMatching(t *testing.T) {
	block := policy.Grant{Block: true}
	for _, c := range []struct {
		name         string
		people, apps policy.Match
		blocked      bool
	}{
		{"everybody", policy.Match{}, policy.Match{}, true},
		{"by group", policy.Match{Groups: []string{"Staff"}}, policy.Match{}, true},
		{"by another group", policy.Match{Groups: []string{"students"}}, policy.Match{}, false},
		{"by role or group", policy.Match{Groups: []string{"students"}, Roles: []string{"desk"}}, policy.Match{}, true},
		{"by name, without case", policy.Match{Names: []string{"ADA"}}, policy.Match{}, true},
		{"exclusion wins over the group", policy.Match{Groups: []string{"staff"}, ExceptNames: []string{"ada"}}, policy.Match{}, false},
		{"exclusion wins over the name", policy.Match{Names: []string{"ada"}, ExceptGroups: []string{"staff"}}, policy.Match{}, false},
		{"exclusion by role", policy.Match{ExceptRoles: []string{"desk"}}, policy.Match{}, false},
		{"by category", policy.Match{}, policy.Match{Categories: []string{"Teaching and learning"}}, true},
		{"by application", policy.Match{}, policy.Match{Names: []string{"library"}}, true},
		{"by another application", policy.Match{}, policy.Match{Names: []string{"Webmail"}}, false},
		{"application excluded", policy.Match{}, policy.Match{Categories: []string{"teaching and learning"}, ExceptNames: []string{"Library"}}, false},
		{"category excluded", policy.Match{}, policy.Match{Names: []string{"Library"}, ExceptCategories: []string{"teaching and learning"}}, false},
	} {
		in := input(key)
		in.Person.Groups, in.Person.Roles = []string{"staff"}, []string{"desk"}
		p := with(anyProof, policy.Rule{Name: "b", State: policy.RuleOn, People: c.people, Applications: c.apps, Grant: block})
		if got := policy.Decide(p, in).Verdict == policy.Deny; got != c.blocked {
			t.Errorf("%s: blocked %v", c.name, got)
		}
		trace := policy.Explain(p, in)
		if trace[1].Applies != c.blocked || trace[1].Applies == (trace[1].Unmet != "") {
			t.Errorf("%s: explained as %+v", c.name, trace[1])
		}
	}
	// What is unknown is in no list, not even in one of unknown names.
	in := input(pw)
	in.Application, in.Person.Groups = policy.Application{}, []string{""}
	lax := policy.Rule{Name: "lax", State: policy.RuleOn, People: policy.Match{Groups: []string{""}}, Applications: policy.Match{Categories: []string{""}}, Grant: policy.Grant{Strength: policy.StrengthAny}}
	if d := policy.Decide(with(lax), in); d.Verdict != policy.Ask || d.Reasons[0].Rule != policy.RuleDefault {
		t.Errorf("an unknown group or category matched: %s", show(d))
	}
}

func TestRememberOffered(t *testing.T) {
	p := with(mfa, remember, rule("shorter", policy.Grant{RememberSet: true, Remember: 7 * day}))
	for _, c := range []struct {
		name string
		p    policy.Policy
		in   policy.Input
		want time.Duration
	}{
		{"after the second proof", p, input(pw, otp), 7 * day},
		{"beside the question for it", p, input(pw), 7 * day},
		{"not before the first", p, input(), 0},
		{"not for a passkey alone", p, input(key), 0},
		{"not for a second proof of long ago", p, input(pw, prove(method.TOTP, now.Add(-time.Hour))), 0},
		{"not where one says never", with(mfa, remember, never), input(pw, otp), 0},
		{"not where more than MFA is needed", with(phishing, remember), input(pw, key), 0},
		{"not where nobody says so", with(mfa), input(pw, otp), 0},
	} {
		if got := policy.Decide(c.p, c.in).RememberFor; got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	in := input(pw)
	in.Remembered = &policy.Remembered{ProvenAt: now.Add(-day), Since: now.Add(-day)}
	if d := policy.Decide(p, in); !d.UsedRemembered || d.RememberFor != 0 || slices.Contains(d.Reached, policy.StrengthMFA) ||
		d.ACR != "https://refeds.org/profile/sfa" || strings.Join(d.AMR, " ") != "pwd" || !d.AuthTime.Equal(now) {
		t.Errorf("a remembered browser is taken for a factor: %+v", d)
	}
}
