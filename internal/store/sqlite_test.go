package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
)

// small are the tables that are read whole: a handful of rows each.
var small = []string{"versions", "applications", "api_tokens", "signing_keys", "audit_heads"}

// Every statement that the suite runs finds its rows by an index, so that 100,000 people are as fast as a thousand.
func TestSQLiteSuiteAndItsPlans(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]bool{}
	storetest.Run(t, func(t *testing.T) *store.DB {
		db := storetest.SQLite(t)
		t.Cleanup(func() { // runs before the database is closed
			mu.Lock()
			defer mu.Unlock()
			for _, q := range store.Statements(db) {
				seen[q] = true
			}
		})
		return db
	})
	path := filepath.Join(t.TempDir(), "plans.db")
	storetest.Reopen(t, path)
	h, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if len(seen) < 80 {
		t.Errorf("only %d statements seen", len(seen))
	}
	for q := range seen {
		for _, step := range plan(t, h, q) {
			if table, ok := strings.CutPrefix(step, "SCAN "); ok && !isSmall(table) {
				t.Errorf("%s\n\tis run as %q", q, step)
			}
		}
	}
}

func isSmall(step string) bool {
	if strings.Contains(step, "USING COVERING INDEX people_state") || strings.HasPrefix(step, "CONSTANT ROW") ||
		strings.HasPrefix(step, "sqlite_master") || strings.HasPrefix(step, "goose_db_version") ||
		// Subqueries of one or two rows, and lists that are read newest first along their index up to a limit.
		step == "c" || strings.HasPrefix(step, "c ") || strings.HasPrefix(step, "newest") || strings.Contains(step, "USING INDEX") {
		return true
	}
	for _, s := range small {
		if step == s || strings.HasPrefix(step, s+" ") {
			return true
		}
	}
	return false
}

func plan(t *testing.T, h *sql.DB, q string) (steps []string) {
	t.Helper()
	args := make([]any, strings.Count(q, "$")+1)
	rows, err := h.Query("EXPLAIN QUERY PLAN "+q, args...)
	if err != nil {
		if strings.HasPrefix(q, "BEGIN") || strings.HasPrefix(q, "SAVEPOINT") || strings.HasPrefix(q, "RELEASE") || strings.HasPrefix(q, "ROLLBACK") {
			return nil
		}
		t.Fatalf("%s: %v", q, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	return steps
}

// A member that ends the writer's goroutine takes its group with it and nothing else.
func TestWriterOutlivesGoexit(t *testing.T) {
	db := storetest.SQLite(t)
	ctx := context.Background()
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			err := db.InTx(ctx, func(tx *store.Tx) error {
				if i == 25 {
					runtime.Goexit()
				}
				return tx.SaveSetting(ctx, fmt.Sprint("s", i), nil)
			})
			if i == 25 && err == nil {
				t.Error("the member that left was acknowledged")
			}
			look := db.View(ctx, func(tx *store.Tx) error { _, err := tx.Setting(ctx, fmt.Sprint("s", i)); return err })
			if (err == nil) != (look == nil) {
				t.Errorf("member %d: answered %v, there: %v", i, err, look)
			}
		})
	}
	wg.Wait()
	if err := db.InTx(ctx, func(tx *store.Tx) error { return tx.SaveSetting(ctx, "after", nil) }); err != nil {
		t.Errorf("the writer is dead: %v", err)
	}
}

// When COMMIT itself fails, nobody is acknowledged and nothing is there.
func TestFailedCommitAcknowledgesNobody(t *testing.T) {
	db := storetest.SQLite(t)
	ctx := context.Background()
	raw := storetest.Raw(t, db)
	// A deferred foreign key is checked at COMMIT and makes it fail.
	raw.Do(t, "CREATE TABLE parent (id TEXT PRIMARY KEY)")
	raw.Do(t, "CREATE TABLE child (id TEXT REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)")
	raw.Do(t, "CREATE TRIGGER poison AFTER INSERT ON settings WHEN NEW.name = 'poison' BEGIN INSERT INTO child VALUES ('orphan'); END")
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			name := fmt.Sprint("s", i)
			err := db.InTx(ctx, func(tx *store.Tx) error {
				if i%10 == 5 {
					if err := tx.SaveSetting(ctx, "poison", nil); err != nil {
						return err
					}
				}
				if err := tx.Record(ctx, audit.Entry{At: storetest.Start(), Act: "x", Outcome: audit.Done, Actor: "system"}); err != nil {
					return err
				}
				return tx.SaveSetting(ctx, name, nil)
			})
			if i%10 == 5 && err == nil {
				t.Errorf("member %d was acknowledged", i)
			}
			look := db.View(ctx, func(tx *store.Tx) error { _, err := tx.Setting(ctx, name); return err })
			if (err == nil) != (look == nil) {
				t.Errorf("member %d: answered %v, there: %v", i, err, look)
			}
		})
	}
	wg.Wait()
	if rep, err := db.VerifyAudit(ctx, nil); err != nil || !rep.OK() {
		t.Errorf("trail: %+v %v", rep, err)
	}
}

// TestG142_OlderCopy puts an older copy in the database's place; the checkpoint kept outside finds it.
func TestG142_OlderCopy(t *testing.T) {
	dir := t.TempDir()
	path, older := filepath.Join(dir, "now.db"), filepath.Join(dir, "older.db")
	db := storetest.Reopen(t, path)
	ctx := context.Background()
	act := func(db *store.DB, what string) {
		t.Helper()
		if err := db.InTx(ctx, func(tx *store.Tx) error {
			return tx.Record(ctx, audit.Entry{At: storetest.Start(), Act: what, Outcome: audit.Done, Actor: "system"})
		}); err != nil {
			t.Fatal(err)
		}
	}
	act(db, "one")
	if _, err := db.Checkpoint(ctx); err != nil { // the key exists in the copy too
		t.Fatal(err)
	}
	act(db, "two")
	storetest.Raw(t, db).Do(t, "VACUUM INTO $1", older)
	act(db, "three")
	outside, err := db.Checkpoint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	copied := storetest.Reopen(t, older)
	rep, err := copied.VerifyAudit(ctx, nil)
	if err != nil || !rep.OK() {
		t.Errorf("an older copy is whole in itself: %+v %v", rep, err)
	}
	rep, err = copied.VerifyAudit(ctx, []audit.Checkpoint{outside})
	if err != nil || len(rep.Problems) != 1 || rep.Problems[0].Seq != 3 || rep.Problems[0].Chain != "main/0" {
		t.Errorf("older copy: %+v %v", rep, err)
	}
	act(copied, "another third act")
	rep, err = copied.VerifyAudit(ctx, []audit.Checkpoint{outside})
	if err != nil || len(rep.Problems) != 1 || rep.Problems[0].Seq != 3 || !strings.Contains(rep.Problems[0].Why, "another copy") {
		t.Errorf("older copy, gone on: %+v %v", rep, err)
	}
}

// A binary runs on a schema one step newer and refuses more; an older one wants Migrate, which copies the file first.
func TestSchemaSteps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "steps.db")
	ctx := context.Background()
	db := storetest.Reopen(t, path)
	if err := db.CheckSchema(ctx); err != nil {
		t.Fatal(err)
	}
	_, known, err := db.SchemaVersion(ctx)
	if err != nil {
		t.Fatal(err)
	}
	raw := storetest.Raw(t, db)
	open := func() error {
		again, err := store.Open(ctx, store.Config{DSN: path, Keyring: storetest.Keyring(t)})
		if err == nil {
			err = errors.Join(again.Migrate(ctx), again.CheckSchema(ctx), again.Close())
		}
		return err
	}
	for step := known; step <= known+2; step++ {
		if step > known {
			raw.Do(t, "INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, 1)", step)
		}
		if err := open(); (err != nil) != (step == known+2) {
			t.Errorf("schema step %d with a binary of %d: %v", step, known, err)
		} else if err != nil && fault.Of(err).Code != "store.schema_newer" {
			t.Errorf("schema step %d: %v", step, err)
		}
	}
	raw.Do(t, "DELETE FROM goose_db_version WHERE version_id >= $1", known)
	if err := db.CheckSchema(ctx); fault.Of(err).Code != "store.schema_older" {
		t.Errorf("an older schema: %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is readable by others: %v %v", info.Mode(), err)
	}
}

// The copy made before migrating is whole, private, and never overwritten.
func TestCopyBeforeMigrating(t *testing.T) {
	now := storetest.Start()
	db := storetest.SQLite(t, storetest.Clock(func() time.Time { return now }))
	ctx := context.Background()
	if err := db.InTx(ctx, func(tx *store.Tx) error { return tx.SaveSetting(ctx, "kept", []byte("yes")) }); err != nil {
		t.Fatal(err)
	}
	to, err := store.CopyBeforeMigrating(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("copy: %v %v", info, err)
	}
	if _, err := store.CopyBeforeMigrating(ctx, db); err == nil {
		t.Error("a copy was overwritten")
	}
	if err := storetest.Reopen(t, to).View(ctx, func(tx *store.Tx) error {
		v, err := tx.Setting(ctx, "kept")
		if string(v) != "yes" {
			t.Errorf("in the copy: %q", v)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

func TestBindSaysWhatIsMissing(t *testing.T) {
	db := storetest.SQLite(t)
	defer func() {
		if p := fmt.Sprint(recover()); !strings.Contains(p, "Nonsense is missing") || !strings.Contains(p, "Record is func") {
			t.Errorf("panic: %s", p)
		}
	}()
	store.Bind[interface {
		Nonsense()
		Record(int) error
	}](db)
	t.Error("bound")
}
