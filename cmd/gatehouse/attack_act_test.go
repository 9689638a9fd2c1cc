package main

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
)

var methodRow = regexp.MustCompile(`/security/methods/([^/"]+)/remove`)

// methods are the identifiers on the member's own page, in the order shown there.
func (b *browser) methods() (ids []string) {
	for _, m := range methodRow.FindAllStringSubmatch(b.get("/security").body, -1) {
		ids = append(ids, m[1])
	}
	return ids
}

// changes are the acts of the trail that changed something of the member's methods.
func (m *member) changes() (all []string) {
	for _, a := range m.acts() {
		if strings.HasPrefix(a, "method.") || strings.HasPrefix(a, "password.changed") {
			all = append(all, a)
		}
	}
	return all
}

func TestG72_OneAssertionOneUse(t *testing.T) {
	x := newTarget(t, "", 1)
	ada := x.member("ada", longPassword, method.Password, method.Passkey)
	eve := x.member("eve", longPassword, method.Password, method.Passkey)
	b := x.browser()
	page := b.get("/signin")
	signed, err := ada.key.Get([]byte(page.field(optionsField)))
	x.must(err)
	send := func(b *browser, attempt string) *reply {
		return b.post("/signin/passkey", url.Values{"attempt": {attempt}, "answer": {string(signed)}})
	}
	other := x.browser()
	if send(other, other.get("/signin").attempt()); other.session() != "" {
		t.Error("an assertion works for another attempt")
	}
	if send(other, page.attempt()); other.session() != "" {
		t.Error("an attempt works in another browser")
	}
	tabs := make([]*browser, 20)
	for i := range tabs {
		tabs[i] = b.copied()
	}
	if won := atOnce(len(tabs), func(i int) bool { send(tabs[i], page.attempt()); return tabs[i].session() != "" }); won != 1 {
		t.Errorf("one assertion opened %d sessions", won)
	}
	i := slices.IndexFunc(tabs, func(b *browser) bool { return b.session() != "" })
	b = tabs[i]
	// The same signature for another purpose: a step-up, an act, a registration.
	x.clock.Add(16 * time.Minute)
	step := b.get("/security")
	if r := send(b, step.attempt()); r.asks() != "passkey" {
		t.Errorf("a sign-in's assertion stepped up: %s", r.text())
	}
	// A challenge for one act does not do for another.
	remove := b.get("/security/methods/x/remove")
	add := b.get("/security/add/passkey")
	forAdding, err := ada.key.Get([]byte(add.field(optionsField)))
	x.must(err)
	if r := b.post("/signin/passkey", url.Values{"attempt": {remove.attempt()}, "answer": {string(forAdding)}}); r.asks() != "passkey" {
		t.Errorf("an assertion for adding proved removing: %s", r.text())
	}
	// After ten minutes, and another person's key within the session.
	late := b.get("/security/add/passkey")
	lateSigned, err := ada.key.Get([]byte(late.field(optionsField)))
	x.must(err)
	x.clock.Add(10 * time.Minute)
	if r := b.post("/signin/passkey", url.Values{"attempt": {late.attempt()}, "answer": {string(lateSigned)}}); r.asks() != "passkey" {
		t.Errorf("an assertion of ten minutes ago was taken: %s", r.text())
	}
	eve.key.Use = eve.key.Credentials()[0].ID
	if r := b.touch(b.get("/security/add/passkey"), eve); r.asks() != "passkey" {
		t.Errorf("another person's key proved an act: %s", r.text())
	}
	if len(ada.changes()) > 0 || len(eve.changes()) > 0 {
		t.Errorf("something changed: %v %v", ada.changes(), eve.changes())
	}
}

// done reports whether the answer says that a change was made.
func (r *reply) done() bool { return strings.HasPrefix(r.location, "/security?done=") }

// pressAll presses every button that changes a method, with forged fields, and reports what answered as done.
func (b *browser) pressAll(ids ...string) (done []string) {
	device := softkey.New(attackBase)
	for path, form := range map[string]url.Values{
		"/security/add/passkey": {"name": {"mine"}, "sealed": {"AAAA"}, "answer": {"{}"}},
		"/security/add/totp":    {"name": {"mine"}, "sealed": {"AAAA"}, "answer": {"123456"}},
		"/security/password":    {"answer": {"a whole new password of mine"}},
		"/security/lead":        {"kind": {"password"}},
	} {
		if b.send("POST", path, form).done() {
			done = append(done, path)
		}
	}
	for _, id := range ids {
		for _, act := range []string{"remove", "rename"} {
			if b.send("POST", "/security/methods/"+id+"/"+act, url.Values{"name": {"hacked"}}).done() {
				done = append(done, act+" "+id)
			}
		}
	}
	if r := b.get("/security/add/passkey"); r.field(sealedField) != "" {
		answer, err := device.Create([]byte(r.field(optionsField)))
		b.x.must(err)
		b.post("/security/add/passkey", url.Values{"name": {"mine"}, "sealed": {r.field(sealedField)}, "answer": {string(answer)}})
		done = append(done, "a registration was offered")
	}
	return done
}

// forgedPresses are the headers of requests that no page of ours makes.
func forgedPresses() map[string]map[string]string {
	return map[string]map[string]string{
		"cross-site":               {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
		"a sibling's page":         {"Sec-Fetch-Site": "same-site", "Origin": "http://evil.localhost:8080"},
		"no sign of where from":    {"Sec-Fetch-Site": ""},
		"text/plain":               {"Content-Type": "text/plain"},
		"no content type":          {"Content-Type": ""},
		"a frame":                  {"Sec-Fetch-Dest": "iframe"},
		"origin null, no metadata": {"Sec-Fetch-Site": "", "Origin": "null"},
	}
}

func TestG73_G75_NoSessionAloneChangesAMethod(t *testing.T) {
	x := newTarget(t, "", 1)
	board := x.application("Board", "open")
	ada := x.member("ada", longPassword, method.Password, method.TOTP, method.Passkey)
	own := x.browser()
	own.signIn(ada, "/security", false)
	ids := own.methods()
	if len(ids) != 2 {
		t.Fatalf("methods %v", ids)
	}
	before := len(ada.changes())
	check := func(name string, b *browser, but ...string) {
		t.Helper()
		others := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(but, id) })
		if done := b.pressAll(others...); len(done) > 0 || len(ada.changes()) > before {
			t.Errorf("%s: %v %v", name, done, ada.changes()[before:])
		}
	}
	pending := x.browser()
	pending.byPassword(ada, "/apps")
	check("after the password alone", pending)
	low := x.browser()
	if r := low.byPassword(ada, board.authorize()); r.code() == "" || !low.signedIn() {
		t.Fatalf("no low session: %s", r.text())
	}
	check("a session of one password", low)
	if r := low.get("/security"); r.asks() != "passkey" {
		t.Errorf("the security page lets a password in: %s", r.text())
	}
	check("a full session, without a proof of the act", own)
	x.clock.Add(6 * time.Minute)
	check("a full session six minutes old", own)
	// The proof names its act and its object, is used once, and lasts five minutes.
	totp := ids[0]
	if r := own.get("/security/methods/" + totp + "/rename"); r.asks() != "passkey" {
		t.Fatalf("renaming asks %q", r.asks())
	} else if r = own.touch(r, ada); !strings.Contains(r.body, `name="name"`) {
		t.Fatalf("not proven: %s", r.text())
	}
	check("a proof for renaming the other", own, totp)
	x.clock.Add(5*time.Minute + time.Second)
	check("a proof that is over", own)
	// Every door but our own pages is shut to a forged press.
	own.touch(own.get("/security/methods/"+totp+"/rename"), ada)
	for name, header := range forgedPresses() {
		b := own.copied()
		b.header = header
		check(name, b)
	}
	if r := own.send("POST", "/security/methods/"+totp+"/rename", url.Values{"name": {"Blue phone"}}); r.status != http.StatusSeeOther {
		t.Fatalf("the member's own press: %d", r.status)
	}
	if len(ada.changes()) != before+1 {
		t.Errorf("changes %v", ada.changes())
	}
	before++
	check("the same proof again", own)
}

func TestG73_ProofOfOneMethodOpensNoOther(t *testing.T) {
	x := newTarget(t, "", 1)
	ada := x.member("ada", longPassword, method.Password, method.TOTP, method.Passkey)
	bob := x.member("bob", longPassword, method.Password, method.TOTP, method.Passkey)
	b, v := x.browser(), x.browser()
	b.signIn(ada, "/security", false)
	v.signIn(bob, "/security", false)
	mine, his := b.methods(), v.methods()
	b.touch(b.get("/security/methods/"+mine[0]+"/remove"), ada)
	for _, id := range append([]string{mine[1]}, his...) {
		if r := b.send("POST", "/security/methods/"+id+"/remove", url.Values{}); r.done() {
			t.Errorf("a proof for one removed another")
		}
	}
	// Proving the removal of somebody else's method removes nothing either.
	for _, id := range his {
		r := b.touch(b.get("/security/methods/"+id+"/remove"), ada)
		if r.status != http.StatusNotFound {
			t.Errorf("asking to remove another's method: %d %s", r.status, r.text())
		}
		if r := b.send("POST", "/security/methods/"+id+"/remove", url.Values{}); r.done() {
			t.Error("another's method was removed")
		}
	}
	if len(ada.changes())+len(bob.changes()) > 0 {
		t.Errorf("%v %v", ada.changes(), bob.changes())
	}
	// The press that was proven works, once, and a second press leads somewhere sensible.
	first := b.send("POST", "/security/methods/"+mine[0]+"/remove", url.Values{})
	second := b.post("/security/methods/"+mine[0]+"/remove", url.Values{})
	if !first.done() || second.status >= 500 || len(ada.changes()) != 1 {
		t.Errorf("%d %s, then %d %s: %v", first.status, first.location, second.status, second.text(), ada.changes())
	}
}
