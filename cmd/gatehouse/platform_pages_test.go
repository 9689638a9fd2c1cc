package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

var pathPart = regexp.MustCompile(`\{[^}]*\}`)

// each calls visit for every route with every verb, each wildcard filled with value.
func (s *openedSite) each(value string, visit func(kind, verb, path string)) {
	for _, route := range s.d.door.Routes() {
		kind, pattern, _ := strings.Cut(route, " ")
		if _, p, ok := strings.Cut(pattern, " "); ok {
			pattern = p
		}
		path := pathPart.ReplaceAllStringFunc(strings.TrimSuffix(pattern, "{$}"), func(string) string { return value })
		for _, verb := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} {
			visit(kind, verb, path)
		}
	}
}

// closed says what is wrong with the headers of an answer: whatever it is, no other page may frame, open or keep it.
func closed(w *httptest.ResponseRecorder) string {
	h := w.Header()
	policy := h.Get("Content-Security-Policy")
	isHTML := strings.Contains(h.Get("Content-Type"), "html")
	switch {
	case h.Get("X-Content-Type-Options") != "nosniff":
		return "nosniff is missing"
	case h.Get("Referrer-Policy") != "same-origin": // nothing to other sites
		return "the referrer is given away"
	case !strings.Contains(policy, "frame-ancestors 'none'"):
		return "frame-ancestors is missing"
	case strings.Contains(policy, "unsafe"):
		return "the policy is " + policy
	case h.Get("Cross-Origin-Opener-Policy") != "same-origin":
		return "COOP is missing"
	case isHTML && strings.Contains(w.Body.String(), "<script>") || isHTML && strings.Contains(w.Body.String(), "style="):
		return "a script or style stands in the page"
	case isHTML && h.Get("Cache-Control") != "no-store":
		return "a page may be kept"
	}
	return ""
}

func TestG21_NoAnswerCanBeFramed(t *testing.T) {
	s := openSite(t)
	m := s.member("ada", method.Passkey, method.Password, method.TOTP)
	app, _ := s.application("Library")
	known := s.browser()
	known.signIn(m)
	asks := "?response_type=code&scope=openid&client_id=" + app.OIDC.ClientID + "&redirect_uri=" + url.QueryEscape(siteCallback) + "&response_mode=form_post"
	visited, pages := 0, 0
	look := func(b *siteBrowser, verb, path string) {
		form := url.Values{}
		if verb == "GET" || verb == "HEAD" {
			form = nil
		}
		w := b.send(verb, path, form)
		visited++
		if strings.Contains(w.Header().Get("Content-Type"), "html") {
			pages++
		}
		if wrong := closed(w); wrong != "" {
			t.Errorf("%s %s (%d): %s", verb, path, w.Code, wrong)
		}
	}
	for _, b := range []*siteBrowser{s.browser(), known} {
		s.each("x", func(_, verb, path string) {
			if path != "/signout" || verb != "POST" {
				look(b, verb, path)
			}
		})
		for _, path := range []string{"//signin", "/./signin", "/a/../signin", "/static", "/admin/api/v1", "/signin/", "/%2e%2e/signin", "/oauth2/authorize" + asks,
			"/security/add/passkey", "/security/add/totp", "/security/password", "/security/methods/" + m.creds[method.TOTP] + "/remove", "/nowhere", "/signin?attempt=x"} {
			look(b, "GET", path)
		}
	}
	if visited < 1000 || pages < 100 {
		t.Errorf("only %d answers, %d of them pages", visited, pages)
	}
	s.each("x", func(kind, verb, path string) {
		if kind != "page" && kind != "entry" || verb != "GET" {
			return
		}
		for _, dest := range []string{"iframe", "frame", "embed", "object", "fencedframe"} {
			w := known.send("GET", path, nil, "Sec-Fetch-Dest", dest)
			if w.Code != http.StatusForbidden && w.Code != http.StatusNotFound && w.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s as %s: %d", path, dest, w.Code)
			}
		}
	})
}

func TestCookiesAreHostOnlyAndClosed(t *testing.T) {
	s := openSite(t)
	m := s.member("ada", method.Password, method.TOTP)
	b := s.browser()
	seen := map[string]bool{}
	check := func(w *httptest.ResponseRecorder) *httptest.ResponseRecorder {
		for _, c := range w.Result().Cookies() {
			seen[c.Name] = true
			if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode {
				t.Errorf("cookie %s", c.Raw)
			}
		}
		return w
	}
	w := check(b.get("/signin"))
	w = check(b.post("/signin", "attempt", hidden(w)["attempt"], "name", m.Username))
	w = b.follow(w)
	w = check(b.post("/signin/password", "attempt", hidden(w)["attempt"], "answer", sitePassword))
	w = b.follow(w)
	s.clock.add(time.Minute)
	check(b.prove(w, m))
	if !b.signedIn() || !seen["__Host-gatehouse-browser"] {
		t.Errorf("cookies seen: %v", seen)
	}
}

// wire sends raw bytes to a listener and gives the answer's status line, headers and body.
func wire(t *testing.T, address, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	out, _ := io.ReadAll(bufio.NewReader(c)) // a reset after the answer is no fault
	return string(out)
}

// listening serves a house as serve does.
func (s *openedSite) listening() string {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	server := s.d.door.Server(s.handler)
	go server.Serve(l)
	s.t.Cleanup(func() { server.Close() })
	return l.Addr().String()
}

func TestG91_TheBaseIsConfigurationOnTheWire(t *testing.T) {
	s := openSite(t)
	m := s.member("ada", method.Passkey)
	app, _ := s.application("Library")
	at := s.listening()
	poison := "X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: ftp\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /evil\r\nForwarded: host=evil.example;proto=ftp\r\n" +
		"X-Host: evil.example\r\nX-Original-Host: evil.example\r\nX-Original-URL: //evil.example/\r\nX-Rewrite-URL: //evil.example/\r\nX-HTTP-Host-Override: evil.example\r\n" +
		"X-Forwarded-Server: evil.example\r\nX-Real-IP: 203.0.113.66\r\nCF-Connecting-IP: 203.0.113.66\r\nX-Forwarded-For: 203.0.113.66\r\nOrigin: http://evil.example\r\nReferer: http://evil.example/\r\n"
	get := func(target, host, more string) string {
		return wire(t, at, "GET "+target+" HTTP/1.1\r\nHost: "+host+"\r\n"+more+"Connection: close\r\n\r\n")
	}
	ask := "/oauth2/authorize?response_type=code&scope=openid&client_id=" + app.OIDC.ClientID + "&redirect_uri="
	for _, path := range []string{"/", "/signin", "/apps", "/security", "/welcome", "/help", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server",
		ask + url.QueryEscape(siteCallback), ask + "x", "/oauth2/logout", "/oauth2/userinfo", "/nowhere", "/admin/api/v1/people", "/admin/api/v1/openapi.json", "//signin", "/static"} {
		plain, poisoned := get(path, "localhost:8080", ""), get(path, "localhost:8080", poison)
		if strings.Contains(poisoned, "evil") || strings.Contains(poisoned, "203.0.113") || strings.Contains(poisoned, "ftp:") {
			t.Errorf("%s repeats what a header says:\n%s", path, poisoned)
		}
		if plain[:13] != poisoned[:13] {
			t.Errorf("%s: %q without, %q with the headers", path, plain[:13], poisoned[:13])
		}
		if w := get(path, "evil.example", ""); !strings.HasPrefix(w, "HTTP/1.1 421 ") || strings.Contains(w, "evil") {
			t.Errorf("%s for an unknown Host: %.200s", path, w)
		}
	}
	for request, want := range map[string]string{
		"GET http://localhost:8080/signin HTTP/1.1\r\nHost: evil.example\r\n":    "200",
		"GET http://evil.example/signin HTTP/1.1\r\nHost: localhost:8080\r\n":    "421",
		"GET https://localhost:8080/signin HTTP/1.1\r\nHost: localhost:8080\r\n": "421",
		"GET /signin HTTP/1.1\r\nHost: localhost:8080\r\nHost: evil.example\r\n": "400",
		"GET /signin HTTP/1.1\r\n":                                        "400",
		"GET /signin HTTP/1.0\r\n":                                        "421",
		"GET /signin HTTP/1.1\r\nHost: localhost:8080@evil.example\r\n":   "400",
		"OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n":                    "421",
		"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n": "421",
	} {
		got := wire(t, at, request+"Connection: close\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 "+want) && !strings.HasPrefix(got, "HTTP/1.0 "+want) {
			t.Errorf("%q: %.60q, want %s", request, got, want)
		}
		if strings.Contains(got, "evil") {
			t.Errorf("%q is repeated: %s", request, got)
		}
	}
	s.mailNamesNoForeignHost(m)
}

// mailNamesNoForeignHost: what the outbox holds after acts under poisoned headers speaks of the configured base alone.
func (s *openedSite) mailNamesNoForeignHost(m *siteMember) {
	s.t.Helper()
	b := s.browser()
	for _, h := range []string{"X-Forwarded-Host", "X-Original-Host", "X-Host", "Forwarded"} {
		b.headers[h] = "evil.example"
	}
	b.signIn(m)
	b.prove(b.get("/security/add/totp"), m)
	w := b.prove(b.get("/security/methods/"+m.creds[method.Passkey]+"/rename"), m)
	b.post("/security/methods/"+m.creds[method.Passkey]+"/rename", "name", "Blue key")
	_ = w
	told := 0
	s.must(s.h.db.View(s.t.Context(), func(tx *store.Tx) error {
		all, err := tx.RecentMessages(s.t.Context(), 1000)
		for _, n := range all {
			told++
			subject, body, _ := letters{s.d.pages.Texts}.Notice(n.Kind, n.Locale, n.Params)
			if strings.Contains(subject+body+n.To+fmt.Sprint(n.Params), "evil") {
				s.t.Errorf("a letter of kind %s: %s %s", n.Kind, subject, body)
			}
		}
		return err
	}))
	if told == 0 {
		s.t.Error("nothing was sent, so nothing was looked at")
	}
}

// openRedirects are sixty ways to write another site.
func openRedirects() []string {
	out := []string{"//evil.example", "///evil.example", "////evil.example", `/\evil.example`, `\\evil.example`, `\/evil.example`, "https:evil.example",
		"https:/evil.example", "https:///evil.example", "https://evil.example", "HTTPS://EVIL.EXAMPLE", "http://evil.example", "//evil.example/%2f..", "/%2f/evil.example",
		"/%5cevil.example", "%2f%2fevil.example", "/%09/evil.example", "/\t/evil.example", "/\n/evil.example", "/\r\n/evil.example", "%0d%0aLocation:%20//evil.example",
		"/apps%0d%0aLocation: //evil.example", "/apps\r\nLocation: //evil.example", "/apps\r\nSet-Cookie: evil=1", "javascript:alert('evil')", "JaVaScRiPt:alert('evil')",
		"java\tscript:alert('evil')", " javascript:alert('evil')", "\x01javascript:alert('evil')", "data:text/html,<script>evil</script>", "vbscript:evil", "file:///evil",
		"blob:http://evil.example/x", "//evil.example@localhost:8080", "http://localhost:8080@evil.example", "http://localhost:8080.evil.example", "http://localhost:8080%40evil.example",
		"http://localhost:8080\\@evil.example", "http://localhost:8080/\\evil.example", "//localhost:8080.evil.example", "http://evil.example#http://localhost:8080",
		"http://evil.example?http://localhost:8080", "http://evil.example\\.localhost:8080", "//evil%E3%80%82example", "//evil\u3002example", "//\u2100vil.example/evil", "/\u2044/evil.example",
		"//[::1]@evil.example", "//evil.example:80", "//evil.example:@localhost", "/.evil.example", "/..//evil.example", "/./\\evil.example", ".evil.example", "@evil.example",
		":evil.example", "//%00evil.example", "/\x00/evil.example", "/apps?next=//evil.example", siteCallback + ".evil.example", siteCallback + "/../evil", "https://library.example.ac.uk@evil.example/callback"}
	return slices.Compact(out)
}

// foreign reports whether an answer leads a browser away from this house and the registered application.
func foreign(w *httptest.ResponseRecorder) bool {
	to := w.Header().Get("Location")
	if w.Header().Get("Refresh") != "" || w.Header().Get("Set-Cookie") == "evil=1" {
		return true
	}
	if to == "" {
		return false
	}
	base, _ := url.Parse(siteOrigin + "/")
	u, err := base.Parse(to)
	if err != nil || strings.ContainsAny(to, "\\\t\r\n\x00") || strings.HasPrefix(to, "//") {
		return true
	}
	registered := strings.HasPrefix(to, siteCallback+"?") || to == "https://library.example.ac.uk/bye"
	return u.Host != "localhost:8080" && !registered
}

func TestG103_NoOpenRedirect(t *testing.T) {
	s := openSite(t)
	m := s.member("ada", method.Passkey)
	app, _ := s.application("Library")
	payloads := openRedirects()
	if len(payloads) < 60 {
		t.Fatalf("only %d payloads", len(payloads))
	}
	params := []string{"attempt", "return", "return_to", "returnTo", "next", "ref", "redirect", "redirect_uri", "post_logout_redirect_uri", "target_link_uri", "continue",
		"url", "goto", "service", "RelayState", "iss", "login_hint", "state", "kind", "done", "q", "confirm", "id_token_hint", "client_id", "way_out", "action"}
	known := s.browser()
	known.signIn(m)
	for _, b := range []*siteBrowser{s.browser(), known} {
		for _, payload := range payloads {
			all := url.Values{}
			for _, p := range params {
				all.Set(p, payload)
			}
			for _, path := range []string{"/", "/signin", "/signin/name", "/signout", "/signed-out", "/welcome", "/apps", "/security", "/security/lead", "/security/add", "/security/password",
				"/help", "/oauth2/authorize", "/oauth2/authorize/continue", "/oauth2/logout"} {
				if w := b.send("GET", path+"?"+all.Encode(), nil); foreign(w) || w.Code >= 500 {
					t.Fatalf("GET %s with %q: %d to %s", path, payload, w.Code, w.Header().Get("Location"))
				}
			}
			for _, path := range []string{"/signin", "/signin/choose", "/signin/password", "/signin/passkey", "/welcome", "/welcome/offer", "/welcome/finish", "/security/lead",
				"/oauth2/authorize", "/oauth2/logout", "/oauth2/logout/confirm"} {
				if w := b.send("POST", path, all); foreign(w) || w.Code >= 500 {
					t.Fatalf("POST %s with %q: %d to %s", path, payload, w.Code, w.Header().Get("Location"))
				}
			}
			q := url.Values{"response_type": {"code"}, "scope": {"openid"}, "client_id": {app.OIDC.ClientID}, "redirect_uri": {payload}}
			if w := b.send("GET", "/oauth2/authorize?"+q.Encode(), nil); w.Header().Get("Location") != "" {
				t.Errorf("authorize answers at %q: %s", payload, w.Header().Get("Location"))
			}
			q = url.Values{"client_id": {app.OIDC.ClientID}, "post_logout_redirect_uri": {payload}}
			if w := b.send("GET", "/oauth2/logout?"+q.Encode(), nil); w.Header().Get("Location") != "" {
				t.Errorf("logout leads to %q: %s", payload, w.Header().Get("Location"))
			}
			if u, err := url.ParseRequestURI("/" + strings.NewReplacer("\r", "%0d", "\n", "%0a", "\t", "%09", "\x00", "%00", "\x01", "%01", " ", "%20").Replace(payload)); err == nil {
				if w := b.send("GET", u.RequestURI(), nil); foreign(w) || w.Code >= 500 {
					t.Errorf("GET %q: %d to %q", u.RequestURI(), w.Code, w.Header().Get("Location"))
				}
			}
		}
	}
}

func TestG109_NothingForeignIsMarkup(t *testing.T) {
	s := openSite(t)
	const script = `"'><script>alert(1)</script><img src=x onerror=alert(1)>`
	m := s.member("ada", method.Passkey, method.Password, method.TOTP)
	m.DisplayName, m.GivenName = script, script
	s.must(s.h.db.InTx(t.Context(), func(tx *store.Tx) error {
		p, err := tx.PersonByID(t.Context(), m.ID)
		if err != nil {
			return err
		}
		p.DisplayName, p.GivenName, p.FamilyName, p.Locale = script, script, script, "en"
		return tx.UpdatePerson(t.Context(), p)
	}))
	app, _, err := s.h.manage.AddApplication(t.Context(), demoBy, apps.Application{Name: script, Category: script, URL: "https://library.example.ac.uk/",
		OIDC: apps.OIDC{RedirectURIs: []string{siteCallback}, PostLogoutRedirectURIs: []string{"https://library.example.ac.uk/bye"}, WithoutPKCE: true}}, true)
	s.must(err)
	b := s.browser()
	b.headers["User-Agent"] = "Mozilla/5.0 " + script
	b.headers["Accept-Language"] = script
	b.headers["Referer"] = script
	raw := func(w *httptest.ResponseRecorder, what string) {
		t.Helper()
		body := w.Body.String()
		if strings.Contains(w.Header().Get("Content-Type"), "html") && (strings.Contains(body, "<script>alert") || strings.Contains(body, "<img src=x")) {
			t.Errorf("%s: markup of a stranger in the page", what)
		}
		if w.Code >= 500 {
			t.Errorf("%s: %d", what, w.Code)
		}
	}
	w := b.get("/signin?attempt=" + url.QueryEscape(script))
	raw(w, "sign-in")
	w = b.get("/signin")
	raw(b.follow(b.post("/signin", "attempt", hidden(w)["attempt"], "name", script)), "a name")
	b.signIn(m)
	b.prove(b.get("/security/methods/"+m.creds[method.TOTP]+"/rename"), m)
	w = b.post("/security/methods/"+m.creds[method.TOTP]+"/rename", "name", script)
	raw(w, "rename")
	raw(b.follow(w), "renamed")
	for _, path := range []string{"/apps", "/apps?q=" + url.QueryEscape(script), "/security", "/security/lead?kind=" + url.QueryEscape(script), "/security/add/" + url.PathEscape(script),
		"/security/methods/" + url.PathEscape(script) + "/remove", "/security/recent/" + url.PathEscape(script) + "/report", "/security/browsers/" + url.PathEscape(script) + "/forget",
		"/" + url.PathEscape(script), "/signin/" + url.PathEscape(script), "/signout?everywhere=" + url.QueryEscape(script), "/help?" + url.QueryEscape(script),
		"/oauth2/logout?state=" + url.QueryEscape(script) + "&client_id=" + app.OIDC.ClientID + "&post_logout_redirect_uri=" + url.QueryEscape("https://library.example.ac.uk/bye"),
		"/oauth2/authorize?" + url.QueryEscape(script)} {
		raw(b.follow(b.get(path)), path)
	}
	for _, mode := range []string{"", "form_post", "query", script} {
		for _, prompt := range []string{"", "none", script} {
			q := url.Values{"response_type": {"code"}, "scope": {"openid " + script}, "client_id": {app.OIDC.ClientID}, "redirect_uri": {siteCallback}, "state": {script},
				"nonce": {script}, "response_mode": {mode}, "prompt": {prompt}, "login_hint": {script}, "error_description": {script}, "ui_locales": {script}}
			for _, who := range []*siteBrowser{b, s.browser()} {
				raw(who.follow(who.get("/oauth2/authorize?"+q.Encode())), "authorize, mode "+mode)
			}
		}
	}
	s.unregistrable()
}

// unregistrable: an address that runs in our page cannot be registered, by the API or the command line.
func (s *openedSite) unregistrable() {
	s.t.Helper()
	token := s.token("apps", manage.AppsWrite)
	for _, uri := range []string{"javascript:alert(1)", "JAVASCRIPT:alert(1)", "javascript.x:/alert(1)", "data:text/html,x", "data.x:/x", "vbscript:x", "http://library.example.ac.uk/", "https://*.example.ac.uk/",
		"https://a@b/", "https://library.example.ac.uk/#x", "https://library.example.ac.uk/ x", "https:evil", "//library.example.ac.uk/", "blob:https://x/y", "file:///etc", "https://library.example.ac.uk/\\@evil"} {
		for _, field := range []string{"redirect_uris", "post_logout_redirect_uris"} {
			body := fmt.Sprintf(`{"name":"X","client":{"redirect_uris":["https://ok.example.ac.uk/cb"],%q:[%q]}}`, field, uri)
			if field == "redirect_uris" {
				body = fmt.Sprintf(`{"name":"X","client":{%q:[%q]}}`, field, uri)
			}
			if w := s.api("POST", "/admin/api/v1/applications", token, body); w.Code < 400 || w.Code >= 500 {
				s.t.Errorf("%s %q: %d", field, uri, w.Code)
			}
		}
		body := fmt.Sprintf(`{"name":"X","url":%q,"client":{"redirect_uris":["https://ok.example.ac.uk/cb"]}}`, uri)
		if w := s.api("POST", "/admin/api/v1/applications", token, body); w.Code < 400 || w.Code >= 500 {
			s.t.Errorf("url %q: %d", uri, w.Code)
		}
	}
}
