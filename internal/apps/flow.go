package apps

import (
	"context"
	"log/slog"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/keys"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// The lifetimes of what is issued.
const (
	// CodeFor is how long an authorization code may be redeemed (RFC 6749 section 4.1.2 allows ten minutes).
	CodeFor = time.Minute
	// AccessFor is how long an access token lives.
	AccessFor = 10 * time.Minute
	// IDTokenFor is how long an ID token is to be accepted.
	IDTokenFor = 10 * time.Minute
	// RefreshFor is the absolute lifetime of a refresh family where the application says nothing else.
	RefreshFor = 30 * 24 * time.Hour
	// RefreshGrace is for how long a refresh token that was just rotated away is answered with the same successor
	// again, as long as that successor has not been seen: an answer lost on the way is no theft. Afterwards, or
	// once the successor was used, it is reuse and the family dies (RFC 9700 section 4.14.2).
	RefreshGrace = 5 * time.Second
	// MaxRounds is how often one authorization request may go through the sign-in page.
	MaxRounds = 8
)

// FlowStore is everything the flow reads and writes in one transaction.
type FlowStore interface {
	signin.Store
	Store
}

// SignIn is what this flow asks of the sign-in flow.
type SignIn interface {
	// Session gives the caller's live session and its person; fault Unauthenticated.
	Session(ctx context.Context, s signin.Store, caller signin.Caller) (session.Session, people.Person, error)
	// Remembered gives the standing of the caller's remembered browser for the person, nil where there is none.
	Remembered(ctx context.Context, s signin.Store, caller signin.Caller, person people.Person) (*policy.Remembered, error)
	// Judge asks policy about the session's evidence for an application.
	Judge(ctx context.Context, s signin.Store, sess session.Session, person people.Person, app policy.Application,
		act policy.Act, demand policy.Demand, remembered *policy.Remembered) (policy.Decision, error)
}

// Keys is what this flow signs and verifies with; *keys.Keeper is one.
type Keys interface {
	Ring(ctx context.Context) (*keys.Ring, error)
	Verify(ctx context.Context, token, typ string) ([]byte, error)
}

// Deps are what the flow stands on. Log may be nil.
type Deps struct {
	InTx    func(context.Context, func(FlowStore) error) error
	View    func(context.Context, func(FlowStore) error) error
	SignIn  SignIn
	Keys    Keys
	Keyring *secret.Keyring
	Box     *secret.Box
	Now     func() time.Time
	// Issuer is the iss of everything issued: the base URL without a trailing slash.
	Issuer string
	Log    *slog.Logger
}

// Flow issues rights to applications. It holds no state but a cache of verified signatures.
type Flow struct {
	Deps
	verified *verified
}

// New makes the flow.
func New(d Deps) *Flow {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Flow{Deps: d, verified: newVerified()}
}

// oauth makes a fault whose code is "oauth." and the protocol's own error code (RFC 6749 sections 4.1.2.1 and 5.2,
// OpenID Connect Core section 3.1.2.6); doors cut the prefix off. The text is for developers.
func oauth(kind fault.Kind, code, text string) *fault.Error {
	return fault.New(kind, "oauth."+code, text)
}

// Faults that end on our own error page, because there is no address that may be trusted with an answer.
var (
	errClientUnknown = fault.New(fault.BadInput, "oauth.client_unknown",
		"The application that sent you here is not registered with us. Go back and tell its operators.")
	errClientClosed = fault.New(fault.Forbidden, "oauth.client_closed",
		"This application is closed for the moment.")
	errRedirect = fault.New(fault.BadInput, "oauth.redirect_unregistered",
		"The application that sent you here asked for an answer at an address it has not registered. Go back and tell its operators.")
)

// Faults of the token endpoint and its neighbours.
var (
	errClient = oauth(fault.Unauthenticated, "invalid_client", "The client could not be authenticated.")
	errGrant  = oauth(fault.BadInput, "invalid_grant", "The grant is not valid any more; start again with an authorization request.")
	errScope  = oauth(fault.BadInput, "invalid_scope", "The scope is not one that was granted.")
	errToken  = oauth(fault.Unauthenticated, "invalid_token", "The access token is not valid any more.")
)

// policyApplication is what policy knows of the application.
func (a Application) policyApplication() policy.Application {
	return policy.Application{ID: a.ID, Name: a.Name, Category: a.Category}
}

// Confidential reports whether the application can keep a secret.
func (o OIDC) Confidential() bool { return len(o.SecretHashes) > 0 }

// alg is what tokens for this application are signed with.
func (o OIDC) alg() string {
	if o.IDTokenAlg == keys.RS256 {
		return keys.RS256
	}
	return keys.ES256
}

// allows reports whether the application may use a grant type.
func (o OIDC) allows(grantType string) bool {
	if len(o.GrantTypes) == 0 {
		return grantType == GrantAuthorizationCode
	}
	for _, g := range o.GrantTypes {
		if g == grantType {
			return true
		}
	}
	return false
}

// audience is the aud of access tokens.
func (o OIDC) audience() string {
	if o.Audience != "" {
		return o.Audience
	}
	return o.ClientID
}

// refreshFor is the absolute lifetime of a refresh family.
func (o OIDC) refreshFor() time.Duration {
	if o.RefreshMax > 0 {
		return time.Duration(o.RefreshMax) * time.Second
	}
	return RefreshFor
}

// ACRNames are the names of assurance that policy knows, the strongest first.
func (f *Flow) ACRNames(ctx context.Context) ([]string, error) {
	var names []string
	err := f.View(ctx, func(s FlowStore) error {
		inForce, err := s.PolicyInForce(ctx)
		names = nil
		for _, n := range inForce.ACR {
			names = append(names, n.Name)
		}
		return err
	})
	return names, err
}
