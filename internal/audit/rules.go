package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"slices"
	"strings"
	"time"
)

// SaltBytes is the length of the random salt before Personal in its commitment; it keeps an erased address from being
// found again by guessing.
const SaltBytes = 16

// Clean gives the entry as it can be kept, byte for byte the same on every engine: UTF-8 without NUL, microseconds, UTC.
// It is what is chained. A stranger's bytes (a user agent) never keep an entry from being written.
func Clean(e Entry) Entry {
	e.At = e.At.UTC().Truncate(time.Microsecond)
	for _, s := range []*string{&e.Act, &e.Actor, &e.Subject, &e.Object, &e.Door, &e.Reason, (*string)(&e.Outcome)} {
		*s = cleanText(*s)
	}
	e.Detail = cleanMap(e.Detail)
	e.Personal = cleanMap(e.Personal)
	return e
}

func cleanText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

func cleanMap(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[cleanText(k)] = cleanText(v)
	}
	return out
}

// Check refuses an entry that says too little to be a trail.
func Check(e Entry) error {
	switch {
	case e.Act == "" || e.Actor == "":
		return fmt.Errorf("audit: an entry needs an act and an actor (%q by %q)", e.Act, e.Actor)
	case e.Outcome != Done && e.Outcome != Refused && e.Outcome != Failed:
		return fmt.Errorf("audit: %s has no valid outcome (%q)", e.Act, e.Outcome)
	case e.At.IsZero():
		return fmt.Errorf("audit: %s has no time", e.Act)
	}
	return nil
}

// PersonalText is the canonical JSON of Personal: one object, keys sorted, no HTML escapes.
func PersonalText(personal map[string]string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(personal); err != nil { // encoding/json sorts the keys of a map
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Commit is the commitment to a canonical personal text: SHA-256(salt ‖ text). The salt has a fixed length, so that
// no two pairs read alike.
func Commit(salt, text []byte) []byte {
	h := sha256.New()
	h.Write(salt)
	h.Write(text)
	return h.Sum(nil)
}

// Hash is an entry's place in its chain: SHA-256 over a tagged list of length-prefixed fields, so that no two
// different rows have the same encoding. It covers all but Sealed, for which the commitment stands.
func Hash(r Row) []byte {
	w := fields{h: sha256.New()}
	w.text("gatehouse audit entry v1")
	w.text(r.Chain)
	w.number(r.Seq)
	w.bytes(r.Prev)
	w.number(r.At.UnixMicro())
	for _, s := range []string{r.Act, string(r.Outcome), r.Actor, r.Subject, r.Object, r.Door, r.Reason} {
		w.text(s)
	}
	keys := make([]string, 0, len(r.Detail))
	for k := range r.Detail {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	w.number(int64(len(keys)))
	for _, k := range keys {
		w.text(k)
		w.text(r.Detail[k])
	}
	w.bytes(r.Commitment)
	return w.h.Sum(nil)
}

// fields writes values so that their borders are part of what is hashed.
type fields struct {
	h   hash.Hash
	buf []byte
}

func (w *fields) number(n int64) {
	w.buf = binary.BigEndian.AppendUint64(w.buf[:0], uint64(n))
	w.h.Write(w.buf)
}

func (w *fields) bytes(b []byte) {
	w.number(int64(len(b)))
	w.h.Write(b)
}

func (w *fields) text(s string) {
	w.number(int64(len(s)))
	w.buf = append(w.buf[:0], s...)
	w.h.Write(w.buf)
}

// Problem is the first thing wrong with a chain.
type Problem struct {
	Chain string `json:"chain"`
	// Seq is the first bad entry, or the one that should be there.
	Seq int64  `json:"seq"`
	Why string `json:"why"`
}

func (p Problem) String() string { return fmt.Sprintf("%s:%d: %s", p.Chain, p.Seq, p.Why) }

// Verify follows a chain from `from` (its zero value with the chain's name: the beginning) over the rows as they lie
// in the store, in order. It gives the head reached and the first problem, nil when there is none. Personal is not
// looked at: see Opened.
func Verify(from Head, rows ...Row) (Head, *Problem) {
	at := from
	for _, r := range rows {
		bad := func(why string, args ...any) (Head, *Problem) {
			return at, &Problem{at.Chain, at.Seq + 1, fmt.Sprintf(why, args...)}
		}
		switch {
		case r.Chain != at.Chain:
			return bad("an entry of chain %s stands here", r.Chain)
		case r.Seq > at.Seq+1:
			return bad("entry is missing (the next one is %d)", r.Seq)
		case r.Seq < at.Seq+1:
			return bad("entry %d stands here: out of order or twice", r.Seq)
		case !bytes.Equal(r.Prev, at.Hash):
			return bad("does not follow the entry before it: one of the two was changed, or entries were moved")
		case !bytes.Equal(r.Hash, Hash(r)):
			return bad("entry was changed: its hash does not match what it says")
		}
		at = Head{Chain: at.Chain, Seq: r.Seq, Hash: r.Hash}
	}
	return at, nil
}

// Opened checks an opened personal text against the row's commitment.
func Opened(r Row, salt, text []byte) *Problem {
	if bytes.Equal(Commit(salt, text), r.Commitment) {
		return nil
	}
	return &Problem{r.Chain, r.Seq, "personal data was changed: it does not match the entry's commitment"}
}
