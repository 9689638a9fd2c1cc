// Package secret holds what must never be printed: values, tokens, and sealing at rest.
//
//	String   a value that prints [redacted] everywhere
//	Token    fresh random bearer values; only Hash(token) is ever stored
//	Keyring  AES-256-GCM with key ids: Seal/Open bind a ciphertext to where it lies
//	Box      sealed, expiring tokens that travel through a browser
package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"log/slog"
	"strings"
	"time"
)

// String is text that never prints itself. The zero value is the empty secret.
type String struct{ v string }

// NewString wraps v.
func NewString(v string) String { return String{v} }

// Reveal gives the text. Its name is there to be found in review.
func (s String) Reveal() string { return s.v }

// Empty reports whether there is no text.
func (s String) Empty() bool { return s.v == "" }

// Equal compares in constant time.
func (s String) Equal(o String) bool {
	return subtle.ConstantTimeCompare([]byte(s.v), []byte(o.v)) == 1
}

// String hides the text from fmt.
func (s String) String() string { return "[redacted]" }

// GoString hides the text from %#v.
func (s String) GoString() string { return "[redacted]" }

// MarshalText hides the text from encoders.
func (s String) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// LogValue hides the text from slog.
func (s String) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// Token returns n random bytes in base64url; n is at least 16 (128 bits).
func Token(n int) String {
	if n < 16 {
		n = 16
	}
	b := make([]byte, n)
	rand.Read(b) // never fails since Go 1.24
	return String{base64.RawURLEncoding.EncodeToString(b)}
}

// Hash is what the store keeps of a token: SHA-256 of its text.
func Hash(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}

var idAlphabet = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID returns a 26-character identifier that sorts by time (48 bits of milliseconds, 80 random
// bits, as UUIDv7). It identifies; it never authorises.
func NewID(now time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16)
	rand.Read(b[6:])
	return strings.ToLower(idAlphabet.EncodeToString(b[:]))
}
