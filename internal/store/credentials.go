package store

import (
	"context"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

const credentialColumns = "id, person, kind, name, handle, state, pending, device, held_until, created, last_used, version"

func credentialFields(c *method.Credential) []any {
	return []any{&c.ID, &c.Person, (*string)(&c.Kind), &c.Name, &c.Handle, &c.State, &c.Pending, &c.Device,
		timeTo{&c.HeldUntil}, timeTo{&c.Created}, timeTo{&c.LastUsed}, &c.Version}
}

func credentialPlace(id string) string { return "credentials/state/" + id }

// openState opens what seals a credential's state in the row.
func (t *Tx) openState(c *method.Credential) (err error) {
	if c.State, err = t.db.cfg.Keyring.Open(credentialPlace(c.ID), c.State); err != nil {
		return fmt.Errorf("store: state of credential %s: %w", c.ID, err)
	}
	if !t.readOnly {
		if t.judged == nil {
			t.judged = map[string]int64{}
		}
		t.judged[c.ID] = c.Version
	}
	return nil
}

// CredentialsOf implements method.Store.
func (t *Tx) CredentialsOf(ctx context.Context, person string) (list []method.Credential, err error) {
	err = t.each("SELECT "+credentialColumns+" FROM credentials WHERE person = $1 ORDER BY created, id", []any{person},
		func(scan func(...any) error) error {
			var c method.Credential
			if err := scan(credentialFields(&c)...); err != nil {
				return err
			}
			list = append(list, c)
			return t.openState(&list[len(list)-1])
		})
	return list, err
}

// CredentialByHandle implements method.Store.
func (t *Tx) CredentialByHandle(ctx context.Context, kind method.Kind, handle []byte) (c method.Credential, err error) {
	found, err := t.one("SELECT "+credentialColumns+" FROM credentials WHERE kind = $1 AND handle = $2",
		[]any{string(kind), handle}, credentialFields(&c)...)
	if err != nil {
		return c, err
	}
	if !found {
		return c, notFound("credential")
	}
	return c, t.openState(&c)
}

// AddCredential implements method.Store.
func (t *Tx) AddCredential(ctx context.Context, c method.Credential) error {
	n, err := t.exec(`INSERT INTO credentials (`+credentialColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT DO NOTHING`, c.ID, c.Person, string(c.Kind), c.Name, c.Handle,
		t.db.cfg.Keyring.Seal(credentialPlace(c.ID), c.State), c.Pending, c.Device, c.HeldUntil, c.Created, c.LastUsed, c.Version)
	return atMostOne(n, err, taken("credential"))
}

// UpdateCredential implements method.Store.
func (t *Tx) UpdateCredential(ctx context.Context, c method.Credential) error {
	n, err := t.exec(`UPDATE credentials SET name = $1, state = $2, pending = $3, last_used = $4, version = version + 1
		WHERE id = $5 AND version = $6`, c.Name, t.db.cfg.Keyring.Seal(credentialPlace(c.ID), c.State), c.Pending,
		c.LastUsed, c.ID, c.Version)
	if _, read := t.judged[c.ID]; read && n > 0 {
		t.judged[c.ID] = c.Version + 1
	}
	return atMostOne(n, err, changed("credential"))
}

// TouchCredential implements method.Store. Where this transaction has read the credential, what it judged must still be
// what is kept: on PostgreSQL a password may be changed between the reading and this.
func (t *Tx) TouchCredential(ctx context.Context, id string, used time.Time) error {
	q, args := "UPDATE credentials SET last_used = CASE WHEN last_used < $1 THEN $1 ELSE last_used END WHERE id = $2", []any{used, id}
	if version, read := t.judged[id]; read {
		q, args = q+" AND version = $3", append(args, version)
	}
	n, err := t.exec(q, args...)
	return atMostOne(n, err, changed("credential"))
}

// RemoveCredential implements method.Store. A device goes with all that is on it.
func (t *Tx) RemoveCredential(ctx context.Context, person, id string) (bool, error) {
	if id == "" { // what lies on no device has "" there
		return false, nil
	}
	return did(t.exec("DELETE FROM credentials WHERE person = $1 AND (id = $2 OR device = $2)", person, id))
}
