package store

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/session"
)

const sessionColumns = "id, token_hash, person, browser, evidence, family, created, last_seen, expires, address, agent, version"

func sessionFields(s *session.Session) []any {
	return []any{&s.ID, &s.TokenHash, &s.Person, &s.Browser, jsonTo{&s.Evidence}, &s.Family, timeTo{&s.Created},
		timeTo{&s.LastSeen}, timeTo{&s.Expires}, &s.Address, &s.Agent, &s.Version}
}

// SessionByToken implements session.Store.
func (t *Tx) SessionByToken(ctx context.Context, tokenHash []byte) (session.Session, error) {
	return t.session("token_hash = $1", tokenHash)
}

// SessionByID implements session.Store.
func (t *Tx) SessionByID(ctx context.Context, id string) (session.Session, error) {
	return t.session("id = $1", id)
}

func (t *Tx) session(where string, arg any) (s session.Session, err error) {
	found, err := t.one("SELECT "+sessionColumns+" FROM sessions WHERE "+where, []any{arg}, sessionFields(&s)...)
	if err == nil && !found {
		err = notFound("session")
	}
	return s, err
}

// SessionsOf implements session.Store, newest first.
func (t *Tx) SessionsOf(ctx context.Context, person string) (list []session.Session, err error) {
	err = t.each("SELECT "+sessionColumns+" FROM sessions WHERE person = $1 ORDER BY created DESC, id DESC", []any{person},
		func(scan func(...any) error) error {
			var s session.Session
			err := scan(sessionFields(&s)...)
			list = append(list, s)
			return err
		})
	return list, err
}

// AddSession implements session.Store.
func (t *Tx) AddSession(ctx context.Context, s session.Session) error {
	evidence, err := toJSON(s.Evidence)
	if err != nil {
		return err
	}
	n, err := t.exec(`INSERT INTO sessions (`+sessionColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT DO NOTHING`, s.ID, s.TokenHash, s.Person, s.Browser, evidence, s.Family, s.Created, s.LastSeen,
		s.Expires, s.Address, s.Agent, s.Version)
	return atMostOne(n, err, taken("session"))
}

// UpdateSession implements session.Store.
func (t *Tx) UpdateSession(ctx context.Context, s session.Session) error {
	evidence, err := toJSON(s.Evidence)
	if err != nil {
		return err
	}
	n, err := t.exec(`UPDATE sessions SET token_hash = $1, evidence = $2, last_seen = $3, expires = $4, family = $5, version = version + 1
		WHERE id = $6 AND version = $7`, s.TokenHash, evidence, s.LastSeen, s.Expires, s.Family, s.ID, s.Version)
	return atMostOne(n, err, changed("session"))
}

// TouchSession implements session.Store.
func (t *Tx) TouchSession(ctx context.Context, id string, seen time.Time) error {
	_, err := t.exec("UPDATE sessions SET last_seen = $1 WHERE id = $2 AND last_seen < $1", seen, id)
	return err
}

// EndSession implements session.Store; proofs given in the session and the pairing that it began end with it.
func (t *Tx) EndSession(ctx context.Context, id string) (bool, error) {
	if _, err := t.exec("DELETE FROM proofs WHERE session = $1", id); err != nil { // also where the session itself is gone
		return false, err
	}
	ids, err := t.endSessions("id = $1", id)
	return len(ids) == 1, err
}

// EndSessionsOf implements session.Store: an attempt is half a session.
func (t *Tx) EndSessionsOf(ctx context.Context, person, except string) ([]string, error) {
	if t.readOnly {
		return nil, errReadOnly
	}
	if _, err := t.exec("DELETE FROM attempts WHERE person = $1", person); err != nil {
		return nil, err
	}
	return t.endSessions("person = $1 AND id <> $2", person, except)
}

// EndSessionsOfFamily implements session.Store.
func (t *Tx) EndSessionsOfFamily(ctx context.Context, family string) ([]string, error) {
	if family == "" {
		return nil, nil
	}
	return t.endSessions("family = $1 AND family <> ''", family)
}

func (t *Tx) endSessions(where string, args ...any) (ids []string, err error) {
	if t.readOnly {
		return nil, errReadOnly
	}
	var owners []string
	err = t.each("DELETE FROM sessions WHERE "+where+" RETURNING id, person", args, func(scan func(...any) error) error {
		var id, person string
		err := scan(&id, &person)
		ids, owners = append(ids, id), append(owners, person)
		return err
	})
	for i, id := range ids {
		if err == nil {
			_, err = t.exec("DELETE FROM proofs WHERE session = $1", id)
		}
		if err == nil {
			err = t.endPairing(owners[i], id)
		}
	}
	return ids, err
}
