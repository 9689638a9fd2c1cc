package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
	"github.com/gatehouse-id/gatehouse/internal/wake"
)

// patience is after how long a test gives up.
const patience = 30 * time.Second

func withHub(h *wake.Hub) storetest.Option { return func(c *store.Config) { c.Hub = h } }

// woken waits for a wake.
func woken(t *testing.T, what string, w *wake.Waiter) {
	t.Helper()
	select {
	case <-w.C:
	case <-time.After(patience):
		t.Fatalf("%s: nobody was woken", what)
	}
}

func asleep(t *testing.T, what string, w *wake.Waiter) {
	t.Helper()
	select {
	case <-w.C:
		t.Errorf("%s: somebody was woken", what)
	default:
	}
}

// subscribe begins to wait; on PostgreSQL it returns when the node listens, which wakes everybody.
func subscribe(t *testing.T, db *store.DB, h *wake.Hub, topic string) *wake.Waiter {
	t.Helper()
	first := h.Waiting() == 0
	w := h.Subscribe(topic)
	t.Cleanup(w.Close)
	if first && db.Engine() == "postgres" {
		woken(t, "the node listens", w)
	}
	return w
}

func wakeUp(t *testing.T, db *store.DB, topics ...string) {
	t.Helper()
	err := db.InTx(context.Background(), func(tx *store.Tx) error {
		for _, topic := range topics {
			tx.Wake(topic)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestACommitWakesItsTopic(t *testing.T) {
	for name, open := range map[string]func(testing.TB, ...storetest.Option) *store.DB{
		"sqlite": storetest.SQLite, "postgres": storetest.Postgres,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, hub := context.Background(), &wake.Hub{}
			db := open(t, withHub(hub))
			mine := subscribe(t, db, hub, "mine")
			other, never := hub.Subscribe("other"), hub.Subscribe("never")
			defer other.Close()
			defer never.Close()
			refused := errors.New("refused")
			err := db.InTx(ctx, func(tx *store.Tx) error {
				tx.Wake("mine")
				return refused
			})
			if !errors.Is(err, refused) {
				t.Fatal(err)
			}
			err = db.View(ctx, func(tx *store.Tx) error {
				tx.Wake("mine")
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			wakeUp(t, db, "other") // whatever the two above sent would come before it
			woken(t, "the other topic", other)
			asleep(t, "a transaction that was rolled back, or a view", mine)
			wakeUp(t, db, "mine", "mine")
			woken(t, "its topic", mine)
			asleep(t, "a topic that was not named", never)
		})
	}
}

func TestACommitWakesTheOtherNode(t *testing.T) {
	dsn := storetest.PostgresDSN(t)
	var hub wake.Hub
	a := storetest.Reopen(t, dsn, storetest.Node("a")) // nobody waits there: its commits are told all the same
	b := storetest.Reopen(t, dsn, storetest.Node("b"), withHub(&hub))
	w, other := subscribe(t, b, &hub, "challenge:1"), hub.Subscribe("challenge:2")
	defer other.Close()
	ctx, refused := context.Background(), errors.New("refused")
	err := a.InTx(ctx, func(tx *store.Tx) error {
		tx.Wake("challenge:2")
		return refused
	})
	if !errors.Is(err, refused) {
		t.Fatal(err)
	}
	for range 3 {
		wakeUp(t, a, "challenge:1")
		woken(t, "the other node", w)
	}
	asleep(t, "a transaction that was rolled back", other)
	for _, odd := range []string{strings.Repeat("long", 100), "with\x00NUL", "not\xffUTF-8"} {
		wakeUp(t, a, odd)
		woken(t, "a topic that cannot be sent wakes everybody", w)
		woken(t, "a topic that cannot be sent wakes everybody", other)
	}
	many := make([]string, 6000)
	for i := range many {
		many[i] = "t" + strings.Repeat("x", i%190)
	}
	wakeUp(t, a, append(many, "challenge:1")...)
	woken(t, "among many", w)
}

// listening counts the connections that listen on the database of db, and ends them where kill says so.
func listening(t *testing.T, raw storetest.RawDB, kill bool) (n int) {
	t.Helper()
	what := "pid > 0"
	if kill {
		what = "pg_terminate_backend(pid)"
	}
	raw.Get(t, "SELECT COUNT(*) FROM (SELECT "+what+` AS done FROM pg_stat_activity
		WHERE datname = current_database() AND application_name LIKE '%(listening)') AS found WHERE done`, &n)
	return n
}

func wantListening(t *testing.T, raw storetest.RawDB, want int) {
	t.Helper()
	for until := time.Now().Add(patience); listening(t, raw, false) != want; {
		if time.Now().After(until) {
			t.Fatalf("%d connections listen, wanted %d", listening(t, raw, false), want)
		}
	}
}

func TestALostConnectionIsMadeAgainAndWakesEverybody(t *testing.T) {
	dsn := storetest.PostgresDSN(t)
	var hub wake.Hub
	a := storetest.Reopen(t, dsn, storetest.Node("a"))
	b := storetest.Reopen(t, dsn, storetest.Node("b"), withHub(&hub))
	raw := storetest.Raw(t, a)
	w, other := subscribe(t, b, &hub, "one"), hub.Subscribe("two")
	defer other.Close()
	for range 3 {
		if n := listening(t, raw, true); n != 1 {
			t.Fatalf("%d connections were ended", n)
		}
		woken(t, "after the connection was made again", w)
		woken(t, "after the connection was made again", other)
		wakeUp(t, a, "one")
		woken(t, "on the new connection", w)
	}
}

func TestNobodyWaitsNobodyListens(t *testing.T) {
	dsn := storetest.PostgresDSN(t)
	var hub wake.Hub
	b := storetest.Reopen(t, dsn, storetest.Node("b"), withHub(&hub))
	raw := storetest.Raw(t, storetest.Reopen(t, dsn))
	wakeUp(t, b, "nobody's")
	if n := listening(t, raw, false); n != 0 {
		t.Errorf("%d connections listen before anybody waits", n)
	}
	for range 5 {
		w := subscribe(t, b, &hub, "one")
		more := hub.Subscribe("two")
		wantListening(t, raw, 1)
		w.Close()
		wantListening(t, raw, 1)
		more.Close()
		wantListening(t, raw, 0)
	}
	// Coming and going at once ends as it should, whichever way.
	for range 50 {
		hub.Subscribe("brief").Close()
	}
	wantListening(t, raw, 0)
	w := subscribe(t, b, &hub, "last")
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	wantListening(t, raw, 0)
	w.Close()
}

// BenchmarkWake is the time from the beginning of a transaction that answers a challenge to the waking of who waits for
// it, on the same node and on another one.
func BenchmarkWake(b *testing.B) {
	for name, open := range map[string]func() (from, to *store.DB, hub *wake.Hub){
		"sqlite": func() (*store.DB, *store.DB, *wake.Hub) {
			hub := &wake.Hub{}
			db := storetest.SQLite(b, withHub(hub))
			return db, db, hub
		},
		"postgres/two nodes": func() (*store.DB, *store.DB, *wake.Hub) {
			hub, dsn := &wake.Hub{}, storetest.PostgresDSN(b)
			return storetest.Reopen(b, dsn, storetest.Node("a")), storetest.Reopen(b, dsn, storetest.Node("b"), withHub(hub)), hub
		},
	} {
		b.Run(name, func(b *testing.B) {
			from, _, hub := open()
			ctx := context.Background()
			c := signin.Challenge{ID: "c", Person: "p", Standing: signin.Open}
			if err := from.InTx(ctx, func(tx *store.Tx) error { return tx.AddChallenge(ctx, c) }); err != nil {
				b.Fatal(err)
			}
			w := hub.Subscribe(signin.ChallengeTopic("c"))
			defer w.Close()
			if from.Engine() == "postgres" {
				<-w.C // the node listens
			}
			b.ResetTimer()
			for b.Loop() {
				err := from.InTx(ctx, func(tx *store.Tx) error {
					tx.Wake(signin.ChallengeTopic("c"))
					return tx.UpdateChallenge(ctx, c)
				})
				if err != nil {
					b.Fatal(err)
				}
				<-w.C
				c.Version++
			}
		})
	}
}
