package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/e2e/visitor"
	"github.com/gatehouse-id/gatehouse/internal/demo"
)

// walk signs p in without JavaScript, from wherever page is: the name, the password and, if asked, a passcode.
func (c *campus) walk(v *visitor.Visitor, page *visitor.Page, p demo.Person, passcode bool) *visitor.Page {
	c.t.Helper()
	ctx := context.Background()
	page, err := page.Press(ctx, "Continue", visitor.Fields{"Username or email address": p.Username})
	must(c.t, err)
	page, err = page.Press(ctx, "Continue", visitor.Fields{"Password": p.Password})
	must(c.t, err)
	if passcode {
		page, err = page.Press(ctx, "Sign in", visitor.Fields{"Passcode": c.code(p)})
		must(c.t, err)
	}
	return page
}

func (c *campus) open(v *visitor.Visitor, address string) *visitor.Page {
	c.t.Helper()
	page, err := v.Open(context.Background(), address)
	must(c.t, err)
	return page
}

const codeVerifier = "a-verifier-of-the-usual-length-43-characters"

// authorize is an authorization request of the Library, with more parameters.
func (c *campus) authorize(more url.Values) string {
	app := c.client("Library")
	challenge := sha256.Sum256([]byte(codeVerifier))
	q := url.Values{"response_type": {"code"}, "client_id": {app.ClientID}, "redirect_uri": {app.RedirectURIs[0]}, "scope": {"openid profile offline_access"},
		"state": {"a-state"}, "code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}}
	for k, v := range more {
		q[k] = v
	}
	return c.Issuer + "/oauth2/authorize?" + q.Encode()
}

func (c *campus) client(name string) demo.Application {
	c.t.Helper()
	i := slices.IndexFunc(c.Applications, func(a demo.Application) bool { return a.Name == name })
	if i < 0 {
		c.t.Fatalf("no application %s", name)
	}
	return c.Applications[i]
}

// token asks the token endpoint as the Library.
func (c *campus) token(form url.Values) (status int, answer map[string]any) {
	c.t.Helper()
	app := c.client("Library")
	r, err := http.NewRequest(http.MethodPost, c.Issuer+"/oauth2/token", strings.NewReader(form.Encode()))
	must(c.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(app.ClientID), url.QueryEscape(app.ClientSecret))
	return c.call(r)
}

// admin asks the administrators' API.
func (c *campus) admin(method, path string, body any) (status int, answer map[string]any) {
	c.t.Helper()
	var text bytes.Buffer
	if body != nil {
		must(c.t, json.NewEncoder(&text).Encode(body))
	}
	r, err := http.NewRequest(method, c.BaseURL+"/admin/api/v1"+path, &text)
	must(c.t, err)
	r.Header.Set("Authorization", "Bearer "+c.AdminToken)
	r.Header.Set("Content-Type", "application/json")
	return c.call(r)
}

func (c *campus) call(r *http.Request) (status int, answer map[string]any) {
	c.t.Helper()
	resp, err := http.DefaultClient.Do(r)
	must(c.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(c.t, err)
	if len(text) > 0 {
		must(c.t, json.Unmarshal(text, &answer))
	}
	return resp.StatusCode, answer
}

// tokens gives v, who is signed in, the Library's tokens.
func (c *campus) tokens(v *visitor.Visitor) map[string]any {
	c.t.Helper()
	before := len(v.Visited())
	page, code := c.open(v, c.authorize(nil)), ""
	for _, address := range v.Visited()[before:] { // the Library leads on from its callback
		if u, err := url.Parse(address); err == nil && u.Query().Get("code") != "" {
			code = u.Query().Get("code")
		}
	}
	if code == "" {
		c.t.Fatalf("no code at %s: %s", page.URL, page.Text())
	}
	status, answer := c.token(url.Values{"grant_type": {"authorization_code"}, "code": {code},
		"redirect_uri": {c.client("Library").RedirectURIs[0]}, "code_verifier": {codeVerifier}})
	if status != http.StatusOK || answer["refresh_token"] == nil {
		c.t.Fatalf("status %d: %v", status, answer)
	}
	return answer
}

func signedIn(page *visitor.Page) bool {
	return strings.HasPrefix(page.URL.Path, "/apps") && page.Status == http.StatusOK
}

func TestG8_EndedSessionAndSuspendedPersonAreOutAtOnce(t *testing.T) {
	t.Parallel()
	c := newCampus(t, t.TempDir())
	ada := c.person("ada.sample")
	here, there := visitor.New(), visitor.New()
	for _, v := range []*visitor.Visitor{here, there} {
		if page := c.walk(v, c.open(v, c.BaseURL+"/signin"), ada, true); !signedIn(page) {
			t.Fatalf("not signed in: %s", page.Text())
		}
	}
	held := c.tokens(here)

	// An administrator ends one of the two sessions.
	status, person := c.admin(http.MethodGet, "/people/"+ada.Username, nil)
	if status != http.StatusOK {
		t.Fatalf("status %d: %v", status, person)
	}
	id := person["id"].(string)
	status, list := c.admin(http.MethodGet, "/people/"+id+"/sessions", nil)
	sessions, _ := list["sessions"].([]any)
	if status != http.StatusOK || len(sessions) != 2 {
		t.Fatalf("status %d: %v", status, list)
	}
	one := sessions[0].(map[string]any)["id"].(string)
	if status, answer := c.admin(http.MethodDelete, "/people/"+id+"/sessions/"+one, nil); status/100 != 2 {
		t.Fatalf("status %d: %v", status, answer)
	}
	in := 0
	for _, v := range []*visitor.Visitor{here, there} {
		if signedIn(c.open(v, c.BaseURL+"/apps")) {
			in++
		}
	}
	if in != 1 {
		t.Errorf("%d of 2 sessions live after one was ended", in)
	}

	// Then the person is suspended: everything dies, at every door.
	if status, answer := c.admin(http.MethodPost, "/people/"+id+"/suspend", map[string]string{"why": "test"}); status/100 != 2 {
		t.Fatalf("status %d: %v", status, answer)
	}
	for _, v := range []*visitor.Visitor{here, there} {
		if signedIn(c.open(v, c.BaseURL+"/apps")) {
			t.Error("a session outlived its person's suspension")
		}
		if page := c.open(v, c.authorize(nil)); page.URL.Query().Get("code") != "" {
			t.Error("a code was issued to a suspended person")
		}
	}
	if status, answer := c.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {held["refresh_token"].(string)}}); status != http.StatusBadRequest || answer["error"] != "invalid_grant" {
		t.Errorf("refresh: status %d: %v", status, answer)
	}
	r, err := http.NewRequest(http.MethodGet, c.Issuer+"/oauth2/userinfo", nil)
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+held["access_token"].(string))
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("userinfo: status %d", resp.StatusCode)
	}
}

func TestG12_NoSecretInAnAddress(t *testing.T) {
	t.Parallel()
	c := newCampus(t, t.TempDir())
	ada, v := c.person("ada.sample"), visitor.New()
	page := c.open(v, c.app("Library"))
	page, err := page.Press(context.Background(), "Sign in with your campus account", nil)
	must(t, err)
	attempt := page.URL.String()
	page = c.walk(v, page, ada, true)
	if !page.Says("Welcome to your library") {
		t.Fatalf("not at the Library: %s", page.Text())
	}
	held := c.tokens(v)
	for _, at := range []string{"/apps", "/security", "/security/add", "/security/add/totp", "/help", "/signout"} {
		c.open(v, c.BaseURL+at)
	}
	canaries := map[string]string{"password": ada.Password, "authenticator secret": ada.TOTPSecret, "admin token": c.AdminToken,
		"client secret": c.client("Library").ClientSecret, "access token": held["access_token"].(string), "refresh token": held["refresh_token"].(string)}
	for _, name := range []string{"__Host-gatehouse", "__Host-gatehouse-browser"} {
		if canaries[name] = v.Cookie("localhost", name); canaries[name] == "" {
			t.Fatalf("no cookie %s", name)
		}
	}
	visited := v.Visited()
	if len(visited) < 12 {
		t.Fatalf("only %d addresses were visited", len(visited))
	}
	for what, canary := range canaries {
		for _, address := range visited {
			if strings.Contains(address, canary) || strings.Contains(address, url.QueryEscape(canary)) {
				t.Errorf("the %s stands in the address %s", what, address)
			}
		}
	}

	// What does stand in an address is worth nothing in another browser.
	stranger := visitor.New()
	page = c.open(stranger, attempt)
	if page.Says(ada.Username) || page.Says("Enter your passcode") || page.Status >= 500 {
		t.Errorf("a stranger with the attempt's address sees: %s", page.Text())
	}
	if signedIn(c.open(stranger, c.BaseURL+"/apps")) {
		t.Error("a stranger with the attempt's address is signed in")
	}
}

func TestG13_PasswordAloneReachesNoCode(t *testing.T) {
	t.Parallel()
	c := newCampus(t, t.TempDir())
	ada, v := c.person("ada.sample"), visitor.New()
	page := c.walk(v, c.open(v, c.BaseURL+"/signin"), ada, false)
	if !page.Says("Enter your passcode") {
		t.Fatalf("the page after the password says: %s", page.Text())
	}
	for name, more := range map[string]url.Values{"plainly": nil, "with a hint": {"login_hint": {ada.Username}}, "again": {"prompt": {"login"}},
		"by age": {"max_age": {"3600"}}, "by form": {"response_mode": {"form_post"}}, "modestly": {"acr_values": {"https://refeds.org/profile/sfa"}}} {
		page := c.open(v, c.authorize(more))
		if page.URL.Host != strings.TrimPrefix(c.BaseURL, "http://") || strings.Contains(page.Body, "name=\"code\" value") {
			t.Errorf("asked %s it led to %s: %s", name, page.URL, page.Text())
		}
		if !page.Says("Username or email address") && !page.Says("Enter your passcode") && !page.Says("Enter your password") {
			t.Errorf("asked %s it does not go on with the sign-in: %s", name, page.Text())
		}
	}
	page = c.open(v, c.authorize(url.Values{"prompt": {"none"}}))
	if q := page.URL.Query(); q.Get("code") != "" || !slices.Contains([]string{"login_required", "interaction_required"}, q.Get("error")) {
		t.Errorf("asked not to ask it answered %s", page.URL)
	}
	for _, at := range []string{"/apps", "/security", "/security/add/passkey"} {
		if page := c.open(v, c.BaseURL+at); page.URL.Path != "/signin" {
			t.Errorf("%s is open after the password alone: %s", at, fmt.Sprint(page.URL))
		}
	}
}
