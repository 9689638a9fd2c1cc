package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/method"
)

// browser is one of the enemy's or a member's: a cookie jar that speaks to one node at a time.
type browser struct {
	x       *target
	node    *node
	address string
	cookies map[string]string
	header  map[string]string // beside or instead of what a browser sends
}

// browser opens a new one.
func (x *target) browser() *browser {
	return &browser{x: x, node: x.nodes[0], address: "192.0.2.7:4711", cookies: map[string]string{}}
}

// on is the same browser (its jar as it is now) speaking to another node.
func (b *browser) on(n *node) *browser {
	c := *b
	c.node, c.cookies = n, maps.Clone(b.cookies)
	return &c
}

// copied is a copy of the jar in the enemy's hands.
func (b *browser) copied() *browser { return b.on(b.node) }

// reply is an answer.
type reply struct {
	asked    string // path and query
	status   int
	location string
	body     string
	header   http.Header
}

// send does one request and keeps the cookies as a browser does.
func (b *browser) send(verb, path string, form url.Values) *reply {
	b.x.clock.tick()
	var r *http.Request
	if form != nil {
		r = httptest.NewRequest(verb, attackBase+path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else {
		r = httptest.NewRequest(verb, attackBase+path, nil)
	}
	r.RemoteAddr = b.address
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Accept", "text/html")
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	for k, v := range b.header {
		r.Header.Del(k)
		if v != "" {
			r.Header.Set(k, v)
		}
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	b.node.handler.ServeHTTP(w, r)
	out := &reply{asked: path, status: w.Code, location: w.Header().Get("Location"), body: w.Body.String(), header: w.Header()}
	for _, c := range w.Result().Cookies() {
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode {
			b.x.t.Errorf("%s %s sets a cookie that is not held to this host: %s", verb, path, c.Name)
		}
		if c.MaxAge < 0 || c.Value == "" {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	if out.status >= 500 {
		b.x.t.Errorf("%s %s answered %d: %s", verb, path, out.status, out.text())
	}
	if b.x.seen != nil {
		b.x.seen(verb, path, out)
	}
	return out
}

// get opens an address and follows redirects within the house.
func (b *browser) get(path string) *reply { return b.follow(b.send("GET", path, nil)) }

// post sends a form and follows redirects within the house.
func (b *browser) post(path string, form url.Values) *reply {
	return b.follow(b.send("POST", path, form))
}

func (b *browser) follow(r *reply) *reply {
	for range 10 {
		if !strings.HasPrefix(r.location, "/") {
			return r
		}
		r = b.send("GET", r.location, nil)
	}
	b.x.t.Errorf("redirected in a circle at %s", r.asked)
	return r
}

var (
	sessionRow   = regexp.MustCompile(`/security/sessions/([^/"]+)/end`)
	attemptField = regexp.MustCompile(`name="attempt" value="([^"]*)"`)
	optionsField = regexp.MustCompile(`data-options="([^"]*)"`)
	sealedField  = regexp.MustCompile(`name="sealed" value="([^"]*)"`)
	refField     = regexp.MustCompile(`name="ref" value="([^"]*)"`)
	keyField     = regexp.MustCompile(`<p class="key">([^<]*)</p>`)
	tags         = regexp.MustCompile(`(?s)<(script|style|head)\b.*?</(script|style|head)>|<[^>]*>`)
)

func (r *reply) field(re *regexp.Regexp) string {
	if m := re.FindStringSubmatch(r.body); m != nil {
		return html.UnescapeString(m[1])
	}
	return ""
}

// attempt is the reference that the page carries on.
func (r *reply) attempt() string { return r.field(attemptField) }

// text is what the page says.
func (r *reply) text() string {
	return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(r.body, " "))), " ")
}

// asks is the kind of proof that the page asks for: "name", a method's, or "".
func (r *reply) asks() string {
	switch {
	case r.status == http.StatusForbidden:
		return ""
	case strings.Contains(r.body, `action="/signin/app/send"`):
		return "app"
	case strings.Contains(r.body, `action="/signin/recovery"`):
		return "recovery"
	case strings.Contains(r.body, `action="/signin/totp"`):
		return "totp"
	case strings.Contains(r.body, `action="/signin/password"`):
		return "password"
	case strings.Contains(r.body, `action="/signin"`):
		return "name"
	case strings.Contains(r.body, `action="/signin/passkey"`):
		return "passkey"
	}
	return ""
}

// code is the authorization code that the answer sends to an application, "" for none.
func (r *reply) code() string {
	u, err := url.Parse(r.location)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Query().Get("code")
}

// oauthError is the error that the answer sends to an application.
func (r *reply) oauthError() string {
	u, err := url.Parse(r.location)
	if err != nil {
		return ""
	}
	return u.Query().Get("error")
}

// answer posts a typed answer to the page's attempt.
func (b *browser) answer(r *reply, kind method.Kind, text string, remember bool) *reply {
	form := url.Values{"attempt": {r.attempt()}, "answer": {text}}
	if remember {
		form.Set("remember", "yes")
	}
	return b.post("/signin/"+string(kind), form)
}

func (b *browser) name(r *reply, name string) *reply {
	return b.post("/signin", url.Values{"attempt": {r.attempt()}, "name": {name}})
}

// touch answers the page's passkey question with the member's newest key.
func (b *browser) touch(r *reply, m *member) *reply {
	b.x.t.Helper()
	signed, err := m.key.Get([]byte(r.field(optionsField)))
	b.x.must(err)
	return b.answer(r, method.Passkey, string(signed), false)
}

// proceed answers whatever the pages ask with the member's own proofs.
func (b *browser) proceed(r *reply, m *member, remember bool) *reply {
	b.x.t.Helper()
	for range 8 {
		switch r.asks() {
		case "name":
			if len(m.key.Credentials()) > 0 {
				r = b.touch(r, m)
			} else {
				r = b.name(r, m.name)
			}
		case "password":
			r = b.answer(r, method.Password, m.password, remember)
		case "totp":
			r = b.answer(r, method.TOTP, m.code(), remember)
		case "passkey":
			r = b.touch(r, m)
		default:
			if r.status == http.StatusForbidden || len(m.phone) == 0 || !strings.Contains(r.body, `name="kind" value="totp"`) {
				return r
			}
			r = b.post("/signin/choose", url.Values{"attempt": {r.attempt()}, "kind": {"totp"}}) // the app leads, or a request is over
		}
	}
	b.x.t.Fatalf("asked again and again: %s", r.text())
	return nil
}

// signIn goes to path with all that the member has.
func (b *browser) signIn(m *member, path string, remember bool) *reply {
	b.x.t.Helper()
	r := b.proceed(b.get(path), m, remember)
	if r.asks() != "" || r.status >= 400 {
		b.x.t.Fatalf("%s could not sign in for %s: %d %s", m.name, path, r.status, r.text())
	}
	return r
}

// byPassword goes to path with the password alone and gives the page that follows.
func (b *browser) byPassword(m *member, path string) *reply {
	b.x.t.Helper()
	r := b.name(b.get(path), m.name)
	if r.asks() != "password" {
		b.x.t.Fatalf("no password page: %s", r.text())
	}
	return b.answer(r, method.Password, m.password, false)
}

func (b *browser) session() string { return b.cookies[httpdoor.SessionCookie] }

// signedIn reports whether the jar answers as signed in.
func (b *browser) signedIn() bool {
	r := b.copied().send("GET", "/apps", nil)
	return r.status == http.StatusOK
}

const attackVerifier = "a-verifier-of-an-application-that-is-43-letters-long"

// authorize is the address of an authorization request; extra parameters are name, value, ….
func (a *application) authorize(extra ...string) string {
	sum := sha256.Sum256([]byte(attackVerifier))
	q := url.Values{"client_id": {a.id}, "redirect_uri": {a.redirect}, "response_type": {"code"}, "scope": {"openid profile email"},
		"state": {"st"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
	for i := 0; i+1 < len(extra); i += 2 {
		q.Set(extra[i], extra[i+1])
	}
	return "/oauth2/authorize?" + q.Encode()
}

// tokens is a token response or an error.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Error   string `json:"error"`
	Active  bool   `json:"active"`
	Subject string `json:"sub"`
	ACR     string `json:"acr"`
	status  int
}

// call speaks as an application to a node; a nil application speaks for nobody.
func (n *node) call(x *target, a *application, path string, form url.Values, bearer string) tokens {
	x.t.Helper()
	x.clock.tick()
	r := httptest.NewRequest("POST", attackBase+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.RemoteAddr = "198.51.100.9:443"
	if a != nil {
		r.SetBasicAuth(a.id, a.secret)
	}
	if bearer != "" {
		r = httptest.NewRequest("GET", attackBase+path, nil)
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	w := httptest.NewRecorder()
	n.handler.ServeHTTP(w, r)
	out := tokens{status: w.Code}
	if w.Code >= 500 {
		x.t.Errorf("POST %s answered %d: %s", path, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil && w.Body.Len() > 0 {
		x.t.Errorf("%s: %v", path, err)
	}
	if x.seen != nil {
		x.seen("POST", path, &reply{asked: path, status: w.Code, header: w.Header(), location: w.Header().Get("Location")})
	}
	return out
}

func (n *node) redeem(x *target, a *application, code string) tokens {
	x.t.Helper()
	return n.call(x, a, "/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {a.redirect},
		"code_verifier": {attackVerifier}}, "")
}

func (n *node) refresh(x *target, a *application, token string) tokens {
	x.t.Helper()
	return n.call(x, a, "/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, "")
}

func (n *node) active(x *target, a *application, token string) bool {
	x.t.Helper()
	return n.call(x, a, "/oauth2/introspect", url.Values{"token": {token}}, "").Active
}

func (n *node) userinfo(x *target, token string) tokens {
	x.t.Helper()
	return n.call(x, nil, "/oauth2/userinfo", nil, token)
}

// admin calls the administration API; body is JSON or "".
func (x *target) admin(verb, path, body string) *reply {
	x.t.Helper()
	x.clock.tick()
	r := httptest.NewRequest(verb, attackBase+"/admin/api/v1"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+x.token)
	w := httptest.NewRecorder()
	x.nodes[0].handler.ServeHTTP(w, r)
	if w.Code >= 400 {
		x.t.Fatalf("%s %s: %d %s", verb, path, w.Code, w.Body)
	}
	return &reply{status: w.Code, body: w.Body.String(), header: w.Header()}
}

// suspend suspends the member through the administration API.
func (m *member) suspend() {
	m.x.t.Helper()
	m.x.admin("POST", "/people/"+string(m.id)+"/suspend", `{"why":"a test"}`)
}

func (m *member) restore() {
	m.x.t.Helper()
	m.x.admin("POST", "/people/"+string(m.id)+"/restore", `{"why":"a test"}`)
}
