package manage

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

var start = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

func house(t *testing.T) (*Flow, *store.DB) {
	t.Helper()
	ring, err := secret.NewKeyring(map[uint32][]byte{1: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return start }
	db, err := store.Open(t.Context(), store.Config{DSN: filepath.Join(t.TempDir(), "x.db"), Keyring: ring, Now: now, DefaultPolicy: policy.Default()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	inTx, view := store.Bind[Store](db)
	return &Flow{InTx: inTx, View: view, Now: now, CheckPolicy: policy.Check}, db
}

func TestNobodyInParticularMayDoNothing(t *testing.T) {
	f, _ := house(t)
	for _, by := range []By{{}, {Actor: "token:x"}, {Scopes: Scopes()}} {
		if _, err := f.AddPerson(t.Context(), by, Details{Username: "ghost"}); !fault.IsKind(err, fault.Forbidden) {
			t.Errorf("%+v added a person: %v", by, err)
		}
		if _, err := f.People(t.Context(), by, "", 10); !fault.IsKind(err, fault.Forbidden) {
			t.Errorf("%+v saw people: %v", by, err)
		}
		if _, _, err := f.Audit(t.Context(), by, nil, 10); !fault.IsKind(err, fault.Forbidden) {
			t.Errorf("%+v saw the trail: %v", by, err)
		}
	}
}

func TestEndingAGroupsSessionsLeavesTheOthers(t *testing.T) {
	f, db := house(t)
	by := CommandLine("tester")
	for i := range 1200 { // more than two pages of people
		groups := []string{"staff"}
		if i%400 == 0 {
			groups = []string{"students"}
		}
		p, err := f.AddPerson(t.Context(), by, Details{Username: fmt.Sprintf("p%04d", i), Groups: groups})
		if err != nil {
			t.Fatal(err)
		}
		if i%100 != 0 {
			continue
		}
		if err := db.InTx(t.Context(), func(tx *store.Tx) error {
			return tx.AddSession(t.Context(), session.Session{ID: fmt.Sprint("s", i), TokenHash: fmt.Append(nil, i), Person: string(p.ID), Expires: start.Add(time.Hour)})
		}); err != nil {
			t.Fatal(err)
		}
	}
	sessions, members, err := f.EndSessionsOfGroup(t.Context(), by, "students")
	if err != nil || sessions != 3 || members != 3 {
		t.Fatalf("%d sessions of %d people, %v; want 3 of 3", sessions, members, err)
	}
	for i := 0; i < 1200; i += 100 {
		err := db.View(t.Context(), func(tx *store.Tx) error { _, err := tx.SessionByID(t.Context(), fmt.Sprint("s", i)); return err })
		if gone := fault.IsKind(err, fault.NotFound); gone != (i%400 == 0) {
			t.Errorf("session %d gone: %v", i, gone)
		}
	}
}

// told lists who was told what, by mail.
func told(t *testing.T, db *store.DB) (all []string) {
	t.Helper()
	if err := db.View(t.Context(), func(tx *store.Tx) error {
		due, err := tx.RecentMessages(t.Context(), 100)
		for _, m := range due {
			all = append(all, m.To+" "+m.Kind)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

func TestANewAddressIsToldToBoth(t *testing.T) {
	f, db := house(t)
	by := CommandLine("tester")
	p, err := f.AddPerson(t.Context(), by, Details{Username: "ada", Email: "ada@example.org"})
	if err != nil {
		t.Fatal(err)
	}
	for _, invited := range []bool{true, false} {
		if !invited {
			if err := f.SuspendPerson(t.Context(), by, p.ID, "away"); err != nil { // any state but Invited has been used
				t.Fatal(err)
			}
		}
		for _, d := range []Details{{Username: "ada", Email: "ada@example.org", GivenName: "Ada"}, {Username: "ada", Email: "new@example.org"},
			{Username: "countess", Email: "new@example.org"}, {Username: "ada", Email: "ada@example.org"}} {
			if _, changed, err := f.ChangePerson(t.Context(), by, p.ID, 0, d); err != nil || !changed {
				t.Fatal(d, changed, err)
			}
		}
		var want []string
		if !invited {
			want = []string{"ada@example.org account.renamed", "ada@example.org account.renamed",
				"new@example.org account.renamed", "new@example.org account.renamed", "new@example.org account.renamed"}
		}
		if got := told(t, db); !slices.Equal(got, want) {
			t.Errorf("invited %v: told %v", invited, got)
		}
	}
}

func TestAResetGivesNewBudgets(t *testing.T) {
	f, db := house(t)
	by := CommandLine("tester")
	p, err := f.AddPerson(t.Context(), by, Details{Username: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	spent := func(change bool) (wrong int) {
		for _, a := range []throttle.Audience{throttle.Stranger, throttle.Known} {
			if err := db.InTx(t.Context(), func(tx *store.Tx) error {
				c, _, err := tx.ReserveGuess(t.Context(), throttle.Key("totp", string(p.ID), a), func(c throttle.Counter) (throttle.Counter, bool) {
					if change {
						c.Wrong, c.TAT = 10, start.Add(720*time.Hour)
					}
					return c, true
				})
				wrong += c.Wrong
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		return wrong
	}
	if err := db.InTx(t.Context(), func(tx *store.Tx) error {
		return tx.AddCredential(t.Context(), method.Credential{ID: "c", Person: string(p.ID), Kind: method.TOTP, State: []byte("x"), Created: start})
	}); err != nil {
		t.Fatal(err)
	}
	if spent(true) != 20 {
		t.Fatal("the budgets are not spent")
	}
	if _, _, err := f.Reset(t.Context(), by, p.ID, "lost the phone"); err != nil {
		t.Fatal(err)
	}
	if n := spent(false); n != 0 {
		t.Errorf("%d guesses at the old phone count for the new one", n)
	}
}

func TestMergeReadsEveryChainOnceNewestFirst(t *testing.T) {
	chains := map[string][]audit.Row{}
	total := 0
	for c, times := range map[string][]int{"a/0": {1, 4, 9}, "b/0": {2, 3, 10, 11, 12}, "c/0": {}} {
		for i, s := range times {
			chains[c] = append(chains[c], audit.Row{Chain: c, Seq: int64(i + 1), Entry: audit.Entry{At: start.Add(time.Duration(s) * time.Second)}})
			total++
		}
	}
	for limit := 1; limit <= total+1; limit++ {
		at := AuditPosition{"a/0": 3, "b/0": 5, "c/0": 0}
		var got []int
		for at != nil {
			waiting := map[string][]audit.Row{}
			for c, seq := range at {
				if seq > 0 {
					waiting[c] = slices.Clone(chains[c][max(0, int(seq)-limit):seq])
				}
			}
			var rows []audit.Row
			if rows, at = merge(waiting, at, limit); len(rows) == 0 {
				t.Fatal("a page without rows that goes on")
			}
			for _, r := range rows {
				got = append(got, int(r.At.Sub(start).Seconds()))
			}
		}
		if !slices.Equal(got, []int{12, 11, 10, 9, 4, 3, 2, 1}) {
			t.Fatalf("limit %d: %v", limit, got)
		}
	}
}

func TestPeopleAreCheckedAtTheDoorOfTheRoom(t *testing.T) {
	for what, d := range map[string]Details{
		"no name": {}, "two addresses": {Username: "a", Email: "a@b@c.org"}, "formula": {Username: "a", DisplayName: "=1"},
		"line break": {Username: "a", GivenName: "a\nb"}, "role": {Username: "a", Roles: []people.Role{"king"}},
		"locale": {Username: "a", Locale: "en;drop"}, "group": {Username: "a", Groups: []string{""}},
	} {
		if err := d.Check(); !fault.IsKind(err, fault.BadInput) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := (Details{Username: "zoë", Email: "zoe@example.org", DisplayName: "Zoë O'Neil-Ōe", Locale: "zh-Hant", Groups: []string{"IT administrators"}}).Check(); err != nil {
		t.Errorf("a name of people: %v", err)
	}
}

func TestAnExpiredOrUnknownTokenIsNobody(t *testing.T) {
	f, _ := house(t)
	_, shown, err := f.AddToken(t.Context(), CommandLine("tester"), "robot", []Scope{PeopleRead}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if by, err := f.WhoIs(t.Context(), shown); err != nil || by.Actor != "token:robot" || !by.Has(PeopleRead) || by.Has(PeopleWrite) {
		t.Errorf("%+v, %v", by, err)
	}
	for name, now := range map[string]time.Time{"at its end": start.Add(time.Hour), "later": start.Add(2 * time.Hour)} {
		f.Now = func() time.Time { return now }
		if by, err := f.WhoIs(context.Background(), shown); !fault.IsKind(err, fault.Unauthenticated) || by.Actor != "" {
			t.Errorf("%s: %+v, %v", name, by, err)
		}
	}
	f.Now = func() time.Time { return start }
	if _, _, err := f.AddToken(t.Context(), CommandLine("tester"), "eternal", []Scope{PeopleRead}, MaxTokenLife+time.Second); !fault.IsKind(err, fault.BadInput) {
		t.Errorf("a token for ever: %v", err)
	}
}

func TestATokenMakesNoneThatOutlivesIt(t *testing.T) {
	f, _ := house(t)
	_, shown, err := f.AddToken(t.Context(), CommandLine("tester"), "parent", []Scope{PeopleRead, TokensWrite}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	parent, err := f.WhoIs(t.Context(), shown)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.AddToken(t.Context(), parent, "child", []Scope{PeopleRead}, time.Hour+time.Second); !errors.Is(err, errTokenOutlives) {
		t.Errorf("a longer life: %v", err)
	}
	if _, _, err := f.AddToken(t.Context(), parent, "child", []Scope{PeopleRead}, time.Hour); err != nil {
		t.Errorf("as long a life: %v", err)
	}
}
