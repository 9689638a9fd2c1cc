package main

import (
	"database/sql"
	"encoding/base64"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gatehouse-id/gatehouse/internal/demo"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
)

// deafTrail makes every audit entry fail in the database, and gives what makes it work again.
func (s *openedSite) deafTrail() (mend func()) {
	s.t.Helper()
	driver, dsn := "sqlite", s.dsn+"?_pragma=busy_timeout(5000)"
	breaks := []string{`CREATE TRIGGER deaf BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'the trail is full'); END`}
	mends := []string{`DROP TRIGGER deaf`}
	if strings.HasPrefix(s.dsn, "postgres") {
		driver, dsn = "pgx", s.dsn
		breaks = []string{`CREATE FUNCTION deaf() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the trail is full'; END $$`,
			`CREATE TRIGGER deaf BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION deaf()`}
		mends = []string{`DROP TRIGGER deaf ON audit`, `DROP FUNCTION deaf()`}
	}
	db, err := sql.Open(driver, dsn)
	s.must(err)
	do := func(statements []string) {
		for _, q := range statements {
			_, err := db.ExecContext(s.t.Context(), q)
			s.must(err)
		}
	}
	do(breaks)
	return func() {
		do(mends)
		s.must(db.Close())
	}
}

// act is one privileged act over HTTP.
type act struct {
	name string
	do   func() *httptest.ResponseRecorder
}

// memberActs are what a member does with what they own, each with its proof in hand already.
func (s *openedSite) memberActs(m *siteMember) (acts []act) {
	add := func(name, prove, path string, fields ...string) {
		b := s.browser()
		b.signIn(m)
		w := b.get("/security")
		if prove != "" {
			w = b.prove(b.get(prove), m)
		}
		h := hidden(w)
		for i := 1; i < len(fields); i += 2 {
			switch fields[i] {
			case "SEALED":
				fields[i] = h["sealed"]
			case "ANSWER":
				if asked := options(w); asked != nil {
					answer, err := softkey.New(siteOrigin).Create(asked)
					s.must(err)
					fields[i] = string(answer)
				}
			case "LEAD":
				// The proof for a lead is asked for by the press itself.
				w = b.prove(b.post(path, "kind", "totp"), m)
				fields[i] = "totp"
			}
		}
		acts = append(acts, act{name, func() *httptest.ResponseRecorder { return b.post(path, fields...) }})
	}
	totp := "/security/methods/" + m.creds[method.TOTP]
	add("rename a method", totp+"/rename", totp+"/rename", "name", "Changed behind the trail")
	add("remove a method", totp+"/remove", totp+"/remove")
	add("add a passkey", "/security/add/passkey", "/security/add/passkey", "sealed", "SEALED", "name", "Unseen", "answer", "ANSWER")
	add("change the password", "/security/password", "/security/password", "answer", "another violet tractor sings")
	add("choose the lead", "", "/security/lead", "kind", "LEAD")
	b := s.browser()
	b.signIn(m)
	acts = append(acts, act{"sign out everywhere", func() *httptest.ResponseRecorder { return b.post("/signout", "everywhere", "yes") }})
	again := s.browser()
	w := again.get("/signin")
	answer, err := m.key.Get(options(w))
	s.must(err)
	attempt := hidden(w)["attempt"]
	acts = append(acts, act{"sign in", func() *httptest.ResponseRecorder {
		return again.post("/signin/passkey", "attempt", attempt, "answer", string(answer))
	}})
	return acts
}

// adminActs are every changing route of the administration API.
func (s *openedSite) adminActs(m *siteMember, clientID string) (acts []act) {
	token := s.token("all", manage.Scopes()...)
	s.token("doomed", manage.PeopleRead)
	invited, err := s.h.manage.AddPerson(s.t.Context(), demoBy, manage.Details{Username: "invited"})
	s.must(err)
	version, err := s.h.manage.Policy(s.t.Context(), demoBy)
	s.must(err)
	id := "/people/" + string(m.ID)
	for _, a := range [][3]string{
		{"POST", "/people", `{"username":"unseen"}`}, {"PUT", id, `{"username":"ada","display_name":"Unseen","version":1}`}, {"POST", id + "/suspend", `{"why":"x"}`},
		{"POST", id + "/reset", `{"why":"x"}`}, {"POST", "/people/" + string(invited.ID) + "/invite", ""}, {"DELETE", id + "/sessions", ""},
		{"POST", "/applications", `{"name":"Unseen","client":{"redirect_uris":["https://ok.example.ac.uk/cb"]}}`}, {"POST", "/applications/" + clientID + "/secret", `{"at_once":true}`},
		{"POST", "/applications/" + clientID + "/close", ""}, {"PUT", "/policy", fmt.Sprintf(`{"policy":{"version":%d,"rules":[]},"why":"unseen"}`, version.Version)},
		{"POST", "/tokens", `{"name":"unseen","scopes":["people:read"],"days":1}`}, {"DELETE", "/tokens/doomed", ""},
	} {
		acts = append(acts, act{a[0] + " " + a[1], func() *httptest.ResponseRecorder { return s.api(a[0], "/admin/api/v1"+a[1], token, a[2]) }})
	}
	return acts
}

func TestG141_NoEntryNoAct(t *testing.T) {
	onBoth(t, func(t *testing.T, s *openedSite) {
		ada := s.member("ada", method.Passkey, method.Password, method.TOTP)
		app, key := s.application("Library")
		acts := append(s.memberActs(ada), s.adminActs(ada, app.OIDC.ClientID)...)
		b := s.browser()
		b.signIn(ada)
		code := s.code(b, app.OIDC.ClientID)
		spare := s.code(b, app.OIDC.ClientID)
		basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(app.OIDC.ClientID+":"+key))
		token := func(form url.Values) *httptest.ResponseRecorder {
			return s.browser().send("POST", "/oauth2/token", form, "Authorization", basic)
		}
		first := token(url.Values{"grant_type": {"authorization_code"}, "code": {spare}, "redirect_uri": {siteCallback}})
		refresh := textOf(first.Body.String(), "refresh_token")
		if refresh == "" {
			t.Fatalf("no refresh token: %s", first.Body)
		}
		redeem := func() *httptest.ResponseRecorder {
			return token(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {siteCallback}})
		}
		acts = append(acts, act{"redeem a code", redeem},
			act{"refresh", func() *httptest.ResponseRecorder {
				return token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
			}},
			act{"a token for itself", func() *httptest.ResponseRecorder { return token(url.Values{"grant_type": {"client_credentials"}}) }},
			act{"revoke", func() *httptest.ResponseRecorder {
				return s.browser().send("POST", "/oauth2/revoke", url.Values{"token": {refresh}}, "Authorization", basic)
			}})
		before := s.state()
		mend := s.deafTrail()
		for _, a := range acts {
			w := a.do()
			if w.Code < 500 {
				t.Errorf("%s: %d %s %.200s", a.name, w.Code, w.Header().Get("Location"), w.Body)
			}
			if strings.Contains(w.Body.String(), "trail is full") {
				t.Errorf("%s tells a stranger why", a.name)
			}
			if after := s.state(); after != before {
				t.Fatalf("%s was done without its entry:\n%s\n%s", a.name, before, after)
			}
		}
		if sqlite := !strings.HasPrefix(s.dsn, "postgres"); sqlite {
			s.deafCommands(app.OIDC.ClientID, before)
		}
		mend()
		// Nothing was used up by what did not happen.
		if w := redeem(); w.Code != 200 {
			t.Errorf("the code was used up: %d %s", w.Code, w.Body)
		}
		if w := b.get("/security"); w.Code != 200 && !strings.HasPrefix(w.Header().Get("Location"), "/signin") {
			t.Errorf("the session: %d", w.Code)
		}
		s.browser().signIn(ada)
		report, err := s.h.db.VerifyAudit(t.Context(), nil)
		if err != nil || !report.OK() {
			t.Errorf("the trail is not whole: %v %v", report.Problems, err)
		}
	})
}

// deafCommands are the operator's acts.
func (s *openedSite) deafCommands(clientID, before string) {
	for _, args := range [][]string{{"people", "add", "unseen"}, {"people", "suspend", "ada"}, {"people", "reset", "ada"}, {"people", "add", "unseen2", "--invite"}, {"sessions", "end", "--person", "ada"},
		{"apps", "add", "Unseen", "--redirect-uri", "https://ok.example.ac.uk/"}, {"apps", "rotate-secret", clientID}, {"apps", "close", clientID}, {"tokens", "add", "unseen", "--scope", "people:read"},
		{"tokens", "remove", "doomed"}, {"keys", "rotate", "--now"}, {"keys", "rotate", "--master"}} {
		code, out, _ := s.command(args...)
		if code == 0 || strings.Contains(out, "secret") || strings.Contains(out, "gha_") {
			s.t.Errorf("gatehouse %s: %d %s", strings.Join(args, " "), code, out)
		}
		if after := s.state(); after != before {
			s.t.Fatalf("gatehouse %s was done without its entry:\n%s\n%s", strings.Join(args, " "), before, after)
		}
	}
}

// code gets an authorization code for the signed-in member.
func (s *openedSite) code(b *siteBrowser, clientID string) string {
	s.t.Helper()
	w := b.follow(b.get("/oauth2/authorize?response_type=code&scope=openid+offline_access&prompt=consent&client_id=" + clientID + "&redirect_uri=" + url.QueryEscape(siteCallback)))
	back, err := url.Parse(w.Header().Get("Location"))
	s.must(err)
	if back.Query().Get("code") == "" {
		s.t.Fatalf("no code: %d %s", w.Code, back)
	}
	return back.Query().Get("code")
}

// textOf is a string member of a JSON object.
func textOf(body, name string) string {
	_, rest, _ := strings.Cut(body, `"`+name+`":"`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// TestG141_OfferedPasscode: a wizard that cannot be written down leaves no method behind either.
func TestG141_AFirstMethodWithoutItsEntry(t *testing.T) {
	onBoth(t, func(t *testing.T, s *openedSite) {
		p, err := s.h.manage.AddPerson(t.Context(), demoBy, manage.Details{Username: "ada"})
		s.must(err)
		typed, _, err := s.h.manage.Invite(t.Context(), demoBy, p.ID, "invitation", manage.InviteFor)
		s.must(err)
		b := s.browser()
		b.get("/welcome")
		w := b.post("/welcome", "code", typed.Reveal())
		w = b.post("/welcome/offer", "ref", hidden(w)["ref"], "kind", "totp")
		h := hidden(w)
		_, seed, _ := strings.Cut(w.Body.String(), `<p class="key">`)
		seed, _, _ = strings.Cut(seed, "</p>")
		s.must(s.setPasswordFirst(b, h["ref"]))
		code, _ := demo.Passcode(strings.ReplaceAll(seed, " ", ""), s.clock.now())
		if code == "" {
			t.Fatalf("no seed in the wizard: %s", w.Body)
		}
		mend := s.deafTrail()
		finish := func() *httptest.ResponseRecorder {
			return b.post("/welcome/finish", "ref", h["ref"], "kind", "totp", "sealed", h["sealed"], "name", "App", "answer", code)
		}
		if w := finish(); w.Code < 500 || len(s.credentials(p.ID)) != 1 {
			t.Errorf("%d, %d methods", w.Code, len(s.credentials(p.ID)))
		}
		mend()
		if w := finish(); w.Code != 200 || len(s.credentials(p.ID)) != 2 {
			t.Errorf("afterwards: %d, %d methods: %.300s", w.Code, len(s.credentials(p.ID)), w.Body)
		}
	})
}

func (s *openedSite) setPasswordFirst(b *siteBrowser, ref string) error {
	w := b.post("/welcome/finish", "ref", ref, "kind", "password", "answer", "a violet tractor sang at noon")
	if w.Code != 200 {
		return fmt.Errorf("password: %d %s", w.Code, w.Body)
	}
	return nil
}

// TestG142_TamperedTrail runs the real program over trails that were edited, cut, reordered and replaced.
func TestG142_TamperedTrail(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/platform", RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"sqlite": editDatabase, "freeport": scriptPort, "answers": answers, "mode": fileMode}})
}
