package oidc_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
)

func TestClientAuthentication(t *testing.T) {
	h := newHouse(t)
	ada, b := h.member("ada"), h.browser()
	c, spa := h.client("library", nil), h.client("spa", public)
	onlyPost := h.client("post", func(a *apps.Application) { a.OIDC.TokenAuth = apps.AuthPost })
	form := func(of *client, pairs ...string) url.Values {
		v := url.Values{"grant_type": {"authorization_code"}, "code": {b.code(of, ada)}, "redirect_uri": {callback}, "code_verifier": {verifier}}
		for i := 0; i+1 < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return v
	}
	post := func(v url.Values, header ...string) answer {
		return h.browser().do("POST", "/oauth2/token", v, header...)
	}

	post(form(c), "Authorization", basic("library", c.secret)).tokens(t)
	post(form(c, "client_id", "library", "client_secret", c.secret)).tokens(t)
	post(form(onlyPost, "client_id", "post", "client_secret", onlyPost.secret)).tokens(t)
	post(form(spa, "client_id", "spa")).tokens(t)
	// Dovecot sends both parameters empty beside HTTP Basic.
	post(form(c, "client_id", "", "client_secret", ""), "Authorization", basic("library", c.secret)).tokens(t)

	for name, refused := range map[string]answer{
		"nothing":                 post(form(c)),
		"no secret":               post(form(c, "client_id", "library")),
		"wrong secret":            post(form(c), "Authorization", basic("library", "guess")),
		"wrong secret, posted":    post(form(c, "client_id", "library", "client_secret", "guess")),
		"unknown client":          post(form(c), "Authorization", basic("nobody", c.secret)),
		"empty secret":            post(form(c), "Authorization", "Basic "+"bGlicmFyeTo="),
		"no Basic":                post(form(c), "Authorization", "Bearer "+c.secret),
		"not base64":              post(form(c), "Authorization", "Basic !!!"),
		"registered for post":     post(form(onlyPost), "Authorization", basic("post", onlyPost.secret)),
		"a public client's guess": post(form(spa, "client_id", "spa", "client_secret", "guess")),
		"an assertion":            post(form(c, "client_id", "library", "client_assertion", "a.b.c", "client_assertion_type", "x")),
	} {
		refused.wantOAuth(t, 401, "invalid_client")
		if !strings.HasPrefix(refused.Header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%s: %v", name, refused.Header)
		}
	}
	post(form(c, "client_id", "library", "client_secret", c.secret), "Authorization", basic("library", c.secret)).wantOAuth(t, 400, "invalid_request")
	post(form(c, "client_id", "spa"), "Authorization", basic("library", c.secret)).wantOAuth(t, 400, "invalid_request")
}

func TestSecretsCanBeChangedWithoutAGap(t *testing.T) {
	h := newHouse(t)
	ada, b, c := h.member("ada"), h.browser(), h.client("library", nil)
	next, err := h.apps.RotateSecret(t.Context(), "cli:test", "library", true)
	if err != nil {
		t.Fatal(err)
	}
	renewed := &client{c.Application, next.Reveal()}
	h.redeem(c, b.code(c, ada)).tokens(t)
	h.redeem(renewed, b.code(c, ada)).tokens(t)
	if _, err := h.apps.RotateSecret(t.Context(), "cli:test", "library", false); err != nil {
		t.Fatal(err)
	}
	for _, old := range []*client{c, renewed} {
		h.redeem(old, b.code(c, ada)).wantOAuth(t, 401, "invalid_client")
	}
}

func TestTokenRequestsThatCannotBe(t *testing.T) {
	h := newHouse(t)
	c := h.client("library", nil)
	h.post("/oauth2/token", c).wantOAuth(t, 400, "invalid_request")
	h.post("/oauth2/token", c, "grant_type", "password", "username", "ada", "password", "x").wantOAuth(t, 400, "unsupported_grant_type")
	h.post("/oauth2/token", c, "grant_type", "urn:ietf:params:oauth:grant-type:device_code").wantOAuth(t, 400, "unsupported_grant_type")
	h.post("/oauth2/token", c, "grant_type", "authorization_code").wantOAuth(t, 400, "invalid_request")
	h.post("/oauth2/token", c, "grant_type", "refresh_token").wantOAuth(t, 400, "invalid_request")
	h.redeem(c, "nonsense").wantOAuth(t, 400, "invalid_grant")
	h.refresh(c, "nonsense").wantOAuth(t, 400, "invalid_grant")
	h.post("/oauth2/token", c, "grant_type", "client_credentials").wantOAuth(t, 400, "unauthorized_client")
	auth := basic("library", c.secret)
	b := h.browser()
	twice := url.Values{"grant_type": {"refresh_token", "refresh_token"}, "refresh_token": {"x"}}
	b.do("POST", "/oauth2/token", twice, "Authorization", auth).wantOAuth(t, 400, "invalid_request")
	b.do("POST", "/oauth2/token", url.Values{}, "Authorization", auth, "Content-Type", "application/json").wantOAuth(t, 400, "invalid_request")
	if a := b.do("GET", "/oauth2/token?grant_type=client_credentials", nil); a.StatusCode != 405 {
		t.Errorf("GET: %d", a.StatusCode)
	}
	inAddress := b.do("POST", "/oauth2/token?grant_type=refresh_token&refresh_token=x&client_id=library&client_secret="+c.secret, url.Values{"a": {"b"}})
	inAddress.wantOAuth(t, 401, "invalid_client")
	long := b.do("POST", "/oauth2/token", url.Values{"grant_type": {strings.Repeat("x", 20<<10)}}, "Authorization", auth)
	if long.StatusCode != 413 {
		t.Errorf("20 KiB: %d", long.StatusCode)
	}
}

func TestClientCredentials(t *testing.T) {
	h := newHouse(t)
	c := h.client("robot", func(a *apps.Application) {
		a.OIDC.GrantTypes = []string{"client_credentials"}
		a.OIDC.RedirectURIs, a.OIDC.Scopes = nil, []string{"openid", "rooms:read", "rooms:write"}
	})
	got := h.post("/oauth2/token", c, "grant_type", "client_credentials", "scope", "rooms:read").tokens(t)
	if got.Scope != "rooms:read" || got.ID != "" || got.Refresh != "" {
		t.Errorf("%+v", got)
	}
	if p := payload(t, got.Access); p["sub"] != "robot" || p["client_id"] != "robot" || p["acr"] != nil {
		t.Errorf("%v", p)
	}
	if !h.active(c, got.Access) {
		t.Error("inactive")
	}
	h.userinfo(got.Access).wantOAuth(t, 403, "insufficient_scope")
	h.post("/oauth2/token", c, "grant_type", "client_credentials", "scope", "openid").wantOAuth(t, 400, "invalid_scope")
	if all := h.post("/oauth2/token", c, "grant_type", "client_credentials").tokens(t); all.Scope != "rooms:read rooms:write" {
		t.Errorf("scope %q", all.Scope)
	}
	if err := h.apps.SetClosed(t.Context(), "cli:test", "robot", true); err != nil {
		t.Fatal(err)
	}
	other := h.client("api", nil)
	if h.active(other, got.Access) {
		t.Error("the token of a closed application is active")
	}
}

func TestRefresh(t *testing.T) {
	h := newHouse(t)
	c, ada, b := h.client("library", nil), h.member("ada"), h.browser()
	first := h.redeem(c, b.code(c, ada, "scope", "openid email offline_access")).tokens(t)
	h.clock.add(time.Hour)
	next := h.refresh(c, first.Refresh).tokens(t)
	if next.Refresh == first.Refresh || next.Access == first.Access || next.Scope != first.Scope {
		t.Errorf("%+v", next)
	}
	a, z := payload(t, first.ID), payload(t, next.ID)
	for _, same := range []string{"iss", "sub", "aud", "auth_time", "acr"} {
		if a[same] != z[same] {
			t.Errorf("%s changed from %v to %v", same, a[same], z[same])
		}
	}
	if z["nonce"] != nil || z["iat"] == a["iat"] {
		t.Errorf("ID token %v", z)
	}
	narrow := h.refresh(c, next.Refresh, "scope", "openid").tokens(t)
	if narrow.Scope != "openid" {
		t.Errorf("scope %q", narrow.Scope)
	}
	if wide := h.refresh(c, narrow.Refresh).tokens(t); wide.Scope != first.Scope {
		t.Errorf("narrowing once narrowed for ever: %q", wide.Scope)
	} else {
		h.refresh(c, wide.Refresh, "scope", "openid groups").wantOAuth(t, 400, "invalid_scope")
	}
}

func TestRefreshEndsWithTheSessionUnlessOffline(t *testing.T) {
	h := newHouse(t)
	c, ada, b := h.client("library", nil), h.member("ada"), h.browser()
	online := h.redeem(c, b.code(c, ada)).tokens(t)
	offline := h.redeem(c, b.code(c, ada, "scope", "openid offline_access")).tokens(t)
	if err := h.signin.SignOut(t.Context(), b.caller(), false); err != nil {
		t.Fatal(err)
	}
	h.refresh(c, online.Refresh).wantOAuth(t, 400, "invalid_grant")
	if h.active(c, online.Access) {
		t.Error("the access token outlives the session")
	}
	kept := h.refresh(c, offline.Refresh).tokens(t)
	h.clock.add(29 * 24 * time.Hour)
	kept = h.refresh(c, kept.Refresh).tokens(t)
	h.clock.add(25 * time.Hour)
	h.refresh(c, kept.Refresh).wantOAuth(t, 400, "invalid_grant")
}

func TestIntrospectionTellsOnlyWhoMayKnow(t *testing.T) {
	h := newHouse(t)
	mail := h.client("dovecot", nil)
	program := h.client("thunderbird", func(a *apps.Application) { public(a); a.OIDC.Audience = "dovecot" })
	nosy := h.client("nosy", nil)
	ada := h.member("ada")
	got := h.redeem(program, h.browser().code(program, ada, "scope", "openid email")).tokens(t)
	a := h.post("/oauth2/introspect", mail, "token", got.Access).json(t)
	for name, want := range map[string]any{"active": true, "username": "ada", "email": "ada@example.ac.uk", "client_id": "thunderbird",
		"scope": "openid email", "aud": "dovecot", "token_type": "Bearer", "iss": issuer, "sub": string(ada.ID)} {
		if a[name] != want {
			t.Errorf("%s = %v, want %v", name, a[name], want)
		}
	}
	if a["acr"] == nil || a["auth_time"] == nil {
		t.Errorf("RFC 9470: %v", a)
	}
	if h.active(nosy, got.Access) {
		t.Error("a client that has nothing to do with the token learns about it")
	}
	if h.active(mail, got.Refresh) {
		t.Error("a refresh token is nobody's but its client's")
	}
	h.post("/oauth2/introspect", program, "token", got.Access).wantOAuth(t, 401, "invalid_client")
	h.post("/oauth2/introspect", nil, "token", got.Access).wantOAuth(t, 401, "invalid_client")
	h.post("/oauth2/introspect", mail).wantOAuth(t, 400, "invalid_request")
	for _, none := range []string{"x", "a.b.c", got.ID, strings.Repeat("A", 9000)} {
		if h.active(mail, none) {
			t.Errorf("%.20q is active", none)
		}
	}
	// Dovecot's own way of asking.
	dovecot := h.browser().do("POST", "/oauth2/introspect", url.Values{"token": {got.Access}, "client_id": {""}, "client_secret": {""}},
		"Authorization", basic("dovecot", mail.secret))
	if dovecot.json(t)["active"] != true {
		t.Errorf("%d %s", dovecot.StatusCode, dovecot.body)
	}
}

func TestRevocation(t *testing.T) {
	h := newHouse(t)
	c, other, ada, b := h.client("library", nil), h.client("other", nil), h.member("ada"), h.browser()
	got := h.redeem(c, b.code(c, ada)).tokens(t)
	h.post("/oauth2/revoke", other, "token", got.Access).wantOAuth(t, 400, "unauthorized_client")
	h.post("/oauth2/revoke", other, "token", got.Refresh).wantOAuth(t, 400, "unauthorized_client")
	if !h.active(c, got.Access) || !h.active(c, got.Refresh) {
		t.Fatal("another client revoked")
	}
	if a := h.post("/oauth2/revoke", c, "token", got.Access); a.StatusCode != 200 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if h.active(c, got.Access) || !h.active(c, got.Refresh) {
		t.Error("an access token goes alone")
	}
	h.userinfo(got.Access).wantOAuth(t, 401, "invalid_token")
	next := h.refresh(c, got.Refresh).tokens(t)
	h.post("/oauth2/revoke", c, "token", next.Refresh, "token_type_hint", "refresh_token")
	if h.active(c, next.Access) || h.active(c, next.Refresh) {
		t.Error("a refresh token takes its family along")
	}
	h.refresh(c, next.Refresh).wantOAuth(t, 400, "invalid_grant")
	for _, again := range []string{next.Refresh, next.Access, "never-was"} {
		if a := h.post("/oauth2/revoke", c, "token", again); a.StatusCode != 200 {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	}
}

// A grant ends with its evidence as policy sees it: an answer lost on the way must not.
func TestALostAnswerIsNoTheft(t *testing.T) {
	h := newHouse(t)
	c := h.client("library", nil)
	r1 := h.redeem(c, h.browser().code(c, h.member("ada"))).tokens(t).Refresh
	r2 := h.refresh(c, r1).tokens(t).Refresh
	h.clock.add(apps.RefreshGrace - time.Second)
	again := h.refresh(c, r1).tokens(t)
	if again.Refresh != r2 {
		t.Error("the same question got another successor: then the client may hold either")
	}
	h.refresh(c, r2).tokens(t)
}

func TestAClientThatGoesOnAskingDoesNotFillTheTrail(t *testing.T) {
	h := newHouse(t)
	c, ada, b := h.client("library", nil), h.member("ada"), h.browser()
	got := h.redeem(c, b.code(c, ada)).tokens(t)
	if err := h.signin.SignOut(t.Context(), b.caller(), false); err != nil {
		t.Fatal(err)
	}
	late := b.code(c, ada)
	h.clock.add(2 * time.Minute)
	before := len(h.reasons(ada))
	for range 10 {
		h.refresh(c, got.Refresh).wantOAuth(t, 400, "invalid_grant")
		h.redeem(c, late).wantOAuth(t, 400, "invalid_grant")
	}
	if more := len(h.reasons(ada)) - before; more > 2 {
		t.Errorf("%d entries: %q", more, h.reasons(ada))
	}
}
