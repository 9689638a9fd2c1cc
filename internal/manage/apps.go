package manage

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// NewApplication is what an administrator writes about an application.
type NewApplication struct {
	Name, Category, Audience, URL string
	// OIDC without ClientID and SecretHashes: both are made here.
	OIDC apps.OIDC
	// Public clients have no secret.
	Public bool
}

var (
	errApp     = fault.New(fault.BadInput, "manage.application", "The application's registration is not complete.")
	errURI     = fault.New(fault.BadInput, "manage.redirect_uri", "A redirect address is https, or http on the machine itself, without a fragment or wildcard.")
	errClosed  = fault.New(fault.Conflict, "manage.closed", "The application is closed.")
	errSecrets = fault.New(fault.Conflict, "manage.public_client", "A public client has no secret to change.")
)

// Check says what is wrong with n, as a fault BadInput.
func (n NewApplication) Check() error {
	if n.Name == "" || !plain(n.Name, 80) || !plain(n.Category, 80) || !plain(n.Audience, 80) {
		return errText.With("text", printable(n.Name))
	}
	if n.URL != "" && !webAddress(n.URL) {
		return errURI.With("uri", printable(n.URL))
	}
	grants := n.OIDC.GrantTypes
	code := len(grants) == 0 || slices.Contains(grants, "authorization_code")
	if code && len(n.OIDC.RedirectURIs) == 0 {
		return errApp.With("field", "redirect_uris")
	}
	if n.Public && (n.OIDC.WithoutPKCE || slices.Contains(grants, "client_credentials")) {
		return errApp.With("field", "public")
	}
	for _, g := range grants {
		if !slices.Contains([]string{"authorization_code", "refresh_token", "client_credentials"}, g) {
			return errApp.With("field", "grant_types")
		}
	}
	if !slices.Contains([]string{"", "ES256", "RS256"}, n.OIDC.IDTokenAlg) {
		return errApp.With("field", "id_token_alg")
	}
	if !slices.Contains([]string{"", "client_secret_basic", "client_secret_post"}, n.OIDC.TokenAuth) {
		return errApp.With("field", "token_auth")
	}
	for _, u := range slices.Concat(n.OIDC.RedirectURIs, n.OIDC.PostLogoutRedirectURIs) {
		if !webAddress(u) {
			return errURI.With("uri", printable(u))
		}
	}
	return nil
}

// webAddress accepts https, and http where no network lies between (RFC 8252 section 7.3), without user information,
// fragment or wildcard.
func webAddress(s string) bool {
	u, err := url.Parse(s)
	if err != nil || len(s) > 2000 || u.Host == "" || u.User != nil || strings.ContainsAny(s, "#*\\ <>\"'") || s != printable(s) {
		return false
	}
	switch u.Scheme {
	case "https":
		return true
	case "http":
		return u.Hostname() == "127.0.0.1" || u.Hostname() == "::1" || u.Hostname() == "localhost"
	}
	return false
}

// AddApplication registers one; the client secret is returned once ("" for a public client).
func (f *Flow) AddApplication(ctx context.Context, by By, n NewApplication) (apps.Application, secret.String, error) {
	if err := n.Check(); err != nil && by.Has(AppsWrite) {
		return apps.Application{}, secret.String{}, err
	}
	now := f.Now()
	a := apps.Application{ID: secret.NewID(now), Name: n.Name, Category: n.Category, Audience: n.Audience, URL: n.URL,
		OIDC: n.OIDC, Created: now}
	a.OIDC.ClientID = secret.NewID(now)
	a.OIDC.SecretHashes = nil
	var made secret.String
	if n.Public {
		a.OIDC.TokenAuth = "none"
	} else {
		made = secret.Token(32)
		a.OIDC.SecretHashes = [][]byte{secret.Hash(made.Reveal())}
	}
	err := f.do(ctx, by, AppsWrite, "application.added", "", a.ID, func(s Store, e *audit.Entry) error {
		e.Detail = map[string]string{"name": a.Name, "client_id": a.OIDC.ClientID}
		return s.SaveApplication(ctx, a)
	})
	if err != nil {
		return apps.Application{}, secret.String{}, err
	}
	a.Version = 1
	return Shown(a), made, nil
}

// RotateSecret gives an application a new secret. The present one goes on working beside it until the next change, so
// that an application can be moved over; at once makes it the only one.
func (f *Flow) RotateSecret(ctx context.Context, by By, id string, atOnce bool) (secret.String, error) {
	made := secret.Token(32)
	err := f.do(ctx, by, AppsWrite, "application.secret_changed", "", id, func(s Store, e *audit.Entry) error {
		a, err := s.ApplicationByID(ctx, id)
		if err != nil {
			return err
		}
		if a.Closed {
			return errClosed
		}
		if len(a.OIDC.SecretHashes) == 0 {
			return errSecrets
		}
		newest := a.OIDC.SecretHashes[len(a.OIDC.SecretHashes)-1]
		a.OIDC.SecretHashes = [][]byte{newest, secret.Hash(made.Reveal())}
		if atOnce {
			a.OIDC.SecretHashes = a.OIDC.SecretHashes[1:]
		}
		e.Detail = map[string]string{"at_once": strconv.FormatBool(atOnce)}
		return s.SaveApplication(ctx, a)
	})
	if err != nil {
		return secret.String{}, err
	}
	return made, nil
}

// CloseApplication lets nobody in any more and ends every grant.
func (f *Flow) CloseApplication(ctx context.Context, by By, id, why string) error {
	return f.do(ctx, by, AppsWrite, "application.closed", "", id, func(s Store, e *audit.Entry) error {
		a, err := s.ApplicationByID(ctx, id)
		if err != nil {
			return err
		}
		if a.Closed {
			e.Act = ""
			return nil
		}
		a.Closed = true
		if err := s.SaveApplication(ctx, a); err != nil {
			return err
		}
		n, err := s.RevokeGrantsOfApplication(ctx, id)
		e.Reason = printable(why)
		e.Detail = map[string]string{"grants": strconv.Itoa(n)}
		return err
	})
}

// Applications lists all, without anything that proves an application.
func (f *Flow) Applications(ctx context.Context, by By) (all []apps.Application, err error) {
	err = f.see(ctx, by, AppsRead, func(s Store) (err error) {
		all, err = s.Applications(ctx)
		for i := range all {
			all[i] = Shown(all[i])
		}
		return err
	})
	return all, err
}

// Application finds by id, else by client id.
func (f *Flow) Application(ctx context.Context, by By, id string) (a apps.Application, err error) {
	err = f.see(ctx, by, AppsRead, func(s Store) (err error) {
		a, err = s.ApplicationByID(ctx, id)
		if fault.IsKind(err, fault.NotFound) {
			a, err = s.ApplicationByClientID(ctx, id)
		}
		a = Shown(a)
		return err
	})
	return a, err
}

// Shown is a without its secrets' hashes (attack G107).
func Shown(a apps.Application) apps.Application {
	a.OIDC.SecretHashes = nil
	return a
}
