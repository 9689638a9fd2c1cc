package web

import (
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/wake"
)

// Deps are what the pages need. All but Answers, Hub, AppURL, PasswordLeast and Log are required.
type Deps struct {
	Pages     *Pages
	Door      *httpdoor.Door
	SignIn    SignIn
	Security  Security
	Catalogue Catalogue
	// Answers computes the help page's; nil: it shows what never changes.
	Answers Answers
	// Box seals what a page tells the next one across a redirect.
	Box *secret.Box
	Now func() time.Time
	// RPID is the relying party id of passkeys, for the browser's signal methods.
	RPID string
	// Hub wakes the pages that wait; nil: they look again by themselves.
	Hub *wake.Hub
	// AppURL is the authenticator app's origin, "" where there is none.
	AppURL string
	// PasswordLeast is the length that a new password of this person's must have, in characters: pages name it beforehand.
	// nil: 15, that of a password that stands alone.
	PasswordLeast func(people.ID) int
	Log           *slog.Logger
}

// Web serves the pages. It holds settings only.
type Web struct {
	Deps
	texts *Texts
}

// New makes the pages' handlers.
func New(d Deps) *Web {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Hub == nil {
		d.Hub = new(wake.Hub) // wakes nobody
	}
	return &Web{Deps: d, texts: d.Pages.Texts}
}

// handler is an httpdoor.Handler that knows its caller.
type handler func(w http.ResponseWriter, r *http.Request, c signin.Caller) error

// route is a page's address, and who answers there.
type route struct {
	pattern string
	h       handler
}

// Routes registers every page, the static files and the 404 and 405 answers.
func (s *Web) Routes(mux *http.ServeMux) {
	for _, one := range slices.Concat(s.signInRoutes(), s.accountRoutes(), s.welcomeRoutes()) {
		s.Door.Handle(mux, httpdoor.Page, one.pattern, func(w http.ResponseWriter, r *http.Request) error {
			return one.h(w, r, s.Door.Caller(w, r, "web"))
		})
	}
	s.Door.Handle(mux, httpdoor.API, "GET "+httpdoor.StaticPrefix, s.Pages.Static.Serve)
	s.Door.Fallback(mux)
}

// signInRoutes lead in and out, and to what everybody may read.
func (s *Web) signInRoutes() []route {
	return []route{
		{"GET /{$}", s.home},
		{"GET /signin", s.showSignIn},
		{"POST /signin", s.identify},
		{"GET /signin/name", s.otherName},
		{"POST /signin/choose", s.choose},
		{"POST /signin/first", s.beginFirst},
		{"POST /signin/new-password", s.setDuePassword},
		{"GET /signin/events", s.signInEvents},
		{"GET /signin/next", s.next},
		{"POST /signin/app/extend", s.extend},
		{"POST /signin/{method}/send", s.send},
		{"POST /signin/{method}", s.answer},
		{"GET /signin/{method}", s.home},
		{"GET /signout", s.askSignOut},
		{"POST /signout", s.signOut},
		{"GET /signed-out", s.signedOut},
		{"GET /apps", s.apps},
		{"GET /help", s.help},
	}
}

// accountRoutes are the member's own page and its wizards.
func (s *Web) accountRoutes() []route {
	return []route{
		{"GET /security", s.security},
		{"GET /security/add", s.addList},
		{"GET /security/add/{kind}", s.offer},
		{"POST /security/add/{kind}", s.add},
		{"GET /security/second", s.second},
		{"POST /security/pairing", s.lookPairing},
		{"POST /security/pairing/confirm", s.confirmPairing},
		{"POST /security/pairing/cancel", s.cancelPairing},
		{"GET /security/pairing/events", s.pairingEvents},
		{"GET /security/password", s.newPassword},
		{"POST /security/password", s.changePassword},
		{"GET /security/methods/{id}/rename", s.askRename},
		{"POST /security/methods/{id}/rename", s.rename},
		{"GET /security/methods/{id}/remove", s.askRemove},
		{"POST /security/methods/{id}/remove", s.remove},
		{"GET /security/lead", s.askLead},
		{"POST /security/lead", s.lead},
		{"POST /security/refresh", s.refresh},
		{"POST /security/sessions/{id}/end", s.endSession},
		{"GET /security/browsers/{id}/forget", s.askForget},
		{"POST /security/browsers/{id}/forget", s.forget},
		{"GET /security/recent/{id}/report", s.askReport},
		{"POST /security/recent/{id}/report", s.report},
	}
}

// welcomeRoutes take an invitation.
func (s *Web) welcomeRoutes() []route {
	return []route{
		{"GET /welcome", s.welcome},
		{"POST /welcome", s.openInvitation},
		{"POST /welcome/offer", s.offerFirst},
		{"POST /welcome/finish", s.finishFirst},
		{"POST /welcome/pairing", s.lookPairing},
		{"POST /welcome/pairing/confirm", s.confirmPairing},
		{"POST /welcome/pairing/cancel", s.cancelPairing},
		{"GET /welcome/pairing/events", s.pairingEvents},
		{"GET /welcome/{rest...}", s.welcome},
	}
}

// home leads to the applications, and from there to signing in.
func (s *Web) home(w http.ResponseWriter, _ *http.Request, _ signin.Caller) error {
	return httpdoor.SeeOther(w, "/apps")
}

// enter opens an attempt and sends the browser there.
func (s *Web) enter(w http.ResponseWriter, c signin.Caller, t signin.Target) error {
	ref, err := s.SignIn.Open(c, t)
	if err != nil {
		return err
	}
	return httpdoor.SeeOther(w, "/signin?attempt="+url.QueryEscape(ref))
}

// orEnter turns "not signed in" into signing in for back, a local path that is safe to GET.
func (s *Web) orEnter(w http.ResponseWriter, c signin.Caller, err error, back string) error {
	if !fault.IsKind(err, fault.Unauthenticated) {
		return err
	}
	return s.enter(w, c, signin.Target{Act: policy.ActSignIn, Return: back})
}

// text is a shorthand for a text of the caller's language.
func (s *Web) text(c signin.Caller, key string, args ...any) string {
	p, err := pairs(args)
	if err != nil {
		s.Log.Error("text", "key", key, "error", err)
	}
	return s.texts.Text(c.Locale, key, p)
}

// flash is what one page tells the next across a redirect; it travels sealed, bound to the browser.
type flash struct {
	Key    string         `json:"k"`
	Params map[string]any `json:"p,omitempty"`
	Left   string         `json:"l,omitempty"` // signalAllAcceptedCredentials
}

const flashFor = 5 * time.Minute

func binding(c signin.Caller) string { return hex.EncodeToString(secret.Hash(c.Browser.Reveal())) }

// tell redirects to path with a flash.
func (s *Web) tell(w http.ResponseWriter, c signin.Caller, path string, f flash) error {
	sealed, err := s.Box.Pack("web flash", binding(c), f, s.Now().Add(flashFor))
	if err != nil {
		return err
	}
	if len(sealed) > 3500 { // many long credential ids: better no signal than an address that is cut
		return s.tell(w, c, path, flash{Key: f.Key, Params: f.Params})
	}
	return httpdoor.SeeOther(w, path+"?done="+sealed)
}

// told reads the flash of a request. One that is stale or foreign says nothing.
func (s *Web) told(r *http.Request, c signin.Caller) (text, left string) {
	sealed := r.URL.Query().Get("done")
	if sealed == "" {
		return "", ""
	}
	var f flash
	if err := s.Box.Unpack("web flash", binding(c), sealed, s.Now(), &f); err != nil {
		if !errors.Is(err, secret.ErrExpired) && !errors.Is(err, secret.ErrSealed) {
			s.Log.Error("flash", "error", err)
		}
		return "", ""
	}
	return s.texts.Text(c.Locale, f.Key, f.Params), f.Left
}
