package storetest

import (
	"database/sql"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"github.com/gatehouse-id/gatehouse/internal/store"
)

// RawDB reaches the tables past the store, as somebody with the database's file or password would.
type RawDB struct{ h *sql.DB }

// Raw opens a database opened by this package once more, below the store.
func Raw(t testing.TB, db *store.DB) RawDB {
	t.Helper()
	driver, dsn := "pgx", db.DSN()
	if db.Engine() == "sqlite" {
		driver, dsn = "sqlite", "file:"+dsn+"?_pragma=busy_timeout(10000)"
	}
	h, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return RawDB{h}
}

// Do runs a statement and wants it to change something, or to be no change of rows.
func (r RawDB) Do(t testing.TB, q string, args ...any) int64 {
	t.Helper()
	res, err := r.h.Exec(q, args...)
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Get scans one row.
func (r RawDB) Get(t testing.TB, q string, dest ...any) {
	t.Helper()
	if err := r.h.QueryRow(q).Scan(dest...); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
}
