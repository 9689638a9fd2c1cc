package store

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// settingCheckpointKey holds the sealed seed of the Ed25519 key that signs checkpoints.
const settingCheckpointKey = "audit.checkpoint_key"

type checkpointKey struct {
	Public  ed25519.PublicKey
	private ed25519.PrivateKey
}

// checkpointKey gives the house's key, nil where no checkpoint was ever made.
func (db *DB) checkpointKey(ctx context.Context) (key *checkpointKey, err error) {
	err = db.View(ctx, func(tx *Tx) error { key, err = tx.checkpointKey(ctx); return err })
	return key, err
}

func (t *Tx) checkpointKey(ctx context.Context) (*checkpointKey, error) {
	sealed, err := t.Setting(ctx, settingCheckpointKey)
	if fault.IsKind(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	seed, err := t.db.cfg.Keyring.Open("settings/"+settingCheckpointKey, sealed)
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("store: the checkpoint key does not open: %w", secret.ErrSealed)
	}
	private := ed25519.NewKeyFromSeed(seed)
	return &checkpointKey{private.Public().(ed25519.PublicKey), private}, nil
}

// Checkpoint signs the heads of all chains and keeps the checkpoint in the database too. Its Line belongs into a file outside the database, appended and synced: only there it can testify
// against the database. The key is made at the first checkpoint.
func (db *DB) Checkpoint(ctx context.Context) (audit.Checkpoint, error) {
	var c audit.Checkpoint
	err := db.InTx(ctx, func(tx *Tx) error {
		key, err := tx.checkpointKey(ctx)
		if err == nil && key == nil {
			key, err = tx.newCheckpointKey(ctx)
		}
		if err != nil {
			return err
		}
		// These are the durable heads: the writer moves SQLite's only at the end of its group, and PostgreSQL shows
		// other transactions' heads after their commit.
		heads, err := tx.AuditHeads(ctx)
		if err != nil {
			return err
		}
		c = audit.Sign(key.private, db.cfg.Node, db.cfg.Now(), heads)
		_, err = tx.exec("INSERT INTO audit_checkpoints (id, at, line) VALUES ($1, $2, $3)", secret.NewID(c.At), c.At, c.Line())
		return err
	})
	return c, err
}

func (t *Tx) newCheckpointKey(ctx context.Context) (*checkpointKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed)
	if _, err := t.AddSetting(ctx, settingCheckpointKey, t.db.cfg.Keyring.Seal("settings/"+settingCheckpointKey, seed)); err != nil {
		return nil, err
	}
	return t.checkpointKey(ctx) // whoever was first
}

// Checkpoints gives those kept in the database, oldest first, at most the newest 1000.
func (db *DB) Checkpoints(ctx context.Context) (lines []string, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		return tx.each("SELECT line FROM (SELECT line, at, id FROM audit_checkpoints ORDER BY at DESC, id DESC LIMIT 1000) AS newest ORDER BY at, id",
			nil, func(scan func(...any) error) error {
				var line string
				err := scan(&line)
				lines = append(lines, line)
				return err
			})
	})
	return lines, err
}
