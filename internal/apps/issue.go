package apps

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/keys"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// Tokens is a token response (RFC 6749 section 5.1).
type Tokens struct {
	AccessToken  secret.String
	ExpiresIn    time.Duration
	RefreshToken secret.String // empty: none
	IDToken      secret.String // empty: none
	Scope        string
}

// accessClaims is the body of an access token (RFC 9068 section 2.2). jti is the grant's id, a dot and a random part, so
// that whoever inspects the token finds the grant.
type accessClaims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience string   `json:"aud"`
	ClientID string   `json:"client_id"`
	Issued   int64    `json:"iat"`
	Expires  int64    `json:"exp"`
	ID       string   `json:"jti"`
	Scope    string   `json:"scope,omitempty"`
	AuthTime int64    `json:"auth_time,omitempty"`
	ACR      string   `json:"acr,omitempty"`
	AMR      []string `json:"amr,omitempty"`
}

// subject is the sub that an application knows a person by: the person's id, or one of its own where it is registered
// as pairwise (OpenID Connect Core section 8.1).
func (f *Flow) subject(a Application, person people.ID) string {
	if !a.OIDC.PairwiseSubject {
		return string(person)
	}
	return base64.RawURLEncoding.EncodeToString(f.Keyring.Pseudonym("oidc.pairwise", a.ID+"\x00"+string(person)))
}

// opaque makes an opaque access token where the application is registered for one; nil: it gets a JWT.
func opaque(a Application, g Grant, scope string, now time.Time) (secret.String, *AccessToken) {
	if !a.OIDC.OpaqueAccessToken {
		return secret.String{}, nil
	}
	t := secret.Token(32)
	return t, &AccessToken{Hash: secret.Hash(t.Reveal()), Grant: g.ID, Scope: scope, Expires: accessEnd(g, now)}
}

// accessEnd: an access token never outlives its grant.
func accessEnd(g Grant, now time.Time) time.Time { return earlier(now.Add(AccessFor), g.Expires) }

// accessJWT signs an access token.
func (f *Flow) accessJWT(ring *keys.Ring, st standing, scope string, now time.Time) (secret.String, error) {
	c := accessClaims{
		Issuer: f.Issuer, Audience: st.app.OIDC.audience(), ClientID: st.app.OIDC.ClientID,
		Issued: now.Unix(), Expires: accessEnd(st.grant, now).Unix(),
		ID: st.grant.ID + "." + secret.Token(16).Reveal(), Scope: scope, ACR: st.grant.ACR, AMR: st.grant.AMR,
	}
	if st.grant.Person == "" {
		c.Subject = st.app.OIDC.ClientID
	} else {
		c.Subject, c.AuthTime = f.subject(st.app, people.ID(st.grant.Person)), st.grant.AuthTime.Unix()
	}
	body, err := json.Marshal(c)
	if err != nil {
		return secret.String{}, err
	}
	token, err := ring.Sign(st.app.OIDC.alg(), keys.TypeAccessToken, body)
	if err != nil {
		return secret.String{}, err
	}
	f.verified.put(token, c)
	return secret.NewString(token), nil
}

// idToken signs an ID token (OpenID Connect Core sections 2 and 3.1.3.6). Claims of scopes are given at userinfo
// (section 5.4); here are those that the claims parameter asked for by name.
func (f *Flow) idToken(ring *keys.Ring, st standing, access secret.String, nonce string, now time.Time) (secret.String, error) {
	claims := f.personClaims(st, nil, st.asked.IDToken)
	claims["iss"] = f.Issuer
	claims["sub"] = f.subject(st.app, people.ID(st.grant.Person))
	claims["aud"] = st.app.OIDC.ClientID
	claims["iat"] = now.Unix()
	claims["exp"] = now.Add(IDTokenFor).Unix()
	claims["auth_time"] = st.grant.AuthTime.Unix()
	claims["sid"] = st.grant.Session
	claims["at_hash"] = halfHash(access.Reveal())
	if nonce != "" {
		claims["nonce"] = nonce
	}
	if st.grant.ACR != "" {
		claims["acr"] = st.grant.ACR
	}
	if len(st.grant.AMR) > 0 {
		claims["amr"] = st.grant.AMR
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return secret.String{}, err
	}
	token, err := ring.Sign(st.app.OIDC.alg(), keys.TypeIDToken, body)
	return secret.NewString(token), err
}

// halfHash is at_hash: the left half of SHA-256, which both signing algorithms use.
func halfHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// claimScope says which scope a claim about a person belongs to (OpenID Connect Core section 5.4).
var claimScope = map[string]string{
	"name": ScopeProfile, "given_name": ScopeProfile, "family_name": ScopeProfile, "preferred_username": ScopeProfile,
	"locale": ScopeProfile, "updated_at": ScopeProfile,
	"email": ScopeEmail, "email_verified": ScopeEmail,
	"groups": ScopeGroups,
}

// Claims lists the claims about a person that can be asked for, sorted.
func Claims() []string {
	var names []string
	for n := range claimScope {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// personClaims gives the claims of the scopes and those asked for by name; a name counts only where the application is
// registered for its scope. Claims without a value are left out.
func (f *Flow) personClaims(st standing, scopes, names []string) map[string]any {
	p := st.person
	registered := grantedScopes(st.app.OIDC, strings.Join([]string{ScopeProfile, ScopeEmail, ScopeGroups}, " "))
	out := make(map[string]any, 16)
	put := func(name string, value any, has bool) {
		scope := claimScope[name]
		if has && (slices.Contains(scopes, scope) || slices.Contains(names, name) && slices.Contains(registered, scope)) {
			out[name] = value
		}
	}
	put("name", p.DisplayName, p.DisplayName != "")
	put("given_name", p.GivenName, p.GivenName != "")
	put("family_name", p.FamilyName, p.FamilyName != "")
	put("preferred_username", p.Username, p.Username != "")
	put("locale", p.Locale, p.Locale != "")
	put("updated_at", p.Updated.Unix(), !p.Updated.IsZero())
	put("email", p.Email, p.Email != "")
	// Addresses come from the registrar or an administrator, never from the member: the institution vouches.
	put("email_verified", true, p.Email != "")
	put("groups", p.Groups, len(p.Groups) > 0)
	return out
}

// tokens signs what was granted, after the transaction: whoever lost a race costs no signature.
func (f *Flow) tokens(ctx context.Context, st standing, t Tokens, nonce string) (Tokens, error) {
	now := f.Now()
	ring, err := f.Keys.Ring(ctx)
	if err != nil {
		return Tokens{}, err
	}
	if t.AccessToken.Empty() {
		if t.AccessToken, err = f.accessJWT(ring, st, t.Scope, now); err != nil {
			return Tokens{}, err
		}
	}
	t.ExpiresIn = accessEnd(st.grant, now).Sub(now)
	if st.grant.Person != "" && hasScope(t.Scope, ScopeOpenID) {
		t.IDToken, err = f.idToken(ring, st, t.AccessToken, nonce, now)
	}
	return t, err
}
