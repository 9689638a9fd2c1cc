package httpdoor

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
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
func TestG91_HostPoisoning(t *testing.T) {
	hs := build(t, nil)
	for _, host := range []string{"evil.example", "signin.example.ac.uk.evil.example", "signin.example.ac.uk:8443", "", "signin.example.ac.uk@evil.example"} {
		if w := hs.do("GET", "/page", "", "Host", host); w.Code != http.StatusMisdirectedRequest {
			t.Errorf("Host %q: %d", host, w.Code)
		}
	}
	if hs.ran != 0 {
		t.Fatal("a handler ran for a foreign Host")
	}
	for _, host := range []string{"signin.example.ac.uk", "SIGNIN.example.ac.uk", "signin.example.ac.uk:443"} {
		w := hs.do("GET", "/page", "", "Host", host, "X-Forwarded-Host", "evil.example", "Forwarded", "host=evil.example;proto=http",
			"X-Forwarded-Proto", "http", "X-Original-Host", "evil.example", "X-Forwarded-Port", "1", "X-Host", "evil.example")
		if w.Code != 200 || strings.Contains(w.Body.String(), "evil") || !strings.HasSuffix(w.Body.String(), base+"/x") {
			t.Errorf("Host %q: %d %s", host, w.Code, w.Body)
		}
	}
	if w := hs.do("GET", "/healthz", "", "Host", "10.0.0.3:8080"); w.Code != 200 {
		t.Errorf("health by address: %d", w.Code)
	}
}

// TestG91_OnTheWire sends what httptest cannot: two Host headers and absolute-form request lines.
func TestG91_OnTheWire(t *testing.T) {
	hs := build(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := hs.door.Server(hs.h)
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	send := func(request string) int {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, request)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode
	}
	for name, request := range map[string]string{
		"two hosts":            "GET /page HTTP/1.1\r\nHost: signin.example.ac.uk\r\nHost: evil.example\r\n\r\n",
		"absolute form":        "GET https://evil.example/page HTTP/1.1\r\nHost: signin.example.ac.uk\r\n\r\n",
		"absolute form scheme": "GET http://signin.example.ac.uk/page HTTP/1.1\r\nHost: signin.example.ac.uk\r\n\r\n",
		"no host":              "GET /page HTTP/1.1\r\n\r\n",
	} {
		if code := send(request); code != 421 && code != 400 {
			t.Errorf("%s: %d", name, code)
		}
	}
	if hs.ran != 0 {
		t.Fatal("a handler ran")
	}
	if code := send("GET /page HTTP/1.1\r\nHost: signin.example.ac.uk\r\n\r\n"); code != 200 {
		t.Errorf("the right one: %d", code)
	}
	if code := send("GET /page HTTP/1.1\r\nHost: signin.example.ac.uk\r\nX-Big: " + strings.Repeat("a", MaxHeaderBytes+1) + "\r\n\r\n"); code != 431 {
		t.Errorf("headers beyond the limit: %d", code)
	}
}

// TestG73_CrossSitePosts: a POST that is not from our own page, or does not say so, changes nothing.
func TestG73_CrossSitePosts(t *testing.T) {
	hs := build(t, nil)
	cookie := []string{"Cookie", SessionCookie + "=" + secret.Token(32).Reveal()}
	refused := map[string][]string{
		"cross-site":             {"Content-Type", formType, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
		"same-site sibling":      {"Content-Type", formType, "Sec-Fetch-Site", "same-site", "Origin", "https://www.example.ac.uk"},
		"claims same-origin":     {"Content-Type", formType, "Sec-Fetch-Site", "same-origin", "Origin", "https://evil.example"},
		"none":                   {"Content-Type", formType, "Sec-Fetch-Site", "none"},
		"foreign origin":         {"Content-Type", formType, "Origin", "https://evil.example"},
		"null origin":            {"Content-Type", formType, "Origin", "null"},
		"http origin":            {"Content-Type", formType, "Origin", "http://signin.example.ac.uk"},
		"no origin, no metadata": {"Content-Type", formType},
		"text/plain":             {"Content-Type", "text/plain", "Sec-Fetch-Site", "same-origin"},
		"json":                   {"Content-Type", "application/json", "Sec-Fetch-Site", "same-origin"},
		"multipart":              {"Content-Type", "multipart/form-data; boundary=x", "Sec-Fetch-Site", "same-origin"},
		"no type":                {"Sec-Fetch-Site", "same-origin"},
	}
	for name, headers := range refused {
		w := hs.do("POST", "/page", "a=b", append(headers, cookie...)...)
		if w.Code != http.StatusForbidden && w.Code != http.StatusUnsupportedMediaType {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	if hs.ran != 0 {
		t.Fatal("a handler ran")
	}
	for name, headers := range map[string][]string{
		"metadata":        {"Content-Type", formType, "Sec-Fetch-Site", "same-origin", "Origin", base},
		"metadata, null":  {"Content-Type", formType, "Sec-Fetch-Site", "same-origin", "Origin", "null"},
		"an old browser":  {"Content-Type", formType + "; charset=UTF-8", "Origin", base},
		"without cookies": {"Content-Type", formType, "Sec-Fetch-Site", "same-origin"},
	} {
		if w := hs.do("POST", "/page", "a=b", headers...); w.Code != 200 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := hs.do("POST", "/entry", "a=b", "Content-Type", formType, "Sec-Fetch-Site", "cross-site", "Origin", "https://app.example"); w.Code != 200 {
		t.Errorf("an application's POST to an entry: %d", w.Code)
	}
}

// TestG21_Framing: pages say that nobody may frame them, and refuse where the browser says it does.
func TestG21_Framing(t *testing.T) {
	hs := build(t, nil)
	w := hs.do("GET", "/page", "")
	csp := w.Header().Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "script-src 'self';", "style-src 'self';", "form-action 'self'"} {
		if !strings.Contains(csp, part) {
			t.Errorf("policy lacks %s: %s", part, csp)
		}
	}
	if strings.Contains(csp, "unsafe") {
		t.Error(csp)
	}
	for name, want := range map[string]string{"Cross-Origin-Opener-Policy": "same-origin", "X-Content-Type-Options": "nosniff",
		"Cache-Control": "no-store", "X-Frame-Options": "DENY", "Strict-Transport-Security": "max-age=63072000"} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	for _, dest := range []string{"iframe", "frame", "embed", "object"} {
		if w := hs.do("GET", "/page", "", "Sec-Fetch-Dest", dest); w.Code != http.StatusForbidden {
			t.Errorf("%s: %d", dest, w.Code)
		}
	}
	if w := hs.do("GET", "/page", "", "Sec-Fetch-Dest", "document"); w.Code != 200 {
		t.Errorf("document: %d", w.Code)
	}
}

// TestG129_ForgedAddress: forwarding headers count from listed proxies alone, and the right-most untrusted hop wins.
func TestG129_ForgedAddress(t *testing.T) {
	plain := build(t, nil)
	proxied := build(t, func(c *Config) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("10.0.0.0/8")}
	})
	cases := []struct {
		hs      *house
		headers []string
		want    string
	}{
		{plain, []string{"X-Forwarded-For", "192.0.2.1", "Forwarded", "for=192.0.2.1", "X-Real-IP", "192.0.2.1", "CF-Connecting-IP", "192.0.2.1"}, "198.51.100.7"},
		{proxied, nil, "198.51.100.7"},
		{proxied, []string{"X-Forwarded-For", "192.0.2.1"}, "192.0.2.1"},
		{proxied, []string{"X-Forwarded-For", "203.0.113.9, 192.0.2.1"}, "192.0.2.1"},
		{proxied, []string{"X-Forwarded-For", "192.0.2.1, 10.1.2.3"}, "192.0.2.1"},
		{proxied, []string{"X-Forwarded-For", "203.0.113.9", "X-Forwarded-For", "192.0.2.1, 10.1.2.3"}, "192.0.2.1"},
		{proxied, []string{"X-Forwarded-For", "203.0.113.9, junk, 10.1.2.3"}, "10.1.2.3"},
		{proxied, []string{"X-Forwarded-For", "[2001:db8::1]:443"}, "2001:db8::1"},
		{proxied, []string{"X-Forwarded-For", "::ffff:192.0.2.1"}, "192.0.2.1"},
		{proxied, []string{"X-Real-IP", "192.0.2.1", "Forwarded", "for=192.0.2.1"}, "198.51.100.7"},
	}
	for _, c := range cases {
		got, _, _ := strings.Cut(c.hs.do("GET", "/page", "", c.headers...).Body.String(), "|")
		if got != c.want {
			t.Errorf("%v: %s, want %s", c.headers, got, c.want)
		}
	}
}

// TestG134_LogInjection: one request is one record, and a User-Agent is printable text of bounded length.
func TestG134_LogInjection(t *testing.T) {
	hs := build(t, nil)
	agent := "Mozilla\r\nfake=line\x1b[31m=cmd|\x00" + strings.Repeat("A", 1<<20)
	w := hs.do("GET", "/page?secret=canary-value", "", "User-Agent", agent)
	parts := strings.Split(w.Body.String(), "|")
	if strings.ContainsAny(w.Body.String(), "\r\n\x1b\x00") || len(parts[1]) > maxAgent {
		t.Errorf("agent reached the flow as %q", parts[1])
	}
	hs.do("INVENTED", "/api/canary-value", "")
	if lines := strings.Count(hs.log.String(), "\n"); lines != 2 {
		t.Errorf("%d log lines for 2 requests", lines)
	}
	if strings.Contains(hs.log.String(), "canary-value") || strings.Contains(hs.log.String(), "Mozilla") {
		t.Errorf("the log knows too much: %s", hs.log)
	}
	if !strings.Contains(hs.log.String(), `route="GET /page"`) {
		t.Errorf("no route: %s", hs.log)
	}
}

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
	for i := range 7 {
		many = append(many, secret.NewString(fmt.Sprintf("family%d.%s", i, secret.Token(32).Reveal())))
	}
	SetRemembered(rec, many)
	value := rec.Result().Cookies()[0].Value
	back := splitRemembered(value)
	if len(back) != maxRemembered || !back[0].Equal(many[2]) || !back[4].Equal(many[6]) {
		t.Errorf("%d came back", len(back))
	}
	if got := splitRemembered("noseparator~.~a." + strings.Repeat("x", 300)); len(got) != 0 {
		t.Errorf("junk was taken: %d", len(got))
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
func TestG21_WhatTheMultiplexerAnswers(t *testing.T) {
	hs := build(t, nil)
	w := hs.do("GET", "//page", "")
	if w.Code < 300 || w.Code >= 400 || !strings.Contains(w.Header().Get("Content-Type"), "html") {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	for name, want := range map[string]string{"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
		"Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-store"} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestG133_WhatCannotBeReadIsRefusedAtTheEdge: no handler, and so no database, meets it.
func TestG133_WhatCannotBeReadIsRefusedAtTheEdge(t *testing.T) {
	hs := build(t, nil)
	for _, bad := range []string{"%00", "a%00b", "%ff", "%c3%28", "%ed%a0%80", "%1b%5b2J", "%7f"} {
		if w := hs.do("GET", "/page?q="+bad, ""); w.Code != 400 {
			t.Errorf("query %s: %d", bad, w.Code)
		}
		if w := hs.do("GET", "/page?"+bad+"=1", ""); w.Code != 400 {
			t.Errorf("name in the query %s: %d", bad, w.Code)
		}
		if w := hs.do("GET", "/api/"+bad, ""); w.Code != 404 {
			t.Errorf("path %s: %d", bad, w.Code)
		}
		if w := hs.do("POST", "/page", "x="+bad, "Content-Type", formType, "Origin", base); w.Code != 400 {
			t.Errorf("form %s: %d", bad, w.Code)
		}
	}
	if w := hs.do("GET", "/page?q=%zz", ""); w.Code != 400 {
		t.Errorf("a query that cannot be decoded: %d", w.Code)
	}
	if w := hs.do("GET", "/api/"+strings.Repeat("a", maxPath), ""); w.Code != 404 {
		t.Errorf("a path that names nothing: %d", w.Code)
	}
	ran := hs.ran
	if w := hs.do("GET", "/page?q=%C3%A9t%C3%A9+%F0%9F%94%91", ""); w.Code != 200 || hs.ran != ran+1 {
		t.Errorf("honest letters: %d", w.Code)
	}
}
