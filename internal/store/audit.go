package store

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/gatehouse-id/gatehouse/internal/audit"
)

// lane is one audit chain of this node and where it ends. Whoever holds the lane writes the chain's next entries.
type lane struct {
	chain  string
	seq    int64
	hash   []byte
	loaded bool
	// saved is the head as it lies in the database: the expected value of the compare-and-swap that moves it.
	savedSeq  int64
	savedHash []byte
	// headFirst moves the head with each transaction's own entries (PostgreSQL); otherwise the writer moves it once for
	// its whole group (SQLite).
	headFirst bool
}

// errHeadMoved says that another process writes a chain of the same name: the transaction is repeated on the head that
// it left. Chains stay whole; two processes with one node name only wait for each other.
var errHeadMoved = errors.New("store: the audit head was moved by another process of the same node name")

func (l *lane) load(t *Tx) error {
	if l.loaded {
		return nil
	}
	l.seq, l.hash = 0, nil
	if _, err := t.one("SELECT seq, hash FROM audit_heads WHERE chain = $1", []any{l.chain}, &l.seq, &l.hash); err != nil {
		return err
	}
	l.savedSeq, l.savedHash, l.loaded = l.seq, l.hash, true
	return nil
}

// moveHead saves the lane's end where the head is still the one that was loaded.
func (l *lane) moveHead(c conn) error {
	if !l.loaded || l.seq == l.savedSeq {
		return nil
	}
	var n int64
	var err error
	if l.savedSeq == 0 {
		n, err = c.exec("INSERT INTO audit_heads (chain, seq, hash) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", []any{l.chain, l.seq, l.hash})
	} else {
		n, err = c.exec("UPDATE audit_heads SET seq = $1, hash = $2 WHERE chain = $3 AND seq = $4 AND hash = $5",
			[]any{l.seq, l.hash, l.chain, l.savedSeq, l.savedHash})
	}
	if err != nil {
		return fmt.Errorf("store: move the audit head: %w", err)
	}
	if n != 1 {
		return errHeadMoved
	}
	l.savedSeq, l.savedHash = l.seq, l.hash
	return nil
}

// Record implements audit.Recorder. The entry is chained when the transaction ends, so that a lane is held for the
// shortest time; if it cannot be written then, the whole transaction fails.
func (t *Tx) Record(ctx context.Context, e audit.Entry) error {
	if t.readOnly {
		return errReadOnly
	}
	e = audit.Clean(e)
	if err := audit.Check(e); err != nil {
		return err
	}
	t.entries = append(t.entries, e)
	return nil
}

// writeAudit chains the entries onto the lane and writes them.
func (t *Tx) writeAudit(l *lane) error {
	if len(t.entries) == 0 {
		return nil
	}
	if err := l.load(t); err != nil {
		return err
	}
	rows := make([]audit.Row, len(t.entries))
	for i, e := range t.entries {
		r := audit.Row{Chain: l.chain, Seq: l.seq + 1, Prev: l.hash, Entry: e}
		if err := t.sealPersonal(&r); err != nil {
			return err
		}
		r.Hash = audit.Hash(r)
		l.seq, l.hash = r.Seq, r.Hash
		rows[i] = r
	}
	if l.headFirst {
		if err := l.moveHead(t.c); err != nil {
			return err
		}
	}
	for _, r := range rows {
		if err := t.insertAudit(r); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tx) insertAudit(r audit.Row) error {
	detail := "{}"
	if len(r.Detail) > 0 {
		var err error
		if detail, err = toJSON(r.Detail); err != nil {
			return err
		}
	}
	_, err := t.exec(`INSERT INTO audit (chain, seq, prev, hash, commitment, sealed, at, act, outcome, actor, subject, object, door, reason, detail)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		r.Chain, r.Seq, r.Prev, r.Hash, r.Commitment, r.Sealed, r.At, r.Act, string(r.Outcome), r.Actor, r.Subject, r.Object,
		r.Door, r.Reason, detail)
	return err
}

// Sealed personal data begins with a byte that says under which key it lies.
const (
	sealedByPerson byte = 1 // nonce ‖ AES-256-GCM under the person's own key; the commitment is associated data
	sealedByHouse  byte = 2 // Keyring: entries about nobody in particular
)

// personalBox is a person's opened audit key.
type personalBox struct{ aead cipher.AEAD }

func newPersonalBox(key []byte) (*personalBox, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &personalBox{aead}, err
}

func auditKeyPlace(person string) string { return "people/audit_key/" + person }

func housePlace(commitment []byte) string {
	return "audit/personal/" + hex.EncodeToString(commitment)
}

// sealPersonal fills Commitment and Sealed from Personal.
func (t *Tx) sealPersonal(r *audit.Row) error {
	if len(r.Personal) == 0 {
		return nil
	}
	text, err := audit.PersonalText(r.Personal)
	if err != nil {
		return err
	}
	// One buffer: kind ‖ nonce ‖ (sealed) salt ‖ text.
	plain := make([]byte, audit.SaltBytes, audit.SaltBytes+len(text))
	rand.Read(plain)
	r.Commitment = audit.Commit(plain, text)
	plain = append(plain, text...)
	box, err := t.auditBox(r.Subject, true)
	if err != nil {
		return err
	}
	if box == nil {
		r.Sealed = append([]byte{sealedByHouse}, t.db.cfg.Keyring.Seal(housePlace(r.Commitment), plain)...)
		return nil
	}
	n := box.aead.NonceSize()
	out := make([]byte, 1+n, 1+n+len(plain)+box.aead.Overhead())
	out[0] = sealedByPerson
	rand.Read(out[1:])
	r.Sealed = box.aead.Seal(out, out[1:], plain, r.Commitment)
	return nil
}

// auditBox opens a person's audit key, nil where there is no such person or the key was erased. cached may be asked
// for writing; reading always asks the row, so that erasure on one node holds on all at once.
func (t *Tx) auditBox(person string, cached bool) (*personalBox, error) {
	if person == "" {
		return nil, nil
	}
	if cached {
		if box := t.db.keys.get(person); box != nil {
			return box, nil
		}
	}
	var sealed []byte
	found, err := t.one("SELECT audit_key FROM people WHERE id = $1", []any{person}, &sealed)
	if err != nil || !found || len(sealed) == 0 {
		return nil, err
	}
	key, err := t.db.cfg.Keyring.Open(auditKeyPlace(person), sealed)
	if err != nil {
		return nil, fmt.Errorf("store: audit key of %s: %w", person, err)
	}
	box, err := newPersonalBox(key)
	if err != nil {
		return nil, err
	}
	t.after = append(t.after, func() { t.db.keys.put(person, box) })
	return box, nil
}

// openPersonal gives salt and text of a row; ok is false where the key was erased.
func (t *Tx) openPersonal(r audit.Row, box *personalBox) (salt, text []byte, ok bool, err error) {
	var plain []byte
	switch {
	case len(r.Sealed) == 0:
		return nil, nil, false, nil
	case r.Sealed[0] == sealedByHouse:
		plain, err = t.db.cfg.Keyring.Open(housePlace(r.Commitment), r.Sealed[1:])
	case r.Sealed[0] == sealedByPerson && box == nil:
		return nil, nil, false, nil
	case r.Sealed[0] == sealedByPerson && len(r.Sealed) > 1+box.aead.NonceSize():
		n := 1 + box.aead.NonceSize()
		plain, err = box.aead.Open(nil, r.Sealed[1:n], r.Sealed[n:], r.Commitment)
	default:
		err = errors.New("store: unknown seal")
	}
	if err != nil {
		return nil, nil, false, err
	}
	if len(plain) < audit.SaltBytes {
		return nil, nil, false, errors.New("store: sealed data without its salt")
	}
	return plain[:audit.SaltBytes], plain[audit.SaltBytes:], true, nil
}
