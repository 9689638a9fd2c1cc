package apps

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/keys"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// LogoutRequest is an application's wish that its member be signed out (OpenID Connect RP-Initiated Logout 1.0
// section 2).
type LogoutRequest struct {
	IDTokenHint string
	ClientID    string
	Redirect    string // post_logout_redirect_uri
	State       string
}

// Logout is what comes of it.
type Logout struct {
	// SignOut: end the caller's session now.
	SignOut bool
	// Ask: show the confirmation page, with this token to be posted back.
	Ask string
	// Application is who asked, where that is proven; "" otherwise.
	Application string
	// Redirect is where to go afterwards, registered and proven; "" shows our own page.
	Redirect string
	State    string
	// Origin is where answering the confirmation page may lead, for that page's form-action; "": nowhere else.
	Origin string
}

// ConfirmFor is how long a confirmation page may be answered.
const ConfirmFor = 10 * time.Minute

// confirmed is what the confirmation page carries: the session it asked about, and where to go, already checked.
type confirmed struct {
	Session     string `json:"s"`
	Application string `json:"a,omitempty"`
	Redirect    string `json:"r,omitempty"`
	State       string `json:"st,omitempty"`
}

// EndSession decides about a logout request. The session ends without a question only for an ID token of ours that
// names this very session; every other request is somebody's wish that the member is asked about (section 2). The
// redirect goes to a registered address of the client that the ID token proves, or nowhere.
func (f *Flow) EndSession(ctx context.Context, caller signin.Caller, req LogoutRequest) (Logout, error) {
	h, err := f.verifyHint(ctx, req.IDTokenHint)
	proven := err == nil && (req.ClientID == "" || req.ClientID == h.Audience)
	var out Logout
	err = f.View(ctx, func(s FlowStore) error {
		out = Logout{}
		var app Application
		if proven {
			var err error
			app, err = s.ApplicationByClientID(ctx, h.Audience)
			if err != nil && !fault.IsKind(err, fault.NotFound) {
				return err
			}
			proven = err == nil && !app.Closed
		}
		sess, person, err := f.SignIn.Session(ctx, s, caller)
		switch {
		case fault.IsKind(err, fault.Unauthenticated):
			if proven && f.Now().Unix() < h.Expires {
				out.redirect(app, req)
			}
			return nil
		case err != nil:
			return err
		}
		if proven {
			out.redirect(app, req)
		}
		if proven && h.Session == sess.ID && h.Subject == f.subject(app, person.ID) {
			out.SignOut = true
			return nil
		}
		return f.askLogout(caller, sess.ID, &out)
	})
	return out, err
}

func (l *Logout) redirect(app Application, req LogoutRequest) {
	l.Application = app.Name
	if slices.Contains(app.OIDC.PostLogoutRedirectURIs, req.Redirect) {
		l.Redirect, l.State = req.Redirect, req.State
	}
}

// askLogout seals where to go into the question, so that the answer needs no hint.
func (f *Flow) askLogout(caller signin.Caller, session string, out *Logout) (err error) {
	c := confirmed{Session: session, Application: out.Application, Redirect: out.Redirect, State: out.State}
	if out.Redirect != "" {
		out.Origin = origin(out.Redirect)
	}
	out.Redirect, out.State = "", ""
	out.Ask, err = f.Box.Pack("oidc.logout", browser(caller), c, f.Now().Add(ConfirmFor))
	return err
}

// Confirm takes the answer to our own confirmation page: for this browser and, where one is still live, this session.
// Fault Expired for anything else.
func (f *Flow) Confirm(ctx context.Context, caller signin.Caller, token string) (Logout, error) {
	var c confirmed
	if err := f.Box.Unpack("oidc.logout", browser(caller), token, f.Now(), &c); err != nil {
		return Logout{}, errConfirm.Because(err)
	}
	out := Logout{Application: c.Application, Redirect: c.Redirect, State: c.State}
	err := f.View(ctx, func(s FlowStore) error {
		sess, _, err := f.SignIn.Session(ctx, s, caller)
		if fault.IsKind(err, fault.Unauthenticated) {
			return nil
		}
		if err == nil && sess.ID != c.Session {
			return errConfirm
		}
		out.SignOut = err == nil
		return err
	})
	return out, err
}

var errConfirm = fault.New(fault.Expired, "oauth.logout_expired",
	"This question is no longer open. Sign out from the menu if you still want to.")

func browser(caller signin.Caller) string {
	return hex.EncodeToString(secret.Hash(caller.Browser.Reveal()))
}

// verifyHint reads an ID token of ours; an expired one is still a hint (section 4: the session may outlive it).
func (f *Flow) verifyHint(ctx context.Context, token string) (hint, error) {
	var h hint
	payload, err := f.Keys.Verify(ctx, token, keys.TypeIDToken)
	if err != nil {
		return h, err
	}
	if err := json.Unmarshal(payload, &h); err != nil || h.Issuer != f.Issuer || h.Subject == "" {
		return hint{}, keys.ErrToken
	}
	return h, nil
}
