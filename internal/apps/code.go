package apps

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// CodeRequest is a redemption (RFC 6749 section 4.1.3, RFC 7636 section 4.5).
type CodeRequest struct {
	Code        secret.String
	RedirectURI string
	Verifier    secret.String
}

// Redeem turns a code into tokens, once. A second redemption, another client's, a wrong verifier or redirect URI kills
// the grant and everything it issued (RFC 6749 section 4.1.2; G40, G93, G95). Faults: oauth.invalid_client,
// oauth.invalid_grant, oauth.unauthorized_client.
func (f *Flow) Redeem(ctx context.Context, proof ClientProof, req CodeRequest) (Tokens, error) {
	plan, err := f.settle(ctx, func(s FlowStore) (settlement, error) {
		app, err := f.client(ctx, s, proof)
		if err != nil {
			return settlement{}, err
		}
		if !app.OIDC.allows(GrantAuthorizationCode) {
			return settlement{problem: errGrantType}, nil
		}
		g, hash, err := grantOf(ctx, s, req.Code.Reveal())
		if fault.IsKind(err, fault.NotFound) || err == nil && !same(g.CodeHash, hash) {
			return settlement{problem: errGrant}, nil
		}
		if err != nil {
			return settlement{}, err
		}
		return f.redeem(ctx, s, app, g, req)
	})
	return f.finish(ctx, plan, err)
}

// maxGrantToken is the longest code or refresh token, in bytes; ours have less than half of it.
const maxGrantToken = 200

// grantOf gives the grant that a code or refresh token names, and the token's hash. Both begin with the grant's ID and a
// dot, so that they are found without an index of random hashes, which every issue and every rotation would have to
// write. The ID is no secret and proves nothing: the caller compares the hash. Fault NotFound.
func grantOf(ctx context.Context, s FlowStore, token string) (g Grant, hash []byte, err error) {
	id, _, ok := strings.Cut(token, ".")
	if !ok || len(token) > maxGrantToken || strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}) {
		return Grant{}, nil, errGrantUnknown
	}
	g, err = s.GrantByID(ctx, id)
	return g, secret.Hash(token), err
}

var errGrantUnknown = fault.New(fault.NotFound, "grant.not_found", "There is no such thing here.")

var errGrantType = oauth(fault.Forbidden, "unauthorized_client", "This client is not registered for this grant type.")

// finish answers a settlement.
func (f *Flow) finish(ctx context.Context, plan settlement, err error) (Tokens, error) {
	if err != nil {
		return Tokens{}, err
	}
	if plan.problem != nil {
		return Tokens{}, plan.problem
	}
	return f.tokens(ctx, plan.standing, plan.tokens, plan.nonce)
}

const actRedeem = "app.code_redeemed"

func (f *Flow) redeem(ctx context.Context, s FlowStore, app Application, g Grant, req CodeRequest) (settlement, error) {
	now := f.Now()
	switch {
	case g.Application != app.ID:
		return f.death(g, app, actRedeem, "code.other_client", errGrant), nil
	case g.Revoked:
		return f.refusal(g, app, actRedeem, "grant.revoked", errGrant), nil
	case g.CodeUsed:
		return f.death(g, app, actRedeem, "code.reused", errGrant), nil
	case !now.Before(g.CodeExpires):
		return f.refusal(g, app, actRedeem, "code.expired", errGrant), nil
	case req.RedirectURI != g.RedirectURI:
		return f.death(g, app, actRedeem, "code.redirect_uri", errGrant), nil
	case !verifies(g.Challenge, req.Verifier.Reveal()):
		return f.death(g, app, actRedeem, "code.verifier", errGrant), nil
	}
	st, err := f.stand(ctx, s, app, g)
	if err != nil {
		return settlement{}, err
	}
	if err := f.judgeIfChanged(ctx, s, &st); err != nil {
		return settlement{}, err
	}
	if st.reason != "" {
		return f.refusal(g, app, actRedeem, st.reason, errGrant), nil
	}
	g.CodeUsed = true
	plan := settlement{nonce: g.Nonce, tokens: Tokens{Scope: g.Scope}, entry: f.entry(g, app, actRedeem, audit.Done, "")}
	if app.OIDC.allows(GrantRefreshToken) {
		g.Generation, g.Rotated = 1, now
		plan.tokens.RefreshToken = f.refreshToken(g)
		g.RefreshHash = secret.Hash(plan.tokens.RefreshToken.Reveal())
	}
	plan.tokens.AccessToken, plan.access = opaque(app, g, g.Scope, now)
	st.grant, plan.standing, plan.save = g, st, &g
	return plan, nil
}

// verifies checks PKCE (RFC 7636 section 4.6). A verifier without a challenge is refused too: somebody took the
// challenge out of the request (RFC 9700 section 4.8.2).
func verifies(challenge, verifier string) bool {
	if challenge == "" {
		return verifier == ""
	}
	if !verifierLike(verifier) {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

func same(a, b []byte) bool { return len(a) > 0 && bytes.Equal(a, b) }
