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
	keepChallenges  = 30 * 24 * time.Hour  // for the desk
	keepIncidents   = 400 * 24 * time.Hour // once they are closed
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
	{"pairings", "id", "expires", "", 0},
	{"blocks", "person", "expires", "", 0},
	{"incidents", "id", "opened", " AND closed > 0", keepIncidents},
}

// Sweep removes what expired before now, in bounded batches, and gives the number of rows.
func (db *DB) Sweep(ctx context.Context, now time.Time) (int, error) {
	total, err := db.sweepChallenges(ctx, now.Add(-keepChallenges))
	if err != nil {
		return total, err
	}
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

// sweepChallenges removes the challenges that were made before then, each with its deliveries.
func (db *DB) sweepChallenges(ctx context.Context, before time.Time) (total int, err error) {
	for {
		var old []string
		err := db.InTx(ctx, func(tx *Tx) error {
			old = old[:0]
			err := tx.each(`DELETE FROM challenges WHERE created < $1 AND id IN (SELECT id FROM challenges WHERE created < $1 LIMIT $2)
				RETURNING id`, []any{before, sweepBatch}, func(scan func(...any) error) error {
				var id string
				err := scan(&id)
				old = append(old, id)
				return err
			})
			if err != nil {
				return err
			}
			for _, id := range old {
				if _, err := tx.exec("DELETE FROM deliveries WHERE challenge = $1", id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(old) == 0 {
			return total, err
		}
		total += len(old)
	}
}
