// Package courier carries notices out of the house: it takes what flows left in the outbox, writes the letter in the
// reader's language, and hands it to a channel until the channel accepts it.
//
//	flow commits ─► Wake ─┐
//	every Poll ───────────┴► claim (leased: two nodes never carry the same) ─► Texts ─► Channel.Send
//	                                                   sent ◄── accepted ─────────────────┤
//	                            NotUntil = now + Delay(tries) ◄── try again later ────────┤
//	                                      given up ◄── refused for good, MaxTries, expired
//
// One Courier carries the channels that it is given: a mail server that is slow to answer must not hold up codes, so
// those have a Courier of their own. What carries a code is tried again after seconds and not after its Expires.
//
// A message is sent at least once: a node that dies between the channel's yes and the commit sends it again after
// the lease, with the same Message-ID so that mail programs fold the two together.
package courier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// The defaults; see docs/limits.md.
const (
	// MaxTries is after how many failed tries a message is given up: with Delay about two days.
	MaxTries = 12
	// MaxCodeTries is the same for a code by text or voice; its Expires mostly comes first.
	MaxCodeTries = 20
	// Lease is how long a claimed message belongs to one node; longer than Timeout × Batch.
	Lease = 10 * time.Minute
	// Batch is how many messages one claim takes.
	Batch = 16
	// Poll is how often the outbox is looked at without being woken (a message of another node, a retry).
	Poll = 5 * time.Second
	// Timeout bounds one try, CodeTimeout one of a code by text or voice.
	Timeout     = 30 * time.Second
	CodeTimeout = 10 * time.Second
	// Parallel is how many codes are carried at once.
	Parallel = 8
)

// Expired is Message.LastFail of what was given up because nobody needs it any more.
const Expired = "expired"

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

// Later is a failure of a channel that said when to come back (HTTP Retry-After, RFC 9110 section 10.2.3).
type Later struct {
	After time.Duration
	Err   error
}

func (l *Later) Error() string { return l.Err.Error() }
func (l *Later) Unwrap() error { return l.Err }

// RetryAfter reads an HTTP answer's header, seconds or a date (RFC 9110 section 10.2.3); 0 where it says nothing that can be
// read, or a time that has passed.
func RetryAfter(header string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// Channel carries letters of one kind ("mail", "text", "voice").
type Channel interface {
	// Send returns nil once the other side has taken responsibility for the letter; an error that wraps ErrRefused is
	// final, any other is tried again, not before the time a *Later names. Errors hold nothing of the letter: they are
	// logged and stored. It is safe for concurrent use.
	Send(ctx context.Context, l Letter) error
}

// Texts writes the words of a notice: the language catalogue.
type Texts interface {
	// Notice gives subject and plain-text body; ok is false where the catalogue has no such notice. A message's code is
	// the parameter Code.
	Notice(kind, locale string, params map[string]string) (subject, body string, ok bool)
}

// Courier carries the outbox out. All fields but Tried are needed; it holds no state that a restart would miss.
type Courier struct {
	// InTx runs f in one transaction on the queue.
	InTx  func(ctx context.Context, f func(notice.Queue) error) error
	Texts Texts
	// Channels are those it carries; messages of any other are left to another Courier.
	Channels map[string]Channel
	// Tried hears of each try after it was saved, for what is kept of codes on their way; nil: nobody listens.
	Tried func(ctx context.Context, m notice.Message)
	Now   func() time.Time
	Log   *slog.Logger

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
	tick := time.NewTimer(Poll)
	defer tick.Stop()
	for {
		wait := Poll
		for {
			n, again, err := c.once(ctx)
			if err != nil && ctx.Err() == nil {
				c.Log.Error("courier cannot read the outbox", "error", err)
			}
			wait = min(wait, again)
			if n < Batch || err != nil {
				break
			}
		}
		tick.Reset(wait)
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
	n, _, err = c.once(ctx)
	return n, err
}

// once also says after which time the soonest of the batch is to be tried again, Poll at most.
func (c *Courier) once(ctx context.Context) (n int, again time.Duration, err error) {
	again = Poll
	now := c.Now()
	var claimed []notice.Message
	err = c.InTx(ctx, func(q notice.Queue) (err error) {
		claimed, err = q.ClaimMessages(ctx, slices.Sorted(maps.Keys(c.Channels)), now, now.Add(Lease), Batch)
		return err
	})
	if err != nil {
		return 0, again, err
	}
	var (
		all   sync.WaitGroup
		mu    sync.Mutex
		first error
		slots = make(chan struct{}, Parallel)
	)
	for _, m := range claimed {
		one := func() {
			next, err := c.deliver(ctx, m)
			mu.Lock()
			defer mu.Unlock()
			if first == nil {
				first = err
			}
			if !next.IsZero() {
				again = min(again, max(next.Sub(c.Now()), time.Millisecond))
			}
		}
		if !quick(m) { // one after the other: a relay takes notices as they come
			one()
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			one()
		})
	}
	all.Wait()
	return len(claimed), again, first
}

// deliver carries one message and saves what came of it; next is when it is to be tried again, zero for never.
func (c *Courier) deliver(ctx context.Context, m notice.Message) (next time.Time, err error) {
	failed := c.carry(ctx, m)
	if ctx.Err() != nil {
		return time.Time{}, nil // the lease lapses and the next start carries it
	}
	m = Outcome(m, failed, c.Now())
	if failed != nil {
		c.Log.Warn("notice not sent", "message", m.ID, "kind", m.Kind, "tries", m.Tries, "given_up", m.GivenUp, "error", m.LastFail)
	}
	if failed != nil && !m.GivenUp {
		next = m.NotUntil
	}
	if err := c.InTx(ctx, func(q notice.Queue) error { return q.SaveMessage(ctx, m) }); err != nil {
		return next, err
	}
	if c.Tried != nil {
		c.Tried(ctx, m)
	}
	return next, nil
}

// errExpired: nobody needs the message any more.
var errExpired = errors.New(Expired)

func (c *Courier) carry(ctx context.Context, m notice.Message) error {
	if !m.Expires.IsZero() && !c.Now().Before(m.Expires) {
		return errExpired
	}
	channel, ok := c.Channels[m.Channel]
	if !ok {
		return fmt.Errorf("no channel %q is set up: %w", m.Channel, ErrRefused)
	}
	timeout, params := Timeout, maps.Clone(m.Params)
	if quick(m) {
		timeout = CodeTimeout
	}
	if !m.Code.Empty() {
		if params == nil {
			params = map[string]string{}
		}
		params["Code"] = spoken(m.Channel, m.Code.Reveal())
	}
	subject, body, ok := c.Texts.Notice(m.Kind, m.Locale, params)
	if !ok {
		return fmt.Errorf("no text for notice %q: %w", m.Kind, ErrRefused)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return channel.Send(ctx, Letter{ID: m.ID, To: m.To, Subject: subject, Body: body, Locale: m.Locale, At: m.Created})
}

// spoken is a code as its channel says it: a voice reads "four, seven", not "forty-seven".
func spoken(channel, code string) string {
	if channel != notice.Voice {
		return code
	}
	return strings.Join(strings.Split(code, ""), ", ")
}

// Outcome is m after one try: sent, to be tried again, or given up. Pure.
func Outcome(m notice.Message, failed error, now time.Time) notice.Message {
	m.Lease = time.Time{}
	m.Tries++
	if failed == nil {
		m.SentAt, m.LastFail, m.Code = now, "", secret.String{}
		return m
	}
	m.LastFail = clip(without(failed.Error(), m.Code))
	wait := Delay(m.Tries)
	if quick(m) {
		wait = CodeDelay(m.Tries)
	}
	if later := (*Later)(nil); errors.As(failed, &later) {
		wait = max(wait, min(later.After, 8*time.Hour))
	}
	m.NotUntil = now.Add(wait)
	late := errors.Is(failed, errExpired)
	if !late && !m.Expires.IsZero() && !m.NotUntil.Before(m.Expires) {
		late, m.LastFail = true, clip(Expired+": "+m.LastFail)
	}
	if late || errors.Is(failed, ErrRefused) || m.Tries >= mostTries(m) {
		m.GivenUp, m.Code = true, secret.String{}
	}
	return m
}

// quick reports whether somebody sits before a page and waits for the message: a code that is no mail.
func quick(m notice.Message) bool { return !m.Code.Empty() && m.Channel != notice.Mail }

func mostTries(m notice.Message) int {
	if quick(m) {
		return MaxCodeTries
	}
	return MaxTries
}

// CodeDelay is the wait after the n-th failed try (n from 1) of a code by text or voice: 2 seconds, then twice as long
// each, at most a minute. Its Expires ends it.
func CodeDelay(n int) time.Duration {
	return min(2*time.Second<<min(max(n, 1)-1, 10), time.Minute)
}

// without takes a code out of what a gateway answered, in case it repeats what it was sent.
func without(said string, code secret.String) string {
	if code.Empty() {
		return said
	}
	said = strings.ReplaceAll(said, code.Reveal(), "[redacted]")
	return strings.ReplaceAll(said, spoken(notice.Voice, code.Reveal()), "[redacted]")
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
