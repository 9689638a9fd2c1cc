// Package oath proves possession of a shared secret by one-time passcodes (RFC 6238 TOTP over RFC 4226 HOTP).
//
//	Offer ─► new secret, otpauth URI, QR code ─► authenticator app ─► Enrol (one right code)
//	Verify: steps [now+drift-1, now+drift+1], newer than the last one used ─► Verdict{Updated: last step, drift}
//
// A step is used once and time never runs backwards: the last used step is in Credential.State, which the flow saves
// by compare-and-swap, so that of fifty equal answers in parallel one succeeds (attacks G29, G30). A passcode of
// another step tells nothing: wrong, old, future and replayed codes look the same outside; the reason is for the log.
package oath

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// Limit is how many authenticator apps one person may have.
const Limit = 5

// MaxDrift bounds what is learned of a device's clock, in steps either way: five minutes at 30 s.
const MaxDrift = 10

// ResyncSteps is how far either way two consecutive codes are searched for: 25 minutes at 30 s.
const ResyncSteps = 50

// Algorithm is the HMAC's hash, spelled as in otpauth URIs.
type Algorithm string

// The algorithms of RFC 6238 section 1.2.
const (
	SHA1   Algorithm = "SHA1"
	SHA256 Algorithm = "SHA256"
	SHA512 Algorithm = "SHA512"
)

func (a Algorithm) new() func() hash.Hash {
	switch a {
	case SHA1:
		return sha1.New
	case SHA256:
		return sha256.New
	case SHA512:
		return sha512.New
	}
	return nil
}

// Settings are fixed for the life of a Method. Those but Issuer are for new secrets; registered ones keep theirs.
type Settings struct {
	// Issuer is the institution's name as authenticator apps show it.
	Issuer string
	// Algorithm defaults to SHA1: some widespread apps ignore any other and show wrong codes.
	Algorithm Algorithm
	// Digits are 6 (default) or 8.
	Digits int
	// Period is 30 s (default) or 60 s.
	Period time.Duration
	// Behind and Ahead are how many steps a code may be older or newer than now. Default 1 and 1; -1 means none.
	Behind, Ahead int
}

// Method is the passcode method.
type Method struct{ set Settings }

var _ method.Method = (*Method)(nil)

// New checks the settings and fills in defaults.
func New(s Settings) (*Method, error) {
	if s.Issuer == "" {
		return nil, errors.New("oath: no issuer")
	}
	if s.Algorithm == "" {
		s.Algorithm = SHA1
	}
	if s.Digits == 0 {
		s.Digits = 6
	}
	if s.Period == 0 {
		s.Period = 30 * time.Second
	}
	s.Behind, s.Ahead = steps(s.Behind), steps(s.Ahead)
	if s.Algorithm.new() == nil || s.Digits != 6 && s.Digits != 8 || s.Period != 30*time.Second && s.Period != time.Minute {
		return nil, fmt.Errorf("oath: %s with %d digits each %s is not supported", s.Algorithm, s.Digits, s.Period)
	}
	if s.Behind > 4 || s.Ahead > 4 {
		return nil, errors.New("oath: a window of more than four steps either way gives guesses away")
	}
	return &Method{set: s}, nil
}

func steps(n int) int {
	switch {
	case n == 0:
		return 1
	case n < 0:
		return 0
	}
	return n
}

// Traits says what a passcode is.
func (m *Method) Traits() method.Traits {
	return method.Traits{
		Kind: method.TOTP, Factors: method.Possession, Guessable: true, Limit: Limit, Strength: 50, Removable: true,
	}
}

// Code is the passcode of the step that t lies in (RFC 6238 section 4.2). It returns "" for an algorithm, number of
// digits (6 to 8) or period it does not know.
func Code(secret []byte, alg Algorithm, digits int, period time.Duration, t time.Time) string {
	if alg.new() == nil || digits < 6 || digits > 8 || period < time.Second {
		return ""
	}
	return code(secret, alg, digits, step(t, period))
}

func step(t time.Time, period time.Duration) int64 { return t.Unix() / int64(period/time.Second) }

// code is RFC 4226 section 5.3.
func code(secret []byte, alg Algorithm, digits int, counter int64) string {
	h := hmac.New(alg.new(), secret)
	var c [8]byte
	binary.BigEndian.PutUint64(c[:], uint64(counter))
	h.Write(c[:])
	sum := h.Sum(nil)
	at := sum[len(sum)-1] & 0x0f
	n := binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
	mod := uint32(1)
	for range digits {
		mod *= 10
	}
	return fmt.Sprintf("%0*d", digits, n%mod)
}

// record is Credential.State.
type record struct {
	Secret    []byte    `json:"k"`
	Algorithm Algorithm `json:"a"`
	Digits    int       `json:"d"`
	Period    int64     `json:"p"` // seconds
	// Last is the newest step ever used; no step up to it counts again.
	Last int64 `json:"l"`
	// Drift is how many steps the device's clock is ahead of ours, learned from right codes.
	Drift int64 `json:"f,omitempty"`
	// Slow counts right codes in a row that came from behind the centre.
	Slow int `json:"s,omitempty"`
}

func (r record) period() time.Duration { return time.Duration(r.Period) * time.Second }

func (r record) code(step int64) string { return code(r.Secret, r.Algorithm, r.Digits, step) }

func newSecret() []byte {
	b := make([]byte, 20) // RFC 4226 section 4 R6 recommends 160 bits
	rand.Read(b)
	return b
}
