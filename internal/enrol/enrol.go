// Package enrol is what members do with their own methods, sessions and remembered browsers, and how a first
// method comes to be.
//
//	act ─► proof of its own that names the act (signin, Target.Act) ─► Proof ─┐
//	                                                                           ▼ one transaction
//	page ─► confirm ─────────────────────► TakeProof, change, audit entry, notice, other sessions end
//
//	Invitation (desk, command line, mail): one-time secret, typed, POST, expiring ─► a first method ─► Active
//	password alone, where the campus says so (policy.FirstEnrolment) ─► the same, one hour, on hold
//
// Nobody adds, removes or renames a method with a session alone; a proof is five minutes old at most and is used once.
package enrol

import (
	"context"
	"encoding/json"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// ProofFor is how long a proof of an act may be used.
const ProofFor = 5 * time.Minute

// Invitation lets one person register a first method (or, after a reset, a new one).
type Invitation struct {
	ID     string
	Person string
	Hash   []byte // of the secret; at least 128 bits
	// Browser is set at first use: from then on only that browser may go on.
	Browser []byte
	Purpose string // PurposeFirstAdministrator, PurposePasswordOnly, "invitation", "reset"
	Created time.Time
	Expires time.Time
	By      string // who issued it, as audit.Entry.Actor
	Version int64
}

// Store is what the flow needs in one transaction.
type Store interface {
	signin.Store
	audit.Reader
	PairingStore
	// ReplaceInvitation puts a new invitation in the place of any the person had.
	ReplaceInvitation(ctx context.Context, i Invitation) error
	InvitationByHash(ctx context.Context, hash []byte) (Invitation, error)
	UpdateInvitation(ctx context.Context, i Invitation) error // compare-and-swap; fault Conflict
	RemoveInvitation(ctx context.Context, id string) (bool, error)
	RevokeGrantsOf(ctx context.Context, person, application string) (int, error)
	RevokeGrantsOfSession(ctx context.Context, session string) (int, error)
}

// Overview is the security page.
type Overview struct {
	Person  people.Person
	Methods []method.Credential // State emptied
	Lead    method.Kind         // chosen; "" none
	LeadNow method.Kind         // who leads in effect
	// OneDevice: everything but the password lies on one phone (or is one thing): lose it and one is out. Recovery codes
	// that are left, or anything else, lift it.
	OneDevice bool
	// RecoveryLeft is how many recovery codes are unused.
	RecoveryLeft int
	Addable      []Addable
	Sessions     []session.Session
	Here         string // this session's ID
	Browsers     []session.Browser
	// HereFamily is this browser's own remembered family, or "".
	HereFamily string
	Recent     []Recent
	// RefreshedAt is the oldest proof in this session ("Refresh my sign-in now").
	RefreshedAt time.Time
}

// Addable is a kind that may be added, or why not.
type Addable struct {
	Kind   method.Kind
	Reason string // catalogue code; "" when it may
}

// Recent is a recent sign-in or change, for the member's eyes.
type Recent struct {
	ID      string // audit chain:seq
	At      time.Time
	Act     string
	Outcome audit.Outcome
	Method  method.Kind
	Address string
	Agent   string
	App     string
	Session string // still live if in Overview.Sessions
}

// Offer is an open registration: Prompt.Public goes to the page, Sealed comes back with the answer.
type Offer struct {
	Kind   method.Kind
	Public json.RawMessage
	Sealed string
	Name   string // suggested
}

// Needed is returned by acts whose proof is not in hand: sign in (step up) for Target, then come back.
type Needed struct {
	Target signin.Target
}

// Act names what is about to be done.
type Act struct {
	Act    policy.Act
	Object string
	Return string // local path to come back to after the proof
}

// Welcome is an invitation that was opened in this browser.
type Welcome struct {
	Person  people.Person
	Purpose string
	Expires time.Time
	// Ref is sealed and bound to this browser; it goes through the forms.
	Ref   string
	Kinds []method.Kind // that may be registered
	// Second: this invitation set a password already; Kinds are what comes after it.
	Second bool
}

// Done is what changed, for the page and its cookies.
type Done struct {
	SetSession    *secret.String
	SetRemembered []secret.String
	// RemovedPasskeys are credential ids that the browser should be told are gone (WebAuthn signal API), and
	// AcceptedPasskeys those that remain; nil when passkeys did not change.
	UserHandle       []byte
	AcceptedPasskeys [][]byte
	// CredentialID of what was added.
	CredentialID string
}
