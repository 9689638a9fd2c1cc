package bench

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
)

// House is what the operations need to know of the running Gatehouse.
type House struct {
	// Sign answers a challenge for one of the people with a passkey, by number from 0 to People-1.
	Sign   func(person int, options []byte) (json.RawMessage, error)
	People int
	// Guest gives the name of one of the people who sign in with a password alone, and Password is everybody's.
	Guest    func(n int) string
	Guests   int
	Password string
	// Members have a password and the app on a phone; none in a house without phones.
	Members []Member
	// Coder gives the name of one of the people with a password and passcodes, and Passcode what their app shows then.
	Coder    func(n int) string
	Coders   int
	Passcode func(n int, at time.Time) string
	// The application.
	ClientID, ClientSecret, RedirectURI string

	next atomic.Uint64
	used sync.Map // coder ─► *atomic.Int64, the last step asked for
}

// Member is somebody with a phone.
type Member struct {
	Name  string
	Phone *softphone.Phone
}

// Operations are what is measured, in the order of the report.
func (h *House) Operations() []Operation {
	return []Operation{
		{Name: PasskeySignIn, Do: h.signIn},
		{Name: CodeAndTokens, Prepare: h.signIn, Do: func(ctx context.Context, w *Worker) error {
			_, err := h.codeAndTokens(ctx, w, "openid profile")
			return err
		}},
		{Name: Refresh, Prepare: func(ctx context.Context, w *Worker) error { return h.hold(ctx, w) }, Do: h.refresh},
		{Name: PasswordSignIn, Do: h.passwordSignIn},
		{Name: Introspection, Prepare: func(ctx context.Context, w *Worker) error { return h.hold(ctx, w) }, Do: h.introspect},
		{Name: UserInfo, Prepare: func(ctx context.Context, w *Worker) error { return h.hold(ctx, w) }, Do: h.userInfo},
		{Name: Discovery, Do: func(ctx context.Context, w *Worker) error {
			_, err := w.Expect(ctx, http.StatusOK, Request{Method: http.MethodGet, Path: "/.well-known/openid-configuration"})
			return err
		}},
	}
}

// signIn is a stranger's browser that signs a person in with a passkey: the page, then the answer.
func (h *House) signIn(ctx context.Context, w *Worker) error {
	person := int(h.next.Add(1) % uint64(h.People))
	w.Forget()
	page, err := w.Expect(ctx, http.StatusOK, Request{Method: http.MethodGet, Path: "/signin", Page: true})
	if err != nil {
		return err
	}
	answer, err := h.Sign(person, []byte(Attribute(page.Body, "data-options")))
	if err != nil {
		return err
	}
	return h.arrive(w.Do(ctx, Request{Method: http.MethodPost, Path: "/signin/passkey", Page: true,
		Form: url.Values{"attempt": {Field(page.Body, "attempt")}, "answer": {string(answer)}}}))
}

// arrive checks that a sign-in ended at the applications and nowhere else.
func (h *House) arrive(a Answer, err error) error {
	if err == nil && (a.Status != http.StatusSeeOther || a.Location != "/apps") {
		err = fmt.Errorf("the sign-in did not end at the applications: status %d, to %q: %s", a.Status, a.Location, firstText(a.Body))
	}
	return err
}

// passwordSignIn is a stranger's browser: the page, the name, the password.
func (h *House) passwordSignIn(ctx context.Context, w *Worker) error {
	return h.arrive(h.typePassword(ctx, w, h.Guest(int(h.next.Add(1)%uint64(h.Guests)))))
}

// typePassword is a stranger's browser that types a name and a password.
func (h *House) typePassword(ctx context.Context, w *Worker, name string) (Answer, error) {
	w.Forget()
	page, err := w.Expect(ctx, http.StatusOK, Request{Method: http.MethodGet, Path: "/signin", Page: true})
	if err != nil {
		return Answer{}, err
	}
	next, err := w.Expect(ctx, http.StatusSeeOther, Request{Method: http.MethodPost, Path: "/signin", Page: true,
		Form: url.Values{"attempt": {Field(page.Body, "attempt")}, "name": {name}}})
	if err != nil {
		return Answer{}, err
	}
	if page, err = w.Expect(ctx, http.StatusOK, Request{Method: http.MethodGet, Path: next.Location, Page: true}); err != nil {
		return Answer{}, err
	}
	return w.Do(ctx, Request{Method: http.MethodPost, Path: "/signin/password", Page: true,
		Form: url.Values{"attempt": {Field(page.Body, "attempt")}, "answer": {h.Password}}})
}

// tokens are what a worker keeps.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
}

const verifier = "a-verifier-of-the-usual-length-43-characters"

// codeAndTokens is an application's sign-in for a browser that has a session: code with PKCE, then the tokens.
func (h *House) codeAndTokens(ctx context.Context, w *Worker, scope string) (tokens, error) {
	challenge := sha256.Sum256([]byte(verifier))
	q := url.Values{"response_type": {"code"}, "client_id": {h.ClientID}, "redirect_uri": {h.RedirectURI}, "scope": {scope},
		"state": {"a-state"}, "nonce": {"a-nonce"}, "code_challenge_method": {"S256"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}}
	a, err := w.Do(ctx, Request{Method: http.MethodGet, Path: "/oauth2/authorize?" + q.Encode(), Page: true})
	if err != nil {
		return tokens{}, err
	}
	to, err := url.Parse(a.Location)
	if err != nil || !strings.HasPrefix(a.Location, h.RedirectURI) || to.Query().Get("code") == "" {
		return tokens{}, fmt.Errorf("no code: status %d, to %q: %s", a.Status, a.Location, firstText(a.Body))
	}
	t, err := h.token(ctx, w, url.Values{"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")},
		"redirect_uri": {h.RedirectURI}, "code_verifier": {verifier}})
	if err == nil && (t.ID == "" || t.Access == "") {
		err = errors.New("the token answer lacks a token")
	}
	return t, err
}

func (h *House) token(ctx context.Context, w *Worker, form url.Values) (t tokens, err error) {
	a, err := w.Expect(ctx, http.StatusOK, Request{Method: http.MethodPost, Path: "/oauth2/token", Basic: [2]string{h.ClientID, h.ClientSecret}, Form: form})
	if err != nil {
		return tokens{}, err
	}
	return t, json.Unmarshal(a.Body, &t)
}

// hold signs in and keeps tokens that can be refreshed.
func (h *House) hold(ctx context.Context, w *Worker) error {
	if err := h.signIn(ctx, w); err != nil {
		return err
	}
	t, err := h.codeAndTokens(ctx, w, "openid profile offline_access")
	if err == nil && t.Refresh == "" {
		err = errors.New("no refresh token")
	}
	w.Keep = t
	return err
}

func (w *Worker) tokens() tokens {
	t, _ := w.Keep.(tokens)
	return t
}

func (h *House) refresh(ctx context.Context, w *Worker) error {
	t, err := h.token(ctx, w, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {w.tokens().Refresh}})
	if err == nil && (t.Refresh == "" || t.Refresh == w.tokens().Refresh) {
		err = errors.New("the refresh token did not change")
	}
	w.Keep = t
	return err
}

func (h *House) introspect(ctx context.Context, w *Worker) error {
	a, err := w.Expect(ctx, http.StatusOK, Request{Method: http.MethodPost, Path: "/oauth2/introspect",
		Basic: [2]string{h.ClientID, h.ClientSecret}, Form: url.Values{"token": {w.tokens().Access}}})
	if err == nil && !strings.Contains(string(a.Body), `"active":true`) {
		err = fmt.Errorf("the token is not active: %s", a.Body)
	}
	return err
}

func (h *House) userInfo(ctx context.Context, w *Worker) error {
	_, err := w.Expect(ctx, http.StatusOK, Request{Method: http.MethodGet, Path: "/oauth2/userinfo", Bearer: w.tokens().Access})
	return err
}
