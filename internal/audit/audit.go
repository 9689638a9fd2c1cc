// Package audit is the trail: every act and every refusal, chained so that no row can be changed,
// removed or reordered unseen.
//
//	flow ─► Recorder.Record(Entry) ─┐ same transaction as the act
//	                                ▼
//	store: seq, prev ─► Hash(prev, entry, commitment) ─► row; head updated last
//	                    commitment = SHA-256(personal data with salt); the data itself lies beside the row,
//	                    encrypted under the person's own key: erase the key and the chain still verifies
//	Checkpoint: heads of all chains, signed, kept outside the database too (finds a cut tail)
//
// There is one chain per node (lane), so that nodes do not wait for one another.
package audit

import (
	"context"
	"time"
)

// Outcome of an act. The zero value is not valid.
type Outcome string

// The outcomes.
const (
	Done    Outcome = "done"
	Refused Outcome = "refused" // policy, permission or throttle said no
	Failed  Outcome = "failed"  // a wrong proof
)

// Entry is one line of the trail.
type Entry struct {
	At      time.Time
	Act     string // "signin.finished", "method.added"; see docs/audit.md
	Outcome Outcome
	// Actor is a people.ID, or "system", "stranger", "cli:NAME", "token:NAME".
	Actor string
	// Subject is the people.ID acted upon; Personal is encrypted under this person's key. May be "".
	Subject string
	// Object names what else was touched: a credential, application, session id. Not personal.
	Object string
	Door   string
	Reason string // stable code: rule name or fault code
	// Detail is not personal and is chained in clear.
	Detail map[string]string
	// Personal (addresses, user agents, names) is erasable.
	Personal map[string]string
}

// Recorder is the port: the entry is written in the transaction of the act, or the act fails.
type Recorder interface {
	Record(ctx context.Context, e Entry) error
}

// Row is an entry as it lies in the store.
type Row struct {
	Chain      string // node lane
	Seq        int64  // from 1, without gaps
	Prev, Hash []byte
	Commitment []byte // of Personal; nil where there is none
	Sealed     []byte // Personal, encrypted; nil after erasure
	Entry
}

// Reader is the port for those who read the trail.
type Reader interface {
	// AuditBySubject gives the newest entries about a person, newest first, with acts filtered by prefix where
	// given. Personal is opened where the key still exists.
	AuditBySubject(ctx context.Context, person string, actPrefix string, limit int) ([]Row, error)
	// AuditRows walks one chain in order, from seq on.
	AuditRows(ctx context.Context, chain string, from int64, limit int) ([]Row, error)
	// AuditHeads gives each chain's last seq and hash.
	AuditHeads(ctx context.Context) ([]Head, error)
}

// Head is the end of a chain.
type Head struct {
	Chain string `json:"chain"`
	Seq   int64  `json:"seq"`
	Hash  []byte `json:"hash"`
}

// Report is the outcome of verifying the whole trail.
type Report struct {
	Chains      int   `json:"chains"`
	Entries     int64 `json:"entries"`
	Checkpoints int   `json:"checkpoints"`
	// Erased entries have had their personal data erased with their person.
	Erased int64 `json:"erased"`
	// Problems holds the first of each chain, by chain; empty: the trail is whole.
	Problems []Problem `json:"problems,omitempty"`
}

// OK reports that nothing is wrong.
func (r Report) OK() bool { return len(r.Problems) == 0 }
