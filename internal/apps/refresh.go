package apps

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// RefreshRequest is a refresh (RFC 6749 section 6).
type RefreshRequest struct {
	Token secret.String
	Scope string // "": as granted
}

const actRefresh = "app.refreshed"

// Refresh rotates a refresh token and issues new tokens, after asking policy again about the evidence of the grant, the
// person, groups and credentials of now (G99). Reuse of a rotated token kills the family (G100), except for the same
// answer once more within RefreshGrace. Faults as Redeem, and oauth.invalid_scope.
func (f *Flow) Refresh(ctx context.Context, proof ClientProof, req RefreshRequest) (Tokens, error) {
	plan, err := f.settle(ctx, func(s FlowStore) (settlement, error) {
		app, err := f.client(ctx, s, proof)
		if err != nil {
			return settlement{}, err
		}
		if !app.OIDC.allows(GrantRefreshToken) {
			return settlement{problem: errGrantType}, nil
		}
		return f.findRefresh(ctx, s, app, req)
	})
	return f.finish(ctx, plan, err)
}

// findRefresh tells apart the present token, its predecessor, an older one of ours, and what is none of ours.
func (f *Flow) findRefresh(ctx context.Context, s FlowStore, app Application, req RefreshRequest) (settlement, error) {
	g, hash, err := grantOf(ctx, s, req.Token.Reveal())
	if fault.IsKind(err, fault.NotFound) {
		return settlement{problem: errGrant}, nil
	}
	if err != nil {
		return settlement{}, err
	}
	present, previous := same(g.RefreshHash, hash), same(g.PrevHash, hash)
	switch {
	case !present && !previous && !f.marked(req.Token.Reveal()):
		// Whoever knows a grant's ID, which is no secret, must not be able to end it.
		return settlement{problem: errGrant}, nil
	case (present || previous) && g.Application != app.ID:
		return f.death(g, app, actRefresh, "refresh.other_client", errGrant), nil
	case present:
		return f.rotate(ctx, s, app, g, req, false)
	case previous && f.Now().Before(g.Rotated.Add(RefreshGrace)):
		return f.rotate(ctx, s, app, g, req, true)
	}
	// The predecessor after its grace, or one of ours that was rotated away long ago.
	return f.death(g, app, actRefresh, "refresh.reused", errGrant), nil
}

// rotate issues the successor. again: the answer was lost, and the same successor goes out once more.
func (f *Flow) rotate(ctx context.Context, s FlowStore, app Application, g Grant, req RefreshRequest, again bool) (settlement, error) {
	st, err := f.stand(ctx, s, app, g)
	if err != nil {
		return settlement{}, err
	}
	scope, ok := narrowed(g.Scope, req.Scope)
	if !ok {
		return settlement{problem: errScope}, nil
	}
	if st.reason == "" {
		d, err := f.judge(ctx, s, &st)
		if err != nil {
			return settlement{}, err
		}
		g.ACR, g.AMR = d.ACR, d.AMR
		st.asked.Policy, st.asked.Person = d.Version, st.person.Version
	}
	if st.reason != "" {
		return f.refusal(g, app, actRefresh, st.reason, errGrant), nil
	}
	if g.Claims, err = json.Marshal(st.asked); err != nil {
		return settlement{}, err
	}
	now := f.Now()
	if !again {
		g.PrevHash, g.Rotated = g.RefreshHash, now
		g.Generation++
	}
	plan := settlement{tokens: Tokens{Scope: scope, RefreshToken: f.refreshToken(g)}, entry: f.entry(g, app, actRefresh, audit.Done, "")}
	hash := secret.Hash(plan.tokens.RefreshToken.Reveal())
	if again && !same(g.RefreshHash, hash) {
		return settlement{problem: errGrant}, nil // the master keys changed meanwhile: it cannot be made again
	}
	g.RefreshHash = hash
	plan.tokens.AccessToken, plan.access = opaque(app, g, scope, now)
	st.grant, plan.standing = g, st
	if !again {
		plan.save = &g // the same answer once more changes nothing, so that a crowd of them does not race
	}
	return plan, nil
}

// narrowed gives the scopes asked for where each was granted (RFC 6749 section 6).
func narrowed(granted, asked string) (string, bool) {
	if strings.TrimSpace(asked) == "" {
		return granted, true
	}
	have := strings.Fields(granted)
	var out []string
	for _, s := range strings.Fields(asked) {
		if !slices.Contains(have, s) {
			return "", false
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return strings.Join(out, " "), true
}

// refreshToken is the token of the grant's present generation: grant, generation, and a keyed hash over both and the
// grant's code, which was 256 random bits. Being a function of what is stored and of the master key, it can be made
// again when an answer is lost; the store holds only its hash, and without the key nobody derives it.
func (f *Flow) refreshToken(g Grant) secret.String {
	generation := strconv.FormatInt(g.Generation, 36)
	salt := hex.EncodeToString(g.CodeHash)
	mac := f.Keyring.Pseudonym("oauth.refresh", fmt.Sprintf("%s.%s.%s", g.ID, generation, salt))
	mark := f.Keyring.Pseudonym("oauth.refresh.mark", g.ID+"."+generation)[:9]
	enc := base64.RawURLEncoding
	return secret.NewString(g.ID + "." + generation + "." + enc.EncodeToString(mark) + enc.EncodeToString(mac))
}

// marked reports whether a token was one of ours once: it carries our mark, a keyed hash of its grant and generation.
func (f *Flow) marked(token string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || len(parts[2]) != 12+43 {
		return false
	}
	mark := f.Keyring.Pseudonym("oauth.refresh.mark", parts[0]+"."+parts[1])[:9]
	want := base64.RawURLEncoding.EncodeToString(mark)
	return subtle.ConstantTimeCompare([]byte(want), []byte(parts[2][:12])) == 1
}
