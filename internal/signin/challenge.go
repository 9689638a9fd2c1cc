package signin

import (
	"context"
	"encoding/json"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// A Challenge is what was sent out so that somebody can prove: a request to the app, or a code by text message.
//
//	first proof ─► policy asks for app or phone ─┐ same transaction
//	"send again", "another way" (POST) ──────────┴► budgets ─► Challenge open ─► push or message, after the commit
//	                                                              │
//	app:   phone ─► device.Flow.Answer ─► approved (with Proof) | denied | wrong ─► Wake(topic) ─► the waiting page
//	       waiting page ─► Flow.Answer(app) takes Proof into the attempt's evidence, once
//	phone: page ─► Flow.Answer(phone, code) ─► method.Verify(State)
//
// A GET never sends. A challenge belongs to one attempt, so to one browser; its number shows only there.
type Challenge struct {
	ID     string // 128 random bits, base64url
	Person string
	// Attempt is the Attempt.ID; its end is the challenge's end.
	Attempt string
	// Browser is that attempt's browser (secret.Hash); Known: it had signed this person in before.
	Browser []byte
	Known   bool
	Kind    method.Kind
	Via     string          // "push", "text", "voice"
	State   []byte          // method.Dispatch.State; sealed at rest
	Public  json.RawMessage // method.Dispatch.Public: for this attempt's page alone; sealed at rest
	Number  string          // to be matched, "" for none; sealed at rest; never leaves the house but to that page
	// Sent are the credentials that it went to.
	Sent     []string
	Standing Standing
	// Proof is what an approval came to; nil but on Approved.
	Proof *method.Evidence
	// AnsweredBy is the credential that answered.
	AnsweredBy string

	// What the phone shows. Address and Agent are personal and sealed at rest; Country is an ISO 3166-1 code, "" unknown.
	Application, Address, Agent, Country string

	Created  time.Time
	Expires  time.Time // moves with Extend
	Ends     time.Time // Expires never lies beyond
	Answered time.Time
	Version  int64
}

// Standing of a challenge. The zero value proves nothing.
type Standing uint8

const (
	// Ended: cancelled, replaced by a newer one, or its attempt is gone.
	Ended Standing = iota
	// Open waits for an answer until Expires.
	Open
	// Approved: Proof holds the evidence, to be taken once by the browser that asked.
	Approved
	// Denied: "No".
	Denied
	// Reported: "No, it's not me".
	Reported
	// WrongNumber: one wrong number ends a request.
	WrongNumber
	// Taken: the approval has become evidence.
	Taken
)

// Lifetimes of challenges.
const (
	// ChallengeFor is how long a request or a code waits; each extension adds as much again.
	ChallengeFor = 5 * time.Minute
	// ChallengeMax is the longest it lives, extensions included.
	ChallengeMax = 30 * time.Minute
	// BlockFor is how long a source that was reported may not send requests to that account.
	BlockFor = 24 * time.Hour
)

// Live reports whether the challenge may still be answered.
func (c Challenge) Live(now time.Time) bool { return c.Standing == Open && now.Before(c.Expires) }

// Extended gives c with another ChallengeFor; ok is false where it is over or has all the time it can have.
func (c Challenge) Extended(now time.Time) (longer Challenge, ok bool) {
	if !c.Live(now) || !c.Expires.Before(c.Ends) {
		return c, false
	}
	c.Expires = c.Expires.Add(ChallengeFor)
	if c.Ends.Before(c.Expires) {
		c.Expires = c.Ends
	}
	return c, true
}

// ChallengeTopic is what a waiting page subscribes to; RequestsTopic what a person's phones do.
func ChallengeTopic(id string) string { return "challenge:" + id }

// RequestsTopic is woken when a request to the app is started, ended or extended, and when a device is removed.
func RequestsTopic(person string) string { return "requests:" + person }

// Block keeps a reported source from sending requests to one account. Source is secret.Hash of a browser cookie, or a
// keyed hash of an address that counts for browsers unknown to the account only: nobody else behind it is touched.
type Block struct {
	Person string
	Source []byte
	Until  time.Time
}

// Delivery is how far a challenge came on its way to one credential: the desk reads it to a member on the phone.
type Delivery struct {
	Challenge  string
	Credential string
	State      DeliveryState
	At         time.Time
	Detail     string // a status code or stable reason; nothing personal
}

// DeliveryState says how far. A later state replaces an earlier one, never the other way round.
type DeliveryState uint8

const (
	// NotSent: no push endpoint, or nothing handed over yet; the open app finds the request by itself. A credential of
	// Challenge.Sent without a line stands here.
	NotSent DeliveryState = iota
	// Sent: handed to the network, no answer yet.
	Sent
	// Accepted by the push service or the gateway.
	Accepted
	// Failed for good, or for longer than the request lived.
	Failed
	// Gone: the push service says that the endpoint is no more (404, 410).
	Gone
	// Shown: the phone has fetched it.
	Shown
	// Responded: the phone has answered.
	Responded
)

// ChallengeStore is what challenges need kept.
type ChallengeStore interface {
	AddChallenge(ctx context.Context, c Challenge) error
	// ChallengeByID; fault NotFound.
	ChallengeByID(ctx context.Context, id string) (Challenge, error)
	// ChallengeOfAttempt gives the newest one of an attempt; fault NotFound.
	ChallengeOfAttempt(ctx context.Context, attempt string) (Challenge, error)
	// OpenChallenges gives a person's challenges that stand Open and expire after now, oldest first.
	OpenChallenges(ctx context.Context, person string, now time.Time) ([]Challenge, error)
	// UpdateChallenge saves standing, proof, who answered, when, and Expires, where Version matches, and raises it; fault
	// Conflict otherwise.
	UpdateChallenge(ctx context.Context, c Challenge) error
	// RecentChallenges gives a person's newest challenges first, ended ones too, for the desk (kept 30 days).
	RecentChallenges(ctx context.Context, person string, limit int) ([]Challenge, error)
	// SaveDelivery keeps the furthest state.
	SaveDelivery(ctx context.Context, d Delivery) error
	// DeliveriesOf gives one line a credential.
	DeliveriesOf(ctx context.Context, challenge string) ([]Delivery, error)
	// AddBlock adds or prolongs. Blocked reports whether any of the sources is blocked for the person now.
	AddBlock(ctx context.Context, b Block) error
	Blocked(ctx context.Context, person string, sources [][]byte, now time.Time) (bool, error)
	// Wake wakes those who wait for topic, on every node, once the transaction is durable.
	Wake(topic string)
}

// Sending is what a page shows of a challenge. It is nil on a Step that has none.
type Sending struct {
	ID       string
	Standing Standing // Open: wait; Approved: go on at once
	Public   json.RawMessage
	Number   string // the number to match, digits only
	Via      string
	Expires  time.Time
	// CanExtend: another five minutes may be had.
	CanExtend bool
	// Furthest is the best delivery state over all devices: "shown on your phone".
	Furthest DeliveryState
}

// Waiting is the state of an attempt's challenge, for a page that waits. Topic is what to subscribe to.
type Waiting struct {
	Topic    string
	Standing Standing // Ended also where the attempt is gone or the challenge too old
	Expires  time.Time
	Furthest DeliveryState
}
