// Package signin is the flow from a stranger's browser to a session that satisfies policy.
//
//	Open ─► ref (sealed, nothing stored) ─► Show ─► Step{Identify}
//	                                               │ Identify(name)            says the same for every name
//	                                               ▼
//	                      Step{Prove, first kinds} ◄──── Answer(kind, answer) ──┐ one transaction a try:
//	                                               │                            │ guess reserved before, challenge
//	                                               ▼                            │ consumed, credential, evidence,
//	                               policy.Decide ─► Ask ─► Step{Prove, kind} ───┘ audit entry
//	                                               ├─► Deny ─► Step{Refused, reasons}
//	                                               └─► Allow ─► session (new, or this one with more evidence)
//	                                                           ─► Step{Done, Return, cookies}
//
// An attempt keeps evidence with times, never "mfaDone". No step calls another step: next() decides from what is
// stored. Before its first proof an attempt lives sealed in the page; from then on it is a row. A step-up is an
// attempt that starts from a live session's evidence, and an act ("remove this passkey") is a step-up that names
// the act and leaves a Proof for it.
package signin

import (
	"context"
	"net/netip"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/incident"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// Caller is who is asking and from where: an argument everywhere, filled by the door.
type Caller struct {
	// Browser is the browser cookie's value: random, long-lived, binds attempts and challenges.
	Browser secret.String
	// Session is the session cookie's value, or empty.
	Session secret.String
	// Remembered are the remembered-browser cookie's tokens ("family.secret"), one per person.
	Remembered []secret.String
	Address    netip.Addr
	Agent      string // User-Agent, cut to 400 bytes of printable text
	Door       string // "web", "oidc", …
	Locale     string
}

// Target is what an attempt is for.
type Target struct {
	// Application is the apps ID, "" for Gatehouse's own pages.
	Application string        `json:"app,omitempty"`
	Act         policy.Act    `json:"act,omitempty"`
	Object      string        `json:"obj,omitempty"` // of the act: credential id, kind…
	Demand      policy.Demand `json:"dem,omitzero"`
	// Return is a local path that goes on afterwards. The flow adds "?attempt="+ref where State is set.
	Return string `json:"ret"`
	// State is the door's own, given back by ReadTarget.
	State []byte `json:"st,omitempty"`
	Hint  string `json:"hint,omitempty"` // login_hint
	// Another asks for an account other than the live session's ("use another account").
	Another bool `json:"other,omitempty"`
	// ActionOrigin is the origin that redirects may end at (for the page's form-action), or "".
	ActionOrigin string    `json:"origin,omitempty"`
	Started      time.Time `json:"at"`
}

// StepKind is which page comes next.
type StepKind uint8

const (
	// StepExpired is the zero value: start again (Step.Attempt is a fresh one for the same target where that
	// could be saved).
	StepExpired StepKind = iota
	// StepIdentify asks for the name.
	StepIdentify
	// StepProve asks for a proof of Step.Method.
	StepProve
	// StepRefused is a policy refusal, with reasons.
	StepRefused
	// StepDone goes on to Step.Return.
	StepDone
	// StepNewPassword asks for a new password before anything else (people.Person.NewPassword); Flow.NewPassword answers.
	StepNewPassword
	// StepFirstMethod: the person has nothing but a password and policy lets them register a first method with it
	// (policy.FirstEnrolment); enrol.Flow.FirstByAttempt goes on.
	StepFirstMethod
)

// Remedy is the way out of a refusal for want of a method. The zero value: there is none of the person's own.
type Remedy struct {
	// Kind to add: policy would then ask for it instead of refusing.
	Kind method.Kind
	// Invited: the person has too little to add it alone, and needs an invitation for it.
	Invited bool
}

// Step is what the door shows next.
type Step struct {
	Kind    StepKind
	Attempt string // ref to be carried on
	Target  Target
	// Application's label for the page; empty for Gatehouse's own.
	ApplicationName string
	// Name is what was typed, or the known person's username after a proof or within a session.
	Name string
	// Known is set when the person is proven (a session or a first proof): only then may the page name them.
	Known bool
	// Method to prove now, its prompt, and the others that would do.
	Method method.Kind
	Prompt method.Prompt // Public only; the state is already sealed into Attempt
	// Passkey is set on StepIdentify and on the password page: the autofill (discoverable) prompt.
	Passkey *method.Prompt
	Others  []method.Kind
	// Sending is the challenge under way for Method, where Method is outbound: nil where nothing is sent yet (the page
	// then offers to send; by script at once) or nothing can be sent now (Problem says why).
	Sending *Sending
	// RememberFor > 0 offers "don't ask again on this browser".
	RememberFor time.Duration
	// Reasons answer "why was I asked?" and "why was I refused?".
	Reasons []policy.Reason
	// Remedy is set on StepRefused where a method that the person does not have yet would lift the refusal.
	Remedy Remedy
	// Problem is what was wrong with the last answer (catalogue code and parameters), nil at first.
	Problem *fault.Error
	// Return is the local path, on StepDone.
	Return string
	// Cookies to set on the browser, on StepDone and where a token rotated. Nil fields: unchanged.
	SetSession    *secret.String
	SetRemembered []secret.String // the whole new list; nil: unchanged, empty: remove
	// SessionID is the live session after StepDone.
	SessionID string
}

// Attempt is a sign-in under way after its first proof.
type Attempt struct {
	ID       string
	Browser  []byte // secret.Hash of the browser cookie
	Person   string
	Session  string // the session it steps up, or ""
	Evidence []method.Evidence
	Target   Target
	Created  time.Time
	Expires  time.Time
	Version  int64
}

// Proof says that a session has just proven an act of its own; consumed by the act.
type Proof struct {
	Session string
	Act     policy.Act
	Object  string
	At      time.Time
}

// Store is what the flow needs in one transaction.
type Store interface {
	people.Store
	method.Store
	session.Store
	throttle.Store
	audit.Recorder
	audit.Reader
	notice.Outbox
	incident.Store
	ChallengeStore

	// SpendOnce marks a one-time artefact (its hash) as used until expires; false: it was used before.
	SpendOnce(ctx context.Context, hash []byte, expires time.Time) (bool, error)

	AttemptByID(ctx context.Context, id string) (Attempt, error) // fault NotFound
	AddAttempt(ctx context.Context, a Attempt) error
	// UpdateAttempt is compare-and-swap on Version; fault Conflict.
	UpdateAttempt(ctx context.Context, a Attempt) error
	RemoveAttempt(ctx context.Context, id string) (bool, error)

	AddProof(ctx context.Context, p Proof) error
	// TakeProof consumes a proof given at or after notBefore; false: there is none.
	TakeProof(ctx context.Context, session string, act policy.Act, object string, notBefore time.Time) (bool, error)
	// HasProof looks without consuming.
	HasProof(ctx context.Context, session string, act policy.Act, object string, notBefore time.Time) (bool, error)

	// RevokeGrantsOfSession and RevokeGrantsOf end what was issued to applications (see apps.Store).
	RevokeGrantsOfSession(ctx context.Context, session string) (int, error)
	RevokeGrantsOf(ctx context.Context, person, application string) (int, error)

	// PolicyApplication gives what policy knows of an application; fault NotFound where it is closed or gone.
	PolicyApplication(ctx context.Context, id string) (policy.Application, error)
	// PolicyInForce gives the policy record; cheap: implementations cache by version.
	PolicyInForce(ctx context.Context) (policy.Policy, error)
}
