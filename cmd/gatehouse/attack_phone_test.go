package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
	"github.com/gatehouse-id/gatehouse/internal/method"
)

// The tests in attack_phone*_test.go attack what is sent out: requests to the app, codes, and how a phone becomes a method.

// withPhone is a member with a password, passcodes of another device and a paired phone that speaks to the last node.
func (x *target) withPhone(name string) (*member, *softphone.Phone) {
	x.t.Helper()
	m := x.member(name, longPassword, method.Password, method.TOTP)
	return m, x.browser().pair(m, x.last())
}

// fromElsewhere is a browser at another address.
func (x *target) fromElsewhere(address string) *browser {
	b := x.browser()
	b.address = address + ":4711"
	return b
}

// ask gives the password and, where another method leads, chooses the app: it starts a request or says why none.
func (b *browser) ask(m *member, path string) *reply {
	b.x.t.Helper()
	r := b.byPassword(m, path)
	if strings.Contains(r.body, `name="kind" value="app"`) {
		r = b.post("/signin/choose", url.Values{"attempt": {r.attempt()}, "kind": {"app"}})
	}
	return r
}

// next is what a waiting page does once it was woken.
func (b *browser) next(r *reply) *reply {
	return b.get("/signin/next?attempt=" + url.QueryEscape(r.attempt()))
}

// waiting are the requests that wait on a phone.
func (x *target) waiting(p *softphone.Phone) []softphone.Request {
	x.t.Helper()
	list, err := p.Requests(context.Background(), 0)
	x.must(err)
	return list
}

// one is the only request that waits.
func (x *target) one(p *softphone.Phone) softphone.Request {
	x.t.Helper()
	list := x.waiting(p)
	if len(list) != 1 {
		x.t.Fatalf("%d requests wait", len(list))
	}
	return list[0]
}

// other is a number that is not n.
func other(n string) string {
	if n == "42" {
		return "43"
	}
	return "42"
}

func TestG46_TwentyStartsLeaveOneRequestAndNewAttemptsResetNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, x *target) {
		ada, phone := x.withPhone("ada")
		shown, refused := 0, 0
		for i := range 20 {
			b := x.browser().on(x.nodes[i%len(x.nodes)])
			r := b.ask(ada, "/apps")
			if r.number() != "" {
				shown++
			} else {
				refused++
			}
			if n := len(x.waiting(phone)); n != 1 {
				t.Fatalf("%d requests wait after start %d", n, i)
			}
		}
		if shown != 1 || refused != 19 {
			t.Errorf("%d of twenty browsers show a number", shown)
		}
		// Refused one by one, each new one comes later: a new browser, attempt or node does not begin anew.
		x.must(phone.Deny(t.Context(), x.one(phone)))
		for i := range 20 {
			if x.browser().on(x.nodes[i%len(x.nodes)]).ask(ada, "/apps").number() != "" {
				shown++
				x.must(phone.Deny(t.Context(), x.one(phone)))
			}
		}
		if shown > 5 {
			t.Errorf("%d requests within a minute", shown)
		}
		if !slices.Contains(ada.notices(), "approval.flood") || !slices.Contains(ada.acts(), "approval.flood refused throttle") {
			t.Error("a flood raises no alarm")
		}
		if open := x.admin("GET", "/incidents", "").body; !strings.Contains(open, "flood") {
			t.Errorf("administrators see no incident: %s", open)
		}
		// The member's own known browser has a budget and a request of its own.
		known := x.browser()
		known.signIn(ada, "/apps", false)
		known.post("/signout", url.Values{})
		if r := known.ask(ada, "/apps"); r.number() == "" {
			t.Errorf("a stranger crowds the member out: %s", r.text())
		}
	})
}

func TestG46_NotMeBlocksTheSourceAndNobodyElse(t *testing.T) {
	everywhere(t, func(t *testing.T, x *target) {
		ada, phone := x.withPhone("ada")
		bob, bobs := x.withPhone("bob")
		known, enemy := x.browser(), x.fromElsewhere("203.0.113.9")
		known.signIn(ada, "/apps", false)
		known.post("/signout", url.Values{})
		r := enemy.ask(ada, "/apps")
		x.must(phone.Report(t.Context(), x.one(phone)))
		if n := enemy.next(r); n.number() != "" || enemy.signedIn() || !strings.Contains(n.text(), "not yours") {
			t.Errorf("a reported page goes on: %s", n.text())
		}
		moved := enemy.copied()
		moved.address = "198.51.100.1:1"
		for what, b := range map[string]*browser{"the same browser": enemy, "a new one at its address": x.fromElsewhere("203.0.113.9"),
			"the same browser elsewhere": moved} {
			if r := b.ask(ada, "/apps"); r.number() != "" || len(x.waiting(phone)) != 0 {
				t.Errorf("%s sends another request: %s", what, r.text())
			}
		}
		// Others behind that address, and the member's own known browser there, lose nothing.
		if r := x.fromElsewhere("203.0.113.9").ask(bob, "/apps"); r.number() == "" || len(x.waiting(bobs)) != 1 {
			t.Errorf("another person behind the address: %s", r.text())
		}
		known.address = "203.0.113.9:99"
		if r := known.ask(ada, "/apps"); r.number() == "" {
			t.Errorf("the member's known browser behind the address: %s", r.text())
		}
		if !slices.Contains(ada.acts(), "approval.reported done ") || !slices.Contains(ada.notices(), "approval.reported") {
			t.Errorf("%v %v", ada.acts(), ada.notices())
		}
		if open := x.admin("GET", "/incidents", "").body; !strings.Contains(open, "reported") {
			t.Errorf("no incident: %s", open)
		}
		x.clock.Add(24*time.Hour + time.Minute)
		if r := x.fromElsewhere("203.0.113.9").ask(ada, "/apps"); r.number() == "" {
			t.Errorf("blocked for ever: %s", r.text())
		}
	})
}

func TestG46_AMembersOwnReportOfTheirKnownBrowserLeavesAWayIn(t *testing.T) {
	x := newTarget(t, "", 1)
	ada, phone := x.withPhone("ada")
	known := x.browser()
	known.signIn(ada, "/apps", false)
	known.post("/signout", url.Values{})
	known.ask(ada, "/apps")
	x.must(phone.Report(t.Context(), x.one(phone)))
	r := known.byPassword(ada, "/apps")
	if r.asks() != "totp" {
		r = known.post("/signin/choose", url.Values{"attempt": {r.attempt()}, "kind": {"totp"}})
	}
	r = known.answer(r, method.TOTP, ada.code(), false)
	if !strings.Contains(r.body, `action="/signin/new-password"`) {
		t.Fatalf("no new password is asked for: %s", r.text())
	}
	r = known.post("/signin/new-password", url.Values{"attempt": {r.attempt()}, "answer": {"seven quiet rivers at dusk"}})
	if !known.signedIn() {
		t.Errorf("the member is locked out: %s", r.text())
	}
}

func TestG46_NoGetSends(t *testing.T) {
	x := newTarget(t, "", 1)
	ada, phone := x.withPhone("ada")
	library := x.application("Library", "teaching")
	b := x.browser()
	r := b.byPassword(ada, "/apps")
	for n := x.waiting(phone); len(n) > 0; n = x.waiting(phone) {
		x.must(phone.Deny(t.Context(), n[0]))
	}
	sent := len(started(ada))
	ref := url.QueryEscape(r.attempt())
	for _, path := range []string{"/signin?attempt=" + ref, "/signin/next?attempt=" + ref, "/signin/app/send?attempt=" + ref, "/signin/app?attempt=" + ref,
		"/signin/choose?kind=app&attempt=" + ref, "/signin/app/extend?attempt=" + ref, "/signin/phone/send?attempt=" + ref, "/apps", library.authorize()} {
		b.get(path)
	}
	signedIn := x.browser()
	signedIn.signIn(ada, "/apps", false)
	x.clock.Add(16 * time.Minute)
	for _, path := range []string{"/security", "/security/add", "/security/add/app", "/security/lead", "/security/add/recovery", "/security/password"} {
		signedIn.get(path)
	}
	if n := len(started(ada)); n != sent || len(x.waiting(phone)) != 0 {
		t.Errorf("%d requests were sent by looking", n-sent)
	}
}

// started are the requests that the trail says were sent for the member.
func started(m *member) (all []string) {
	for _, a := range m.acts() {
		if strings.HasPrefix(a, "challenge.started done") {
			all = append(all, a)
		}
	}
	return all
}

func TestG46_WhatHasEndedIsOffThePhone(t *testing.T) {
	everywhere(t, func(t *testing.T, x *target) {
		ada, phone := x.withPhone("ada")
		for what, end := range map[string]func(){
			"a new password": func() {
				b := x.browser()
				b.signIn(ada, "/apps", false)
				r := b.proceed(b.get("/security/password"), ada, false)
				ada.password = "nine patient herons wait"
				if r = b.post("/security/password", url.Values{"sealed": {r.field(sealedField)}, "answer": {ada.password}}); r.status >= 400 {
					t.Fatalf("%d %s", r.status, r.text())
				}
			},
			"the end of everything": func() {
				b := x.browser()
				b.signIn(ada, "/apps", false)
				b.post("/signout", url.Values{"everywhere": {"yes"}})
			},
			"a restart in the same browser": nil,
		} {
			b := x.browser()
			r := b.ask(ada, "/apps")
			before := x.one(phone)
			if end == nil {
				if again := b.ask(ada, "/apps"); again.number() == "" {
					t.Fatalf("%s: %s", what, again.text())
				}
				x.must(phone.Deny(t.Context(), x.one(phone)))
			} else {
				end()
			}
			if n := x.waiting(phone); len(n) != 0 {
				t.Errorf("after %s the phone still shows %d requests", what, len(n))
			}
			if err := phone.Approve(t.Context(), before, r.number()); softphone.Code(err) != "request.over" {
				t.Errorf("after %s it can be approved: %v", what, err)
			}
			if b.next(r); b.signedIn() {
				t.Errorf("after %s the page signs in", what)
			}
			x.clock.Add(time.Hour)
		}
	})
}

func TestG47_OneWrongNumberEndsTheRequest(t *testing.T) {
	everywhere(t, func(t *testing.T, x *target) {
		ada, phone := x.withPhone("ada")
		b := x.browser()
		r := b.ask(ada, "/apps")
		request, number := x.one(phone), r.number()
		if err := phone.Approve(t.Context(), request, other(number)); softphone.Code(err) != "request.wrong_number" {
			t.Fatalf("a wrong number: %v", err)
		}
		if err := phone.Approve(t.Context(), request, number); softphone.Code(err) != "request.over" {
			t.Errorf("the right one after it: %v", err)
		}
		if n := b.next(r); b.signedIn() || n.number() != "" || !strings.Contains(n.body, "/signin/app/send") {
			t.Errorf("after a wrong number: %s", n.text())
		}
		if !slices.Contains(ada.acts(), "approval.wrong_number failed request.wrong_number") {
			t.Errorf("not counted: %v", ada.acts())
		}
		// A hundred at once, one of them right: one is judged.
		b.ask(ada, "/apps")
		request = x.one(phone)
		var right sync.Map
		atOnce(100, func(i int) bool {
			guess := string([]byte{byte('0' + i/10), byte('0' + i%10)})
			if phone.Approve(context.Background(), request, guess) == nil {
				right.Store(guess, true)
			}
			return true
		})
		judged := 0
		for _, a := range ada.acts() {
			if a == "approval.approved done " || strings.HasPrefix(a, "approval.wrong_number") {
				judged++
			}
		}
		if judged != 2 {
			t.Errorf("%d guesses of two requests were judged", judged)
		}
	})
}

func TestG47_TheNumberIsNowhereButOnItsPage(t *testing.T) {
	x := newTarget(t, "", 1)
	p := attackPolicy()
	p.App.SixDigits = true
	x.policy(p)
	ada, phone := x.withPhone("ada")
	var wire bytes.Buffer
	phone.Client = &http.Client{Transport: tapped{throughHandler{x.nodes[0].handler}, &wire}}
	b := x.browser()
	signedIn := x.browser()
	signedIn.signIn(ada, "/security", false)
	r := b.ask(ada, "/apps")
	number := r.number()
	if len(number) != 6 {
		t.Fatalf("number %q: %s", number, r.text())
	}
	x.one(phone)
	if _, err := phone.Extend(t.Context(), x.one(phone).ID); err != nil {
		t.Fatal(err)
	}
	places := map[string]string{"the phone's wire": wire.String(), "the log": x.log.String(),
		"the trail": x.admin("GET", "/audit?limit=200", "").body, "the desk": x.admin("GET", "/people/"+string(ada.id)+"/challenges", "").body,
		"another tab": b.get("/signin").body, "another tab's application": b.copied().get("/apps").body, "the member's pages": signedIn.get("/security").body}
	request := httptest.NewRequest("GET", attackBase+"/signin/events?attempt="+url.QueryEscape(r.attempt()), nil)
	for name, value := range b.cookies {
		request.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	ctx, stop := context.WithCancel(request.Context())
	stream := httptest.NewRecorder()
	time.AfterFunc(200*time.Millisecond, stop)
	x.nodes[0].handler.ServeHTTP(stream, request.WithContext(ctx))
	places["the stream"] = stream.Body.String()
	enemy := x.browser()
	places["another browser with the page's reference"] = enemy.get("/signin?attempt="+url.QueryEscape(r.attempt())).body + enemy.next(r).body
	if seen := enemy.events(r.attempt()); strings.Contains(seen, "standing") {
		t.Errorf("another browser follows the page: %s", seen)
	}
	for place, text := range places {
		if text == "" || strings.Contains(text, number) || strings.Contains(text, number[:3]+" "+number[3:]) || strings.Contains(tags.ReplaceAllString(text, ""), number) {
			t.Errorf("%s (%d bytes) knows the number", place, len(text))
		}
	}
	for _, h := range []string{"Location", "Referer", "Link"} {
		if strings.Contains(r.header.Get(h), number) {
			t.Errorf("%s tells it", h)
		}
	}
	if r.header.Get("Referrer-Policy") == "" || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the page is kept or told about: %v", r.header)
	}
}

// tapped keeps all that crosses a wire.
type tapped struct {
	http.RoundTripper
	kept *bytes.Buffer
}

func (w tapped) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := w.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	var body bytes.Buffer
	if _, err := body.ReadFrom(a.Body); err != nil {
		return nil, err
	}
	w.kept.Write(body.Bytes())
	a.Body = http.NoBody
	if body.Len() > 0 {
		a.Body = readCloser{&body}
	}
	return a, nil
}

type readCloser struct{ *bytes.Buffer }

func (readCloser) Close() error { return nil }
