package courier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// outbox is a queue in memory that keeps the port's promises: a leased message is claimed by nobody else.
type outbox struct {
	mu       sync.Mutex
	messages []notice.Message
}

func (o *outbox) inTx(_ context.Context, f func(notice.Queue) error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return f(o)
}

func (o *outbox) ClaimMessages(_ context.Context, channels []string, now, until time.Time, limit int) (out []notice.Message, err error) {
	for i, m := range o.messages {
		if slices.Contains(channels, m.Channel) && m.SentAt.IsZero() && !m.GivenUp && !m.NotUntil.After(now) && !m.Lease.After(now) && len(out) < limit {
			o.messages[i].Lease = until
			out = append(out, o.messages[i])
		}
	}
	return out, nil
}

func (o *outbox) SaveMessage(_ context.Context, m notice.Message) error {
	i := slices.IndexFunc(o.messages, func(x notice.Message) bool { return x.ID == m.ID })
	if i < 0 || !o.messages[i].SentAt.IsZero() || o.messages[i].GivenUp {
		return fmt.Errorf("message %s is gone or finished", m.ID)
	}
	o.messages[i] = m
	return nil
}

func (o *outbox) RecentMessages(context.Context, int) ([]notice.Message, error) {
	return o.messages, nil
}

type texts struct{}

func (texts) Notice(kind, _ string, p map[string]string) (string, string, bool) {
	return "about " + kind, "Hello " + p["name"] + p["Code"], kind != "unheard-of"
}

type channel struct {
	mu      sync.Mutex
	letters []Letter
	fail    error
}

func (c *channel) Send(_ context.Context, l Letter) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.letters = append(c.letters, l)
	return c.fail
}

var start = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

func house(box *outbox, ch *channel, now *time.Time) *Courier {
	return New(Courier{InTx: box.inTx, Texts: texts{}, Channels: map[string]Channel{"mail": ch},
		Now: func() time.Time { return *now }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
}

func TestCarriesOnceAndRecords(t *testing.T) {
	now, ch := start, &channel{}
	box := &outbox{messages: []notice.Message{{ID: "m1", Channel: "mail", To: "a@example.org", Kind: "method.added",
		Params: map[string]string{"name": "Ada"}, Created: start}}}
	c := house(box, ch, &now)
	for range 3 {
		if _, err := c.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(ch.letters) != 1 || ch.letters[0].Body != "Hello Ada" || ch.letters[0].Subject != "about method.added" {
		t.Fatalf("letters %+v, want exactly one, rendered", ch.letters)
	}
	if m := box.messages[0]; !m.SentAt.Equal(start) || m.Tries != 1 || !m.Lease.IsZero() {
		t.Fatalf("recorded %+v", m)
	}
}

func TestTwoNodesNeverCarryTheSame(t *testing.T) {
	now, ch, box := start, &channel{}, &outbox{}
	for i := range 40 {
		box.messages = append(box.messages, notice.Message{ID: fmt.Sprint(i), Channel: "mail", Kind: "k", Created: start})
	}
	var nodes sync.WaitGroup
	for range 4 {
		nodes.Go(func() {
			c := house(box, ch, &now)
			for {
				n, err := c.Once(t.Context())
				if err != nil {
					t.Error(err)
				}
				if n == 0 {
					return
				}
			}
		})
	}
	nodes.Wait()
	seen := map[string]int{}
	for _, l := range ch.letters {
		seen[l.ID]++
	}
	if len(seen) != 40 || len(ch.letters) != 40 {
		t.Fatalf("%d letters of %d messages, want 40 of 40", len(ch.letters), len(seen))
	}
}

func TestTriesAgainLaterAndLaterThenGivesUp(t *testing.T) {
	now, ch := start, &channel{fail: errors.New("421 relay is resting")}
	box := &outbox{messages: []notice.Message{{ID: "m", Channel: "mail", Kind: "k", Created: start}}}
	c := house(box, ch, &now)
	var last time.Duration
	for try := 1; try < MaxTries; try++ {
		if n, err := c.Once(t.Context()); n != 1 || err != nil {
			t.Fatalf("try %d: claimed %d, %v", try, n, err)
		}
		wait := box.messages[0].NotUntil.Sub(now)
		if wait < last || wait <= 0 || wait > 8*time.Hour {
			t.Fatalf("try %d: waits %v after %v", try, wait, last)
		}
		now = now.Add(wait - time.Second)
		if n, _ := c.Once(t.Context()); n != 0 {
			t.Fatalf("try %d: carried before its time", try)
		}
		now, last = now.Add(time.Second), wait
	}
	if n, _ := c.Once(t.Context()); n != 1 || !box.messages[0].GivenUp || box.messages[0].LastFail == "" {
		t.Fatalf("after %d tries: %+v", MaxTries, box.messages[0])
	}
	if total := now.Sub(start); total < 24*time.Hour || total > 72*time.Hour {
		t.Fatalf("gave up after %v, want one to three days", total)
	}
}

func TestWhatCannotBeCarriedIsGivenUpAtOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		m    notice.Message
		fail error
	}{
		"refused for good":  {notice.Message{Channel: "mail", Kind: "k"}, fmt.Errorf("550 no such box: %w", ErrRefused)},
		"no such catalogue": {notice.Message{Channel: "mail", Kind: "unheard-of"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			now, ch, box := start, &channel{fail: tc.fail}, &outbox{messages: []notice.Message{tc.m}}
			if _, err := house(box, ch, &now).Once(t.Context()); err != nil {
				t.Fatal(err)
			}
			if m := box.messages[0]; !m.GivenUp || m.Tries != 1 || !m.SentAt.IsZero() {
				t.Fatalf("%+v, want given up", m)
			}
		})
	}
}

func TestADeadNodesMessageIsCarriedAfterItsLease(t *testing.T) {
	now, ch := start, &channel{}
	box := &outbox{messages: []notice.Message{{ID: "m", Channel: "mail", Kind: "k", Lease: start.Add(Lease)}}}
	c := house(box, ch, &now)
	if n, _ := c.Once(t.Context()); n != 0 {
		t.Fatal("took another node's message")
	}
	now = now.Add(Lease)
	if n, _ := c.Once(t.Context()); n != 1 || len(ch.letters) != 1 {
		t.Fatal("left a dead node's message lying")
	}
}

func TestRunIsWokenAndStops(t *testing.T) {
	now, ch, box := start, &channel{}, &outbox{}
	c := house(box, ch, &now)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { c.Run(ctx); close(done) }()
	_ = box.inTx(ctx, func(notice.Queue) error {
		box.messages = append(box.messages, notice.Message{ID: "m", Channel: "mail", Kind: "k"})
		return nil
	})
	c.Wake()
	c.Wake() // a second call while the first is waiting does not block
	arrived := func() bool {
		ch.mu.Lock()
		defer ch.mu.Unlock()
		return len(ch.letters) == 1
	}
	for n := 0; !arrived(); n++ {
		if n == 30_000 {
			t.Fatal("woken, and carries nothing")
		}
		time.Sleep(time.Millisecond)
	}
	stop()
	<-done
}

// code is a message that somebody waits for.
func code(ch string) notice.Message {
	return notice.Message{ID: "c", Channel: ch, To: "+12025550123", Kind: "code", Code: secret.NewString("471903"), Created: start,
		NotUntil: start, Expires: start.Add(10 * time.Minute), Params: map[string]string{"name": ""}}
}

func TestACodeIsInTheLetterAndNowhereElse(t *testing.T) {
	for ch, want := range map[string]string{notice.Text: "Hello 471903", notice.Voice: "Hello 4, 7, 1, 9, 0, 3", notice.Mail: "Hello 471903"} {
		now, out := start, &channel{}
		box := &outbox{messages: []notice.Message{code(ch)}}
		var logged strings.Builder
		c := New(Courier{InTx: box.inTx, Texts: texts{}, Channels: map[string]Channel{ch: out}, Now: func() time.Time { return now },
			Log: slog.New(slog.NewTextHandler(&logged, nil))})
		out.fail = errors.New("the gateway repeats: Hello 471903, that is 4, 7, 1, 9, 0, 3")
		if _, err := c.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		m := box.messages[0]
		if strings.Contains(m.LastFail+logged.String(), "471903") || strings.Contains(m.LastFail+logged.String(), "4, 7, 1") || len(m.Params) != 1 {
			t.Errorf("%s: the code is kept or logged: %q %q %v", ch, m.LastFail, logged.String(), m.Params)
		}
		out.fail, now = nil, m.NotUntil
		if _, err := c.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := out.letters[len(out.letters)-1].Body; got != want {
			t.Errorf("%s: %q", ch, got)
		}
		if m := box.messages[0]; m.SentAt.IsZero() || !m.Code.Empty() {
			t.Errorf("%s: %+v", ch, m)
		}
	}
}

// What carries a code is tried again after seconds, and is worth nothing after its time.
func TestCodesAreTriedQuicklyAndExpire(t *testing.T) {
	now, ch := start, &channel{fail: errors.New("503")}
	box := &outbox{messages: []notice.Message{code(notice.Text)}}
	c := house(box, ch, &now)
	c.Channels = map[string]Channel{notice.Text: ch}
	var waits []time.Duration
	for !box.messages[0].GivenUp {
		if n, err := c.Once(t.Context()); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if box.messages[0].GivenUp {
			break
		}
		waits = append(waits, box.messages[0].NotUntil.Sub(now))
		now = box.messages[0].NotUntil
	}
	if waits[0] != 2*time.Second || waits[1] != 4*time.Second || waits[len(waits)-1] > time.Minute {
		t.Errorf("waits %v", waits)
	}
	m := box.messages[0]
	if !strings.HasPrefix(m.LastFail, Expired) || !m.Code.Empty() || !m.NotUntil.Before(start.Add(12*time.Minute)) {
		t.Errorf("%+v", m)
	}
	// One that lay too long is not even tried.
	late := code(notice.Text)
	box.messages, ch.letters, now = []notice.Message{late}, nil, late.Expires
	if _, err := c.Once(t.Context()); err != nil || len(ch.letters) != 0 || !box.messages[0].GivenUp || box.messages[0].LastFail != Expired || !box.messages[0].Code.Empty() {
		t.Errorf("%+v %v", box.messages[0], err)
	}
}

func TestRetryAfterIsObeyed(t *testing.T) {
	now, ch := start, &channel{fail: fmt.Errorf("wrapped: %w", &Later{After: 90 * time.Second, Err: errors.New("429")})}
	box := &outbox{messages: []notice.Message{code(notice.Text)}}
	c := house(box, ch, &now)
	c.Channels = map[string]Channel{notice.Text: ch}
	if _, err := c.Once(t.Context()); err != nil || !box.messages[0].NotUntil.Equal(start.Add(90*time.Second)) {
		t.Errorf("%+v %v", box.messages[0], err)
	}
	ch.fail, now = &Later{After: time.Hour, Err: errors.New("429")}, box.messages[0].NotUntil
	if _, err := c.Once(t.Context()); err != nil || !box.messages[0].GivenUp { // an hour is longer than the code lives
		t.Errorf("%+v %v", box.messages[0], err)
	}
}

// A slow mail server does not hold up codes: each courier leaves the other's messages alone.
func TestACourierCarriesItsOwnChannels(t *testing.T) {
	now, texts, mails := start, &channel{}, &channel{}
	box := &outbox{messages: []notice.Message{{ID: "m", Channel: notice.Mail, Kind: "k"}, code(notice.Text)}}
	var tried []string
	c := house(box, mails, &now)
	c.Channels = map[string]Channel{notice.Text: texts}
	c.Tried = func(_ context.Context, m notice.Message) { tried = append(tried, m.ID) }
	if n, err := c.Once(t.Context()); n != 1 || err != nil || len(texts.letters) != 1 || !box.messages[0].SentAt.IsZero() {
		t.Errorf("%d %v %+v", n, err, box.messages)
	}
	if !slices.Equal(tried, []string{"c"}) {
		t.Error(tried)
	}
	if n, err := house(box, mails, &now).Once(t.Context()); n != 1 || err != nil || len(mails.letters) != 1 {
		t.Errorf("%d %v", n, err)
	}
}

// Codes go out side by side: one that hangs does not hold up the rest of its batch.
func TestCodesDoNotWaitForOneAnother(t *testing.T) {
	now, box := start, &outbox{}
	for i := range Parallel {
		m := code(notice.Text)
		m.ID = fmt.Sprint(i)
		box.messages = append(box.messages, m)
	}
	c := house(box, nil, &now)
	all := make(chan struct{})
	c.Channels = map[string]Channel{notice.Text: &meeting{of: Parallel, all: all}}
	if n, err := c.Once(t.Context()); n != Parallel || err != nil {
		t.Fatal(n, err)
	}
	for _, m := range box.messages {
		if m.SentAt.IsZero() {
			t.Errorf("%+v", m)
		}
	}
}

// meeting lets nobody go before all have come.
type meeting struct {
	mu   sync.Mutex
	came int
	of   int
	all  chan struct{}
}

func (m *meeting) Send(ctx context.Context, _ Letter) error {
	m.mu.Lock()
	if m.came++; m.came == m.of {
		close(m.all)
	}
	m.mu.Unlock()
	select {
	case <-m.all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for s, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, "-7": 0, "soon": 0, "99999999999999999999": 0,
		now.Add(90 * time.Second).UTC().Format(http.TimeFormat): 90 * time.Second, now.Add(-time.Hour).UTC().Format(http.TimeFormat): 0,
	} {
		if got := RetryAfter(s, now); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
}
