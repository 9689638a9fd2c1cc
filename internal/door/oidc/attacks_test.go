package oidc_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
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

func TestG99_RefreshAsksAgain(t *testing.T) {
	for name, act := range map[string]func(h *house, m *member){
		"person suspended": func(h *house, m *member) {
			h.tx(func(ctx context.Context, s apps.FlowStore) error {
				p, err := s.PersonByID(ctx, m.ID)
				p.State = people.Suspended
				if err != nil {
					return err
				}
				return s.UpdatePerson(ctx, p)
			})
		},
		"group removed": func(h *house, m *member) {
			h.tx(func(ctx context.Context, s apps.FlowStore) error {
				p, err := s.PersonByID(ctx, m.ID)
				p.Groups = nil
				if err != nil {
					return err
				}
				return s.UpdatePerson(ctx, p)
			})
		},
		"passkey deleted": func(h *house, m *member) {
			defer h.addPasskey(m) // another one is left, that proved nothing
			h.tx(func(ctx context.Context, s apps.FlowStore) error {
				owned, err := s.CredentialsOf(ctx, string(m.ID))
				if err != nil {
					return err
				}
				_, err = s.RemoveCredential(ctx, string(m.ID), owned[0].ID)
				return err
			})
		},
		"policy raised": func(h *house, m *member) { h.savePolicy(staffOnly(policy.StrengthHardware)) },
		"application closed": func(h *house, m *member) {
			if err := h.apps.SetClosed(context.Background(), "cli:test", "library", true); err != nil {
				h.t.Fatal(err)
			}
		},
		"grants revoked": func(h *house, m *member) {
			h.tx(func(ctx context.Context, s apps.FlowStore) error {
				_, err := s.RevokeGrantsOf(ctx, string(m.ID), "")
				return err
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.savePolicy(staffOnly(policy.StrengthMFA))
			c, ada, api := h.client("library", nil), h.member("ada", "staff"), h.client("api", nil)
			got := h.redeem(c, h.browser().code(c, ada, "scope", "openid offline_access")).tokens(t)
			got = h.refresh(c, got.Refresh).tokens(t)
			if !h.active(c, got.Access) {
				t.Fatal("inactive before")
			}
			act(h, ada)
			h.userinfo(got.Access).wantOAuth(t, 401, "invalid_token")
			if name == "application closed" {
				h.refresh(c, got.Refresh).wantOAuth(t, 401, "invalid_client")
				if h.active(api, got.Access) {
					t.Error("active")
				}
				return
			}
			if h.active(c, got.Access) || h.active(c, got.Refresh) {
				t.Error("introspection still says active")
			}
			h.refresh(c, got.Refresh).wantOAuth(t, 400, "invalid_grant")
			refused := false
			for _, r := range h.reasons(ada) {
				refused = refused || strings.HasPrefix(r, "app.refreshed refused ")
			}
			if !refused {
				t.Errorf("the trail does not say why: %q", h.reasons(ada))
			}
		})
	}
}

// staffOnly lets staff in with a strength, and nobody else.
func staffOnly(s policy.Strength) policy.Policy {
	p := policy.Default()
	p.Rules = []policy.Rule{
		{Name: "others", State: policy.RuleOn, People: policy.Match{ExceptGroups: []string{"staff"}}, Grant: policy.Grant{Block: true}},
		{Name: "staff", State: policy.RuleOn, Grant: policy.Grant{Strength: s}},
	}
	return p
}

func (h *house) savePolicy(p policy.Policy) {
	h.t.Helper()
	inTx, _ := store.Bind[policy.Records](h.db)
	ctx := context.Background()
	if err := inTx(ctx, func(s policy.Records) error { return s.SavePolicy(ctx, p, nil, "cli:test", "test") }); err != nil {
		h.t.Fatal(err)
	}
}

func TestG99_RedeemAfterSuspension(t *testing.T) {
	h := newHouse(t)
	c, ada, b := h.client("library", nil), h.member("ada"), h.browser()
	code := b.code(c, ada)
	h.tx(func(ctx context.Context, s apps.FlowStore) error {
		p, err := s.PersonByID(ctx, ada.ID)
		if err != nil {
			return err
		}
		p.State = people.Suspended
		return s.UpdatePerson(ctx, p)
	})
	h.redeem(c, code).wantOAuth(t, 400, "invalid_grant")
	b.get(c.authorizeURL("prompt", "none")).wantError(t, "login_required")
	h.wantReason(ada, "app.code_redeemed refused person.inactive")
}

func TestG99_FreshnessHoldsAtRefresh(t *testing.T) {
	h := newHouse(t)
	p := policy.Default()
	p.Rules = append(p.Rules, policy.Rule{Name: "hourly", State: policy.RuleOn, Grant: policy.Grant{Freshness: policy.Freshness{MaxAge: time.Hour}}})
	h.savePolicy(p)
	c := h.client("records", nil)
	got := h.redeem(c, h.browser().code(c, h.member("ada"), "scope", "openid offline_access")).tokens(t)
	h.clock.add(59 * time.Minute)
	got = h.refresh(c, got.Refresh).tokens(t)
	h.clock.add(2 * time.Minute)
	h.refresh(c, got.Refresh).wantOAuth(t, 400, "invalid_grant")
}

func TestG100_RefreshReuse(t *testing.T) {
	start := func(t *testing.T) (*house, *client, *member, string) {
		h := newHouse(t)
		c, ada := h.client("library", nil), h.member("ada")
		return h, c, ada, h.redeem(c, h.browser().code(c, ada)).tokens(t).Refresh
	}
	dead := func(t *testing.T, h *house, c *client, ada *member, all ...tokens) {
		t.Helper()
		for _, x := range all {
			h.refresh(c, x.Refresh).wantOAuth(t, 400, "invalid_grant")
			if h.active(c, x.Access) {
				t.Error("an access token of a dead family is active")
			}
		}
		h.wantReason(ada, "app.refreshed failed refresh.reused")
	}
	t.Run("after the grace", func(t *testing.T) {
		h, c, ada, r1 := start(t)
		r2 := h.refresh(c, r1).tokens(t)
		h.clock.add(apps.RefreshGrace)
		h.refresh(c, r1).wantOAuth(t, 400, "invalid_grant")
		dead(t, h, c, ada, r2)
	})
	t.Run("once the successor was seen", func(t *testing.T) {
		h, c, ada, r1 := start(t)
		r2 := h.refresh(c, r1).tokens(t)
		r3 := h.refresh(c, r2.Refresh).tokens(t)
		h.refresh(c, r1).wantOAuth(t, 400, "invalid_grant") // no grace for a grandparent
		dead(t, h, c, ada, r2, r3)
	})
	t.Run("twenty at once", func(t *testing.T) {
		h, c, _, r1 := start(t)
		won, lost := together(20, func() answer { return h.refresh(c, r1) })
		successors := map[string]bool{}
		for _, w := range won {
			successors[w.tokens(t).Refresh] = true
		}
		for _, l := range lost {
			t.Errorf("a lost answer is refused: %d %s", l.StatusCode, l.body)
		}
		if len(successors) != 1 {
			t.Fatalf("%d successors of one token", len(successors))
		}
		for r2 := range successors {
			h.refresh(c, r2).tokens(t)
		}
	})
	t.Run("absolute lifetime", func(t *testing.T) {
		h := newHouse(t)
		c := h.client("library", func(a *apps.Application) { a.OIDC.RefreshMax = 3600 })
		got := h.redeem(c, h.browser().code(c, h.member("ada"), "scope", "openid offline_access")).tokens(t)
		for range 5 {
			h.clock.add(10 * time.Minute)
			got = h.refresh(c, got.Refresh).tokens(t)
		}
		h.clock.add(9 * time.Minute)
		got = h.refresh(c, got.Refresh).tokens(t)
		if got.Expires > 60 {
			t.Errorf("an access token lives %d s, past its grant's end", got.Expires)
		}
		h.clock.add(time.Minute)
		h.refresh(c, got.Refresh).wantOAuth(t, 400, "invalid_grant")
	})
	t.Run("forged marks", func(t *testing.T) {
		h, c, _, r1 := start(t)
		parts := strings.Split(r1, ".")
		for _, forged := range []string{parts[0] + ".1." + strings.Repeat("A", 55), parts[0] + ".0." + parts[2], "x." + parts[1] + "." + parts[2], parts[0] + ".." + parts[2]} {
			h.refresh(c, forged).wantOAuth(t, 400, "invalid_grant")
		}
		h.refresh(c, r1).tokens(t) // nobody kills a family by guessing at its tokens
	})
}

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
