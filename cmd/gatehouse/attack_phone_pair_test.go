package main

import (
	"context"
	"encoding/json"
	"html"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

var pairCode = regexp.MustCompile(`\b([A-Z0-9]{4}-[A-Z0-9]{4})\b`)

// pairing is one that a member's browser has begun.
type pairing struct{ sealed, token, code string }

func (b *browser) beginPairing(m *member) pairing {
	b.x.t.Helper()
	r := b.proceed(b.get("/security/add/app"), m, false)
	_, token, err := softphone.ParseLink(html.UnescapeString(r.field(pairLink)))
	if err != nil {
		b.x.t.Fatalf("%v: %s", err, r.text())
	}
	return pairing{r.field(sealedField), token, r.field(pairCode)}
}

// claim brings a new phone to a pairing; code is what it shows.
func (x *target) claim(tokenOrCode string) (p *softphone.Phone, code string, err error) {
	p = x.phoneAt(x.last())
	if err = p.OpenPairing(context.Background(), tokenOrCode); err == nil {
		code, err = p.Claim(context.Background(), "Phone")
	}
	return p, code, err
}

func (b *browser) confirm(sealed, code string) *reply {
	return b.post("/security/pairing/confirm", url.Values{"sealed": {sealed}, "answer": {code}, "name": {"Phone"}})
}

// kinds are what the member holds that counts.
func (m *member) kinds() (all []string) {
	m.x.t.Helper()
	m.x.must(m.x.nodes[0].db.View(context.Background(), func(tx *store.Tx) error {
		owned, err := enrol.Store(tx).CredentialsOf(context.Background(), string(m.id))
		for _, c := range owned {
			all = append(all, string(c.Kind))
		}
		return err
	}))
	slices.Sort(all)
	return all
}

func TestG75_APairingBelongsToItsSessionItsProofAndItsPhone(t *testing.T) {
	everywhere(t, func(t *testing.T, x *target) {
		ada := x.member("ada", longPassword, method.Password, method.TOTP)
		eve := x.member("eve", longPassword, method.Password, method.TOTP)
		own, hers := x.browser(), x.browser()
		own.signIn(ada, "/security", false)
		hers.signIn(eve, "/security", false)
		before := ada.kinds()
		// Begun with a proof of the act alone: not by a session, not by half of one.
		half := x.browser()
		half.byPassword(ada, "/apps")
		for what, b := range map[string]*browser{"a session": own, "after the password": half} {
			if r := b.get("/security/add/app"); r.field(pairLink) != "" || r.field(pairCode) != "" {
				t.Errorf("%s begins a pairing: %s", what, r.text())
			}
		}
		p := own.beginPairing(ada)
		phone, code, err := x.claim(p.token)
		x.must(err)
		// From another person's session, another browser and half a session.
		for what, b := range map[string]*browser{"another person": hers, "nobody": x.browser(), "half a session": half} {
			if b.confirm(p.sealed, code); !slices.Equal(ada.kinds(), before) || !slices.Equal(eve.kinds(), before) {
				t.Fatalf("%s confirms it", what)
			}
			if r := b.post("/security/pairing", url.Values{"sealed": {p.sealed}}); r.field(pairLink) != "" || strings.Contains(r.body, p.token) {
				t.Errorf("%s sees it", what)
			}
			b.post("/security/pairing/cancel", url.Values{"sealed": {p.sealed}})
		}
		// Her own pairing with the code of his phone; his with hers.
		q := hers.beginPairing(eve)
		_, evilCode, err := x.claim(q.token)
		x.must(err)
		if evilCode != code {
			hers.confirm(q.sealed, code)
			own.confirm(p.sealed, evilCode)
		}
		if !slices.Equal(ada.kinds(), before) || !slices.Equal(eve.kinds(), before) {
			t.Fatal("another phone's code pairs")
		}
		// An unconfirmed phone is none.
		if _, err := phone.Requests(t.Context(), 0); err == nil {
			t.Error("an unconfirmed phone lists requests")
		}
		// A second phone comes too late, by link and by code, before and after.
		for _, by := range []string{p.token, p.code} {
			if _, _, err := x.claim(by); err == nil {
				t.Error("a second phone claims the pairing")
			}
		}
		if r := own.confirm(p.sealed, code); r.status != http.StatusOK {
			t.Fatalf("the member's own: %d %s", r.status, r.text())
		}
		x.must(phone.WaitPaired(t.Context()))
		with := ada.kinds()
		for _, by := range []string{p.token, p.code} {
			if _, _, err := x.claim(by); err == nil {
				t.Error("a link is good twice")
			}
		}
		own.confirm(p.sealed, code)
		if !slices.Equal(ada.kinds(), with) {
			t.Errorf("confirmed twice: %v", ada.kinds())
		}
		// The proof is spent with it.
		if r := own.get("/security/add/app"); r.field(pairLink) != "" {
			t.Error("one proof begins two pairings")
		}
		if !slices.Contains(ada.notices(), "method.added") {
			t.Error("nobody is told")
		}
	})
}

func TestG90_OldLinksAndCodesAreOverToTheSecond(t *testing.T) {
	x := newTarget(t, "", 1)
	ada := x.member("ada", longPassword, method.Password, method.TOTP)
	before := ada.kinds()
	b := x.browser()
	b.signIn(ada, "/security", false)
	// No cleaner runs in this house: what is over is over by its own time.
	p := b.beginPairing(ada)
	x.clock.Add(enrol.PairingFor + time.Second)
	for _, by := range []string{p.token, p.code} {
		if _, _, err := x.claim(by); err == nil {
			t.Error("a pairing is opened after its time")
		}
	}
	p = b.beginPairing(ada)
	_, code, err := x.claim(p.code)
	x.must(err)
	x.clock.Add(enrol.PairingFor + time.Second)
	b.confirm(p.sealed, code)
	// A new pairing ends the old one, a cancelled one leaves nothing, three wrong codes end one.
	old := b.beginPairing(ada)
	p = b.beginPairing(ada)
	if _, _, err := x.claim(old.token); err == nil {
		t.Error("a replaced link works")
	}
	_, code, err = x.claim(p.token)
	x.must(err)
	b.post("/security/pairing/cancel", url.Values{"sealed": {p.sealed}})
	b.confirm(p.sealed, code)
	p = b.beginPairing(ada)
	_, code, err = x.claim(p.token)
	x.must(err)
	tabs := make([]*browser, 12)
	for i := range tabs {
		tabs[i] = b.copied()
	}
	atOnce(len(tabs), func(i int) bool { tabs[i].confirm(p.sealed, other(code[:2])+code[2:]); return false })
	b.confirm(p.sealed, code)
	if !slices.Equal(ada.kinds(), before) {
		t.Errorf("paired all the same: %v", ada.kinds())
	}
	// The end of the session ends what it began.
	p = b.beginPairing(ada)
	_, code, err = x.claim(p.token)
	x.must(err)
	again := b.copied()
	b.post("/signout", url.Values{})
	again.confirm(p.sealed, code)
	b.signIn(ada, "/security", false)
	b.confirm(p.sealed, code)
	if !slices.Equal(ada.kinds(), before) {
		t.Errorf("paired after the session: %v", ada.kinds())
	}
	// An invitation with the app, a second late.
	cyd, typed := x.invited("cyd")
	late := x.browser()
	ref := late.post("/welcome", url.Values{"code": {typed}}).field(refField)
	x.clock.Add(24*time.Hour - 2*time.Second)
	r := late.post("/welcome/offer", url.Values{"ref": {ref}, "kind": {"app"}})
	_, token, err := softphone.ParseLink(html.UnescapeString(r.field(pairLink)))
	x.must(err)
	_, code, err = x.claim(token)
	x.must(err)
	x.clock.Add(3 * time.Second)
	late.post("/welcome/pairing/confirm", url.Values{"sealed": {r.field(sealedField)}, "ref": {ref}, "answer": {code}})
	if got := cyd.kinds(); len(got) != 0 {
		t.Errorf("an invitation that is over registers %v", got)
	}
}

func TestG75_OneKeyIsOnePhoneAndAMoveNeedsItsOwner(t *testing.T) {
	everywhere(t, func(t *testing.T, x *target) {
		ada, phone := x.withPhone("ada")
		eve := x.member("eve", longPassword, method.Password, method.TOTP)
		b := x.browser()
		b.signIn(eve, "/security", false)
		before := eve.kinds()
		// Eve brings the phone's public key, as a thief of a backup could: she cannot sign with it.
		thief := x.phoneAt(x.last())
		x.must(thief.OpenPairing(t.Context(), b.beginPairing(eve).token))
		thief.Client = &http.Client{Transport: swapped{throughHandler{x.last().handler}, phone}}
		if _, err := thief.Claim(t.Context(), "Hers too"); softphone.Code(err) != "pairing.key" && softphone.Code(err) != "pairing.invalid" {
			t.Errorf("another's key is claimed: %v", err)
		}
		if !slices.Equal(eve.kinds(), before) {
			t.Error("a stolen key is a method")
		}
		// A move without the phone's own unlocking; and confirmed by somebody else.
		locked := x.phoneAt(x.last())
		text, err := json.Marshal(phone)
		x.must(err)
		x.must(json.Unmarshal(text, locked))
		locked.NoUnlock = true
		if _, err := locked.Move(t.Context()); err == nil {
			t.Error("a phone moves without being unlocked")
		}
		m, err := phone.Move(t.Context())
		x.must(err)
		_, token, err := softphone.ParseLink(m.Link)
		x.must(err)
		fresh, code, err := x.claim(token)
		x.must(err)
		his := x.browser().pair(eve, x.last())
		if err := his.ConfirmMove(t.Context(), m.Pairing, code); err == nil {
			t.Error("another person's phone confirms a move")
		}
		if err := phone.ConfirmMove(t.Context(), m.Pairing, other(code[:2])+code[2:]); err == nil {
			t.Error("a wrong code moves the phone")
		}
		session := x.browser()
		session.signIn(ada, "/apps", false)
		x.must(phone.ConfirmMove(t.Context(), m.Pairing, code))
		x.must(fresh.WaitPaired(t.Context()))
		if _, err := phone.Requests(t.Context(), 0); softphone.Code(err) != "device.unknown" {
			t.Errorf("the old phone: %v", err)
		}
		if session.signedIn() || !slices.Contains(ada.notices(), "method.moved") {
			t.Error("a move is silent or leaves sessions")
		}
		if err := phone.ConfirmMove(t.Context(), m.Pairing, code); err == nil {
			t.Error("a move is done twice")
		}
	})
}

// swapped puts another phone's public key into a claim.
type swapped struct {
	throughHandler
	of *softphone.Phone
}

func (s swapped) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/pairings/claim") {
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			return nil, err
		}
		body["key"] = jwkOf(s.of)
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		again, err := http.NewRequestWithContext(r.Context(), r.Method, r.URL.String(), strings.NewReader(string(text)))
		if err != nil {
			return nil, err
		}
		again.Header = r.Header
		r = again
	}
	return s.throughHandler.RoundTrip(r)
}

func TestG75_ALowSessionAddsNoAppNumberOrCodes(t *testing.T) {
	x := newTargetWith(t, "", 1, withTexts)
	board := x.application("Board", "open")
	ada := x.member("ada", longPassword, method.Password, method.TOTP)
	before := ada.kinds()
	pending, low, full := x.browser(), x.browser(), x.browser()
	pending.byPassword(ada, "/apps")
	if r := low.byPassword(ada, board.authorize()); r.code() == "" {
		t.Fatal("no low session")
	}
	full.signIn(ada, "/security", false)
	x.clock.Add(6 * time.Minute)
	for what, b := range map[string]*browser{"half a session": pending, "a session of one password": low, "a session without a proof": full} {
		for _, kind := range []string{"app", "phone", "recovery"} {
			r := b.get("/security/add/" + kind)
			if r.field(sealedField) != "" || strings.Contains(r.body, `id="codes"`) || r.field(pairLink) != "" {
				t.Errorf("%s is offered %s", what, kind)
			}
			b.post("/security/add/"+kind, url.Values{"typed": {"+12025550123"}, "via": {"text"}})
			b.post("/security/add/"+kind, url.Values{"sealed": {"AAAA"}, "answer": {"saved"}})
		}
		b.post("/security/pairing/confirm", url.Values{"sealed": {"AAAA"}, "answer": {"123456"}})
	}
	if sent := x.texts(ada); len(sent) != 0 || !slices.Equal(ada.kinds(), before) || len(ada.changes()) != 0 {
		t.Errorf("%d messages, %v, %v", len(sent), ada.kinds(), ada.changes())
	}
}

func TestG89_NoFirstMethodFromElsewhereOrForWhoHadOne(t *testing.T) {
	x := newTarget(t, "", 1)
	p := attackPolicy()
	p.FirstEnrolment = policy.FirstEnrolment{PasswordOnly: true, Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, HoldCategories: []string{"teaching"}}
	x.policy(p)
	library := x.application("Library", "teaching")
	ada := x.member("ada", longPassword, method.Password)
	offered := func(b *browser, m *member) bool {
		r := b.byPassword(m, "/apps")
		return strings.Contains(r.body, `action="/signin/first"`)
	}
	for _, header := range []string{"X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP"} {
		b := x.browser()
		b.header = map[string]string{header: map[bool]string{true: "for=10.1.2.3", false: "10.1.2.3"}[header == "Forwarded"]}
		if offered(b, ada) {
			t.Errorf("%s moves a browser into the campus", header)
		}
	}
	campus := x.fromElsewhere("10.1.2.3")
	r := campus.byPassword(ada, "/apps")
	if !strings.Contains(r.body, `action="/signin/first"`) {
		t.Fatalf("not offered on campus: %s", r.text())
	}
	// The page does not travel: another browser, and the same one off campus.
	away := campus.copied()
	away.address = "203.0.113.5:1"
	for _, b := range []*browser{x.fromElsewhere("10.1.2.4"), away} {
		if n := b.post("/signin/first", url.Values{"attempt": {r.attempt()}}); n.field(refField) != "" {
			t.Error("a first method is begun from elsewhere")
		}
	}
	// Two enrolments at once: one account has one beginning, and what it registers is on hold.
	first := campus.post("/signin/first", url.Values{"attempt": {r.attempt()}})
	rival := x.fromElsewhere("10.1.2.5")
	second := rival.post("/signin/first", url.Values{"attempt": {rival.byPassword(ada, "/apps").attempt()}})
	key := ada.key
	register := func(b *browser, ref string) *reply {
		o := b.post("/welcome/offer", url.Values{"ref": {ref}, "kind": {"passkey"}})
		answer, err := key.Create([]byte(o.field(optionsField)))
		if err != nil {
			return o
		}
		return b.post("/welcome/finish", url.Values{"ref": {ref}, "kind": {"passkey"}, "sealed": {o.field(sealedField)}, "name": {"key"}, "answer": {string(answer)}})
	}
	if register(campus, first.field(refField)); len(ada.kinds()) != 1 {
		t.Errorf("a replaced beginning registers: %v", ada.kinds())
	}
	if register(rival, second.field(refField)); len(ada.kinds()) != 2 {
		t.Fatalf("nothing is registered: %v", ada.kinds())
	}
	register(campus, first.field(refField))
	register(rival, second.field(refField))
	if len(ada.kinds()) != 2 {
		t.Errorf("a second one by the same beginning: %v", ada.kinds())
	}
	// The hold: with the method itself, after renaming it, and with another one that it let in.
	b := x.fromElsewhere("10.1.2.6")
	b.signIn(ada, "/security", false)
	holds := func(what string, b *browser) {
		t.Helper()
		if r := b.proceed(b.get(library.authorize()), ada, false); r.code() != "" {
			t.Errorf("%s opens what is on hold", what)
		}
	}
	holds("the first method", b)
	id := b.methods()[0]
	b.proceed(b.get("/security/methods/"+id+"/rename"), ada, false)
	b.post("/security/methods/"+id+"/rename", url.Values{"name": {"Another name"}})
	holds("a renamed one", b)
	phone := b.pair(ada, x.nodes[0])
	holds("a second one", b)
	phone.LoseStorage()
	x.must(phone.Restore(t.Context(), "Back again"))
	b = x.fromElsewhere("10.1.2.6")
	b.signIn(ada, "/apps", false)
	holds("a restored phone", b)
	b.proceed(b.get("/security/methods/"+id+"/remove"), ada, false)
	b.post("/security/methods/"+id+"/remove", url.Values{})
	last := x.fromElsewhere("10.1.2.7")
	n := last.ask(ada, library.authorize())
	if n.number() != "" {
		x.must(phone.Approve(t.Context(), x.one(phone), n.number()))
		n = last.next(n)
	}
	if n.code() != "" {
		t.Error("the method that is left opens what is on hold")
	}
	x.clock.Add(policy.DefaultHold + time.Hour)
	late := x.fromElsewhere("10.1.2.8")
	n = late.ask(ada, library.authorize())
	x.must(phone.Approve(t.Context(), x.one(phone), n.number()))
	if n = late.next(n); n.code() == "" {
		t.Errorf("held for ever: %s", n.text())
	}
	// Dormant accounts and those that had a method once.
	bob := x.member("bob", longPassword, method.Password)
	x.clock.Add(90 * 24 * time.Hour)
	for range 3 {
		if offered(x.fromElsewhere("10.1.2.3"), bob) {
			t.Error("a dormant account is enrolled by its password")
		}
	}
	cyd := x.member("cyd", longPassword, method.Password, method.TOTP)
	x.admin("POST", "/people/"+string(cyd.id)+"/reset", `{"why":"a test"}`)
	cyd.enrol(method.Password)
	if offered(x.fromElsewhere("10.1.2.3"), cyd) {
		t.Error("an account that was reset is enrolled by its password")
	}
}

func TestRule20_WhatTheDemoNeedsIsNotServed(t *testing.T) {
	x := newTarget(t, "", 1)
	b := x.browser()
	for _, path := range []string{"/demo", "/demo/outbox", "/demo/clock", "/demo/phone", "/outbox", "/debug/pprof/", "/debug/vars", "/dev", "/test"} {
		if r := b.send("GET", path, nil); r.status != http.StatusNotFound {
			t.Errorf("GET %s: %d", path, r.status)
		}
		if r := b.send("POST", path, url.Values{"by": {"1h"}}); r.status != http.StatusNotFound {
			t.Errorf("POST %s: %d", path, r.status)
		}
	}
	for _, path := range []string{"/demo", "/dev", "/stories"} {
		if w := ask(x.nodes[0].handler, "GET", "app.localhost:8080", path); w.Code != http.StatusNotFound {
			t.Errorf("the app's origin serves %s: %d", path, w.Code)
		}
	}
}
