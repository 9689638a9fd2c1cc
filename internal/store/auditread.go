package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/gatehouse-id/gatehouse/internal/audit"
)

const auditColumns = "chain, seq, prev, hash, commitment, sealed, at, act, outcome, actor, subject, object, door, reason, detail"

func auditFields(r *audit.Row) []any {
	return []any{&r.Chain, &r.Seq, &r.Prev, &r.Hash, &r.Commitment, &r.Sealed, timeTo{&r.At}, &r.Act, (*string)(&r.Outcome),
		&r.Actor, &r.Subject, &r.Object, &r.Door, &r.Reason, jsonTo{&r.Detail}}
}

// AuditBySubject implements audit.Reader.
func (t *Tx) AuditBySubject(ctx context.Context, person string, actPrefix string, limit int) ([]audit.Row, error) {
	if person == "" {
		return nil, nil
	}
	rows, err := t.auditRows(`WHERE subject = $1 AND subject <> '' AND SUBSTR(act, 1, $2) = $3 ORDER BY at DESC, chain, seq DESC LIMIT $4`,
		person, len(actPrefix), actPrefix, page(limit))
	if err != nil || len(rows) == 0 {
		return rows, err
	}
	box, err := t.auditBox(person, false)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		// A row that was tampered with is shown without what it hid; VerifyAudit names it.
		if _, text, ok, err := t.openPersonal(rows[i], box); err == nil && ok {
			if err := json.Unmarshal(text, &rows[i].Personal); err != nil {
				return nil, fmt.Errorf("store: personal data of %s:%d: %w", rows[i].Chain, rows[i].Seq, err)
			}
		}
	}
	return rows, nil
}

// AuditRows implements audit.Reader; Personal stays sealed. limit is 1 to 1000.
func (t *Tx) AuditRows(ctx context.Context, chain string, from int64, limit int) ([]audit.Row, error) {
	return t.auditRows("WHERE chain = $1 AND seq >= $2 ORDER BY seq LIMIT $3", chain, from, page(limit))
}

func (t *Tx) auditRows(where string, args ...any) (list []audit.Row, err error) {
	err = t.each("SELECT "+auditColumns+" FROM audit "+where, args, func(scan func(...any) error) error {
		var r audit.Row
		err := scan(auditFields(&r)...)
		list = append(list, r)
		return err
	})
	return list, err
}

// AuditHeads implements audit.Reader, by chain.
func (t *Tx) AuditHeads(ctx context.Context) (heads []audit.Head, err error) {
	err = t.each("SELECT chain, seq, hash FROM audit_heads ORDER BY chain", nil, func(scan func(...any) error) error {
		var h audit.Head
		err := scan(&h.Chain, &h.Seq, &h.Hash)
		heads = append(heads, h)
		return err
	})
	return heads, err
}

// auditChains names every chain that has a head or a row, without reading all rows.
func (t *Tx) auditChains() (chains []string, err error) {
	for after := ""; ; {
		var next string
		_, err := t.one(`SELECT MIN(chain) FROM (SELECT MIN(chain) AS chain FROM audit WHERE chain > $1
			UNION ALL SELECT MIN(chain) AS chain FROM audit_heads WHERE chain > $1) AS c`, []any{after}, textTo{&next})
		if err != nil || next == "" {
			return chains, err
		}
		chains = append(chains, next)
		after = next
	}
}

// verifyPage is how many entries one view reads: long views would keep SQLite's log from being cleared.
const verifyPage = 1000

// VerifyAudit walks every chain and names the first bad entry of each: an edit, a removed, moved or inserted entry,
// personal data that does not match its commitment, a head that does not end its chain. Against checkpoints that were
// kept outside the database it also finds a cut tail, a removed chain and an older copy in the database's place.
// Entries written meanwhile do no harm. An error is a broken machine, not a broken trail.
func (db *DB) VerifyAudit(ctx context.Context, checkpoints []audit.Checkpoint) (audit.Report, error) {
	report := audit.Report{Checkpoints: len(checkpoints)}
	marks, problems, err := db.marks(ctx, checkpoints)
	if err != nil {
		return report, err
	}
	var chains []string
	if err := db.View(ctx, func(tx *Tx) error { chains, err = tx.auditChains(); return err }); err != nil {
		return report, err
	}
	report.Chains = len(chains)
	for _, chain := range chains {
		p, err := db.verifyChain(ctx, chain, marks[chain], &report)
		if err != nil {
			return report, err
		}
		if p != nil {
			report.Problems = append(report.Problems, *p)
		}
		delete(marks, chain)
	}
	for chain, heads := range marks {
		for _, h := range heads {
			if h.Seq > 0 {
				problems = append(problems, audit.Problem{Chain: chain, Seq: 1, Why: "the whole chain is missing: a checkpoint knows it"})
				break
			}
		}
	}
	report.Problems = append(report.Problems, problems...)
	return report, nil
}

// marks gives the heads that good checkpoints speak of, by chain, and a problem for each bad checkpoint.
func (db *DB) marks(ctx context.Context, checkpoints []audit.Checkpoint) (map[string][]audit.Head, []audit.Problem, error) {
	marks := map[string][]audit.Head{}
	var problems []audit.Problem
	if len(checkpoints) == 0 {
		return marks, nil, nil
	}
	key, err := db.checkpointKey(ctx)
	if err != nil {
		return nil, nil, err
	}
	for i, c := range checkpoints {
		if key == nil || !c.SignedBy(key.Public) {
			problems = append(problems, audit.Problem{Chain: "checkpoint", Seq: int64(i + 1), Why: "checkpoint was not signed by this house's key"})
			continue
		}
		for _, h := range c.Heads {
			marks[h.Chain] = append(marks[h.Chain], h)
		}
	}
	return marks, problems, nil
}

// chainWalk is how far the verification of one chain has come.
type chainWalk struct {
	at    audit.Head
	marks map[int64][]byte
	most  int64 // the furthest mark
	boxes map[string]*personalBox
	gone  map[string]bool // subjects without a key: whether the trail says that they were erased
}

func (db *DB) verifyChain(ctx context.Context, chain string, heads []audit.Head, report *audit.Report) (*audit.Problem, error) {
	w := chainWalk{at: audit.Head{Chain: chain}, marks: map[int64][]byte{}, boxes: map[string]*personalBox{}, gone: map[string]bool{}}
	for _, h := range heads {
		if have, ok := w.marks[h.Seq]; ok && !bytes.Equal(have, h.Hash) {
			return &audit.Problem{Chain: chain, Seq: h.Seq, Why: "two checkpoints disagree about this entry"}, nil
		}
		w.marks[h.Seq] = h.Hash
		w.most = max(w.most, h.Seq)
	}
	for {
		var problem *audit.Problem
		end := false
		err := db.View(ctx, func(tx *Tx) (err error) {
			rows, err := tx.AuditRows(ctx, chain, w.at.Seq+1, verifyPage)
			if err != nil {
				return err
			}
			if problem, err = w.page(tx, rows, report); err != nil || problem != nil || len(rows) == verifyPage {
				return err
			}
			end = true
			problem, err = w.end(tx)
			return err
		})
		if err != nil || problem != nil || end {
			return problem, err
		}
	}
}

// page follows one page of rows.
func (w *chainWalk) page(tx *Tx, rows []audit.Row, report *audit.Report) (*audit.Problem, error) {
	for _, r := range rows {
		next, problem := audit.Verify(w.at, r)
		if problem != nil {
			return problem, nil
		}
		if mark, ok := w.marks[r.Seq]; ok && !bytes.Equal(mark, r.Hash) {
			return &audit.Problem{Chain: r.Chain, Seq: r.Seq, Why: "differs from a signed checkpoint: this chain was written anew, or comes from another copy"}, nil
		}
		problem, err := w.personal(tx, r, report)
		if err != nil || problem != nil {
			return problem, err
		}
		w.at = next
		report.Entries++
	}
	return nil, nil
}

// personal checks that what lies beside an entry is what it commits to.
func (w *chainWalk) personal(tx *Tx, r audit.Row, report *audit.Report) (*audit.Problem, error) {
	if len(r.Commitment) == 0 {
		if len(r.Sealed) > 0 {
			return &audit.Problem{Chain: r.Chain, Seq: r.Seq, Why: "personal data was added to an entry that has none"}, nil
		}
		return nil, nil
	}
	box, ok := w.boxes[r.Subject]
	if !ok {
		var err error
		if box, err = tx.auditBox(r.Subject, false); err != nil {
			return &audit.Problem{Chain: r.Chain, Seq: r.Seq, Why: "the person's audit key does not open: it was changed"}, nil
		}
		if len(w.boxes) > keyCacheSize {
			clear(w.boxes)
		}
		w.boxes[r.Subject] = box
	}
	if len(r.Sealed) == 0 {
		return &audit.Problem{Chain: r.Chain, Seq: r.Seq, Why: "personal data was removed from this entry"}, nil
	}
	salt, text, opened, err := tx.openPersonal(r, box)
	if err != nil {
		return &audit.Problem{Chain: r.Chain, Seq: r.Seq, Why: "personal data was changed: it does not open"}, nil
	}
	if !opened {
		return w.erased(tx, r, report)
	}
	return audit.Opened(r, salt, text), nil
}

// erased accepts that a person's key is gone only where the trail says that the person was erased.
func (w *chainWalk) erased(tx *Tx, r audit.Row, report *audit.Report) (*audit.Problem, error) {
	was, asked := w.gone[r.Subject]
	if !asked {
		var one int64
		var err error
		was, err = tx.one("SELECT 1 FROM audit WHERE subject = $1 AND subject <> '' AND act = $2 LIMIT 1", []any{r.Subject, actErased}, &one)
		if err != nil {
			return nil, err
		}
		w.gone[r.Subject] = was
	}
	if !was {
		return &audit.Problem{Chain: r.Chain, Seq: r.Seq, Why: "the person's audit key is gone, and no entry says that the person was erased"}, nil
	}
	report.Erased++
	return nil, nil
}

// end compares where the chain ends with its head and with the furthest checkpoint, in the same view.
func (w *chainWalk) end(tx *Tx) (*audit.Problem, error) {
	var head audit.Head
	found, err := tx.one("SELECT seq, hash FROM audit_heads WHERE chain = $1", []any{w.at.Chain}, &head.Seq, &head.Hash)
	if err != nil {
		return nil, err
	}
	bad := func(seq int64, why string) (*audit.Problem, error) {
		return &audit.Problem{Chain: w.at.Chain, Seq: seq, Why: why}, nil
	}
	switch {
	case w.most > w.at.Seq:
		return bad(w.at.Seq+1, fmt.Sprintf("the chain ends before this entry; a signed checkpoint knows %d entries: it was cut, or this is an older copy", w.most))
	case !found:
		return bad(w.at.Seq+1, "the chain's head is missing")
	case head.Seq > w.at.Seq:
		return bad(w.at.Seq+1, fmt.Sprintf("the chain ends before this entry; its head says %d entries: it was cut", head.Seq))
	case head.Seq < w.at.Seq:
		return bad(head.Seq+1, "entry stands behind the chain's head")
	case !bytes.Equal(head.Hash, w.at.Hash):
		return bad(head.Seq, "entry is not the one that the chain's head names")
	}
	return nil, nil
}
