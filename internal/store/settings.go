package store

import (
	"context"

	"github.com/gatehouse-id/gatehouse/internal/apps"
)

// Setting gives a campus setting by name; fault NotFound where it was never saved. Secrets are sealed by whoever saves
// them.
func (t *Tx) Setting(ctx context.Context, name string) (value []byte, err error) {
	found, err := t.one("SELECT value FROM settings WHERE name = $1", []any{name}, &value)
	if err == nil && !found {
		err = notFound("setting")
	}
	return value, err
}

// SaveSetting puts a value in the place of the one before.
func (t *Tx) SaveSetting(ctx context.Context, name string, value []byte) error {
	_, err := t.exec(`INSERT INTO settings (name, value, updated) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET value = $2, updated = $3`, name, value, t.db.cfg.Now())
	return err
}

// AddSetting saves a value only where there is none yet, and reports whether it did.
func (t *Tx) AddSetting(ctx context.Context, name string, value []byte) (bool, error) {
	return did(t.exec("INSERT INTO settings (name, value, updated) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
		name, value, t.db.cfg.Now()))
}

const tokenColumns = "hash, name, scopes, created, expires"

func tokenFields(a *apps.APIToken) []any {
	return []any{&a.Hash, &a.Name, jsonTo{&a.Scopes}, timeTo{&a.Created}, timeTo{&a.Expires}}
}

// TokenByHash implements apps.APITokenStore.
func (t *Tx) TokenByHash(ctx context.Context, hash []byte) (a apps.APIToken, err error) {
	found, err := t.one("SELECT "+tokenColumns+" FROM api_tokens WHERE hash = $1", []any{hash}, tokenFields(&a)...)
	if err == nil && !found {
		err = notFound("token")
	}
	return a, err
}

// AddToken implements apps.APITokenStore.
func (t *Tx) AddToken(ctx context.Context, a apps.APIToken) error {
	scopes, err := toJSON(a.Scopes)
	if err != nil {
		return err
	}
	n, err := t.exec("INSERT INTO api_tokens ("+tokenColumns+") VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
		a.Hash, a.Name, scopes, a.Created, a.Expires)
	return atMostOne(n, err, taken("token"))
}

// RemoveToken implements apps.APITokenStore.
func (t *Tx) RemoveToken(ctx context.Context, name string) (bool, error) {
	return did(t.exec("DELETE FROM api_tokens WHERE name = $1", name))
}

// Tokens implements apps.APITokenStore.
func (t *Tx) Tokens(ctx context.Context) (list []apps.APIToken, err error) {
	err = t.each("SELECT "+tokenColumns+" FROM api_tokens ORDER BY name", nil, func(scan func(...any) error) error {
		var a apps.APIToken
		err := scan(tokenFields(&a)...)
		list = append(list, a)
		return err
	})
	return list, err
}
