package store_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
)

// A database of step 1 with people in it becomes one of this binary's, and the binary of step 1 goes on beside it until
// the last node is replaced.
func TestUpgradeFromStep1(t *testing.T) {
	for engine, dsn := range map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return filepath.Join(t.TempDir(), "gatehouse.db") },
		"postgres": emptyPostgres,
	} {
		t.Run(engine, func(t *testing.T) { upgrade(t, dsn(t)) })
	}
}

// emptyPostgres makes a database without any table.
func emptyPostgres(t *testing.T) string {
	t.Helper()
	migrated := storetest.PostgresDSN(t)
	i, j := strings.LastIndexByte(migrated, '/')+1, strings.LastIndexByte(migrated, '?')
	name := migrated[i:j] + "_empty"
	storetest.Raw(t, storetest.Reopen(t, migrated)).Do(t, "CREATE DATABASE "+name+" TEMPLATE template0")
	return migrated[:i] + name + migrated[j:]
}

func upgrade(t *testing.T, dsn string) {
	ctx := context.Background()
	db, err := store.Open(ctx, store.Config{DSN: dsn, Keyring: storetest.Keyring(t), Now: storetest.Start})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := store.MigrateTo(ctx, db, 1); err != nil {
		t.Fatal(err)
	}
	if err := db.CheckSchema(ctx); !fault.IsKind(err, fault.Internal) || fault.Of(err).Code != "store.schema_older" {
		t.Errorf("an older schema: %v", err)
	}
	raw := storetest.Raw(t, db)
	writtenByStep1(t, raw, "before")
	if err := db.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if err := db.CheckSchema(ctx); err != nil {
		t.Error(err)
	}
	writtenByStep1(t, raw, "after")
	if err := db.Migrate(ctx); err != nil { // a second node starts
		t.Error(err)
	}
	for _, id := range []string{"before", "after"} {
		worksWith(t, db, id)
	}
	if db.Engine() == "sqlite" {
		copied(t, dsn)
	}
}

// writtenByStep1 are the statements of the binary of step 1, as it sent them.
func writtenByStep1(t *testing.T, raw storetest.RawDB, id string) {
	t.Helper()
	raw.Do(t, `INSERT INTO people (id, username, username_norm, email, email_norm, display_name, given_name, family_name,
		locale, group_names, role_names, state, lead, audit_key, created, updated, version)
		VALUES ($1, $1, $1, '', NULL, 'Ada', 'Ada', '', 'en', '[]', '[]', 2, '', NULL, 1, 1, 0) ON CONFLICT DO NOTHING`, id)
	raw.Do(t, `INSERT INTO credentials (id, person, kind, name, handle, state, pending, created, last_used, version)
		VALUES ($1, $2, 'password', '', NULL, $3, FALSE, 1, 0, 0) ON CONFLICT DO NOTHING`, "c-"+id, id,
		storetest.Keyring(t).Seal("credentials/state/c-"+id, []byte("state of "+id)))
	raw.Do(t, `INSERT INTO messages (id, person, channel, recipient, kind, params, locale, created, not_until, lease, tries, sent_at, given_up, last_fail)
		VALUES ($1, $2, 'mail', 'a@example.org', 'k', '{}', 'en', 1, 1, 0, 0, 0, FALSE, '') ON CONFLICT DO NOTHING`, "m-"+id, id)
	raw.Do(t, `UPDATE people SET lead = 'password', version = version + 1 WHERE id = $1`, id)
}

// worksWith: what step 1 wrote is read with the defaults of what it does not know, and goes on from there.
func worksWith(t *testing.T, db *store.DB, id string) {
	t.Helper()
	ctx := context.Background()
	err := db.InTx(ctx, func(tx *store.Tx) error {
		p, err := tx.PersonByID(ctx, people.ID(id))
		if err != nil || p.NewPassword || p.Lead != "password" {
			t.Errorf("%s: %+v %v", id, p, err)
		}
		p.NewPassword = true
		if err := tx.UpdatePerson(ctx, p); err != nil {
			return err
		}
		all, err := tx.CredentialsOf(ctx, id)
		if err != nil || len(all) != 1 || string(all[0].State) != "state of "+id || all[0].Device != "" || !all[0].HeldUntil.IsZero() {
			t.Errorf("%s: %+v %v", id, all, err)
		}
		c := signin.Challenge{ID: "challenge-" + id, Person: id, Kind: method.App, Standing: signin.Open, Expires: storetest.Start()}
		return tx.AddChallenge(ctx, c)
	})
	if err != nil {
		t.Errorf("%s: %v", id, err)
	}
	err = db.InTx(ctx, func(tx *store.Tx) error {
		list, err := tx.ClaimMessages(ctx, []string{notice.Mail}, storetest.Start(), storetest.Start(), 10)
		for _, m := range list {
			if !m.Code.Empty() || !m.Expires.IsZero() {
				t.Errorf("message %+v", m)
			}
			m.SentAt = storetest.Start()
			if err := tx.SaveMessage(ctx, m); err != nil {
				return err
			}
		}
		return err
	})
	if err != nil {
		t.Errorf("%s: %v", id, err)
	}
}

// copied: beside the file lies what it was before, at its step, for its owner alone.
func copied(t *testing.T, path string) {
	t.Helper()
	ctx := context.Background()
	copies, err := filepath.Glob(path + ".step-1.*")
	if err != nil || len(copies) != 1 {
		t.Fatalf("copies %q %v", copies, err)
	}
	if info, err := os.Stat(copies[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("copy: %v %v", info, err)
	}
	db, err := store.Open(ctx, store.Config{DSN: copies[0], Keyring: storetest.Keyring(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if have, known, err := db.SchemaVersion(ctx); have != 1 || known < 2 || err != nil {
		t.Errorf("the copy is at step %d of %d: %v", have, known, err)
	}
	var before, after int
	raw := storetest.Raw(t, db)
	raw.Get(t, "SELECT COUNT(*) FROM people WHERE id = 'before'", &before)
	raw.Get(t, "SELECT COUNT(*) FROM people WHERE id = 'after'", &after)
	if before != 1 || after != 0 {
		t.Errorf("the copy has %d of before and %d of after", before, after)
	}
}
