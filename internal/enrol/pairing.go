package enrol

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/qrcode"
	"github.com/gatehouse-id/gatehouse/internal/secret"
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

// sealedPairing is what PairingView.Sealed holds.
type sealedPairing struct {
	ID    string `json:"i"`
	Token string `json:"t"`
	Code  string `json:"c"`
	Ref   string `json:"r,omitempty"` // of the invitation
}

// StartPairing begins one. The proof for (method.add, app) must be in hand; ConfirmPairing consumes it.
func (f *Flow) StartPairing(ctx context.Context, caller signin.Caller) (PairingView, error) {
	return f.startPairing(ctx, caller, "", func(ctx context.Context, s Store) (began, error) {
		m, all, err := f.provenFor(ctx, s, caller, method.App)
		return began{person: m.person, owned: all, session: m.live.ID, now: m.now}, err
	})
}

// StartFirstPairing begins one by an invitation.
func (f *Flow) StartFirstPairing(ctx context.Context, caller signin.Caller, ref string) (PairingView, error) {
	return f.startPairing(ctx, caller, ref, func(ctx context.Context, s Store) (began, error) {
		inv, p, all, err := f.mayOfferFirst(ctx, s, caller, ref, method.App)
		return began{person: p, owned: all, invitation: inv, now: f.Now()}, err
	})
}

// began is who began a pairing, and by what: a session or an invitation.
type began struct {
	person     people.Person
	owned      []method.Credential
	session    string
	invitation Invitation
	now        time.Time
	pairing    Pairing
}

func (f *Flow) startPairing(ctx context.Context, caller signin.Caller, ref string,
	who func(context.Context, Store) (began, error)) (PairingView, error) {
	var p Pairing
	var open sealedPairing
	err := f.InTx(ctx, func(s Store) error {
		b, err := who(ctx, s)
		if err != nil {
			return err
		}
		if err := f.withinLimit(method.App, b.owned); err != nil {
			return err
		}
		var token secret.String
		p, token, open.Code = NewPairing(b.now, b.person)
		p.Browser, p.Session, p.Invitation = secret.Hash(caller.Browser.Reveal()), b.session, b.invitation.ID
		open.ID, open.Token, open.Ref = p.ID, token.Reveal(), ref
		return BeginPairing(ctx, s, p, signin.Entry(caller, b.now, b.person, "pairing.started", audit.Done))
	})
	if err != nil {
		return PairingView{}, err
	}
	sealed, err := f.Box.Pack("pairing", bound(caller, ""), open, p.Expires)
	if err != nil {
		return PairingView{}, err
	}
	return f.pairingView(p, open, sealed)
}

func (f *Flow) pairingView(p Pairing, open sealedPairing, sealed string) (PairingView, error) {
	v := PairingView{ID: p.ID, Standing: p.Standing, Expires: p.Expires, Sealed: sealed}
	switch {
	case p.Standing == Paired:
		v.Credential = p.Credential
		return v, nil
	case !p.Live(f.Now()):
		v.Standing = PairingEnded
		return v, nil
	}
	if p.Standing == PairingClaimed {
		b, err := ReadBrought(p.Claim)
		if err != nil {
			return PairingView{}, err
		}
		v.Phone = b.Label
	}
	v.Link, v.Code = PairingLink(f.AppOrigin, secret.NewString(open.Token)), open.Code
	var err error
	v.QRPath, v.QRSize, err = qrcode.Path(v.Link)
	return v, err
}

// ShowPairing shows a pairing that this browser began, in the same session or by the same invitation. Link, QRPath and
// Code come out of sealed again. One that is over is shown as PairingEnded; anybody else's is fault Expired
// "pairing.ended".
func (f *Flow) ShowPairing(ctx context.Context, caller signin.Caller, sealed string) (PairingView, error) {
	open, err := f.openPairing(caller, sealed)
	if err != nil {
		return PairingView{}, err
	}
	var b began
	err = f.View(ctx, func(s Store) (err error) {
		b, err = f.whoBegan(ctx, s, caller, open)
		return err
	})
	if fault.IsKind(err, fault.NotFound) {
		return PairingView{ID: open.ID, Standing: PairingEnded, Sealed: sealed}, nil
	}
	if err != nil {
		return PairingView{}, err
	}
	return f.pairingView(b.pairing, open, sealed)
}

// openPairing reads sealed, also after its time: the pairing itself says whether it is over.
func (f *Flow) openPairing(caller signin.Caller, sealed string) (sealedPairing, error) {
	var open sealedPairing
	if caller.Browser.Empty() {
		return open, ErrPairingEnded
	}
	if err := f.Box.Unpack("pairing", bound(caller, ""), sealed, f.Now(), &open); err != nil && !errors.Is(err, secret.ErrExpired) {
		return open, ErrPairingEnded
	}
	return open, nil
}

// whoBegan loads a pairing and sees that the caller is who began it: the same browser in the same session, or with the
// same invitation. fault NotFound where nothing of it is left.
func (f *Flow) whoBegan(ctx context.Context, s Store, caller signin.Caller, open sealedPairing) (began, error) {
	p, err := s.PairingByID(ctx, open.ID)
	if err != nil {
		return began{}, err
	}
	b := began{pairing: p, now: f.Now()}
	switch {
	case p.Invitation != "" && p.Standing == Paired:
		// The invitation may be used up by this very phone; the seal and the browser are what is left to go by.
		b.person, err = s.PersonByID(ctx, people.ID(p.Person))
	case p.Invitation != "":
		b.invitation, b.person, err = f.resume(ctx, s, caller, open.Ref)
		if err == nil && b.invitation.ID != p.Invitation {
			err = ErrPairingEnded
		}
	default:
		var m member
		m, err = f.enter(ctx, s, caller)
		b.person, b.session = m.person, m.live.ID
	}
	if err != nil {
		return began{}, err
	}
	if p.Device != "" || p.Session != b.session || p.Person != string(b.person.ID) || !bytes.Equal(p.Browser, secret.Hash(caller.Browser.Reveal())) {
		return began{}, ErrPairingEnded
	}
	b.owned, err = s.CredentialsOf(ctx, p.Person)
	return b, err
}

// ConfirmPairing takes the code that the phone shows. A wrong one is fault BadInput "pairing.code_wrong" with {left};
// the third ends the pairing (fault Expired "pairing.ended"). name is the member's label, "" for the phone's own.
func (f *Flow) ConfirmPairing(ctx context.Context, caller signin.Caller, sealed, code, name string) (Done, error) {
	open, err := f.openPairing(caller, sealed)
	if err != nil {
		return Done{}, err
	}
	var done Done
	var refused error
	err = f.InTx(ctx, func(s Store) error {
		done, refused = Done{}, nil
		b, err := f.whoBegan(ctx, s, caller, open)
		if fault.IsKind(err, fault.NotFound) {
			err = ErrPairingEnded
		}
		if err != nil {
			return err
		}
		entry := signin.Entry(caller, b.now, b.person, "pairing.refused", audit.Failed)
		brought, no, err := TryPairing(ctx, s, b.pairing, code, b.now, entry)
		if refused = no; err != nil || no != nil {
			return err
		}
		return f.paired(ctx, s, caller, b, brought, name, &done)
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return Done{}, err
	}
	return done, nil
}

// paired makes a phone a method whose code was right, with the proof or the invitation that began it.
func (f *Flow) paired(ctx context.Context, s Store, caller signin.Caller, b began, brought Brought, name string, done *Done) error {
	p := b.pairing
	if b.session != "" {
		// Whoever began had just proven it; the pairing's own ten minutes are bounded already.
		ok, err := s.TakeProof(ctx, b.session, policy.ActMethodAdd, string(method.App), p.Created.Add(-ProofFor))
		if err != nil {
			return err
		}
		if !ok {
			return errProof
		}
	}
	c := method.Credential{ID: p.Credential, Person: p.Person, Name: Label(name, brought.Label), Created: b.now}
	var err error
	if c.HeldUntil, err = heldUntil(ctx, s, b.invitation, b.now); err != nil {
		return err
	}
	if b.session != "" {
		all, err := s.CredentialsOf(ctx, p.Person)
		if err != nil {
			return err
		}
		c.HeldUntil = inherited(all, b.now)
	}
	if err := AddPhone(ctx, s, brought, c, f.Methods[method.App].Traits().Limit); err != nil {
		return err
	}
	if err := FinishPairing(ctx, s, p); err != nil {
		return err
	}
	done.CredentialID = c.ID
	if b.session == "" {
		return f.finished(ctx, s, caller, b.invitation, b.person, method.App, done)
	}
	entry := signin.Entry(caller, b.now, b.person, "method.added", audit.Done)
	entry.Object, entry.Detail["method"], entry.Detail["pairing"] = c.ID, string(method.App), p.ID
	if err := s.Record(ctx, entry); err != nil {
		return err
	}
	return signin.Tell(ctx, s, caller, b.now, b.person, "method.added", map[string]string{"method": string(method.App), "label": c.Name})
}

// CancelPairing ends one and leaves nothing of it. One that is over already is no error.
func (f *Flow) CancelPairing(ctx context.Context, caller signin.Caller, sealed string) error {
	open, err := f.openPairing(caller, sealed)
	if err != nil {
		return err
	}
	return f.InTx(ctx, func(s Store) error {
		b, err := f.whoBegan(ctx, s, caller, open)
		if fault.IsKind(err, fault.NotFound) || err == nil && b.pairing.Standing == Paired {
			return nil
		}
		if err != nil {
			return err
		}
		return EndPairing(ctx, s, b.pairing, signin.Entry(caller, b.now, b.person, "pairing.cancelled", audit.Done))
	})
}
