package store_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/keys"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/pgtest"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// The ports that one Tx answers.
var _ interface {
	signin.Store
	enrol.Store
	apps.Store
	apps.APITokenStore
	keys.Store
	notice.Queue
	audit.Reader
	audit.Aggregator
	policy.Records
} = (*store.Tx)(nil)

func TestFirstStep(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		now := time.Unix(1_800_000_000, 0)
		p := people.Person{ID: "p1", Username: "Ada", Email: "ada@example.org", State: people.Active, Groups: []string{"staff"}, Created: now}
		err := db.InTx(ctx, func(tx *store.Tx) error {
			if err := tx.AddPerson(ctx, p); err != nil {
				return err
			}
			return tx.Record(ctx, audit.Entry{At: now, Act: "person.added", Outcome: audit.Done, Actor: "cli:test", Subject: "p1", Personal: map[string]string{"a": "b"}})
		})
		if err != nil {
			t.Fatal(err)
		}
		rep, err := db.VerifyAudit(ctx, nil)
		if err != nil || !rep.OK() || rep.Entries != 1 {
			t.Fatalf("%+v %v", rep, err)
		}
	})
}
