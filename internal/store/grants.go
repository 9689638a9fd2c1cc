package store

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/method"
)

// issued is the part of a grant that is read and written as a whole and never looked up by.
type issued struct {
	Scope       string            `json:"scope,omitempty"`
	Nonce       string            `json:"nonce,omitempty"`
	RedirectURI string            `json:"redirect_uri,omitempty"`
	Challenge   string            `json:"challenge,omitempty"`
	Claims      []byte            `json:"claims,omitempty"`
	ACR         string            `json:"acr,omitempty"`
	AuthTime    int64             `json:"auth_time,omitempty"` // unix microseconds
	AMR         []string          `json:"amr,omitempty"`
	Evidence    []method.Evidence `json:"evidence,omitempty"`
	Family      string            `json:"family,omitempty"`
}

func issuedOf(g apps.Grant) (string, error) {
	return toJSON(issued{g.Scope, g.Nonce, g.RedirectURI, g.Challenge, g.Claims, g.ACR, micros(g.AuthTime), g.AMR, g.Evidence, g.Family})
}

func (i issued) into(g *apps.Grant) {
	g.Scope, g.Nonce, g.RedirectURI, g.Challenge, g.Claims = i.Scope, i.Nonce, i.RedirectURI, i.Challenge, i.Claims
	g.ACR, g.AuthTime, g.AMR, g.Evidence, g.Family = i.ACR, fromMicros(i.AuthTime), i.AMR, i.Evidence, i.Family
}

const grantColumns = `id, application, person, session, offline, issued, code_hash, code_expires, code_used, refresh_hash,
	prev_hash, rotated, generation, expires, revoked, created, version`

func grantFields(g *apps.Grant, i *issued) []any {
	return []any{&g.ID, &g.Application, &g.Person, &g.Session, &g.Offline, jsonTo{i}, &g.CodeHash, timeTo{&g.CodeExpires},
		&g.CodeUsed, &g.RefreshHash, &g.PrevHash, timeTo{&g.Rotated}, &g.Generation, timeTo{&g.Expires}, &g.Revoked,
		timeTo{&g.Created}, &g.Version}
}

// AddGrant implements apps.Store.
func (t *Tx) AddGrant(ctx context.Context, g apps.Grant) error {
	text, err := issuedOf(g)
	if err != nil {
		return err
	}
	n, err := t.exec(`INSERT INTO grants (`+grantColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) ON CONFLICT DO NOTHING`,
		g.ID, g.Application, g.Person, g.Session, g.Offline, text, g.CodeHash, g.CodeExpires, g.CodeUsed, g.RefreshHash,
		g.PrevHash, g.Rotated, g.Generation, g.Expires, g.Revoked, g.Created, g.Version)
	return atMostOne(n, err, taken("grant"))
}

// GrantByID implements apps.Store.
func (t *Tx) GrantByID(ctx context.Context, id string) (g apps.Grant, err error) {
	var i issued
	found, err := t.one("SELECT "+grantColumns+" FROM grants WHERE id = $1", []any{id}, grantFields(&g, &i)...)
	if err == nil && !found {
		err = notFound("grant")
	}
	i.into(&g)
	return g, err
}

// UpdateGrant implements apps.Store. What was fixed at issue is not named, so that none of its indexes is written.
func (t *Tx) UpdateGrant(ctx context.Context, g apps.Grant) error {
	text, err := issuedOf(g)
	if err != nil {
		return err
	}
	n, err := t.exec(`UPDATE grants SET issued = $1, code_used = $2, refresh_hash = $3, prev_hash = $4, rotated = $5, generation = $6,
		revoked = $7, version = version + 1 WHERE id = $8 AND version = $9`,
		text, g.CodeUsed, g.RefreshHash, g.PrevHash, g.Rotated, g.Generation, g.Revoked, g.ID, g.Version)
	return atMostOne(n, err, changed("grant"))
}

// RevokeGrantsOfSession implements apps.Store.
func (t *Tx) RevokeGrantsOfSession(ctx context.Context, session string) (int, error) {
	n, err := t.exec(`UPDATE grants SET revoked = $1, version = version + 1
		WHERE session = $2 AND session <> '' AND NOT offline AND NOT revoked`, true, session)
	return int(n), err
}

// RevokeGrantsOf implements apps.Store.
func (t *Tx) RevokeGrantsOf(ctx context.Context, person, application string) (int, error) {
	n, err := t.exec(`UPDATE grants SET revoked = $1, version = version + 1
		WHERE person = $2 AND person <> '' AND (application = $3 OR $3 = '') AND NOT revoked`, true, person, application)
	return int(n), err
}

// AddAccessToken implements apps.Store.
func (t *Tx) AddAccessToken(ctx context.Context, a apps.AccessToken) error {
	n, err := t.exec("INSERT INTO access_tokens (hash, grant_id, scope, expires) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
		a.Hash, a.Grant, a.Scope, a.Expires)
	return atMostOne(n, err, taken("access_token"))
}

// AccessTokenByHash implements apps.Store.
func (t *Tx) AccessTokenByHash(ctx context.Context, hash []byte) (a apps.AccessToken, err error) {
	found, err := t.one("SELECT hash, grant_id, scope, expires FROM access_tokens WHERE hash = $1", []any{hash},
		&a.Hash, &a.Grant, &a.Scope, timeTo{&a.Expires})
	if err == nil && !found {
		err = notFound("access_token")
	}
	return a, err
}

// RevokeAccessTokensOfGrant implements apps.Store: opaque tokens go; JWTs of the grant die with the grant's revocation
// wherever they are introspected, and at their end elsewhere.
func (t *Tx) RevokeAccessTokensOfGrant(ctx context.Context, grant string) error {
	_, err := t.exec("DELETE FROM access_tokens WHERE grant_id = $1", grant)
	return err
}

// RevokeAccessToken implements apps.Store.
func (t *Tx) RevokeAccessToken(ctx context.Context, id string, expires time.Time) error {
	_, err := t.exec("INSERT INTO revoked_tokens (id, expires) VALUES ($1, $2) ON CONFLICT DO NOTHING", id, expires)
	return err
}

// AccessTokenRevoked implements apps.Store.
func (t *Tx) AccessTokenRevoked(ctx context.Context, id string) (bool, error) {
	var one int64
	return t.one("SELECT 1 FROM revoked_tokens WHERE id = $1", []any{id}, &one)
}
