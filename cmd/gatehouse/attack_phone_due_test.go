package main

import (
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
	"github.com/gatehouse-id/gatehouse/internal/method"
)

// reported makes a member whose phone has said "No, it's not me".
func (x *target) reported(name string, kinds ...method.Kind) (*member, *softphone.Phone, *browser) {
	x.t.Helper()
	m := x.member(name, longPassword, append(kinds, method.Password, method.TOTP)...)
	phone := x.browser().pair(m, x.last())
	known := x.browser()
	known.signIn(m, "/apps", true)
	known.post("/signout", url.Values{})
	known.proceed(known.get("/apps"), m, true) // remembered: the password is enough
	known.post("/signout", url.Values{})
	x.fromElsewhere("203.0.113.77").ask(m, "/apps")
	x.must(phone.Report(x.t.Context(), x.one(phone)))
	return m, phone, known
}

func (r *reply) due() bool { return strings.Contains(r.body, `action="/signin/new-password"`) }

func TestG46_TheNewPasswordAfterAReportIsNotPassedBy(t *testing.T) {
	everywhere(t, func(t *testing.T, x *target) {
		library, board := x.application("Library", "teaching"), x.application("Board", "open")
		ada, _, known := x.reported("ada")
		// A remembered browser stands for nothing, nor does the password alone, even where it is enough otherwise.
		for what, path := range map[string]string{"our pages": "/apps", "an application": library.authorize(), "an open one": board.authorize()} {
			if r := known.copied().byPassword(ada, path); r.code() != "" || r.due() || r.status == 200 && r.asks() == "" && r.number() == "" && !strings.Contains(r.body, "/signin/") {
				t.Errorf("%s after the password alone: %d %s", what, r.status, r.text())
			}
		}
		b := x.browser()
		r := b.proceed(b.get("/apps"), ada, true)
		if !r.due() {
			t.Fatalf("no new password is asked for: %s", r.text())
		}
		// From that page there is no way on but through it.
		inside := func(what string, b *browser) {
			t.Helper()
			if b.signedIn() || b.session() != "" {
				t.Errorf("%s: signed in", what)
			}
		}
		ref := url.QueryEscape(r.attempt())
		for _, path := range []string{"/apps", "/security", "/security/add/app", "/security/password", library.authorize(), library.authorize("prompt", "none"),
			board.authorize("prompt", "none"), "/signin/next?attempt=" + ref, "/signin/next?remember=yes&attempt=" + ref, "/oauth2/authorize/continue?attempt=" + ref} {
			tab := b.copied()
			if r := tab.get(path); r.code() != "" {
				t.Errorf("%.30s gives a code", path)
			}
			inside(path, tab)
		}
		for path, form := range map[string]url.Values{"/signin/app/send": {}, "/signin/choose": {"kind": {"totp"}}, "/signin/totp": {"answer": {ada.code()}},
			"/signin/password": {"answer": {ada.password}}, "/signin/first": {}, "/signin/new-password": {"answer": {ada.password}}} {
			tab := b.copied()
			form.Set("attempt", r.attempt())
			if n := tab.post(path, form); n.status < 400 && !n.due() && n.asks() == "" && n.number() == "" {
				t.Logf("%s answers %d %s", path, n.status, n.text())
			}
			inside(path, tab)
		}
		// Another tab with proofs of its own is asked the same; so is one that signs in for an act.
		for _, path := range []string{library.authorize(), "/security/add/passkey", "/security/lead", "/security/password"} {
			tab := x.browser()
			if n := tab.proceed(tab.get(path), ada, false); !n.due() || n.code() != "" {
				t.Errorf("%.30s: %d %s", path, n.status, n.text())
			}
			inside(path, tab)
		}
		const fresh = "seven quiet rivers at dusk"
		for _, bad := range []string{"", "short", "password1234567", longPassword} {
			if n := b.post("/signin/new-password", url.Values{"attempt": {r.attempt()}, "answer": {bad}}); !n.due() {
				t.Errorf("%q is taken: %s", bad, n.text())
			}
			inside(bad, b)
		}
		if b.post("/signin/new-password", url.Values{"attempt": {r.attempt()}, "answer": {fresh}}); !b.signedIn() {
			t.Fatal("the member is locked out")
		}
		old := x.browser()
		if n := old.byPassword(ada, "/apps"); n.asks() != "password" {
			t.Errorf("the old password still proves: %s", n.text())
		}
		ada.password = fresh
		if n := known.proceed(known.get("/apps"), ada, false); n.due() || !known.signedIn() {
			t.Errorf("asked twice: %s", n.text())
		}
	})
}

func TestG46_APasskeyDoesNotPassTheNewPasswordBy(t *testing.T) {
	x := newTarget(t, "", 1)
	ada, _, _ := x.reported("ada", method.Passkey)
	b := x.browser()
	if r := b.touch(b.get("/apps"), ada); !r.due() || b.signedIn() {
		t.Errorf("%d %s", r.status, r.text())
	}
}
