package enrol

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// A Pairing brings a phone to an account.
//
//	session with the proof (method.add, app), an invitation, or the old phone ─► Pairing waiting (token, code: hashed)
//	phone ─► device.Flow.Claim ─► claimed: its key, its passcode secret; the phone shows PhoneCode ─► Wake(topic)
//	the one that began it ─► PhoneCode typed ─► one transaction: proof taken, credentials, audit, notice ─► paired
//
// Ten minutes, once. Until it is confirmed nothing of the phone counts; a cancelled pairing leaves nothing.
type Pairing struct {
	ID     string
	Person string
	// Token and Code are hashes of what the phone presents: 128 bits in the link, or 8 typed characters (throttled).
	Token, Code []byte
	// Browser and Session began it (Session "" with an invitation, whose ID is in Invitation); Device began it where it is
	// the old phone, and is then replaced.
	Browser             []byte
	Session, Invitation string
	Device              string
	Standing            PairingStanding
	// Claim is what the phone brought (method/app's own State for the credential, the passcode credential's State, its
	// label); sealed at rest.
	Claim []byte
	// PhoneCode is what the phone shows, 6 digits; sealed at rest. Wrong counts wrong ones: the third ends the pairing.
	PhoneCode string
	Wrong     int
	// Credential is the ID that the phone's App credential has or will have; set at Claim.
	Credential string
	Created    time.Time
	Expires    time.Time
	Version    int64
}

// PairingStanding is where a pairing is. The zero value is none.
type PairingStanding uint8

const (
	// PairingEnded: cancelled, expired, refused.
	PairingEnded PairingStanding = iota
	// PairingWaiting for a phone.
	PairingWaiting
	// PairingClaimed by a phone, whose code is to be typed.
	PairingClaimed
	// Paired: the phone is a method now.
	Paired
)

// PairingFor is how long a pairing may take, and PairingTries how many wrong phone codes end it.
const (
	PairingFor   = 10 * time.Minute
	PairingTries = 3
)

// Live reports whether the pairing may still go on.
func (p Pairing) Live(now time.Time) bool {
	return (p.Standing == PairingWaiting || p.Standing == PairingClaimed) && now.Before(p.Expires)
}

// PairingTopic is what the page that began a pairing, and its phone, subscribe to.
func PairingTopic(id string) string { return "pairing:" + id }

// PairingStore is what pairings need kept.
type PairingStore interface {
	// AddPairing ends any other that the person had under way.
	AddPairing(ctx context.Context, p Pairing) error
	PairingByID(ctx context.Context, id string) (Pairing, error)      // fault NotFound
	PairingByToken(ctx context.Context, hash []byte) (Pairing, error) // fault NotFound
	PairingByCode(ctx context.Context, hash []byte) (Pairing, error)  // fault NotFound
	UpdatePairing(ctx context.Context, p Pairing) error               // compare-and-swap; fault Conflict
	RemovePairing(ctx context.Context, id string) (bool, error)       // nothing of it stays
	PairingsOf(ctx context.Context, person string) ([]Pairing, error)
}

// PairingView is what the page that began a pairing shows.
type PairingView struct {
	ID       string
	Standing PairingStanding
	// Link opens the app with the token behind the '#'; QRPath and QRSize draw it (SVG path, modules); Code is to be typed
	// inside the app, as XXXX-XXXX. Given once, with StartPairing: the page seals them into itself.
	Link, QRPath, Code string
	QRSize             int
	Expires            time.Time
	// Sealed comes back with the form and binds the pairing to this page, browser and session.
	Sealed string
	// Phone is the label of the phone that claimed it, "" before.
	Phone string
	// Credential, once Paired.
	Credential string
}

var errUnbuilt = fault.New(fault.Internal, "internal", "not built")

// StartPairing begins one. The proof for (method.add, app) must be in hand; ConfirmPairing consumes it.
func (f *Flow) StartPairing(ctx context.Context, caller signin.Caller) (PairingView, error) {
	return PairingView{}, errUnbuilt
}

// StartFirstPairing begins one by an invitation.
func (f *Flow) StartFirstPairing(ctx context.Context, caller signin.Caller, ref string) (PairingView, error) {
	return PairingView{}, errUnbuilt
}

// ShowPairing shows a pairing that this browser began. Link, QRPath and Code come out of sealed again.
func (f *Flow) ShowPairing(ctx context.Context, caller signin.Caller, sealed string) (PairingView, error) {
	return PairingView{}, errUnbuilt
}

// ConfirmPairing takes the code that the phone shows. A wrong one is fault BadInput "pairing.code_wrong" with {left};
// the third ends the pairing (fault Expired "pairing.ended").
func (f *Flow) ConfirmPairing(ctx context.Context, caller signin.Caller, sealed, code, name string) (Done, error) {
	return Done{}, errUnbuilt
}

// CancelPairing ends one and leaves nothing of it.
func (f *Flow) CancelPairing(ctx context.Context, caller signin.Caller, sealed string) error {
	return errUnbuilt
}
