package main

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/campus"
	"github.com/gatehouse-id/gatehouse/internal/demo"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
	"github.com/gatehouse-id/gatehouse/internal/method/password"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
)

const (
	siteOrigin   = "http://localhost:8080"
	sitePassword = "violet tractors sing at noon"
	siteCallback = "https://library.example.ac.uk/callback"
)

// siteClock moves when it is moved, and unless it is still by a microsecond at each look.
type siteClock struct {
	mu    sync.Mutex
	at    time.Time
	still bool
}

func (c *siteClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.still {
		c.at = c.at.Add(time.Microsecond)
	}
	return c.at
}

func (c *siteClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// siteLog keeps what a house logs, at the level debug.
type siteLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *siteLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *siteLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// openedSite is a house with its doors as serve opens them, on a clock of its own.
type openedSite struct {
	t       testing.TB
	h       *house
	d       *doors
	m       *metrics
	handler http.Handler
	clock   *siteClock
	log     *siteLog
	dsn     string
}

// openSite opens a house on a new SQLite database.
func openSite(t testing.TB) *openedSite {
	t.Helper()
	return openSiteOn(t, filepath.Join(t.TempDir(), "gatehouse.db"), &siteClock{at: time.Date(2026, 10, 5, 9, 0, 10, 0, time.UTC)})
}

// onBoth runs body on a house on each engine.
func onBoth(t *testing.T, body func(t *testing.T, s *openedSite)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { body(t, openSite(t)) })
	t.Run("postgres", func(t *testing.T) {
		body(t, openSiteOn(t, storetest.PostgresDSN(t), &siteClock{at: time.Date(2026, 10, 5, 9, 0, 10, 0, time.UTC)}))
	})
}

func openSiteOn(t testing.TB, dsn string, clock *siteClock, change ...func(*houseConfig)) *openedSite {
	t.Helper()
	s := &openedSite{t: t, clock: clock, log: &siteLog{}, dsn: dsn}
	var err error
	c := houseConfig{Base: &url.URL{Scheme: "http", Host: "localhost:8080"}, DSN: dsn, Node: "test",
		Keyring: storetest.Keyring(t), Campus: campus.Campus{ID: "test", Name: "Test"}, Now: clock.now,
		Log:       slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Passwords: password.Settings{Params: password.Params{Memory: 64, Time: 1, Threads: 1}, Workers: 2, Queue: 1000}}
	for _, f := range change {
		f(&c)
	}
	s.h, err = openHouse(t.Context(), c)
	s.must(err)
	t.Cleanup(func() { s.h.close() })
	s.must(s.h.db.Migrate(t.Context()))
	s.must(s.h.openPush(t.Context()))
	if _, err := s.h.keys.Turn(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.m = newMetrics(s.h)
	s.d, err = s.h.openDoors(s.m)
	s.must(err)
	s.h.probes(s.d)
	s.handler = s.d.handler()
	return s
}

func (s *openedSite) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// siteMember is somebody with what they hold.
type siteMember struct {
	people.Person
	key   *softkey.Authenticator
	totp  string // base32
	creds map[method.Kind]string
}

// member seeds an active account.
func (s *openedSite) member(name string, kinds ...method.Kind) *siteMember {
	s.t.Helper()
	ctx, now := context.Background(), s.clock.now()
	m := &siteMember{creds: map[method.Kind]string{}, Person: people.Person{ID: people.ID(secret.NewID(now)), Username: name,
		Email: name + "@example.ac.uk", DisplayName: name + " Sample", State: people.Active, Created: now, Updated: now, Version: 1}}
	var owned []method.Credential
	for _, k := range kinds {
		c := s.enrolled(m, k)
		m.creds[k] = c.ID
		owned = append(owned, c)
	}
	s.must(s.h.db.InTx(ctx, func(tx *store.Tx) error {
		if err := tx.AddPerson(ctx, m.Person); err != nil {
			return err
		}
		for _, c := range owned {
			if err := tx.AddCredential(ctx, c); err != nil {
				return err
			}
		}
		return nil
	}))
	return m
}

func (s *openedSite) enrolled(m *siteMember, kind method.Kind) method.Credential {
	s.t.Helper()
	if kind != method.Passkey {
		var known demo.Person
		c, err := enrolDemo(s.h, m.Person, kind, sitePassword, &known)
		s.must(err)
		if kind == method.TOTP {
			m.totp = known.TOTPSecret
		}
		return c
	}
	way, now := s.h.methods[kind], s.clock.now()
	who := method.Subject{ID: string(m.ID), Username: m.Username, DisplayName: m.DisplayName, Email: m.Email}
	offer, err := way.Offer(method.OfferInput{Subject: who, Now: now})
	s.must(err)
	m.key = softkey.New(siteOrigin)
	answer, err := m.key.Create(offer.Public)
	s.must(err)
	c, err := way.Enrol(method.EnrolInput{Subject: who, State: offer.State, Answer: method.Answer{JSON: answer}, Name: "Key of " + m.Username, Now: now})
	s.must(err)
	c.ID, c.Person, c.Kind, c.Created, c.Version = secret.NewID(now), string(m.ID), kind, now, 1
	return c
}

// application registers one and gives its client secret.
func (s *openedSite) application(name string) (apps.Application, string) {
	s.t.Helper()
	a, shown, err := s.h.manage.AddApplication(context.Background(), demoBy, apps.Application{Name: name, URL: "https://library.example.ac.uk/",
		OIDC: apps.OIDC{RedirectURIs: []string{siteCallback}, PostLogoutRedirectURIs: []string{"https://library.example.ac.uk/bye"},
			GrantTypes: []string{"authorization_code", "refresh_token", "client_credentials"}, Scopes: []string{"openid", "profile", "email", "offline_access"}, WithoutPKCE: true}}, true)
	s.must(err)
	return a, shown.Reveal()
}

// token makes an administration token.
func (s *openedSite) token(name string, scopes ...manage.Scope) string {
	s.t.Helper()
	_, shown, err := s.h.manage.AddToken(context.Background(), demoBy, name, scopes, 30*24*time.Hour)
	s.must(err)
	return shown.Reveal()
}

// siteBrowser is a browser without scripts, in this process.
type siteBrowser struct {
	s       *openedSite
	cookies map[string]string
	headers map[string]string // sent with every request
}

func (s *openedSite) browser() *siteBrowser {
	return &siteBrowser{s: s, cookies: map[string]string{}, headers: map[string]string{"User-Agent": "Test/1.0", "Accept": "text/html"}}
}

// send makes one request; form is nil for none. Headers come in pairs and win.
func (b *siteBrowser) send(verb, path string, form url.Values, headers ...string) *httptest.ResponseRecorder {
	var r *http.Request
	if form != nil {
		r = httptest.NewRequest(verb, "/", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", siteOrigin)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	} else {
		r = httptest.NewRequest(verb, "/", nil)
	}
	u, err := url.ParseRequestURI(path)
	if err != nil {
		b.s.t.Fatalf("%q: %v", path, err)
	}
	r.URL, r.RequestURI, r.Host, r.RemoteAddr = u, path, "localhost:8080", "192.0.2.7:4711"
	for k, v := range b.headers {
		r.Header.Set(k, v)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	b.s.handler.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	return w
}

func (b *siteBrowser) get(path string) *httptest.ResponseRecorder { return b.send("GET", path, nil) }

func (b *siteBrowser) post(path string, fields ...string) *httptest.ResponseRecorder {
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return b.send("POST", path, form)
}

// follow goes where redirects on this house lead.
func (b *siteBrowser) follow(w *httptest.ResponseRecorder) *httptest.ResponseRecorder {
	for range 10 {
		to := w.Header().Get("Location")
		if w.Code != http.StatusSeeOther || !strings.HasPrefix(to, "/") {
			return w
		}
		w = b.get(to)
	}
	b.s.t.Fatal("it redirects for ever")
	return nil
}

func (b *siteBrowser) signedIn() bool { return b.cookies["__Host-gatehouse"] != "" }

var (
	hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)
	optionsOf   = regexp.MustCompile(`data-options="([^"]*)"`)
)

// hidden gives the hidden fields of a page; options are what the page gives to navigator.credentials.
func hidden(w *httptest.ResponseRecorder) map[string]string {
	out := map[string]string{}
	for _, m := range hiddenField.FindAllStringSubmatch(w.Body.String(), -1) {
		out[m[1]] = html.UnescapeString(m[2])
	}
	return out
}

func options(w *httptest.ResponseRecorder) json.RawMessage {
	m := optionsOf.FindStringSubmatch(w.Body.String())
	if m == nil {
		return nil
	}
	return json.RawMessage(html.UnescapeString(m[1]))
}

// prove answers the sign-in pages with what m holds until they lead elsewhere, and gives where that is.
func (b *siteBrowser) prove(w *httptest.ResponseRecorder, m *siteMember) *httptest.ResponseRecorder {
	b.s.t.Helper()
	for range 8 {
		w = b.follow(w)
		page, body := hidden(w), w.Body.String()
		switch {
		case m.key != nil && options(w) != nil && strings.Contains(body, `action="/signin/passkey"`):
			answer, err := m.key.Get(options(w))
			b.s.must(err)
			w = b.post("/signin/passkey", "attempt", page["attempt"], "answer", string(answer))
		case strings.Contains(body, `action="/signin/totp"`):
			b.s.clock.add(time.Minute)
			code, _ := demo.Passcode(m.totp, b.s.clock.now())
			w = b.post("/signin/totp", "attempt", page["attempt"], "answer", code)
		case strings.Contains(body, `action="/signin/password"`):
			w = b.post("/signin/password", "attempt", page["attempt"], "answer", sitePassword)
		case strings.Contains(body, `action="/signin"`):
			w = b.post("/signin", "attempt", page["attempt"], "name", m.Username)
		default:
			return w
		}
	}
	b.s.t.Fatalf("the sign-in pages do not end: %d %s", w.Code, w.Body)
	return nil
}

// signIn signs m in and fails where that does not end in a session.
func (b *siteBrowser) signIn(m *siteMember) {
	b.s.t.Helper()
	w := b.prove(b.get("/apps"), m)
	if !b.signedIn() || w.Code != http.StatusOK {
		b.s.t.Fatalf("%s was not signed in: %d %s", m.Username, w.Code, w.Body)
	}
}

// api asks the administration API.
func (s *openedSite) api(verb, path, token, body string, headers ...string) *httptest.ResponseRecorder {
	b := &siteBrowser{s: s, cookies: map[string]string{}, headers: map[string]string{"Accept": "application/json"}}
	if token != "" {
		b.headers["Authorization"] = "Bearer " + token
	}
	u, err := url.ParseRequestURI(path)
	if err != nil {
		s.t.Fatalf("%q: %v", path, err)
	}
	r := httptest.NewRequest(verb, "/", strings.NewReader(body))
	r.URL, r.RequestURI, r.Host, r.RemoteAddr = u, path, "localhost:8080", "192.0.2.8:4711"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for k, v := range b.headers {
		r.Header.Set(k, v)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}
