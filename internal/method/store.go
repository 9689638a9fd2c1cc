package method

import (
	"context"
	"time"
)

// Store keeps credentials: one table for every kind, so that a new method adds no function here.
type Store interface {
	// CredentialsOf gives all of a person's credentials, oldest first.
	CredentialsOf(ctx context.Context, person string) ([]Credential, error)
	// CredentialByHandle finds by kind and handle; fault NotFound.
	CredentialByHandle(ctx context.Context, kind Kind, handle []byte) (Credential, error)
	// AddCredential refuses a taken (kind, handle) with fault Conflict "credential.taken".
	AddCredential(ctx context.Context, c Credential) error
	// UpdateCredential saves name, state, pending and last use where Version matches and raises it; fault
	// Conflict otherwise.
	UpdateCredential(ctx context.Context, c Credential) error
	// TouchCredential saves LastUsed alone and raises no version; an older time changes nothing. Fault Conflict where the
	// credential was removed meanwhile, or changed since this transaction read it: what is gone proves nothing.
	TouchCredential(ctx context.Context, id string, used time.Time) error
	// RemoveCredential reports whether there was one of this person.
	RemoveCredential(ctx context.Context, person, id string) (bool, error)
}
