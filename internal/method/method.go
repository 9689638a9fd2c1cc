// Package method is what a way of proving oneself is.
//
// Each way is one folder (password, passkey, oath, …) with the same files: <method>.go, enrol.go,
// verify.go. A method is pure: it takes values and now, and returns a Verdict. The flow loads,
// counts guesses, saves and records.
//
//	             Prompt ◄── Begin ──┐
//	page ◄─────────┘                │ state (kept sealed by the flow, bound to attempt, browser, purpose)
//	page ─► Answer ─► Verify(state) ┴─► Verdict{OK, Evidence, Updated} or Verdict{Reason}
//
// Enrolling is the same pair: Offer, then Enrol.
package method

import (
	"encoding/json"
	"time"
)

// Kind names a method; it is stored, logged, and part of catalogue keys ("method.passkey.name").
type Kind string

// The kinds that are built. A further one adds its constant here and its folder beside the others.
const (
	Password Kind = "password"
	Passkey  Kind = "passkey"
	TOTP     Kind = "totp"
	// App is the authenticator app: a request is approved on a phone, with the number that the sign-in page shows.
	App Kind = "app"
	// Phone is a code by text message or voice call.
	Phone Kind = "phone"
	// Recovery is a set of recovery codes, each for one use.
	Recovery Kind = "recovery"
)

// Fallback kinds never lead, whatever the member chose: they are for when nothing else is at hand.
func (k Kind) Fallback() bool { return k == Phone || k == Recovery }

// Factor is what a proof rests on (NIST SP 800-63B section 2.1), a set.
type Factor uint8

const (
	// Knowledge is something one knows.
	Knowledge Factor = 1 << iota
	// Possession is something one has.
	Possession
	// Inherence is something one is, checked by the device (user verification counts as a second factor
	// on the device whether by biometric or PIN).
	Inherence
)

// Traits is what menus, throttling and policy know of a kind before any credential is looked at.
type Traits struct {
	Kind    Kind
	Factors Factor // of a usual proof
	// PhishingResistant: verifier name binding (NIST SP 800-63B section 3.2.5).
	PhishingResistant bool
	// Guessable answers are counted by the throttle; signatures are not.
	Guessable bool
	// SlowVerify runs outside any transaction, after its guess was reserved (password hashes).
	SlowVerify bool
	// First may open an attempt, before any other proof (password, passkey).
	First bool
	// Several credentials of this kind per person; at most Limit.
	Limit int
	// Strength ranks for "the strongest leads": higher is stronger.
	Strength int
	// Removable by the member (a password is changed, not removed).
	Removable bool
	// Outbound: proving begins with something that is sent (a request to the app, a code by text message), which only
	// a POST after a preceding proof does. The method implements Outbound.
	Outbound bool
	// Elsewhere: the answer is given outside of the browser that asks (in the app); nothing is typed there and Verify
	// is not called: whoever takes the answer (device) judges it and leaves the evidence on the challenge.
	Elsewhere bool
	// Replaced as a whole: adding one takes the place of the one there was (recovery codes).
	Replaced bool
}

// Credential is one registered thing. State is opaque to all but its method; the store seals it.
type Credential struct {
	ID     string
	Person string // people.ID
	Kind   Kind
	Name   string // the member's own label
	// Handle finds the credential without a person (a passkey's credential id); unique per kind; may be nil.
	Handle []byte
	State  []byte
	// Pending credentials count for nothing.
	Pending bool
	// Device is the ID of the App credential whose phone holds this one too (its passcodes), "" for none. A device
	// goes with all that is on it.
	Device string
	// HeldUntil: registered with no more than a password (policy.FirstEnrolment); until then it does not open the
	// applications that are on hold. Zero: never held.
	HeldUntil time.Time
	Created   time.Time
	LastUsed  time.Time // zero: never
	Version   int64     // compare-and-swap
}

// Evidence is one proof that was given. It is appended to an attempt's or a session's log and never
// changed. acr, amr, auth_time and assurance are computed from it, never stored.
type Evidence struct {
	Kind              Kind      `json:"k"`
	Credential        string    `json:"c"`
	Factors           Factor    `json:"f"`
	PhishingResistant bool      `json:"p,omitempty"`
	UserVerified      bool      `json:"u,omitempty"`
	DeviceBound       bool      `json:"d,omitempty"` // the device's own word unless Attested
	Attested          bool      `json:"a,omitempty"`
	Model             string    `json:"m,omitempty"` // AAGUID or product, where known
	Long              bool      `json:"l,omitempty"` // a password long enough (15) to stand alone
	At                time.Time `json:"t"`
}

// Prompt is what a page needs to ask. Public goes to the browser as it is; State must come back to Verify
// or Enrol unseen and unchanged (the flow seals it).
type Prompt struct {
	Public json.RawMessage
	State  []byte
	// Send is what an offer sends out so that it can be answered (a code to a new number); the flow counts it against
	// the sending budgets and puts it into the outbox.
	Send []Outgoing
}

// Answer is what came back from the page.
type Answer struct {
	// Text is a typed value (password, passcode).
	Text string
	// JSON is a structured answer (a WebAuthn response). Unparsed: a stranger sent it.
	JSON json.RawMessage
}

// Subject is the person as a method may know them.
type Subject struct {
	ID          string // people.ID
	Username    string
	DisplayName string
	Email       string
}

// BeginInput asks for a Prompt.
type BeginInput struct {
	// Subject is the zero value before anybody is known (discoverable passkeys): then no credentials are named.
	Subject     Subject
	Credentials []Credential // of this kind, the subject's own
	Now         time.Time
}

// VerifyInput is one answer to be judged.
type VerifyInput struct {
	Subject     Subject
	Credentials []Credential // of this kind, the subject's own; for discoverable passkeys the one found by handle
	State       []byte       // from Begin; nil where the method needs none
	Answer      Answer
	Now         time.Time
}

// Verdict is the outcome of an answer. The zero value is a refusal.
type Verdict struct {
	OK       bool
	Evidence Evidence
	// Updated is the credential as it must be saved in the same transaction (counter, last step, re-hash);
	// nil: nothing changed but LastUsed, which the flow saves.
	Updated *Credential
	// Used is the credential that proved (also when Updated is nil).
	Used string
	// Reason is stable and lower-case, for audit and log ("totp.replayed"). Set when !OK, or as a warning.
	Reason string
	// Code is the catalogue code to show, "" for the same "that did not work" as for unknown names.
	Code string
	// Risk is set where the answer is a sign of theft (counter regression): the flow tells the member.
	Risk bool
	// Notice is what the member is told of this proof in the same transaction, as notice.Message.Kind, with its
	// parameters ("recovery.used", how many are left); "" for nothing.
	Notice string
	Params map[string]string
}

// OfferInput asks to register a new credential.
type OfferInput struct {
	// Answer is what the person typed before there is anything to offer (a phone number), zero at first; Via is how they
	// want what is then sent ("text", "voice"), "" where the method chooses.
	Answer   Answer
	Via      string
	Subject  Subject
	Existing []Credential // of this kind
	Now      time.Time
	// Again is the state of an offer of this kind that was just answered wrongly, or nil. A method whose offer gave the
	// person something to keep shows the same once more: their app holds its secret already.
	Again []byte
}

// EnrolInput is the answer to an Offer.
type EnrolInput struct {
	Subject  Subject
	Existing []Credential
	State    []byte
	Answer   Answer
	Name     string
	Now      time.Time
}

// Method is one way of proving oneself. Implementations are safe for concurrent use and hold only settings.
type Method interface {
	Traits() Traits
	// Begin prepares a question. An error is a broken machine.
	Begin(BeginInput) (Prompt, error)
	// Verify judges an answer. It never returns an error for a wrong answer: a wrong proof is a result.
	Verify(VerifyInput) (Verdict, error)
	// Offer prepares a registration.
	Offer(OfferInput) (Prompt, error)
	// Enrol makes the credential (ID, Person, Created are set by the flow) or a fault BadInput that says what to do.
	Enrol(EnrolInput) (Credential, error)
}

// Outgoing is one thing that is sent to a person. The flow turns it into a push or a message in the outbox.
type Outgoing struct {
	Credential string // that it goes to; "" for one that is being registered
	Channel    string // notice.Push, notice.Text or notice.Voice
	Address    string // E.164 for Text and Voice; "" for Push
	Country    string // that Address belongs to (ISO 3166-1 alpha-2); "" for Push
	Code       string // what is to be typed; "" for Push
}

// DispatchInput asks to send a challenge.
type DispatchInput struct {
	Subject     Subject
	Credentials []Credential // usable, of this kind, the subject's own; at least one
	// Via is how ("text", "voice"), Credential to which one; "": the method chooses.
	Via, Credential string
	// Digits of the number to match: 2, or 6 by policy.
	Digits int
	// Avoid are the numbers of the person's other live challenges: live numbers differ.
	Avoid []string
	Now   time.Time
}

// Dispatch is a challenge that is ready to go out.
type Dispatch struct {
	State  []byte          // for Verify (or for whoever judges an answer given elsewhere); sealed at rest
	Public json.RawMessage // for the page of the one browser that started it
	Number string          // the number to match, "" where there is none
	Via    string          // what was chosen
	Send   []Outgoing
}

// Outbound is implemented by methods with Traits.Outbound. Dispatch is pure but for its randomness. A fault BadInput
// says what cannot be sent, and what to do.
type Outbound interface {
	Dispatch(DispatchInput) (Dispatch, error)
}

// Stocked is implemented by methods whose credential is used up bit by bit (recovery codes): Left is how many proofs
// remain in it, 0 for one that does not read.
type Stocked interface {
	Left(Credential) int
}

// Told is implemented by methods whose credential has an address of its own, which hears of its removal: Reach gives
// it, ok is false where there is none.
type Told interface {
	Reach(Credential) (Outgoing, bool)
}

// Handled is implemented by methods whose answer names its credential (discoverable passkeys): the handle to
// look up, read from an unverified answer. ok is false where the answer cannot be parsed.
type Handled interface {
	Handle(Answer) (handle []byte, ok bool)
}
