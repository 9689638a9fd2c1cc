package httpdoor

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/secret"
)

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
