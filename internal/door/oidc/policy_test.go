package oidc_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// withPassword is a browser in which m has proven a long password and nothing else; remembered: and that is remembered
// from a full sign-in earlier. It gives the remembered family, or "".
func (h *house) withPassword(m *member, remembered bool) (*browser, string) {
	h.t.Helper()
	now := h.clock.Now()
	b := h.browser()
	cookie := secret.Token(32)
	b.cookies[httpdoor.BrowserCookie] = cookie.Reveal()
	cred := method.Credential{ID: secret.NewID(now), Person: string(m.ID), Kind: method.Password, State: []byte("x"), Created: now}
	begin := session.Beginning{Person: m.ID, Browser: secret.Hash(cookie.Reveal()), Evidence: []method.Evidence{{Kind: method.Password,
		Credential: cred.ID, Factors: method.Knowledge, Long: true, At: now}}}
	h.tx(func(ctx context.Context, s apps.FlowStore) error {
		if err := s.AddCredential(ctx, cred); err != nil {
			return err
		}
		if remembered {
			known, token := session.NewBrowser(now, session.Remembering{Person: m.ID, Browser: begin.Browser, ProvenAt: now.Add(-24 * time.Hour)}, 30*24*time.Hour)
			begin.Family = known.Family
			b.cookies[httpdoor.RememberedCookie] = token.Reveal()
			if err := s.AddBrowser(ctx, known); err != nil {
				return err
			}
		}
		started, token := session.Start(now, begin, session.Limits{})
		b.cookies[httpdoor.SessionCookie] = token.Reveal()
		return s.AddSession(ctx, started)
	})
	return b, begin.Family
}

func TestG3_OneFactorOpensNoApplication(t *testing.T) {
	h := newHouse(t)
	c, ada := h.client("library", nil), h.member("ada")
	b, _ := h.withPassword(ada, false)
	b.get(c.authorizeURL("prompt", "none")).wantError(t, "interaction_required")
	a := b.get(c.authorizeURL())
	if !strings.HasPrefix(a.Header.Get("Location"), "/signin?attempt=") {
		t.Fatalf("%d %s", a.StatusCode, a.Header.Get("Location"))
	}
	// Going on without having answered leads back to the page, never to a code.
	u, err := url.Parse(a.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	on := b.get(apps.Continue + "?attempt=" + url.QueryEscape(u.Query().Get("attempt")))
	if !strings.HasPrefix(on.Header.Get("Location"), "/signin?attempt=") {
		t.Errorf("%d %s", on.StatusCode, on.Header.Get("Location"))
	}
	// The attempt is another browser's: nothing to go on with.
	if other := h.browser().get(apps.Continue + "?attempt=" + url.QueryEscape(u.Query().Get("attempt"))); other.StatusCode != 410 {
		t.Errorf("another browser's attempt: %d", other.StatusCode)
	}
	if got := payload(t, h.redeem(c, b.get(b.signIn(a, ada)).reply(t).Get("code")).tokens(t).ID); got["acr"] != "phr" {
		t.Errorf("after the step-up: %v", got)
	}
}

func TestStepUpForOneApplicationAndNotTheOther(t *testing.T) {
	h := newHouse(t)
	p := policy.Default()
	p.Rules = []policy.Rule{
		{Name: "any", State: policy.RuleOn, Applications: policy.Match{ExceptNames: []string{"App records"}}, Grant: policy.Grant{Strength: policy.StrengthAny}},
		{Name: "records", State: policy.RuleOn, Applications: policy.Match{Names: []string{"App records"}}, Grant: policy.Grant{Strength: policy.StrengthPhishingResistant}},
	}
	h.savePolicy(p)
	news, records, ada := h.client("news", nil), h.client("records", nil), h.member("ada")
	b, _ := h.withPassword(ada, false)
	first := payload(t, h.redeem(news, b.get(news.authorizeURL()).reply(t).Get("code")).tokens(t).ID)
	if first["acr"] != "https://refeds.org/profile/sfa" {
		t.Errorf("acr %v", first["acr"])
	}
	b.get(records.authorizeURL("prompt", "none")).wantError(t, "interaction_required")
	h.clock.add(time.Minute)
	stepped := payload(t, h.redeem(records, b.code(records, ada)).tokens(t).ID)
	if stepped["acr"] != "phr" || stepped["sid"] != first["sid"] || stepped["auth_time"] == first["auth_time"] {
		t.Errorf("%v, then %v", first, stepped)
	}
}

func TestARememberedBrowserIsNoFactorAndTakesItsGrantsAlong(t *testing.T) {
	h := newHouse(t)
	c, ada := h.client("library", nil), h.member("ada")
	b, family := h.withPassword(ada, true)
	got := h.redeem(c, b.get(c.authorizeURL("scope", "openid offline_access")).reply(t).Get("code")).tokens(t)
	if acr := payload(t, got.ID)["acr"]; acr != "https://refeds.org/profile/sfa" {
		t.Errorf("a remembered browser is told as %v", acr)
	}
	b.get(c.authorizeURL("prompt", "none", "claims", `{"id_token":{"acr":{"essential":true,"value":"https://refeds.org/profile/mfa"}}}`)).
		wantError(t, "interaction_required")
	got = h.refresh(c, got.Refresh).tokens(t)
	h.tx(func(ctx context.Context, s apps.FlowStore) error {
		_, err := s.ForgetBrowser(ctx, family)
		return err
	})
	h.refresh(c, got.Refresh).wantOAuth(t, 400, "invalid_grant")
	b.get(c.authorizeURL("prompt", "none")).wantError(t, "interaction_required")
}

func TestARememberedBrowserEndsByItself(t *testing.T) {
	h := newHouse(t)
	c, ada := h.client("library", func(a *apps.Application) { a.OIDC.RefreshMax = 100 * 86400 }), h.member("ada")
	b, _ := h.withPassword(ada, true)
	got := h.redeem(c, b.get(c.authorizeURL("scope", "openid offline_access")).reply(t).Get("code")).tokens(t)
	h.clock.add(28 * 24 * time.Hour)
	got = h.refresh(c, got.Refresh).tokens(t)
	h.clock.add(2 * 24 * time.Hour) // 30 days and more since the proof that is remembered
	h.refresh(c, got.Refresh).wantOAuth(t, 400, "invalid_grant")
}

func TestPolicyRefuses(t *testing.T) {
	h := newHouse(t)
	h.savePolicy(staffOnly(policy.StrengthMFA))
	c, eve, b := h.client("library", nil), h.member("eve"), h.browser()
	b.code(h.client("other", nil), h.member("ada", "staff"))
	// Eve signs in to nothing: she is told why, on our page, and the application gets no code.
	stranger := h.browser()
	a := stranger.get(c.authorizeURL())
	u, err := url.Parse(a.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	step, err := h.signin.Show(ctx, stranger.caller(), u.Query().Get("attempt"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := eve.device.Get(step.Passkey.Public)
	if err != nil {
		t.Fatal(err)
	}
	step, err = h.signin.Answer(ctx, stranger.caller(), step.Attempt, method.Passkey, method.Answer{JSON: signed}, false)
	if err != nil || step.Kind != signin.StepRefused {
		t.Fatalf("step %d, %v", step.Kind, err)
	}
	// Ada loses her group while she is signed in.
	ada, adas := h.member("bea", "staff"), h.browser()
	adas.code(c, ada)
	h.tx(func(ctx context.Context, s apps.FlowStore) error {
		p, err := s.PersonByID(ctx, ada.ID)
		if err != nil {
			return err
		}
		p.Groups = nil
		return s.UpdatePerson(ctx, p)
	})
	adas.get(c.authorizeURL("prompt", "none")).wantError(t, "access_denied")
	shown := adas.get(c.authorizeURL())
	u, err = url.Parse(shown.Header.Get("Location"))
	if err != nil || u.Path != "/signin" {
		t.Fatal(shown.Header.Get("Location"))
	}
	step, err = h.signin.Show(ctx, adas.caller(), u.Query().Get("attempt"))
	if err != nil || step.Kind != signin.StepRefused || len(step.Reasons) == 0 {
		t.Errorf("step %d, %v, %+v", step.Kind, err, step.Reasons)
	}
	h.wantReason(ada, "app.admitted refused blocked")
}

func TestIdleSessionsAndLivelyOnes(t *testing.T) {
	h := newHouse(t)
	c, ada, b := h.client("library", nil), h.member("ada"), h.browser()
	b.code(c, ada)
	for range 3 { // using an application keeps the session awake
		h.clock.add(7 * time.Hour)
		b.get(c.authorizeURL("prompt", "none")).wantCode(t)
	}
	h.clock.add(4 * time.Hour) // and nothing extends its end
	b.get(c.authorizeURL("prompt", "none")).wantError(t, "login_required")
}
