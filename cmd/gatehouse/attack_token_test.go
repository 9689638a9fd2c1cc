package main

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

// stricter is the policy with MFA raised to phishing-resistant for everything.
func stricter() policy.Policy {
	p := attackPolicy()
	p.Rules = append(p.Rules, policy.Rule{Name: "raised", State: policy.RuleOn, Grant: policy.Grant{Strength: policy.StrengthPhishingResistant}})
	return p
}

func TestG99_WhatARightRestsOnIsAskedAgain(t *testing.T) {
	everywhere(t, func(t *testing.T, x *target) {
		n := x.last()
		library := x.application("Library", "teaching", "offline_access")
		for name, end := range map[string]func(m *member, b *browser){
			"the policy is raised": func(*member, *browser) { x.policy(stricter()) },
			"the member signs out": func(_ *member, b *browser) { b.post("/signout", url.Values{}) },
			"the member is reset":  func(m *member, _ *browser) { x.admin("POST", "/people/"+string(m.id)+"/reset", `{"why":"a test"}`) },
			"the passcode app is removed": func(m *member, b *browser) {
				id := b.methods()[0]
				b.proceed(b.get("/security/methods/"+id+"/remove"), m, false)
				if !b.send("POST", "/security/methods/"+id+"/remove", url.Values{}).done() {
					t.Fatal("not removed")
				}
			},
			"the application is closed": func(*member, *browser) { x.admin("POST", "/applications/library/close", "") },
		} {
			x.policy(attackPolicy())
			x.admin("POST", "/applications/library/open", "")
			m := x.member("m"+strings.ReplaceAll(name, " ", ""), longPassword, method.Password, method.TOTP)
			b := x.browser()
			scope := "openid"
			if strings.Contains(name, "policy") || strings.Contains(name, "reset") {
				scope = "openid offline_access"
			}
			b.signIn(m, "/security", false)
			token := n.redeem(x, library, b.get(library.authorize("scope", scope)).code())
			if strings.Contains(name, "removed") {
				m.enrol(method.Passkey) // or the last method could not go
				b.get("/security")
			}
			unused := b.get(library.authorize("scope", scope)).code()
			if token.Refresh == "" || unused == "" {
				t.Fatalf("%s: nothing to end: %+v", name, token)
			}
			end(m, b)
			if n.active(x, library, token.Access) || n.userinfo(x, token.Access).status == 200 || n.active(x, library, token.Refresh) {
				t.Errorf("%s: the access token lives", name)
			}
			if r := n.redeem(x, library, unused); r.status == 200 {
				t.Errorf("%s: a code from before is redeemed", name)
			}
			if n.refresh(x, library, token.Refresh).status == 200 {
				t.Errorf("%s: the refresh token lives", name)
			}
		}
	})
}

func TestG100_RefreshReuseOnTwoNodes(t *testing.T) {
	everywhere(t, func(t *testing.T, x *target) {
		ada := x.member("ada", longPassword, method.Password, method.TOTP)
		library := x.application("Library", "teaching", "offline_access")
		b := x.browser()
		b.signIn(ada, "/apps", false)
		fresh := func() tokens {
			return x.last().redeem(x, library, b.get(library.authorize("scope", "openid offline_access")).code())
		}
		first := fresh()
		second := x.last().refresh(x, library, first.Refresh)
		third := x.nodes[0].refresh(x, library, second.Refresh)
		if third.status != 200 {
			t.Fatalf("%+v", third)
		}
		if x.last().refresh(x, library, first.Refresh).status == 200 || x.nodes[0].refresh(x, library, third.Refresh).status == 200 ||
			x.last().active(x, library, third.Access) {
			t.Error("the family lives on after reuse")
		}
		parallel := fresh()
		answers := make([]tokens, 20)
		atOnce(len(answers), func(i int) bool {
			answers[i] = x.nodes[i%len(x.nodes)].refresh(x, library, parallel.Refresh)
			return true
		})
		successors := map[string]bool{}
		for _, a := range answers {
			if a.status == 200 {
				successors[a.Refresh] = true
			}
		}
		if len(successors) != 1 {
			t.Errorf("one refresh token had %d successors", len(successors))
		}
		x.clock.Add(6 * time.Second) // the documented grace is over
		if x.last().refresh(x, library, parallel.Refresh).status == 200 {
			t.Error("reuse after the grace")
		}
		for s := range successors {
			if x.nodes[0].refresh(x, library, s).status == 200 {
				t.Error("the successor lives on after reuse")
			}
		}
		// The absolute lifetime holds under rotation.
		long := fresh()
		for range 31 {
			x.clock.Add(24 * time.Hour)
			next := x.last().refresh(x, library, long.Refresh)
			if next.status != 200 {
				long.Refresh = ""
				break
			}
			long = next
		}
		if long.Refresh != "" {
			t.Error("rotation made a refresh token immortal")
		}
	})
}

func TestG40_CodeOnTwoNodes(t *testing.T) {
	everywhere(t, func(t *testing.T, x *target) {
		ada := x.member("ada", longPassword, method.Password, method.TOTP)
		library := x.application("Library", "teaching")
		b := x.browser()
		code := b.signIn(ada, library.authorize(), false).code()
		answers := make([]tokens, 20)
		won := atOnce(len(answers), func(i int) bool {
			answers[i] = x.nodes[i%len(x.nodes)].redeem(x, library, code)
			return answers[i].status == 200
		})
		if won != 1 {
			t.Errorf("one code was redeemed %d times", won)
		}
		for _, a := range answers {
			if a.Access != "" && (x.last().active(x, library, a.Access) || x.nodes[0].refresh(x, library, a.Refresh).status == 200) {
				t.Error("the tokens of a code that was redeemed twice live on")
			}
		}
	})
}

// What an application asks for can make the house stricter, never more lenient: not by max_age, not by a name of
// assurance, not by a prompt.
func TestNothingInARequestLoosensPolicy(t *testing.T) {
	x := newTarget(t, "", 1)
	ada := x.member("ada", longPassword, method.Password, method.TOTP, method.Passkey)
	records, money := x.application("Records", "clinical"), x.application("Money", "money")
	b := x.browser()
	b.signIn(ada, "/apps", false)
	for age, a := range map[time.Duration]*application{20 * time.Minute: records, 75 * time.Minute: money} {
		then := b.copied()
		x.clock.Add(age)
		for _, extra := range [][]string{{}, {"max_age", "1000"}, {"max_age", "1790"}, {"max_age", "5000"}, {"max_age", "86400"}, {"max_age", "999999999"},
			{"acr_values", "https://refeds.org/profile/sfa"}, {"acr_values", "https://refeds.org/profile/mfa", "max_age", "1750"},
			{"prompt", "consent"}, {"prompt", "none"}, {"prompt", "none", "max_age", "1790"},
			{"claims", `{"id_token":{"acr":{"essential":true,"values":["https://refeds.org/profile/sfa"]}}}`}} {
			if r := then.copied().get(a.authorize(extra...)); r.code() != "" {
				t.Errorf("%s after %s with %v: a code without a new proof", a.name, age, extra)
			}
		}
		b = x.browser()
		b.signIn(ada, "/apps", false)
	}
}

// An old page of a request for a new proof does not make a proof of meanwhile a new one.
func TestAnOldRequestForANewProofIsNotMetByAnOldProof(t *testing.T) {
	x := newTarget(t, "", 1)
	ada := x.member("ada", longPassword, method.Password, method.Passkey)
	library := x.application("Library", "teaching")
	b := x.browser()
	page := b.get(library.authorize("prompt", "login"))
	x.clock.Add(10 * time.Minute)
	b.signIn(ada, "/apps", false)
	x.clock.Add(5 * time.Hour)
	if r := b.get("/oauth2/authorize/continue?attempt=" + url.QueryEscape(page.attempt())); r.code() != "" || r.asks() == "" {
		t.Errorf("a proof of five hours ago answered prompt=login: %d %s", r.status, r.location)
	} else if r = b.proceed(r, ada, false); r.code() == "" {
		t.Errorf("the new proof did not lead on: %s", r.text())
	}
}
