package store

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// SpendOnce implements signin.Store.
func (t *Tx) SpendOnce(ctx context.Context, hash []byte, expires time.Time) (bool, error) {
	return did(t.exec("INSERT INTO spent (hash, expires) VALUES ($1, $2) ON CONFLICT DO NOTHING", hash, expires))
}

// AttemptByID implements signin.Store.
func (t *Tx) AttemptByID(ctx context.Context, id string) (a signin.Attempt, err error) {
	found, err := t.one("SELECT id, browser, person, session, evidence, target, created, expires, version FROM attempts WHERE id = $1",
		[]any{id}, &a.ID, &a.Browser, &a.Person, &a.Session, jsonTo{&a.Evidence}, jsonTo{&a.Target},
		timeTo{&a.Created}, timeTo{&a.Expires}, &a.Version)
	if err == nil && !found {
		err = notFound("attempt")
	}
	return a, err
}

// AddAttempt implements signin.Store.
func (t *Tx) AddAttempt(ctx context.Context, a signin.Attempt) error {
	evidence, target, err := attemptJSON(a)
	if err != nil {
		return err
	}
	n, err := t.exec(`INSERT INTO attempts (id, browser, person, session, evidence, target, created, expires, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
		a.ID, a.Browser, a.Person, a.Session, evidence, target, a.Created, a.Expires, a.Version)
	return atMostOne(n, err, taken("attempt"))
}

func attemptJSON(a signin.Attempt) (evidence, target string, err error) {
	if evidence, err = toJSON(a.Evidence); err != nil {
		return "", "", err
	}
	target, err = toJSON(a.Target)
	return evidence, target, err
}

// UpdateAttempt implements signin.Store. Browser and Created are left alone: an attempt belongs to one browser.
func (t *Tx) UpdateAttempt(ctx context.Context, a signin.Attempt) error {
	evidence, target, err := attemptJSON(a)
	if err != nil {
		return err
	}
	n, err := t.exec(`UPDATE attempts SET person = $1, session = $2, evidence = $3, target = $4, expires = $5, version = version + 1
		WHERE id = $6 AND version = $7`, a.Person, a.Session, evidence, target, a.Expires, a.ID, a.Version)
	return atMostOne(n, err, changed("attempt"))
}

// RemoveAttempt implements signin.Store.
func (t *Tx) RemoveAttempt(ctx context.Context, id string) (bool, error) {
	return did(t.exec("DELETE FROM attempts WHERE id = $1", id))
}

// AddProof implements signin.Store; a later proof of the same act takes the place of the earlier.
func (t *Tx) AddProof(ctx context.Context, p signin.Proof) error {
	_, err := t.exec(`INSERT INTO proofs (session, act, object, at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (session, act, object) DO UPDATE SET at = $4 WHERE proofs.at < $4`, p.Session, string(p.Act), p.Object, p.At)
	return err
}

// TakeProof implements signin.Store.
func (t *Tx) TakeProof(ctx context.Context, session string, act policy.Act, object string, notBefore time.Time) (bool, error) {
	return did(t.exec("DELETE FROM proofs WHERE session = $1 AND act = $2 AND object = $3 AND at >= $4",
		session, string(act), object, notBefore))
}

// HasProof implements signin.Store.
func (t *Tx) HasProof(ctx context.Context, session string, act policy.Act, object string, notBefore time.Time) (bool, error) {
	var one int64
	return t.one("SELECT 1 FROM proofs WHERE session = $1 AND act = $2 AND object = $3 AND at >= $4",
		[]any{session, string(act), object, notBefore}, &one)
}
