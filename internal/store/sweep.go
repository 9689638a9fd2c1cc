package store

import (
	"context"
	"time"
)

// How long things are kept after they lost their use. Whoever looks at one of them judges its expiry by itself; sweeping
// only frees space.
const (
	keepProofs      = time.Hour
	keepGrants      = 24 * time.Hour       // so that a late replay of a code or refresh token is still recognised
	keepCounters    = 400 * 24 * time.Hour // a count of wrong guesses in a row outlasts a patient guesser's year
	keepMessages    = 30 * 24 * time.Hour
	keepCheckpoints = 400 * 24 * time.Hour
)

// sweepBatch bounds the rows that one transaction removes, so that nobody waits long behind it.
const sweepBatch = 500

// sweeps are what is removed: rows of table whose column lies before now minus keep. A column that is 0 says never.
var sweeps = []struct {
	table, key, column, more string
	keep                     time.Duration
}{
	{"spent", "hash", "expires", "", 0},
	{"attempts", "id", "expires", "", 0},
	{"proofs", "session", "at", "", keepProofs},
	{"sessions", "id", "expires", "", 0},
	{"remembered_browsers", "family", "expires", "", 0},
	{"access_tokens", "hash", "expires", "", 0},
	{"revoked_tokens", "id", "expires", "", 0},
	{"invitations", "id", "expires", "", 0},
	{"grants", "id", "expires", "", keepGrants},
	{"counters", "key", "tat", "", keepCounters},
	{"messages", "id", "created", " AND (sent_at > 0 OR given_up)", keepMessages},
	{"audit_checkpoints", "id", "at", "", keepCheckpoints},
}

// Sweep removes what expired before now, in bounded batches, and gives the number of rows.
func (db *DB) Sweep(ctx context.Context, now time.Time) (int, error) {
	total := 0
	for _, s := range sweeps {
		q := "DELETE FROM " + s.table + " WHERE " + s.column + " < $1 AND " + s.column + " > 0" + s.more + " AND " + s.key + " IN (SELECT " + s.key +
			" FROM " + s.table + " WHERE " + s.column + " < $1 AND " + s.column + " > 0" + s.more + " LIMIT $2)"
		for {
			var n int64
			err := db.InTx(ctx, func(tx *Tx) (err error) {
				n, err = tx.exec(q, now.Add(-s.keep), sweepBatch)
				return err
			})
			if err != nil {
				return total, err
			}
			total += int(n)
			if n == 0 {
				break
			}
		}
	}
	return total, nil
}
