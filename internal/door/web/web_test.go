package web

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

type browser struct {
	t       *testing.T
	h       http.Handler
	f       *flows
	cookies map[string]string
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	return newBrowserWith(t, func(*Deps) {})
}

// newBrowserWith changes what the pages stand on.
func newBrowserWith(t *testing.T, change func(*Deps)) *browser {
	t.Helper()
	f := &flows{t: t}
	h, _ := handlerFor(t, f, change)
	return &browser{t: t, h: h, f: f, cookies: map[string]string{}}
}

// handlerFor is the pages on flows of the test.
func handlerFor(t testing.TB, f *flows, change func(*Deps)) (http.Handler, *httpdoor.Door) {
	t.Helper()
	pages, err := NewPages(storyCampus, nil)
	if err != nil {
		t.Fatal(err)
	}
	door, err := httpdoor.New(httpdoor.Config{Base: &url.URL{Scheme: "https", Host: "signin.example.ac.uk"}, Errors: pages})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := secret.NewKeyring(map[uint32][]byte{1: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	deps := Deps{Pages: pages, Door: door, SignIn: f, Security: f, Catalogue: f, Box: secret.NewBox(ring),
		Now: func() time.Time { return storyTime }, RPID: "signin.example.ac.uk", AppURL: "https://phone.example.ac.uk"}
	change(&deps)
	New(deps).Routes(mux)
	return door.Wrap(mux), door
}

func (b *browser) send(method, path string, form url.Values, change func(*http.Request)) *http.Response {
	b.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Host, r.RemoteAddr = "signin.example.ac.uk", "198.51.100.7:1"
	r.Header.Set("Accept", "text/html")
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for k, v := range b.cookies {
		r.AddCookie(&http.Cookie{Name: k, Value: v})
	}
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	b.h.ServeHTTP(w, r)
	resp := w.Result()
	for _, c := range resp.Cookies() {
		b.cookies[c.Name] = c.Value
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	if resp.StatusCode == 500 {
		b.t.Errorf("%s %s: 500", method, path)
	}
	return resp
}

func (b *browser) get(path string) *http.Response { return b.send("GET", path, nil, nil) }
func (b *browser) post(path string, pairs ...string) *http.Response {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return b.send("POST", path, form, nil)
}

func body(resp *http.Response) string {
	var s strings.Builder
	if _, err := io.Copy(&s, resp.Body); err != nil {
		return err.Error()
	}
	return s.String()
}

func (b *browser) called(want string) {
	b.t.Helper()
	for _, c := range b.f.calls {
		if c == want {
			return
		}
	}
	b.t.Errorf("not called: %s; called: %q", want, b.f.calls)
}

func (b *browser) lands(resp *http.Response, path string) {
	b.t.Helper()
	if resp.StatusCode != 303 || !strings.HasPrefix(resp.Header.Get("Location"), path) {
		b.t.Errorf("%d to %q, want 303 to %s…", resp.StatusCode, resp.Header.Get("Location"), path)
	}
}

func TestSignInPages(t *testing.T) {
	b := newBrowser(t)
	b.f.step = signin.Step{Kind: signin.StepIdentify, Attempt: "A1", Passkey: &method.Prompt{Public: json.RawMessage(`{"challenge":"AAAA"}`)},
		Target: signin.Target{ActionOrigin: "https://library.example.ac.uk"}, ApplicationName: "Library"}
	resp := b.get("/signin?attempt=A0")
	page := body(resp)
	b.called("show A0")
	if !strings.Contains(page, `data-mode="autofill"`) || !strings.Contains(page, `autocomplete="username webauthn"`) || !strings.Contains(page, `value="A1"`) {
		t.Error(page)
	}
	if !strings.HasSuffix(resp.Header.Get("Content-Security-Policy"), "form-action 'self' https://library.example.ac.uk") {
		t.Error(resp.Header.Get("Content-Security-Policy"))
	}

	b.f.step = signin.Step{Kind: signin.StepProve, Attempt: "A2", Method: method.Password, Name: "nobody", Others: []method.Kind{method.Passkey}}
	resp = b.post("/signin", "attempt", "A1", "name", "nobody")
	b.called("identify A1 nobody")
	b.lands(resp, "/signin?attempt=A2") // so that the back button asks again instead of sending the name a second time
	page = body(b.get("/signin?attempt=A2"))
	if !strings.Contains(page, `type="password"`) || !strings.Contains(page, "nobody") || !strings.Contains(page, `value="passkey"`) {
		t.Error(page)
	}

	b.f.step.Problem = fault.New(fault.BadInput, "signin.wrong", "")
	resp = b.post("/signin/password", "attempt", "A2", "answer", "wrong")
	page = body(resp)
	if resp.StatusCode != 422 || !strings.Contains(page, "<title>Error: ") || !strings.Contains(page, `href="#answer"`) || strings.Contains(page, `value="wrong"`) {
		t.Error(resp.StatusCode, page)
	}

	// A right answer that leads to another question goes through a redirect, so that a reload repeats nothing.
	b.f.step = signin.Step{Kind: signin.StepProve, Attempt: "A3", Method: method.TOTP, Known: true, Name: "ada", RememberFor: 30 * 24 * time.Hour}
	b.lands(b.post("/signin/password", "attempt", "A2", "answer", "right"), "/signin?attempt=A3")
	if b.f.answer.Text != "right" {
		t.Error("the typed text was changed")
	}
	if page = body(b.get("/signin?attempt=A3")); !strings.Contains(page, "for 30 days") || !strings.Contains(page, `autocomplete="one-time-code"`) {
		t.Error(page)
	}

	token := secret.Token(32)
	b.f.step = signin.Step{Kind: signin.StepDone, Return: "/oauth2/authorize?attempt=A4", SetSession: &token,
		SetRemembered: []secret.String{secret.NewString("fam." + token.Reveal())}}
	b.lands(b.post("/signin/totp", "attempt", "A3", "answer", "123 456", "remember", "yes"), "/oauth2/authorize?attempt=A4")
	if !b.f.remember || b.cookies[httpdoor.SessionCookie] != token.Reveal() || b.cookies[httpdoor.RememberedCookie] == "" {
		t.Errorf("%v %v", b.f.remember, b.cookies)
	}
}

func TestSignInElsewhereAndEnds(t *testing.T) {
	b := newBrowser(t)
	b.f.step = signin.Step{Kind: signin.StepRefused, Attempt: "A", Known: true, ApplicationName: "Patient records",
		Reasons: []policy.Reason{{Rule: "staff only", Code: "blocked"}}}
	resp := b.get("/signin?attempt=A")
	if page := body(resp); resp.StatusCode != 403 || !strings.Contains(page, "rule: staff only") || !strings.Contains(page, "Patient records") {
		t.Error(resp.StatusCode, page)
	}
	b.cookies[httpdoor.SessionCookie] = secret.Token(32).Reveal()
	b.f.step.Reasons = []policy.Reason{{Rule: "clinical", Code: "no_method"}}
	b.f.step.Remedy = signin.Remedy{Kind: method.Passkey}
	if page := body(b.get("/signin?attempt=A")); !strings.Contains(page, `href="/security/add/passkey?then=`) {
		t.Error("a member whom a passkey would let in is not told so")
	}
	if page := body(b.post("/signin/password", "attempt", "A", "answer", "x")); !strings.Contains(page, `data-here="/signin?attempt=A"`) {
		t.Error("back and reload would send the answer again")
	}
	b.f.step.Remedy.Invited = true
	if page := body(b.get("/signin?attempt=A")); strings.Contains(page, "/security/add") || !strings.Contains(page, `href="/welcome"`) {
		t.Error("a member who needs an invitation is not told so")
	}
	b.f.step = signin.Step{Kind: signin.StepExpired, Attempt: "FRESH"}
	if page := body(b.post("/signin/password", "attempt", "OLD", "answer", "x")); !strings.Contains(page, `value="FRESH"`) {
		t.Error(page)
	}
	b.f.step = signin.Step{Kind: signin.StepProve, Attempt: "A", Method: method.Passkey, Prompt: method.Prompt{Public: json.RawMessage(`{}`)},
		Problem: fault.New(fault.BadInput, "signin.passkey_unknown", "")}
	if page := body(b.post("/signin/passkey", "attempt", "A", "answer", `{"id":"x"}`)); !strings.Contains(page, "data-passkey-unknown") {
		t.Error(page)
	}
	if string(b.f.answer.JSON) != `{"id":"x"}` {
		t.Errorf("%s", b.f.answer.JSON)
	}
	b.post("/signin/passkey", "attempt", "A", "answer", `{"id":`)
	if b.f.answer.JSON != nil {
		t.Error("broken JSON went on")
	}
	b.f.step = signin.Step{Kind: signin.StepProve, Attempt: "A", Method: method.TOTP, Known: true, Name: "ada",
		Target: signin.Target{Act: policy.ActMethodRemove, Object: "c1", Return: "/security/methods/c1/remove"}}
	b.f.person = &people.Person{Username: "ada"}
	b.f.overview.Methods = []method.Credential{{ID: "c1", Kind: method.Passkey, Name: "Blue phone"}}
	if page := body(b.get("/signin?attempt=A")); !strings.Contains(page, "To remove “Blue phone”, confirm it is you.") {
		t.Error(page)
	}
}

func TestStrangersAreLedToSignIn(t *testing.T) {
	b := newBrowser(t)
	for path, back := range map[string]string{"/apps": "/apps", "/security": "/security", "/security/add/totp": "/security/add/totp",
		"/security/methods/c1/remove": "/security/methods/c1/remove", "/security/password": "/security/password"} {
		b.lands(b.get(path), "/signin?attempt=REF")
		if b.f.target.Return != back {
			t.Errorf("%s comes back to %s", path, b.f.target.Return)
		}
	}
	b.lands(b.get("/"), "/apps")
	for _, path := range []string{"/help", "/welcome", "/signout", "/signed-out"} {
		if resp := b.get(path); resp.StatusCode != 200 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	if resp := b.get("/nowhere"); resp.StatusCode != 404 || !strings.Contains(body(resp), "Page not found") {
		t.Error("no page for 404")
	}
	if resp := b.send("DELETE", "/apps", nil, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") }); resp.StatusCode != 405 {
		t.Errorf("405: %d", resp.StatusCode)
	}
}

// TestG73_ChangesNeedTheirProof: without the proof every act leads to it and names itself; from another site nothing
// reaches the flow.
func TestG73_ChangesNeedTheirProof(t *testing.T) {
	b := newBrowser(t)
	b.f.person = &people.Person{Username: "ada"}
	b.f.overview.Methods = []method.Credential{{ID: "c1", Kind: method.Passkey, Name: "Blue phone"}}
	acts := []struct{ path, call, needs string }{
		{"/security/methods/c1/remove", "remove c1", "needs method.remove c1"},
		{"/security/methods/c1/rename", "rename c1 New", "needs method.rename c1"},
		{"/security/lead", "lead passkey", "needs method.lead passkey"},
		{"/security/password", "password New", "needs password.change "},
		{"/security/browsers/f1/forget", "forget f1", "needs browser.forget f1"},
		{"/security/add/totp", "add totp SEALED New", "needs method.add totp"},
	}
	for _, a := range acts {
		b.f.calls = nil
		for _, site := range []string{"cross-site", "same-site", ""} {
			resp := b.send("POST", a.path, url.Values{"name": {"New"}}, func(r *http.Request) {
				r.Header.Set("Sec-Fetch-Site", site)
				if site == "" {
					r.Header.Del("Sec-Fetch-Site")
				}
			})
			if resp.StatusCode != 403 || len(b.f.calls) != 0 {
				t.Errorf("%s from %q: %d %q", a.path, site, resp.StatusCode, b.f.calls)
			}
		}
		form := []string{"name", "New", "answer", "New", "kind", "passkey", "sealed", "SEALED"}
		b.lands(b.post(a.path, form...), "/signin?attempt=REF")
		b.called(a.call)
		b.called(a.needs)
		b.f.proven = true
		resp := b.post(a.path, form...)
		b.lands(resp, "/security?done=")
		page := body(b.get(resp.Header.Get("Location")))
		if !strings.Contains(page, `role="status"`) {
			t.Errorf("%s: nothing is said afterwards", a.path)
		}
		if strings.HasSuffix(a.path, "remove") && !strings.Contains(page, "data-passkeys-left=\"{&#34;allAcceptedCredentialIds&#34;:[&#34;AQI&#34;]") {
			t.Error("the browser is not told which passkeys are left")
		}
		b.f.proven = false
	}
	if page := body(b.get("/security?done=forged")); strings.Contains(page, `role="status"`) {
		t.Error("a forged message was shown")
	}
}

func TestWizardsKeepWhatWasTyped(t *testing.T) {
	b := newBrowser(t)
	b.f.person, b.f.proven = &people.Person{Username: "ada"}, true
	if page := body(b.get("/security/add/totp")); !strings.Contains(page, "ABCD EFGH") || !strings.Contains(page, `value="Passcode app 2"`) ||
		!strings.Contains(page, `href="otpauth://totp/x"`) {
		t.Error(page)
	}
	b.f.refuse = fault.New(fault.BadInput, "totp.wrong", "")
	resp := b.post("/security/add/totp", "sealed", "SEALED", "name", "My app", "answer", "000000")
	if page := body(resp); resp.StatusCode != 422 || !strings.Contains(page, `value="My app"`) || !strings.Contains(page, `aria-invalid="true"`) {
		t.Error(resp.StatusCode, page)
	}
	b.f.refuse = fault.New(fault.BadInput, "password.common", "")
	resp = b.post("/security/password", "answer", "password1")
	if page := body(resp); resp.StatusCode != 422 || !strings.Contains(page, "Many people use this password") || strings.Contains(page, "password1") {
		t.Error(resp.StatusCode, page)
	}
	b.f.refuse = fault.New(fault.Conflict, "method.last", "")
	resp = b.post("/security/methods/c1/remove")
	if page := body(resp); resp.StatusCode != 409 || !strings.Contains(page, "Add another method first") {
		t.Error(resp.StatusCode)
	}
	if resp := b.get("/security/add/telepathy"); resp.StatusCode != 404 {
		t.Errorf("an unknown kind: %d", resp.StatusCode)
	}
}

func TestInvitation(t *testing.T) {
	b := newBrowser(t)
	resp := b.post("/welcome", "code", "mistyped-code")
	if page := body(resp); resp.StatusCode != 400 || !strings.Contains(page, `aria-invalid="true"`) || strings.Contains(page, "mistyped-code") {
		t.Error(resp.StatusCode, page)
	}
	if page := body(b.post("/welcome", "code", "right-code")); !strings.Contains(page, "Welcome, Ada Example") || !strings.Contains(page, `value="WREF"`) {
		t.Error(page)
	}
	b.post("/welcome/offer", "ref", "WREF", "kind", "password")
	b.called("offer first WREF password")
	if page := body(b.post("/welcome/finish", "ref", "WREF", "kind", "password", "answer", "four random words here")); !strings.Contains(page, `value="totp"`) {
		t.Error("the passcode app does not follow the password")
	}
	if page := body(b.post("/welcome/finish", "ref", "WREF", "kind", "totp", "sealed", "S", "answer", "123456")); !strings.Contains(page, `href="/signin"`) {
		t.Error(page)
	}
}

func TestAppsAndSignOut(t *testing.T) {
	b := newBrowser(t)
	b.f.person = &people.Person{Username: "ada"}
	page := body(b.get("/apps"))
	if strings.Index(page, "Clinical") > strings.Index(page, "Teaching") || !strings.Contains(page, "https://library.example.ac.uk") {
		t.Error(page)
	}
	if page := body(b.get("/apps?q=LIB")); strings.Contains(page, "Patient records") || !strings.Contains(page, "Library") {
		t.Error(page)
	}
	if page := body(b.get("/apps?q=%3Cscript%3E")); !strings.Contains(page, "Nothing found for “&lt;script&gt;”") {
		t.Error(page)
	}
	b.cookies[httpdoor.SessionCookie] = secret.Token(32).Reveal()
	b.get("/signout")
	if _, still := b.cookies[httpdoor.SessionCookie]; !still {
		t.Error("a link alone signed out")
	}
	b.lands(b.post("/signout"), "/signed-out")
	if _, still := b.cookies[httpdoor.SessionCookie]; still {
		t.Error("the cookie stays")
	}
	b.called("signout")
	b.post("/signout", "everywhere", "yes")
	b.called("signout everywhere")
	b.f.person = nil
	b.lands(b.post("/signout"), "/signed-out") // a second press
}

func TestPagesForProtocolDoors(t *testing.T) {
	p, err := NewPages(storyCampus, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	w := httptest.NewRecorder()
	if err := p.FormPost(w, r, "https://library.example.ac.uk/cb", url.Values{"code": {`a"b`}}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(w.Body.String(), `value="a&#34;b"`) || !strings.HasSuffix(w.Header().Get("Content-Security-Policy"), "'self' https://library.example.ac.uk") {
		t.Error(w.Body, w.Header())
	}
	w = httptest.NewRecorder()
	if err := p.FormPost(w, r, "org.example.app:/cb", nil); err != nil || !strings.Contains(w.Body.String(), `action="org.example.app:/cb"`) {
		t.Error(err, w.Body)
	}
	for _, bad := range []string{"javascript:alert(1)", "data:text/html,x", "/relative", ""} {
		if p.FormPost(httptest.NewRecorder(), r, bad, nil) == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	w = httptest.NewRecorder()
	if err := p.LoggedOut(w, r, "Library", "javascript:alert(1)"); err != nil || strings.Contains(w.Body.String(), "javascript") {
		t.Error(err)
	}
	w = httptest.NewRecorder()
	if err := p.LoggedOut(w, r, "Library", "https://library.example.ac.uk/bye"); err != nil || !strings.Contains(w.Body.String(), "Go back to Library") {
		t.Error(err)
	}
	w = httptest.NewRecorder()
	if err := p.LogoutConfirm(w, r, "", "/oauth2/logout", url.Values{"x": {"1"}}); err != nil || !strings.Contains(w.Body.String(), `name="answer" value="yes"`) {
		t.Error(err)
	}
}
