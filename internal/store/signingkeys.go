package store

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/keys"
)

// SigningKeys implements keys.Store, oldest first.
func (t *Tx) SigningKeys(ctx context.Context) (list []keys.Key, err error) {
	err = t.each("SELECT id, algorithm, state, public, sealed, created, changed FROM signing_keys ORDER BY created, id", nil,
		func(scan func(...any) error) error {
			var k keys.Key
			var public []byte
			err := scan(&k.ID, &k.Algorithm, (*uint8)(&k.State), &public, &k.Sealed, timeTo{&k.Created}, timeTo{&k.Changed})
			if err != nil {
				return err
			}
			if k.Public, err = x509.ParsePKIXPublicKey(public); err != nil {
				return fmt.Errorf("public part of signing key %s: %w", k.ID, err)
			}
			list = append(list, k)
			return nil
		})
	return list, err
}

// AddSigningKey implements keys.Store.
func (t *Tx) AddSigningKey(ctx context.Context, k keys.Key) error {
	public, err := x509.MarshalPKIXPublicKey(k.Public)
	if err != nil {
		return fmt.Errorf("store: signing key %s: %w", k.ID, err)
	}
	n, err := t.exec(`INSERT INTO signing_keys (id, algorithm, state, public, sealed, created, changed)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
		k.ID, k.Algorithm, int64(k.State), public, k.Sealed, k.Created, k.Changed)
	return atMostOne(n, err, taken("signing_key"))
}

// UpdateSigningKey implements keys.Store.
func (t *Tx) UpdateSigningKey(ctx context.Context, id string, from, to keys.State, at time.Time) (bool, error) {
	return did(t.exec("UPDATE signing_keys SET state = $1, changed = $2 WHERE id = $3 AND state = $4", int64(to), at, id, int64(from)))
}

// RemoveSigningKey implements keys.Store.
func (t *Tx) RemoveSigningKey(ctx context.Context, id string) error {
	_, err := t.exec("DELETE FROM signing_keys WHERE id = $1", id)
	return err
}
