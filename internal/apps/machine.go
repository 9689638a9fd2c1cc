package apps

import (
	"context"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// ForItself issues an access token to an application for itself (client credentials, RFC 6749 section 4.4). There is no
// person, no ID token and no refresh token. Faults: oauth.invalid_client, oauth.unauthorized_client,
// oauth.invalid_scope.
func (f *Flow) ForItself(ctx context.Context, proof ClientProof, scope string) (Tokens, error) {
	plan, err := f.settle(ctx, func(s FlowStore) (settlement, error) {
		app, err := f.client(ctx, s, proof)
		if err != nil {
			return settlement{}, err
		}
		if !app.OIDC.Confidential() || !app.OIDC.allows(GrantClientCredentials) {
			return settlement{problem: errGrantType}, nil
		}
		granted, ok := machineScopes(app.OIDC, scope)
		if !ok {
			return settlement{problem: errScope}, nil
		}
		now := f.Now()
		g := Grant{ID: secret.NewID(now), Application: app.ID, Scope: granted, CodeUsed: true, Created: now, Expires: now.Add(AccessFor)}
		plan := settlement{add: &g, standing: standing{app: app, grant: g}, tokens: Tokens{Scope: granted},
			entry: f.entry(g, app, "app.token_for_itself", audit.Done, "")}
		plan.tokens.AccessToken, plan.access = opaque(app, g, granted, now)
		return plan, nil
	})
	return f.finish(ctx, plan, err)
}

// machineScopes are the registered scopes that do not speak of a person: those asked for, or all.
func machineScopes(o OIDC, asked string) (string, bool) {
	var own []string
	for _, s := range o.Scopes {
		switch s {
		case ScopeOpenID, ScopeProfile, ScopeEmail, ScopeGroups, ScopeOffline:
		default:
			own = append(own, s)
		}
	}
	return narrowed(strings.Join(own, " "), asked)
}
