package oidc_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-id/gatehouse/internal/apps"
)

func TestCodeFlow(t *testing.T) {
	h := newHouse(t)
	c, ada, b := h.client("library", nil), h.member("ada"), h.browser()
	code := b.code(c, ada)
	issued := h.clock.Now().Unix()
	got := h.redeem(c, code).tokens(t)
	if got.Expires != 600 || got.Scope != "openid" || got.Refresh == "" {
		t.Errorf("tokens: expires %d, scope %q, refresh %q", got.Expires, got.Scope, got.Refresh)
	}
	id := payload(t, got.ID)
	for claim, want := range map[string]any{"iss": issuer, "aud": "library", "sub": string(ada.ID), "nonce": "no-1",
		"iat": float64(issued), "exp": float64(issued + 600), "auth_time": float64(issued), "acr": "phr"} {
		if id[claim] != want {
			t.Errorf("ID token %s = %v, want %v", claim, id[claim], want)
		}
	}
	if id["at_hash"] == "" || id["sid"] == "" || len(id["amr"].([]any)) == 0 {
		t.Errorf("ID token %v", id)
	}
	access := payload(t, got.Access)
	for claim, want := range map[string]any{"iss": issuer, "aud": "library", "client_id": "library", "sub": string(ada.ID), "scope": "openid"} {
		if access[claim] != want {
			t.Errorf("access token %s = %v, want %v", claim, access[claim], want)
		}
	}
	if !h.active(c, got.Access) {
		t.Error("a fresh access token is inactive")
	}
	h.clock.add(601 * time.Second)
	if h.active(c, got.Access) {
		t.Error("an access token lives longer than ten minutes")
	}
}

func TestWithoutNonce(t *testing.T) {
	h := newHouse(t)
	c := h.client("library", nil)
	id := payload(t, h.redeem(c, h.browser().code(c, h.member("ada"), "nonce", "")).tokens(t).ID)
	if _, has := id["nonce"]; has {
		t.Errorf("a nonce out of nowhere: %v", id)
	}
}

func TestParameterOrder(t *testing.T) {
	h := newHouse(t)
	c, b := h.client("library", nil), h.browser()
	b.code(c, h.member("ada"))
	q := c.params("scope", "email openid")
	var parts []string
	for k, v := range q {
		parts = append(parts, k+"="+url.QueryEscape(v[0]))
	}
	slices.Sort(parts)
	slices.Reverse(parts)
	a := b.get("/oauth2/authorize?" + strings.Join(parts, "&"))
	got := h.redeem(c, a.reply(t).Get("code")).tokens(t)
	if got.Scope != "email openid" || got.ID == "" {
		t.Errorf("scope %q", got.Scope)
	}
}

func TestParametersWithoutMeaningAreIgnored(t *testing.T) {
	h := newHouse(t)
	c, b := h.client("library", nil), h.browser()
	b.code(c, h.member("ada"))
	for _, extra := range [][2]string{{"extra", "foobar"}, {"display", "page"}, {"display", "popup"}, {"ui_locales", "se"},
		{"claims_locales", "se"}, {"prompt", "consent"}, {"resource", "https://api.example"}} {
		if b.get(c.authorizeURL(extra[0], extra[1])).reply(t).Get("code") == "" {
			t.Errorf("%v: no code", extra)
		}
	}
}

func TestLoginHintReachesTheSignInPage(t *testing.T) {
	h := newHouse(t)
	c, b := h.client("library", nil), h.browser()
	ada := h.member("ada")
	a := b.get(c.authorizeURL("login_hint", "ada"))
	u, err := url.Parse(a.Header.Get("Location"))
	if err != nil || u.Path != "/signin" {
		t.Fatal(a.Header.Get("Location"))
	}
	target, err := h.signin.ReadTarget(t.Context(), b.caller(), u.Query().Get("attempt"))
	if err != nil || target.Hint != "ada" || target.ActionOrigin != "https://library.example.ac.uk" || target.Application != c.ID {
		t.Errorf("target %+v, %v", target, err)
	}
	if b.get(b.signIn(a, ada)).reply(t).Get("code") == "" {
		t.Error("no code")
	}
}

func TestAuthorizeByPost(t *testing.T) {
	h := newHouse(t)
	c, b := h.client("library", nil), h.browser()
	b.code(c, h.member("ada"))
	// From another site the browser leaves the cookies at home; the answer must not put others in their place.
	stranger := h.browser()
	a := stranger.do("POST", "/oauth2/authorize", c.params(), "Sec-Fetch-Site", "cross-site", "Origin", "https://library.example.ac.uk")
	if a.StatusCode != http.StatusSeeOther || len(a.Cookies()) != 0 {
		t.Fatalf("%d, cookies %v", a.StatusCode, a.Cookies())
	}
	if b.get(a.Header.Get("Location")).reply(t).Get("code") == "" {
		t.Error("no code")
	}
}

func TestResponseTypes(t *testing.T) {
	h := newHouse(t)
	c, b := h.client("library", nil), h.browser()
	b.get(c.authorizeURL("response_type", "")).wantError(t, "invalid_request")
	for _, other := range []string{"token", "id_token", "code id_token", "code token", "none", "CODE"} {
		b.get(c.authorizeURL("response_type", other)).wantError(t, "unsupported_response_type")
	}
	for _, other := range []string{"fragment", "web_message", "query.jwt"} {
		b.get(c.authorizeURL("response_mode", other)).wantError(t, "invalid_request")
	}
}

func TestRequestObjectsAreRefused(t *testing.T) {
	h := newHouse(t)
	c, b := h.client("library", nil), h.browser()
	unsigned := "eyJhbGciOiJub25lIn0.eyJyZWRpcmVjdF91cmkiOiJodHRwczovL2V2aWwuZXhhbXBsZS8ifQ."
	b.get(c.authorizeURL("request", unsigned)).wantError(t, "request_not_supported")
	b.get(c.authorizeURL("request_uri", "https://library.example.ac.uk/request")).wantError(t, "request_uri_not_supported")
	b.get(c.authorizeURL("registration", "{}")).wantError(t, "registration_not_supported")
	b.get(c.authorizeURL("request", unsigned, "redirect_uri", "https://evil.example/")).wantPage(t, "oauth.redirect_unregistered")
}

func TestFormPost(t *testing.T) {
	h := newHouse(t)
	c, b := h.client("library", nil), h.browser()
	b.code(c, h.member("ada"))
	a := b.get(c.authorizeURL("response_mode", "form_post", "state", `"><script>alert(1)</script>`))
	if a.StatusCode != http.StatusOK || a.Header.Get("Cache-Control") != "no-store" ||
		!strings.Contains(a.body, `action="`+callback+`"`) || !strings.Contains(a.body, `name="code"`) ||
		!strings.Contains(a.body, `name="iss" value="`+issuer+`"`) {
		t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
	if strings.Contains(a.body, "<script>") {
		t.Error("state was not encoded")
	}
	e := b.get(c.authorizeURL("response_mode", "form_post", "response_type", "token"))
	if e.StatusCode != http.StatusOK || !strings.Contains(e.body, `name="error" value="unsupported_response_type"`) {
		t.Errorf("%d %s", e.StatusCode, e.body)
	}
}

func TestIDTokenSignature(t *testing.T) {
	h := newHouse(t)
	b, ada := h.browser(), h.member("ada")
	keysAt := h.browser().get("/oauth2/jwks")
	for alg, c := range map[string]*client{
		"ES256": h.client("usual", nil),
		"RS256": h.client("older", func(a *apps.Application) { a.OIDC.IDTokenAlg = "RS256" }),
	} {
		got := h.redeem(c, b.code(c, ada)).tokens(t)
		for _, token := range []string{got.ID, got.Access} {
			jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
			if err != nil {
				t.Fatalf("%s: %v", alg, err)
			}
			if !strings.Contains(keysAt.body, jws.Signatures[0].Protected.KeyID) {
				t.Errorf("%s: key is not published", alg)
			}
		}
	}
}

func TestUserInfo(t *testing.T) {
	h := newHouse(t)
	c, ada := h.client("library", nil), h.member("ada")
	got := h.redeem(c, h.browser().code(c, ada)).tokens(t)
	b := h.browser()
	for name, a := range map[string]answer{
		"GET":            h.userinfo(got.Access),
		"POST, header":   b.do("POST", "/oauth2/userinfo", nil, "Authorization", "Bearer "+got.Access),
		"POST, form":     b.do("POST", "/oauth2/userinfo", url.Values{"access_token": {got.Access}}),
		"lower-case way": b.do("GET", "/oauth2/userinfo", nil, "Authorization", "bearer "+got.Access),
	} {
		if a.StatusCode != 200 || a.json(t)["sub"] != string(ada.ID) || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	if a := b.get("/oauth2/userinfo"); a.StatusCode != 401 || a.Header.Get("WWW-Authenticate") != `Bearer realm="userinfo"` {
		t.Errorf("without a token: %d %v", a.StatusCode, a.Header)
	}
	if a := b.get("/oauth2/userinfo?access_token=" + got.Access); a.StatusCode != 401 {
		t.Errorf("a token in the address: %d", a.StatusCode)
	}
	a := h.userinfo("nonsense")
	a.wantOAuth(t, 401, "invalid_token")
	if !strings.Contains(a.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Errorf("%v", a.Header)
	}
	b.do("POST", "/oauth2/userinfo", url.Values{"access_token": {got.Access}}, "Authorization", "Bearer "+got.Access).
		wantOAuth(t, 400, "invalid_request")
}

func TestScopes(t *testing.T) {
	h := newHouse(t)
	c, ada, b := h.client("library", nil), h.member("ada", "staff", "chemistry"), h.browser()
	claims := map[string][]string{
		"openid":                             {},
		"openid profile":                     {"name", "given_name", "family_name", "preferred_username", "updated_at"},
		"openid email":                       {"email", "email_verified"},
		"openid groups":                      {"groups"},
		"openid address":                     {},
		"openid phone":                       {},
		"openid address phone email profile": {"name", "given_name", "family_name", "preferred_username", "updated_at", "email", "email_verified"},
	}
	for scope, want := range claims {
		got := h.userinfo(h.redeem(c, b.code(c, ada, "scope", scope)).tokens(t).Access).json(t)
		delete(got, "sub")
		for _, name := range want {
			if _, has := got[name]; !has {
				t.Errorf("scope %q: no %s in %v", scope, name, got)
			}
		}
		if len(got) != len(want) {
			t.Errorf("scope %q gives %v", scope, got)
		}
	}
	b.get(c.authorizeURL("scope", "invented")).wantError(t, "invalid_scope")
	b.get(c.authorizeURL("scope", "")).wantError(t, "invalid_scope")
	plain := h.redeem(c, b.code(c, ada, "scope", "email")).tokens(t)
	if plain.ID != "" {
		t.Error("an ID token without openid")
	}
	h.userinfo(plain.Access).wantOAuth(t, 403, "insufficient_scope")
}

func TestClaimsParameter(t *testing.T) {
	h := newHouse(t)
	c, ada, b := h.client("library", nil), h.member("ada"), h.browser()
	got := h.redeem(c, b.code(c, ada, "claims", `{"userinfo":{"name":{"essential":true},"shoe_size":null},"id_token":{"email":null,"auth_time":{"essential":true}}}`)).tokens(t)
	if info := h.userinfo(got.Access).json(t); info["name"] != "Ada Example" || info["email"] != nil {
		t.Errorf("userinfo %v", info)
	}
	if id := payload(t, got.ID); id["email"] != "ada@example.ac.uk" || id["name"] != nil {
		t.Errorf("ID token %v", id)
	}
	for _, bad := range []string{"{", "[]", `"x"`, `{"id_token":{"acr":{"values":[1]}}}`, `{"id_token":[]}`, strings.Repeat(" ", 4100) + "{}"} {
		b.get(c.authorizeURL("claims", bad)).wantError(t, "invalid_request")
	}
	narrow := h.client("narrow", func(a *apps.Application) { a.OIDC.Scopes = []string{"openid"} })
	kept := h.redeem(narrow, b.code(narrow, ada, "claims", `{"id_token":{"email":null,"groups":null}}`)).tokens(t)
	if id := payload(t, kept.ID); id["email"] != nil || id["groups"] != nil {
		t.Errorf("claims beyond the registered scopes: %v", id)
	}
	b.get(c.authorizeURL("prompt", "none", "claims", `{"id_token":{"sub":{"value":"somebody-else"}}}`)).wantError(t, "login_required")
	b.get(c.authorizeURL("prompt", "none", "claims", `{"id_token":{"sub":{"value":"`+string(ada.ID)+`"}}}`)).wantCode(t)
}

func (a answer) wantCode(t testing.TB) {
	t.Helper()
	if q := a.reply(t); q.Get("code") == "" {
		t.Errorf("no code: %v", q)
	}
}

func TestPromptNone(t *testing.T) {
	h := newHouse(t)
	c, ada, b := h.client("library", nil), h.member("ada"), h.browser()
	b.get(c.authorizeURL("prompt", "none")).wantError(t, "login_required")
	first := payload(t, h.redeem(c, b.code(c, ada)).tokens(t).ID)
	h.clock.add(time.Minute)
	a := b.get(c.authorizeURL("prompt", "none"))
	second := payload(t, h.redeem(c, a.reply(t).Get("code")).tokens(t).ID)
	if first["sub"] != second["sub"] || first["auth_time"] != second["auth_time"] {
		t.Errorf("%v, then %v", first, second)
	}
	b.get(c.authorizeURL("prompt", "none login")).wantError(t, "invalid_request")
	b.get(c.authorizeURL("prompt", "dance")).wantError(t, "invalid_request")
}

func TestPromptLogin(t *testing.T) {
	h := newHouse(t)
	c, ada, b := h.client("library", nil), h.member("ada"), h.browser()
	first := payload(t, h.redeem(c, b.code(c, ada)).tokens(t).ID)
	for _, prompt := range []string{"login", "select_account"} {
		h.clock.add(time.Minute)
		a := b.get(c.authorizeURL("prompt", prompt))
		h.clock.add(3 * time.Minute) // who answers slowly is not asked again
		back := b.signIn(a, ada)
		h.clock.add(3 * time.Minute)
		again := payload(t, h.redeem(c, b.get(back).reply(t).Get("code")).tokens(t).ID)
		if again["auth_time"].(float64) <= first["auth_time"].(float64) {
			t.Errorf("%s: auth_time %v is not later than %v", prompt, again["auth_time"], first["auth_time"])
		}
		first = again
	}
}

func TestMaxAge(t *testing.T) {
	h := newHouse(t)
	c, ada, b := h.client("library", nil), h.member("ada"), h.browser()
	first := payload(t, h.redeem(c, b.code(c, ada, "max_age", "15000")).tokens(t).ID)
	h.clock.add(2 * time.Second)
	same := payload(t, h.redeem(c, b.get(c.authorizeURL("max_age", "10000")).reply(t).Get("code")).tokens(t).ID)
	if first["auth_time"] != same["auth_time"] {
		t.Error("max_age=10000 asked again")
	}
	b.get(c.authorizeURL("max_age", "1", "prompt", "none")).wantError(t, "login_required")
	a := b.get(c.authorizeURL("max_age", "1"))
	h.clock.add(90 * time.Second)
	later := payload(t, h.redeem(c, b.get(b.signIn(a, ada)).reply(t).Get("code")).tokens(t).ID)
	if later["auth_time"].(float64) <= first["auth_time"].(float64) {
		t.Error("max_age=1 did not ask again")
	}
	h.clock.add(time.Second)
	if a := b.get(c.authorizeURL("max_age", "0")); !strings.HasPrefix(a.Header.Get("Location"), "/signin?") {
		t.Errorf("max_age=0 let an old proof pass: %s", a.Header.Get("Location"))
	}
	for _, bad := range []string{"-1", "x", "1.5", "99999999999999999999"} {
		b.get(c.authorizeURL("max_age", bad)).wantError(t, "invalid_request")
	}
}

func TestIDTokenHint(t *testing.T) {
	h := newHouse(t)
	c, ada, b := h.client("library", nil), h.member("ada"), h.browser()
	got := h.redeem(c, b.code(c, ada)).tokens(t)
	b.get(c.authorizeURL("prompt", "none", "id_token_hint", got.ID)).wantCode(t)
	h.clock.add(time.Hour) // an expired one is still a hint
	b.get(c.authorizeURL("prompt", "none", "id_token_hint", got.ID)).wantCode(t)
	other := h.browser()
	other.code(c, h.member("bob"))
	other.get(c.authorizeURL("prompt", "none", "id_token_hint", got.ID)).wantError(t, "login_required")
	b.get(c.authorizeURL("id_token_hint", got.ID+"x")).wantError(t, "invalid_request")
	b.get(c.authorizeURL("id_token_hint", got.Access)).wantError(t, "invalid_request")
	second := h.client("second", nil)
	b.get(second.authorizeURL("id_token_hint", got.ID)).wantError(t, "invalid_request")
}

func TestACRValues(t *testing.T) {
	h := newHouse(t)
	c, ada, b := h.client("library", nil), h.member("ada"), h.browser()
	offered := h.browser().get("/.well-known/openid-configuration").json(t)["acr_values_supported"].([]any)
	for _, name := range offered {
		got := h.redeem(c, b.code(c, ada, "acr_values", name.(string)+" made-up")).tokens(t)
		if acr := payload(t, got.ID)["acr"]; acr != name && !strings.HasPrefix(name.(string), "phrh") {
			t.Errorf("asked for %v, told %v", name, acr)
		}
	}
	b.get(c.authorizeURL("claims", `{"id_token":{"acr":{"essential":true,"values":["urn:nobody:can"]}}}`)).
		wantError(t, "unmet_authentication_requirements")
	b.get(c.authorizeURL("claims", `{"id_token":{"acr":{"essential":true,"value":"phr"}}}`)).wantCode(t)
	b.get(c.authorizeURL("acr_values", strings.Repeat("a ", 11))).wantError(t, "invalid_request")
}

func TestPairwiseSubjects(t *testing.T) {
	h := newHouse(t)
	pairwise := func(a *apps.Application) { a.OIDC.PairwiseSubject = true }
	one, two, ada, b := h.client("one", pairwise), h.client("two", pairwise), h.member("ada"), h.browser()
	first := h.redeem(one, b.code(one, ada)).tokens(t)
	subs := []any{payload(t, first.ID)["sub"], payload(t, first.Access)["sub"], h.userinfo(first.Access).json(t)["sub"],
		h.post("/oauth2/introspect", one, "token", first.Access).json(t)["sub"],
		payload(t, h.redeem(one, b.code(one, ada)).tokens(t).ID)["sub"]}
	for _, sub := range subs {
		if sub != subs[0] || sub == string(ada.ID) {
			t.Errorf("subjects %v", subs)
		}
	}
	if other := payload(t, h.redeem(two, b.code(two, ada)).tokens(t).ID)["sub"]; other == subs[0] {
		t.Error("two applications know one subject")
	}
	b.get(one.authorizeURL("prompt", "none", "id_token_hint", first.ID)).wantCode(t)
}

func TestOpaqueAccessTokens(t *testing.T) {
	h := newHouse(t)
	c := h.client("library", func(a *apps.Application) { a.OIDC.OpaqueAccessToken = true })
	ada := h.member("ada")
	got := h.redeem(c, h.browser().code(c, ada)).tokens(t)
	if strings.Contains(got.Access, ".") || !h.active(c, got.Access) {
		t.Fatalf("token %q", got.Access)
	}
	if h.userinfo(got.Access).json(t)["sub"] != string(ada.ID) {
		t.Error("userinfo")
	}
	next := h.refresh(c, got.Refresh).tokens(t)
	if !h.active(c, next.Access) {
		t.Error("the refreshed token is inactive")
	}
	h.post("/oauth2/revoke", c, "token", next.Access)
	if h.active(c, next.Access) || !h.active(c, got.Access) {
		t.Error("revoking one access token must end that one alone")
	}
	h.clock.add(601 * time.Second)
	if h.active(c, got.Access) {
		t.Error("an expired token is active")
	}
}

func TestClosedAndUnknownApplications(t *testing.T) {
	h := newHouse(t)
	c, b := h.client("library", nil), h.browser()
	code := b.code(c, h.member("ada"))
	b.get(c.authorizeURL("client_id", "nobody")).wantPage(t, "oauth.client_unknown")
	if err := h.apps.SetClosed(t.Context(), "cli:test", "library", true); err != nil {
		t.Fatal(err)
	}
	b.get(c.authorizeURL()).wantPage(t, "oauth.client_closed")
	h.redeem(c, code).wantOAuth(t, 401, "invalid_client")
}

func TestDiscovery(t *testing.T) {
	h := newHouse(t)
	b := h.browser()
	d := b.get("/.well-known/openid-configuration")
	if o := b.get("/.well-known/oauth-authorization-server"); o.body != d.body {
		t.Error("the two documents differ")
	}
	doc := d.json(t)
	for name, want := range map[string]any{"issuer": issuer, "authorization_endpoint": issuer + "/oauth2/authorize",
		"token_endpoint": issuer + "/oauth2/token", "userinfo_endpoint": issuer + "/oauth2/userinfo", "jwks_uri": issuer + "/oauth2/jwks",
		"end_session_endpoint": issuer + "/oauth2/logout", "introspection_endpoint": issuer + "/oauth2/introspect",
		"revocation_endpoint": issuer + "/oauth2/revoke", "claims_parameter_supported": true, "request_parameter_supported": false,
		"request_uri_parameter_supported": false, "authorization_response_iss_parameter_supported": true} {
		if doc[name] != want {
			t.Errorf("%s is %v, want %v", name, doc[name], want)
		}
	}
	for name, want := range map[string]string{"response_types_supported": "code", "subject_types_supported": "public",
		"id_token_signing_alg_values_supported": "RS256", "scopes_supported": "openid", "code_challenge_methods_supported": "S256",
		"grant_types_supported": "authorization_code", "response_modes_supported": "form_post"} {
		if list, _ := doc[name].([]any); !slices.Contains(list, any(want)) {
			t.Errorf("%s is %v, lacks %s", name, doc[name], want)
		}
	}
	jwks := b.get("/oauth2/jwks").json(t)["keys"].([]any)
	for _, k := range jwks {
		if key := k.(map[string]any); key["d"] != nil || key["p"] != nil || key["use"] != "sig" || key["kid"] == "" {
			t.Errorf("published key %v", key)
		}
	}
	if len(jwks) != 2 {
		t.Errorf("%d keys", len(jwks))
	}
}

func TestCrossOriginReading(t *testing.T) {
	h := newHouse(t)
	b := h.browser()
	for path, open := range map[string]bool{"/.well-known/openid-configuration": true, "/.well-known/oauth-authorization-server": true,
		"/oauth2/jwks": true, "/oauth2/token": true, "/oauth2/userinfo": true, "/oauth2/revoke": true,
		"/oauth2/introspect": false, "/oauth2/authorize": false, "/oauth2/logout": false} {
		a := b.do("OPTIONS", path, nil, "Origin", "https://spa.example", "Access-Control-Request-Method", "POST")
		if got := a.Header.Get("Access-Control-Allow-Origin"); (got == "*") != open || a.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d %v", path, a.StatusCode, a.Header)
		}
	}
	if a := b.do("GET", "/oauth2/jwks", nil, "Origin", "https://spa.example"); a.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error("the key set cannot be read")
	}
}
