package store

import (
	"context"

	"github.com/gatehouse-id/gatehouse/internal/enrol"
)

const pairingColumns = `id, person, token, code, browser, session, invitation, device, standing, sealed, wrong, credential,
	created, expires, version`

// pairingSealed is what the row keeps sealed.
type pairingSealed struct {
	Claim     []byte
	PhoneCode string
}

func pairingPlace(id string) string { return "pairings/sealed/" + id }

// AddPairing implements enrol.PairingStore: it takes the place of the one that the person had, of which nothing stays.
func (t *Tx) AddPairing(ctx context.Context, p enrol.Pairing) error {
	sealed, err := t.toSealed(pairingPlace(p.ID), pairingSealed{p.Claim, p.PhoneCode})
	if err != nil {
		return err
	}
	n, err := t.exec(`INSERT INTO pairings (`+pairingColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
		ON CONFLICT (person) DO UPDATE SET id = $1, token = $3, code = $4, browser = $5, session = $6, invitation = $7, device = $8,
		standing = $9, sealed = $10, wrong = $11, credential = $12, created = $13, expires = $14, version = $15`,
		p.ID, p.Person, p.Token, p.Code, p.Browser, p.Session, p.Invitation, p.Device, int64(p.Standing), sealed, p.Wrong,
		p.Credential, p.Created, p.Expires, p.Version)
	return atMostOne(n, err, taken("pairing"))
}

func (t *Tx) pairings(where string, arg any) (list []enrol.Pairing, err error) {
	err = t.each("SELECT "+pairingColumns+" FROM pairings WHERE "+where, []any{arg}, func(scan func(...any) error) error {
		var p enrol.Pairing
		var sealed []byte
		err := scan(&p.ID, &p.Person, &p.Token, &p.Code, &p.Browser, &p.Session, &p.Invitation, &p.Device, (*uint8)(&p.Standing),
			&sealed, &p.Wrong, &p.Credential, timeTo{&p.Created}, timeTo{&p.Expires}, &p.Version)
		if err != nil {
			return err
		}
		var in pairingSealed
		if err := t.fromSealed(pairingPlace(p.ID), sealed, &in); err != nil {
			return err
		}
		p.Claim, p.PhoneCode = in.Claim, in.PhoneCode
		list = append(list, p)
		return nil
	})
	return list, err
}

func (t *Tx) pairing(where string, arg any) (enrol.Pairing, error) {
	list, err := t.pairings(where, arg)
	if err != nil {
		return enrol.Pairing{}, err
	}
	if len(list) == 0 {
		return enrol.Pairing{}, notFound("pairing")
	}
	return list[0], nil
}

// PairingByID implements enrol.PairingStore.
func (t *Tx) PairingByID(ctx context.Context, id string) (enrol.Pairing, error) {
	return t.pairing("id = $1", id)
}

// PairingByToken implements enrol.PairingStore.
func (t *Tx) PairingByToken(ctx context.Context, hash []byte) (enrol.Pairing, error) {
	return t.pairing("token = $1", hash)
}

// PairingByCode implements enrol.PairingStore.
func (t *Tx) PairingByCode(ctx context.Context, hash []byte) (enrol.Pairing, error) {
	return t.pairing("code = $1", hash)
}

// PairingsOf implements enrol.PairingStore.
func (t *Tx) PairingsOf(ctx context.Context, person string) ([]enrol.Pairing, error) {
	return t.pairings("person = $1", person)
}

// UpdatePairing implements enrol.PairingStore. Whose it is, who began it and how it is found are left alone.
func (t *Tx) UpdatePairing(ctx context.Context, p enrol.Pairing) error {
	sealed, err := t.toSealed(pairingPlace(p.ID), pairingSealed{p.Claim, p.PhoneCode})
	if err != nil {
		return err
	}
	n, err := t.exec(`UPDATE pairings SET standing = $1, sealed = $2, wrong = $3, credential = $4, expires = $5, version = version + 1
		WHERE id = $6 AND version = $7`, int64(p.Standing), sealed, p.Wrong, p.Credential, p.Expires, p.ID, p.Version)
	return atMostOne(n, err, changed("pairing"))
}

// RemovePairing implements enrol.PairingStore.
func (t *Tx) RemovePairing(ctx context.Context, id string) (bool, error) {
	return did(t.exec("DELETE FROM pairings WHERE id = $1", id))
}

// endPairing removes the pairing that a session began and tells who waits for it. One that is over stays: the phone may not
// know yet.
func (t *Tx) endPairing(person, session string) error {
	return t.each("DELETE FROM pairings WHERE person = $1 AND session = $2 AND session <> '' AND standing <> $3 RETURNING id",
		[]any{person, session, int64(enrol.Paired)}, func(scan func(...any) error) error {
			var id string
			err := scan(&id)
			t.Wake(enrol.PairingTopic(id))
			return err
		})
}
