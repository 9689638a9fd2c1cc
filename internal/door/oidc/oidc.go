// Package oidc is OpenID Connect and OAuth 2 over HTTP.
//
//	GET  /oauth2/authorize ─► parse ─► apps.Admit ─┬─ code ───────► the application (query, or form_post page)
//	POST /oauth2/authorize ─► 303 to GET           ├─ error ──────► the application
//	                                               ├─ sign-in ────► /signin?attempt=… ─► /oauth2/authorize/continue ─► Admit
//	                                               └─ nobody to answer ─► our error page
//	POST /oauth2/token ─► parse, client proof ─► apps.Redeem | Refresh | ForItself ─► JSON
//	POST /oauth2/introspect, /oauth2/revoke ─► apps.Introspect, Revoke
//	GET, POST /oauth2/userinfo ─► apps.UserInfo
//	GET, POST /oauth2/logout ─► apps.EndSession ─► signed out | question | redirect
//	GET  /.well-known/openid-configuration, /.well-known/oauth-authorization-server, /oauth2/jwks
//
// The door translates: what a request means and what is issued is decided in apps. A request is answered only at an
// address that was registered, to the letter; before that is certain, every problem is a page of our own.
package oidc

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/keys"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// SignIn is what the door asks of the sign-in flow; *signin.Flow is one.
type SignIn interface {
	// Open seals an attempt for a target.
	Open(caller signin.Caller, target signin.Target) (ref string, err error)
	// ReadTarget gives back what an attempt of this browser was for; fault Expired.
	ReadTarget(ctx context.Context, caller signin.Caller, ref string) (signin.Target, error)
	// SignOut ends the caller's session.
	SignOut(ctx context.Context, caller signin.Caller, everywhere bool) error
}

// Pages renders what people see; the web door's pages are one.
type Pages interface {
	// FormPost posts fields to action by itself (a static script) or by a button (OAuth 2.0 Form Post Response Mode),
	// and lets the page's forms end there.
	FormPost(w http.ResponseWriter, r *http.Request, action string, fields url.Values) error
	// LogoutConfirm asks whether to sign out. The form posts fields to action, with answer "yes" or "no". application
	// is the name of the one that asks, "" where that is not proven.
	LogoutConfirm(w http.ResponseWriter, r *http.Request, application, action string, fields url.Values) error
	// LoggedOut says that nobody is signed in in this browser any more. back is "" or a checked address of application.
	LoggedOut(w http.ResponseWriter, r *http.Request, application, back string) error
}

// Keys gives the published keys; *keys.Keeper is one.
type Keys interface {
	Ring(ctx context.Context) (*keys.Ring, error)
}

// Deps are what the door stands on; all are required.
type Deps struct {
	Apps   *apps.Flow
	SignIn SignIn
	Keys   Keys
	Pages  Pages
	Door   *httpdoor.Door
	// Issuer is the base URL without a trailing slash; it must be the one that Apps issues under.
	Issuer string
	Now    func() time.Time
}

// OIDC is the door.
type OIDC struct {
	Deps
	metadata atomic.Pointer[metadata]
}

// New makes the door.
func New(d Deps) *OIDC { return &OIDC{Deps: d} }

// The paths of the door.
const (
	pathAuthorize  = "/oauth2/authorize"
	pathToken      = "/oauth2/token"
	pathIntrospect = "/oauth2/introspect"
	pathRevoke     = "/oauth2/revoke"
	pathUserInfo   = "/oauth2/userinfo"
	pathLogout     = "/oauth2/logout"
	pathConfirm    = "/oauth2/logout/confirm"
	pathJWKS       = "/oauth2/jwks"
	pathOpenID     = "/.well-known/openid-configuration"
	pathOAuth      = "/.well-known/oauth-authorization-server"
)

// maxForm bounds the body of every request here; the longest honest one is a token request with a JWT, under 8 KiB.
const maxForm = 16 << 10

// Routes registers the door's routes.
func (o *OIDC) Routes(mux *http.ServeMux) {
	handle := func(kind httpdoor.Kind, pattern string, h httpdoor.Handler) {
		o.Door.HandleSized(mux, kind, pattern, maxForm, h)
	}
	handle(httpdoor.Entry, "GET "+pathAuthorize, o.authorize)
	handle(httpdoor.Entry, "POST "+pathAuthorize, o.authorizePost)
	handle(httpdoor.Entry, "GET "+apps.Continue, o.authorizeContinue)
	handle(httpdoor.Entry, "GET "+pathLogout, o.logout)
	handle(httpdoor.Entry, "POST "+pathLogout, o.logoutPost)
	handle(httpdoor.Page, "POST "+pathConfirm, o.logoutConfirm)

	handle(httpdoor.API, "POST "+pathToken, open(o.token))
	handle(httpdoor.API, "POST "+pathIntrospect, o.introspect)
	handle(httpdoor.API, "POST "+pathRevoke, open(o.revoke))
	handle(httpdoor.API, "GET "+pathUserInfo, open(o.userinfo))
	handle(httpdoor.API, "POST "+pathUserInfo, open(o.userinfo))
	handle(httpdoor.API, "GET "+pathJWKS, open(o.jwks))
	handle(httpdoor.API, "GET "+pathOpenID, open(o.discovery))
	handle(httpdoor.API, "GET "+pathOAuth, open(o.discovery))
	for path, methods := range map[string]string{pathToken: "POST", pathRevoke: "POST", pathUserInfo: "GET, POST",
		pathJWKS: "GET", pathOpenID: "GET", pathOAuth: "GET"} {
		handle(httpdoor.API, "OPTIONS "+path, preflight(methods))
	}
}

// open lets scripts of any site read the answer (Fetch standard, section CORS protocol): these endpoints never look at cookies, so that
// whoever asks gets only what their own token or code is worth.
func open(h httpdoor.Handler) httpdoor.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.Header.Get("Origin") != "" {
			w.Header().Set("Access-Control-Allow-Origin", "*")
			w.Header().Set("Access-Control-Expose-Headers", "WWW-Authenticate")
		}
		return h(w, r)
	}
}

func preflight(methods string) httpdoor.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Allow-Methods", methods)
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
		h.Set("Access-Control-Max-Age", "7200")
		h.Set("Allow", methods)
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}

// protocolCode gives the OAuth error code of a fault that has one.
func protocolCode(err error) (*fault.Error, string, bool) {
	f := fault.Of(err)
	code, ok := strings.CutPrefix(f.Code, "oauth.")
	return f, code, ok
}

// writeJSON answers a program; what it is told is never kept by a cache (RFC 6749 section 5.1).
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	w.WriteHeader(status)
	w.Write(body) // a caller who went away is told nothing
	return nil
}
