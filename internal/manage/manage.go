// Package manage is what administrators do, by the command line or through the administration API: people,
// applications, policy and the tokens of programs.
//
//	command line ─┐                      ┌─ load
//	admin door ───┴► Flow.<Act>(By, …) ──┼─ check scope, state, version
//	                                     ├─ save, end what must end, notice to the member
//	                                     └─ audit entry: same transaction, or the act does not happen
//
// Nothing here reads or returns a stored secret. What is made here (an invitation, a client secret, an API token)
// is returned once, as secret.String, and kept as a hash.
package manage

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// InviteFor is how long an invitation or a reset lies open.
const InviteFor = 24 * time.Hour

// FirstAdministratorFor is how long the very first invitation lies open.
const FirstAdministratorFor = 30 * time.Minute

// Scope is one thing that a caller may do. There is no scope that holds the others.
type Scope string

// The scopes.
const (
	PeopleRead  Scope = "people:read"
	PeopleWrite Scope = "people:write"
	AppsRead    Scope = "apps:read"
	AppsWrite   Scope = "apps:write"
	PolicyRead  Scope = "policy:read"
	PolicyWrite Scope = "policy:write"
	AuditRead   Scope = "audit:read"
	TokensRead  Scope = "tokens:read"
	TokensWrite Scope = "tokens:write"
	// IncidentsRead shows what members reported, with addresses; IncidentsWrite closes it.
	IncidentsRead  Scope = "incidents:read"
	IncidentsWrite Scope = "incidents:write"
)

var scopes = [...]Scope{PeopleRead, PeopleWrite, AppsRead, AppsWrite, PolicyRead, PolicyWrite, AuditRead, TokensRead, TokensWrite,
	IncidentsRead, IncidentsWrite}

// Scopes gives all scopes, in a fixed order.
func Scopes() []Scope { return append([]Scope(nil), scopes[:]...) }

// By is who acts. The zero value may do nothing.
type By struct {
	// Actor as the trail names it: "cli:NAME", "token:NAME".
	Actor string
	Door  string // "cli", "admin"
	// Scopes that were granted.
	Scopes []Scope
	// Expires is when the right to act ends; zero: not. Nothing that by makes may act longer.
	Expires time.Time
	// Address and Agent of a remote caller; personal, erasable.
	Address, Agent string
}

// CommandLine is the operator at the machine: whoever may read the key file may do everything.
func CommandLine(user string) By {
	return By{Actor: "cli:" + user, Door: "cli", Scopes: Scopes()}
}

// Store is what the flow needs in one transaction.
type Store interface {
	enrol.Store
	policy.Records
	apps.APITokenStore

	// ErasePerson removes what names a person, destroys the key of their entries in the trail and records that, in
	// the same transaction. The names stay reserved.
	ErasePerson(ctx context.Context, id people.ID, by, door string, at time.Time) error
}

// Registry is the applications' own flow: its acts and their entries are one transaction there.
type Registry interface {
	Register(ctx context.Context, actor string, a apps.Application, confidential bool) (apps.Application, secret.String, error)
	RotateSecret(ctx context.Context, actor, clientID string, keepOld bool) (secret.String, error)
	SetClosed(ctx context.Context, actor, clientID string, closed bool) error
	Remove(ctx context.Context, actor, clientID string) error
	List(ctx context.Context) ([]apps.Application, error)
}

// Flow acts. All fields are needed.
type Flow struct {
	InTx func(context.Context, func(Store) error) error
	View func(context.Context, func(Store) error) error
	Apps Registry
	Now  func() time.Time
	// Welcome is the address of the page that takes an invitation, for those that go by mail.
	Welcome string
	// CheckPolicy refuses a policy that could not decide; fault BadInput that names the rule.
	CheckPolicy func(policy.Policy) error
}

// entry starts an audit entry in By's name.
func (f *Flow) entry(by By, act string, subject people.ID, object string) audit.Entry {
	e := audit.Entry{At: f.Now(), Act: act, Outcome: audit.Done, Actor: by.Actor, Subject: string(subject), Object: object,
		Door: by.Door}
	if subject != "" && by.Address != "" {
		e.Personal = map[string]string{"address": by.Address, "agent": by.Agent}
	}
	return e
}
