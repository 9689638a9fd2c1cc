package app

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// Verify refuses: an answer that is typed into the browser that asks proves nothing. What the phone signed is judged by
// Judge.
func (m *Method) Verify(method.VerifyInput) (method.Verdict, error) {
	return method.Verdict{Reason: "app.elsewhere"}, nil
}

// Decision is what a member said to a request.
type Decision string

// The decisions. The zero value is none.
const (
	Approve Decision = "approve"
	Deny    Decision = "deny"
	Report  Decision = "report" // "No, it's not me"
)

// AnswerType is the JWS type of a decision.
const AnswerType = "gatehouse-answer+jwt"

// ClockSkew is how far the time in something signed may differ from ours, either way.
const ClockSkew = 120 * time.Second

// Answered is what a phone sent, and what it must speak of.
type Answered struct {
	JWS    string
	Unlock json.RawMessage // assertion response over the hash of JWS, or nil
	// Request and Account are those of the request; Started is when it was made.
	Request, Account string
	Started          time.Time
	Now              time.Time
}

// Ruling is a decision that was signed by the phone's key for this very request. The zero value decides nothing.
type Ruling struct {
	Decision Decision
	// Number as typed; whoever keeps the request compares it (SameNumber).
	Number string
	// Unlocked: the phone checked that it is its owner, for this answer.
	Unlocked bool
	// Updated is the credential as it must be saved with the answer (the passkey's counter), or nil.
	Updated *method.Credential
}

// decided is the payload of a decision; all members are there, and no other.
type decided struct {
	Request, Number, Decision, Account, Server string
	Time                                       int64
}

// Judge checks a decision against what was asked: key, type, request, account, server, time (within ClockSkew and not
// before the request), and the unlocking passkey where the phone has one and approves. reason is "" when all hold.
func (m *Method) Judge(c method.Credential, a Answered) (r Ruling, reason string) {
	rec, err := readRecord(c.State)
	if err != nil || !usable(c, a.Account) {
		return Ruling{}, "app.credential"
	}
	key, err := parsePoint(rec.Key)
	if err != nil {
		return Ruling{}, "app.credential"
	}
	signed, ok := ReadJWS(a.JWS, AnswerType)
	if !ok {
		return Ruling{}, "app.malformed"
	}
	payload, ok := signed.Verify(key)
	if !ok {
		return Ruling{}, "app.signature"
	}
	d, ok := parseDecided(payload)
	switch {
	case !ok:
		return Ruling{}, "app.malformed"
	case d.Request != a.Request || a.Request == "":
		return Ruling{}, "app.wrong_request"
	case d.Account != a.Account:
		return Ruling{}, "app.wrong_account"
	case d.Server != m.set.Server:
		return Ruling{}, "app.wrong_server"
	case !Near(d.Time, a.Now) || d.Time < a.Started.Unix():
		return Ruling{}, "app.wrong_time"
	}
	r = Ruling{Decision: Decision(d.Decision), Number: d.Number}
	if r.Decision != Approve || rec.Unlock == nil {
		return r, ""
	}
	updated, reason := m.Unlock(c, a.JWS, a.Unlock, a.Now)
	if reason != "" {
		return Ruling{}, reason
	}
	r.Unlocked, r.Updated = true, updated
	return r, ""
}

// CounterRegressed is the reason where the unlocking passkey answered as a copy of it would: the member is told.
const CounterRegressed = "app.unlock_counter_regressed"

// Near says whether a time in Unix seconds lies within ClockSkew of now.
func Near(seconds int64, now time.Time) bool {
	skew := int64(ClockSkew / time.Second)
	return seconds >= now.Unix()-skew && seconds <= now.Unix()+skew
}

func parseDecided(payload []byte) (decided, bool) {
	var d decided
	ok := ReadObject(payload, map[string]any{
		"request": &d.Request, "number": &d.Number, "decision": &d.Decision, "account": &d.Account, "server": &d.Server, "time": &d.Time,
	}, nil)
	switch Decision(d.Decision) {
	case Approve:
		ok = ok && isNumber(d.Number)
	case Deny, Report:
		ok = ok && d.Number == ""
	default:
		ok = false
	}
	if !ok {
		return decided{}, false
	}
	return d, true
}

// isNumber: up to eight digits, as typed. Whether it is the right one is told apart from whether it is one.
func isNumber(s string) bool {
	return len(s) >= 1 && len(s) <= 8 && !slices.ContainsFunc([]byte(s), func(b byte) bool { return b < '0' || b > '9' })
}

// SameNumber compares in constant time; an empty number equals none.
func SameNumber(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// Unlock judges an assertion of the phone's platform passkey over SHA-256(text), user verified. reason is "" when it
// holds; updated is then the credential to be saved, or nil.
func (m *Method) Unlock(c method.Credential, text string, assertion json.RawMessage, now time.Time) (updated *method.Credential, reason string) {
	rec, err := readRecord(c.State)
	if err != nil || rec.Unlock == nil {
		return nil, "app.credential"
	}
	if len(assertion) == 0 || string(assertion) == "null" {
		return nil, "app.locked"
	}
	challenge := sha256.Sum256([]byte(text))
	return m.assert(c, rec, m.unlock.Over(challenge[:], rec.Unlock.User, now), assertion, now)
}

// assert lets package passkey judge, which knows the unlocking passkey as a credential of its user handle.
func (m *Method) assert(c method.Credential, rec record, state []byte, assertion json.RawMessage, now time.Time) (*method.Credential, string) {
	v, err := m.unlock.Verify(method.VerifyInput{
		Credentials: []method.Credential{rec.Unlock.credential(c.ID)}, State: state,
		Subject: method.Subject{ID: rec.Unlock.User}, Answer: method.Answer{JSON: assertion}, Now: now,
	})
	switch {
	case err != nil:
		return nil, "app.credential"
	case !v.OK:
		return nil, "app.unlock_" + v.Reason[len("passkey."):]
	case v.Updated == nil:
		return nil, ""
	}
	rec.Unlock.State = v.Updated.State
	if c.State, err = json.Marshal(rec); err != nil {
		return nil, "app.credential"
	}
	return &c, ""
}

// Evidence is what an approval comes to.
func Evidence(credential string, unlocked bool, at time.Time) method.Evidence {
	return method.Evidence{Kind: method.App, Credential: credential, Factors: method.Possession, UserVerified: unlocked, At: at}
}
