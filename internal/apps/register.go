package apps

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/keys"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// The grant types (OpenID Connect Registration section 2).
const (
	GrantAuthorizationCode = "authorization_code"
	GrantRefreshToken      = "refresh_token"
	GrantClientCredentials = "client_credentials"
)

// The ways in which a client proves itself at the token endpoint.
const (
	AuthBasic = "client_secret_basic"
	AuthPost  = "client_secret_post"
	AuthNone  = "none"
)

// NewSecret makes a client secret of 256 random bits and what is stored of it. Such a secret needs no slow hash:
// there is nothing to guess.
func NewSecret() (secret.String, []byte) {
	s := secret.Token(32)
	return s, secret.Hash(s.Reveal())
}

// Check says what is wrong with a registration, as a fault BadInput that tells what to write.
func Check(a Application) error {
	if a.Name == "" || len(a.Name) > 100 || strings.ContainsFunc(a.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return invalid("name", "An application has a name of up to 100 printable characters.")
	}
	if !clientIDLike(a.OIDC.ClientID) {
		return invalid("client_id", "A client id has up to 100 letters, digits, dots, hyphens and underscores.")
	}
	if a.URL != "" {
		if err := checkRedirect(a.URL, false); err != nil {
			return invalid("url", "The address where members start it is https, or http on a loopback address.")
		}
	}
	for _, uris := range [][]string{a.OIDC.RedirectURIs, a.OIDC.PostLogoutRedirectURIs} {
		if len(uris) > 50 {
			return invalid("redirect_uris", "At most 50 addresses can be registered.")
		}
		for _, uri := range uris {
			if err := checkRedirect(uri, !a.OIDC.Confidential()); err != nil {
				return err
			}
		}
	}
	return checkOIDC(a.OIDC)
}

func checkOIDC(o OIDC) error {
	for _, g := range o.GrantTypes {
		if g != GrantAuthorizationCode && g != GrantRefreshToken && g != GrantClientCredentials {
			return invalid("grant_types", "A grant type is authorization_code, refresh_token or client_credentials.")
		}
	}
	if o.allows(GrantAuthorizationCode) && len(o.RedirectURIs) == 0 {
		return invalid("redirect_uris", "An application that people sign in to needs at least one redirect URI.")
	}
	for _, s := range o.Scopes {
		if !scopeLike(s) {
			return invalid("scopes", "A scope is a word of printable characters without spaces, quotes and backslashes.")
		}
	}
	public := !o.Confidential()
	switch {
	case len(o.SecretHashes) > 2:
		return invalid("secret_hashes", "An application has at most two secrets, during a change.")
	case o.IDTokenAlg != "" && o.IDTokenAlg != keys.ES256 && o.IDTokenAlg != keys.RS256:
		return invalid("id_token_alg", "The algorithm is ES256 or RS256.")
	case o.WithoutPKCE && public:
		return invalid("without_pkce", "Only an application with a secret may do without PKCE.")
	case public && o.allows(GrantClientCredentials):
		return invalid("grant_types", "Client credentials need a client secret.")
	case public && o.TokenAuth != "" && o.TokenAuth != AuthNone, !public && o.TokenAuth == AuthNone:
		return invalid("token_auth", "Without a secret token_auth is none; with one it is client_secret_basic or client_secret_post.")
	case !slices.Contains([]string{"", AuthBasic, AuthPost, AuthNone}, o.TokenAuth):
		return invalid("token_auth", "token_auth is client_secret_basic, client_secret_post or none.")
	case o.RefreshMax != 0 && (o.RefreshMax < 60 || o.RefreshMax > 400*86400):
		return invalid("refresh_max_seconds", "The lifetime of a refresh family is between a minute and 400 days.")
	case o.Audience != printable(o.Audience):
		return invalid("audience", "The audience is one word of printable characters.")
	case o.RequirePAR:
		return invalid("require_par", "Pushed authorization requests are not offered yet.")
	}
	return nil
}

func invalid(field, text string) error {
	return fault.New(fault.BadInput, "apps."+field+"_invalid", text)
}

func clientIDLike(s string) bool {
	return s != "" && len(s) <= 100 && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r))
	})
}

// scopeLike is scope-token of RFC 6749 section 3.3, at most 100 bytes.
func scopeLike(s string) bool {
	return s != "" && len(s) <= 100 && !strings.ContainsFunc(s, func(r rune) bool {
		return r < '!' || r > '~' || r == '"' || r == '\\'
	})
}

// Register saves a new application, giving it an ID, a client id where it has none and, where confidential, a fresh
// secret that is shown this once. actor is an audit actor ("cli:NAME", "token:NAME", a people.ID).
func (f *Flow) Register(ctx context.Context, actor string, a Application, confidential bool) (Application, secret.String, error) {
	var shown secret.String
	now := f.Now()
	a.ID, a.Created, a.Version = secret.NewID(now), now, 0
	if a.OIDC.ClientID == "" {
		a.OIDC.ClientID = a.ID
	}
	if confidential {
		var hash []byte
		shown, hash = NewSecret()
		a.OIDC.SecretHashes = [][]byte{hash}
	}
	if err := Check(a); err != nil {
		return a, secret.String{}, err
	}
	err := f.InTx(ctx, func(s FlowStore) error {
		taken, err := clientIDTaken(ctx, s, a)
		if err != nil {
			return err
		}
		if taken {
			return fault.New(fault.Conflict, "apps.client_id_taken", "Another application has this client id.")
		}
		if err := s.SaveApplication(ctx, a); err != nil {
			return err
		}
		return s.Record(ctx, f.operatorEntry(actor, "app.registered", a))
	})
	if err != nil {
		return a, secret.String{}, err
	}
	a.Version = 1
	return a, shown, nil
}

func clientIDTaken(ctx context.Context, s FlowStore, a Application) (bool, error) {
	other, err := s.ApplicationByClientID(ctx, a.OIDC.ClientID)
	if fault.IsKind(err, fault.NotFound) {
		return false, nil
	}
	return err == nil && other.ID != a.ID, err
}

// Apply makes the given registrations so, matched by client id: unknown ones are added, others updated where they
// differ; what is not named stays. The secrets that are stored stay where a registration names none. It returns the
// applications as saved. The campus file goes this way.
func (f *Flow) Apply(ctx context.Context, actor string, wanted []Application) ([]Application, error) {
	for _, a := range wanted {
		check := a
		if check.OIDC.ClientID == "" {
			return nil, invalid("client_id", "An application in a file names its client id.")
		}
		if check.OIDC.TokenAuth != AuthNone && len(check.OIDC.SecretHashes) == 0 {
			check.OIDC.SecretHashes = [][]byte{make([]byte, 32)} // a stored one may stand for it
		}
		if err := Check(check); err != nil {
			return nil, fmt.Errorf("application %s: %w", printable(a.OIDC.ClientID), err)
		}
	}
	var saved []Application
	err := f.InTx(ctx, func(s FlowStore) error {
		saved = saved[:0]
		for _, a := range wanted {
			out, err := f.applyOne(ctx, s, actor, a)
			if err != nil {
				return err
			}
			saved = append(saved, out)
		}
		return nil
	})
	return saved, err
}

func (f *Flow) applyOne(ctx context.Context, s FlowStore, actor string, a Application) (Application, error) {
	act := "app.changed"
	now := f.Now()
	current, err := s.ApplicationByClientID(ctx, a.OIDC.ClientID)
	switch {
	case fault.IsKind(err, fault.NotFound):
		act = "app.registered"
		if a.Created, a.Version = now, 0; a.ID == "" {
			a.ID = secret.NewID(now)
		}
	case err != nil:
		return a, err
	default:
		a.ID, a.Created, a.Version = current.ID, current.Created, current.Version
		if len(a.OIDC.SecretHashes) == 0 && a.OIDC.TokenAuth != AuthNone {
			a.OIDC.SecretHashes = current.OIDC.SecretHashes
		}
		if equal(a, current) {
			return current, nil
		}
	}
	if err := Check(a); err != nil {
		return a, err
	}
	if err := s.SaveApplication(ctx, a); err != nil {
		return a, err
	}
	a.Version++
	return a, s.Record(ctx, f.operatorEntry(actor, act, a))
}

func equal(a, b Application) bool {
	x, y := a, b
	x.Created, y.Created = time.Time{}, time.Time{}
	return fmt.Sprintf("%#v", x) == fmt.Sprintf("%#v", y)
}

// RotateSecret gives an application a new secret; the newest of the old ones goes on working beside it until the next
// change, so that both sides need not change at once. keepOld false ends it at once.
func (f *Flow) RotateSecret(ctx context.Context, actor, clientID string, keepOld bool) (secret.String, error) {
	shown, hash := NewSecret()
	err := f.InTx(ctx, func(s FlowStore) error {
		a, err := s.ApplicationByClientID(ctx, clientID)
		if err != nil {
			return err
		}
		if !a.OIDC.Confidential() {
			return fault.New(fault.BadInput, "apps.no_secret", "This application has no secret.")
		}
		hashes := [][]byte{hash}
		if keepOld {
			hashes = append(hashes, a.OIDC.SecretHashes[0])
		}
		a.OIDC.SecretHashes = hashes
		if err := s.SaveApplication(ctx, a); err != nil {
			return err
		}
		return s.Record(ctx, f.operatorEntry(actor, "app.secret_changed", a))
	})
	if err != nil {
		return secret.String{}, err
	}
	return shown, nil
}

// SetClosed closes an application or opens it again. While closed nothing is issued and its tokens are worth nothing.
func (f *Flow) SetClosed(ctx context.Context, actor, clientID string, closed bool) error {
	act := "app.opened"
	if closed {
		act = "app.closed"
	}
	return f.InTx(ctx, func(s FlowStore) error {
		a, err := s.ApplicationByClientID(ctx, clientID)
		if err != nil {
			return err
		}
		if a.Closed == closed {
			return nil
		}
		a.Closed = closed
		if err := s.SaveApplication(ctx, a); err != nil {
			return err
		}
		return s.Record(ctx, f.operatorEntry(actor, act, a))
	})
}

// Remove deletes an application; its grants die with it.
func (f *Flow) Remove(ctx context.Context, actor, clientID string) error {
	return f.InTx(ctx, func(s FlowStore) error {
		a, err := s.ApplicationByClientID(ctx, clientID)
		if err != nil {
			return err
		}
		if _, err := s.RemoveApplication(ctx, a.ID); err != nil {
			return err
		}
		return s.Record(ctx, f.operatorEntry(actor, "app.removed", a))
	})
}

// List gives all applications, as stored; secrets are hashes.
func (f *Flow) List(ctx context.Context) ([]Application, error) {
	var all []Application
	err := f.View(ctx, func(s FlowStore) (err error) {
		all, err = s.Applications(ctx)
		return err
	})
	return all, err
}

func (f *Flow) operatorEntry(actor, act string, a Application) audit.Entry {
	return audit.Entry{At: f.Now(), Act: act, Outcome: audit.Done, Actor: actor, Object: a.ID, Door: "operator",
		Detail: map[string]string{"client_id": a.OIDC.ClientID, "name": a.Name}}
}
