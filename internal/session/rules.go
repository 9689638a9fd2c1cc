package session

import (
	"crypto/subtle"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// SeenEvery is how often LastSeen is saved: idle times are minutes to hours, and a write a request would cost more
// than the request.
const SeenEvery = time.Minute

// maxEvidence bounds a session's log. Beyond it the oldest proof that the same credential has given again since is
// dropped; nothing rests on that one any more.
const maxEvidence = 64

// Limits bound a session. Fields that are zero or less take the defaults: 8 hours idle, 24 hours in all.
type Limits struct {
	Idle time.Duration // without a request
	Max  time.Duration // in all; nothing extends it
}

func (l Limits) filled() Limits {
	if l.Idle <= 0 {
		l.Idle = 8 * time.Hour
	}
	if l.Max <= 0 {
		l.Max = 24 * time.Hour
	}
	return l
}

// Beginning is what a session is born from.
type Beginning struct {
	Person   people.ID
	Browser  []byte // secret.Hash of the browser cookie
	Evidence []method.Evidence
	Family   string // the remembered browser it rests on, or ""
	Address  string
	Agent    string
}

// Start makes a session and its cookie token: a new one always, whatever the browser brought along (session
// fixation, attack G1).
func Start(now time.Time, b Beginning, l Limits) (Session, secret.String) {
	token := secret.Token(32)
	return Session{
		ID: secret.NewID(now), TokenHash: secret.Hash(token.Reveal()), Person: string(b.Person),
		Browser: slices.Clone(b.Browser), Evidence: slices.Clone(b.Evidence), Family: b.Family,
		Created: now, LastSeen: now, Expires: now.Add(l.filled().Max), Address: b.Address, Agent: b.Agent,
	}, token
}

// The ends of a session; all are fault Unauthenticated.
var (
	ErrIdle    = fault.New(fault.Unauthenticated, "session.idle", "You were signed out after a time without use. Sign in again.")
	ErrEnded   = fault.New(fault.Unauthenticated, "session.ended", "Your sign-in has ended. Sign in again.")
	ErrAccount = fault.New(fault.Unauthenticated, "session.account", "This account cannot be used now. Ask the service desk.")
	ErrBrowser = fault.New(fault.Unauthenticated, "session.browser", "This sign-in belongs to another browser. Sign in again.")
)

// Live gives nil for a session that may be used now by p, else ErrIdle, ErrEnded or ErrAccount. Limits are those of
// now: a shortened policy ends sessions that were begun under a longer one, a longer one extends none.
func Live(s Session, p people.Person, l Limits, now time.Time) error {
	l = l.filled()
	switch {
	case p.State != people.Active || string(p.ID) != s.Person || s.Person == "":
		return ErrAccount
	case !now.Before(s.Expires) || !now.Before(s.Created.Add(l.Max)):
		return ErrEnded
	case !now.Before(s.LastSeen.Add(l.Idle)):
		return ErrIdle
	}
	return nil
}

// From gives nil where the session belongs to the browser whose cookie hashes to browser, else ErrBrowser.
func From(s Session, browser []byte) error {
	if len(s.Browser) == 0 || subtle.ConstantTimeCompare(s.Browser, browser) != 1 {
		return ErrBrowser
	}
	return nil
}

// NeedsTouch reports whether LastSeen is old enough to be saved again.
func NeedsTouch(s Session, now time.Time) bool {
	return !now.Before(s.LastSeen.Add(SeenEvery))
}

// Append gives the session with further evidence; what is there already is not repeated, and nothing that was
// there is changed. s itself is left alone.
func Append(s Session, evidence ...method.Evidence) Session {
	log := slices.Clone(s.Evidence)
	for _, e := range evidence {
		if !slices.ContainsFunc(log, func(have method.Evidence) bool { return same(have, e) }) {
			log = append(log, e)
		}
	}
	for len(log) > maxEvidence {
		i := slices.IndexFunc(log, func(old method.Evidence) bool { return givenAgain(log, old) })
		if i < 0 {
			break
		}
		log = slices.Delete(log, i, i+1)
	}
	s.Evidence = log
	return s
}

// same compares two entries; times by instant, because a stored time has lost its location.
func same(a, b method.Evidence) bool {
	at := a.At.Equal(b.At)
	a.At, b.At = time.Time{}, time.Time{}
	return at && a == b
}

func givenAgain(log []method.Evidence, old method.Evidence) bool {
	return slices.ContainsFunc(log, func(e method.Evidence) bool {
		return e.Credential == old.Credential && e.Kind == old.Kind && e.At.After(old.At)
	})
}

// StepUp appends evidence and changes the token: whoever holds the old cookie does not rise with the session.
// The absolute end stays where it was.
func StepUp(s Session, now time.Time, evidence ...method.Evidence) (Session, secret.String) {
	token := secret.Token(32)
	s = Append(s, evidence...)
	s.TokenHash = secret.Hash(token.Reveal())
	s.LastSeen = now
	return s, token
}
