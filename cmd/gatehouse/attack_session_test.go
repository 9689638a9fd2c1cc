package main

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
)

func TestG1_PresetCookiesAreWorthNothing(t *testing.T) {
	x := newTarget(t, "", 1)
	ada := x.member("ada", longPassword, method.Password, method.TOTP)
	planted := map[string]string{
		httpdoor.SessionCookie: secret.Token(32).Reveal(), httpdoor.BrowserCookie: secret.Token(32).Reveal(),
		"gatehouse": "x", "sid": "x", "tx": "y",
	}
	b := x.browser()
	for k, v := range planted {
		b.cookies[k] = v
	}
	b.signIn(ada, "/apps", false)
	first := b.session()
	if first == planted[httpdoor.SessionCookie] || len(first) < 43 {
		t.Fatalf("the session is the planted one, or none: %q", first)
	}
	enemy := x.browser()
	for k, v := range planted {
		enemy.cookies[k] = v
	}
	if enemy.signedIn() {
		t.Error("the planted cookies are signed in")
	}
	// Whoever held the cookie before a step-up does not rise with it.
	before := b.copied()
	x.clock.Add(time.Hour)
	b.signIn(ada, "/security", false)
	if b.session() == first || before.signedIn() || !b.signedIn() {
		t.Error("the token did not change at the step-up")
	}
	// A session belongs to one browser.
	enemy = x.browser()
	enemy.get("/signin")
	enemy.cookies[httpdoor.SessionCookie] = b.session()
	if enemy.signedIn() {
		t.Error("a session cookie works in another browser")
	}
}

// artefacts are everything that a browser was given so far, in every place where it might be taken for more.
func artefacts(b *browser, r *reply) []*browser {
	var out []*browser
	values := []string{r.attempt(), secret.Token(32).Reveal()}
	for _, v := range b.cookies {
		values = append(values, v)
	}
	out = append(out, b.copied())
	for _, v := range values {
		c := b.copied()
		c.cookies[httpdoor.SessionCookie] = v
		out = append(out, c)
	}
	return out
}

func TestG3_G13_NothingAfterOneFactorOpensAnything(t *testing.T) {
	x := newTarget(t, "", 1)
	ada := x.member("ada", longPassword, method.Password, method.TOTP)
	library := x.application("Library", "teaching")
	b := x.browser()
	half := b.byPassword(ada, library.authorize())
	if half.asks() != "totp" {
		t.Fatalf("no second factor: %s", half.text())
	}
	if b.session() != "" {
		t.Fatal("a session after the password alone")
	}
	for _, c := range artefacts(b, half) {
		for _, path := range []string{"/apps", "/security", "/security/add", "/security/add/passkey", "/security/password", "/security/lead?kind=totp",
			"/signout?everywhere=yes"} {
			r := c.send("GET", path, nil)
			if r.status == http.StatusOK && path != "/signout?everywhere=yes" {
				t.Errorf("%s answers after one factor", path)
			}
		}
		for _, path := range []string{library.authorize(), library.authorize("prompt", "none"), library.authorize("response_mode", "form_post"),
			library.authorize("acr_values", "https://refeds.org/profile/sfa"), library.authorize("max_age", "86400")} {
			r := c.get(path)
			if r.code() != "" || strings.Contains(r.body, `name="code"`) {
				t.Errorf("%s gives a code after one factor", path)
			}
			if strings.Contains(path, "prompt=none") && r.oauthError() != "login_required" && r.oauthError() != "interaction_required" {
				t.Errorf("prompt=none answered %d %s", r.status, r.location)
			}
		}
		for _, path := range []string{"/oauth2/authorize/continue?attempt=" + url.QueryEscape(half.attempt()), "/admin/api/v1/people", "/oauth2/userinfo"} {
			c.header = map[string]string{"Authorization": "Bearer " + c.session()}
			if r := c.get(path); r.code() != "" || r.status == http.StatusOK && r.asks() == "" {
				t.Errorf("%s answers %d after one factor", path, r.status)
			}
		}
	}
	for _, a := range []string{half.attempt(), b.cookies[httpdoor.BrowserCookie]} {
		n := x.nodes[0]
		if n.active(x, library, a) || n.redeem(x, library, a).status == http.StatusOK || n.refresh(x, library, a).status == http.StatusOK || n.userinfo(x, a).status == http.StatusOK {
			t.Error("an artefact of the attempt is worth a token")
		}
	}
	if r := b.answer(half, method.TOTP, ada.code(), false); r.code() == "" {
		t.Fatalf("the member could not go on: %d %s", r.status, r.text())
	}
}

func TestG7_TwoTabsDoNotFinishOneAnother(t *testing.T) {
	x := newTarget(t, "", 1)
	ada := x.member("ada", longPassword, method.Password, method.TOTP, method.Passkey)
	library, records := x.application("Library", "teaching"), x.application("Records", "clinical")
	b := x.browser()
	one := b.byPassword(ada, library.authorize())
	two := b.byPassword(ada, records.authorize())
	if two.asks() != "passkey" {
		t.Fatalf("the second tab after its password: %s", two.text())
	}
	// The first tab's code in the second tab's form, and its attempt under the second's method.
	if r := b.post("/signin/totp", url.Values{"attempt": {two.attempt()}, "answer": {ada.code()}}); r.code() != "" || b.session() != "" {
		t.Error("a passcode opened what wants a passkey")
	}
	if one.asks() != "passkey" { // the strongest leads; the passcode is another way
		t.Fatalf("the first tab asks %q", one.asks())
	}
	one = b.post("/signin/choose", url.Values{"attempt": {one.attempt()}, "kind": {"totp"}})
	if r := b.answer(one, method.TOTP, ada.code(), false); r.code() == "" {
		t.Fatalf("the first tab did not finish: %s", r.text())
	}
	r := b.get("/signin?attempt=" + url.QueryEscape(two.attempt()))
	if r.code() != "" || r.asks() != "passkey" {
		t.Errorf("finishing the first tab finished the second: %s %s", r.location, r.text())
	}
	if r := b.touch(r, ada); r.code() == "" {
		t.Errorf("the second tab did not go on: %d %s", r.status, r.text())
	}
}

// everywhere gives a subtest for one node and for two on one PostgreSQL.
func everywhere(t *testing.T, body func(t *testing.T, x *target)) {
	t.Run("sqlite", func(t *testing.T) { body(t, newTarget(t, "", 1)) })
	t.Run("two nodes on postgres", func(t *testing.T) { body(t, newTarget(t, storetest.PostgresDSN(t), 2)) })
}

// last is the node that did not hear of what was done at the first.
func (x *target) last() *node { return x.nodes[len(x.nodes)-1] }

func TestG8_EndedSessionsAreDeadAtOnceOnEveryNode(t *testing.T) {
	everywhere(t, func(t *testing.T, x *target) {
		ada := x.member("ada", longPassword, method.Password, method.TOTP)
		library := x.application("Library", "teaching", "offline_access")
		ends := map[string]func(b *browser){
			"suspended": func(*browser) { ada.suspend() },
			"ended by an administrator": func(b *browser) {
				x.admin("DELETE", "/people/"+string(ada.id)+"/sessions", "")
			},
			"signed out everywhere": func(*browser) {
				other := x.browser()
				other.signIn(ada, "/apps", false)
				other.post("/signout", url.Values{"everywhere": {"yes"}})
			},
		}
		for name, end := range ends {
			b := x.browser()
			n := x.last()
			here, there := b.signIn(ada, library.authorize(), false), n.redeem
			token := there(x, library, here.code())
			offline := n.redeem(x, library, b.get(library.authorize("scope", "openid offline_access")).code())
			waiting := b.get(library.authorize()).code()
			if !b.on(n).signedIn() || !n.active(x, library, token.Access) || n.userinfo(x, token.Access).status != 200 || offline.Refresh == "" || waiting == "" {
				t.Fatalf("%s: nothing to end", name)
			}
			end(b)
			for _, n := range x.nodes {
				if b.on(n).signedIn() || b.on(n).get(library.authorize("prompt", "none")).code() != "" {
					t.Errorf("%s: the cookie lives on %s", name, n.Node)
				}
				for _, tok := range []tokens{token, offline} {
					if n.active(x, library, tok.Access) || n.active(x, library, tok.Refresh) || n.userinfo(x, tok.Access).status == 200 {
						t.Errorf("%s: a token lives on %s", name, n.Node)
					}
				}
			}
			if n.redeem(x, library, waiting).status == 200 || n.refresh(x, library, token.Refresh).status == 200 || n.refresh(x, library, offline.Refresh).status == 200 {
				t.Errorf("%s: new tokens all the same", name)
			}
			if name == "suspended" {
				half := x.browser().byPassword(ada, "/apps")
				if half.status != http.StatusForbidden {
					t.Errorf("a suspended member is asked on: %d %s", half.status, half.text())
				}
				ada.restore()
				if b.signedIn() {
					t.Error("restoring the account brought the session back")
				}
			}
		}
	})
}

func TestG8_OneSessionEndedTheOtherLives(t *testing.T) {
	everywhere(t, func(t *testing.T, x *target) {
		ada := x.member("ada", longPassword, method.Password, method.TOTP)
		one, two := x.browser(), x.browser()
		one.signIn(ada, "/apps", false)
		two.signIn(ada, "/apps", false)
		page := two.get("/security")
		id := sessionRow.FindStringSubmatch(page.body)
		if id == nil {
			t.Fatalf("no other session in the list: %s", page.text())
		}
		if r := two.post("/security/sessions/"+id[1]+"/end", url.Values{}); r.status != 200 {
			t.Fatalf("%d %s", r.status, r.text())
		}
		if one.on(x.last()).signedIn() || !two.on(x.last()).signedIn() {
			t.Error("the wrong session ended, or none")
		}
	})
}

func TestG14_StolenRememberedBrowserThroughPages(t *testing.T) {
	everywhere(t, func(t *testing.T, x *target) {
		ada := x.member("ada", longPassword, method.Password, method.TOTP)
		library := x.application("Library", "teaching")
		b := x.browser()
		b.signIn(ada, "/apps", true)
		if b.cookies[httpdoor.RememberedCookie] == "" {
			t.Fatal("not remembered")
		}
		b.post("/signout", url.Values{})
		// In a browser of the enemy's own the copy is found out at its first use; alone it gives nothing at all.
		enemy := x.browser()
		enemy.get("/signin")
		enemy.cookies[httpdoor.RememberedCookie] = b.cookies[httpdoor.RememberedCookie]
		if enemy.signedIn() || enemy.get(library.authorize("prompt", "none")).code() != "" {
			t.Error("the cookie alone signs in")
		}
		whole := b.copied() // everything the browser had
		x.clock.Add(time.Hour)
		if r := b.byPassword(ada, "/apps"); r.status != 200 || r.asks() != "" {
			t.Fatalf("not remembered any more: %s", r.text())
		}
		if !b.signedIn() {
			t.Fatal("no session")
		}
		token := x.nodes[0].redeem(x, library, b.get(library.authorize()).code())
		x.clock.Add(2 * time.Minute)
		thief := whole.on(x.last())
		if r := thief.byPassword(ada, "/apps"); r.asks() != "totp" {
			t.Errorf("the copy still stands for the second proof: %d %s", r.status, r.text())
		}
		if b.signedIn() || thief.signedIn() || x.last().active(x, library, token.Access) {
			t.Error("a session born from the family lives on")
		}
		if !slices.Contains(ada.notices(), "browser.stolen") {
			t.Errorf("the member was told of %v", ada.notices())
		}
		if r := b.byPassword(ada, "/apps"); r.asks() != "totp" {
			t.Error("the family lives on")
		}
	})
}
