package store

import (
	"context"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/notice"
)

const messageColumns = `id, person, channel, recipient, kind, params, locale, created, not_until, lease, tries, sent_at, given_up, last_fail`

func messageFields(m *notice.Message) []any {
	return []any{&m.ID, &m.Person, &m.Channel, &m.To, &m.Kind, jsonTo{&m.Params}, &m.Locale, timeTo{&m.Created},
		timeTo{&m.NotUntil}, timeTo{&m.Lease}, &m.Tries, timeTo{&m.SentAt}, &m.GivenUp, &m.LastFail}
}

// Enqueue implements notice.Outbox.
func (t *Tx) Enqueue(ctx context.Context, m notice.Message) error {
	params, err := toJSON(m.Params)
	if err != nil {
		return err
	}
	n, err := t.exec(`INSERT INTO messages (`+messageColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		ON CONFLICT DO NOTHING`, m.ID, m.Person, m.Channel, m.To, m.Kind, params, m.Locale, m.Created, m.NotUntil, m.Lease,
		m.Tries, m.SentAt, m.GivenUp, m.LastFail)
	if t.db.cfg.Enqueued != nil && n > 0 {
		t.after = append(t.after, t.db.cfg.Enqueued)
	}
	return atMostOne(n, err, taken("message"))
}

// ClaimMessages implements notice.Queue: oldest due first. The lease is looked at again in the update itself, where a
// second node waits for the row.
func (t *Tx) ClaimMessages(ctx context.Context, now, until time.Time, limit int) (list []notice.Message, err error) {
	if t.readOnly {
		return nil, errReadOnly
	}
	err = t.each(`UPDATE messages SET lease = $1 WHERE id IN (
			SELECT id FROM messages WHERE sent_at = 0 AND NOT given_up AND not_until <= $2 AND lease <= $2 ORDER BY not_until, id LIMIT $3)
		AND lease <= $2 AND sent_at = 0 AND NOT given_up RETURNING `+messageColumns, []any{until, now, page(limit)},
		func(scan func(...any) error) error {
			var m notice.Message
			err := scan(messageFields(&m)...)
			list = append(list, m)
			return err
		})
	return list, err
}

// SaveMessage implements notice.Queue. What a mail server answered is kept as far as it is text.
func (t *Tx) SaveMessage(ctx context.Context, m notice.Message) error {
	n, err := t.exec(`UPDATE messages SET not_until = $1, lease = $2, tries = $3, sent_at = $4, given_up = $5, last_fail = $6 WHERE id = $7`,
		m.NotUntil, m.Lease, m.Tries, m.SentAt, m.GivenUp,
		strings.ReplaceAll(strings.ToValidUTF8(m.LastFail, "?"), "\x00", "?"), m.ID)
	return atMostOne(n, err, notFound("message"))
}

// RecentMessages implements notice.Queue.
func (t *Tx) RecentMessages(ctx context.Context, limit int) (list []notice.Message, err error) {
	err = t.each("SELECT "+messageColumns+" FROM messages ORDER BY created DESC, id DESC LIMIT $1", []any{page(limit)},
		func(scan func(...any) error) error {
			var m notice.Message
			err := scan(messageFields(&m)...)
			list = append(list, m)
			return err
		})
	return list, err
}
