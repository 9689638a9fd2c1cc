package storetest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

// trail writes n transactions of six entries about a person.
func trail(t *testing.T, db *store.DB, person people.ID, n int) {
	t.Helper()
	ctx := context.Background()
	for i := range n {
		do(t, db, func(tx *store.Tx) error {
			for j := range 6 {
				err := tx.Record(ctx, audit.Entry{At: start.Add(time.Duration(6*i+j) * time.Second), Act: "signin.finished", Outcome: audit.Done,
					Actor: string(person), Subject: string(person), Object: fmt.Sprint("session-", i, "-", j), Door: "web",
					Detail: map[string]string{"method": "passkey", "n": fmt.Sprint(j)}, Personal: map[string]string{"address": fmt.Sprint("192.0.2.", j)}})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func verified(t *testing.T, db *store.DB, checkpoints ...audit.Checkpoint) audit.Report {
	t.Helper()
	rep, err := db.VerifyAudit(context.Background(), checkpoints)
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	return rep
}

func auditChain(t *testing.T, db *store.DB) {
	ctx := context.Background()
	ada := Person(t, db, "ada")
	trail(t, db, ada.ID, 2)
	do(t, db, func(tx *store.Tx) error {
		return tx.Record(ctx, audit.Entry{At: start.Add(time.Hour), Act: "throttle.refused", Outcome: audit.Refused, Actor: "stranger", Door: "web",
			Reason: "odd \xff\x00 bytes", Personal: map[string]string{"agent": "bad \xfe bytes"}})
	})
	if rep := verified(t, db); !rep.OK() || rep.Entries != 13 || rep.Erased != 0 {
		t.Errorf("%+v", rep)
	}
	look(t, db, func(tx *store.Tx) error {
		rows, err := tx.AuditBySubject(ctx, string(ada.ID), "signin.", 5)
		if err != nil || len(rows) != 5 || rows[0].Personal["address"] != "192.0.2.5" || !rows[0].At.After(rows[1].At) || rows[0].Detail["method"] != "passkey" {
			t.Errorf("%+v %v", rows, err)
		}
		none, err := tx.AuditBySubject(ctx, string(ada.ID), "signin.x", 5)
		if len(none) != 0 {
			t.Errorf("prefix ignored: %+v", none)
		}
		return err
	})
	for what, e := range map[string]audit.Entry{
		"no act":     {At: start, Outcome: audit.Done, Actor: "system"},
		"no actor":   {At: start, Outcome: audit.Done, Act: "x"},
		"no outcome": {At: start, Act: "x", Actor: "system"},
		"no time":    {Outcome: audit.Done, Act: "x", Actor: "system"},
	} {
		if err := db.InTx(ctx, func(tx *store.Tx) error { return tx.Record(ctx, e) }); err == nil {
			t.Errorf("an entry with %s was accepted", what)
		}
	}
}

func auditConcurrent(t *testing.T, db *store.DB) { AuditConcurrent(t, db) }

// AuditConcurrent writes entries from many callers on the nodes in turn and wants the chains whole.
func AuditConcurrent(t *testing.T, nodes ...*store.DB) {
	ctx := context.Background()
	before := verified(t, nodes[0]).Entries
	n := race(t, 200, func(i int) (bool, error) {
		err := nodes[i%len(nodes)].InTx(ctx, func(tx *store.Tx) error {
			for j := range i%3 + 1 {
				if err := tx.Record(ctx, audit.Entry{At: start, Act: "x", Outcome: audit.Done, Actor: "system", Object: fmt.Sprint(i, j)}); err != nil {
					return err
				}
			}
			if i%5 == 4 {
				return errWanted
			}
			return nil
		})
		if errors.Is(err, errWanted) {
			return false, nil
		}
		return err == nil, err
	})
	want := before
	for i := range 200 {
		if i%5 != 4 {
			want += int64(i%3 + 1)
		}
	}
	if rep := verified(t, nodes[0]); n != 160 || !rep.OK() || rep.Entries != want {
		t.Errorf("%d acts, wanted %d entries: %+v", n, want, rep)
	}
}

// NoEntryNoAct (attack G141) makes the database refuse one act's entry: the act must not happen, the others must.
func NoEntryNoAct(t *testing.T, db *store.DB) {
	ctx := context.Background()
	raw := Raw(t, db)
	if db.Engine() == "sqlite" {
		raw.Do(t, "CREATE TRIGGER full BEFORE INSERT ON audit WHEN NEW.act = 'blocked' BEGIN SELECT RAISE(ABORT, 'no space'); END")
	} else {
		raw.Do(t, "ALTER TABLE audit ADD CONSTRAINT full_disk CHECK (act <> 'blocked') NOT VALID")
	}
	race(t, 40, func(i int) (bool, error) {
		act := "allowed"
		if i%4 == 0 {
			act = "blocked"
		}
		err := db.InTx(ctx, func(tx *store.Tx) error {
			if err := tx.AddPerson(ctx, people.Person{ID: people.ID(fmt.Sprint("p", i)), Username: fmt.Sprint("p", i), State: people.Active}); err != nil {
				return err
			}
			return tx.Record(ctx, audit.Entry{At: start, Act: act, Outcome: audit.Done, Actor: "cli:x"})
		})
		if (err != nil) != (act == "blocked") {
			t.Errorf("%s: %v", act, err)
		}
		return true, nil
	})
	look(t, db, func(tx *store.Tx) error {
		for i := range 40 {
			_, err := tx.PersonByID(ctx, people.ID(fmt.Sprint("p", i)))
			if i%4 == 0 {
				wantKind(t, "the act without its entry", err, fault.NotFound)
			} else if err != nil {
				t.Errorf("p%d: %v", i, err)
			}
		}
		return nil
	})
	if rep := verified(t, db); !rep.OK() || rep.Entries != 30 {
		t.Errorf("%+v", rep)
	}
}

// tamper is one change of the rows past the store.
type tamper struct {
	name string
	do   func(r RawDB, chain string, last int64)
	// seq of the first bad entry, counted from the end where negative or 0; only by checkpoint: whole without one.
	seq              func(last int64) int64
	onlyByCheckpoint bool
	why              string
}

// Tampering (attack G142) changes rows directly and wants the first bad one named.
func Tampering(t *testing.T, db *store.DB) {
	ctx := context.Background()
	ada := Person(t, db, "ada")
	trail(t, db, ada.ID, 3)
	checkpoint, err := db.Checkpoint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	read, err := audit.ReadCheckpoints(strings.NewReader(checkpoint.Line() + "\n\n" + checkpoint.Line() + "\n"))
	if err != nil || len(read) != 2 {
		t.Fatalf("%d checkpoints: %v", len(read), err)
	}
	if rep := verified(t, db, read...); !rep.OK() || rep.Entries != 18 || rep.Checkpoints != 2 {
		t.Fatalf("untouched: %+v", rep)
	}
	head := checkpoint.Heads[0]
	raw := Raw(t, db)
	raw.Do(t, "CREATE TABLE audit_was AS SELECT * FROM audit")
	raw.Do(t, "CREATE TABLE audit_heads_was AS SELECT * FROM audit_heads")
	for _, c := range tampers(t, db) {
		c.do(raw, head.Chain, head.Seq)
		without, with := verified(t, db), verified(t, db, read...)
		if c.onlyByCheckpoint != without.OK() {
			t.Errorf("%s, without checkpoint: %+v", c.name, without.Problems)
		}
		want := c.seq(head.Seq)
		if len(with.Problems) != 1 || with.Problems[0].Chain != head.Chain || with.Problems[0].Seq != want || !strings.Contains(with.Problems[0].Why, c.why) {
			t.Errorf("%s: %v, wanted %s:%d: …%s…", c.name, with.Problems, head.Chain, want, c.why)
		}
		raw.Do(t, "DELETE FROM audit")
		raw.Do(t, "DELETE FROM audit_heads")
		raw.Do(t, "INSERT INTO audit SELECT * FROM audit_was")
		raw.Do(t, "INSERT INTO audit_heads SELECT * FROM audit_heads_was")
	}
	if rep := verified(t, db, read...); !rep.OK() {
		t.Errorf("restored: %+v", rep)
	}
	// A key taken away by hand is no erasure: an erasure leaves its entry.
	raw.Do(t, "CREATE TABLE people_was AS SELECT * FROM people")
	raw.Do(t, "UPDATE people SET audit_key = NULL")
	if rep := verified(t, db); rep.OK() || rep.Problems[0].Seq != 1 || !strings.Contains(rep.Problems[0].Why, "no entry says") {
		t.Errorf("key taken away: %+v", rep)
	}
	raw.Do(t, "UPDATE people SET audit_key = (SELECT audit_key FROM people_was)")
	foreignCheckpoints(t, db, checkpoint)
}

func tampers(t *testing.T, db *store.DB) []tamper {
	third := func(int64) int64 { return 3 }
	lastOne := func(last int64) int64 { return last }
	edit := func(name, set, why string) tamper {
		return tamper{name: name, seq: third, why: why, do: func(r RawDB, chain string, _ int64) {
			if r.Do(t, "UPDATE audit SET "+set+" WHERE chain = $1 AND seq = 3", chain) != 1 {
				t.Errorf("%s changed nothing", name)
			}
		}}
	}
	return []tamper{
		edit("act", "act = 'signin.other'", "was changed"),
		edit("outcome", "outcome = 'refused'", "was changed"),
		edit("actor", "actor = 'system'", "was changed"),
		edit("subject", "subject = ''", "was changed"),
		edit("object", "object = 'x'", "was changed"),
		edit("door", "door = ''", "was changed"),
		edit("reason", "reason = 'x'", "was changed"),
		edit("time", "at = at + 1", "was changed"),
		edit("detail", `detail = '{"method":"password","n":"2"}'`, "was changed"),
		edit("hash", "hash = prev", "was changed"),
		edit("prev", "prev = hash", "does not follow"),
		edit("commitment", "commitment = hash", "was changed"),
		edit("commitment taken away", "commitment = NULL", "was changed"),
		edit("personal data taken away", "sealed = NULL", "removed"),
		edit("another's personal data", "sealed = (SELECT sealed FROM audit AS o WHERE o.chain = audit.chain AND o.seq = 2)", "does not open"),
		{name: "deleted", seq: third, why: "missing", do: func(r RawDB, chain string, _ int64) {
			r.Do(t, "DELETE FROM audit WHERE chain = $1 AND seq = 3", chain)
		}},
		{name: "reordered", seq: third, why: "does not follow", do: func(r RawDB, chain string, _ int64) {
			for _, m := range [][2]int{{3, -1}, {4, 3}, {-1, 4}} {
				r.Do(t, "UPDATE audit SET seq = $1 WHERE chain = $2 AND seq = $3", m[1], chain, m[0])
			}
		}},
		{name: "cut", seq: lastOne, why: "was cut", do: func(r RawDB, chain string, last int64) {
			r.Do(t, "DELETE FROM audit WHERE chain = $1 AND seq = $2", chain, last)
		}},
		{name: "cut with its head", seq: lastOne, why: "signed checkpoint knows", onlyByCheckpoint: true, do: func(r RawDB, chain string, last int64) {
			r.Do(t, "DELETE FROM audit WHERE chain = $1 AND seq = $2", chain, last)
			r.Do(t, "UPDATE audit_heads SET seq = $1, hash = (SELECT hash FROM audit WHERE chain = $2 AND seq = $1) WHERE chain = $2", last-1, chain)
		}},
		{name: "written anew", seq: lastOne, why: "differs from a signed checkpoint", onlyByCheckpoint: true, do: func(r RawDB, chain string, last int64) {
			forge(t, db, r, chain, last)
		}},
		{name: "chain removed", seq: func(int64) int64 { return 1 }, why: "whole chain is missing", onlyByCheckpoint: true, do: func(r RawDB, chain string, _ int64) {
			r.Do(t, "DELETE FROM audit WHERE chain = $1", chain)
			r.Do(t, "DELETE FROM audit_heads WHERE chain = $1", chain)
		}},
		{name: "head removed", seq: func(last int64) int64 { return last + 1 }, why: "head is missing", do: func(r RawDB, chain string, _ int64) {
			r.Do(t, "DELETE FROM audit_heads WHERE chain = $1", chain)
		}},
	}
}

// forge changes the last entry and hashes it again, as an attacker would who has read this source.
func forge(t *testing.T, db *store.DB, r RawDB, chain string, last int64) {
	var row audit.Row
	look(t, db, func(tx *store.Tx) error {
		rows, err := tx.AuditRows(context.Background(), chain, last, 1)
		row = rows[0]
		return err
	})
	row.Act = "signin.forged"
	row.Hash = audit.Hash(row)
	r.Do(t, "UPDATE audit SET act = $1, hash = $2 WHERE chain = $3 AND seq = $4", row.Act, row.Hash, chain, last)
	r.Do(t, "UPDATE audit_heads SET hash = $1 WHERE chain = $2", row.Hash, chain)
}

// foreignCheckpoints: a checkpoint counts only with the house's own signature.
func foreignCheckpoints(t *testing.T, db *store.DB, good audit.Checkpoint) {
	_, stranger, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	forged := audit.Sign(stranger, good.Node, good.At, good.Heads)
	changed := good
	changed.Heads = append([]audit.Head(nil), good.Heads...)
	changed.Heads[0].Seq--
	for what, c := range map[string]audit.Checkpoint{"signed by a stranger": forged, "changed": changed} {
		if rep := verified(t, db, good, c); len(rep.Problems) != 1 || rep.Problems[0].Chain != "checkpoint" || rep.Problems[0].Seq != 2 {
			t.Errorf("%s: %+v", what, rep)
		}
	}
}

func auditErasure(t *testing.T, db *store.DB) {
	ctx := context.Background()
	ada, bob := Person(t, db, "ada"), Person(t, db, "bob")
	trail(t, db, ada.ID, 1)
	trail(t, db, bob.ID, 1)
	checkpoint, err := db.Checkpoint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	do(t, db, func(tx *store.Tx) error { return tx.ErasePerson(ctx, ada.ID, "cli:bob", "cli", start.Add(time.Hour)) })
	if rep := verified(t, db, checkpoint); !rep.OK() || rep.Erased != 6 || rep.Entries != 13 {
		t.Errorf("%+v", rep)
	}
	look(t, db, func(tx *store.Tx) error {
		rows, err := tx.AuditBySubject(ctx, string(ada.ID), "", 100)
		if err != nil || len(rows) != 7 {
			t.Fatalf("%d rows %v", len(rows), err)
		}
		for _, r := range rows {
			if len(r.Personal) != 0 {
				t.Errorf("still readable: %+v", r.Personal)
			}
		}
		rows, err = tx.AuditBySubject(ctx, string(bob.ID), "", 1)
		if len(rows) != 1 || rows[0].Personal["address"] == "" {
			t.Errorf("the other's is gone: %+v", rows)
		}
		return err
	})
	// What is written about an erased person afterwards is as unreadable, or not personal to them any more.
	do(t, db, func(tx *store.Tx) error {
		return tx.Record(ctx, audit.Entry{At: start, Act: "late", Outcome: audit.Done, Actor: "system", Subject: string(ada.ID)})
	})
	if rep := verified(t, db, checkpoint); !rep.OK() {
		t.Errorf("%+v", rep)
	}
}
