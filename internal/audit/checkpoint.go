package audit

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Checkpoint is the heads of all chains at one time, signed. Kept outside the database it finds what the chains alone
// cannot: a cut tail, a chain removed or written anew, an older copy put in the place of the database.
type Checkpoint struct {
	At    time.Time `json:"at"`
	Node  string    `json:"node"`
	Heads []Head    `json:"heads"` // sorted by chain
	// Key is the Ed25519 public key (RFC 8032), Signature over everything above.
	Key       []byte `json:"key"`
	Signature []byte `json:"signature"`
}

// signed is what the signature covers, in the unambiguous encoding of Hash.
func (c Checkpoint) signed() []byte {
	w := fields{h: &plain{}}
	w.text("gatehouse audit checkpoint v1")
	w.number(c.At.UnixMicro())
	w.text(c.Node)
	w.number(int64(len(c.Heads)))
	for _, h := range c.Heads {
		w.text(h.Chain)
		w.number(h.Seq)
		w.bytes(h.Hash)
	}
	return w.h.(*plain).Bytes()
}

// plain gathers the encoding itself: Ed25519 hashes for itself.
type plain struct{ bytes.Buffer }

func (p *plain) Sum(b []byte) []byte { return append(b, p.Bytes()...) }
func (p *plain) Size() int           { return p.Len() }
func (p *plain) BlockSize() int      { return 1 }

// Sign makes a checkpoint of heads.
func Sign(key ed25519.PrivateKey, node string, at time.Time, heads []Head) Checkpoint {
	c := Checkpoint{At: at.UTC().Truncate(time.Microsecond), Node: node, Heads: heads, Key: key.Public().(ed25519.PublicKey)}
	c.Signature = ed25519.Sign(key, c.signed())
	return c
}

// SignedBy reports whether key signed the checkpoint as it is.
func (c Checkpoint) SignedBy(key ed25519.PublicKey) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, c.signed(), c.Signature)
}

// Line is the checkpoint as one line of JSON, without its end.
func (c Checkpoint) Line() string {
	b, err := json.Marshal(c)
	if err != nil {
		// Times beyond the year 9999 alone do not encode; they are not the present.
		return fmt.Sprintf(`{"error":%q}`, err)
	}
	return string(b)
}

// maxCheckpointLine bounds a line read: 4,096 chains of 250 bytes.
const maxCheckpointLine = 1 << 20

// ReadCheckpoints reads lines as Line wrote them; empty lines are skipped. An error names the line.
func ReadCheckpoints(r io.Reader) ([]Checkpoint, error) {
	var all []Checkpoint
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxCheckpointLine)
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var c Checkpoint
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.DisallowUnknownFields()
		if err := d.Decode(&c); err != nil {
			return nil, fmt.Errorf("audit: checkpoint on line %d: %w", n, err)
		}
		if _, err := d.Token(); err != io.EOF {
			return nil, fmt.Errorf("audit: line %d goes on after its checkpoint", n)
		}
		if c.At.IsZero() || len(c.Signature) == 0 {
			return nil, fmt.Errorf("audit: line %d is not a checkpoint", n)
		}
		all = append(all, c)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("audit: checkpoints: %w", err)
	}
	return all, nil
}
