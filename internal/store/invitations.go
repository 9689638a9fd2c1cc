package store

import (
	"context"

	"github.com/gatehouse-id/gatehouse/internal/enrol"
)

const invitationColumns = "id, person, hash, browser, purpose, created, expires, by_whom, version"

// ReplaceInvitation implements enrol.Store.
func (t *Tx) ReplaceInvitation(ctx context.Context, i enrol.Invitation) error {
	n, err := t.exec(`INSERT INTO invitations (`+invitationColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (person) DO UPDATE SET id = $1, hash = $3, browser = $4, purpose = $5, created = $6, expires = $7,
		by_whom = $8, version = $9`, i.ID, i.Person, i.Hash, i.Browser, i.Purpose, i.Created, i.Expires, i.By, i.Version)
	return atMostOne(n, err, taken("invitation"))
}

// InvitationByHash implements enrol.Store.
func (t *Tx) InvitationByHash(ctx context.Context, hash []byte) (i enrol.Invitation, err error) {
	found, err := t.one("SELECT "+invitationColumns+" FROM invitations WHERE hash = $1", []any{hash}, &i.ID, &i.Person, &i.Hash,
		&i.Browser, &i.Purpose, timeTo{&i.Created}, timeTo{&i.Expires}, &i.By, &i.Version)
	if err == nil && !found {
		err = notFound("invitation")
	}
	return i, err
}

// UpdateInvitation implements enrol.Store.
func (t *Tx) UpdateInvitation(ctx context.Context, i enrol.Invitation) error {
	n, err := t.exec(`UPDATE invitations SET browser = $1, purpose = $2, expires = $3, version = version + 1
		WHERE id = $4 AND version = $5`, i.Browser, i.Purpose, i.Expires, i.ID, i.Version)
	return atMostOne(n, err, changed("invitation"))
}

// RemoveInvitation implements enrol.Store.
func (t *Tx) RemoveInvitation(ctx context.Context, id string) (bool, error) {
	return did(t.exec("DELETE FROM invitations WHERE id = $1", id))
}
