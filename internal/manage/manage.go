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
)

// Scopes are all of them.
var scopes = [...]Scope{PeopleRead, PeopleWrite, AppsRead, AppsWrite, PolicyRead, PolicyWrite, AuditRead, TokensRead, TokensWrite}

// Scopes gives all scopes, in a fixed order.
func Scopes() []Scope { return append([]Scope(nil), scopes[:]...) }

// By is who acts. The zero value may do nothing.
type By struct {
	// Actor as the trail names it: "cli:NAME", "token:NAME".
	Actor string
	Door  string // "cli", "admin"
	// Scopes that were granted.
	Scopes []Scope
	// Address and Agent of a remote caller; personal, erasable.
	Address, Agent string
}

// CommandLine is the operator at the machine: whoever may read the key file may do everything.
func CommandLine(user string) By {
	return By{Actor: "cli:" + user, Door: "cli", Scopes: Scopes()}
}

// Token is a program's way into the administration API: scoped, expiring, revocable.
type Token struct {
	ID      string
	Name    string // part of the actor's name in the trail
	Hash    []byte // secret.Hash of the bearer value
	Scopes  []Scope
	Created time.Time
	Expires time.Time
	By      string // who made it, as audit.Entry.Actor
}

// PolicyRecord is one version of the policy, with who, when and why.
type PolicyRecord struct {
	Version int64
	Policy  policy.Policy
	Why     string
	By      string
	At      time.Time
}

// Store is what the flow needs in one transaction.
type Store interface {
	enrol.Store
	apps.Store

	AddAdminToken(ctx context.Context, t Token) error
	AdminTokenByHash(ctx context.Context, hash []byte) (Token, error) // fault NotFound
	AdminTokens(ctx context.Context) ([]Token, error)
	RemoveAdminToken(ctx context.Context, id string) (bool, error)

	// RevokeGrantsOfApplication ends every grant of an application, for everybody.
	RevokeGrantsOfApplication(ctx context.Context, application string) (int, error)

	// AddPolicy puts a version in force where the one before it (Version-1) still is; fault Conflict otherwise.
	AddPolicy(ctx context.Context, r PolicyRecord) error
	// PolicyRecords gives the newest first, older than version `before` (0: from the newest).
	PolicyRecords(ctx context.Context, before int64, limit int) ([]PolicyRecord, error)
}

// Flow acts. All fields are needed.
type Flow struct {
	InTx func(context.Context, func(Store) error) error
	View func(context.Context, func(Store) error) error
	Now  func() time.Time
	// NewAuditKey makes the sealed key under which a new person's personal data is kept in the trail.
	NewAuditKey func(person people.ID) ([]byte, error)
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
