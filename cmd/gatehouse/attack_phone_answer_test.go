package main

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

// refused answers with a decision that must not be taken.
func refused(t *testing.T, what string, p *softphone.Phone, request string, d softphone.Decision, codes ...string) {
	t.Helper()
	standing, err := p.SendDecision(t.Context(), request, d)
	if err == nil || len(codes) > 0 && !slices.Contains(codes, softphone.Code(err)) {
		t.Errorf("%s: %q %v", what, standing, err)
	}
}

func TestG47_ASignedAnswerFitsItsOwnRequestOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, x *target) {
		ada, phone := x.withPhone("ada")
		bob, bobs := x.withPhone("bob")
		known := x.browser()
		known.signIn(ada, "/apps", false)
		known.post("/signout", url.Values{})
		b, his := x.browser(), x.browser()
		r, own, foreign := b.ask(ada, "/apps"), known.ask(ada, "/apps"), his.ask(bob, "/apps")
		list := x.waiting(phone)
		if len(list) != 2 || r.number() == own.number() {
			t.Fatalf("%d requests, numbers %s and %s", len(list), r.number(), own.number())
		}
		strangers, mine := list[0], list[1]
		if strangers.Known {
			strangers, mine = mine, strangers
		}
		d, err := phone.Decide(strangers, "approve", r.number())
		x.must(err)
		// Sent to another request, by another phone, or with a bit of it changed, it says nothing.
		refused(t, "an answer to another request", phone, mine.ID, d, "request.answer")
		refused(t, "another person's phone", bobs, strangers.ID, d, "request.over")
		refused(t, "another person's request", phone, x.one(bobs).ID, d, "request.over")
		parts := strings.Split(d.Answer, ".")
		for i := range parts {
			altered := slices.Clone(parts)
			altered[i] = flipped(altered[i])
			refused(t, "an altered answer", phone, strangers.ID, softphone.Decision{Answer: strings.Join(altered, "."), Unlock: d.Unlock}, "request.answer", "request.unlock")
		}
		denial, err := phone.Decide(strangers, "deny", "")
		x.must(err)
		refused(t, "an unlock of another answer", phone, mine.ID, softphone.Decision{Answer: denial.Answer, Unlock: d.Unlock}, "request.answer")
		refused(t, "an approval without an unlock", phone, strangers.ID, softphone.Decision{Answer: d.Answer, Unlock: []byte("null")}, "request.unlock")
		// The number of the other attempt is a wrong one, and ends this request alone.
		if err := phone.Approve(t.Context(), strangers, own.number()); softphone.Code(err) != "request.wrong_number" {
			t.Errorf("another attempt's number: %v", err)
		}
		if mine := x.one(phone); !mine.Known {
			t.Error("the wrong request has ended")
		}
		d, err = phone.Decide(mine, "approve", own.number())
		x.must(err)
		if _, err := phone.SendDecision(t.Context(), mine.ID, d); err != nil {
			t.Fatal(err)
		}
		refused(t, "a replayed answer", phone, mine.ID, d, "request.over", "request.answer")
		if b.next(r); b.signedIn() {
			t.Error("the approval of another attempt signs the stranger in")
		}
		if his.next(foreign); his.signedIn() {
			t.Error("somebody else's approval signs in")
		}
		// The page's reference is worth nothing elsewhere, before or after the approval.
		for what, thief := range map[string]*browser{"another browser": x.browser(), "a stranger's": b, "somebody else's": his} {
			if thief.next(own); thief.signedIn() {
				t.Errorf("%s takes the approval", what)
			}
		}
		if known.next(own); !known.signedIn() {
			t.Error("the browser that asked is not signed in")
		}
	})
}

// flipped is a part of a JWS with a letter in its middle changed.
func flipped(part string) string {
	b := []byte(part)
	if i := len(b) / 2; b[i] == 'A' {
		b[i] = 'B'
	} else {
		b[i] = 'A'
	}
	return string(b)
}

func TestG47_AtOnceOneAnswerAndOneClaimCount(t *testing.T) {
	everywhere(t, func(t *testing.T, x *target) {
		ada, phone := x.withPhone("ada")
		b := x.browser()
		r := b.ask(ada, "/apps")
		request := x.one(phone)
		tabs := make([]*browser, 8)
		for i := range tabs {
			tabs[i] = b.on(x.nodes[i%len(x.nodes)])
		}
		var answers sync.Map
		took := atOnce(24, func(i int) bool {
			switch {
			case i < 8:
				tabs[i].next(r)
				return false
			case i < 16:
				if phone.Deny(context.Background(), request) == nil {
					answers.Store("denied", i)
					return true
				}
			default:
				if phone.Approve(context.Background(), request, r.number()) == nil {
					answers.Store("approved", i)
					return true
				}
			}
			return false
		})
		if took != 1 {
			t.Fatalf("%d answers to one request were taken", took)
		}
		_, approved := answers.Load("approved")
		atOnce(8, func(i int) bool { tabs[i].next(r); return false })
		in := 0
		for _, tab := range tabs {
			if tab.session() != "" {
				in++
			}
		}
		if done := slices.Contains(ada.acts(), "signin.finished done "); approved != (in == 1) || in > 1 {
			t.Errorf("approved %v, %d tabs in, finished %v", approved, in, done)
		}
	})
}

func TestG46_AnApprovalEndsWithWhatItWasGivenFor(t *testing.T) {
	everywhere(t, func(t *testing.T, x *target) {
		for name, end := range map[string]func(m *member, b *browser, r *reply){
			"suspended":  func(m *member, _ *browser, _ *reply) { m.suspend() },
			"signed-out": func(m *member, _ *browser, _ *reply) { x.admin("DELETE", "/people/"+string(m.id)+"/sessions", "") },
			"reset": func(m *member, _ *browser, _ *reply) {
				x.admin("POST", "/people/"+string(m.id)+"/reset", `{"why":"a test"}`)
			},
			"late":                  func(*member, *browser, *reply) { x.clock.Add(5*time.Minute + time.Second) },
			"app-not-good-any-more": func(*member, *browser, *reply) { x.policy(onlyPasskeys()) },
		} {
			x.policy(attackPolicy())
			m, phone := x.withPhone(name)
			before, after := x.browser(), x.browser()
			r := before.ask(m, "/apps")
			request := x.one(phone)
			x.must(phone.Approve(t.Context(), request, r.number()))
			end(m, before, r)
			if n := before.next(r); before.signedIn() {
				t.Errorf("%s after the approval: signed in: %s", name, n.text())
			}
			if name == "suspended" || name == "reset" {
				continue
			}
			// And where the end came first.
			x.policy(attackPolicy())
			x.clock.Add(time.Hour)
			r = after.ask(m, "/apps")
			request = x.one(phone)
			end(m, after, r)
			err := phone.Approve(t.Context(), request, r.number())
			if name != "app-not-good-any-more" && err == nil {
				t.Errorf("%s: approved all the same", name)
			}
			if after.next(r); after.signedIn() {
				t.Errorf("%s before the approval: signed in", name)
			}
		}
	})
}

// onlyPasskeys is a policy that the app does not satisfy.
func onlyPasskeys() policy.Policy {
	p := attackPolicy()
	p.Rules[0].Grant.Strength = policy.StrengthPhishingResistant
	return p
}

func TestG46_ARemovedPhoneAnswersNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, x *target) {
		ada, phone := x.withPhone("ada")
		own := x.browser()
		own.signIn(ada, "/security", false)
		b := x.browser()
		r := b.ask(ada, "/apps")
		request := x.one(phone)
		d, err := phone.Decide(request, "approve", r.number())
		x.must(err)
		x.must(phone.Approve(t.Context(), request, r.number()))
		x.must(phone.Leave(t.Context()))
		if n := b.next(r); b.signedIn() || strings.Contains(n.text(), "Her phone") {
			t.Errorf("a removed phone's approval signs in: %s", n.text())
		}
		if own.signedIn() {
			t.Error("sessions outlive the phone that left")
		}
		if _, err := phone.SendDecision(t.Context(), request.ID, d); softphone.Code(err) != "device.unknown" {
			t.Errorf("a removed phone is answered %v", err)
		}
		if _, err := phone.Requests(t.Context(), 0); softphone.Code(err) != "device.unknown" {
			t.Errorf("a removed phone lists: %v", err)
		}
		// Its passcodes went with it.
		code, err := phone.Passcode(x.clock.Now())
		x.must(err)
		r = b.byPassword(ada, "/apps")
		if r.asks() == "totp" {
			b.answer(r, method.TOTP, code, false)
		}
		if b.signedIn() {
			t.Error("a removed phone's passcode signs in")
		}
	})
}

func TestRule6_AnApprovalProvesTheActThatAskedForItAlone(t *testing.T) {
	x := newTarget(t, "", 1)
	ada, phone := x.withPhone("ada")
	b := x.browser()
	b.signIn(ada, "/security", false)
	ids := b.methods()
	if len(ids) < 2 {
		t.Fatalf("methods %v", ids)
	}
	x.clock.Add(20 * time.Minute)
	before := len(ada.changes())
	byApp := func(path string) *reply {
		t.Helper()
		r := b.get(path)
		if r.asks() == "totp" {
			r = b.post("/signin/choose", url.Values{"attempt": {r.attempt()}, "kind": {"app"}})
		} else {
			r = b.post("/signin/app/send", url.Values{"attempt": {r.attempt()}})
		}
		if r.number() == "" {
			t.Fatalf("no number for %s: %s", path, r.text())
		}
		return r
	}
	// Two tabs of one session ask for two acts; the answer to the first request, which the second one replaced, is none.
	remove := byApp("/security/methods/" + ids[0] + "/remove")
	first := x.one(phone)
	add := byApp("/security/add/passkey")
	if err := phone.Approve(t.Context(), first, remove.number()); softphone.Code(err) != "request.over" {
		t.Errorf("two tabs: %v", err)
	}
	x.must(phone.Approve(t.Context(), x.one(phone), add.number()))
	if b.next(remove); b.send("POST", "/security/methods/"+ids[0]+"/remove", url.Values{}).done() {
		t.Error("approving one act removed a method")
	}
	if r := b.proceed(b.next(add), ada, false); r.field(sealedField) == "" {
		t.Errorf("the act that was approved is not proven: %s", r.text())
	}
	for _, id := range ids {
		for _, act := range []string{"remove", "rename"} {
			if b.send("POST", "/security/methods/"+id+"/"+act, url.Values{"name": {"mine"}}).done() {
				t.Errorf("the proof for adding lets %s", act)
			}
		}
	}
	if b.send("POST", "/security/password", url.Values{"answer": {"a whole new password of mine"}}).done() || len(ada.changes()) != before {
		t.Errorf("changed: %v", ada.changes()[before:])
	}
	// A thief of the session's cookie alone can neither see the number nor go on.
	thief := x.browser()
	thief.cookies = map[string]string{"__Host-gatehouse": b.session()}
	if r := thief.next(add); thief.signedIn() || r.field(sealedField) != "" {
		t.Error("a stolen cookie goes on with the proof")
	}
}

func TestRule17_ARememberedBrowserMakesNoApprovalFresh(t *testing.T) {
	x := newTarget(t, "", 1)
	p := attackPolicy()
	p.Rules = append(p.Rules, policy.Rule{Name: "each time", State: policy.RuleOn, Applications: policy.Match{Categories: []string{"exam"}},
		Grant: policy.Grant{Strength: policy.StrengthMFA, Freshness: policy.Freshness{EveryTime: true}, RememberSet: true}})
	x.policy(p)
	exam, library, money := x.application("Exam", "exam"), x.application("Library", "teaching"), x.application("Money", "money")
	ada, phone := x.withPhone("ada")
	b := x.browser()
	r := b.ask(ada, library.authorize())
	x.must(phone.Approve(t.Context(), x.one(phone), r.number()))
	if r = b.get("/signin/next?remember=yes&attempt=" + url.QueryEscape(r.attempt())); r.code() == "" {
		t.Fatalf("not signed in: %s", r.text())
	}
	for range 2 {
		b.post("/signout", url.Values{})
		x.clock.Add(24 * time.Hour)
		// Where remembering is allowed the password alone lets in, and says so.
		r = b.byPassword(ada, library.authorize("acr_values", "https://refeds.org/profile/mfa"))
		if got := b.node.redeem(x, library, r.code()); r.code() != "" && got.ACR == "https://refeds.org/profile/mfa" {
			t.Error("a remembered browser is told to be MFA")
		}
		for _, app := range []*application{exam, money} {
			r := b.get(app.authorize())
			if r.code() != "" {
				t.Fatalf("%s lets a remembered browser in", app.name)
			}
			if n := b.get("/signin/next?remember=yes&attempt=" + url.QueryEscape(r.attempt())); n.code() != "" {
				t.Errorf("%s: the last approval is claimed again", app.name)
			}
			if n := len(x.waiting(phone)); n != 0 {
				t.Errorf("looking sent %d requests", n)
			}
		}
	}
	// Every time means every time: the approval of one authorization does not serve the next.
	for range 2 {
		r = b.get(exam.authorize())
		if r.code() != "" {
			t.Fatal("the exam opens without being asked")
		}
		switch r.asks() {
		case "password":
			r = b.answer(r, method.Password, ada.password, false)
		}
		if r.number() == "" {
			kind := "/signin/app/send"
			if strings.Contains(r.body, `value="app"`) {
				r = b.post("/signin/choose", url.Values{"attempt": {r.attempt()}, "kind": {"app"}})
			} else {
				r = b.post(kind, url.Values{"attempt": {r.attempt()}})
			}
		}
		x.must(phone.Approve(t.Context(), x.one(phone), r.number()))
		if r = b.next(r); r.asks() == "password" {
			r = b.answer(r, method.Password, ada.password, false)
		}
		if r.code() == "" {
			t.Fatalf("a fresh approval is refused: %d %s", r.status, r.text())
		}
		x.clock.Add(6 * time.Minute)
	}
}

func TestRule18_NothingIsSentBeforeAProof(t *testing.T) {
	x := newTarget(t, "", 1)
	ada, phone := x.withPhone("ada")
	b := x.browser()
	r := b.name(b.get("/signin"), ada.name)
	for path, form := range map[string]url.Values{"/signin/app/send": {}, "/signin/choose": {"kind": {"app"}}, "/signin/app": {"answer": {"x"}}, "/signin/phone/send": {"via": {"text"}},
		"/signin/phone": {"answer": {"123456"}}, "/signin/app/extend": {}} {
		form.Set("attempt", r.attempt())
		b.post(path, form)
	}
	b.answer(r, method.Password, "wrong", false)
	b.post("/signin/app/send", url.Values{"attempt": {r.attempt()}})
	if n := x.waiting(phone); len(n) != 0 || len(started(ada)) != 0 {
		t.Errorf("%d requests without a proof", len(n))
	}
	// Who has an app, who has none and who is nobody look alike until then.
	x.member("bob", longPassword, method.Password, method.TOTP)
	pages := map[string]string{}
	for _, name := range []string{"ada", "bob", "who"} {
		b := x.browser()
		r := b.name(b.get("/signin"), name)
		for _, step := range []*reply{b.post("/signin/app/send", url.Values{"attempt": {r.attempt()}}), b.post("/signin/choose", url.Values{"attempt": {r.attempt()}, "kind": {"app"}}),
			b.get("/signin/next?attempt=" + url.QueryEscape(r.attempt())), b.answer(r, method.Recovery, "x", false), b.answer(r, method.Password, "wrong", false)} {
			pages[name] += http.StatusText(step.status) + strings.ReplaceAll(step.text(), name, "NAME")
		}
	}
	if pages["ada"] != pages["bob"] || pages["ada"] != pages["who"] {
		t.Errorf("an account with an app can be told:\n%s\n%s\n%s", pages["ada"], pages["bob"], pages["who"])
	}
}

func TestForgedPressesSendCancelAndPairNothing(t *testing.T) {
	x := newTarget(t, "", 1)
	ada, phone := x.withPhone("ada")
	b := x.browser()
	r := b.ask(ada, "/apps")
	request := x.one(phone)
	owner := x.browser()
	owner.signIn(ada, "/security", false)
	page := owner.proceed(owner.get("/security/add/app"), ada, false)
	sent := len(started(ada))
	for name, header := range forgedPresses() {
		forged, pairing := b.copied(), owner.copied()
		forged.header, pairing.header = header, header
		for _, path := range []string{"/signin/app/send", "/signin/app/extend", "/signin/choose", "/signin/new-password", "/signin/first"} {
			if a := forged.send("POST", path, url.Values{"attempt": {r.attempt()}, "kind": {"totp"}}); a.status < 400 {
				t.Errorf("%s at %s: %d", name, path, a.status)
			}
		}
		for _, path := range []string{"/security/pairing", "/security/pairing/confirm", "/security/pairing/cancel"} {
			if a := pairing.send("POST", path, url.Values{"sealed": {page.field(sealedField)}, "answer": {"123456"}}); a.status < 400 {
				t.Errorf("%s at %s: %d", name, path, a.status)
			}
		}
	}
	if now := x.one(phone); now.ID != request.ID || now.Expires != request.Expires || len(started(ada)) != sent {
		t.Error("a forged press sent, ended or extended something")
	}
	if owner.post("/security/pairing", url.Values{"sealed": {page.field(sealedField)}}).field(pairLink) == "" {
		t.Error("a forged press ended the pairing")
	}
}
