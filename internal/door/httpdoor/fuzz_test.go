package httpdoor

import (
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
)

// FuzzForwardedFor: whatever an unlisted peer writes, the address is the peer's; through a listed proxy it is never the
// proxy's neighbour's invention beyond the right-most unlisted hop.
func FuzzForwardedFor(f *testing.F) {
	for _, seed := range []string{"", "203.0.113.9", "203.0.113.9, 10.0.0.2", "203.0.113.9:80", "[2001:db8::1]:80", "::ffff:203.0.113.9", "fe80::1%eth0", "unknown", ",,,", "10.0.0.2,10.0.0.2", " \t,x", "1.2.3.4,\x00", "0x7f.1"} {
		f.Add(seed, seed)
	}
	base, err := url.Parse(base)
	if err != nil {
		f.Fatal(err)
	}
	d, err := New(Config{Base: base, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["X-Forwarded-For"] = []string{one, two}
		r.RemoteAddr = "198.51.100.7:4711"
		if got := d.address(r); got.String() != "198.51.100.7" {
			t.Fatalf("an unlisted peer names itself %s", got)
		}
		r.RemoteAddr = "10.0.0.9:4711"
		got := d.address(r)
		if !got.IsValid() || got.Is4In6() || got.Zone() != "" {
			t.Fatalf("%q %q: %v", one, two, got)
		}
		r.Header["X-Forwarded-For"] = []string{one, two, "192.0.2.1"}
		if got := d.address(r); got.String() != "192.0.2.1" {
			t.Fatalf("what stands left of the caller's hop counted: %s", got)
		}
	})
}

// FuzzCookies: whatever the Cookie header says, the caller holds tokens of our shape or none, and five at most.
func FuzzCookies(f *testing.F) {
	token := secret.Token(32).Reveal()
	for _, seed := range []string{"", SessionCookie + "=" + token, SessionCookie + "=" + token + "; " + SessionCookie + "=x", RememberedCookie + "=f." + token + "~g." + token, RememberedCookie + "=" + strings.Repeat("f."+token+"~", 9),
		RememberedCookie + "=~~~.~.", BrowserCookie + "=\"" + token + "\"", "=", ";;;", SessionCookie, SessionCookie + "=\x00", RememberedCookie + "=f." + token + "; " + RememberedCookie + "=g." + token} {
		f.Add(seed, "Mozilla/5.0", "en")
	}
	base, err := url.Parse(base)
	if err != nil {
		f.Fatal(err)
	}
	d, err := New(Config{Base: base})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, header, agent, language string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Cookie"], r.Header["User-Agent"], r.Header["Accept-Language"] = []string{header}, []string{agent}, []string{language}
		w := httptest.NewRecorder()
		c := d.Caller(w, r, "web")
		if !tokenLike(c.Browser.Reveal()) || !c.Session.Empty() && !tokenLike(c.Session.Reveal()) || len(c.Remembered) > session.MaxRemembered {
			t.Fatalf("%q: %d remembered", header, len(c.Remembered))
		}
		for _, token := range c.Remembered {
			family, key, ok := strings.Cut(token.Reveal(), ".")
			if !ok || family == "" || key == "" || strings.ContainsAny(token.Reveal(), "~ ;,\r\n") {
				t.Fatalf("%q: a remembered token of no shape", header)
			}
		}
		if len(c.Agent) > maxAgent || strings.ContainsFunc(c.Agent, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("agent %q", c.Agent)
		}
		SetRemembered(w, c.Remembered)
	})
}

// FuzzRequestLine: what passes the edge is text, and a path that we redirect to stays here.
func FuzzRequestLine(f *testing.F) {
	for _, seed := range []string{"/signin?attempt=x", "/", "//evil", `/\evil`, "/%2f%2fevil", "/a%00", "/?q=%ff", "/?a=1;b=2", "/?%zz", "/..//evil", "/a\tb", "/é", "/?q=%C3%A9", "https://evil/", "*", "/\u2028"} {
		f.Add(seed)
	}
	home, err := url.Parse(base + "/")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if LocalPath(line) {
			to, err := home.Parse(line)
			if err == nil && (to.Host != home.Host || to.Scheme != home.Scheme || to.User != nil) {
				t.Fatalf("%q leads to %s", line, to)
			}
			if strings.ContainsAny(line, "\r\n\t\\\x00") || strings.HasPrefix(line, "//") {
				t.Fatalf("%q counts as a path of ours", line)
			}
		}
		u, err := url.ParseRequestURI(line)
		if err != nil || !cleanQuery(u.RawQuery) {
			return
		}
		values, err := url.ParseQuery(u.RawQuery)
		if err != nil {
			return // a semicolon; handlers read no such parameter
		}
		for k, all := range values {
			for _, v := range append(all, k) {
				if !utf8.ValidString(v) || strings.ContainsAny(v, "\x00\x1b\x7f") {
					t.Fatalf("%q lets %q in", line, v)
				}
			}
		}
	})
}

// FuzzForm: what a handler reads of a body is text.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{"a=b", "a=%00", "a=%ff", "%00=1", "a", "=", "a=1&a=2", "a=%zz", "a;b", "a=%1b[2J", strings.Repeat("a=1&", 2000)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest("POST", "/page?q=address", strings.NewReader(body))
		r.Header.Set("Content-Type", formType)
		form, err := Form(r)
		if err != nil {
			return
		}
		for k, all := range form {
			for _, v := range append(all, k) {
				if !utf8.ValidString(v) || strings.ContainsAny(v, "\x00\x1b") {
					t.Fatalf("%q lets %q in", body, v)
				}
			}
		}
		if form.Get("q") == "address" && !strings.Contains(body, "address") {
			t.Fatal("the address counts as a form")
		}
	})
}

// FuzzFormOrigin: nothing that is written into the policy ends a directive.
func FuzzFormOrigin(f *testing.F) {
	for _, seed := range []string{"https://app.example.ac.uk", "https://[::1]:8080", "org.example.app:", "https://a; script-src *", "https://a 'unsafe-inline'", "https://a,b", "", "https://a\r\nX: y", "*:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, origin string) {
		w := httptest.NewRecorder()
		AllowFormTo(w, origin)
		policy := w.Header().Get("Content-Security-Policy")
		if policy != "" && policy != contentPolicy+"'self' "+origin || strings.Count(policy, ";") > strings.Count(contentPolicy, ";") || strings.ContainsAny(origin, " ;,'\"*\r\n") && policy != "" {
			t.Fatalf("%q: %q", origin, policy)
		}
	})
}
