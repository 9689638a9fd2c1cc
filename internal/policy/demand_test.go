package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

const (
	refedsMFA = "https://refeds.org/profile/mfa"
	refedsSFA = "https://refeds.org/profile/sfa"
)

func TestDemands(t *testing.T) {
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	remembered := &policy.Remembered{Since: ago(day), ProvenAt: ago(day)}
	cases := []struct {
		name       string
		rules      []policy.Rule
		proof      []method.Evidence
		demand     policy.Demand
		owned      []method.Credential
		remembered *policy.Remembered
		want, acr  string
	}{
		{"voluntary, known and within reach: a step-up", []policy.Rule{anyProof}, ev(pw), policy.Demand{ACR: []string{"phr"}}, nil, nil, "ask passkey | <application's demand> demand.acr", refedsSFA},
		{"voluntary, met", []policy.Rule{anyProof}, ev(key), policy.Demand{ACR: []string{"phr"}}, nil, nil, "allow", "phr"},
		{"voluntary, out of reach: goes on", []policy.Rule{anyProof}, ev(pw), policy.Demand{ACR: []string{"phr"}}, owns(method.Password), nil, "allow", refedsSFA},
		{"voluntary, the next name is within reach", []policy.Rule{anyProof}, ev(pw), policy.Demand{ACR: []string{"phr", refedsMFA}}, owns(method.Password, method.TOTP), nil, "ask totp | <application's demand> demand.acr", refedsSFA},
		{"voluntary, unknown: goes on", []policy.Rule{anyProof}, ev(pw), policy.Demand{ACR: []string{"urn:x"}}, nil, nil, "allow", refedsSFA},
		{"the first name asked for that is reached is told", []policy.Rule{mfa}, ev(key), policy.Demand{ACR: []string{refedsMFA, "phr"}}, nil, nil, "allow", refedsMFA},
		{"essential, met", []policy.Rule{anyProof}, ev(pw, otp), policy.Demand{ACR: []string{refedsMFA}, Essential: true}, nil, nil, "allow", refedsMFA},
		{"essential, within reach", []policy.Rule{anyProof}, ev(pw), policy.Demand{ACR: []string{refedsMFA}, Essential: true}, nil, nil, "ask passkey totp | <application's demand> demand.acr", refedsSFA},
		{"essential, out of reach", []policy.Rule{anyProof}, ev(pw), policy.Demand{ACR: []string{"phr"}, Essential: true}, owns(method.Password, method.TOTP), nil, "deny | <application's demand> demand.acr", refedsSFA},
		{"essential, unknown", []policy.Rule{anyProof}, ev(key), policy.Demand{ACR: []string{"urn:x"}, Essential: true}, nil, nil, "deny | <application's demand> demand.acr", "phr"},
		{"a key nobody vouches for is no hardware", []policy.Rule{anyProof}, ev(key), policy.Demand{ACR: []string{"phrh"}, Essential: true}, nil, nil, "deny | <application's demand> demand.acr", "phr"},
		{"remembered, voluntary", []policy.Rule{mfa, remember}, ev(pw), policy.Demand{ACR: []string{refedsMFA}}, nil, remembered, "allow", refedsSFA},
		{"remembered, essential still asks", []policy.Rule{mfa, remember}, ev(pw), policy.Demand{ACR: []string{refedsMFA}, Essential: true}, nil, remembered, "ask passkey totp | mfa strength", refedsSFA},
		{"max_age counts the latest proof", []policy.Rule{mfa}, ev(prove(method.Password, ago(time.Hour)), prove(method.TOTP, ago(time.Minute))), policy.Demand{MaxAge: 2 * time.Minute, MaxAgeSet: true}, nil, nil, "allow", refedsMFA},
		{"max_age passed", []policy.Rule{mfa}, ev(prove(method.Passkey, ago(3*time.Minute))), policy.Demand{MaxAge: 2 * time.Minute, MaxAgeSet: true}, nil, nil, "ask passkey totp password | <application's demand> demand.max_age", "phr"},
		{"max_age=0 asks", []policy.Rule{mfa}, ev(prove(method.Passkey, ago(time.Second))), policy.Demand{MaxAgeSet: true}, nil, nil, "ask passkey totp password | <application's demand> demand.max_age", "phr"},
		{"max_age=0, proven in this attempt", []policy.Rule{mfa}, ev(prove(method.Passkey, ago(time.Second))), policy.Demand{MaxAgeSet: true, FreshSince: ago(2 * time.Second), Began: ago(2 * time.Second)}, nil, nil, "allow", "phr"},
		{"a max_age below zero is zero", []policy.Rule{mfa}, ev(prove(method.Passkey, ago(time.Second))), policy.Demand{MaxAge: -time.Hour, MaxAgeSet: true}, nil, nil, "ask passkey totp password | <application's demand> demand.max_age", "phr"},
		{"prompt=login: one new proof", []policy.Rule{mfa}, ev(prove(method.Passkey, ago(time.Hour))), policy.Demand{FreshSince: ago(time.Minute)}, nil, nil, "ask passkey totp password | <application's demand> demand.login", "phr"},
		{"prompt=login, given", []policy.Rule{mfa}, ev(prove(method.Passkey, ago(time.Hour)), prove(method.Password, ago(time.Minute))), policy.Demand{FreshSince: ago(time.Minute)}, nil, nil, "allow", "phr"},
		{"another node's clock is a little ahead", []policy.Rule{mfa}, ev(pw, otp), policy.Demand{FreshSince: now.Add(time.Second)}, nil, nil, "ask passkey totp password | <application's demand> demand.login", refedsMFA},
		{"prompt=login is not met by a remembered browser", []policy.Rule{mfa, remember}, ev(prove(method.Password, ago(time.Hour))), policy.Demand{FreshSince: ago(time.Minute)}, nil, remembered, "ask passkey totp | mfa strength", refedsSFA},
		{"prompt=login over a remembered browser", []policy.Rule{mfa, remember}, ev(prove(method.Password, now)), policy.Demand{FreshSince: ago(time.Minute)}, nil, remembered, "allow", refedsSFA},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			in := input(c.proof...)
			in.Demand, in.Remembered = c.demand, c.remembered
			if c.owned != nil {
				in.Owned = c.owned
			}
			d := policy.Decide(with(c.rules...), in)
			if got := show(d); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
			if d.ACR != c.acr {
				t.Errorf("acr %q, want %q", d.ACR, c.acr)
			}
		})
	}
}

func TestActs(t *testing.T) {
	began := now.Add(-10 * time.Minute)
	before, after := began.Add(-time.Second), began.Add(time.Second)
	all := owns(method.Password, method.TOTP, method.Passkey)
	two := owns(method.Password, method.TOTP)
	cases := []struct {
		name  string
		act   policy.Act
		owned []method.Credential
		proof []method.Evidence
		want  string
	}{
		{"who owns a passkey proves with it", policy.ActMethodRemove, all, ev(prove(method.Password, after), prove(method.TOTP, after)), "ask passkey | <act> act.proof"},
		{"and not with one of before", policy.ActMethodRemove, all, ev(prove(method.Passkey, before)), "ask passkey | <act> act.proof"},
		{"given at the very moment", policy.ActMethodRemove, all, ev(prove(method.Passkey, began)), "allow"},
		{"two kinds: both anew", policy.ActMethodAdd, two, ev(prove(method.Password, before), prove(method.TOTP, after)), "ask password | <act> act.proof"},
		{"two kinds, given", policy.ActMethodAdd, two, ev(prove(method.Password, after), prove(method.TOTP, after)), "allow"},
		{"a password adds no first method", policy.ActMethodAdd, owns(method.Password), ev(pw), "deny | <act> first_method"},
		{"nor does nothing", policy.ActMethodAdd, nil, ev(pw), "deny | <act> first_method"},
		{"a password changes itself, short or long", policy.ActPasswordChange, owns(method.Password), ev(short(after)), "allow"},
		{"but only when given anew", policy.ActPasswordChange, owns(method.Password), ev(short(before)), "ask password | <act> act.proof"},
		{"an act that nobody knows is an act", "x", all, ev(prove(method.Passkey, before)), "ask passkey | <act> act.proof"},
		{"refreshing needs everything anew", policy.ActRefreshSignIn, two, ev(prove(method.Password, before), prove(method.TOTP, after)), "ask password | <act> act.proof"},
		{"refreshed", policy.ActRefreshSignIn, all, ev(prove(method.Passkey, after)), "allow"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			in := input(c.proof...)
			in.Act, in.Owned, in.Demand = c.act, c.owned, policy.Demand{FreshSince: began}
			in.Remembered = &policy.Remembered{Since: now.Add(-day), ProvenAt: now.Add(-day)}
			if got := show(policy.Decide(with(mfa, remember), in)); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
	// Without a time the proof is five minutes old at most.
	in := input(prove(method.Passkey, now.Add(-6*time.Minute)))
	in.Act = policy.ActMethodRemove
	if d := policy.Decide(with(mfa), in); d.Verdict != policy.Ask {
		t.Errorf("no time given: %s", show(d))
	}
}

func TestSecurityPage(t *testing.T) {
	for _, c := range []struct {
		name  string
		owned []method.Credential
		proof []method.Evidence
		want  policy.Verdict
	}{
		{"MFA of a quarter of an hour", owns(method.Password, method.TOTP, method.Passkey), ev(prove(method.Password, now.Add(-15*time.Minute)), otp), policy.Allow},
		{"older", owns(method.Password, method.TOTP), ev(prove(method.Password, now.Add(-15*time.Minute-time.Second)), otp), policy.Ask},
		{"password and remembered browser do not do", owns(method.Password, method.TOTP), ev(pw), policy.Ask},
		{"what one owns", owns(method.Password), ev(pw), policy.Allow},
	} {
		in := input(c.proof...)
		in.Act, in.Owned, in.Remembered = policy.ActSecurityPage, c.owned, &policy.Remembered{Since: now.Add(-day), ProvenAt: now.Add(-day)}
		if d := policy.Decide(with(mfa, remember), in); d.Verdict != c.want {
			t.Errorf("%s: %s", c.name, show(d))
		}
	}
}

func TestActRulesAddToTheActsOwn(t *testing.T) {
	p := with(mfa, policy.Rule{Name: "no changes", State: policy.RuleOn, Acts: []policy.Act{policy.ActMethodRemove}, Grant: policy.Grant{Block: true}})
	in := input(key)
	in.Act, in.Demand.FreshSince = policy.ActMethodRemove, now
	if d := policy.Decide(p, in); show(d) != "deny | no changes blocked" {
		t.Error(show(d))
	}
	in.Act = policy.ActSignIn
	if d := policy.Decide(p, in); d.Verdict != policy.Allow {
		t.Error(show(d))
	}
}

func TestReportOnly(t *testing.T) {
	trial := phishing
	trial.State = policy.RuleReportOnly
	d := policy.Decide(with(mfa, trial), input(pw, otp))
	if d.Verdict != policy.Allow || len(d.ReportOnly) != 1 || d.ReportOnly[0].Rule != "pr" || d.ReportOnly[0].Code != "strength" {
		t.Errorf("%+v", d)
	}
	if d := policy.Decide(with(mfa, trial), input(key)); len(d.ReportOnly) != 0 {
		t.Errorf("reported what it would not have asked: %+v", d.ReportOnly)
	}
}

// TestReportOnlyOverARememberedBrowser: a trial of a rule that remembered browsers would not pass shows in the log.
func TestReportOnlyOverARememberedBrowser(t *testing.T) {
	for code, g := range map[string]policy.Grant{
		"remember":             {RememberSet: true},
		"freshness.every_time": {Strength: policy.StrengthMFA, Freshness: policy.Freshness{EveryTime: true}},
		"freshness.max_age":    {Freshness: policy.Freshness{MaxAge: time.Hour}},
		"strength":             {Strength: policy.StrengthPhishingResistant},
		"blocked":              {Block: true},
		"":                     {RememberSet: true, Remember: 2 * day},
	} {
		trial := rule("trial", g)
		trial.State = policy.RuleReportOnly
		in := input(pw)
		in.Remembered = &policy.Remembered{Since: now.Add(-day), ProvenAt: now.Add(-day)}
		d := policy.Decide(with(mfa, remember, trial), in)
		if d.Verdict != policy.Allow || !d.UsedRemembered {
			t.Errorf("%s: a trial decided: %s", code, show(d))
		}
		if code == "" && len(d.ReportOnly) > 0 || code != "" && (len(d.ReportOnly) == 0 || d.ReportOnly[0].Rule != "trial") {
			t.Errorf("%s: reported %+v", code, d.ReportOnly)
		}
		if code == "remember" && d.ReportOnly[0].Code != code {
			t.Errorf("%s: reported %+v", code, d.ReportOnly)
		}
	}
}

func TestFreshestProofsAreUsed(t *testing.T) {
	old := now.Add(-9 * time.Hour)
	in := input(prove(method.Password, old), prove(method.TOTP, old), prove(method.Passkey, now.Add(-time.Hour)))
	d := policy.Decide(with(mfa), in)
	if !d.Oldest.Equal(now.Add(-time.Hour)) || !d.AuthTime.Equal(now.Add(-time.Hour)) {
		t.Errorf("oldest %v, auth_time %v", d.Oldest, d.AuthTime)
	}
	if got := strings.Join(d.AMR, " "); got != "otp pwd pop user mfa" && got != "pwd otp pop user mfa" {
		t.Errorf("amr %s", got)
	}
	at, ok := with().Meets(policy.StrengthMFA, ev(prove(method.Password, old), prove(method.TOTP, now)), now)
	if !ok || !at.Equal(old) {
		t.Errorf("password of %v: %v %v", old, at, ok)
	}
}

func TestOwnStrengths(t *testing.T) {
	p := with(rule("hardware", policy.Grant{Strength: "two keys"}))
	p.Strengths = map[policy.Strength][]policy.Combination{"two keys": {
		{{Kinds: []method.Kind{method.Passkey}, Models: []string{"m1"}}, {Kinds: []method.Kind{method.Passkey}}},
	}}
	one := key
	one.Model = "m1"
	other := one
	other.Credential, other.Model = "c-2", "m2"
	in := input(one, one)
	if d := policy.Decide(p, in); d.Verdict != policy.Deny {
		t.Errorf("one key twice is two keys, or a second one that is not owned is asked: %s", show(d))
	}
	in.Owned = append(in.Owned, method.Credential{ID: "c-2", Kind: method.Passkey})
	if d := policy.Decide(p, in); show(d) != "ask passkey | hardware strength" {
		t.Error(show(d))
	}
	if d := policy.Decide(p, input(other, one)); d.Verdict != policy.Allow || !slices.Contains(d.Reached, "two keys") {
		t.Error(show(d))
	}
	wild := other
	wild.Model = "*"
	if d := policy.Decide(p, input(wild, other)); d.Verdict == policy.Allow {
		t.Error("a model of * passes for any")
	}
	// A combination of a password alone still needs a long one.
	p = with(rule("kiosk", policy.Grant{Strength: "kiosk"}))
	p.Strengths = map[policy.Strength][]policy.Combination{"kiosk": {{{Kinds: []method.Kind{method.Password}}}}}
	if d := policy.Decide(p, input(short(now))); show(d) != "ask passkey totp | <password alone> password_too_short" {
		t.Error(show(d))
	}
}

func TestOrder(t *testing.T) {
	p := with()
	p.Leads = []method.Kind{method.TOTP}
	if got := p.Order(method.Passkey, []method.Kind{method.Password, method.Passkey, method.TOTP}, traits); !slices.Equal(got, []method.Kind{method.TOTP, method.Passkey, method.Password}) {
		t.Errorf("a kind that may not lead leads: %v", got)
	}
}

func TestCheck(t *testing.T) {
	good := policy.Default()
	if err := policy.Check(good); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(*policy.Policy)
		want  string
	}{
		"name":         {func(p *policy.Policy) { p.Rules[0].Name = " " }, "name: give"},
		"same name":    {func(p *policy.Policy) { p.Rules = append(p.Rules, p.Rules[0]) }, "another rule has this name"},
		"built-in":     {func(p *policy.Policy) { p.Rules[0].Name = "<default>" }, "without < and >"},
		"state":        {func(p *policy.Policy) { p.Rules[0].State = "yes" }, `"MFA for everybody", state: write off`},
		"strength":     {func(p *policy.Policy) { p.Rules[0].Grant.Strength = "mfaa" }, `"mfaa" is not known`},
		"act":          {func(p *policy.Policy) { p.Rules[0].Acts = []policy.Act{"x"} }, `"x" is no act`},
		"block":        {func(p *policy.Policy) { p.Rules[0].Grant.Block = true }, "grants nothing else"},
		"nothing":      {func(p *policy.Policy) { p.Rules[0].Grant = policy.Grant{} }, "says nothing"},
		"fresh":        {func(p *policy.Policy) { p.Rules[0].Grant.Freshness = policy.Freshness{EveryTime: true, MaxAge: 1} }, "not both"},
		"remember":     {func(p *policy.Policy) { p.Rules[0].Grant.Remember = 400 * day }, "at most 366d"},
		"people":       {func(p *policy.Policy) { p.Rules[0].People.Categories = []string{"x"} }, "people have groups"},
		"applications": {func(p *policy.Policy) { p.Rules[0].Applications.Groups = []string{"x"} }, "applications have categories"},
		"empty name":   {func(p *policy.Policy) { p.Rules[0].People.ExceptNames = []string{""} }, "matches nothing"},
		"own built-in": {func(p *policy.Policy) {
			p.Strengths = map[policy.Strength][]policy.Combination{"mfa": {{{}}}}
		}, "built in"},
		"own empty": {func(p *policy.Policy) { p.Strengths = map[policy.Strength][]policy.Combination{"x": {{}}} }, "1 to 4 proofs"},
		"acr":       {func(p *policy.Policy) { p.ACR[0].Strength = "x" }, `"phrh", acr: "x" is not known`},
		"acr twice": {func(p *policy.Policy) { p.ACR = append(p.ACR, p.ACR[0]) }, "twice"},
		"session":   {func(p *policy.Policy) { p.SessionIdle = 48 * time.Hour }, "idle is not longer than max"},
	} {
		p := policy.Default()
		c.spoil(&p)
		if err := policy.Check(p); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
