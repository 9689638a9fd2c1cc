package apps

import (
	"context"
	"time"
)

// APIToken lets a program use the administration API. Only the SHA-256 of its text is kept.
type APIToken struct {
	Hash    []byte
	Name    string // unique; the audit actor is "token:"+Name
	Scopes  []string
	Created time.Time
	Expires time.Time // zero: never
}

// APITokenStore is the port of those who check and manage API tokens.
type APITokenStore interface {
	// TokenByHash gives fault NotFound where there is none; the caller judges Expires.
	TokenByHash(ctx context.Context, hash []byte) (APIToken, error)
	// AddToken refuses a taken name with fault Conflict "token.taken".
	AddToken(ctx context.Context, t APIToken) error
	// RemoveToken reports whether there was one of that name.
	RemoveToken(ctx context.Context, name string) (bool, error)
	// Tokens gives all, by name.
	Tokens(ctx context.Context) ([]APIToken, error)
}
