package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
)

// cpu reports the processor time of the whole process per operation: what a durable commit waits for the disk is not in
// it, so that it can be compared between machines and runs. The returned function ends the measurement.
func cpu(b *testing.B) (end func()) {
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/1000/float64(b.N), "cpu-µs/op") }
}

// BenchmarkSignIn is the last transaction of a sign-in: the challenge spent, the credential saved, a session, an audit
// entry with personal data. rows/op counts the rows written. Run with -cpu 1,2 and -benchtime 20000x.
func BenchmarkSignIn(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *store.DB{
		"sqlite":   func(t testing.TB) *store.DB { return storetest.SQLite(t) },
		"postgres": func(t testing.TB) *store.DB { return storetest.Postgres(t) },
	} {
		for _, workers := range []int{1, 8, 32} {
			b.Run(fmt.Sprintf("%s/workers=%d", name, workers), func(b *testing.B) { benchSignIn(b, open(b), workers) })
		}
	}
}

func benchSignIn(b *testing.B, db *store.DB, workers int) {
	ctx := context.Background()
	now := time.Now()
	person := storetest.Person(b, db, "ada")
	if err := db.InTx(ctx, func(tx *store.Tx) error {
		return tx.AddCredential(ctx, method.Credential{ID: "c", Person: string(person.ID), Kind: method.Passkey, Handle: []byte("h"), State: make([]byte, 300)})
	}); err != nil {
		b.Fatal(err)
	}
	var n atomic.Int64
	b.SetParallelism(workers)
	b.ResetTimer()
	defer cpu(b)()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id := fmt.Sprint("s", n.Add(1))
			if err := db.InTx(ctx, func(tx *store.Tx) error { return signInOnce(ctx, tx, id, person.ID, now) }); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(4, "rows/op")
}

func signInOnce(ctx context.Context, tx *store.Tx, id string, person people.ID, now time.Time) error {
	if _, err := tx.SpendOnce(ctx, secret.Hash(id), now.Add(time.Hour)); err != nil {
		return err
	}
	if _, err := tx.PersonByID(ctx, person); err != nil {
		return err
	}
	if err := tx.TouchCredential(ctx, "c", now); err != nil {
		return err
	}
	if err := tx.AddSession(ctx, session.Session{ID: id, TokenHash: secret.Hash(id + "t"), Person: string(person), Browser: secret.Hash("b"),
		Evidence: []method.Evidence{{Kind: method.Passkey, Credential: "c", At: now}}, Created: now, LastSeen: now, Expires: now.Add(time.Hour)}); err != nil {
		return err
	}
	return tx.Record(ctx, audit.Entry{At: now, Act: "signin.finished", Outcome: audit.Done, Actor: string(person), Subject: string(person),
		Object: id, Door: "web", Detail: map[string]string{"method": "passkey"}, Personal: map[string]string{"address": "192.0.2.1", "agent": "Mozilla/5.0"}})
}

// BenchmarkView is the read at the head of every request: session and person.
func BenchmarkView(b *testing.B) {
	db := storetest.SQLite(b)
	ctx := context.Background()
	person := storetest.Person(b, db, "ada")
	now := time.Now()
	if err := db.InTx(ctx, func(tx *store.Tx) error { return signInOnce(ctx, tx, "s", person.ID, now) }); err != nil {
		b.Fatal(err)
	}
	token := secret.Hash("st")
	b.ResetTimer()
	defer cpu(b)()
	for b.Loop() {
		if err := db.View(ctx, func(tx *store.Tx) error {
			s, err := tx.SessionByToken(ctx, token)
			if err != nil {
				return err
			}
			_, err = tx.PersonByID(ctx, people.ID(s.Person))
			return err
		}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen opens an existing SQLite database as a start does.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "open.db")
	storetest.Reopen(b, path)
	ctx := context.Background()
	for b.Loop() {
		db, err := store.Open(ctx, store.Config{DSN: path, Keyring: storetest.Keyring(b)})
		if err != nil {
			b.Fatal(err)
		}
		if err := errors.Join(db.Migrate(ctx), db.CheckSchema(ctx), db.Close()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPeople looks up one of many people by name, and signs them in: the figures at 1,000 and 100,000 people
// belong together.
func BenchmarkPeople(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			db := storetest.SQLite(b)
			ctx := context.Background()
			for from := 0; from < n; from += 1000 {
				if err := db.InTx(ctx, func(tx *store.Tx) error { return addMany(ctx, tx, from, from+1000) }); err != nil {
					b.Fatal(err)
				}
			}
			now := time.Now()
			i := 0
			b.ResetTimer()
			defer cpu(b)()
			for b.Loop() {
				i++
				name := fmt.Sprint("person", i*7919%n)
				if err := db.InTx(ctx, func(tx *store.Tx) error {
					p, err := tx.PersonByName(ctx, name)
					if err != nil {
						return err
					}
					return signInOnce(ctx, tx, fmt.Sprint("s", i), p.ID, now)
				}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func addMany(ctx context.Context, tx *store.Tx, from, to int) error {
	for i := from; i < to; i++ {
		name := fmt.Sprint("person", i)
		if err := tx.AddPerson(ctx, people.Person{ID: people.ID(secret.NewID(time.Now())), Username: name, Email: name + "@example.org", State: people.Active}); err != nil {
			return err
		}
	}
	return nil
}
