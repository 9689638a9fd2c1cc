package oidc_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/apps"
)

func TestG102_IssuerInEveryAnswer(t *testing.T) {
	h := newHouse(t)
	c, b := h.client("library", nil), h.browser()
	meta := b.get("/.well-known/openid-configuration").json(t)["issuer"]
	if meta != issuer {
		t.Fatalf("%v", meta)
	}
	// reply checks iss, of codes and errors alike.
	b.get(c.authorizeURL("prompt", "none")).reply(t)
	b.get(c.authorizeURL("response_type", "token")).reply(t)
	b.get(c.authorizeURL("scope", "nothing")).reply(t)
	ada := h.member("ada")
	b.code(c, ada)
	if got := b.get(c.authorizeURL()).reply(t); len(got["iss"]) != 1 || len(got["code"]) != 1 || got.Get("state") != "st-1" {
		t.Errorf("%v", got)
	}
	if got := b.get(c.authorizeURL("state", "")).reply(t); got["state"] != nil {
		t.Errorf("a state out of nowhere: %v", got)
	}
	for _, header := range []string{"X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Original-Host"} {
		if a := b.do("GET", "/.well-known/openid-configuration", nil, header, "evil.example"); a.json(t)["issuer"] != issuer {
			t.Errorf("%s changes the issuer", header)
		}
	}
}

// G103: whatever is put into any parameter, the browser goes to the registered address or stays here.
func TestG103_NoOpenRedirect(t *testing.T) {
	h := newHouse(t)
	c, b := h.client("library", nil), h.browser()
	stranger := h.browser()
	id := h.redeem(c, b.code(c, h.member("ada"))).tokens(t).ID
	var payloads []string
	for _, host := range []string{"evil.example", "evil.example/x", "library.example.ac.uk.evil.example", "evil.example%00", "evil。example"} {
		for _, form := range []string{"//%s", "/\\%s", "\\\\%s", "https:%s", "https://%s", "///%s", "/%%09/%s", "%%0d%%0aLocation: https://%s", "\r\nLocation: https://%s", "javascript:alert('%s')", "https://library.example.ac.uk@%s", "data:text/html,%s"} {
			payloads = append(payloads, strings.Replace(strings.ReplaceAll(form, "%%", "%"), "%s", host, 1))
		}
	}
	if len(payloads) < 60 {
		t.Fatalf("%d payloads", len(payloads))
	}
	params := append([]string{"next", "returnTo", "service", "RelayState", "attempt"}, "client_id", "redirect_uri", "response_type", "response_mode", "scope",
		"state", "nonce", "code_challenge", "prompt", "max_age", "acr_values", "login_hint", "id_token_hint", "claims", "request", "request_uri")
	stays := func(what string, a answer) {
		to := a.Header.Get("Location")
		if len(a.Header.Values("Location")) > 1 || strings.ContainsAny(to, "\r\n") {
			t.Errorf("%s: split header %q", what, to)
		}
		if to != "" && !strings.HasPrefix(to, callback+"?") && !strings.HasPrefix(to, loggedof) && !strings.HasPrefix(to, "/signin?attempt=") && !strings.HasPrefix(to, "/oauth2/") {
			t.Errorf("%s: sent to %q", what, to)
		}
	}
	for i, p := range payloads {
		for j, name := range params {
			if (i+j)%3 == 0 { // every parameter meets every kind of payload, in a third of the combinations
				stays(name+"="+p, b.get(c.authorizeURL(name, p)))
			}
		}
		stays("logout "+p, stranger.get(logoutURL("post_logout_redirect_uri", p, "id_token_hint", id, "state", p)))
		stays("logout, client "+p, stranger.get(logoutURL("client_id", p, "post_logout_redirect_uri", loggedof, "id_token_hint", id)))
		stays("continue "+p, b.get(apps.Continue+"?attempt="+url.QueryEscape(p)))
	}
}

func TestG107_ClientSecretsAreNeverRead(t *testing.T) {
	h := newHouse(t)
	c, ada := h.client("library", nil), h.member("ada")
	b := h.browser()
	got := h.redeem(c, b.code(c, ada)).tokens(t)
	canaries := []string{c.secret}
	for _, hash := range c.OIDC.SecretHashes {
		canaries = append(canaries, base64.StdEncoding.EncodeToString(hash), base64.RawURLEncoding.EncodeToString(hash))
	}
	var seen []string
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/oauth2/jwks", "/oauth2/authorize",
		c.authorizeURL(), c.authorizeURL("prompt", "none"), "/oauth2/authorize/continue", "/oauth2/logout", "/oauth2/userinfo", "/oauth2/token"} {
		for _, who := range []*browser{b, h.browser()} {
			a := who.do("GET", path, nil, "Authorization", "Bearer "+got.Access)
			dump, _ := json.Marshal(a.Header)
			seen = append(seen, a.body, string(dump))
		}
	}
	seen = append(seen, h.post("/oauth2/introspect", c, "token", got.Access).body, strings.Join(h.reasons(ada), " "))
	for _, text := range seen {
		for _, canary := range canaries {
			if strings.Contains(text, canary) {
				t.Errorf("a secret is shown: %s", text)
			}
		}
	}
	h.tx(func(ctx context.Context, s apps.FlowStore) error {
		stored, err := s.Applications(ctx)
		text, _ := json.Marshal(stored)
		if strings.Contains(string(text), c.secret) {
			t.Error("the secret itself is stored")
		}
		return err
	})
}

func TestG109_NothingOfTheRequestIsMarkup(t *testing.T) {
	h := newHouse(t)
	c, b := h.client("library", nil), h.browser()
	b.code(c, h.member("ada"))
	for _, evil := range []string{`"><script>alert(1)</script>`, `'-alert(1)-'`, `</form><img src=x onerror=alert(1)>`, "`${alert(1)}`"} {
		for _, name := range []string{"state", "scope", "prompt", "response_type", "claims", "nonce", "max_age", "redirect_uri", "client_id"} {
			a := b.get(c.authorizeURL("response_mode", "form_post", name, evil))
			if strings.Contains(a.body, "<script>") || strings.Contains(a.body, "<img") {
				t.Errorf("%s=%s: %s", name, evil, a.body)
			}
			if csp := a.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
				t.Errorf("%s: policy %q", name, csp)
			}
		}
	}
	for _, uri := range []string{"javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "java\nscript:x",
		"https://*.example.ac.uk/", "https://library.example.ac.uk/#x", "http://library.example.ac.uk/", "https://u:p@library.example.ac.uk/", "", "https://"} {
		if err := apps.Check(apps.Application{Name: "x", OIDC: apps.OIDC{ClientID: "x", RedirectURIs: []string{uri}}}); err == nil {
			t.Errorf("%q can be registered", uri)
		}
	}
}

func TestG111_BombsAtEveryEndpoint(t *testing.T) {
	h := newHouse(t)
	c, b := h.client("library", nil), h.browser()
	head := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for name, bomb := range map[string]string{
		"dots": strings.Repeat(".", 7000), "long": strings.Repeat("A", 7000) + ".A.A",
		"p2c": head(`{"alg":"PBES2-HS512+A256KW","enc":"A256GCM","p2c":2147483647,"p2s":"AA"}`) + ".A.A.A.A",
		"zip": head(`{"alg":"dir","enc":"A256GCM","zip":"DEF"}`) + "..A.A.A",
	} {
		if h.active(c, bomb) {
			t.Errorf("%s: active", name)
		}
		h.userinfo(bomb).wantOAuth(t, 401, "invalid_token")
		h.refresh(c, bomb).wantOAuth(t, 400, "invalid_grant")
		if a := b.get(c.authorizeURL("id_token_hint", bomb)); a.StatusCode != 303 && a.StatusCode != 400 {
			t.Errorf("%s as a hint: %d", name, a.StatusCode)
		}
		if a := b.get(logoutURL("id_token_hint", bomb)); a.StatusCode != 200 {
			t.Errorf("%s at logout: %d %s", name, a.StatusCode, a.body)
		}
	}
	b.get(c.authorizeURL("state", strings.Repeat("x", 7000))).wantPage(t, "oauth.request_invalid")
}
