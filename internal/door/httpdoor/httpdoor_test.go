package httpdoor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
)

const base = "https://signin.example.ac.uk"

type house struct {
	door *Door
	h    http.Handler
	log  *bytes.Buffer
	ran  int // handlers that ran
}

func build(t *testing.T, change func(*Config)) *house {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	hs := &house{log: new(bytes.Buffer)}
	c := Config{Base: u, Log: slog.New(slog.NewTextHandler(hs.log, nil))}
	if change != nil {
		change(&c)
	}
	if hs.door, err = New(c); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	ok := func(w http.ResponseWriter, r *http.Request) error {
		hs.ran++
		if r.Method == http.MethodPost {
			if _, err := Form(r); err != nil {
				return err
			}
		}
		c := hs.door.Caller(w, r, "web")
		fmt.Fprintf(w, "%s|%s|%s", c.Address, c.Agent, hs.door.URL("/x"))
		return nil
	}
	hs.door.Handle(mux, Page, "GET /page", ok)
	hs.door.Handle(mux, Page, "POST /page", ok)
	hs.door.Handle(mux, Entry, "POST /entry", ok)
	hs.door.Handle(mux, API, "GET /api/{id}", func(w http.ResponseWriter, r *http.Request) error {
		return fault.New(fault.Conflict, "test.conflict", "Taken.").After(1500 * time.Millisecond)
	})
	hs.door.Handle(mux, API, "POST /api/panic", func(http.ResponseWriter, *http.Request) error { panic("secret cause") })
	hs.door.Handle(mux, Page, "GET /broken", func(http.ResponseWriter, *http.Request) error { return errors.New("secret cause") })
	hs.door.Handle(mux, Probe, "GET /healthz", ok)
	hs.door.Fallback(mux)
	hs.h = hs.door.Wrap(mux)
	return hs
}

func (hs *house) do(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "signin.example.ac.uk"
	r.RemoteAddr = "198.51.100.7:4711"
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	hs.h.ServeHTTP(w, r)
	return w
}

const formType = "application/x-www-form-urlencoded"

// TestG91_HostPoisoning: only the configured base is ever answered for or written.
// TestG91_OnTheWire sends what httptest cannot: two Host headers and absolute-form request lines.
// TestG73_CrossSitePosts: a POST that is not from our own page, or does not say so, changes nothing.
// TestG21_Framing: pages say that nobody may frame them, and refuse where the browser says it does.
// TestG129_ForgedAddress: forwarding headers count from listed proxies alone, and the right-most untrusted hop wins.
// TestG134_LogInjection: one request is one record, and a User-Agent is printable text of bounded length.
func TestErrorsAreAnsweredInOnePlace(t *testing.T) {
	hs := build(t, nil)
	w := hs.do("GET", "/api/1", "")
	if w.Code != 409 || w.Header().Get("Retry-After") != "2" || !strings.Contains(w.Body.String(), `"error":"test.conflict"`) {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	for _, path := range []string{"/broken", "/api/panic"} {
		method := "GET"
		if path == "/api/panic" {
			method = "POST"
		}
		w := hs.do(method, path, "")
		if w.Code != 500 || strings.Contains(w.Body.String(), "secret cause") || w.Header().Get("X-Request-Id") == "" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if !strings.Contains(hs.log.String(), "secret cause") {
		t.Error("the cause is not in the log")
	}
	if w := hs.do("GET", "/nowhere", ""); w.Code != 404 {
		t.Errorf("404: %d", w.Code)
	}
	if w := hs.do("PUT", "/page", "", "Sec-Fetch-Site", "same-origin"); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("405: %d %q", w.Code, w.Header().Get("Allow"))
	}
	big := strings.Repeat("a", MaxBodyBytes+1)
	if w := hs.do("POST", "/page", big, "Content-Type", formType, "Origin", base); w.Code != 413 {
		t.Errorf("413: %d", w.Code)
	}
	for _, body := range []string{"a=%00", "a=%ff", "%zz=1", "a=%ZZ"} {
		if w := hs.do("POST", "/page", body, "Content-Type", formType, "Origin", base); w.Code != 400 {
			t.Errorf("%q: %d", body, w.Code)
		}
	}
}

func TestChunkedBodyIsBoundedToo(t *testing.T) {
	hs := build(t, nil)
	r := httptest.NewRequest("POST", "/page", io.LimitReader(zeros{}, MaxBodyBytes+10))
	r.Host, r.ContentLength = "signin.example.ac.uk", -1
	r.Header.Set("Content-Type", formType)
	r.Header.Set("Origin", base)
	w := httptest.NewRecorder()
	hs.h.ServeHTTP(w, r)
	if w.Code != 413 {
		t.Fatal(w.Code)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

func TestCookies(t *testing.T) {
	hs := build(t, nil)
	w := hs.do("GET", "/page", "")
	set := w.Result().Cookies()
	if len(set) != 1 || set[0].Name != BrowserCookie || !set[0].Secure || !set[0].HttpOnly || set[0].Path != "/" || set[0].Domain != "" ||
		set[0].SameSite != http.SameSiteLaxMode || set[0].MaxAge != 400*24*3600 {
		t.Fatalf("%+v", set)
	}
	if again := hs.do("GET", "/page", "", "Cookie", BrowserCookie+"="+set[0].Value); len(again.Result().Cookies()) != 0 {
		t.Error("a browser with its cookie was given another")
	}
	if forged := hs.do("GET", "/page", "", "Cookie", BrowserCookie+"=short"); len(forged.Result().Cookies()) != 1 {
		t.Error("a cookie that is none of ours was taken")
	}
	rec := httptest.NewRecorder()
	var many []secret.String
	for range session.MaxRemembered + 2 {
		many = append(many, session.FormatToken(secret.NewID(time.Now()), secret.Token(32)))
	}
	SetRemembered(rec, many)
	r := httptest.NewRequest("GET", "/page", nil)
	r.AddCookie(rec.Result().Cookies()[0])
	back := hs.door.Caller(httptest.NewRecorder(), r, "web").Remembered
	if len(back) != session.MaxRemembered || !back[0].Equal(many[2]) || !back[4].Equal(many[6]) {
		t.Errorf("%d came back", len(back))
	}
}

func TestFlood(t *testing.T) {
	hs := build(t, func(c *Config) { c.FloodRate, c.FloodBurst = 10, 20 })
	refused := 0
	for range 40 {
		if w := hs.do("GET", "/page", ""); w.Code == 429 {
			refused++
			if w.Header().Get("Retry-After") == "" {
				t.Fatal("no Retry-After")
			}
		}
	}
	if refused == 0 || hs.ran < 20 {
		t.Errorf("refused %d, ran %d", refused, hs.ran)
	}
	f := newFlood(10, 5)
	now := time.Unix(1, 0)
	for i := range 100_000 { // strangers' addresses do not grow the table without end
		f.take(netip.AddrFrom4([4]byte{byte(i >> 16), byte(i >> 8), byte(i), 1}), now)
	}
	total := 0
	for i := range f.shards {
		total += len(f.shards[i].tat)
	}
	if total > floodShards*floodPerShard {
		t.Errorf("%d addresses kept", total)
	}
	a, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	f = newFlood(1, 1)
	if f.take(a, now) != 0 || f.take(b, now) == 0 {
		t.Error("an IPv6 caller is its /64")
	}
}

func TestFormOriginsAndLocalPaths(t *testing.T) {
	for origin, want := range map[string]bool{"https://app.example": true, "http://127.0.0.1:9001": true, "org.example.app:": true,
		"": false, "https://a b": false, "https://a;script-src *": false, "https://a'": false, "*": false, "app.example": false} {
		if plainOrigin(origin) != want {
			t.Errorf("origin %q", origin)
		}
	}
	for path, want := range map[string]bool{"/apps": true, "/a?b=c#d": true, "": false, "//evil.example": false, "/\\evil.example": false,
		"https://evil.example": false, "/a\r\nb": false, "apps": false, "/ä": false} {
		if LocalPath(path) != want {
			t.Errorf("path %q", path)
		}
	}
	w := httptest.NewRecorder()
	if SeeOther(w, "//evil.example") == nil {
		t.Error("redirected away")
	}
}

func TestStatic(t *testing.T) {
	body := strings.Repeat("a{color:red}", 100)
	s, err := NewStatic(fstest.MapFS{"x.css": {Data: []byte(body)}, "y.js": {Data: []byte("1")}})
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		if err := s.Serve(w, r); err != nil {
			w.Code = Status(fault.Of(err))
		}
		return w
	}
	at := s.URL("x.css")
	w := get(at)
	if w.Body.String() != body || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Header().Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("%v", w.Header())
	}
	if z := get(at, "Accept-Encoding", "br, gzip"); z.Header().Get("Content-Encoding") != "gzip" || z.Body.Len() >= len(body) {
		t.Error("not compressed")
	}
	if z := get(at, "Accept-Encoding", "gzip;q=0"); z.Header().Get("Content-Encoding") != "" {
		t.Error("compressed for a client that refuses it")
	}
	if z := get(at, "If-None-Match", w.Header().Get("Etag")); z.Code != 304 || z.Body.Len() != 0 {
		t.Error("not 304")
	}
	if z := get("/static/../x.css"); z.Code != 404 {
		t.Error(z.Code)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	for _, raw := range []string{"", "ftp://a", "https://a/path", "https://u@a", "https://a?x=1", "signin.example"} {
		u, _ := url.Parse(raw)
		if _, err := New(Config{Base: u}); err == nil {
			t.Errorf("%q was taken", raw)
		}
	}
}

func BenchmarkPage(b *testing.B) {
	u, _ := url.Parse(base)
	d, err := New(Config{Base: u})
	if err != nil {
		b.Fatal(err)
	}
	mux := http.NewServeMux()
	d.Handle(mux, Page, "GET /page", func(w http.ResponseWriter, r *http.Request) error { return nil })
	h := d.Wrap(mux)
	r := httptest.NewRequest("GET", "/page", nil)
	r.Host, r.RemoteAddr = "signin.example.ac.uk", "198.51.100.7:4711"
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}

// TestG21_WhatTheMultiplexerAnswers: its own redirects are pages too, and closed like all others.
// TestG133_WhatCannotBeReadIsRefusedAtTheEdge: no handler, and so no database, meets it.
