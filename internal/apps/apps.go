// Package apps is every application people sign in to, whatever its protocol, and the rights that are issued to it.
//
//	Admit    who is here (session) + which application ─► policy.Decide ─► code | sign in further | refused
//	Redeem   code, once ─► Claims + refresh family
//	Refresh  rotation; policy is asked again ─► Claims
//	Inspect  what a token is worth right now (introspection, userinfo)
//
// Doors encode Claims into their protocol; they mint no rights of their own. A code and the refresh family it
// opens are one row: Grant.
package apps

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// Application is one registered application.
type Application struct {
	ID       string
	Name     string
	Category string // "remote access", "teaching and learning", …
	Audience string // "students", "staff", "" for all: who sees it in the catalogue
	URL      string // where a member starts it
	Closed   bool
	OIDC     OIDC
	Created  time.Time
	Version  int64
}

// OIDC is the registration of an OpenID Connect client (OpenID Connect Registration 1.0 section 2 names).
type OIDC struct {
	ClientID               string   `json:"client_id"`
	SecretHashes           [][]byte `json:"secret_hashes,omitempty"` // SHA-256; two during a change; none: public client
	RedirectURIs           []string `json:"redirect_uris"`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	GrantTypes             []string `json:"grant_types,omitempty"` // authorization_code, refresh_token, client_credentials
	Scopes                 []string `json:"scopes,omitempty"`
	WithoutPKCE            bool     `json:"without_pkce,omitempty"`        // only for confidential clients
	IDTokenAlg             string   `json:"id_token_alg,omitempty"`        // ES256 (default) or RS256
	OpaqueAccessToken      bool     `json:"opaque_access_token,omitempty"` // else RFC 9068
	Audience               string   `json:"audience,omitempty"`            // aud of access tokens; default client_id
	TokenAuth              string   `json:"token_auth,omitempty"`          // client_secret_basic, client_secret_post or none; "": either of the first two
	RefreshMax             int64    `json:"refresh_max_seconds,omitempty"` // absolute lifetime; default 30 days
	PairwiseSubject        bool     `json:"pairwise,omitempty"`            // sub per client
	RequirePAR             bool     `json:"require_par,omitempty"`         // place kept
}

// Grant is a right issued to an application for a person (or for itself: Person "").
type Grant struct {
	ID          string
	Application string
	Person      string
	Session     string // ends with it unless Offline
	Offline     bool
	Family      string // the remembered browser that issue rested on, or ""
	Scope       string
	Nonce       string
	RedirectURI string
	Challenge   string // PKCE S256
	Claims      []byte // what was asked for and when it was judged (JSON of this room)
	ACR         string
	AuthTime    time.Time
	AMR         []string
	Evidence    []method.Evidence // as of issue; judged again at refresh
	// Code: single use.
	CodeHash    []byte
	CodeExpires time.Time
	CodeUsed    bool
	// Refresh family.
	RefreshHash []byte
	PrevHash    []byte // accepted until the successor has been seen, so that a lost answer is no theft
	Rotated     time.Time
	Generation  int64
	Expires     time.Time // absolute
	Revoked     bool
	Created     time.Time
	Version     int64
}

// AccessToken is an opaque access token as stored.
type AccessToken struct {
	Hash    []byte
	Grant   string
	Scope   string
	Expires time.Time
}

// Store is what the flow needs kept, beside what signin.Store offers.
type Store interface {
	ApplicationByID(ctx context.Context, id string) (Application, error)
	ApplicationByClientID(ctx context.Context, clientID string) (Application, error)
	Applications(ctx context.Context) ([]Application, error)
	// SaveApplication inserts (Version 0) or updates by Version; fault Conflict.
	SaveApplication(ctx context.Context, a Application) error
	RemoveApplication(ctx context.Context, id string) (bool, error)

	AddGrant(ctx context.Context, g Grant) error
	GrantByID(ctx context.Context, id string) (Grant, error)
	// UpdateGrant saves what changes in a grant's life where Version matches, and raises it; fault Conflict. Application,
	// Person, Session, Offline, CodeHash, CodeExpires, Expires and Created stay as they were added.
	UpdateGrant(ctx context.Context, g Grant) error
	RevokeGrantsOfSession(ctx context.Context, session string) (int, error)      // those not Offline
	RevokeGrantsOf(ctx context.Context, person, application string) (int, error) // "" application: all

	AddAccessToken(ctx context.Context, t AccessToken) error
	AccessTokenByHash(ctx context.Context, hash []byte) (AccessToken, error)
	RevokeAccessTokensOfGrant(ctx context.Context, grant string) error
	// RevokeAccessToken puts a JWT's jti (or an opaque hash) on the list until it expires.
	RevokeAccessToken(ctx context.Context, id string, expires time.Time) error
	AccessTokenRevoked(ctx context.Context, id string) (bool, error)
}
