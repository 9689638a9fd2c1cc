package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// command runs gatehouse on a house's own data, as its operator does at the machine.
func (s *openedSite) command(args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	dir := s.t.TempDir()
	key := keyFileHead + "1 " + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)) + "\n"
	s.must(os.WriteFile(filepath.Join(dir, "master.key"), []byte(key), 0o600))
	file := filepath.Join(dir, "house.yaml")
	s.must(os.WriteFile(file, fmt.Appendf(nil, "base_url: http://localhost:8080\nlisten: 127.0.0.1:8080\ndatabase: %q\nkey_file: master.key\n", s.dsn), 0o600))
	var out, problems bytes.Buffer
	code = run(append(args, "--config", file), strings.NewReader(""), &out, &problems)
	return code, out.String(), problems.String()
}

// canaries are everything that must not be read back: as it is, and as it is usually written.
type canaries map[string][]string

func (c canaries) add(what, text string) {
	raw := []byte(text)
	c[what] = append(c[what], text, base64.StdEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw), hex.EncodeToString(raw), url.QueryEscape(text))
}

// addHashed is add with the hash that the database keeps: whoever reads that could look for it.
func (c canaries) addHashed(what, text string) {
	c.add(what, text)
	c.add(what+" (hash)", string(secret.Hash(text)))
}

func (c canaries) find(t testing.TB, where, text string) {
	t.Helper()
	for what, forms := range c {
		for _, f := range forms {
			if len(f) > 5 && strings.Contains(text, f) {
				at := strings.Index(text, f)
				t.Errorf("%s shows %s: …%.160q", where, what, text[max(0, at-60):])
				return
			}
		}
	}
}

func TestG107_G136_NoSecretIsEverReadBack(t *testing.T) {
	s := openSite(t)
	c := canaries{}
	ada := s.member("ada", method.Passkey, method.Password, method.TOTP)
	app, clientSecret := s.application("Library")
	c.addHashed("the client secret", clientSecret)
	c.addHashed("a password", sitePassword)
	c.add("a passcode's seed", ada.totp)
	c.add("the master key", string(bytes.Repeat([]byte{7}, 32)))
	c["a password's hash"] = []string{"$argon2id$", "argon2id$v="}
	c["a private key"] = []string{`"d":"`, "PRIVATE KEY"}
	all := s.token("everything", manage.Scopes()...)
	tokens := map[string]string{"everything": all, "nobody": "", "a wrong one": manage.TokenPrefix + "wrong"}
	for _, scope := range manage.Scopes() {
		tokens[string(scope)] = s.token("only "+strings.ReplaceAll(string(scope), ":", " "), scope)
	}
	for name, token := range tokens {
		if token != "" && name != "a wrong one" {
			c.addHashed("the token "+name, token)
		}
	}
	b := s.browser()
	b.signIn(ada)
	for name, value := range b.cookies {
		c.addHashed("the cookie "+name, value)
	}
	// An invitation, a rotation, a code and its tokens, each wrong once too.
	w := s.api("POST", "/admin/api/v1/people", all, `{"username":"ben","email":"ben@example.ac.uk"}`)
	var made struct {
		ID string `json:"id"`
	}
	s.must(json.Unmarshal(w.Body.Bytes(), &made))
	w = s.api("POST", "/admin/api/v1/people/"+made.ID+"/invite", all, "")
	var issued struct {
		Secret string `json:"secret"`
	}
	s.must(json.Unmarshal(w.Body.Bytes(), &issued))
	c.addHashed("an invitation", issued.Secret)
	c.add("an invitation without hyphens", strings.ReplaceAll(issued.Secret, "-", ""))
	s.browser().post("/welcome", "code", issued.Secret)
	s.browser().post("/welcome", "code", issued.Secret+"x")
	w = b.follow(b.get("/oauth2/authorize?response_type=code&scope=openid+offline_access&prompt=consent&client_id=" + app.OIDC.ClientID + "&redirect_uri=" + url.QueryEscape(siteCallback)))
	back, err := url.Parse(w.Header().Get("Location"))
	s.must(err)
	code := back.Query().Get("code")
	if code == "" {
		t.Fatalf("no code: %d %s", w.Code, w.Header().Get("Location"))
	}
	c.addHashed("a code", code)
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(app.OIDC.ClientID+":"+clientSecret))
	exchange := func(form url.Values) map[string]any {
		w := s.browser().send("POST", "/oauth2/token", form, "Authorization", basic)
		out := map[string]any{}
		s.must(json.Unmarshal(w.Body.Bytes(), &out))
		for _, name := range []string{"access_token", "refresh_token", "id_token"} {
			if text, ok := out[name].(string); ok {
				c.addHashed("an "+name, text)
			}
		}
		return out
	}
	got := exchange(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {siteCallback}})
	exchange(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {siteCallback}})
	if refresh, ok := got["refresh_token"].(string); ok {
		exchange(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
	}
	wrong := s.browser()
	page := hidden(wrong.follow(wrong.post("/signin", "attempt", hidden(wrong.get("/signin"))["attempt"], "name", "ada")))
	wrong.post("/signin/password", "attempt", page["attempt"], "answer", sitePassword+"!")
	s.crawl(c, tokens, ada, app.ID)
}

// crawl reads everything that can be read, by everybody, and looks for a canary in it.
func (s *openedSite) crawl(c canaries, tokens map[string]string, m *siteMember, appID string) {
	read := 0
	look := func(where string, w *httptest.ResponseRecorder) {
		read++
		c.find(s.t, where, w.Body.String()+fmt.Sprint(w.Header()))
	}
	s.each("PART", func(_, verb, path string) {
		if verb != "GET" || !strings.HasPrefix(path, "/admin/") {
			return
		}
		for _, id := range []string{string(m.ID), appID, "ada", "everything", "x"} {
			for who, token := range tokens {
				look(who+" reading "+path, s.api("GET", strings.ReplaceAll(path, "PART", id)+"?limit=200", token, ""))
				look(who+" reading "+path, s.api("GET", strings.ReplaceAll(path, "PART", id), token, ""))
			}
		}
	})
	s.each(m.creds[method.TOTP], func(_, verb, path string) {
		if verb == "GET" && !strings.HasPrefix(path, "/admin/") {
			look("a stranger reading "+path, s.browser().get(path))
		}
	})
	if read < 300 {
		s.t.Errorf("only %d answers were read", read)
	}
	metrics := httptest.NewRecorder()
	s.m.handler().ServeHTTP(metrics, httptest.NewRequest("GET", "/metrics", nil))
	if !strings.Contains(metrics.Body.String(), "gatehouse_http_requests_total") {
		s.t.Error("no metrics")
	}
	c.find(s.t, "metrics", metrics.Body.String())
	c.find(s.t, "the log", s.log.String())
	for _, args := range [][]string{{"people", "list"}, {"people", "list", "--json"}, {"apps", "list"}, {"tokens", "list"}, {"audit", "export"}, {"audit", "verify"}, {"keys", "rotate"}, {"migrate"}} {
		code, out, problems := s.command(args...)
		if code != 0 || out == "" {
			s.t.Errorf("gatehouse %s: %d %s %s", strings.Join(args, " "), code, out, problems)
		}
		c.find(s.t, "gatehouse "+strings.Join(args, " "), out+problems)
	}
}

// TestG135_OneParserReadsAddresses: by the API, the command line and an import alike.
func TestG135_OneParserReadsAddresses(t *testing.T) {
	s := openSite(t)
	token := s.token("people", manage.PeopleWrite, manage.PeopleRead)
	tricks := []string{"a@evil@corp.org", `"a@corp.org"@evil.org`, "a(corp)@evil.org", "a@evil.org(corp.org)", "a@[127.0.0.1]", "a@corp.org\r\nBcc: x@evil.org", "a@corp.org,b@evil.org", "a@corp.org b@evil.org",
		"A <a@corp.org>", "<a@corp.org>", "a@corp", "@corp.org", "a@", "a..b@corp.org", ".a@corp.org", "a.@corp.org", "a@-corp.org", "a@corp-.org", "a@corp..org", "a@.corp.org", "a@c\u043erp.org", "\u0430@corp.org",
		"a@corp.org\u0000", "a\u0000@corp.org", "a@corp\u3002org", "a\uff20corp.org", "a@corp.org;b@evil.org", "a%evil.org@corp.org\n", "=?utf-8?q?a=40corp.org?=@evil.org", "a@corp.org.", "a\\@b@corp.org", "\u202ea@corp.org",
		"a@" + strings.Repeat("x", 64) + ".org", strings.Repeat("a", 250) + "@corp.org", "a@xn--\u0430.org"}
	for i, address := range tricks {
		name := fmt.Sprintf("trick%d", i)
		body, err := json.Marshal(map[string]string{"username": name, "email": address})
		s.must(err)
		// RFC 2047 words are plain characters to a parser that knows none; then the address is one, as written.
		harmless := people.CheckEmail(strings.TrimSpace(address)) == nil
		w := s.api("POST", "/admin/api/v1/people", token, string(body))
		if w.Code < 300 != harmless || w.Code >= 500 {
			t.Errorf("the API takes %q: %d", address, w.Code)
		}
		if harmless && !strings.Contains(w.Body.String(), jsonText(strings.TrimSpace(address))) {
			t.Errorf("%q was read as something else: %s", address, w.Body)
		}
		quoted := `"` + strings.ReplaceAll(address, `"`, `""`) + `"`
		var report bytes.Buffer
		r, err := s.h.importPeople(t.Context(), demoBy, "x.csv", strings.NewReader("username,email\n"+name+"i,"+quoted+"\n"), false, &report)
		if err != nil {
			t.Errorf("import %q: %v", address, err)
		}
		if taken := harmless && r.refused == 1 && strings.Contains(report.String(), "already"); r.added == 1 != harmless && !taken {
			t.Errorf("the import takes %q: %+v %s", address, r, &report)
		}
		if strings.ContainsAny(report.String(), "\x00\x1b\r") {
			t.Errorf("the import's report for %q is no plain text: %q", address, &report)
		}
	}
	for i, address := range []string{"a@evil@corp.org", "a@corp.org\r\nBcc: x@evil.org", "a@[::1]"} {
		if code, _, problems := s.command("people", "add", fmt.Sprintf("cli%d", i), "--email", address); code == 0 || strings.ContainsAny(problems, "\r\x1b") {
			t.Errorf("people add takes %q: %d %s", address, code, problems)
		}
	}
	// A second spelling of a taken name or address is the same name or address.
	if w := s.api("POST", "/admin/api/v1/people", token, `{"username":"zoe","email":"zoe@corp.org"}`); w.Code != 201 {
		t.Fatal(w.Body)
	}
	for _, body := range []string{`{"username":"ZOE"}`, `{"username":"\uff5aoe"}`, `{"username":"zoe2","email":"ZOE@CORP.ORG"}`, `{"username":"zoe3","email":"Zoe@corp.ORG"}`} {
		if w := s.api("POST", "/admin/api/v1/people", token, body); w.Code != 409 {
			t.Errorf("%s: %d", body, w.Code)
		}
	}
}
