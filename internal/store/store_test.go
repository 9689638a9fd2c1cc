package store_test

import (
	"os"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/incident"
	"github.com/gatehouse-id/gatehouse/internal/keys"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/pgtest"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(killedChild); path != "" {
		os.Exit(beKilled(path))
	}
	os.Exit(pgtest.Main(m))
}

// The ports that one Tx answers.
var _ interface {
	signin.Store
	enrol.Store
	apps.Store
	apps.APITokenStore
	keys.Store
	notice.Queue
	audit.Reader
	policy.Records
	device.Store
	incident.Store
	manage.Store
} = (*store.Tx)(nil)

func TestPostgreSQL(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.DB { return storetest.Postgres(t) })
}

func TestG141_NoEntryNoAct(t *testing.T) { storetest.Engines(t, storetest.NoEntryNoAct) }

func TestG142_Tampering(t *testing.T) { storetest.Engines(t, storetest.Tampering) }

// Two nodes on one PostgreSQL share sessions, counters and single use.
func TestTwoNodes(t *testing.T) {
	for name, nodes := range map[string][2]string{"OwnNames": {"a", "b"}, "OneNameByMistake": {"a", "a"}} {
		t.Run(name, func(t *testing.T) {
			dsn := storetest.PostgresDSN(t)
			a := storetest.Reopen(t, dsn, storetest.Node(nodes[0]))
			b := storetest.Reopen(t, dsn, storetest.Node(nodes[1]))
			t.Run("ExactlyOneWins", func(t *testing.T) { storetest.ExactlyOneWins(t, a, b) })
			t.Run("ReserveGuessIsExact", func(t *testing.T) { storetest.ReserveGuessIsExact(t, a, b) })
			t.Run("OneAnswerCounts", func(t *testing.T) { storetest.ChallengeRace(t, a, b) })
			t.Run("Audit", func(t *testing.T) { storetest.AuditConcurrent(t, a, b) })
			t.Run("Caches", func(t *testing.T) { storetest.CachesAcrossNodes(t, a, b) })
		})
	}
}
