// Package storetest holds both engines to the contracts of the ports, concurrency included, and gives other packages'
// tests a real database.
//
//	storetest.Engines(t, func(t, db) { … })   the body on SQLite and on PostgreSQL, each migrated and empty
//	storetest.SQLite(t)                       a quick one
//	storetest.Run(t, open)                    the suite itself
//
// A package that uses PostgreSQL through it ends its TestMain with os.Exit(pgtest.Main(m)).
package storetest

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/pgtest"
)

// Keyring is the one that test databases are sealed with.
func Keyring(t testing.TB) *secret.Keyring {
	t.Helper()
	k, err := secret.NewKeyring(map[uint32][]byte{1: bytes.Repeat([]byte{7}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Option changes how a test database is opened.
type Option func(*store.Config)

// Clock makes the database use now.
func Clock(now func() time.Time) Option { return func(c *store.Config) { c.Now = now } }

// Node names the node.
func Node(name string) Option { return func(c *store.Config) { c.Node = name } }

// Engines runs body as a subtest on each engine, on a migrated, empty database.
func Engines(t *testing.T, body func(t *testing.T, db *store.DB), options ...Option) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { body(t, SQLite(t, options...)) })
	t.Run("postgres", func(t *testing.T) { body(t, Postgres(t, options...)) })
}

// SQLite opens a migrated, empty database in the test's folder; it is closed at the test's end.
func SQLite(t testing.TB, options ...Option) *store.DB {
	t.Helper()
	return Reopen(t, filepath.Join(t.TempDir(), "gatehouse.db"), options...)
}

// Postgres opens a migrated, empty database of the test's own on a real server.
func Postgres(t testing.TB, options ...Option) *store.DB {
	t.Helper()
	return Reopen(t, PostgresDSN(t), options...)
}

// PostgresDSN gives the URL of a migrated, empty database, for several nodes on it.
func PostgresDSN(t testing.TB) string {
	t.Helper()
	return pgtest.DSN(t, func(dsn string) error {
		ctx := context.Background()
		db, err := store.Open(ctx, store.Config{DSN: dsn, Keyring: Keyring(t)})
		if err != nil {
			return err
		}
		defer db.Close()
		return db.Migrate(ctx)
	})
}

// Reopen opens the database at dsn (a path or URL), migrated; it is closed at the test's end.
func Reopen(t testing.TB, dsn string, options ...Option) *store.DB {
	t.Helper()
	cfg := store.Config{DSN: dsn, Keyring: Keyring(t)}
	for _, o := range options {
		o(&cfg)
	}
	ctx := context.Background()
	db, err := store.Open(ctx, cfg)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if err := db.Migrate(ctx); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	return db
}
