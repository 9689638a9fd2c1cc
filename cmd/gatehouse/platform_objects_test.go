package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/demo"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

// scopeOf is the one scope that opens each route of the administration API: the table that the code is held to.
var scopeOf = map[string]manage.Scope{
	"GET /people": manage.PeopleRead, "POST /people": manage.PeopleWrite, "GET /people/{id}": manage.PeopleRead, "PUT /people/{id}": manage.PeopleWrite,
	"POST /people/{id}/suspend": manage.PeopleWrite, "POST /people/{id}/restore": manage.PeopleWrite, "POST /people/{id}/invite": manage.PeopleWrite,
	"POST /people/{id}/reset": manage.PeopleWrite, "GET /people/{id}/sessions": manage.PeopleRead, "DELETE /people/{id}/sessions": manage.PeopleWrite,
	"DELETE /people/{id}/sessions/{session}": manage.PeopleWrite,
	"GET /applications":                      manage.AppsRead, "POST /applications": manage.AppsWrite, "GET /applications/{id}": manage.AppsRead,
	"POST /applications/{id}/secret": manage.AppsWrite, "POST /applications/{id}/close": manage.AppsWrite, "POST /applications/{id}/open": manage.AppsWrite,
	"GET /policy": manage.PolicyRead, "PUT /policy": manage.PolicyWrite, "GET /policy/history": manage.PolicyRead, "GET /audit": manage.AuditRead,
	"GET /stats": manage.PeopleRead, "GET /tokens": manage.TokensRead, "POST /tokens": manage.TokensWrite, "DELETE /tokens/{name}": manage.TokensWrite,
	"GET /people/{id}/challenges": manage.PeopleRead, "POST /people/{id}/invite-by-mail": manage.PeopleWrite,
	"GET /incidents": manage.IncidentsRead, "POST /incidents/{id}/close": manage.IncidentsWrite,
}

// bodyFor is a body that is right for a route, so that only the scope decides.
func (s *openedSite) bodyFor(route string, m people.Person) string {
	switch route {
	case "POST /people":
		return `{"username":"somebody"}`
	case "PUT /people/{id}":
		return fmt.Sprintf(`{"username":%q,"version":%d}`, m.Username, m.Version)
	case "POST /people/{id}/suspend", "POST /people/{id}/restore", "POST /people/{id}/reset", "POST /incidents/{id}/close":
		return `{"why":"test"}`
	case "POST /applications":
		return `{"name":"Another","client":{"redirect_uris":["https://ok.example.ac.uk/cb"]}}`
	case "POST /applications/{id}/secret":
		return `{}`
	case "PUT /policy":
		return `{"policy":{"version":1,"rules":[]},"why":"test"}`
	case "POST /tokens":
		return `{"name":"another","scopes":["people:read"],"days":1}`
	}
	return ""
}

func TestG132_EveryRouteVerbScopeAndForeignObject(t *testing.T) {
	s := openSite(t)
	inventory := map[string]bool{}
	for _, r := range s.d.door.Routes() {
		verb, path, ok := strings.Cut(strings.TrimPrefix(r, "api "), " ")
		if route, under := strings.CutPrefix(path, "/admin/api/v1"); ok && under && route != "/openapi.json" {
			inventory[verb+" "+route] = true
			if scopeOf[verb+" "+route] == "" {
				t.Errorf("%s %s stands in no table", verb, route)
			}
		}
	}
	if len(inventory) != len(scopeOf) {
		t.Errorf("%d routes, %d in the table", len(inventory), len(scopeOf))
	}
	ada := s.member("ada", method.Passkey)
	app, _ := s.application("Library")
	s.token("victim", manage.PeopleRead)
	tokens := map[manage.Scope]string{}
	for _, scope := range manage.Scopes() {
		tokens[scope] = s.token(strings.ReplaceAll(string(scope), ":", "-"), scope)
	}
	before := s.state()
	asked := 0
	for route, needed := range scopeOf {
		verb, path, _ := strings.Cut(route, " ")
		for _, object := range []string{string(ada.ID), app.ID, app.OIDC.ClientID, "victim", "ada", "nobody", "../people", "*", "%"} {
			at := "/admin/api/v1" + strings.NewReplacer("{id}", url.PathEscape(object), "{name}", url.PathEscape(object), "{session}", url.PathEscape(object)).Replace(path)
			for scope, token := range tokens {
				if scope == needed {
					continue
				}
				asked++
				if w := s.api(verb, at, token, s.bodyFor(route, ada.Person)); w.Code != http.StatusForbidden && w.Code != http.StatusNotFound {
					t.Errorf("%s %s with %s: %d %s", verb, at, scope, w.Code, w.Body)
				} else if w.Code == http.StatusNotFound && !strings.Contains(object, "/") {
					t.Errorf("%s %s with %s tells that there is none", verb, at, scope)
				}
			}
		}
	}
	if asked < 1500 {
		t.Errorf("only %d questions", asked)
	}
	if after := s.state(); after != before {
		t.Errorf("something was changed:\n%s\n%s", before, after)
	}
	// The scope that is named does open it, so that the refusals above mean something.
	for _, route := range []string{"GET /people", "GET /people/{id}", "GET /applications", "GET /policy", "GET /audit", "GET /stats", "GET /tokens",
		"GET /people/{id}/challenges", "GET /incidents"} {
		verb, path, _ := strings.Cut(route, " ")
		if w := s.api(verb, "/admin/api/v1"+strings.ReplaceAll(path, "{id}", string(ada.ID)), tokens[scopeOf[route]], ""); w.Code != 200 {
			t.Errorf("%s with its own scope: %d %s", route, w.Code, w.Body)
		}
	}
	s.rolesOpenNothing(ada)
}

// state is what the questions of strangers must not change.
func (s *openedSite) state() (out string) {
	s.t.Helper()
	ctx := s.t.Context()
	everybody, err := s.h.manage.People(ctx, demoBy, "", 1000)
	s.must(err)
	registered, err := s.h.manage.Applications(ctx, demoBy)
	s.must(err)
	tokens, err := s.h.manage.Tokens(ctx, demoBy)
	s.must(err)
	rules, err := s.h.manage.Policy(ctx, demoBy)
	s.must(err)
	for _, p := range everybody {
		s.must(s.h.db.View(ctx, func(tx *store.Tx) error {
			owned, err := tx.CredentialsOf(ctx, string(p.ID))
			if err != nil {
				return err
			}
			open, err := tx.SessionsOf(ctx, string(p.ID))
			if err != nil {
				return err
			}
			remembered, err := tx.BrowsersOf(ctx, string(p.ID))
			var ids []string
			for _, c := range owned {
				ids = append(ids, c.ID+c.Name)
			}
			for _, o := range open {
				ids = append(ids, o.ID)
			}
			for _, b := range remembered {
				ids = append(ids, b.Family)
			}
			slices.Sort(ids)
			out += fmt.Sprintln(p.Username, p.State, p.Lead, p.Version, ids)
			return err
		}))
	}
	return out + fmt.Sprintln(len(registered), registered, len(tokens), rules.Version)
}

// rolesOpenNothing: a signed-in member's cookie is worth nothing at the API, whatever their role.
func (s *openedSite) rolesOpenNothing(m *siteMember) {
	for _, role := range []people.Role{"", people.RoleDesk, people.RoleAppOwner, people.RoleAuditor, people.RoleAdministrator} {
		p, err := s.h.manage.Person(s.t.Context(), demoBy, "ada")
		s.must(err)
		d := manage.Details{Username: p.Username, Email: p.Email, DisplayName: p.DisplayName}
		if role != "" {
			d.Roles = []people.Role{role}
		}
		_, _, err = s.h.manage.ChangePerson(s.t.Context(), demoBy, p.ID, p.Version, d)
		s.must(err)
		b := s.browser()
		b.signIn(m)
		for route := range scopeOf {
			verb, path, _ := strings.Cut(route, " ")
			if w := b.send(verb, "/admin/api/v1"+pathPart.ReplaceAllString(path, "x"), nil); w.Code != http.StatusUnauthorized {
				s.t.Errorf("%s with the cookie of a %q: %d", route, role, w.Code)
			}
		}
	}
}

// TestG132_AnotherMembersThings: whatever is named on one's own pages, it is one's own.
func TestG132_AnotherMembersThings(t *testing.T) {
	onBoth(t, func(t *testing.T, s *openedSite) {
		victim := s.member("victim", method.Password, method.TOTP)
		thief := s.member("thief", method.Passkey, method.Password, method.TOTP)
		v := s.browser()
		w := v.follow(v.post("/signin", "attempt", hidden(v.get("/signin"))["attempt"], "name", "victim"))
		w = v.follow(v.post("/signin/password", "attempt", hidden(w)["attempt"], "answer", sitePassword, "remember", "yes"))
		s.clock.add(time.Minute)
		code, _ := demo.Passcode(victim.totp, s.clock.now())
		w = v.follow(w)
		v.post("/signin/totp", "attempt", hidden(w)["attempt"], "answer", code, "remember", "yes")
		if !v.signedIn() || v.cookies["__Host-gatehouse-remembered"] == "" {
			t.Fatalf("the victim did not sign in, remembered: %d %s", w.Code, w.Body)
		}
		key := s.enrolled(victim, method.Passkey)
		victim.creds[method.Passkey] = key.ID
		s.must(s.h.db.InTx(t.Context(), func(tx *store.Tx) error { return tx.AddCredential(t.Context(), key) }))
		objects := []string{"", "x", "test:1", "0"}
		ctx := t.Context()
		s.must(s.h.db.View(ctx, func(tx *store.Tx) error {
			open, err := tx.SessionsOf(ctx, string(victim.ID))
			if err != nil {
				return err
			}
			for _, o := range open {
				objects = append(objects, o.ID)
			}
			var browsers []session.Browser
			if browsers, err = tx.BrowsersOf(ctx, string(victim.ID)); err != nil {
				return err
			}
			for _, o := range browsers {
				objects = append(objects, o.Family)
			}
			var rows []audit.Row
			rows, err = tx.AuditBySubject(ctx, string(victim.ID), "", 100)
			for _, r := range rows {
				objects = append(objects, fmt.Sprintf("%s:%d", r.Chain, r.Seq))
			}
			return err
		}))
		for _, id := range victim.creds {
			objects = append(objects, id)
		}
		if len(objects) < 9 {
			t.Fatalf("only %v", objects)
		}
		b := s.browser()
		b.signIn(thief)
		mine := s.credentials(victim.ID)
		before := s.victims(victim)
		for _, object := range objects {
			for _, path := range []string{"/security/methods/%s/remove", "/security/methods/%s/rename", "/security/browsers/%s/forget", "/security/recent/%s/report", "/security/sessions/%s/end"} {
				at := fmt.Sprintf(path, url.PathEscape(object))
				// With the proof that names the act and this very object, which the thief can give.
				w := b.prove(b.get(at), thief)
				if strings.Contains(w.Body.String(), "Key of victim") {
					t.Errorf("%s shows the victim's", at)
				}
				w = b.post(at, "name", "Stolen")
				if w.Code == http.StatusSeeOther && strings.Contains(w.Header().Get("Location"), "done=") {
					t.Errorf("%s says that it was done", at)
				}
			}
		}
		if after := s.victims(victim); after != before {
			t.Errorf("the victim's things were changed:\n%s\n%s", before, after)
		}
		if len(mine) != len(s.credentials(victim.ID)) {
			t.Error("a credential is gone")
		}
		if w := v.get("/security"); w.Code != 200 {
			t.Errorf("the victim's session ended: %d", w.Code)
		}
	})
}

func (s *openedSite) victims(m *siteMember) string {
	var lines []string
	for l := range strings.Lines(s.state()) {
		if strings.HasPrefix(l, m.Username+" ") {
			lines = append(lines, l)
		}
	}
	return strings.Join(lines, "")
}

func TestG133_EveryCursorSortAndFilter(t *testing.T) {
	s := openSite(t)
	for i := range 8 {
		s.member(fmt.Sprintf("member%d", i))
	}
	one, two := s.token("one", manage.PeopleRead, manage.AuditRead), s.token("two", manage.PeopleRead, manage.AuditRead)
	for range 4 {
		s.api("GET", "/admin/api/v1/policy", one, "") // refused, and written down
	}
	cursors := map[string]string{}
	for _, list := range []string{"/admin/api/v1/people", "/admin/api/v1/audit"} {
		var page struct {
			Next string `json:"next"`
		}
		w := s.api("GET", list+"?limit=2", one, "")
		s.must(json.Unmarshal(w.Body.Bytes(), &page))
		if page.Next == "" {
			t.Fatalf("%s has no further page: %s", list, w.Body)
		}
		cursors[list] = page.Next
		if w := s.api("GET", list+"?limit=2&cursor="+url.QueryEscape(page.Next), one, ""); w.Code != 200 {
			t.Fatalf("an honest cursor: %d", w.Code)
		}
	}
	refused := func(path, token string) {
		t.Helper()
		if w := s.api("GET", path, token, ""); w.Code != http.StatusBadRequest {
			t.Errorf("%.150s: %d", path, w.Code)
		}
	}
	for list, cursor := range cursors {
		for i := range len(cursor) {
			for _, c := range []byte{'A', '_', 'z'} {
				if cursor[i] == c || i == len(cursor)-1 {
					continue // the last letter of base64 holds bits that nothing reads
				}
				refused(list+"?limit=2&cursor="+url.QueryEscape(cursor[:i]+string(c)+cursor[i+1:]), one)
			}
		}
		for _, bad := range []string{cursor[:len(cursor)-4], cursor + "AAAA", cursor + cursor, "x", "1", "-1", "' OR 1=1 --", "bWVtYmVyMQ==", "../x", "\x00", strings.Repeat("A", 1999), strings.Repeat("A", 2001)} {
			refused(list+"?cursor="+url.QueryEscape(bad), one)
		}
		refused(list+"?limit=2&cursor="+url.QueryEscape(cursor), two)
		for other, foreign := range cursors {
			if other != list {
				refused(list+"?cursor="+url.QueryEscape(foreign), one)
			}
		}
		for _, q := range []string{"limit=0", "limit=-1", "limit=201", "limit=1e3", "limit=2%20", "limit=2;", "limit=", "limit=99999999999999999999", "limit=1&limit=5000", "sort=username;DROP", "sort=password", "sort=(SELECT 1)", "order=desc",
			"state=x", "state=active'", "state=active%00", "after=a", "filter=a", "offset=1", "cursor[]=x", "where=1", "page=2"} {
			w := s.api("GET", list+"?"+strings.ReplaceAll(q, " ", "%20"), one, "")
			if strings.HasPrefix(q, "limit=") && (q == "limit=") && w.Code == 200 {
				continue // an empty parameter is none
			}
			if w.Code != http.StatusBadRequest && w.Code != http.StatusUnprocessableEntity {
				t.Errorf("%s?%s: %d %.200s", list, q, w.Code, w.Body)
			}
		}
	}
	refused("/admin/api/v1/people?state=active&limit=2&cursor="+url.QueryEscape(cursors["/admin/api/v1/people"]), one)
}
