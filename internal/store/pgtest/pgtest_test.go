package pgtest_test

import (
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/store/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func TestDatabasesAreSeparateCopiesOfThePreparedTemplate(t *testing.T) {
	prepared := 0
	prepare := func(dsn string) error {
		prepared++
		h, err := sql.Open("pgx", dsn)
		if err != nil {
			return err
		}
		defer h.Close()
		_, err = h.Exec("CREATE TABLE things (id TEXT)")
		return err
	}
	for i := range 2 {
		h, err := sql.Open("pgx", pgtest.DSN(t, prepare))
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		var n int
		var collate, pid string
		if err := h.QueryRow("SELECT (SELECT COUNT(*) FROM things), datcollate, pg_backend_pid()::text FROM pg_database WHERE datname = current_database()").Scan(&n, &collate, &pid); err != nil {
			t.Fatal(err)
		}
		if n != 0 || collate != "C.UTF-8" {
			t.Errorf("database %d: %d rows, collation %s", i, n, collate)
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%s/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(status), "\nUid:\t0\t") {
			t.Error("the server runs as root")
		}
		if _, err := h.Exec("INSERT INTO things VALUES ('x')"); err != nil {
			t.Fatal(err)
		}
	}
	if prepared != 1 {
		t.Errorf("prepared %d times", prepared)
	}
}

func TestStopLeavesNothing(t *testing.T) {
	s, err := pgtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	dir := s.Dir()
	if _, err := os.Stat(dir); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder stays: %v", err)
	}
}
