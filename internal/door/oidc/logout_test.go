package oidc_test

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// signedIn is a browser with a session, its ID token and the client it came through.
func signedIn(t *testing.T, h *house) (*client, *member, *browser, string) {
	t.Helper()
	c, ada, b := h.client("library", nil), h.member("ada"), h.browser()
	return c, ada, b, h.redeem(c, b.code(c, ada)).tokens(t).ID
}

func logoutURL(pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return "/oauth2/logout?" + q.Encode()
}

var hiddenConfirm = regexp.MustCompile(`name="confirm" value="([^"]+)"`)

// wantQuestion expects the confirmation page, and that nobody was signed out yet.
func (b *browser) wantQuestion(c *client, a answer) string {
	b.h.t.Helper()
	m := hiddenConfirm.FindStringSubmatch(a.body)
	if a.StatusCode != 200 || m == nil || a.Header.Get("Location") != "" {
		b.h.t.Fatalf("no question: %d %q %s", a.StatusCode, a.Header.Get("Location"), a.body)
	}
	b.get(c.authorizeURL("prompt", "none")).wantCode(b.h.t)
	return m[1]
}

func (b *browser) confirm(token, yesno string) answer {
	b.h.t.Helper()
	return b.do("POST", "/oauth2/logout/confirm", url.Values{"confirm": {token}, "answer": {yesno}},
		"Origin", issuer, "Sec-Fetch-Site", "same-origin")
}

func TestLogout(t *testing.T) {
	h := newHouse(t)
	c, _, b, id := signedIn(t, h)
	h.clock.add(time.Hour) // the ID token has expired; the session has not
	a := b.get(logoutURL("id_token_hint", id, "post_logout_redirect_uri", loggedof, "state", "s 1&x"))
	if a.StatusCode != 303 || a.Header.Get("Location") != loggedof+"?state=s+1%26x" {
		t.Errorf("%d %q %s", a.StatusCode, a.Header.Get("Location"), a.body)
	}
	b.get(c.authorizeURL("prompt", "none")).wantError(t, "login_required")
}

func TestLogoutByPost(t *testing.T) {
	h := newHouse(t)
	c, _, b, id := signedIn(t, h)
	stranger := h.browser()
	a := stranger.do("POST", "/oauth2/logout", url.Values{"id_token_hint": {id}}, "Sec-Fetch-Site", "cross-site")
	if a.StatusCode != 303 || len(a.Cookies()) != 0 {
		t.Fatalf("%d %v", a.StatusCode, a.Cookies())
	}
	if done := b.get(a.Header.Get("Location")); done.body != "logged out" {
		t.Errorf("%d %s", done.StatusCode, done.body)
	}
	b.get(c.authorizeURL("prompt", "none")).wantError(t, "login_required")
}

func TestLogoutWithoutState(t *testing.T) {
	h := newHouse(t)
	c, _, b, id := signedIn(t, h)
	if a := b.get(logoutURL("id_token_hint", id, "post_logout_redirect_uri", loggedof)); a.Header.Get("Location") != loggedof {
		t.Errorf("%q", a.Header.Get("Location"))
	}
	b.get(c.authorizeURL("prompt", "none")).wantError(t, "login_required")
}

func TestLogoutWithoutRedirect(t *testing.T) {
	h := newHouse(t)
	c, _, b, id := signedIn(t, h)
	if a := b.get(logoutURL("id_token_hint", id)); a.body != "logged out" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	b.get(c.authorizeURL("prompt", "none")).wantError(t, "login_required")
}

func TestLogoutAsks(t *testing.T) {
	h := newHouse(t)
	c, _, b, id := signedIn(t, h)
	parts := strings.Split(id, ".")
	none := "eyJhbGciOiJub25lIn0." + parts[1] + "."
	for name, target := range map[string]string{
		"no parameters":          logoutURL(),
		"only state":             logoutURL("state", "s"),
		"no hint":                logoutURL("post_logout_redirect_uri", loggedof, "client_id", "library"),
		"hint changed to none":   logoutURL("id_token_hint", none, "post_logout_redirect_uri", loggedof),
		"hint of another signer": logoutURL("id_token_hint", parts[0]+"."+parts[1]+".AAAA", "post_logout_redirect_uri", loggedof),
		"hint, other client":     logoutURL("id_token_hint", id, "client_id", "other", "post_logout_redirect_uri", loggedof),
	} {
		t.Run(name, func(t *testing.T) {
			b.wantQuestion(c, b.get(target))
		})
	}
	token := b.wantQuestion(c, b.get(logoutURL()))
	if a := b.confirm(token, "no"); a.Header.Get("Location") != "/apps" {
		t.Errorf("no: %d %q", a.StatusCode, a.Header.Get("Location"))
	}
	b.get(c.authorizeURL("prompt", "none")).wantCode(t)
	if a := b.confirm(token, "yes"); a.body != "logged out" {
		t.Errorf("yes: %d %s", a.StatusCode, a.body)
	}
	b.get(c.authorizeURL("prompt", "none")).wantError(t, "login_required")
	if a := b.get(logoutURL()); a.body != "logged out" {
		t.Errorf("without a session: %d %s", a.StatusCode, a.body)
	}
}

func TestLogoutNeverRedirectsElsewhere(t *testing.T) {
	h := newHouse(t)
	ada := h.member("ada")
	for i, to := range []string{"https://evil.example/", loggedof + "?foo=bar", loggedof + "/", loggedof + "#x", "//evil.example", "javascript:alert(1)", callback} {
		c, b := h.client("library"+strconv.Itoa(i), nil), h.browser()
		id := h.redeem(c, b.code(c, ada)).tokens(t).ID
		a := b.get(logoutURL("id_token_hint", id, "post_logout_redirect_uri", to))
		if a.Header.Get("Location") != "" || a.body != "logged out" {
			t.Errorf("%s: %d %q", to, a.StatusCode, a.Header.Get("Location"))
		}
	}
}

func TestLogoutHintOfAnotherSession(t *testing.T) {
	h := newHouse(t)
	c, ada, first, id := signedIn(t, h)
	// The same member in another browser; another member in a third.
	second, third := h.browser(), h.browser()
	second.code(c, ada)
	third.code(c, h.member("bob"))
	for _, b := range []*browser{second, third} {
		a := b.get(logoutURL("id_token_hint", id, "post_logout_redirect_uri", loggedof, "state", "x"))
		token := b.wantQuestion(c, a)
		if !strings.Contains(a.Header.Get("Content-Security-Policy"), "https://library.example.ac.uk") {
			t.Error("the question's form cannot end at the application:", a.Header.Get("Content-Security-Policy"))
		}
		if done := b.confirm(token, "yes"); done.Header.Get("Location") != loggedof+"?state=x" {
			t.Errorf("%d %q", done.StatusCode, done.Header.Get("Location"))
		}
		b.get(c.authorizeURL("prompt", "none")).wantError(t, "login_required")
	}
	first.get(c.authorizeURL("prompt", "none")).wantCode(t)
	gone := h.browser()
	h.clock.add(time.Hour)
	if a := gone.get(logoutURL("id_token_hint", id, "post_logout_redirect_uri", loggedof)); a.Header.Get("Location") != "" {
		t.Error("an expired hint without a session redirects")
	}
}

func TestLogoutAnswersBelongToOneBrowserAndPage(t *testing.T) {
	h := newHouse(t)
	c, _, b, _ := signedIn(t, h)
	token := b.wantQuestion(c, b.get(logoutURL()))
	other := h.browser()
	other.code(c, h.member("bob"))
	if a := other.confirm(token, "yes"); a.StatusCode != 410 {
		t.Errorf("another browser's answer: %d", a.StatusCode)
	}
	for _, header := range [][]string{{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, {}, {"Origin", "null"}} {
		if a := b.do("POST", "/oauth2/logout/confirm", url.Values{"confirm": {token}, "answer": {"yes"}}, header...); a.StatusCode != 403 {
			t.Errorf("%v: %d", header, a.StatusCode)
		}
	}
	h.clock.add(11 * time.Minute)
	if a := b.confirm(token, "yes"); a.StatusCode != 410 {
		t.Errorf("an old page: %d", a.StatusCode)
	}
	b.get(c.authorizeURL("prompt", "none")).wantCode(t)
}
