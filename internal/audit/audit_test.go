package audit_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
)

var at = time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)

func chain(n int) []audit.Row {
	var rows []audit.Row
	head := audit.Head{Chain: "a/0"}
	for i := range n {
		r := audit.Row{Chain: head.Chain, Seq: head.Seq + 1, Prev: head.Hash, Commitment: audit.Commit(make([]byte, audit.SaltBytes), []byte("{}")),
			Entry: audit.Clean(audit.Entry{At: at, Act: "act", Outcome: audit.Done, Actor: "system", Object: fmt.Sprint(i), Detail: map[string]string{"k": "v"}})}
		r.Hash = audit.Hash(r)
		head = audit.Head{Chain: r.Chain, Seq: r.Seq, Hash: r.Hash}
		rows = append(rows, r)
	}
	return rows
}

func TestG142_VerifyNamesTheFirstBadEntry(t *testing.T) {
	begin := audit.Head{Chain: "a/0"}
	rows := chain(5)
	head, problem := audit.Verify(begin, rows...)
	if problem != nil || head.Seq != 5 || !bytes.Equal(head.Hash, rows[4].Hash) {
		t.Fatalf("%+v %v", head, problem)
	}
	half, _ := audit.Verify(begin, rows[:2]...)
	if _, problem := audit.Verify(half, rows[2:]...); problem != nil {
		t.Errorf("in two parts: %v", problem)
	}
	for name, c := range map[string]struct {
		rows []audit.Row
		seq  int64
	}{
		"deleted":     {append(chain(5)[:2:2], chain(5)[3:]...), 3},
		"first gone":  {chain(5)[1:], 1},
		"twice":       {append(chain(3), chain(3)[2]), 4},
		"reordered":   {[]audit.Row{rows[0], rows[2], rows[1]}, 2},
		"other chain": {func() []audit.Row { r := chain(2); r[1].Chain = "b/0"; return r }(), 2},
		"edited":      {func() []audit.Row { r := chain(3); r[1].Reason = "x"; return r }(), 2},
		"rehashed":    {func() []audit.Row { r := chain(3); r[1].Reason = "x"; r[1].Hash = audit.Hash(r[1]); return r }(), 3},
	} {
		if _, problem := audit.Verify(begin, c.rows...); problem == nil || problem.Seq != c.seq || problem.Chain != "a/0" {
			t.Errorf("%s: %v, wanted entry %d", name, problem, c.seq)
		}
	}
}

// No two different entries have one encoding: moving text across a border changes the hash.
func TestHashKnowsItsBorders(t *testing.T) {
	base := audit.Row{Chain: "c", Seq: 1, Entry: audit.Entry{At: at, Act: "ab", Actor: "c", Detail: map[string]string{"k": "v", "l": "w"}}}
	seen := map[string]string{string(audit.Hash(base)): "base"}
	for name, change := range map[string]func(*audit.Row){
		"border act/outcome":  func(r *audit.Row) { r.Act, r.Outcome = "a", "b" },
		"border actor":        func(r *audit.Row) { r.Act, r.Actor = "abc", "" },
		"object for subject":  func(r *audit.Row) { r.Object = "x" },
		"subject for object":  func(r *audit.Row) { r.Subject = "x" },
		"detail joined":       func(r *audit.Row) { r.Detail = map[string]string{"k": "vlw"} },
		"detail swapped":      func(r *audit.Row) { r.Detail = map[string]string{"k": "w", "l": "v"} },
		"detail gone":         func(r *audit.Row) { r.Detail = nil },
		"commitment":          func(r *audit.Row) { r.Commitment = []byte{1} },
		"prev for commitment": func(r *audit.Row) { r.Prev = []byte{1} },
		"seq":                 func(r *audit.Row) { r.Seq = 2 },
		"chain":               func(r *audit.Row) { r.Chain = "c/1" },
		"a microsecond":       func(r *audit.Row) { r.At = r.At.Add(time.Microsecond) },
	} {
		r := base
		change(&r)
		h := string(audit.Hash(r))
		if other, ok := seen[h]; ok {
			t.Errorf("%s and %s have one hash", name, other)
		}
		seen[h] = name
	}
}

func TestCleanKeepsEntriesWritable(t *testing.T) {
	e := audit.Clean(audit.Entry{At: at.Add(123), Act: "a\x00b", Reason: "\xff\xfe", Personal: map[string]string{"agent\xff": "x\x00"}, Detail: map[string]string{}})
	if e.Act != "a\uFFFDb" || e.Reason != "\uFFFD" || e.Personal["agent\uFFFD"] != "x\uFFFD" || e.Detail != nil || !e.At.Equal(at) {
		t.Errorf("%+v", e)
	}
}

func TestCheckpointSignature(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	public := key.Public().(ed25519.PublicKey)
	c := audit.Sign(key, "a", at, []audit.Head{{Chain: "a/0", Seq: 5, Hash: []byte("h")}, {Chain: "b/0", Seq: 1, Hash: []byte("i")}})
	if strings.Contains(c.Line(), "\n") {
		t.Error("a line has a line break")
	}
	read, err := audit.ReadCheckpoints(strings.NewReader(c.Line()))
	if err != nil || len(read) != 1 || !read[0].SignedBy(public) {
		t.Fatalf("%+v %v", read, err)
	}
	for name, change := range map[string]func(*audit.Checkpoint){
		"seq":     func(c *audit.Checkpoint) { c.Heads[0].Seq = 4 },
		"hash":    func(c *audit.Checkpoint) { c.Heads[1].Hash = []byte("j") },
		"chain":   func(c *audit.Checkpoint) { c.Heads[1].Chain = "c/0" },
		"dropped": func(c *audit.Checkpoint) { c.Heads = c.Heads[:1] },
		"node":    func(c *audit.Checkpoint) { c.Node = "b" },
		"time":    func(c *audit.Checkpoint) { c.At = c.At.Add(time.Microsecond) },
		"none":    func(c *audit.Checkpoint) { c.Signature = nil },
	} {
		bad, err := audit.ReadCheckpoints(strings.NewReader(c.Line()))
		if err != nil {
			t.Fatal(err)
		}
		change(&bad[0])
		if bad[0].SignedBy(public) {
			t.Errorf("%s changed and the signature holds", name)
		}
	}
	for _, bad := range []string{"{}", "[]", "nonsense", `{"at":"2026-09-01T08:00:00Z","extra":1}`, c.Line() + "x"} {
		if _, err := audit.ReadCheckpoints(strings.NewReader(bad)); err == nil {
			t.Errorf("read %q", bad)
		}
	}
}

func FuzzReadCheckpoints(f *testing.F) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.Fatal(err)
	}
	public := key.Public().(ed25519.PublicKey)
	good := audit.Sign(key, "a", at, []audit.Head{{Chain: "a/0", Seq: 5, Hash: []byte("h")}})
	f.Add(good.Line())
	f.Add(good.Line() + "\n\n" + good.Line())
	f.Add(`{"at":"2026-09-01T08:00:00Z","heads":null,"signature":"AA=="}`)
	f.Fuzz(func(t *testing.T, text string) {
		all, err := audit.ReadCheckpoints(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, c := range all {
			// Whatever verifies says exactly what was signed.
			if c.SignedBy(public) && (len(c.Heads) != 1 || c.Heads[0].Seq != 5 || c.Node != "a" || !c.At.Equal(at)) {
				t.Errorf("forged: %s", text)
			}
		}
	})
}
