package policy_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

func TestAFallbackNeverLeads(t *testing.T) {
	kinds := []method.Kind{method.Phone, method.TOTP, method.App}
	for name, p := range map[string]policy.Policy{"by default": {}, "named": {Leads: []method.Kind{method.Phone}}} {
		got := p.Order(method.Phone, kinds, traits)
		if !slices.Equal(got, []method.Kind{method.App, method.TOTP, method.Phone}) {
			t.Errorf("%s: %v", name, got)
		}
	}
	in := input(prove(method.Password, now))
	in.Owned, in.Person.Lead = owns(method.Password, method.Phone, method.TOTP), method.Phone
	if d := policy.Decide(with(), in); d.Verdict != policy.Ask || !slices.Equal(d.Ask, []method.Kind{method.TOTP, method.Phone}) {
		t.Errorf("%+v", d)
	}
}

func TestAReportedPasswordWantsCompanyUnderAnyRule(t *testing.T) {
	lax := with(rule("lax", policy.Grant{Strength: policy.StrengthAny, RememberSet: true, Remember: 30 * day}))
	in := input(prove(method.Password, now))
	in.Remembered = &policy.Remembered{Since: now.Add(-day), ProvenAt: now.Add(-day)}
	if d := policy.Decide(lax, in); d.Verdict != policy.Allow {
		t.Fatalf("%+v", d)
	}
	in.Person.NewPassword = true
	d := policy.Decide(lax, in)
	if d.Verdict != policy.Ask || d.Reasons[0].Rule != policy.RuleReported || d.Reasons[0].Code != "reported" || d.RememberFor != 0 {
		t.Fatalf("%+v", d)
	}
	in.Evidence = append(in.Evidence, prove(method.App, now))
	if d := policy.Decide(lax, in); d.Verdict != policy.Allow || d.RememberFor != 0 || !slices.Equal(d.AMR, []string{"swk", "pwd", "mfa"}) {
		t.Fatalf("%+v", d)
	}
	in.Evidence, in.Owned = in.Evidence[:1], owns(method.Password)
	if d := policy.Decide(lax, in); d.Verdict != policy.Deny || d.Reasons[0].Code != "no_method" {
		t.Fatalf("%+v", d)
	}
	in.Evidence = []method.Evidence{prove(method.Passkey, now)}
	in.Owned = owns(method.Password, method.Passkey)
	if d := policy.Decide(lax, in); d.Verdict != policy.Allow {
		t.Fatalf("a passkey alone is no password: %+v", d)
	}
	traces := policy.Explain(lax, in)
	if last := traces[len(traces)-1]; last.Rule != policy.RuleReported || !last.Applies {
		t.Fatalf("%+v", traces)
	}
}

func TestAHeldMethodOpensEverythingButWhatIsOnHold(t *testing.T) {
	p := with()
	p.FirstEnrolment = policy.FirstEnrolment{PasswordOnly: true, HoldCategories: []string{"Clinical"}}
	in := input(prove(method.Password, now), prove(method.App, now))
	in.Owned = owns(method.Password, method.App)
	in.Owned[1].HeldUntil = now.Add(day)
	if d := policy.Decide(p, in); d.Verdict != policy.Allow {
		t.Fatalf("elsewhere: %+v", d)
	}
	in.Application = policy.Application{ID: "pat", Name: "Patients", Category: "care", Categories: []string{"clinical"}}
	d := policy.Decide(p, in)
	if d.Verdict != policy.Deny || d.Reasons[0].Rule != policy.RuleHold || d.Reasons[0].Code != "first_enrolment.hold" ||
		d.Reasons[0].Params["until"] != "2026-11-21 12:00 UTC" {
		t.Fatalf("%+v", d)
	}
	in.Act = policy.ActRefreshSignIn
	if d := policy.Decide(p, in); d.Verdict != policy.Deny {
		t.Fatalf("refreshed: %+v", d)
	}
	in.Act = policy.ActSignIn
	in.Remembered = &policy.Remembered{Since: now, ProvenAt: now}
	p.Rules = []policy.Rule{rule("remembers", policy.Grant{Strength: policy.StrengthMFA, RememberSet: true, Remember: 30 * day})}
	if d := policy.Decide(p, in); d.Verdict != policy.Deny {
		t.Fatalf("by a browser that the held method made remembered: %+v", d)
	}
	in.Owned = append(in.Owned, credential(method.TOTP))
	if d := policy.Decide(p, in); d.Verdict != policy.Ask || !slices.Equal(d.Ask, []method.Kind{method.TOTP}) {
		t.Fatalf("with a method that is not held: %+v", d)
	}
	in.Now = now.Add(day)
	in.Evidence = []method.Evidence{prove(method.Password, in.Now), prove(method.App, in.Now)}
	if d := policy.Decide(p, in); d.Verdict != policy.Allow {
		t.Fatalf("after the hold: %+v", d)
	}
}

func TestCheckOfTheNewSettings(t *testing.T) {
	campus := netip.MustParsePrefix("192.0.2.0/24")
	good := policy.FirstEnrolment{PasswordOnly: true, Networks: []netip.Prefix{campus}, HoldCategories: []string{"clinical"}}
	if err := policy.Check(policy.Policy{FirstEnrolment: good, Leads: []method.Kind{method.App}}); err != nil {
		t.Fatal(err)
	}
	change := func(do func(*policy.FirstEnrolment)) policy.Policy {
		e := good
		do(&e)
		return policy.Policy{FirstEnrolment: e}
	}
	for what, p := range map[string]policy.Policy{
		"never leads":               {Leads: []method.Kind{method.Phone}},
		"recovery never leads":      {Leads: []method.Kind{method.Recovery}},
		"write the networks":        change(func(e *policy.FirstEnrolment) { e.Networks = nil }),
		"is no network of a campus": change(func(e *policy.FirstEnrolment) { e.Networks = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")} }),
		"\"192.0.2.7/24\" is no network": change(func(e *policy.FirstEnrolment) {
			e.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.7/24")}
		}),
		"\"invalid Prefix\" is no network":      change(func(e *policy.FirstEnrolment) { e.Networks = []netip.Prefix{{}} }),
		"hold and dormant are times":            change(func(e *policy.FirstEnrolment) { e.Hold = -time.Second }),
		"dormant are times of at most 366d":     change(func(e *policy.FirstEnrolment) { e.Dormant = 367 * day }),
		"an empty category holds nothing":       change(func(e *policy.FirstEnrolment) { e.HoldCategories = []string{" "} }),
		"first_enrolment: write the networks t": change(func(e *policy.FirstEnrolment) { e.Networks = []netip.Prefix{} }),
	} {
		if err := policy.Check(p); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
