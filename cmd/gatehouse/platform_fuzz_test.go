package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/method"
)

// nasty are values that some layer could trip over; each carries the word "canary" in a form that must not come back raw.
var nasty = []string{"", "\x00canary", "canary\x00", "\xff\xfecanary", "canary\xc3\x28", "\xed\xa0\x80canary", "\r\nX-Canary: canary", "\n\n<canary>", "<canary onload=x>", "'\"><canary>",
	"'; DROP TABLE people; --canary", "\" OR 1=1 --canary", "%s%n%x%dcanary", "${canary}", "{{canary}}", "=cmd|'/C calc'!A0", "\x1b[2Jcanary", "../../../etc/canary", "..%2f..%2fcanary",
	"\u202ecanary", "\ufeffcanary", "\u0000\u2028canary", strings.Repeat("canary", 600), strings.Repeat("A", 9000), strings.Repeat("%", 300), "-1", "0", "9223372036854775808", "1e309", "NaN",
	"true", "null", "[]", "{}", `{"id":"x","rawId":"x","type":"public-key","response":{}}`, `{"id":null,"response":{"clientDataJSON":null}}`, strings.Repeat("[", 5000), strings.Repeat(`{"a":`, 2000),
	"a@evil@corp", "\"a@corp\"@evil", "A\u0301\u0301\u0301", "\U0001F9D1\u200d\U0001F4BB", "K\u212a", "eyJhbGciOiJub25lIn0.e30.", "a.b.c.d.e", strings.Repeat(".", 3000), "~~~~~", "x.y~x.y~x.y"}

// fields are every parameter that some route reads, and some that none does.
var fields = []string{"attempt", "name", "answer", "remember", "kind", "everywhere", "code", "ref", "sealed", "username", "done", "q", "confirm", "client_id", "client_secret", "redirect_uri",
	"response_type", "response_mode", "scope", "state", "nonce", "prompt", "max_age", "acr_values", "login_hint", "id_token_hint", "claims", "request", "request_uri", "registration", "code_challenge",
	"code_challenge_method", "code_verifier", "grant_type", "refresh_token", "token", "token_type_hint", "post_logout_redirect_uri", "ui_locales", "client_assertion", "client_assertion_type",
	"cursor", "limit", "sort", "filter", "after", "\x00", "a[b]"}

// unhurt says what is wrong with an answer to nonsense.
func unhurt(s *openedSite, w *httptest.ResponseRecorder) string {
	body := w.Body.String()
	switch {
	case w.Code >= 500:
		return fmt.Sprintf("status %d: %.300s", w.Code, body)
	case w.Header().Get("X-Canary") != "":
		return "a header was injected"
	case strings.Contains(w.Header().Get("Content-Type"), "html") && strings.Contains(body, "<canary"): // JSON may repeat what was sent, as JSON
		return "it came back as markup"
	case strings.ContainsAny(body, "\x00\x1b"):
		return "control characters came back"
	case strings.ContainsAny(w.Header().Get("Location"), "\r\n\x00\x1b<"):
		return "the redirect repeats it raw"
	}
	return ""
}

// refuseLog fails where the house logged a panic or an internal error meanwhile.
func (s *openedSite) refuseLog() {
	s.t.Helper()
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, `"msg":"panic"`) {
			s.t.Errorf("logged: %.700s", line)
			return
		}
	}
}

func TestNastyValuesInEveryField(t *testing.T) {
	onBoth(t, func(t *testing.T, s *openedSite) {
		m := s.member("ada", method.Passkey, method.Password, method.TOTP)
		app, key := s.application("Library")
		known := s.browser()
		known.signIn(m)
		w := known.prove(known.get("/security/methods/"+m.creds[method.TOTP]+"/rename"), m)
		if w.Code != http.StatusOK {
			t.Fatal(w.Code)
		}
		basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(app.OIDC.ClientID+":"+key))
		sent := 0
		try := func(b *siteBrowser, verb, path string, form url.Values, headers ...string) {
			sent++
			cookie := b.cookies["__Host-gatehouse"]
			w := b.send(verb, path, form, headers...)
			if cookie != "" {
				b.cookies["__Host-gatehouse"] = cookie
			}
			if wrong := unhurt(s, w); wrong != "" {
				t.Errorf("%s %.120q %.200q: %s", verb, path, form.Encode(), wrong)
			}
		}
		seen, postgres := map[string]bool{}, strings.HasPrefix(s.dsn, "postgres")
		s.each("PART", func(kind, verb, path string) {
			if seen[verb+path] || verb != "GET" && verb != "POST" && verb != "DELETE" || path == "/signout" {
				return
			}
			seen[verb+path] = true
			for i, value := range nasty {
				if postgres && !strings.Contains(path, "PART") {
					break // what reaches the database of these is tried one by one below
				}
				at := path
				if strings.Contains(path, "PART") {
					at = strings.ReplaceAll(path, "PART", url.PathEscape(cut(value, 3000)))
				}
				// All fields hold the value at once; then one by one around honest ones.
				all := url.Values{}
				for _, f := range fields {
					all.Set(f, cut(value, 300))
				}
				b := []*siteBrowser{known, s.browser()}[i%2]
				if verb == "POST" {
					try(b, verb, at, all)
					try(b, verb, at, all, "Authorization", basic)
				} else {
					try(b, verb, at+"?"+all.Encode(), nil)
				}
			}
		})
		s.nastyOneByOne(known, m, try)
		if sent < 1000 {
			t.Errorf("only %d requests", sent)
		}
		s.refuseLog()
	})
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// nastyOneByOne reaches what lies behind the first check: one field is wrong and the others are right.
func (s *openedSite) nastyOneByOne(b *siteBrowser, m *siteMember, try func(b *siteBrowser, verb, path string, form url.Values, headers ...string)) {
	for _, value := range nasty {
		fresh := s.browser()
		w := fresh.get("/signin")
		attempt := hidden(w)["attempt"]
		try(fresh, "POST", "/signin", url.Values{"attempt": {attempt}, "name": {value}})
		try(fresh, "POST", "/signin/passkey", url.Values{"attempt": {attempt}, "answer": {value}})
		try(fresh, "POST", "/signin/choose", url.Values{"attempt": {attempt}, "kind": {value}})
		w = fresh.follow(fresh.post("/signin", "attempt", attempt, "name", m.Username))
		named := hidden(w)["attempt"]
		for _, kind := range []string{"password", "totp", "passkey", url.PathEscape(cut(value, 200))} {
			try(fresh, "POST", "/signin/"+kind, url.Values{"attempt": {named}, "answer": {value}, "remember": {value}})
		}
		try(b, "POST", "/security/methods/"+m.creds[method.TOTP]+"/rename", url.Values{"name": {value}})
		try(b, "POST", "/security/lead", url.Values{"kind": {value}})
		try(b, "POST", "/security/password", url.Values{"answer": {value}})
		for _, path := range []string{"/security/methods/%s/remove", "/security/methods/%s/rename", "/security/browsers/%s/forget", "/security/recent/%s/report", "/security/add/%s", "/security/sessions/%s/end"} {
			at := fmt.Sprintf(path, url.PathEscape(cut(value, 3000)))
			try(b, "GET", at, nil)
			// The proof for an act on that object, and then the act.
			w := b.prove(b.get(at), m)
			if wrong := unhurt(s, w); wrong != "" {
				s.t.Errorf("proving %.100q: %s", at, wrong)
			}
			try(b, "POST", at, url.Values{"name": {"x"}, "sealed": {"x"}, "answer": {value}})
		}
	}
}

func TestNastyHeaders(t *testing.T) {
	s := openSite(t)
	m := s.member("ada", method.Passkey)
	known := s.browser()
	known.signIn(m)
	for _, value := range nasty {
		value = strings.NewReplacer("\r", "", "\n", "").Replace(value)
		for _, name := range []string{"User-Agent", "Accept-Language", "Accept", "Authorization", "X-Forwarded-For", "Content-Type", "Origin", "Sec-Fetch-Site", "Sec-Fetch-Dest", "If-None-Match",
			"Accept-Encoding", "Cookie", "Range", "X-HTTP-Method-Override", "Expect"} {
			for _, path := range []string{"/signin", "/security", "/static/app.css", "/oauth2/userinfo", "/admin/api/v1/people", "/.well-known/openid-configuration"} {
				variants := []string{value}
				if name == "Authorization" {
					variants = append(variants, "Bearer "+value, "Basic "+base64.StdEncoding.EncodeToString([]byte(cut(value, 500))))
				}
				for _, v := range variants {
					if wrong := unhurt(s, known.send("GET", path, nil, name, v)); wrong != "" {
						t.Errorf("%s: %.60q at %s: %s", name, v, path, wrong)
					}
				}
			}
			if wrong := unhurt(s, s.browser().send("POST", "/oauth2/token", url.Values{"grant_type": {"client_credentials"}}, name, value)); wrong != "" {
				t.Errorf("%s: %.60q at the token endpoint: %s", name, value, wrong)
			}
		}
		for _, cookie := range []string{"__Host-gatehouse", "__Host-gatehouse-browser", "__Host-gatehouse-remembered"} {
			b := s.browser()
			b.cookies[cookie] = value
			for _, path := range []string{"/signin", "/apps", "/security", "/oauth2/logout"} {
				if wrong := unhurt(s, b.get(path)); wrong != "" {
					t.Errorf("%s=%.60q at %s: %s", cookie, value, path, wrong)
				}
			}
		}
	}
	s.refuseLog()
}

// share is all of list, or under the race detector every nastyShare-th of it.
func share(list []string) []string {
	var out []string
	for i := 0; i < len(list); i += nastyShare {
		out = append(out, list[i])
	}
	return out
}

// TestNastyAdministration: the same for the administration API, by a token that may do everything.
func TestNastyAdministration(t *testing.T) {
	onBoth(t, func(t *testing.T, s *openedSite) {
		token := s.token("all", manage.Scopes()...)
		bodies := []string{"", "null", "[]", "{", `"`, `{"a":`, strings.Repeat("[", 10000), `{"username":1}`, "\xff\xfe", `{"username":"x","username":"y"}`, `{"__proto__":{}}`, `{"policy":null,"why":"x"}`,
			`{"policy":{"version":-1,"rules":[{}]},"why":"x"}`, `{"policy":{"rules":[{"name":"\u0000","when":{"groups":["\u0000"]}}]},"why":"\u0000"}`}
		nasty := share(nasty)
		for _, v := range nasty {
			raw := jsonText(v)
			bodies = append(bodies, fmt.Sprintf(`{"why":%s}`, raw), fmt.Sprintf(`{"username":%s,"email":%s,"display_name":%s,"groups":[%s],"locale":%s}`, raw, raw, raw, raw, raw),
				fmt.Sprintf(`{"username":"fine","display_name":%s}`, raw), fmt.Sprintf(`{"username":"fine2","groups":[%s],"given_name":%s}`, raw, raw),
				fmt.Sprintf(`{"name":%s,"category":%s,"audience":%s,"url":%s,"client":{"redirect_uris":[%s],"scopes":[%s]}}`, raw, raw, raw, raw, raw, raw),
				fmt.Sprintf(`{"name":"X","category":%s,"client":{"redirect_uris":["https://ok.example.ac.uk/"],"token_audience":%s}}`, raw, raw),
				fmt.Sprintf(`{"name":"Y","client":{"redirect_uris":["https://ok.example.ac.uk/"],"scopes":[%s],"grant_types":[%s]}}`, raw, raw),
				fmt.Sprintf(`{"name":%s,"scopes":[%s],"days":1}`, raw, raw), fmt.Sprintf(`{"name":%s,"scopes":["people:read"],"days":1}`, raw))
		}
		seen := map[string]bool{}
		s.each("PART", func(_, verb, path string) {
			if !strings.HasPrefix(path, "/admin/") || seen[verb+path] || !slices.Contains([]string{"GET", "POST", "PUT", "DELETE"}, verb) {
				return
			}
			seen[verb+path] = true
			for _, v := range nasty {
				at := strings.ReplaceAll(path, "PART", url.PathEscape(cut(v, 3000)))
				for _, body := range []string{"", `{"why":"x"}`} {
					if wrong := unhurt(s, s.api(verb, at, token, body)); wrong != "" {
						t.Errorf("%s %.100q: %s", verb, at, wrong)
					}
				}
				for _, q := range []string{"cursor", "limit", "sort", "state", "filter", "\x00"} {
					if wrong := unhurt(s, s.api(verb, at+"?"+url.QueryEscape(q)+"="+url.QueryEscape(v), token, "")); wrong != "" {
						t.Errorf("%s %s=%.60q: %s", verb, q, v, wrong)
					}
				}
			}
			if verb != "POST" && verb != "PUT" {
				return
			}
			for i, body := range bodies {
				kinds := []string{"application/json"}
				if i < 4 {
					kinds = append(kinds, "text/plain", "application/x-www-form-urlencoded", "application/xml", "\x01")
				}
				for _, kind := range kinds {
					if wrong := unhurt(s, s.api(verb, strings.ReplaceAll(path, "PART", "x"), token, body, "Content-Type", kind)); wrong != "" {
						t.Errorf("%s %s %.200q: %s", verb, path, body, wrong)
					}
				}
			}
		})
		s.refuseLog()
	})
}

// jsonText writes v as a JSON string, also where it is no UTF-8.
func jsonText(v string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(v) {
		switch c := v[i]; {
		case c == '"' || c == '\\':
			b.WriteString(`\` + string(rune(c)))
		case c < ' ':
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
