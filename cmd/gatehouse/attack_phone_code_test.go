package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// jwkOf is a phone's public key, as its house knows it.
func jwkOf(p *softphone.Phone) *jose.JSONWebKey {
	key := p.Key()
	return &jose.JSONWebKey{Key: &key.PublicKey}
}

// withTexts lets codes go out by text message and call.
func withTexts(c *houseConfig) {
	wide := throttle.Limit{Burst: 1000, Refill: time.Second}
	c.Text = &textSettings{Country: "US", Channels: []string{notice.Text, notice.Voice},
		Caps: signin.SendingCaps{Number: throttle.Limit{Burst: 10, Refill: time.Hour}, Prefix: throttle.Limit{Burst: 30, Refill: time.Hour}, Account: wide, Address: wide, Total: wide, Countries: []string{"US", "BE"}}}
}

// text is a code that went out.
type text struct{ to, via, code string }

// texts are the codes that the outbox holds for the member, oldest first.
func (x *target) texts(m *member) (all []text) {
	x.t.Helper()
	x.must(x.nodes[0].db.View(context.Background(), func(tx *store.Tx) error {
		sent, err := tx.RecentMessages(context.Background(), 5000)
		slices.Reverse(sent)
		for _, s := range sent {
			if s.Person == string(m.id) && !s.Code.Empty() && strings.HasPrefix(s.Kind, "code.") {
				all = append(all, text{s.To, s.Channel, s.Code.Reveal()})
			}
		}
		return err
	}))
	return all
}

func (x *target) lastText(m *member) text {
	x.t.Helper()
	all := x.texts(m)
	if len(all) == 0 {
		x.t.Fatal("no code was sent")
	}
	return all[len(all)-1]
}

// number gives the member a telephone number, as an operator's import would.
func (m *member) number(to string) {
	m.x.t.Helper()
	now := m.x.clock.Now()
	c := method.Credential{ID: secret.NewID(now), Person: string(m.id), Kind: method.Phone, Name: to, Created: now, Version: 1,
		State: []byte(`{"n":"` + to + `","c":"US","v":["text","voice"]}`)}
	m.x.must(m.x.nodes[0].db.InTx(context.Background(), func(tx *store.Tx) error { return enrol.Store(tx).AddCredential(context.Background(), c) }))
	m.x.clock.tick()
}

// askCode gives the password and has a code sent.
func (b *browser) askCode(m *member) *reply {
	b.x.t.Helper()
	r := b.byPassword(m, "/apps")
	if !strings.Contains(r.body, `action="/signin/phone"`) {
		r = b.post("/signin/choose", url.Values{"attempt": {r.attempt()}, "kind": {"phone"}})
	}
	if !strings.Contains(r.body, `action="/signin/phone"`) {
		b.x.t.Fatalf("no code is asked for: %s", r.text())
	}
	return r
}

// miss is a code of six digits that is not c.
func miss(c string) string {
	if c[0] == '9' {
		return "1" + c[1:]
	}
	return "9" + c[1:]
}

func TestG34_ACodeIsGoodForItsOwnAttemptOnceInTime(t *testing.T) {
	for engine, dsn := range engines(t) {
		t.Run(engine, func(t *testing.T) {
			x := newTargetWith(t, dsn, 1, withTexts)
			ada, bob := x.member("ada", longPassword, method.Password), x.member("bob", longPassword, method.Password)
			ada.number("+12025550101")
			bob.number("+12025550102")
			a, b := x.browser(), x.browser()
			first := a.askCode(ada)
			old := x.lastText(ada)
			other := b.askCode(bob)
			if foreign := x.lastText(bob); foreign.code != old.code {
				if a.answer(first, method.Phone, foreign.code, false); a.signedIn() {
					t.Error("another person's code")
				}
				if b.answer(other, method.Phone, old.code, false); b.signedIn() {
					t.Error("her code for him")
				}
			}
			// Sent again, by a call: the old code is worth nothing.
			again := a.post("/signin/phone/send", url.Values{"attempt": {first.attempt()}, "via": {"voice"}})
			if sent := x.lastText(ada); sent.via != notice.Voice || sent.code != old.code {
				if r := a.answer(again, method.Phone, old.code, false); a.signedIn() {
					t.Errorf("the old code works after a new one: %s", r.text())
				}
			} else {
				t.Errorf("nothing was sent again: %+v", sent)
			}
			// The code of one attempt in another one of the same browser, and in another browser.
			fresh := x.lastText(ada).code
			tab, stranger := a.askCode(ada), x.browser()
			if x.lastText(ada).code != fresh {
				a.answer(tab, method.Phone, fresh, false)
			}
			stranger.answer(again, method.Phone, fresh, false)
			if a.signedIn() || stranger.signedIn() {
				t.Error("the code of one attempt opens another")
			}
			x.clock.Add(11 * time.Minute)
			late := x.browser()
			r := late.askCode(ada)
			code := x.lastText(ada).code
			x.clock.Add(5*time.Minute + time.Second)
			if late.answer(r, method.Phone, code, false); late.signedIn() {
				t.Error("a code works after its time")
			}
			// Right, many times at once: one session.
			r = late.askCode(ada)
			code = x.lastText(ada).code
			tabs := make([]*browser, 10)
			for i := range tabs {
				tabs[i] = late.copied()
			}
			if in := atOnce(len(tabs), func(i int) bool { tabs[i].answer(r, method.Phone, code, false); return tabs[i].session() != "" }); in != 1 {
				t.Errorf("one code opened %d sessions", in)
			}
			again2 := late.askCode(ada)
			if x.lastText(ada).code != code {
				if late.answer(again2, method.Phone, code, false); late.signedIn() {
					t.Error("a used code works again")
				}
			}
		})
	}
}

// engines gives an empty database on each.
func engines(t *testing.T) map[string]string {
	return map[string]string{"sqlite": "", "postgres": storetest.PostgresDSN(t)}
}

func TestG34_FiveWrongCodesEndIt(t *testing.T) {
	x := newTargetWith(t, "", 1, withTexts)
	ada := x.member("ada", longPassword, method.Password)
	ada.number("+12025550101")
	b := x.browser()
	r := b.askCode(ada)
	code := x.lastText(ada).code
	for range 5 {
		r = b.answer(r, method.Phone, miss(code), false)
	}
	if r = b.answer(r, method.Phone, code, false); b.signedIn() {
		t.Errorf("the right code after five wrong ones: %s", r.text())
	}
	// More codes do not buy more guesses: the account's own budget holds over attempts.
	guesses := 5
	for i := 0; i < 20; i++ {
		e := x.browser()
		r := e.byPassword(ada, "/apps")
		if r.attempt() == "" {
			break
		}
		r = e.post("/signin/phone/send", url.Values{"attempt": {r.attempt()}, "via": {"text"}})
		code := x.lastText(ada).code
		before := len(failures(ada))
		for range 5 {
			r = e.answer(r, method.Phone, miss(code), false)
		}
		guesses += len(failures(ada)) - before
	}
	if guesses > 10 {
		t.Errorf("%d wrong codes were judged", guesses)
	}
}

// failures are the wrong answers that were judged.
func failures(m *member) (all []string) {
	for _, a := range m.acts() {
		if strings.HasPrefix(a, "signin.proof failed") {
			all = append(all, a)
		}
	}
	return all
}

func TestG53_OneRangeIsCappedOverManyAccounts(t *testing.T) {
	x := newTargetWith(t, "", 1, withTexts)
	victim := x.member("victim", longPassword, method.Password, method.TOTP)
	sent, refusals := 0, 0
	for i := range 45 {
		m := x.member(fmt.Sprintf("m%d", i), longPassword, method.Password)
		m.number(fmt.Sprintf("+1202555%04d", i))
		b := x.fromElsewhere(fmt.Sprintf("203.0.113.%d", i))
		b.byPassword(m, "/apps")
		if n := len(x.texts(m)); n > 0 {
			sent += n
		} else {
			refusals++
		}
	}
	if sent > 32 || sent < 20 || refusals == 0 {
		t.Errorf("%d messages to one range, %d refused", sent, refusals)
	}
	if open := x.admin("GET", "/incidents", "").body; !strings.Contains(open, "prefix") {
		t.Errorf("no alarm: %s", open)
	}
	if b := x.browser(); b.signIn(victim, "/apps", false) == nil || !b.signedIn() {
		t.Error("members with passcodes suffer")
	}
}

func TestG55_ANumberIsVerifiedByItsCodeAlone(t *testing.T) {
	x := newTargetWith(t, "", 1, withTexts)
	ada := x.member("ada", longPassword, method.Password, method.TOTP)
	b := x.browser()
	b.signIn(ada, "/security", false)
	before := ada.kinds()
	b.proceed(b.get("/security/add/phone"), ada, false)
	r := b.post("/security/add/phone", url.Values{"typed": {"+1 202 555 0111"}, "via": {"text"}})
	code := x.lastText(ada)
	if code.to != "+12025550111" {
		t.Fatalf("%+v", code)
	}
	// The number is the one that the code went to, whatever the form says; a wrong code, a flag and another's seal verify nothing.
	for _, form := range []url.Values{
		{"sealed": {r.field(sealedField)}, "answer": {miss(code.code)}, "number": {"+12025550111"}, "verified": {"true"}},
		{"sealed": {"AAAA"}, "answer": {code.code}, "number": {"+12025550111"}},
		{"answer": {code.code}, "number": {"+12025550199"}, "verified": {"true"}},
	} {
		if b.post("/security/add/phone", form); !slices.Equal(ada.kinds(), before) {
			t.Fatalf("verified by %v", form)
		}
	}
	for _, body := range []string{`{"username":"ada","email":"ada@example.ac.uk","phone":"+12025550199","phone_verified":true}`, `{"username":"ada","verified":true,"email_verified":true}`} {
		x.raw("PUT", "/people/"+string(ada.id), body)
		x.raw("PATCH", "/people/"+string(ada.id), body)
		if !slices.Equal(ada.kinds(), before) {
			t.Fatal("set through the administration API")
		}
	}
	done := b.post("/security/add/phone", url.Values{"sealed": {r.field(sealedField)}, "answer": {code.code}, "number": {"+12025550199"}})
	if !slices.Contains(ada.kinds(), "phone") {
		t.Fatalf("not added: %d %s", done.status, done.text())
	}
	e := x.browser()
	e.askCode(ada)
	if to := x.lastText(ada).to; to != "+12025550111" {
		t.Errorf("codes go to %s", to)
	}
}

// raw calls the administration API with what may be refused.
func (x *target) raw(verb, path, body string) int {
	x.clock.tick()
	r, err := http.NewRequest(verb, attackBase+"/admin/api/v1"+path, strings.NewReader(body))
	x.must(err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+x.token)
	a, err := throughHandler{x.nodes[0].handler}.RoundTrip(r)
	x.must(err)
	return a.StatusCode
}

var codeItem = regexp.MustCompile(`<li>([a-z0-9]+(?:-[a-z0-9]+)+)</li>`)

// paper takes a set of recovery codes.
func (b *browser) paper(m *member) (codes []string) {
	b.x.t.Helper()
	r := b.proceed(b.get("/security/add/recovery"), m, false)
	for _, c := range codeItem.FindAllStringSubmatch(r.body, -1) {
		codes = append(codes, c[1])
	}
	b.post("/security/add/recovery", url.Values{"sealed": {r.field(sealedField)}, "answer": {"saved"}})
	if len(codes) != 10 || !slices.Contains(m.kinds(), "recovery") {
		b.x.t.Fatalf("%d codes: %s", len(codes), r.text())
	}
	return codes
}

func TestG37_ARecoveryCodeWorksOnce(t *testing.T) {
	for engine, dsn := range engines(t) {
		t.Run(engine, func(t *testing.T) {
			x := newTarget(t, dsn, 1)
			ada := x.member("ada", longPassword, method.Password, method.TOTP)
			own := x.browser()
			own.signIn(ada, "/security", false)
			old := own.paper(ada)
			codes := own.paper(ada)
			at := func(b *browser) *reply {
				r := b.byPassword(ada, "/apps")
				return b.post("/signin/choose", url.Values{"attempt": {r.attempt()}, "kind": {"recovery"}})
			}
			b := x.browser()
			if r := b.answer(at(b), method.Recovery, old[0], false); b.signedIn() {
				t.Errorf("a replaced set works: %s", r.text())
			}
			pages, browsers := make([]*reply, 8), make([]*browser, 8)
			for i := range browsers {
				browsers[i] = x.browser()
				pages[i] = at(browsers[i])
			}
			if in := atOnce(8, func(i int) bool {
				browsers[i].answer(pages[i], method.Recovery, codes[0], false)
				return browsers[i].session() != ""
			}); in != 1 {
				t.Errorf("one code opened %d sessions", in)
			}
			if b.answer(at(b), method.Recovery, codes[0], false); b.signedIn() {
				t.Error("a used code works")
			}
			// Guesses are counted, over attempts; then nothing is looked at.
			for range 15 {
				g := x.browser()
				g.answer(at(g), method.Recovery, "aaaa-aaaa-aaaaaa", false)
			}
			if g := x.browser(); g.answer(at(g), method.Recovery, codes[1], false) != nil && g.signedIn() {
				t.Error("guessing recovery codes is free")
			}
			log := x.log.String()
			for _, c := range codes {
				if strings.Contains(log, c) {
					t.Error("a code is in the log")
				}
			}
		})
	}
}
