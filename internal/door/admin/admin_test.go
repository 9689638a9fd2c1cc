package admin_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/door/admin"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

var update = flag.Bool("update", false, "write docs/openapi.json anew")

func TestDescriptionIsTheCommittedOne(t *testing.T) {
	have, err := newHouse(t).api.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	const file = "../../../docs/openapi.json"
	if *update {
		if err := os.WriteFile(file, have, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Error("docs/openapi.json is not what the door serves: look at the difference, then run this test with -update")
	}
}

func TestPeopleFromAddToReset(t *testing.T) {
	h := newHouse(t)
	all := h.token(manage.Scopes()...)
	var p admin.Person
	h.ok(all, "POST", prefix+"/people", `{"username":"ada","email":"ada@example.org","groups":["staff","staff"],"roles":["auditor"]}`, &p)
	if p.State != "invited" || len(p.Groups) != 1 || p.Version == 0 {
		t.Fatalf("%+v", p)
	}
	h.ok(all, "PUT", prefix+"/people/"+p.ID, fmt.Sprintf(`{"username":"ada","given_name":"Ada","version":%d}`, p.Version), &p)
	if w := h.call(all, "PUT", prefix+"/people/"+p.ID, fmt.Sprintf(`{"username":"ada","given_name":"Bea","version":%d}`, p.Version-1)); w.Code != 409 {
		t.Errorf("a stale version: %d", w.Code)
	}
	var got admin.Person
	h.ok(all, "GET", prefix+"/people/ada", "", &got)
	if got.GivenName != "Ada" || got.ID != p.ID || got.Version != p.Version {
		t.Errorf("%+v, want %+v", got, p)
	}
	var issued struct{ Secret string }
	h.ok(all, "POST", prefix+"/people/"+p.ID+"/invite", "", &issued)
	if len(issued.Secret) < 26 {
		t.Errorf("secret %q", issued.Secret)
	}
	h.ok(all, "POST", prefix+"/people/"+p.ID+"/suspend", `{"why":"test"}`, nil)
	h.ok(all, "POST", prefix+"/people/"+p.ID+"/restore", `{"why":"test"}`, nil)
	h.ok(all, "POST", prefix+"/people/"+p.ID+"/reset", `{"why":"test"}`, &issued)
	for _, act := range []string{"person.added done", "person.changed done", "invitation.issued done", "person.suspended done", "person.restored done", "person.reset done"} {
		if !strings.Contains(strings.Join(h.trail(), "\n"), act+" token:") {
			t.Errorf("no %q in the trail", act)
		}
	}
}

func TestG8_SuspendingEndsSessionsAtOnce(t *testing.T) {
	h := newHouse(t)
	p := h.person("ada")
	if err := h.db.InTx(t.Context(), func(tx *store.Tx) error {
		for i := range 3 {
			s := session.Session{ID: fmt.Sprint("s", i), TokenHash: []byte{byte(i)}, Person: string(p.ID), Created: h.now, LastSeen: h.now, Expires: h.now.Add(time.Hour)}
			if err := tx.AddSession(t.Context(), s); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	all := h.token(manage.Scopes()...)
	var ended struct{ Ended int }
	h.ok(all, "DELETE", prefix+"/people/"+string(p.ID)+"/sessions/s1", "", &ended)
	var open struct{ Sessions []admin.Session }
	h.ok(all, "GET", prefix+"/people/"+string(p.ID)+"/sessions", "", &open)
	if ended.Ended != 1 || len(open.Sessions) != 2 {
		t.Fatalf("ended %d, open %d", ended.Ended, len(open.Sessions))
	}
	h.ok(all, "POST", prefix+"/people/"+string(p.ID)+"/suspend", `{"why":"left"}`, nil)
	h.ok(all, "GET", prefix+"/people/"+string(p.ID)+"/sessions", "", &open)
	if len(open.Sessions) != 0 {
		t.Errorf("%d sessions outlived the suspension", len(open.Sessions))
	}
}

// routes are every route of the API with a valid body and the scope that it takes.
func routes(person, other, app string) []struct {
	verb, path, body string
	scope            manage.Scope
} {
	type r = struct {
		verb, path, body string
		scope            manage.Scope
	}
	p := prefix + "/people/" + person
	return []r{
		{"GET", prefix + "/people", "", manage.PeopleRead},
		{"POST", prefix + "/people", `{"username":"new"}`, manage.PeopleWrite},
		{"GET", p, "", manage.PeopleRead},
		{"PUT", p, `{"username":"ada","version":1}`, manage.PeopleWrite},
		{"POST", p + "/suspend", `{"why":"x"}`, manage.PeopleWrite},
		{"POST", p + "/restore", `{"why":"x"}`, manage.PeopleWrite},
		{"POST", p + "/invite", "", manage.PeopleWrite},
		{"POST", p + "/invite-by-mail", "", manage.PeopleWrite},
		{"POST", p + "/reset", `{"why":"x"}`, manage.PeopleWrite},
		{"GET", p + "/challenges", "", manage.PeopleRead},
		{"GET", prefix + "/incidents?state=all", "", manage.IncidentsRead},
		{"POST", prefix + "/incidents/" + other + "/close", `{"why":"x"}`, manage.IncidentsWrite},
		{"GET", p + "/sessions", "", manage.PeopleRead},
		{"DELETE", p + "/sessions", "", manage.PeopleWrite},
		{"DELETE", p + "/sessions/" + other, "", manage.PeopleWrite},
		{"GET", prefix + "/applications", "", manage.AppsRead},
		{"POST", prefix + "/applications", `{"name":"A","client":{"redirect_uris":["https://a.example/cb"]}}`, manage.AppsWrite},
		{"GET", prefix + "/applications/" + app, "", manage.AppsRead},
		{"POST", prefix + "/applications/" + app + "/secret", `{}`, manage.AppsWrite},
		{"POST", prefix + "/applications/" + app + "/close", "", manage.AppsWrite},
		{"POST", prefix + "/applications/" + app + "/open", "", manage.AppsWrite},
		{"GET", prefix + "/policy", "", manage.PolicyRead},
		{"PUT", prefix + "/policy", `{"policy":{"version":0,"rules":[]},"why":"x"}`, manage.PolicyWrite},
		{"GET", prefix + "/policy/history", "", manage.PolicyRead},
		{"GET", prefix + "/audit", "", manage.AuditRead},
		{"GET", prefix + "/stats", "", manage.PeopleRead},
		{"GET", prefix + "/tokens", "", manage.TokensRead},
		{"POST", prefix + "/tokens", `{"name":"n","scopes":["people:read"],"days":1}`, manage.TokensWrite},
		{"DELETE", prefix + "/tokens/nobody", "", manage.TokensWrite},
	}
}

func TestG128_EveryRouteWantsAToken(t *testing.T) {
	h := newHouse(t)
	live := h.token(manage.Scopes()...)
	h.now = h.now.Add(31 * 24 * time.Hour) // the token has expired
	known := 0
	var first string
	for _, r := range routes("x", "y", "z") {
		for name, token := range map[string]string{"none": "", "expired": live, "made up": "gha_" + secret.Token(32).Reveal(), "huge": strings.Repeat("a", 5000)} {
			w := h.call(token, r.verb, r.path, r.body)
			if w.Code != 401 || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s %s with %s token: %d", r.verb, r.path, name, w.Code)
			}
			if body := w.Body.String(); first == "" {
				first = body
			} else if body != first {
				t.Errorf("%s %s with %s token answers unlike the others: %s", r.verb, r.path, name, body)
			}
		}
		known++
	}
	if have := len(strings.Split(strings.TrimSpace(strings.Join(h.door.Routes(), "\n")), "\n")); have != known+2 {
		t.Errorf("the door has %d routes, this test knows %d and the description and the fallback", have, known)
	}
	for _, path := range []string{prefix + "/", prefix + "/nothing", prefix + "/people/x/y/z"} {
		if w := h.call("", "GET", path, ""); w.Code != 401 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := h.call("", "GET", prefix+"/openapi.json", ""); w.Code != 200 {
		t.Errorf("the description: %d", w.Code)
	}
	for _, odd := range []string{"?access_token=" + live, "?token=" + live} {
		if w := h.call("", "GET", prefix+"/people"+odd, ""); w.Code != 401 {
			t.Errorf("a token in the query: %d", w.Code)
		}
	}
}

func TestG132_OnlyTheScopeOpensTheRoute(t *testing.T) {
	h := newHouse(t)
	tokens := map[manage.Scope]string{}
	for _, s := range manage.Scopes() {
		tokens[s] = h.token(s)
	}
	ada, ben := h.person("ada"), h.person("ben")
	if err := h.db.InTx(t.Context(), func(tx *store.Tx) error {
		return tx.AddSession(t.Context(), session.Session{ID: "bens", TokenHash: []byte{1}, Person: string(ben.ID), Expires: h.now.Add(time.Hour)})
	}); err != nil {
		t.Fatal(err)
	}
	app, _, err := h.flow.AddApplication(t.Context(), h.root, apps.Application{Name: "A", OIDC: apps.OIDC{RedirectURIs: []string{"https://a.example/cb"}}}, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes(string(ada.ID), "bens", app.ID) {
		for scope, token := range tokens {
			w := h.call(token, r.verb, r.path, r.body)
			if scope != r.scope && w.Code != 403 {
				t.Errorf("%s %s with %s: %d, want 403", r.verb, r.path, scope, w.Code)
			}
			if scope == r.scope && (w.Code == 403 || w.Code == 401 || w.Code >= 500) {
				t.Errorf("%s %s with its own scope: %d %s", r.verb, r.path, w.Code, w.Body)
			}
		}
	}
	// Somebody else's session cannot be ended through ada.
	if err := h.db.View(t.Context(), func(tx *store.Tx) error { _, err := tx.SessionByID(t.Context(), "bens"); return err }); err != nil {
		t.Errorf("ben's session was ended through ada: %v", err)
	}
	if !strings.Contains(strings.Join(h.trail(), "\n"), "person.suspended refused token:") {
		t.Error("refusals are not in the trail")
	}
}

func TestTokensNeverGrantMoreThanTheirMakerHas(t *testing.T) {
	h := newHouse(t)
	some := h.token(manage.TokensWrite, manage.PeopleRead)
	if w := h.call(some, "POST", prefix+"/tokens", `{"name":"n","scopes":["people:write"],"days":1}`); w.Code != 400 {
		t.Errorf("a stronger token: %d %s", w.Code, w.Body)
	}
	var made struct{ Value string }
	h.ok(some, "POST", prefix+"/tokens", `{"name":"n","scopes":["people:read"],"days":1}`, &made)
	h.ok(made.Value, "GET", prefix+"/people", "", nil)
	h.ok(some, "DELETE", prefix+"/tokens/n", "", nil)
	if w := h.call(made.Value, "GET", prefix+"/people", ""); w.Code != 401 {
		t.Errorf("a removed token: %d", w.Code)
	}
}

func TestG133_CursorsAreOurs(t *testing.T) {
	h := newHouse(t)
	for i := range 7 {
		h.person(fmt.Sprintf("p%02d", i))
	}
	a, b := h.token(manage.Scopes()...), h.token(manage.Scopes()...)
	var page struct {
		People []admin.Person
		Next   string
	}
	seen := map[string]bool{}
	path := prefix + "/people?limit=3"
	for range 4 {
		page.Next, page.People = "", nil
		h.ok(a, "GET", path, "", &page)
		for _, p := range page.People {
			seen[p.Username] = true
		}
		if page.Next == "" {
			break
		}
		path = prefix + "/people?limit=3&cursor=" + page.Next
	}
	if len(seen) != 7 || page.Next != "" {
		t.Fatalf("paging gave %v and ends with %q", seen, page.Next)
	}
	h.ok(a, "GET", prefix+"/people?limit=3", "", &page)
	raw, err := base64.RawURLEncoding.DecodeString(page.Next)
	if err != nil {
		t.Fatal(err)
	}
	bad := []string{"", "' OR 1=1 --", "p03", base64.RawURLEncoding.EncodeToString([]byte(`"p03"`)), page.Next + "A", page.Next[1:], strings.ToUpper(page.Next)}
	for i := range raw {
		raw[i] ^= 1
		bad = append(bad, base64.RawURLEncoding.EncodeToString(raw))
		raw[i] ^= 1
	}
	for _, cursor := range bad[1:] {
		if w := h.call(a, "GET", prefix+"/people?cursor="+url.QueryEscape(cursor), ""); w.Code != 400 {
			t.Fatalf("cursor %q: %d", cursor, w.Code)
		}
	}
	for what, path := range map[string]string{
		"another question": prefix + "/people?state=active&cursor=" + page.Next, "another list": prefix + "/audit?cursor=" + page.Next,
	} {
		if w := h.call(a, "GET", path, ""); w.Code != 400 {
			t.Errorf("a cursor of %s: %d", what, w.Code)
		}
	}
	if w := h.call(b, "GET", prefix+"/people?cursor="+page.Next, ""); w.Code != 400 {
		t.Errorf("another token's cursor: %d", w.Code)
	}
	for _, q := range []string{"limit=0", "limit=-1", "limit=201", "limit=1e9", "limit=x", "limit=1%20OR%201", "state=any", "state=%27", "sort=password", "sort=username;drop",
		"cursor=" + strings.Repeat("a", 3000)} {
		if w := h.call(a, "GET", prefix+"/people?"+q, ""); w.Code != 400 {
			t.Errorf("%s: %d %s", q, w.Code, w.Body)
		}
	}
	for _, q := range []string{"unknown=1", "order=desc"} {
		if w := h.call(a, "GET", prefix+"/people?"+q, ""); w.Code != 422 {
			t.Errorf("%s: %d", q, w.Code)
		}
	}
	h.now = h.now.Add(25 * time.Hour)
	late := h.token(manage.PeopleRead)
	if w := h.call(late, "GET", prefix+"/people?cursor="+page.Next, ""); w.Code != 400 {
		t.Errorf("yesterday's cursor: %d", w.Code)
	}
}

func TestG107_G136_NothingSecretIsEverShown(t *testing.T) {
	h := newHouse(t)
	p := h.person("ada")
	canaries := []string{"CANARY-seed", "CANARY-cookie", "CANARY-browser"}
	if err := h.db.InTx(t.Context(), func(tx *store.Tx) error {
		if err := tx.AddCredential(t.Context(), method.Credential{ID: "c1", Person: string(p.ID), Kind: method.TOTP, State: []byte(canaries[0]), Created: h.now}); err != nil {
			return err
		}
		return tx.AddSession(t.Context(), session.Session{ID: "s1", TokenHash: []byte(canaries[1]), Browser: []byte(canaries[2]), Person: string(p.ID),
			Expires: h.now.Add(time.Hour)})
	}); err != nil {
		t.Fatal(err)
	}
	canaries = append(canaries, h.phoneSecrets(p)...)
	all := h.token(manage.Scopes()...)
	canaries = append(canaries, all)
	var made struct {
		Application  admin.Application
		ClientSecret string `json:"client_secret"`
	}
	h.ok(all, "POST", prefix+"/applications", `{"name":"A","client":{"redirect_uris":["https://a.example/cb"]}}`, &made)
	var issued struct{ Secret string }
	h.ok(all, "POST", prefix+"/people/"+string(p.ID)+"/invite", "", &issued)
	var second struct {
		ClientSecret string `json:"client_secret"`
	}
	h.ok(all, "POST", prefix+"/applications/"+made.Application.ID+"/secret", `{}`, &second)
	canaries = append(canaries, made.ClientSecret, second.ClientSecret, issued.Secret)
	hidden := map[string]string{}
	for _, c := range canaries {
		if len(c) < 10 {
			t.Fatalf("canary %q", c)
		}
		hash := secret.Hash(c)
		for _, form := range []string{c, base64.StdEncoding.EncodeToString([]byte(c)), base64.StdEncoding.EncodeToString(hash), base64.RawURLEncoding.EncodeToString(hash),
			fmt.Sprintf("%x", hash), fmt.Sprintf("%x", c)} {
			hidden[form] = c
		}
	}
	for _, r := range routes(string(p.ID), "s1", made.Application.ID) {
		if r.verb != "GET" {
			continue
		}
		body := h.call(all, r.verb, r.path, "").Body.String()
		for form, c := range hidden {
			if strings.Contains(body, form) {
				t.Errorf("%s shows %s", r.path, c)
			}
		}
	}
}

func TestG141_NoEntryNoAct(t *testing.T) {
	h := newHouse(t)
	ada := h.person("ada")
	all := h.token(manage.Scopes()...)
	h.failRecord = true
	p := prefix + "/people/" + string(ada.ID)
	for _, r := range []struct{ verb, path, body string }{
		{"POST", prefix + "/people", `{"username":"ghost"}`}, {"PUT", p, `{"username":"ada","given_name":"X","version":1}`},
		{"POST", p + "/suspend", `{"why":"x"}`}, {"POST", p + "/invite", ""}, {"POST", p + "/reset", `{"why":"x"}`},
		{"PUT", prefix + "/policy", `{"policy":{"version":0,"rules":[]},"why":"x"}`},
		{"POST", prefix + "/tokens", `{"name":"ghost","scopes":["people:read"],"days":1}`},
	} {
		w := h.call(all, r.verb, r.path, r.body)
		if w.Code != 500 || strings.Contains(w.Body.String(), "no space") {
			t.Errorf("%s %s: %d %s", r.verb, r.path, w.Code, w.Body)
		}
	}
	h.failRecord = false
	var got admin.Person
	h.ok(all, "GET", prefix+"/people/ada", "", &got)
	if got.State != "invited" || got.GivenName != "" || got.Version != 1 {
		t.Errorf("an act without its entry changed ada: %+v", got)
	}
	if w := h.call(all, "GET", prefix+"/people/ghost", ""); w.Code != 404 {
		t.Errorf("an act without its entry made a person: %d", w.Code)
	}
	var history struct{ Versions []admin.Version }
	h.ok(all, "GET", prefix+"/policy/history", "", &history)
	if len(history.Versions) != 0 {
		t.Errorf("an act without its entry changed the policy")
	}
}

func TestPolicyIsVersionedWithWhoAndWhy(t *testing.T) {
	h := newHouse(t)
	all := h.token(manage.Scopes()...)
	var got struct{ Policy json.RawMessage }
	h.ok(all, "GET", prefix+"/policy", "", &got)
	body := func(why string) string { return fmt.Sprintf(`{"policy":%s,"why":%q}`, got.Policy, why) }
	var v struct{ Version int64 }
	h.ok(all, "PUT", prefix+"/policy", body("first"), &v)
	if w := h.call(all, "PUT", prefix+"/policy", body("from a stale reading")); w.Code != 409 {
		t.Errorf("a stale policy: %d %s", w.Code, w.Body)
	}
	for what, bad := range map[string]string{
		"no reason":     body(""),
		"unknown field": `{"policy":{"version":1,"rules":[],"colour":"blue"},"why":"x"}`,
		"unknown rule":  `{"policy":{"version":1,"rules":[{"name":"r","state":"on","grant":{"strength":"unheard-of"}}]},"why":"x"}`,
		"not even JSON": `{`,
		"spreadsheet":   fmt.Sprintf(`{"policy":%s,"why":"=cmd"}`, got.Policy),
	} {
		if w := h.call(all, "PUT", prefix+"/policy", bad); w.Code != 400 && w.Code != 422 {
			t.Errorf("%s: %d %s", what, w.Code, w.Body)
		}
	}
	var history struct{ Versions []admin.Version }
	h.ok(all, "GET", prefix+"/policy/history", "", &history)
	if len(history.Versions) != 1 || history.Versions[0].Why != "first" || !strings.HasPrefix(history.Versions[0].By, "token:") || history.Versions[0].Version != v.Version {
		t.Errorf("history %+v", history.Versions)
	}
}

func TestG134_NamesCannotCarryOrders(t *testing.T) {
	h := newHouse(t)
	all := h.token(manage.Scopes()...)
	for _, name := range []string{"=cmd|calc", "+1", "-1", "@SUM(A1)", "a\nb", "a\rb", "\x1b[31m", "a\u202eb", "a\u0000b", strings.Repeat("x", 500)} {
		raw, _ := json.Marshal(map[string]any{"username": "evil", "display_name": name})
		if w := h.call(all, "POST", prefix+"/people", string(raw)); w.Code != 400 && w.Code != 422 {
			t.Errorf("display name %q: %d", name, w.Code)
		}
		raw, _ = json.Marshal(map[string]any{"username": "evil", "groups": []string{name}})
		if w := h.call(all, "POST", prefix+"/people", string(raw)); w.Code != 400 && w.Code != 422 {
			t.Errorf("group %q: %d", name, w.Code)
		}
	}
	if w := h.call(all, "POST", prefix+"/people", `{"username":"a","is_admin":true}`); w.Code != 422 {
		t.Errorf("an unknown field: %d", w.Code)
	}
}

func TestAuditPagesOverAllChains(t *testing.T) {
	h := newHouse(t)
	for i := range 9 {
		h.person(fmt.Sprint("p", i))
		h.now = h.now.Add(time.Second)
	}
	all := h.token(manage.Scopes()...)
	path, seen, last := prefix+"/audit?limit=4", map[string]bool{}, time.Time{}
	for path != "" {
		var page struct {
			Entries []admin.Entry
			Next    string
		}
		h.ok(all, "GET", path, "", &page)
		for _, e := range page.Entries {
			if !last.IsZero() && e.At.After(last) {
				t.Errorf("%s/%d is newer than the entry before it", e.Chain, e.Seq)
			}
			seen[fmt.Sprint(e.Chain, e.Seq)], last = true, e.At
		}
		if path = ""; page.Next != "" {
			path = prefix + "/audit?limit=4&cursor=" + page.Next
		}
	}
	if len(seen) != 10 {
		t.Errorf("%d entries, want 9 people and a token", len(seen))
	}
}
