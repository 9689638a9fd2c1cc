package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/signin"
)

const challengeColumns = `id, person, attempt, browser, known, kind, via, sealed, sent, standing, proof, answered_by,
	application, country, created, expires, ends, answered, version`

// challengeSealed is what the row keeps sealed; none of it changes.
type challengeSealed struct {
	State, Public          []byte
	Number, Address, Agent string
}

// toSealed encodes v and seals it for its place.
func (t *Tx) toSealed(place string, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return t.db.cfg.Keyring.Seal(place, text), nil
}

// fromSealed is the other way; nothing sealed leaves v alone.
func (t *Tx) fromSealed(place string, sealed []byte, v any) error {
	if len(sealed) == 0 {
		return nil
	}
	text, err := t.db.cfg.Keyring.Open(place, sealed)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return fmt.Errorf("store: %s: %w", place, err)
	}
	return nil
}

func challengePlace(id string) string { return "challenges/sealed/" + id }

// AddChallenge implements signin.ChallengeStore.
func (t *Tx) AddChallenge(ctx context.Context, c signin.Challenge) error {
	sealed, err := t.toSealed(challengePlace(c.ID), challengeSealed{c.State, c.Public, c.Number, c.Address, c.Agent})
	if err != nil {
		return err
	}
	sent, err := toJSON(c.Sent)
	if err != nil {
		return err
	}
	proof, err := toJSON(c.Proof)
	if err != nil {
		return err
	}
	n, err := t.exec(`INSERT INTO challenges (`+challengeColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) ON CONFLICT DO NOTHING`,
		c.ID, c.Person, c.Attempt, c.Browser, c.Known, string(c.Kind), c.Via, sealed, sent, int64(c.Standing), proof, c.AnsweredBy,
		c.Application, c.Country, c.Created, c.Expires, c.Ends, c.Answered, c.Version)
	return atMostOne(n, err, taken("challenge"))
}

// challenges gives those that rest names, in its order.
func (t *Tx) challenges(rest string, args ...any) (list []signin.Challenge, err error) {
	err = t.each("SELECT "+challengeColumns+" FROM challenges "+rest, args, func(scan func(...any) error) error {
		var c signin.Challenge
		var sealed []byte
		err := scan(&c.ID, &c.Person, &c.Attempt, &c.Browser, &c.Known, (*string)(&c.Kind), &c.Via, &sealed, jsonTo{&c.Sent},
			(*uint8)(&c.Standing), jsonTo{&c.Proof}, &c.AnsweredBy, &c.Application, &c.Country, timeTo{&c.Created},
			timeTo{&c.Expires}, timeTo{&c.Ends}, timeTo{&c.Answered}, &c.Version)
		if err != nil {
			return err
		}
		var in challengeSealed
		if err := t.fromSealed(challengePlace(c.ID), sealed, &in); err != nil {
			return err
		}
		c.State, c.Public, c.Number, c.Address, c.Agent = in.State, in.Public, in.Number, in.Address, in.Agent
		list = append(list, c)
		return nil
	})
	return list, err
}

func (t *Tx) challenge(rest string, args ...any) (signin.Challenge, error) {
	list, err := t.challenges(rest, args...)
	if err != nil {
		return signin.Challenge{}, err
	}
	if len(list) == 0 {
		return signin.Challenge{}, notFound("challenge")
	}
	return list[0], nil
}

// ChallengeByID implements signin.ChallengeStore.
func (t *Tx) ChallengeByID(ctx context.Context, id string) (signin.Challenge, error) {
	return t.challenge("WHERE id = $1", id)
}

// ChallengeOfAttempt implements signin.ChallengeStore.
func (t *Tx) ChallengeOfAttempt(ctx context.Context, attempt string) (signin.Challenge, error) {
	return t.challenge("WHERE attempt = $1 ORDER BY created DESC, id DESC LIMIT 1", attempt)
}

// OpenChallenges implements signin.ChallengeStore.
func (t *Tx) OpenChallenges(ctx context.Context, person string, now time.Time) ([]signin.Challenge, error) {
	return t.challenges("WHERE person = $1 AND standing = $2 AND expires > $3 ORDER BY created, id", person, int64(signin.Open), now)
}

// RecentChallenges implements signin.ChallengeStore.
func (t *Tx) RecentChallenges(ctx context.Context, person string, limit int) ([]signin.Challenge, error) {
	return t.challenges("WHERE person = $1 ORDER BY created DESC, id DESC LIMIT $2", person, page(limit))
}

// UpdateChallenge implements signin.ChallengeStore. Whom it asks, from where and for what is left alone.
func (t *Tx) UpdateChallenge(ctx context.Context, c signin.Challenge) error {
	proof, err := toJSON(c.Proof)
	if err != nil {
		return err
	}
	n, err := t.exec(`UPDATE challenges SET standing = $1, proof = $2, answered_by = $3, answered = $4, expires = $5, version = version + 1
		WHERE id = $6 AND version = $7`, int64(c.Standing), proof, c.AnsweredBy, c.Answered, c.Expires, c.ID, c.Version)
	return atMostOne(n, err, changed("challenge"))
}

// SaveDelivery implements signin.ChallengeStore.
func (t *Tx) SaveDelivery(ctx context.Context, d signin.Delivery) error {
	_, err := t.exec(`INSERT INTO deliveries (challenge, credential, state, at, detail) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (challenge, credential) DO UPDATE SET state = $3, at = $4, detail = $5 WHERE deliveries.state < $3`,
		d.Challenge, d.Credential, int64(d.State), d.At, d.Detail)
	return err
}

// DeliveriesOf implements signin.ChallengeStore.
func (t *Tx) DeliveriesOf(ctx context.Context, challenge string) (list []signin.Delivery, err error) {
	err = t.each("SELECT challenge, credential, state, at, detail FROM deliveries WHERE challenge = $1 ORDER BY credential",
		[]any{challenge}, func(scan func(...any) error) error {
			var d signin.Delivery
			err := scan(&d.Challenge, &d.Credential, (*uint8)(&d.State), timeTo{&d.At}, &d.Detail)
			list = append(list, d)
			return err
		})
	return list, err
}

// AddBlock implements signin.ChallengeStore; a block is never shortened.
func (t *Tx) AddBlock(ctx context.Context, b signin.Block) error {
	_, err := t.exec(`INSERT INTO blocks (person, source, expires) VALUES ($1, $2, $3)
		ON CONFLICT (person, source) DO UPDATE SET expires = $3 WHERE blocks.expires < $3`, b.Person, b.Source, b.Until)
	return err
}

// Blocked implements signin.ChallengeStore.
func (t *Tx) Blocked(ctx context.Context, person string, sources [][]byte, now time.Time) (bool, error) {
	if len(sources) == 0 {
		return false, nil
	}
	args := []any{person, now}
	for _, s := range sources {
		args = append(args, s)
	}
	var one int64
	return t.one("SELECT 1 FROM blocks WHERE person = $1 AND expires > $2 AND source IN ("+holders(3, len(sources))+") LIMIT 1", args, &one)
}

// holders gives n placeholders, counted from first.
func holders(first, n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = "$" + strconv.Itoa(first+i)
	}
	return strings.Join(list, ", ")
}
