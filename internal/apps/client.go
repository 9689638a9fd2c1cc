package apps

import (
	"context"
	"crypto/subtle"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// ClientProof is how a client proved itself, as a door has read it.
type ClientProof struct {
	ID     string
	Secret secret.String
	// Method is AuthBasic, AuthPost, or AuthNone where no secret came.
	Method string
}

// client finds and authenticates a client (RFC 6749 section 2.3). Every failure is the same invalid_client: it does not
// say whether the id exists. A client secret has 256 random bits, so guesses need no counter.
func (f *Flow) client(ctx context.Context, s FlowStore, p ClientProof) (Application, error) {
	a, err := s.ApplicationByClientID(ctx, p.ID)
	if fault.IsKind(err, fault.NotFound) {
		return a, errClient
	}
	if err != nil {
		return a, err
	}
	if !clientProven(a.OIDC, p) || a.Closed {
		return Application{}, errClient
	}
	return a, nil
}

// clientProven compares in constant time with every stored hash. A public client has nothing to prove, and must not
// pretend to.
func clientProven(o OIDC, p ClientProof) bool {
	if !o.Confidential() {
		return p.Method == AuthNone
	}
	if p.Method == AuthNone || o.TokenAuth != "" && o.TokenAuth != p.Method {
		return false
	}
	given := secret.Hash(p.Secret.Reveal())
	match := 0
	for _, h := range o.SecretHashes {
		match |= subtle.ConstantTimeCompare(h, given)
	}
	return match == 1
}
