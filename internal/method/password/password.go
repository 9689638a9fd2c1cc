// Package password proves knowledge of a secret text.
//
//	typed text ─► at most 4 KB? ─► OpaqueString (RFC 8265: NFC) ─► pool: a bounded number of hashes at once
//	                 │ no: refused, nothing hashed                   │ queue full: fault Busy, RetryAfter
//	                 ▼                                               ▼
//	              Verdict{Reason}                    argon2id, or the scheme it was imported with ─► Verdict
//	                                                 right, but weaker than today's parameters ─► Verdict.Updated
//
//	new password ─► length, common and breached list, context words ─► argon2id ─► credential
//
// A name without a password costs the same hash as one with it, so that time tells nothing. There are no composition
// rules and no expiry (NIST SP 800-63B section 3.1.1.2).
package password

import (
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
)

const (
	// MaxBytes is how much typed text is looked at at all (attack G138).
	MaxBytes = 4096
	// MaxChars is the longest password, in Unicode code points.
	MaxChars = 1024
	// AloneChars is the length from which a password may be the only proof.
	AloneChars = 15
	// MinChars is the least length in company of another proof.
	MinChars = 8
)

// Params are argon2id's (RFC 9106).
type Params struct {
	Memory  uint32 // KiB; 8 per thread to 262144
	Time    uint32 // passes; 1 to 16
	Threads uint8  // lanes; 1 to 16
}

// defaultParams are OWASP's second choice: 19 MiB, two passes, one lane; about 25 ms of one core.
var defaultParams = Params{Memory: 19 * 1024, Time: 2, Threads: 1}

func (p Params) check() error {
	if p.Threads < 1 || p.Threads > 16 || p.Time < 1 || p.Time > 16 || p.Memory < 8*uint32(p.Threads) || p.Memory > 256*1024 {
		return fmt.Errorf("password: argon2id parameters m=%d,t=%d,p=%d are out of range", p.Memory, p.Time, p.Threads)
	}
	return nil
}

// Settings are fixed for the life of a Method.
type Settings struct {
	// Params of new hashes; zero: 19 MiB, 2 passes, 1 lane. Older hashes with less are made anew at the next sign-in.
	Params Params
	// Workers is how many hashes run at once. 0: one a CPU, as long as they fit into 80 MiB together.
	Workers int
	// Queue is how many more may wait; 0: 64. Beyond it the answer is fault Busy.
	Queue int
	// MinLength gives the least number of characters for a person: 15 where a password may be their only proof, 8
	// otherwise. nil: 15 for everybody. Anything below 8 counts as 8.
	MinLength func(method.Subject) int
	// Context are words of this house that make a password guessable: the campus' name and its abbreviations.
	Context []string
	// Breached is the operator's own list, beside the built-in one; may be nil.
	Breached *List
}

// Method is the password method.
type Method struct {
	set    Settings
	pool   *pool
	common func() *List
	// decoy is what an unknown name's password is compared with: random, so that nothing matches.
	decoy hashed
}

var _ method.Method = (*Method)(nil)

// New checks the settings and fills in defaults.
func New(s Settings) (*Method, error) {
	if s.Params == (Params{}) {
		s.Params = defaultParams
	}
	if err := s.Params.check(); err != nil {
		return nil, err
	}
	if s.Workers == 0 {
		fit := 80 * 1024 / int(s.Params.Memory)
		s.Workers = max(1, min(runtime.GOMAXPROCS(0), fit))
	}
	if s.Queue == 0 {
		s.Queue = 64
	}
	if s.Workers < 0 || s.Queue < 0 {
		return nil, errors.New("password: workers and queue cannot be negative")
	}
	salt, key := make([]byte, saltBytes), make([]byte, keyBytes)
	rand.Read(salt)
	rand.Read(key)
	return &Method{
		set: s, pool: newPool(s.Workers, s.Queue), common: sync.OnceValue(builtin),
		decoy: argon2id{params: s.Params, salt: salt, key: key},
	}, nil
}

// Traits says what a password is.
func (m *Method) Traits() method.Traits {
	return method.Traits{
		Kind: method.Password, Factors: method.Knowledge, Guessable: true, SlowVerify: true, First: true,
		Limit: 1, Strength: 10,
	}
}

// normalise prepares typed text: RFC 8265 section 4.2 (non-ASCII spaces to spaces, NFC; no controls, not empty).
func normalise(text string) (string, bool) {
	if len(text) > MaxBytes || !utf8.ValidString(text) {
		return "", false
	}
	out, err := precis.OpaqueString.String(text)
	return out, err == nil
}

// pool bounds how many hashes run and wait, so that a flood of passwords leaves memory and CPU to others.
type pool struct {
	admitted chan struct{} // running and waiting
	running  chan struct{}
}

func newPool(workers, queue int) *pool {
	return &pool{admitted: make(chan struct{}, workers+queue), running: make(chan struct{}, workers)}
}

// do runs work when there is room, or gives fault Busy at once.
func (p *pool) do(work func()) error {
	select {
	case p.admitted <- struct{}{}:
	default:
		return fault.New(fault.Busy, "password.busy", "Too many people are signing in at this moment. Try again in a few seconds.").After(2 * time.Second)
	}
	defer func() { <-p.admitted }()
	p.running <- struct{}{}
	defer func() { <-p.running }()
	work()
	return nil
}
