package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-id/gatehouse/internal/wake"
)

const (
	// notifyChannel is the channel of NOTIFY; its payload is a topic, or "" for everybody.
	notifyChannel = "gatehouse"
	// notifyTopic is the longest topic that is sent, in bytes; a longer one wakes everybody.
	notifyTopic = 200
	// notifyPending is how many topics may wait to be sent; more become one that wakes everybody.
	notifyPending = 4096
	// notifyTimeout bounds one sending, and one connecting of the listener.
	notifyTimeout = 10 * time.Second
	// listenCheck is how often a silent connection is asked whether it still is one.
	listenCheck = 30 * time.Second
	// listenPause is the first pause after a lost connection; it doubles up to listenPauseMax.
	listenPause    = 50 * time.Millisecond
	listenPauseMax = 5 * time.Second
)

// notifySQL sends the topics in a transaction of their own that does not wait for the disk: a notification is not data,
// and PostgreSQL lets only one transaction at a time commit one.
const notifySQL = "SELECT set_config('synchronous_commit', 'off', true), pg_notify('" + notifyChannel + "', topic) FROM unnest($1::text[]) AS topic"

// notifier tells the other nodes what to wake. Topics that come while one sending is under way go out together with the
// next; nothing runs while there are none.
type notifier struct {
	sql *sql.DB
	log *slog.Logger

	mu      sync.Mutex
	pending []string
	sending bool
	closed  bool
	done    sync.WaitGroup
}

func (n *notifier) notify(topics []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	for _, topic := range topics {
		if len(topic) > notifyTopic || !clean(topic) {
			topic = ""
		}
		n.pending = append(n.pending, topic)
	}
	if len(n.pending) > notifyPending {
		n.pending = append(n.pending[:0], "")
	}
	if !n.sending {
		n.sending = true
		n.done.Go(n.run)
	}
}

func (n *notifier) run() {
	for {
		n.mu.Lock()
		topics := n.pending
		n.pending = nil
		n.sending = len(topics) > 0
		n.mu.Unlock()
		if len(topics) == 0 {
			return
		}
		if err := n.send(topics); err != nil {
			n.log.Warn("other nodes were not told; their waiters look again by themselves", "topics", len(topics), "error", err)
		}
	}
}

func (n *notifier) send(topics []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), notifyTimeout)
	defer cancel()
	_, err := n.sql.ExecContext(ctx, notifySQL, topics)
	return err
}

// close lets what is pending go out.
func (n *notifier) close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.done.Wait()
}

// listener wakes the hub for what other nodes did. It has a connection of its own, and that only while somebody waits:
//
//	first waiter ─► connect ─► LISTEN ─► WakeAll ─► notification ─► Hub.Wake(topic) … last waiter gone ─► close
//	                   ▲                                  lost │
//	                   └──────────── pause ◄───────────────────┘
type listener struct {
	config *pgx.ConnConfig
	hub    *wake.Hub
	log    *slog.Logger

	waiting atomic.Bool
	signal  chan struct{} // waiting has changed
	cancel  context.CancelFunc
	done    chan struct{}
}

func startListener(cfg Config, pc *pgx.ConnConfig) *listener {
	own := pc.Copy()
	own.RuntimeParams["application_name"] = "gatehouse " + cfg.Node + " (listening)"
	ctx, cancel := context.WithCancel(context.Background())
	l := &listener{config: own, hub: cfg.Hub, log: cfg.Log, signal: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{})}
	go l.loop(ctx)
	l.hub.OnChange(func(waiting bool) {
		l.waiting.Store(waiting)
		select {
		case l.signal <- struct{}{}:
		default: // whoever takes the one that is there sees waiting as it is then
		}
	})
	return l
}

func (l *listener) close() {
	l.hub.OnChange(nil)
	l.cancel()
	<-l.done
}

func (l *listener) loop(ctx context.Context) {
	defer close(l.done)
	pause := listenPause
	for ctx.Err() == nil {
		if !l.waiting.Load() {
			select {
			case <-l.signal:
			case <-ctx.Done():
			}
			continue
		}
		heard, err := l.listen(ctx)
		if err == nil || ctx.Err() != nil {
			continue
		}
		if heard {
			pause = listenPause
		}
		l.log.Warn("listening for other nodes was interrupted", "error", err, "again_in", pause)
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
		case <-ctx.Done():
		}
		pause = min(2*pause, listenPauseMax)
	}
}

// listen listens on one connection until nobody waits (nil) or it is lost; heard: it had come so far as to listen.
func (l *listener) listen(ctx context.Context) (heard bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel()
	watch.Go(func() {
		for l.waiting.Load() {
			select {
			case <-l.signal:
			case <-ctx.Done():
				return
			}
		}
		cancel()
	})
	c, err := l.connect(ctx)
	if err != nil {
		return false, l.unlessLeft(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		c.Close(ctx)
	}()
	l.hub.WakeAll() // nobody knows what was missed
	for {
		if err := l.hear(ctx, c); err != nil {
			return true, l.unlessLeft(err)
		}
	}
}

// unlessLeft is err, or nil where it came of the last waiter's leaving.
func (l *listener) unlessLeft(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (l *listener) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	c, err := pgx.ConnectConfig(ctx, l.config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if _, err := c.Exec(ctx, "LISTEN "+notifyChannel); err != nil {
		c.Close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("LISTEN: %w", err)
	}
	return c, nil
}

// hear waits for one notification, or for as long as silence is believed.
func (l *listener) hear(ctx context.Context, c *pgx.Conn) error {
	silence, cancel := context.WithTimeout(ctx, listenCheck)
	defer cancel()
	n, err := c.WaitForNotification(silence)
	switch {
	case err == nil && n.Payload == "":
		l.hub.WakeAll()
	case err == nil:
		l.hub.Wake(n.Payload)
	case ctx.Err() != nil:
		return ctx.Err()
	case silence.Err() != nil && !c.IsClosed():
		ask, cancel := context.WithTimeout(ctx, notifyTimeout)
		defer cancel()
		return c.Ping(ask)
	}
	return err
}
