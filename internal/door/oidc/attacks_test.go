package oidc_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
)

// together asks n times at once and counts the token responses.
func together(n int, ask func() answer) (won []answer, lost []answer) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for range n {
		wg.Go(func() {
			<-gate
			a := ask()
			mu.Lock()
			defer mu.Unlock()
			if a.StatusCode == http.StatusOK {
				won = append(won, a)
			} else {
				lost = append(lost, a)
			}
		})
	}
	close(gate)
	wg.Wait()
	return won, lost
}

// reasons gives the audit reasons about a person, newest first.
func (h *house) reasons(m *member) []string {
	h.t.Helper()
	var out []string
	_, view := store.Bind[audit.Reader](h.db)
	err := view(context.Background(), func(s audit.Reader) error {
		rows, err := s.AuditBySubject(context.Background(), string(m.ID), "app.", 100)
		out = nil
		for _, r := range rows {
			out = append(out, r.Act+" "+string(r.Outcome)+" "+r.Reason)
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func (h *house) wantReason(m *member, want string) {
	h.t.Helper()
	for _, r := range h.reasons(m) {
		if r == want {
			return
		}
	}
	h.t.Errorf("the trail has no %q: %q", want, h.reasons(m))
}

func TestG40_CodeRedeemedTwice(t *testing.T) {
	body := func(t *testing.T, db *store.DB, c *clock) {
		a, b := houseOn(t, db, c), houseOn(t, db, c) // two nodes
		app, ada := a.client("library", nil), a.member("ada")
		code := a.browser().code(app, ada)
		turn := 0
		var mu sync.Mutex
		won, lost := together(20, func() answer {
			mu.Lock()
			turn++
			node := []*house{a, b}[turn%2]
			mu.Unlock()
			return node.redeem(app, code)
		})
		if len(won) != 1 {
			t.Fatalf("%d of 20 redemptions succeeded", len(won))
		}
		for _, l := range lost {
			l.wantOAuth(t, 400, "invalid_grant")
		}
		got := won[0].tokens(t)
		for _, node := range []*house{a, b} {
			if node.active(app, got.Access) || node.active(app, got.Refresh) {
				t.Error("the tokens of a code that was used twice are worth something")
			}
		}
		a.refresh(app, got.Refresh).wantOAuth(t, 400, "invalid_grant")
		a.userinfo(got.Access).wantOAuth(t, 401, "invalid_token")
		a.wantReason(ada, "app.code_redeemed failed code.reused")
	}
	t.Run("sqlite", func(t *testing.T) {
		c := &clock{now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}
		body(t, storetest.SQLite(t, storetest.Clock(c.Now), usualPolicy), c)
	})
	t.Run("postgres", func(t *testing.T) {
		c := &clock{now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}
		body(t, storetest.Postgres(t, storetest.Clock(c.Now), usualPolicy), c)
	})
	t.Run("30 seconds later", func(t *testing.T) {
		h := newHouse(t)
		app := h.client("library", func(a *apps.Application) { a.OIDC.OpaqueAccessToken = true })
		code := h.browser().code(app, h.member("ada"))
		got := h.redeem(app, code).tokens(t)
		h.clock.add(30 * time.Second)
		h.redeem(app, code).wantOAuth(t, 400, "invalid_grant")
		h.userinfo(got.Access).wantOAuth(t, 401, "invalid_token")
	})
	t.Run("expired", func(t *testing.T) {
		h := newHouse(t)
		app := h.client("library", nil)
		code := h.browser().code(app, h.member("ada"))
		h.clock.add(apps.CodeFor)
		h.redeem(app, code).wantOAuth(t, 400, "invalid_grant")
	})
}

func TestG93_PKCEDowngrade(t *testing.T) {
	h := newHouse(t)
	ada, b := h.member("ada"), h.browser()
	usual := h.client("usual", nil)
	without := h.client("without", func(a *apps.Application) { a.OIDC.WithoutPKCE = true })
	for name, pairs := range map[string][]string{
		"none":            {"code_challenge", "", "code_challenge_method", ""},
		"plain":           {"code_challenge", verifier, "code_challenge_method", "plain"},
		"no method":       {"code_challenge_method", ""},
		"lower case":      {"code_challenge_method", "s256"},
		"42 characters":   {"code_challenge", strings.Repeat("a", 42)},
		"129 characters":  {"code_challenge", strings.Repeat("a", 129)},
		"other alphabet":  {"code_challenge", strings.Repeat("+", 43)},
		"method, no code": {"code_challenge", ""},
	} {
		b.get(usual.authorizeURL(pairs...)).wantError(t, "invalid_request")
		if name != "none" {
			b.get(without.authorizeURL(pairs...)).wantError(t, "invalid_request")
		}
	}
	for _, wrong := range []string{"", strings.Repeat("b", 43), strings.Repeat("a", 42), strings.Repeat("a", 129), challenge(verifier), verifier + "x"} {
		code := b.code(usual, ada)
		h.redeem(usual, code, "code_verifier", wrong).wantOAuth(t, 400, "invalid_grant")
		h.redeem(usual, code).wantOAuth(t, 400, "invalid_grant") // one try
	}
	// A verifier without a challenge: somebody took the challenge out of the request.
	code := b.code(without, ada, "code_challenge", "", "code_challenge_method", "")
	h.redeem(without, code).wantOAuth(t, 400, "invalid_grant")
	code = b.code(without, ada, "code_challenge", "", "code_challenge_method", "")
	h.redeem(without, code, "code_verifier", "").tokens(t)
	// One that sends a challenge is held to it.
	h.redeem(without, b.code(without, ada), "code_verifier", "").wantOAuth(t, 400, "invalid_grant")
	h.wantReason(ada, "app.code_redeemed failed code.verifier")
}

func TestG94_RedirectURIIsExact(t *testing.T) {
	h := newHouse(t)
	native := h.client("native", func(a *apps.Application) {
		public(a)
		a.OIDC.RedirectURIs = []string{"http://127.0.0.1/cb", "http://[::1]/cb", "org.example.app:/cb"}
	})
	c, b := h.client("library", nil), h.browser()
	b.code(c, h.member("ada"))
	list := []string{
		"", callback + "/", callback + "x", callback + "?x=1", callback + "?", callback + "#", callback + "#x", callback + "&x",
		"https://library.example.ac.uk", "https://library.example.ac.uk/", "https://library.example.ac.uk/callbac",
		"https://library.example.ac.uk/CALLBACK", "https://LIBRARY.example.ac.uk/callback", "HTTPS://library.example.ac.uk/callback",
		"http://library.example.ac.uk/callback", "https://library.example.ac.uk:443/callback", "https://library.example.ac.uk:8443/callback",
		"https://library.example.ac.uk./callback", "https://libraryxexample.ac.uk/callback", "https://library.example.ac.uk.evil.tld/callback",
		"https://evil.tld/library.example.ac.uk/callback", "https://evil.tld?https://library.example.ac.uk/callback",
		"https://library.example.ac.uk@evil.tld/callback", "https://evil.tld@library.example.ac.uk/callback",
		"https://library.example.ac.uk/%63allback", "https://library.example.ac.uk%2fcallback", "https://library.example.ac.uk%2f@evil.tld/callback",
		"https://library.example.ac.uk/../callback", "https://library.example.ac.uk/x/../callback", "https://library.example.ac.uk/./callback",
		"https://library.example.ac.uk//callback", "https://library.example.ac.uk\\callback", "https:\\\\library.example.ac.uk\\callback",
		"https://library.example.ac.uk/callback\\..\\evil", "//library.example.ac.uk/callback", "https:library.example.ac.uk/callback",
		"https://library。example.ac.uk/callback", "https://librаry.example.ac.uk/callback", " " + callback, callback + " ",
		callback + "%00", callback + "\x00", callback + "\r\nLocation: https://evil.tld", "javascript:alert(1)", "data:text/html,x", "/callback",
	}
	if len(list) < 40 {
		t.Fatalf("%d entries", len(list))
	}
	for _, uri := range list {
		q := c.params()
		q.Set("redirect_uri", uri)
		a := b.get("/oauth2/authorize?" + q.Encode())
		if a.Header.Get("Location") != "" || a.StatusCode < 400 {
			t.Errorf("%q: %d to %q", uri, a.StatusCode, a.Header.Get("Location"))
		}
		if p := b.do("POST", "/oauth2/authorize", q); p.Header.Get("Location") != "" && b.get(p.Header.Get("Location")).Header.Get("Location") != "" {
			t.Errorf("%q by POST", uri)
		}
	}
	both := b.get(c.authorizeURL() + "&redirect_uri=https%3A%2F%2Fevil.tld")
	both.wantPage(t, "oauth.request_invalid")
	b.get(c.authorizeURL()+"&client_id=native").wantPage(t, "oauth.request_invalid")
	b.get(c.authorizeURL("redirect_uri", "")).wantPage(t, "oauth.request_invalid")

	for uri, ok := range map[string]bool{"http://127.0.0.1:49152/cb": true, "http://[::1]:8/cb": true, "http://127.0.0.1/cb": true, "org.example.app:/cb": true,
		"http://127.0.0.1:49152/cb/": false, "http://127.0.0.1:/cb": false, "http://127.0.0.1:0/cb": false, "http://127.0.0.1:123456/cb": false,
		"http://127.0.0.1:80@evil.tld/cb": false, "http://localhost:49152/cb": false, "https://127.0.0.1:49152/cb": false, "http://127.0.0.1:8x/cb": false,
		"http://127.0.0.1.evil.tld:80/cb": false, "org.example.app:/cbx": false, "org.example.app://cb": false} {
		a := b.get(native.authorizeURL("redirect_uri", uri))
		if went := strings.HasPrefix(a.Header.Get("Location"), uri+"?"); went != ok {
			t.Errorf("%s: %d to %q", uri, a.StatusCode, a.Header.Get("Location"))
		}
	}
	code := b.code(c, h.member("bob"))
	h.redeem(c, code, "redirect_uri", callback+"/").wantOAuth(t, 400, "invalid_grant")
}

func TestG95_CodeAndRefreshOfAnotherClient(t *testing.T) {
	h := newHouse(t)
	a, ada, b := h.client("library", nil), h.member("ada"), h.browser()
	for _, thief := range []*client{h.client("thief", nil), h.client("public", public)} {
		code := b.code(a, ada)
		h.redeem(thief, code).wantOAuth(t, 400, "invalid_grant")
		h.redeem(a, code).wantOAuth(t, 400, "invalid_grant")
		got := h.redeem(a, b.code(a, ada)).tokens(t)
		h.refresh(thief, got.Refresh).wantOAuth(t, 400, "invalid_grant")
		h.refresh(a, got.Refresh).wantOAuth(t, 400, "invalid_grant")
		if h.active(a, got.Access) {
			t.Error("the grant outlived the theft of its refresh token")
		}
	}
	h.wantReason(ada, "app.code_redeemed failed code.other_client")
	h.wantReason(ada, "app.refreshed failed refresh.other_client")
}

func TestG96_TokensOfOneKindInAnothersPlace(t *testing.T) {
	h := newHouse(t)
	c, b := h.client("library", nil), h.browser()
	got := h.redeem(c, b.code(c, h.member("ada"))).tokens(t)
	head := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	parts := strings.Split(got.Access, ".")
	for name, token := range map[string]string{
		"ID token":       got.ID,
		"refresh token":  got.Refresh,
		"none":           head(`{"alg":"none","typ":"at+jwt"}`) + "." + parts[1] + ".",
		"HS256":          head(`{"alg":"HS256","typ":"at+jwt"}`) + "." + parts[1] + "." + parts[2],
		"cut":            parts[0] + "." + parts[1] + ".",
		"other payload":  parts[0] + "." + head(`{"iss":"`+issuer+`","exp":9999999999,"jti":"x.y","scope":"openid"}`) + "." + parts[2],
		"of a code":      b.code(c, h.member("bob")),
		"of the session": b.cookies["__Host-gatehouse"],
	} {
		h.userinfo(token).wantOAuth(t, 401, "invalid_token")
		if name != "refresh token" && h.active(c, token) {
			t.Errorf("%s: active", name)
		}
	}
	h.refresh(c, got.Access).wantOAuth(t, 400, "invalid_grant")
	h.redeem(c, got.Refresh).wantOAuth(t, 400, "invalid_grant")
}
