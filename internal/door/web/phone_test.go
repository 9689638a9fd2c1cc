package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// asking is the step of a request that waits.
func asking() signin.Step {
	return signin.Step{Kind: signin.StepProve, Attempt: "A2", Method: method.App, Known: true, Name: "ada", ApplicationName: "Library",
		Others: []method.Kind{method.TOTP, method.Passkey}, RememberFor: 30 * 24 * time.Hour,
		Sending: &signin.Sending{ID: "c1", Standing: signin.Open, Number: "47", Expires: storyTime.Add(5 * time.Minute), CanExtend: true, Furthest: signin.Sent}}
}

func has(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("does not have %q:\n%s", text, page)
		}
	}
}

func hasNot(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(page, text) {
			t.Errorf("has %q:\n%s", text, page)
		}
	}
}

func TestRequestPage(t *testing.T) {
	b := newBrowser(t)
	b.f.step = asking()
	page := body(b.get("/signin?attempt=A1"))
	has(t, page, `<span aria-hidden="true"><span>47</span></span><span class="hide">4 7</span>`, `data-events="/signin/events?attempt=A2"`, "wait-",
		`<noscript><meta http-equiv="refresh" content="5;url=/signin/next?attempt=A2"></noscript>`, `action="/signin/next"`, "Library",
		`formaction="/signin/app/extend"`, `formaction="/signin/app/send"`, `value="totp"`, "Sent to your phone", `data-copy="47"`, "for 30 days")
	for _, address := range strings.Split(page, `"/signin`)[1:] {
		if at, _, _ := strings.Cut(address, `"`); strings.Contains(at, "47") {
			t.Errorf("the number stands in an address: %s", at)
		}
	}
	// The phone's own browser sees the button without JavaScript.
	phone := body(b.send("GET", "/signin?attempt=A1", nil, func(r *http.Request) {
		r.Header.Set("User-Agent", "Mozilla/5.0 (Linux; Android 14; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36")
	}))
	has(t, phone, "<p data-same-phone><a")
	has(t, page, "<p data-same-phone hidden><a")

	b.f.step.Sending.Number, b.f.step.Sending.CanExtend = "482719", false
	page = body(b.get("/signin?attempt=A1"))
	has(t, page, `<span>482</span><span>719</span></span><span class="hide">4 8 2 7 1 9</span>`)
	hasNot(t, page, "/signin/app/extend")
}

func TestRequestGoesOn(t *testing.T) {
	b := newBrowser(t)
	b.f.step = asking()
	b.lands(b.post("/signin/app/extend", "attempt", "A2", "remember", "yes"), "/signin?attempt=A2&remember=yes")
	b.called("extend A2")
	b.lands(b.post("/signin/app/send", "attempt", "A2"), "/signin?attempt=A2")
	b.called("send A2 app ")
	has(t, body(b.get("/signin?attempt=A2&remember=yes")), `value="yes" checked`, "&amp;remember=yes")

	// Looking again while it waits changes nothing and keeps the tick.
	page := body(b.get("/signin/next?attempt=A2&remember=yes"))
	b.called("answer A2 app")
	has(t, page, `value="yes" checked`, `/signin/next?attempt=A2&amp;remember=yes`, "Enter this number")
	token := secret.Token(32)
	b.f.step = signin.Step{Kind: signin.StepDone, Return: "/apps", SetSession: &token}
	b.lands(b.get("/signin/next?attempt=A2&remember=yes"), "/apps")
	if !b.f.remember || b.cookies[httpdoor.SessionCookie] != token.Reveal() {
		t.Errorf("remember %v, cookies %v", b.f.remember, b.cookies)
	}
}

// TestG46_AGetSendsNothing: whatever is looked at, no request goes out; a page that has none yet asks by a form.
func TestG46_AGetSendsNothing(t *testing.T) {
	b := newBrowser(t)
	b.f.step = asking()
	b.f.step.Sending = nil
	for _, path := range []string{"/signin?attempt=A", "/signin/next?attempt=A", "/signin/events?attempt=A"} {
		b.get(path)
	}
	for _, call := range b.f.calls {
		if strings.HasPrefix(call, "send") || strings.HasPrefix(call, "extend") || strings.HasPrefix(call, "choose") {
			t.Errorf("a GET called %q", call)
		}
	}
	has(t, body(b.get("/signin?attempt=A")), `<form method="post" action="/signin/app/send" data-forward>`)
	for _, path := range []string{"/signin/app/send", "/signin/app/extend", "/signin/phone/send", "/signin/first", "/signin/new-password",
		"/security/pairing", "/security/pairing/confirm", "/security/pairing/cancel", "/welcome/pairing/confirm", "/welcome/pairing/cancel"} {
		b.f.calls = nil
		resp := b.send("POST", path, nil, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
		if resp.StatusCode != 403 || len(b.f.calls) != 0 {
			t.Errorf("%s from another site: %d %q", path, resp.StatusCode, b.f.calls)
		}
	}
}

// TestRequestsThatCameToNothing: each says so calmly, shows no number, asks for none by itself, and leads on.
func TestRequestsThatCameToNothing(t *testing.T) {
	b := newBrowser(t)
	for code, c := range map[string]struct {
		kind  fault.Kind
		title string
		again bool
	}{
		"denied": {fault.Forbidden, "You said no on your phone", true}, "reported": {fault.Forbidden, "Thank you for telling us", false},
		"wrong_number": {fault.BadInput, "That was another number", true}, "expired": {fault.Expired, "The request ran out of time", true},
		"wait": {fault.TooMany, "Let your phone rest a little", false}, "blocked": {fault.Forbidden, "No requests from this browser", false},
		"busy": {fault.TooMany, "Another request is waiting", true}, "removed": {fault.Conflict, "That phone is not on your account any more", false},
	} {
		b.f.step = asking()
		b.f.step.Problem = fault.New(c.kind, "signin.app_"+code, "").With("minutes", 3)
		page := body(b.get("/signin/next?attempt=A2"))
		has(t, page, "<h1>"+c.title+"</h1>", `role="alert"`, `value="totp"`, "/help#error-signin-app_"+code)
		hasNot(t, page, ">47<", "http-equiv", "data-events", "data-forward", "There is a problem", "Has no text")
		if strings.Contains(page, "/signin/app/send") != c.again {
			t.Errorf("%s: another one is offered: %v", code, !c.again)
		}
	}
}

func TestCodePage(t *testing.T) {
	b := newBrowser(t)
	b.f.step = signin.Step{Kind: signin.StepProve, Attempt: "A", Method: method.Phone, Known: true, Name: "ada",
		Sending: &signin.Sending{Standing: signin.Open, Via: "text", Expires: storyTime.Add(time.Minute), Public: json.RawMessage(
			`{"to":"•••• 123","via":"text","digits":6,"numbers":[{"credential":"k1","to":"•••• 123","channels":["text","voice"]},{"credential":"k2","to":"•••• 456","channels":["voice"]}]}`)}}
	page := body(b.get("/signin?attempt=A"))
	has(t, page, "on its way to •••• 123", `autocomplete="one-time-code"`, `value="text:k1"`, `value="voice:k1"`, "Call me instead", `value="voice:k2"`, "Call •••• 456")
	hasNot(t, page, "http-equiv", "data-events")
	b.post("/signin/phone/send", "attempt", "A", "via", "voice:k2")
	b.called("send A phone voice:k2")
	b.f.step.Problem = fault.New(fault.BadInput, "signin.wrong", "")
	page = body(b.post("/signin/phone", "attempt", "A", "answer", "000000"))
	has(t, page, "Enter the one that came last", `aria-invalid="true"`)
	b.f.step.Sending, b.f.step.Problem = nil, fault.New(fault.TooMany, "signin.phone_capped", "")
	page = body(b.get("/signin?attempt=A"))
	has(t, page, "No more codes can be sent for now")
	hasNot(t, page, "/signin/phone/send")
}

func TestWhatIsDueFirst(t *testing.T) {
	b := newBrowser(t)
	b.f.step = signin.Step{Kind: signin.StepNewPassword, Attempt: "A", Known: true, Name: "ada"}
	has(t, body(b.get("/signin?attempt=A")), "Choose a new password", "reported as possibly in somebody else", `action="/signin/new-password"`)
	b.f.step.Prompt.Public = []byte(`{"min":8,"max":1024}`)
	has(t, body(b.get("/signin?attempt=A")), "At least 8 characters", `data-least="8"`)
	b.f.step.Problem = fault.New(fault.BadInput, "password.common", "")
	resp := b.post("/signin/new-password", "attempt", "A", "answer", "password1")
	page := body(resp)
	has(t, page, "Many people use this password", `href="#answer"`)
	hasNot(t, page, `value="password1"`)
	if resp.StatusCode != 422 {
		t.Error(resp.StatusCode)
	}
	b.called("new password A password1")

	b.f.step = signin.Step{Kind: signin.StepFirstMethod, Attempt: "A", Known: true, Name: "ada"}
	has(t, body(b.get("/signin?attempt=A")), "Set up a second way to sign in", `action="/signin/first"`)
	page = body(b.post("/signin/first", "attempt", "A"))
	b.called("first by A")
	has(t, page, `value="app"`, `name="attempt" value="A"`, `value="WREF"`)
	hasNot(t, page, `value="password"`)
	// The wizard leads back to the attempt, whatever is chosen.
	b.f.pairing = enrol.PairingView{ID: "p1", Standing: enrol.PairingWaiting, Sealed: "S", Link: "https://phone.example.ac.uk/#pair=T", Code: "ABCD-EFGH", Expires: storyTime.Add(time.Minute)}
	page = body(b.post("/welcome/offer", "ref", "WREF", "attempt", "A", "kind", "app"))
	b.called("pair first WREF")
	has(t, page, `name="attempt" value="A"`, `action="/welcome/pairing"`, "ABCD-EFGH", `href="https://phone.example.ac.uk/#pair=T"`)
	b.lands(b.post("/welcome/pairing/confirm", "sealed", "S", "ref", "WREF", "attempt", "A", "answer", "482 719", "name", "Mine"), "/signin?attempt=A")
	b.called("confirm S 482719 Mine")
	b.lands(b.post("/welcome/finish", "ref", "WREF", "attempt", "A", "kind", "totp", "sealed", "S", "answer", "123456"), "/signin?attempt=A")
	b.lands(b.post("/welcome/pairing/cancel", "sealed", "S", "ref", "WREF", "attempt", "A"), "/signin?attempt=A")
	b.called("cancel S")
}

// TestCancelWithinAnInvitation leads back to its methods: nobody types 25 characters again for a changed mind.
func TestCancelWithinAnInvitation(t *testing.T) {
	b := newBrowser(t)
	page := body(b.post("/welcome/pairing/cancel", "sealed", "S", "ref", "WREF"))
	b.called("resume WREF")
	has(t, page, "Now the second step", `value="WREF"`, `value="app"`, `value="totp"`, `value="passkey"`)
	hasNot(t, page, `value="password"`)
	b.lands(b.post("/welcome/pairing/cancel", "sealed", "S", "ref", "OLD"), "/welcome")
	b.lands(b.post("/welcome/pairing/cancel", "sealed", "S"), "/welcome")

	// A pairing that ended by itself keeps the way back.
	b.f.pairing = enrol.PairingView{ID: "p1", Standing: enrol.PairingEnded, Sealed: "S"}
	has(t, body(b.post("/welcome/pairing", "sealed", "S", "ref", "WREF")), `action="/welcome/pairing/cancel"`, `name="ref" value="WREF"`)
}

// TestPairingPages goes through the wizard without JavaScript.
func TestThePasswordPageNamesThePersonsOwnLength(t *testing.T) {
	b := newBrowser(t)
	b.f.person, b.f.proven = &people.Person{ID: "p1", Username: "ada"}, true
	has(t, body(b.get("/security/password")), "At least 15 characters")
	b = newBrowserWith(t, func(d *Deps) {
		d.PasswordLeast = func(id people.ID) int { return map[people.ID]int{"p1": 8}[id] }
	})
	b.f.person, b.f.proven = &people.Person{ID: "p1", Username: "ada"}, true
	has(t, body(b.get("/security/password")), "At least 8 characters")
}

func TestPairingPages(t *testing.T) {
	b := newBrowser(t)
	b.f.person, b.f.proven = &people.Person{Username: "ada"}, true
	b.f.pairing = enrol.PairingView{ID: "p1", Standing: enrol.PairingWaiting, Sealed: "S", Link: "https://phone.example.ac.uk/#pair=T",
		QRPath: "M0 0h1v1h-1z", QRSize: 9, Code: "ABCD-EFGH", Expires: storyTime.Add(10 * time.Minute)}
	page := body(b.get("/security/add/app"))
	has(t, page, "ABCD-EFGH", `value="S"`, `data-events="/security/pairing/events?sealed=S&amp;standing=waiting"`, "<noscript><button")
	page = body(b.post("/security/pairing", "sealed", "S"))
	has(t, page, "No phone has scanned this yet", "ABCD-EFGH", `data-here="/security/add/app"`)

	b.f.pairing.Standing, b.f.pairing.Phone = enrol.PairingClaimed, "Pixel 9"
	page = body(b.post("/security/pairing", "sealed", "S"))
	has(t, page, "Type the code that your phone shows", "“Pixel 9” has answered", `value="Pixel 9"`, "standing=claimed")
	hasNot(t, page, "ABCD-EFGH")
	b.f.refuse = fault.New(fault.BadInput, "pairing.code_wrong", "").With("left", 2)
	resp := b.post("/security/pairing/confirm", "sealed", "S", "answer", "000000", "name", "My phone")
	if page = body(resp); resp.StatusCode != 422 {
		t.Error(resp.StatusCode)
	}
	has(t, page, "Tries left: 2", `value="My phone"`, `aria-invalid="true"`)
	b.f.refuse = fault.New(fault.Expired, "pairing.ended", "")
	has(t, body(b.post("/security/pairing/confirm", "sealed", "S", "answer", "000000")), "Nothing was added", `href="/security/add/app"`)

	b.f.refuse = nil
	b.lands(b.post("/security/pairing/confirm", "sealed", "S", "answer", "482719"), "/security?done=")
	b.f.pairing.Standing = enrol.Paired
	b.lands(b.post("/security/pairing", "sealed", "S"), "/security?done=") // a look that the press overtook
	b.f.pairing.Standing = enrol.PairingEnded
	has(t, body(b.post("/security/pairing", "sealed", "S")), "This set-up is over")
	b.f.overview = enrol.Overview{OneDevice: true, Addable: []enrol.Addable{{Kind: method.Recovery}, {Kind: method.Passkey}}}
	resp = b.post("/security/pairing/confirm", "sealed", "S", "answer", "482719", "then", "T1")
	b.lands(resp, "/security/second?then=T1")
	page = body(b.get(resp.Header.Get("Location")))
	has(t, page, "One more thing", `href="/security/add/recovery?then=T1"`, `href="/security/add"`, `href="/signin?attempt=T1"`)
	has(t, body(b.get("/security")), "Everything you sign in with is on one device")
	has(t, body(b.get("/apps")), "Everything you sign in with is on one device")
	b.f.overview.OneDevice = false
	b.lands(b.get("/security/second?then=T1"), "/signin?attempt=T1")

	b.lands(b.post("/security/pairing/cancel", "sealed", "S"), "/security?done=")
	b.f.proven = false
	b.lands(b.get("/security/add/app"), "/signin?attempt=")
	b.f.person = nil
	b.lands(b.post("/security/pairing/confirm", "sealed", "S", "answer", "482719"), "/signin?attempt=")
}

func TestNumberAndCodesWizards(t *testing.T) {
	b := newBrowser(t)
	b.f.person, b.f.proven = &people.Person{Username: "ada"}, true
	b.f.offers = map[method.Kind]string{
		method.Phone:    `{"ask":"number","channels":["text","voice"],"country":"GB"}`,
		method.Recovery: `{"codes":["aaaa-bbbb-cccc","dddd-eeee-ffff"]}`,
	}
	has(t, body(b.get("/security/add/phone")), `type="tel"`, "United Kingdom: as you dial it", `value="voice"`)
	page := body(b.post("/security/add/phone", "typed", "07700 900123", "via", "text", "sealed", "SEALED"))
	b.called("offer to phone 07700 900123 text")
	has(t, page, "on its way to •••• 123", `value="SENT"`, `name="number" value="07700 900123"`, `name="typed" value="07700 900123"`)
	b.f.refuse = fault.New(fault.BadInput, "phone.special", "")
	resp := b.post("/security/add/phone", "typed", "0909 8790000", "via", "text")
	if page = body(resp); resp.StatusCode != 400 {
		t.Error(resp.StatusCode)
	}
	has(t, page, `value="0909 8790000"`, "Use an ordinary number", `href="#typed"`)
	b.f.refuse = nil
	b.lands(b.post("/security/add/phone", "sealed", "SENT", "answer", "482719", "number", "07700 900123"), "/security?done=")
	b.called("add phone SENT ")

	page = body(b.get("/security/add/recovery"))
	has(t, page, "aaaa-bbbb-cccc", "dddd-eeee-ffff", "I have saved them", `name="answer" value="saved"`)
	b.lands(b.post("/security/add/recovery", "sealed", "SEALED", "answer", "saved"), "/security?done=")
	if b.f.answer.Text != "saved" {
		t.Error(b.f.answer.Text)
	}
}

// TestDevicesOnTheSecurityPage: a phone with what is on it, codes that are left, what is on hold, and who may lead.
func TestDevicesOnTheSecurityPage(t *testing.T) {
	b := newBrowser(t)
	b.f.person = &people.Person{Username: "ada"}
	b.f.overview = enrol.Overview{LeadNow: method.App, RecoveryLeft: 2, Addable: []enrol.Addable{{Kind: method.Recovery}}, Methods: []method.Credential{
		{ID: "t1", Kind: method.TOTP, Device: "a1"}, {ID: "a1", Kind: method.App, Name: "Pixel 9", HeldUntil: storyTime.Add(24 * time.Hour)},
		{ID: "r1", Kind: method.Recovery, Name: "recovery"}, {ID: "n1", Kind: method.Phone, Name: "•••• 123"}},
		Recent: []enrol.Recent{{ID: "c:9", Act: "challenge.started", Outcome: "done", Method: method.App}, {ID: "c:8", Act: "approval.reported", Outcome: "refused"},
			{ID: "c:7", Act: "code.sent", Outcome: "done", Method: method.Phone}, {ID: "c:6", Act: "code.sent", Outcome: "refused", Method: method.Phone}}}
	page := body(b.get("/security"))
	has(t, page, `aria-label="On Pixel 9"`, "2 codes left", "You have 2 recovery codes left", "Does not open sensitive applications before", "A message you did not expect?",
		"Request sent to your authenticator app", "You said “No, it’s not me” on your phone", `href="/security/recent/c:9/report"`, `href="/security/lead"`)
	has(t, page, "Recovery codes", "/security/methods/a1/rename", "Code sent to a new phone number", "Code to a phone number held back")
	hasNot(t, page, "/security/methods/t1/rename", ">recovery<") // what is on a phone has no name of its own
	if strings.Index(page, "Passcodes") < strings.Index(page, "Pixel 9") {
		t.Error("what is on the phone stands before it")
	}
	page = body(b.get("/security/lead"))
	has(t, page, `value="app"`, `value="totp"`)
	hasNot(t, page, `value="phone"`, `value="recovery"`)
	b.f.proven = true
	has(t, body(b.get("/security/methods/a1/remove")), "Requests and passcodes of this phone end at once")
	has(t, body(b.get("/security/methods/t1/remove")), "Requests still reach it")
}

func TestCodesByMessage(t *testing.T) {
	p, err := NewPages(Campus{Name: "University of Example", Domain: "signin.example.ac.uk"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, text := p.Texts.Notice("code.text", "en", map[string]string{"Code": "482719"})
	if !strings.HasPrefix(text, "482719 ") || !strings.HasSuffix(text, "\n\n@signin.example.ac.uk #482719") || len(text) > 160 {
		t.Errorf("%d bytes: %s", len(text), text)
	}
	if _, call := p.Texts.Notice("code.voice", "en", map[string]string{"Code": "4, 8, 2, 7, 1, 9"}); strings.Count(call, "4, 8, 2, 7, 1, 9") != 3 {
		t.Error(call)
	}
	if _, text = texts(t).Notice("code.text", "en", map[string]string{"Code": "482719"}); strings.Contains(text, "@") {
		t.Errorf("bound to no page: %s", text)
	}
}
