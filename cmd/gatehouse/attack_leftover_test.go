package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
)

func TestPageLeftOpenOvernightLeadsOn(t *testing.T) {
	x := newTarget(t, "", 1)
	ada := x.member("ada", longPassword, method.Password, method.TOTP)
	library := x.application("Library", "teaching")
	b := x.browser()
	page := b.name(b.get(library.authorize()), ada.name)
	half := b.answer(page, method.Password, ada.password, false)
	x.clock.Add(14 * time.Hour)
	for _, r := range []*reply{b.answer(page, method.Password, ada.password, false), b.answer(half, method.TOTP, ada.code(), false),
		b.get("/signin?attempt=" + url.QueryEscape(half.attempt()))} {
		if r.status != http.StatusOK || r.code() != "" || b.session() != "" {
			t.Fatalf("the morning after: %d %s", r.status, r.text())
		}
		if r.attempt() == "" {
			t.Fatalf("no way on from %s", r.text())
		}
		if end := b.copied().proceed(b.get("/signin?attempt="+url.QueryEscape(r.attempt())), ada, false); end.code() == "" {
			t.Errorf("starting again did not lead to the application: %d %s", end.status, end.text())
		}
	}
}

func TestBackButtonAndSecondPress(t *testing.T) {
	x := newTarget(t, "", 1)
	ada := x.member("ada", longPassword, method.Password, method.TOTP)
	library := x.application("Library", "teaching")
	b := x.browser()
	first := b.get(library.authorize())
	page := b.name(first, ada.name)
	half := b.answer(page, method.Password, ada.password, false)
	again := b.answer(page, method.Password, ada.password, false) // back, and pressed again
	if again.asks() != "totp" {
		t.Fatalf("pressed again: %s", again.text())
	}
	code := ada.code()
	if r := b.answer(half, method.TOTP, code, false); r.code() == "" {
		t.Fatalf("not in: %s", r.text())
	}
	// Pressed twice, and every older form: nobody is shown an error, nothing new is minted but what a session may have.
	session := b.session()
	for name, r := range map[string]*reply{
		"the last press again":  b.answer(half, method.TOTP, code, false),
		"the other tab's":       b.get("/signin?attempt=" + url.QueryEscape(again.attempt())),
		"the password page":     b.get("/signin?attempt=" + url.QueryEscape(page.attempt())),
		"the name page":         b.name(first, ada.name),
		"a fresh request":       b.get(library.authorize()),
		"the front door":        b.get("/"),
		"a method's address":    b.get("/signin/totp"),
		"an empty attempt":      b.get("/signin?attempt="),
		"a damaged attempt":     b.get("/signin?attempt=" + url.QueryEscape(page.attempt()[1:])),
		"continue with nothing": b.get("/oauth2/authorize/continue?attempt=x"),
	} {
		if r.status >= 500 || r.status == http.StatusForbidden {
			t.Errorf("%s: %d %s", name, r.status, r.text())
		}
	}
	if b.session() != session {
		t.Error("the session was replaced by old pages")
	}
}

func TestAttemptsBelongToOneBrowserAndEndWithTheSession(t *testing.T) {
	x := newTarget(t, "", 1)
	ada := x.member("ada", longPassword, method.Password, method.TOTP)
	library := x.application("Library", "teaching")
	b, enemy := x.browser(), x.browser()
	half := b.byPassword(ada, library.authorize())
	enemy.get("/signin")
	for _, r := range []*reply{enemy.answer(half, method.TOTP, ada.code(), false), enemy.get("/signin?attempt=" + url.QueryEscape(half.attempt())),
		enemy.get("/oauth2/authorize/continue?attempt=" + url.QueryEscape(half.attempt()))} {
		if r.code() != "" || enemy.session() != "" || strings.Contains(r.text(), ada.name) {
			t.Errorf("another browser's attempt answered %d %s", r.status, r.text())
		}
	}
	b.signIn(ada, "/apps", false)
	x.clock.Add(20 * time.Minute)
	step := b.get("/security") // a step-up within the session
	b.post("/signout", url.Values{})
	if r := b.answer(step, method.TOTP, ada.code(), false); b.session() != "" || r.status >= 500 {
		t.Errorf("a step-up outlived its session: %s", r.text())
	}
}

// A proof by something that is no longer a proof opens nothing, however it was kept.
func TestProofsEndWithWhatGaveThem(t *testing.T) {
	x := newTarget(t, "", 1)
	library, records := x.application("Library", "teaching"), x.application("Records", "clinical")
	t.Run("a password that was changed", func(t *testing.T) {
		ada := x.member("ada", longPassword, method.Password, method.TOTP)
		enemy := x.browser()
		half := enemy.byPassword(ada, library.authorize())
		own := x.browser()
		own.signIn(ada, "/security", false)
		own.proceed(own.get("/security/password"), ada, false)
		if !own.send("POST", "/security/password", url.Values{"answer": {"entirely different words now"}}).done() {
			t.Fatal("not changed")
		}
		if r := enemy.answer(half, method.TOTP, ada.code(), false); r.code() != "" || enemy.session() != "" {
			t.Error("an attempt that was begun with the old password was finished after the change")
		}
	})
	t.Run("a passkey that was removed", func(t *testing.T) {
		bob := x.member("bob", longPassword, method.Password, method.TOTP, method.Passkey)
		own := x.browser()
		own.signIn(bob, "/security", false)
		ids := own.methods()
		own.touch(own.get("/security/methods/"+ids[1]+"/remove"), bob)
		if !own.send("POST", "/security/methods/"+ids[1]+"/remove", url.Values{}).done() {
			t.Fatal("not removed")
		}
		if r := own.get(records.authorize()); r.code() != "" {
			t.Error("a removed passkey opened a clinical application")
		}
	})
	t.Run("an account that was reset or suspended", func(t *testing.T) {
		cyd := x.member("cyd", longPassword, method.Password, method.TOTP)
		enemy := x.browser()
		half := enemy.byPassword(cyd, library.authorize())
		cyd.suspend()
		cyd.restore()
		if r := enemy.answer(half, method.TOTP, cyd.code(), false); r.code() != "" || enemy.session() != "" {
			t.Error("an attempt outlived a suspension")
		}
	})
}

func TestRememberedBrowserAfterAPasswordChangeElsewhere(t *testing.T) {
	x := newTarget(t, "", 1)
	ada := x.member("ada", longPassword, method.Password, method.TOTP)
	lent, own := x.browser(), x.browser()
	lent.signIn(ada, "/apps", true)
	own.signIn(ada, "/apps", true)
	own.proceed(own.get("/security/password"), ada, false)
	if ada.password = "another long password here"; !own.send("POST", "/security/password", url.Values{"answer": {ada.password}}).done() {
		t.Fatal("not changed")
	}
	if lent.signedIn() || !own.signedIn() {
		t.Error("the other session lives, or the own one died")
	}
	if r := lent.byPassword(ada, "/apps"); r.asks() != "totp" {
		t.Errorf("the other browser is still remembered: %s", r.text())
	}
	own.post("/signout", url.Values{})
	if r := own.byPassword(ada, "/apps"); r.asks() != "" {
		t.Errorf("the browser in which it was changed is not remembered: %s", r.text())
	}
	// Signing out everywhere forgets all of them.
	own.post("/signout", url.Values{"everywhere": {"yes"}})
	if r := own.byPassword(ada, "/apps"); r.asks() != "totp" {
		t.Error("still remembered after signing out everywhere")
	}
}

func TestNamesAndChoicesMakeNoDifference(t *testing.T) {
	x := newTarget(t, "", 1)
	ada := x.member("ada.Sample", longPassword, method.Password, method.TOTP)
	for _, typed := range []string{"ADA.SAMPLE", " ada.sample ", "Ada.Sample@EXAMPLE.ac.uk", "ada.sample"} {
		b := x.browser()
		r := b.answer(b.name(b.get("/signin"), typed), method.Password, ada.password, false)
		if r.asks() != "totp" {
			t.Fatalf("%q: %s", typed, r.text())
		}
		for _, kind := range []string{"passkey", "password", "none", "", "../apps", strings.Repeat("x", 5000)} {
			r = b.post("/signin/choose", url.Values{"attempt": {r.attempt()}, "kind": {kind}})
			if r.asks() != "totp" || b.session() != "" {
				t.Errorf("choosing %.20q led to %d %s", kind, r.status, r.text())
			}
		}
		if r = b.answer(r, method.TOTP, ada.code(), false); b.session() == "" {
			t.Errorf("%q: not in: %s", typed, r.text())
		}
	}
	// All spellings share one budget.
	b := x.browser()
	for i := range 14 {
		b.answer(b.name(b.get("/signin"), []string{"ada.sample", "ADA.sample", "ada.sample@example.ac.uk"}[i%3]), method.Password, "wrong", false)
	}
	if r := b.byPassword(ada, "/apps"); r.asks() == "totp" {
		t.Error("each spelling has a budget of its own")
	}
}

// invited adds a person through the administration API and gives their invitation's secret.
func (x *target) invited(name string) (m *member, typed string) {
	x.t.Helper()
	var p struct{ ID string }
	var i struct{ Secret string }
	x.must(json.Unmarshal([]byte(x.admin("POST", "/people", `{"username":"`+name+`","email":"`+name+`@example.ac.uk"}`).body), &p))
	x.must(json.Unmarshal([]byte(x.admin("POST", "/people/"+p.ID+"/invite", "").body), &i))
	m = x.stranger(name)
	m.id = people.ID(p.ID)
	return m, i.Secret
}

func TestInvitationsAreUsedOnceInOneBrowserInTime(t *testing.T) {
	x := newTarget(t, "", 1)
	begin := func(b *browser, typed string) *reply { return b.post("/welcome", url.Values{"code": {typed}}) }
	accept := func(b *browser, m *member, ref string) *reply {
		offer := b.post("/welcome/offer", url.Values{"ref": {ref}, "kind": {"passkey"}})
		if offer.field(sealedField) == "" {
			return offer
		}
		answer, err := m.key.Create([]byte(offer.field(optionsField)))
		x.must(err)
		return b.post("/welcome/finish", url.Values{"ref": {ref}, "kind": {"passkey"}, "sealed": {offer.field(sealedField)}, "name": {"key"}, "answer": {string(answer)}})
	}
	ada, typed := x.invited("ada")
	b, enemy := x.browser(), x.browser()
	ref := begin(b, typed).field(refField)
	if ref == "" {
		t.Fatal("the invitation did not open")
	}
	if r := begin(enemy, typed); r.field(refField) != "" {
		t.Error("an opened invitation opens in another browser")
	}
	if r := accept(enemy, ada, ref); r.status < 400 {
		t.Errorf("another browser's invitation: %d", r.status)
	}
	before := b.copied()
	if r := accept(b, ada, ref); r.status != 200 || b.session() != "" {
		t.Fatalf("not registered, or signed in by it: %d %s", r.status, r.text())
	}
	if r := begin(before, typed); r.field(refField) != "" {
		t.Error("the invitation opens again")
	}
	if r := accept(before, x.stranger("again"), ref); r.status < 400 {
		t.Error("the invitation registered a second key")
	}
	if b.signIn(ada, "/apps", false); !b.signedIn() {
		t.Error("the new key does not sign in")
	}
	bob, typed := x.invited("bob")
	w := x.browser()
	ref = begin(w, typed).field(refField)
	bob.suspend()
	if r := accept(w, bob, ref); r.status < 400 || begin(w, typed).field(refField) != "" {
		t.Error("a suspended person's invitation works")
	}
	cyd, typed := x.invited("cyd")
	late := x.browser()
	ref = begin(late, typed).field(refField)
	x.clock.Add(24*time.Hour + time.Second)
	if r := accept(late, cyd, ref); r.status < 400 || begin(late, typed).field(refField) != "" {
		t.Error("an invitation works after its time")
	}
}

func TestStolenCookiesWithoutTheirBrowserAreWorthNothing(t *testing.T) {
	x := newTarget(t, "", 1)
	ada := x.member("ada", longPassword, method.Password, method.TOTP)
	bob := x.member("bob", longPassword, method.Password, method.TOTP)
	library := x.application("Library", "teaching")
	b := x.browser()
	b.signIn(ada, "/apps", true)
	enemy := x.browser()
	enemy.signIn(bob, "/apps", false)
	for _, name := range []string{httpdoor.SessionCookie, httpdoor.RememberedCookie} {
		c := enemy.copied()
		c.cookies[name] = b.cookies[name]
		page := c.get("/security")
		if strings.Contains(page.text(), "ADA") || name == httpdoor.SessionCookie && c.get(library.authorize("prompt", "none")).code() != "" {
			t.Errorf("%s alone opened the member's pages", name)
		}
	}
	if !b.signedIn() || slices.Contains(ada.notices(), "browser.stolen") {
		t.Error("the member suffers from a copy that was worth nothing")
	}
}
