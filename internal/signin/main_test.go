package signin_test

import (
	"os"
	"slices"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/signin/signintest"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/pgtest"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func defaultPolicy(c *store.Config) { c.DefaultPolicy = policy.Default() }

// quick is a house on SQLite.
func quick(t *testing.T) *signintest.House {
	t.Helper()
	clock := signintest.NewClock()
	return signintest.New(t, storetest.SQLite(t, storetest.Clock(clock.Now), defaultPolicy), storetest.Keyring(t), clock)
}

// both runs body on both engines.
func both(t *testing.T, body func(t *testing.T, h *signintest.House)) {
	t.Helper()
	clock := signintest.NewClock()
	storetest.Engines(t, func(t *testing.T, db *store.DB) {
		body(t, signintest.New(t, db, storetest.Keyring(t), clock))
	}, storetest.Clock(clock.Now), defaultPolicy)
}

func want(t *testing.T, s signin.Step, kind signin.StepKind) {
	t.Helper()
	if s.Kind != kind {
		t.Fatalf("step %d, want %d (problem %v, reasons %v)", s.Kind, kind, s.Problem, s.Reasons)
	}
}

func wantProblem(t *testing.T, s signin.Step, code string) {
	t.Helper()
	if s.Problem == nil || s.Problem.Code != code {
		t.Fatalf("problem %v, want %s", s.Problem, code)
	}
}

func has(all []string, one string) bool { return slices.Contains(all, one) }

func count(all []string, one string) (n int) {
	for _, a := range all {
		if a == one {
			n++
		}
	}
	return n
}

// countRows is how long the trail is.
func countRows(t *testing.T, h *signintest.House) (n int) {
	t.Helper()
	err := h.DB.View(ctx, func(tx *store.Tx) error {
		heads, err := tx.AuditHeads(ctx)
		for _, head := range heads {
			n += int(head.Seq)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// threeNodes are three houses on one PostgreSQL.
func threeNodes(t *testing.T, clock *signintest.Clock) (nodes []*signintest.House) {
	t.Helper()
	dsn := storetest.PostgresDSN(t)
	for _, name := range []string{"one", "two", "three"} {
		db := storetest.Reopen(t, dsn, storetest.Clock(clock.Now), storetest.Node(name), defaultPolicy)
		nodes = append(nodes, signintest.New(t, db, storetest.Keyring(t), clock))
	}
	return nodes
}
