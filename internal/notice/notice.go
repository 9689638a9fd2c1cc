// Package notice is what people are told: a message is put into the outbox in the transaction of the act it
// speaks of, and a courier carries it out afterwards, retrying.
//
//	flow ─► Outbox.Enqueue (same transaction) ─► courier claims ─► smtp, … ─► sent | retried | given up
package notice

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// The channels.
const (
	Mail  = "mail"
	Text  = "text"  // text message
	Voice = "voice" // voice call
	// Push is no channel of the outbox: a request to the app is pushed after its commit and found by the open app anyway.
	Push = "push"
)

// Message waits to be carried to a person.
type Message struct {
	ID      string
	Person  string // people.ID
	Channel string // Mail, Text or Voice
	To      string // address at the time of the act: a changed address does not redirect an old notice
	// Kind is the catalogue key: "notice."+Kind+".subject" and ".body".
	Kind   string
	Params map[string]string // never secrets
	// Code is a one-time code that the text contains as {{.Code}}; sealed at rest, emptied once sent or given up.
	Code   secret.String
	Locale string
	// Expires: later than that nobody needs it and it is given up; zero: never.
	Expires time.Time

	Created  time.Time
	NotUntil time.Time // next try
	Lease    time.Time // claimed until
	Tries    int
	SentAt   time.Time
	GivenUp  bool
	LastFail string
}

// Outbox is the port of the flows.
type Outbox interface {
	Enqueue(ctx context.Context, m Message) error
}

// Queue is the port of the courier.
type Queue interface {
	// ClaimMessages leases up to limit due messages of these channels until `until`; two nodes never claim the same.
	ClaimMessages(ctx context.Context, channels []string, now, until time.Time, limit int) ([]Message, error)
	// SaveMessage records the outcome of a try.
	SaveMessage(ctx context.Context, m Message) error
	// RecentMessages gives the newest first (the demo's outbox page).
	RecentMessages(ctx context.Context, limit int) ([]Message, error)
}
