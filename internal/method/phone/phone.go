// Package phone proves possession of a telephone number by a code that is sent to it, by text message or voice call.
// It is the last resort (NIST SP 800-63B section 3.1.3.3, restricted): whoever takes over the number has the method.
//
//	Offer(number) ─► parsed, allowed here? ─► code ─► Prompt.Send ─► Enrol(code): the number comes from the sealed state
//	Dispatch ─► code of six digits, hash kept ─► Outgoing ─► gateway ─► the person types it ─► Verify, constant time
//
// A code belongs to one number and one challenge, and lives CodeFor, whatever the page around it does. What a request
// says of a number is never believed at Enrol (attack G55). How often one may guess or have something sent is the
// flows' to count.
package phone

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/notice"
)

// Limit is how many numbers one person may have.
const Limit = 2

// CodeFor is how long a code may be typed (attack G34), CodeDigits how long it is.
const (
	CodeFor    = 10 * time.Minute
	CodeDigits = 6
)

// Settings are fixed for the life of a Method.
type Settings struct {
	// Country is where numbers without a country code are from (ISO 3166-1 alpha-2); "" asks for the country code.
	Country string
	// Countries that codes are sent to; at least one.
	Countries []string
	// Channels that this house has a gateway for: notice.Text, notice.Voice, in order of preference; at least one.
	Channels []string
}

// Method is the telephone number.
type Method struct{ set Settings }

var (
	_ method.Method   = (*Method)(nil)
	_ method.Outbound = (*Method)(nil)
	_ method.Told     = (*Method)(nil)
)

// New checks the settings.
func New(s Settings) (*Method, error) {
	if len(s.Channels) == 0 {
		return nil, errors.New("phone: no channel")
	}
	for _, c := range s.Channels {
		if c != notice.Text && c != notice.Voice {
			return nil, fmt.Errorf("phone: channel %q is not one of %s, %s", c, notice.Text, notice.Voice)
		}
	}
	if len(s.Countries) == 0 {
		return nil, errors.New("phone: no country that codes are sent to")
	}
	for _, c := range s.Countries {
		if !IsCountry(c) {
			return nil, fmt.Errorf("phone: %q is no country code (ISO 3166-1, two capital letters)", c)
		}
	}
	if s.Country != "" && !IsCountry(s.Country) {
		return nil, fmt.Errorf("phone: %q is no country code (ISO 3166-1, two capital letters)", s.Country)
	}
	s.Countries, s.Channels = slices.Clone(s.Countries), slices.Clone(s.Channels)
	return &Method{set: s}, nil
}

// Traits says what a number is.
func (m *Method) Traits() method.Traits {
	return method.Traits{
		Kind: method.Phone, Factors: method.Possession, Guessable: true, Limit: Limit, Strength: 2, Removable: true,
		Outbound: true,
	}
}

// record is Credential.State.
type record struct {
	Number  string `json:"n"` // E.164
	Country string `json:"c"`
	// Channels that this number can take.
	Channels []string `json:"v"`
}

func read(c method.Credential) (record, bool) {
	var r record
	err := json.Unmarshal(c.State, &r)
	return r, err == nil && r.Number != "" && len(r.Channels) > 0
}

// Reach is the number itself: it hears of its own removal.
func (m *Method) Reach(c method.Credential) (method.Outgoing, bool) {
	r, ok := read(c)
	via := m.via(r, "")
	return method.Outgoing{Credential: c.ID, Channel: via, Address: r.Number, Country: r.Country}, ok && via != "" && m.allowed(r.Country)
}

func (m *Method) allowed(country string) bool { return slices.Contains(m.set.Countries, country) }

// via is the wanted channel, or the house's first one where none was wanted; "" where it cannot be had.
func (m *Method) via(r record, wanted string) string {
	for _, c := range m.set.Channels {
		if slices.Contains(r.Channels, c) && (wanted == "" || wanted == c) {
			return c
		}
	}
	return ""
}

// ways are all channels that reach r, in the house's order.
func (m *Method) ways(r record) []string {
	ways := []string{}
	for _, c := range m.set.Channels {
		if slices.Contains(r.Channels, c) {
			ways = append(ways, c)
		}
	}
	return ways
}

// Masked is a number as pages show it: enough for its owner to know it by.
func Masked(number string) string { return "•••• " + number[max(0, len(number)-3):] }

// question is a code that was sent, as the state of a challenge or an offer keeps it.
type question struct {
	Hash []byte `json:"h"`
	Salt []byte `json:"s"`
	// Credential that it was sent to; Subject and Record are set where it is being registered.
	Credential string `json:"k,omitempty"`
	Subject    string `json:"u,omitempty"`
	Record     record `json:"r,omitzero"`
	Via        string `json:"v"`
	Sent       int64  `json:"i"` // Unix microseconds
}

// newQuestion makes a code and what is kept of it.
func newQuestion(now time.Time) (question, string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return question{}, "", err
	}
	code := fmt.Sprintf("%0*d", CodeDigits, n)
	q := question{Salt: make([]byte, 16), Sent: now.UnixMicro()}
	rand.Read(q.Salt)
	q.Hash = q.hash(code)
	return q, code, nil
}

func (q question) hash(code string) []byte {
	sum := sha256.Sum256(append(slices.Clone(q.Salt), code...))
	return sum[:]
}

func (q question) live(now time.Time) bool {
	sent := time.UnixMicro(q.Sent)
	return len(q.Hash) == sha256.Size && !now.Before(sent) && now.Before(sent.Add(CodeFor))
}

func (q question) right(typed string) bool {
	return subtle.ConstantTimeCompare(q.hash(cleanCode(typed)), q.Hash) == 1
}

// cleanCode drops what people type between digits and reads full-width digits as digits.
func cleanCode(text string) string {
	if len(text) > 64 {
		return ""
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '-' || r == '\u00a0' || r == '\t' || r == '\u3000' || r == ',':
			return -1
		case r >= '\uff10' && r <= '\uff19':
			return r - '\uff10' + '0'
		}
		return r
	}, text)
}

var (
	errNone = fault.New(fault.BadInput, "phone.none",
		"There is no number that a code can be sent to. Sign in another way.")
	errVia = fault.New(fault.BadInput, "phone.via",
		"This number cannot be reached that way. Choose the other one.")
)
