package apps

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/keys"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// Inspection is what a token is worth right now (RFC 7662 section 2.2). Active false says nothing further.
type Inspection struct {
	Active    bool     `json:"active"`
	Scope     string   `json:"scope,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	Username  string   `json:"username,omitempty"`
	Email     string   `json:"email,omitempty"` // with scope email: mail servers name mailboxes by it
	TokenType string   `json:"token_type,omitempty"`
	Expires   int64    `json:"exp,omitempty"`
	Issued    int64    `json:"iat,omitempty"`
	Subject   string   `json:"sub,omitempty"`
	Audience  string   `json:"aud,omitempty"`
	Issuer    string   `json:"iss,omitempty"`
	ID        string   `json:"jti,omitempty"`
	ACR       string   `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"`
	AuthTime  int64    `json:"auth_time,omitempty"`
}

// live is a token that was found good.
type live struct {
	standing standing
	scope    string
	id       string // on the list of the revoked
	expires  time.Time
	issued   int64
}

// accessID is an opaque token's name on the list of the revoked.
func accessID(hash []byte) string { return "opaque:" + hex.EncodeToString(hash) }

// signedAccess reads a signed access token; ok is false for whatever is none of ours, of another kind, or expired.
func (f *Flow) signedAccess(ctx context.Context, token string) (accessClaims, bool) {
	c, ok := f.verified.get(token)
	if !ok {
		payload, err := f.Keys.Verify(ctx, token, keys.TypeAccessToken)
		if err != nil || json.Unmarshal(payload, &c) != nil {
			return accessClaims{}, false
		}
		f.verified.put(token, c)
	}
	return c, c.Issuer == f.Issuer && f.Now().Unix() < c.Expires
}

// access finds what an access token is worth. nil: nothing. Signatures are checked before, outside the transaction.
func (f *Flow) access(ctx context.Context, s FlowStore, token string, signed accessClaims, isSigned bool) (*live, error) {
	var l live
	var grantID string
	if isSigned {
		var ok bool
		if grantID, _, ok = strings.Cut(signed.ID, "."); !ok {
			return nil, nil
		}
		l = live{scope: signed.Scope, id: signed.ID, expires: time.Unix(signed.Expires, 0), issued: signed.Issued}
	} else {
		hash := secret.Hash(token)
		t, err := s.AccessTokenByHash(ctx, hash)
		if fault.IsKind(err, fault.NotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		grantID, l = t.Grant, live{scope: t.Scope, id: accessID(hash), expires: t.Expires, issued: t.Expires.Add(-AccessFor).Unix()}
	}
	if !f.Now().Before(l.expires) {
		return nil, nil
	}
	revoked, err := s.AccessTokenRevoked(ctx, l.id)
	if err != nil || revoked {
		return nil, err
	}
	return f.liveGrant(ctx, s, grantID, l)
}

func (f *Flow) liveGrant(ctx context.Context, s FlowStore, grantID string, l live) (*live, error) {
	g, err := s.GrantByID(ctx, grantID)
	if fault.IsKind(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	app, err := s.ApplicationByID(ctx, g.Application)
	if fault.IsKind(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if l.standing, err = f.stand(ctx, s, app, g); err != nil {
		return nil, err
	}
	if err := f.judgeIfChanged(ctx, s, &l.standing); err != nil {
		return nil, err
	}
	if l.standing.reason != "" {
		return nil, nil
	}
	return &l, nil
}

// Introspect says what a token is worth, to a confidential client that it was issued to or that is its audience; to
// any other client every token is inactive (RFC 7662 section 4: no scanning). Fault: oauth.invalid_client.
func (f *Flow) Introspect(ctx context.Context, proof ClientProof, token secret.String) (Inspection, error) {
	text := token.Reveal()
	signed, isSigned := f.signedAccess(ctx, text)
	var out Inspection
	err := f.View(ctx, func(s FlowStore) error {
		out = Inspection{}
		client, err := f.client(ctx, s, proof)
		if err != nil {
			return err
		}
		if !client.OIDC.Confidential() {
			return errClient
		}
		l, err := f.access(ctx, s, text, signed, isSigned)
		if err != nil {
			return err
		}
		if l != nil {
			if mayInspect(client, l.standing.app) {
				out = f.describe(*l, "Bearer")
			}
			return nil
		}
		out, err = f.inspectRefresh(ctx, s, client, text)
		return err
	})
	return out, err
}

func mayInspect(client, issuedTo Application) bool {
	aud := issuedTo.OIDC.audience()
	return client.ID == issuedTo.ID || aud == client.OIDC.ClientID || client.OIDC.Audience != "" && aud == client.OIDC.Audience
}

// inspectRefresh: a refresh token is only its own client's to look at.
func (f *Flow) inspectRefresh(ctx context.Context, s FlowStore, client Application, token string) (Inspection, error) {
	g, hash, err := grantOf(ctx, s, token)
	if fault.IsKind(err, fault.NotFound) {
		return Inspection{}, nil
	}
	if err != nil || g.Application != client.ID || !same(g.RefreshHash, hash) {
		return Inspection{}, err
	}
	l, err := f.liveGrant(ctx, s, g.ID, live{scope: g.Scope, expires: g.Expires, issued: g.Rotated.Unix()})
	if err != nil || l == nil {
		return Inspection{}, err
	}
	return f.describe(*l, "refresh_token"), nil
}

func (f *Flow) describe(l live, kind string) Inspection {
	st := l.standing
	out := Inspection{Active: true, Scope: l.scope, ClientID: st.app.OIDC.ClientID, TokenType: kind, Expires: l.expires.Unix(),
		Issued: l.issued, Audience: st.app.OIDC.audience(), Issuer: f.Issuer, ID: l.id, Subject: st.app.OIDC.ClientID}
	if st.grant.Person == "" {
		return out
	}
	out.Subject = f.subject(st.app, people.ID(st.grant.Person))
	out.Username = st.person.Username
	if hasScope(l.scope, ScopeEmail) {
		out.Email = st.person.Email
	}
	out.ACR, out.AMR, out.AuthTime = st.grant.ACR, st.grant.AMR, st.grant.AuthTime.Unix()
	return out
}

// UserInfo gives the claims about the person a token speaks of (OpenID Connect Core section 5.3). Faults:
// oauth.invalid_token, oauth.insufficient_scope.
func (f *Flow) UserInfo(ctx context.Context, token secret.String) (map[string]any, error) {
	text := token.Reveal()
	signed, isSigned := f.signedAccess(ctx, text)
	var out map[string]any
	err := f.View(ctx, func(s FlowStore) error {
		l, err := f.access(ctx, s, text, signed, isSigned)
		if err != nil {
			return err
		}
		if l == nil {
			return errToken
		}
		if l.standing.grant.Person == "" || !hasScope(l.scope, ScopeOpenID) {
			return oauth(fault.Forbidden, "insufficient_scope", "The token was not issued for openid.")
		}
		out = f.personClaims(l.standing, strings.Fields(l.scope), l.standing.asked.UserInfo)
		out["sub"] = f.subject(l.standing.app, people.ID(l.standing.grant.Person))
		return nil
	})
	return out, err
}

// verified remembers which signatures were checked, by the SHA-256 of the whole token: the same bytes need no second
// check. What the token is worth is asked of the store every time. Two generations bound it.
type verified struct {
	mu       sync.Mutex
	now, old map[[sha256.Size]byte]accessClaims
}

// verifiedMax is the size of one generation: with two of them about 2 MiB.
const verifiedMax = 2048

func newVerified() *verified {
	return &verified{now: map[[sha256.Size]byte]accessClaims{}}
}

func (v *verified) get(token string) (accessClaims, bool) {
	key := sha256.Sum256([]byte(token))
	v.mu.Lock()
	defer v.mu.Unlock()
	c, ok := v.now[key]
	if !ok {
		c, ok = v.old[key]
	}
	return c, ok
}

func (v *verified) put(token string, c accessClaims) {
	key := sha256.Sum256([]byte(token))
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.now) >= verifiedMax {
		v.old, v.now = v.now, make(map[[sha256.Size]byte]accessClaims, verifiedMax)
	}
	v.now[key] = c
}
