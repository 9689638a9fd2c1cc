package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

const messageColumns = `id, person, channel, recipient, kind, params, code, locale, expires, created, not_until, lease, tries, sent_at,
	given_up, last_fail`

func messagePlace(id string) string { return "messages/code/" + id }

// Enqueue implements notice.Outbox.
func (t *Tx) Enqueue(ctx context.Context, m notice.Message) error {
	params, err := toJSON(m.Params)
	if err != nil {
		return err
	}
	var code []byte
	if !m.Code.Empty() {
		code = t.db.cfg.Keyring.Seal(messagePlace(m.ID), []byte(m.Code.Reveal()))
	}
	n, err := t.exec(`INSERT INTO messages (`+messageColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) ON CONFLICT DO NOTHING`,
		m.ID, m.Person, m.Channel, m.To, m.Kind, params, code, m.Locale, m.Expires, m.Created, m.NotUntil, m.Lease,
		m.Tries, m.SentAt, m.GivenUp, m.LastFail)
	if t.db.cfg.Enqueued != nil && n > 0 {
		t.after = append(t.after, t.db.cfg.Enqueued)
	}
	return atMostOne(n, err, taken("message"))
}

// messages runs a statement that gives messages.
func (t *Tx) messages(q string, args ...any) (list []notice.Message, err error) {
	err = t.each(q, args, func(scan func(...any) error) error {
		var m notice.Message
		var code []byte
		err := scan(&m.ID, &m.Person, &m.Channel, &m.To, &m.Kind, jsonTo{&m.Params}, &code, &m.Locale, timeTo{&m.Expires},
			timeTo{&m.Created}, timeTo{&m.NotUntil}, timeTo{&m.Lease}, &m.Tries, timeTo{&m.SentAt}, &m.GivenUp, &m.LastFail)
		if err != nil {
			return err
		}
		if len(code) > 0 {
			if code, err = t.db.cfg.Keyring.Open(messagePlace(m.ID), code); err != nil {
				return fmt.Errorf("store: code of message %s: %w", m.ID, err)
			}
			m.Code = secret.NewString(string(code))
		}
		list = append(list, m)
		return nil
	})
	return list, err
}

// ClaimMessages implements notice.Queue: oldest due first. The lease is looked at again in the update itself, where a
// second node waits for the row.
func (t *Tx) ClaimMessages(ctx context.Context, channels []string, now, until time.Time, limit int) ([]notice.Message, error) {
	if t.readOnly {
		return nil, errReadOnly
	}
	if len(channels) == 0 {
		return nil, nil
	}
	args := []any{until, now, page(limit)}
	for _, c := range channels {
		args = append(args, c)
	}
	return t.messages(`UPDATE messages SET lease = $1 WHERE id IN (
			SELECT id FROM messages WHERE sent_at = 0 AND NOT given_up AND not_until <= $2 AND lease <= $2
			AND channel IN (`+holders(4, len(channels))+`) ORDER BY not_until, id LIMIT $3)
		AND lease <= $2 AND sent_at = 0 AND NOT given_up RETURNING `+messageColumns, args...)
}

// SaveMessage implements notice.Queue. What a mail server answered is kept as far as it is text; a code is kept as long
// as it is still to be sent.
func (t *Tx) SaveMessage(ctx context.Context, m notice.Message) error {
	n, err := t.exec(`UPDATE messages SET not_until = $1, lease = $2, tries = $3, sent_at = $4, given_up = $5, last_fail = $6,
		code = CASE WHEN $7 THEN NULL ELSE code END WHERE id = $8`,
		m.NotUntil, m.Lease, m.Tries, m.SentAt, m.GivenUp,
		strings.ReplaceAll(strings.ToValidUTF8(m.LastFail, "?"), "\x00", "?"), m.GivenUp || !m.SentAt.IsZero(), m.ID)
	return atMostOne(n, err, notFound("message"))
}

// RecentMessages implements notice.Queue.
func (t *Tx) RecentMessages(ctx context.Context, limit int) ([]notice.Message, error) {
	return t.messages("SELECT "+messageColumns+" FROM messages ORDER BY created DESC, id DESC LIMIT $1", page(limit))
}
