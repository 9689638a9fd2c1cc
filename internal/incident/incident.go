// Package incident is what administrators (and later the desk) must look at: somebody said "No, it's not me", or an
// account is flooded with requests.
//
//	flow ─► Store.AddIncident (same transaction as what it did) ─► open ─► closed by an administrator, with a reason
package incident

import (
	"context"
	"time"
)

// The kinds.
const (
	// Reported: the member refused a request in the app, or reported a sign-in or a message, as not theirs.
	Reported = "reported"
	// Flood: more requests were started than the budget allows.
	Flood = "flood"
	// Cap: a sending cap was reached (text messages, calls).
	Cap = "cap"
)

// Incident is one case. Nothing in it is personal but what Personal holds, which the store seals.
type Incident struct {
	ID       string
	Kind     string
	Person   string            // people.ID, "" for the whole house
	Object   string            // challenge, session or budget that it is about
	Detail   map[string]string // not personal: application, country, method
	Personal map[string]string // address, agent
	Opened   time.Time
	Closed   time.Time // zero: open
	ClosedBy string
	Why      string
	Count    int // how often the same happened while it was open, from 1
	Version  int64
}

// Store is the port.
type Store interface {
	// AddIncident opens one; where one of this kind, person and object is open already, its count is raised instead.
	AddIncident(ctx context.Context, i Incident) error
	// IncidentByID; fault NotFound.
	IncidentByID(ctx context.Context, id string) (Incident, error)
	// Incidents gives the newest first: the open ones, or all; of one person where given.
	Incidents(ctx context.Context, person string, all bool, limit int) ([]Incident, error)
	// CloseIncident closes an open one; false: it was closed already or is not there.
	CloseIncident(ctx context.Context, id, by, why string, at time.Time) (bool, error)
}
