// Package courier carries notices out of the house: it takes what flows left in the outbox, writes the letter in the
// reader's language, and hands it to a channel until the channel accepts it.
//
//	flow commits ─► Wake ─┐
//	every Poll ───────────┴► claim (leased: two nodes never carry the same) ─► Texts ─► Channel.Send
//	                                                   sent ◄── accepted ─────────────────┤
//	                            NotUntil = now + Delay(tries) ◄── try again later ────────┤
//	                                                given up ◄── refused for good, or MaxTries
//
// A message is sent at least once: a node that dies between the channel's yes and the commit sends it again after
// the lease, with the same Message-ID so that mail programs fold the two together.
package courier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/notice"
)

// The defaults; see docs/limits.md.
const (
	// MaxTries is after how many failed tries a message is given up: with Delay about two days.
	MaxTries = 12
	// Lease is how long a claimed message belongs to one node; longer than Timeout × Batch.
	Lease = 10 * time.Minute
	// Batch is how many messages one claim takes.
	Batch = 16
	// Poll is how often the outbox is looked at without being woken (a message of another node, a retry).
	Poll = 5 * time.Second
	// Timeout bounds one try.
	Timeout = 30 * time.Second
)

// Letter is a message ready for a channel: rendered, still free of any protocol.
type Letter struct {
	ID      string // stable over retries
	To      string
	Subject string
	Body    string // plain text, lines separated by \n
	Locale  string
	At      time.Time // of the act that it speaks of
}

// ErrRefused marks a failure that no retry mends (the address does not exist). Channels wrap it.
var ErrRefused = errors.New("refused for good")

// Channel carries letters of one kind ("mail").
type Channel interface {
	// Send returns nil once the other side has taken responsibility for the letter; an error that wraps ErrRefused is
	// final, any other is tried again. It is safe for concurrent use.
	Send(ctx context.Context, l Letter) error
}

// Texts writes the words of a notice: the language catalogue.
type Texts interface {
	// Notice gives subject and plain-text body; ok is false where the catalogue has no such notice.
	Notice(kind, locale string, params map[string]string) (subject, body string, ok bool)
}

// Courier carries the outbox out. All fields are needed; it holds no state that a restart would miss.
type Courier struct {
	// InTx runs f in one transaction on the queue.
	InTx     func(ctx context.Context, f func(notice.Queue) error) error
	Texts    Texts
	Channels map[string]Channel
	Now      func() time.Time
	Log      *slog.Logger

	wake chan struct{}
}

// New makes a Courier.
func New(c Courier) *Courier {
	c.wake = make(chan struct{}, 1)
	return &c
}

// Wake says that something may be waiting. It never blocks; many calls count as one.
func (c *Courier) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run carries until ctx ends.
func (c *Courier) Run(ctx context.Context) {
	tick := time.NewTicker(Poll)
	defer tick.Stop()
	for {
		for {
			n, err := c.Once(ctx)
			if err != nil && ctx.Err() == nil {
				c.Log.Error("courier cannot read the outbox", "error", err)
			}
			if n < Batch || err != nil {
				break
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		case <-tick.C:
		}
	}
}

// Once claims one batch and carries it; n is how many it took.
func (c *Courier) Once(ctx context.Context) (n int, err error) {
	now := c.Now()
	var claimed []notice.Message
	err = c.InTx(ctx, func(q notice.Queue) (err error) {
		claimed, err = q.ClaimMessages(ctx, now, now.Add(Lease), Batch)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, m := range claimed {
		failed := c.carry(ctx, m)
		if ctx.Err() != nil {
			return len(claimed), nil // the lease lapses and the next start carries it
		}
		m = Outcome(m, failed, c.Now())
		if failed != nil {
			c.Log.Warn("notice not sent", "message", m.ID, "kind", m.Kind, "tries", m.Tries, "given_up", m.GivenUp, "error", failed)
		}
		if err := c.InTx(ctx, func(q notice.Queue) error { return q.SaveMessage(ctx, m) }); err != nil {
			return len(claimed), err
		}
	}
	return len(claimed), nil
}

func (c *Courier) carry(ctx context.Context, m notice.Message) error {
	channel, ok := c.Channels[m.Channel]
	if !ok {
		return fmt.Errorf("no channel %q is set up: %w", m.Channel, ErrRefused)
	}
	subject, body, ok := c.Texts.Notice(m.Kind, m.Locale, m.Params)
	if !ok {
		return fmt.Errorf("no text for notice %q: %w", m.Kind, ErrRefused)
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	return channel.Send(ctx, Letter{ID: m.ID, To: m.To, Subject: subject, Body: body, Locale: m.Locale, At: m.Created})
}

// Outcome is m after one try: sent, to be tried again, or given up. Pure.
func Outcome(m notice.Message, failed error, now time.Time) notice.Message {
	m.Lease = time.Time{}
	m.Tries++
	switch {
	case failed == nil:
		m.SentAt, m.LastFail = now, ""
	case errors.Is(failed, ErrRefused) || m.Tries >= MaxTries:
		m.GivenUp, m.LastFail = true, clip(failed.Error())
	default:
		m.NotUntil, m.LastFail = now.Add(Delay(m.Tries)), clip(failed.Error())
	}
	return m
}

// Delay is the wait after the n-th failed try (n from 1): 10 seconds, then four times as long each, at most 8 hours.
func Delay(n int) time.Duration {
	d := 10 * time.Second
	for ; n > 1 && d < 8*time.Hour; n-- {
		d *= 4
	}
	return min(d, 8*time.Hour)
}

// clip keeps the outbox small when a mail server answers with an essay.
func clip(s string) string {
	const most = 300
	if len(s) > most {
		return s[:most]
	}
	return s
}
