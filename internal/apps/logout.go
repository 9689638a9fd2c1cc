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
	// Confirm is the sealed token of our own confirmation page, "" at first.
	Confirm string
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
}

// ConfirmFor is how long a confirmation page may be answered.
const ConfirmFor = 10 * time.Minute

// confirmed is what the confirmation page carries.
type confirmed struct {
	Session string `json:"s"`
}

// EndSession decides about a logout request. The session ends without a question only for an ID token of ours that
// names this very session; every other request is somebody's wish that the member is asked about (section 6). The
// redirect goes to a registered address of the client that the ID token proves, or nowhere.
func (f *Flow) EndSession(ctx context.Context, caller signin.Caller, req LogoutRequest) (Logout, error) {
	var h hint
	proven := false
	if req.IDTokenHint != "" {
		var err error
		h, err = f.verifyHint(ctx, req.IDTokenHint)
		proven = err == nil && (req.ClientID == "" || req.ClientID == h.Audience)
	}
	var out Logout
	err := f.View(ctx, func(s FlowStore) error {
		out = Logout{}
		sess, person, err := f.SignIn.Session(ctx, s, caller)
		signedIn := err == nil
		if err != nil && !fault.IsKind(err, fault.Unauthenticated) {
			return err
		}
		var app Application
		if proven {
			app, err = s.ApplicationByClientID(ctx, h.Audience)
			if err != nil && !fault.IsKind(err, fault.NotFound) {
				return err
			}
			proven = err == nil && !app.Closed
		}
		matches := proven && signedIn && h.Session == sess.ID && h.Subject == f.subject(app, person.ID)
		expired := f.Now().Unix() >= h.Expires
		switch {
		case matches, signedIn && f.confirms(caller, req.Confirm, sess.ID):
			out.SignOut = true
		case signedIn:
			return f.askLogout(caller, sess.ID, proven, app, &out)
		}
		if proven && (matches || !signedIn && !expired) {
			out.redirect(app, req)
		}
		return nil
	})
	return out, err
}

func (l *Logout) redirect(app Application, req LogoutRequest) {
	l.Application = app.Name
	if slices.Contains(app.OIDC.PostLogoutRedirectURIs, req.Redirect) {
		l.Redirect, l.State = req.Redirect, req.State
	}
}

func (f *Flow) askLogout(caller signin.Caller, session string, proven bool, app Application, out *Logout) (err error) {
	if proven {
		out.Application = app.Name
	}
	out.Ask, err = f.Box.Pack("oidc.logout", browser(caller), confirmed{session}, f.Now().Add(ConfirmFor))
	return err
}

// confirms reports whether token is our own page's answer, for this browser and this session.
func (f *Flow) confirms(caller signin.Caller, token, session string) bool {
	if token == "" {
		return false
	}
	var c confirmed
	return f.Box.Unpack("oidc.logout", browser(caller), token, f.Now(), &c) == nil && c.Session == session
}

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
