package oidc_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// client is a registered application as its operators know it.
type client struct {
	apps.Application
	secret string
}

func (h *house) client(id string, change func(*apps.Application)) *client {
	h.t.Helper()
	a := apps.Application{Name: "App " + id, OIDC: apps.OIDC{ClientID: id, RedirectURIs: []string{callback},
		PostLogoutRedirectURIs: []string{loggedof}, GrantTypes: []string{"authorization_code", "refresh_token"},
		Scopes: []string{"openid", "profile", "email", "groups", "offline_access"}}}
	if change != nil {
		change(&a)
	}
	saved, shown, err := h.apps.Register(context.Background(), "cli:test", a, a.OIDC.TokenAuth != apps.AuthNone)
	if err != nil {
		h.t.Fatal(err)
	}
	return &client{saved, shown.Reveal()}
}

func public(a *apps.Application) { a.OIDC.TokenAuth = apps.AuthNone }

// browser keeps cookies and follows nothing by itself.
type browser struct {
	h       *house
	cookies map[string]string
}

func (h *house) browser() *browser { return &browser{h: h, cookies: map[string]string{}} }

// answer is a response with its body read.
type answer struct {
	*http.Response
	body string
}

func (a answer) json(t testing.TB) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("status %d, not JSON: %s", a.StatusCode, a.body)
	}
	return v
}

func (h *house) serve(r *http.Request) answer {
	w := httptest.NewRecorder()
	h.door.ServeHTTP(w, r)
	return answer{w.Result(), w.Body.String()}
}

func (b *browser) do(method, target string, form url.Values, header ...string) answer {
	b.h.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, issuer+strings.TrimPrefix(target, issuer), body)
	r.RequestURI, r.URL.Scheme, r.URL.Host, r.Host = "", "", "", "localhost:9000"
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	for k, v := range b.cookies {
		r.AddCookie(&http.Cookie{Name: k, Value: v})
	}
	a := b.h.serve(r)
	for _, c := range a.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	if a.StatusCode >= 500 {
		b.h.t.Errorf("%s %s: status %d: %s", method, target, a.StatusCode, a.body)
	}
	return a
}

func (b *browser) get(target string) answer { return b.do("GET", target, nil) }

// caller is this browser as the door would name it.
func (b *browser) caller() signin.Caller {
	return signin.Caller{Browser: secret.NewString(b.cookies[httpdoor.BrowserCookie]),
		Session: secret.NewString(b.cookies[httpdoor.SessionCookie]), Door: "web"}
}

// signIn answers the sign-in page with a passkey, for the attempt that a redirect named, and gives the page to go on to.
func (b *browser) signIn(a answer, m *member) string {
	b.h.t.Helper()
	to := a.Header.Get("Location")
	u, err := url.Parse(to)
	if err != nil || u.Path != "/signin" {
		b.h.t.Fatalf("not sent to the sign-in page: %d %q %s", a.StatusCode, to, a.body)
	}
	ctx, ref := context.Background(), u.Query().Get("attempt")
	step, err := b.h.signin.Show(ctx, b.caller(), ref)
	if err != nil {
		b.h.t.Fatal(err)
	}
	prompt := step.Prompt
	if step.Passkey != nil {
		prompt = *step.Passkey
	}
	signed, err := m.device.Get(prompt.Public)
	if err != nil {
		b.h.t.Fatalf("step %d: %v: %s", step.Kind, err, prompt.Public)
	}
	step, err = b.h.signin.Answer(ctx, b.caller(), step.Attempt, method.Passkey, method.Answer{JSON: signed}, false)
	if err != nil {
		b.h.t.Fatal(err)
	}
	if step.Kind != signin.StepDone {
		b.h.t.Fatalf("sign-in ended at step %d, problem %v, reasons %+v", step.Kind, step.Problem, step.Reasons)
	}
	if step.SetSession != nil {
		b.cookies[httpdoor.SessionCookie] = step.SetSession.Reveal()
	}
	return step.Return
}

func challenge(v string) string {
	sum := sha256.Sum256([]byte(v))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// authorizeURL is an honest request; pairs replace parameters, an empty value removes one.
func (c *client) authorizeURL(pairs ...string) string {
	return "/oauth2/authorize?" + c.params(pairs...).Encode()
}

func (c *client) params(pairs ...string) url.Values {
	q := url.Values{"client_id": {c.OIDC.ClientID}, "redirect_uri": {c.OIDC.RedirectURIs[0]}, "response_type": {"code"},
		"scope": {"openid"}, "state": {"st-1"}, "nonce": {"no-1"}, "code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"}}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			q.Del(pairs[i])
		} else {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

// reply reads what an authorization response carries to the application.
func (a answer) reply(t testing.TB) url.Values {
	t.Helper()
	to := a.Header.Get("Location")
	u, err := url.Parse(to)
	if err != nil || a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, callback) {
		t.Fatalf("not an answer to the application: %d %q %s", a.StatusCode, to, a.body)
	}
	q := u.Query()
	if q.Get("iss") != issuer {
		t.Errorf("iss is %q in %s", q.Get("iss"), to)
	}
	return q
}

// wantError expects an error answer to the application.
func (a answer) wantError(t testing.TB, code string) {
	t.Helper()
	q := a.reply(t)
	if q.Get("error") != code || q.Get("code") != "" {
		t.Errorf("error %q (%s), want %q", q.Get("error"), q.Get("error_description"), code)
	}
}

// wantPage expects our own error page and no redirect.
func (a answer) wantPage(t testing.TB, code string) {
	t.Helper()
	if a.Header.Get("Location") != "" || a.StatusCode < 400 || !strings.Contains(a.body, code) {
		t.Errorf("status %d, to %q, body %q; want our page %s", a.StatusCode, a.Header.Get("Location"), a.body, code)
	}
}

// code signs in where needed and gives a fresh code.
func (b *browser) code(c *client, m *member, pairs ...string) string {
	b.h.t.Helper()
	a := b.get(c.authorizeURL(pairs...))
	if strings.HasPrefix(a.Header.Get("Location"), "/signin") {
		a = b.get(b.signIn(a, m))
	}
	q := a.reply(b.h.t)
	if q.Get("code") == "" {
		b.h.t.Fatalf("no code: %v", q)
	}
	return q.Get("code")
}

// post posts to an endpoint for programs, as the client, by HTTP Basic or as a public client.
func (h *house) post(path string, c *client, pairs ...string) answer {
	h.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	var header []string
	if c != nil && c.secret != "" {
		header = []string{"Authorization", basic(c.OIDC.ClientID, c.secret)}
	} else if c != nil {
		form.Set("client_id", c.OIDC.ClientID)
	}
	return h.browser().do("POST", path, form, header...)
}

func basic(id, key string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(key)))
}

// redeem asks for tokens with a code.
func (h *house) redeem(c *client, code string, pairs ...string) answer {
	h.t.Helper()
	return h.post("/oauth2/token", c, append([]string{"grant_type", "authorization_code", "code", code,
		"redirect_uri", c.OIDC.RedirectURIs[0], "code_verifier", verifier}, pairs...)...)
}

func (h *house) refresh(c *client, token string, pairs ...string) answer {
	h.t.Helper()
	return h.post("/oauth2/token", c, append([]string{"grant_type", "refresh_token", "refresh_token", token}, pairs...)...)
}

// tokens are those of a token response.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Type    string `json:"token_type"`
	Expires int    `json:"expires_in"`
	Scope   string `json:"scope"`
}

func (a answer) tokens(t testing.TB) tokens {
	t.Helper()
	var v tokens
	if a.StatusCode != http.StatusOK || json.Unmarshal([]byte(a.body), &v) != nil || v.Access == "" || v.Type != "Bearer" {
		t.Fatalf("no tokens: %d %s", a.StatusCode, a.body)
	}
	if a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("a token response may be cached: %q", a.Header.Get("Cache-Control"))
	}
	return v
}

// wantOAuth expects a JSON error of the token endpoint or its kin.
func (a answer) wantOAuth(t testing.TB, status int, code string) {
	t.Helper()
	if got, _ := a.json(t)["error"].(string); a.StatusCode != status || got != code {
		t.Errorf("%d %s, want %d %s", a.StatusCode, a.body, status, code)
	}
	if a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("an error may be cached: %q", a.Header.Get("Cache-Control"))
	}
}

// active asks what a token is worth.
func (h *house) active(c *client, token string) bool {
	h.t.Helper()
	a := h.post("/oauth2/introspect", c, "token", token)
	if a.StatusCode != http.StatusOK {
		h.t.Fatalf("introspection: %d %s", a.StatusCode, a.body)
	}
	got := a.json(h.t)
	on, _ := got["active"].(bool)
	if !on && len(got) != 1 {
		h.t.Errorf("an inactive token is described: %s", a.body)
	}
	return on
}

func (h *house) userinfo(token string) answer {
	h.t.Helper()
	return h.browser().do("GET", "/oauth2/userinfo", nil, "Authorization", "Bearer "+token)
}

// payload reads a JWS without checking it: the test knows where it comes from.
func payload(t testing.TB, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWS: %q", token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
