// Package keys is what Gatehouse signs with: ES256 by default, RS256 for clients that need it, rotated online.
//
//	next (published, does not sign yet) ─► active (signs) ─► retired (published until its last token died) ─► gone
//
// Private keys lie sealed in the store; a Ring is the opened, read-only view that doors sign with.
package keys

import (
	"context"
	"crypto"
	"time"
)

// State of a key. The zero value is not valid.
type State uint8

const (
	// Next is published so that relying parties know it before it signs.
	Next State = iota + 1
	// Active signs.
	Active
	// Retired is published for verification only.
	Retired
)

// Key is a signing key. Private is nil when only the public part was asked for.
type Key struct {
	ID        string // kid: RFC 7638 thumbprint
	Algorithm string // "ES256" or "RS256"
	State     State
	Public    crypto.PublicKey
	Private   crypto.Signer
	Sealed    []byte // PKCS #8, sealed: what the store keeps
	Created   time.Time
	Changed   time.Time // when State was entered
}

// Store is what the room needs kept.
type Store interface {
	// SigningKeys gives all keys as stored (Sealed set, Private nil).
	SigningKeys(ctx context.Context) ([]Key, error)
	AddSigningKey(ctx context.Context, k Key) error
	// UpdateSigningKey moves a key's state where it is still `from`; false: somebody else did.
	UpdateSigningKey(ctx context.Context, id string, from, to State, at time.Time) (bool, error)
	RemoveSigningKey(ctx context.Context, id string) error
}
