package demo

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed static
var static embed.FS

// Sample is one sample application: an OpenID Connect relying party like any other, on top of go-oidc and x/oauth2.
// It knows of the house only its address and its own registration.
type Sample struct {
	// Kind is "library" or "records": what the site looks like.
	Kind, Name         string
	ClientID, Secret   string
	Issuer             string
	URL                string // its own address, without a trailing slash
	DemoURL            string
	Now                func() time.Time
	HTTP               *http.Client // to the house
	Log                *slog.Logger
	page               *template.Template
	mu                 sync.Mutex
	waiting            map[string]waiting // sign-ins under way, by state
	sessions           map[string]guest   // by cookie
	provider           *oidc.Provider
	endSessionEndpoint string
}

// waiting is a sign-in under way.
type waiting struct {
	browser, nonce, verifier string
	since                    time.Time
}

// guest is who is signed in here, as the ID token said.
type guest struct {
	idToken string
	claims  map[string]any
	known   Known
	since   time.Time
}

const (
	waitingFor  = 15 * time.Minute
	maxSessions = 500
)

// Handler builds the site.
func (s *Sample) Handler() (http.Handler, error) {
	var err error
	s.page, err = template.New("sample.html").Funcs(template.FuncMap{"claim": claimText}).ParseFS(templates, "templates/sample.html")
	if err != nil {
		return nil, err
	}
	s.waiting, s.sessions = map[string]waiting{}, map[string]guest{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("GET /login", s.login)
	mux.HandleFunc("GET /callback", s.callback)
	mux.HandleFunc("POST /signout", s.signOut)
	mux.Handle("GET /static/", http.FileServerFS(static))
	guard := http.NewCrossOriginProtection()
	return guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		http.MaxBytesHandler(mux, 64<<10).ServeHTTP(w, r)
	})), nil
}

// discover reads the house's metadata at first use: the house may start after its applications.
func (s *Sample) discover(ctx context.Context) (*oidc.Provider, *oauth2.Config, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.provider == nil {
		p, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), s.HTTP), s.Issuer)
		if err != nil {
			return nil, nil, err
		}
		var more struct {
			EndSession string `json:"end_session_endpoint"`
		}
		if err := p.Claims(&more); err != nil {
			return nil, nil, err
		}
		s.provider, s.endSessionEndpoint = p, more.EndSession
	}
	return s.provider, &oauth2.Config{ClientID: s.ClientID, ClientSecret: s.Secret, Endpoint: s.provider.Endpoint(),
		RedirectURL: s.URL + "/callback", Scopes: []string{oidc.ScopeOpenID, "profile"}}, nil
}

func (s *Sample) cookie() string { return "sample_" + s.Kind }

// browser is this browser's cookie; sites on one host share their cookies over ports, so the name is the site's own.
func (s *Sample) browser(w http.ResponseWriter, r *http.Request) string {
	if c, err := r.Cookie(s.cookie()); err == nil && len(c.Value) == 26 {
		return c.Value
	}
	id := rand.Text()
	s.setBrowser(w, id)
	return id
}

func (s *Sample) setBrowser(w http.ResponseWriter, id string) {
	u, _ := url.Parse(s.URL)
	http.SetCookie(w, &http.Cookie{Name: s.cookie(), Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: u != nil && u.Scheme == "https"})
}

// login sends the browser to the house: state, nonce and PKCE, each new and each bound to this browser.
func (s *Sample) login(w http.ResponseWriter, r *http.Request) {
	_, config, err := s.discover(r.Context())
	if err != nil {
		s.fail(w, http.StatusBadGateway, "The sign-in service does not answer.", err)
		return
	}
	state, wait := rand.Text(), waiting{browser: s.browser(w, r), nonce: rand.Text(), verifier: oauth2.GenerateVerifier(), since: time.Now()}
	s.mu.Lock()
	for k, v := range s.waiting {
		if time.Since(v.since) > waitingFor || len(s.waiting) > maxSessions {
			delete(s.waiting, k)
		}
	}
	s.waiting[state] = wait
	s.mu.Unlock()
	options := []oauth2.AuthCodeOption{oidc.Nonce(wait.nonce), oauth2.S256ChallengeOption(wait.verifier)}
	if r.FormValue("again") != "" {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"))
	}
	http.Redirect(w, r, config.AuthCodeURL(state, options...), http.StatusSeeOther)
}

// callback checks state and iss (RFC 9207), redeems the code and verifies the ID token.
func (s *Sample) callback(w http.ResponseWriter, r *http.Request) {
	q, browser := r.URL.Query(), s.browser(w, r)
	s.mu.Lock()
	wait, ok := s.waiting[q.Get("state")]
	delete(s.waiting, q.Get("state"))
	_, inside := s.sessions[browser]
	s.mu.Unlock()
	if !ok && inside { // the back button: what stands there was used, and its guest is inside
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	if !ok || wait.browser != browser || time.Since(wait.since) > waitingFor {
		s.fail(w, http.StatusBadRequest, "This sign-in was not begun in this browser, or waited too long. Begin again.", nil)
		return
	}
	if q.Get("iss") != s.Issuer {
		s.fail(w, http.StatusBadRequest, "The answer does not come from the sign-in service that was asked.", nil)
		return
	}
	if code := q.Get("error"); code != "" {
		s.fail(w, http.StatusForbidden, "The sign-in service did not let you in ("+code+").", nil)
		return
	}
	g, err := s.redeem(r.Context(), q.Get("code"), wait)
	if err != nil {
		s.fail(w, http.StatusBadGateway, "The sign-in could not be finished.", err)
		return
	}
	id := rand.Text() // a new cookie for a new standing
	s.mu.Lock()
	delete(s.sessions, wait.browser)
	for k := range s.sessions {
		if len(s.sessions) >= maxSessions {
			delete(s.sessions, k)
		}
	}
	s.sessions[id] = g
	s.mu.Unlock()
	s.setBrowser(w, id)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *Sample) redeem(ctx context.Context, code string, wait waiting) (guest, error) {
	provider, config, err := s.discover(ctx)
	if err != nil {
		return guest{}, err
	}
	ctx = oidc.ClientContext(ctx, s.HTTP)
	token, err := config.Exchange(ctx, code, oauth2.VerifierOption(wait.verifier))
	if err != nil {
		return guest{}, err
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: s.ClientID, Now: s.Now, SupportedSigningAlgs: []string{"ES256", "RS256"}}).Verify(ctx, raw)
	if err != nil {
		return guest{}, err
	}
	if id.Nonce != wait.nonce {
		return guest{}, fmt.Errorf("the ID token's nonce is another sign-in's")
	}
	g := guest{idToken: raw, since: s.Now()}
	if err := id.Claims(&g.claims); err != nil {
		return guest{}, err
	}
	info, err := provider.UserInfo(ctx, config.TokenSource(ctx, token))
	if err != nil {
		return guest{}, err
	}
	if info.Subject != id.Subject {
		return guest{}, fmt.Errorf("userinfo speaks of somebody else")
	}
	var profile map[string]any
	if err := info.Claims(&profile); err != nil {
		return guest{}, err
	}
	for name, value := range profile {
		if _, ok := g.claims[name]; !ok {
			g.claims[name] = value
		}
	}
	g.known = know(g.claims)
	return g, nil
}

// signOut ends the site's own session and leads to the house's (OpenID Connect RP-Initiated Logout 1.0).
func (s *Sample) signOut(w http.ResponseWriter, r *http.Request) {
	id := s.browser(w, r)
	s.mu.Lock()
	g, ok := s.sessions[id]
	delete(s.sessions, id)
	end := s.endSessionEndpoint
	s.mu.Unlock()
	if !ok || end == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	http.Redirect(w, r, end+"?"+url.Values{"id_token_hint": {g.idToken}, "client_id": {s.ClientID},
		"post_logout_redirect_uri": {s.URL + "/"}}.Encode(), http.StatusSeeOther)
}

// view is what the page shows.
type view struct {
	*Sample
	Guest  *guest
	Known  Known
	Claims []row
	Error  string
	Ago    string
}

type row struct{ Name, Value string }

func (s *Sample) home(w http.ResponseWriter, r *http.Request) {
	v := view{Sample: s}
	id := s.browser(w, r)
	s.mu.Lock()
	g, ok := s.sessions[id]
	s.mu.Unlock()
	if ok {
		v.Guest, v.Known = &g, g.known
		v.Ago = ago(s.Now().Sub(g.known.At))
		for name, value := range g.claims {
			v.Claims = append(v.Claims, row{name, claimText(name, value)})
		}
		slices.SortFunc(v.Claims, func(a, b row) int { return compare(a.Name, b.Name) })
	}
	s.render(w, http.StatusOK, v)
}

func (s *Sample) fail(w http.ResponseWriter, status int, text string, cause error) {
	if cause != nil {
		s.Log.Warn("sample application", "site", s.Name, "error", cause)
	}
	s.render(w, status, view{Sample: s, Error: text})
}

func (s *Sample) render(w http.ResponseWriter, status int, v view) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := s.page.Execute(w, v); err != nil {
		s.Log.Warn("sample application", "site", s.Name, "error", err)
	}
}

// claimText writes a claim as the table shows it; times get their date beside them.
func claimText(name string, value any) string {
	raw, err := json.Marshal(value)
	if err != nil {
		return "?"
	}
	text := string(raw)
	if s, ok := value.(string); ok {
		text = s
	}
	if n, ok := value.(float64); ok && slices.Contains([]string{"exp", "iat", "auth_time", "nbf", "updated_at"}, name) {
		text += "  (" + time.Unix(int64(n), 0).UTC().Format("2 Jan 2006 15:04:05 MST") + ")"
	}
	return text
}
