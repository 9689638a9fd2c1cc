package apps

import (
	"context"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

const actRevoke = "app.token_revoked"

// Revoke ends a token (RFC 7009): a refresh token takes its whole family along, an access token goes alone. A token
// that is unknown or already worth nothing is no error; another client's is refused with oauth.unauthorized_client.
func (f *Flow) Revoke(ctx context.Context, proof ClientProof, token secret.String) error {
	text := token.Reveal()
	signed, isSigned := f.signedAccess(ctx, text)
	plan, err := f.settle(ctx, func(s FlowStore) (settlement, error) {
		app, err := f.client(ctx, s, proof)
		if err != nil {
			return settlement{}, err
		}
		l, err := f.access(ctx, s, text, signed, isSigned)
		if err != nil {
			return settlement{}, err
		}
		if l == nil {
			return f.revokeRefresh(ctx, s, app, text)
		}
		if l.standing.grant.Application != app.ID {
			return settlement{problem: errNotYours}, nil
		}
		return settlement{list: &AccessTokenID{l.id, l.expires},
			entry: f.entry(l.standing.grant, app, actRevoke, audit.Done, "access_token")}, nil
	})
	if err != nil {
		return err
	}
	if plan.problem != nil {
		return plan.problem
	}
	return nil
}

var errNotYours = oauth(fault.Forbidden, "unauthorized_client", "The token was issued to another client.")

func (f *Flow) revokeRefresh(ctx context.Context, s FlowStore, app Application, token string) (settlement, error) {
	g, hash, err := grantOf(ctx, s, token)
	if fault.IsKind(err, fault.NotFound) || err == nil && !same(g.RefreshHash, hash) && !same(g.PrevHash, hash) {
		return settlement{}, nil
	}
	if err != nil {
		return settlement{}, err
	}
	if g.Application != app.ID {
		return settlement{problem: errNotYours}, nil
	}
	if g.Revoked {
		return settlement{}, nil
	}
	g.Revoked = true
	return settlement{save: &g, revoked: true, entry: f.entry(g, app, actRevoke, audit.Done, "refresh_token")}, nil
}
