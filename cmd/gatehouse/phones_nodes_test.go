package main

import (
	"context"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
)

var (
	pairLink    = regexp.MustCompile(`href="(http://app\.localhost:8080/#pair=[^"]+)"`)
	shownNumber = regexp.MustCompile(`<p class="number[^"]*"><span aria-hidden="true">((?:<span>[0-9]+</span>)+)`)
)

// phoneAt is a phone that speaks to one node.
func (x *target) phoneAt(n *node) *softphone.Phone {
	p := softphone.New("http://app.localhost:8080", &http.Client{Transport: throughHandler{n.handler}})
	p.Now = x.clock.Now
	return p
}

// pair adds the app to the member's methods: the browser is b, the phone speaks to n.
func (b *browser) pair(m *member, n *node) *softphone.Phone {
	b.x.t.Helper()
	r := b.proceed(b.get("/security/add/app"), m, false)
	_, token, err := softphone.ParseLink(html.UnescapeString(r.field(pairLink)))
	if err != nil {
		b.x.t.Fatalf("%v: %s", err, r.text())
	}
	p := b.x.phoneAt(n)
	b.x.must(p.OpenPairing(context.Background(), token))
	code, err := p.Claim(context.Background(), "Her phone")
	b.x.must(err)
	done := b.post("/security/pairing/confirm", url.Values{"sealed": {r.field(sealedField)}, "answer": {code}, "name": {"Her phone"}})
	if done.status != http.StatusOK {
		b.x.t.Fatalf("not paired: %d %s", done.status, done.text())
	}
	b.x.must(p.WaitPaired(context.Background()))
	return p
}

// number is the one that the waiting page shows, "" for none.
func (r *reply) number() string { return tags.ReplaceAllString(r.field(shownNumber), "") }

// events follows the page's server-sent events until they end, and gives them whole.
func (b *browser) events(attempt string) string {
	r := httptest.NewRequest("GET", attackBase+"/signin/events?attempt="+url.QueryEscape(attempt), nil)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	ctx, stop := context.WithTimeout(r.Context(), 30*time.Second)
	defer stop()
	w := httptest.NewRecorder()
	b.node.handler.ServeHTTP(w, r.WithContext(ctx))
	return w.Body.String()
}

// TestHKU01_ThePhoneOnOneNodeAndTheBrowserOnAnother: the request that one node starts wakes the phone at the other, and
// the answer there wakes the page here.
func TestHKU01_ThePhoneOnOneNodeAndTheBrowserOnAnother(t *testing.T) {
	x := newTarget(t, storetest.PostgresDSN(t), 2)
	here, there := x.nodes[0], x.nodes[1]
	library := x.application("Library", "teaching")
	ada := x.member("ada", longPassword, method.Password, method.TOTP)
	phone := x.browser().pair(ada, there)

	waiting := make(chan []softphone.Request, 1)
	go func() {
		list, err := phone.Requests(context.Background(), 25*time.Second)
		if err != nil {
			t.Error(err)
		}
		waiting <- list
	}()
	b := x.browser()
	r := b.name(b.get(library.authorize()), ada.name)
	r = b.answer(r, method.Password, ada.password, false)
	if r.asks() == "totp" { // both would do: she chooses the app
		r = b.post("/signin/choose", url.Values{"attempt": {r.attempt()}, "kind": {"app"}})
	}
	number := r.number()
	if len(number) != 2 {
		t.Fatalf("no number of two digits: %s", r.text())
	}
	list := <-waiting
	if len(list) != 1 || list[0].Application != "Library" || strings.Contains(list[0].ID+list[0].Agent, number+" ") {
		t.Fatalf("the phone sees %+v", list)
	}
	seen := make(chan string, 1)
	go func() { seen <- b.events(r.attempt()) }()
	x.must(phone.Approve(context.Background(), list[0], number))
	if stream := <-seen; !strings.Contains(stream, "approved") {
		t.Errorf("the page did not hear of it: %q", stream)
	}
	// The page goes on at whichever node its next request meets.
	if r = b.on(there).get("/signin/next?attempt=" + url.QueryEscape(r.attempt())); r.code() == "" {
		t.Fatalf("not signed in: %d %s", r.status, r.text())
	}
	if tokens := here.redeem(x, library, r.code()); tokens.ID == "" {
		t.Errorf("%+v", tokens)
	}

	// Suspended here, the phone there is out at once.
	ada.suspend()
	if _, err := phone.Requests(context.Background(), 0); softphone.Code(err) != "device.unknown" {
		t.Errorf("a suspended member's phone: %v", err)
	}
}
