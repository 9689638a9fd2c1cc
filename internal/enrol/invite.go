package enrol

import (
	"bytes"
	"context"
	"encoding/hex"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// typedChars is how long an invitation's secret is: 130 bits.
const typedChars = 26

// NewTyped makes an invitation's secret, in groups for typing.
func NewTyped() secret.String { return secret.Typed(typedChars, 5) }

// TypedHash is what the store keeps of an invitation's secret, read forgivingly; ok is false for what cannot be one.
func TypedHash(typed string) (hash []byte, ok bool) {
	clean, ok := secret.Untype(typed, typedChars)
	return secret.Hash(clean), ok
}

// Invite issues an invitation in the caller's transaction, in the place of any the person had; the secret is returned
// once. The caller records its act.
func Invite(ctx context.Context, s Store, now time.Time, person people.ID, purpose string, lifetime time.Duration, by string) (secret.String, error) {
	typed := NewTyped()
	hash, _ := TypedHash(typed.Reveal())
	return typed, s.ReplaceInvitation(ctx, Invitation{
		ID: secret.NewID(now), Person: string(person), Hash: hash, Purpose: purpose, Created: now,
		Expires: now.Add(lifetime), By: by,
	})
}

// errInvitation says the same for a wrong, a used, an expired and another browser's secret.
var errInvitation = fault.New(fault.BadInput, "invitation.invalid",
	"This code is not valid (any more). Check it; if it is older than its time, ask for a new one.")

// wrongInvitations bounds how many wrong secrets get a line in the trail and an answer without delay, in the whole
// house: 130 bits cannot be guessed, so a right one is never held up.
var wrongInvitations = throttle.Limit{Burst: 30, Refill: 10 * time.Second}

// opened is what Welcome.Ref holds.
type opened struct {
	Hash []byte `json:"h"`
}

// OpenInvitation takes the typed secret and binds it to this browser, at first use for good.
func (f *Flow) OpenInvitation(ctx context.Context, caller signin.Caller, typed string) (Welcome, error) {
	if caller.Browser.Empty() {
		return Welcome{}, fault.New(fault.BadInput, "signin.no_cookies", "Your browser did not send our cookie. Allow cookies for this site and try again.")
	}
	var w Welcome
	var refused error
	hash, ok := TypedHash(typed)
	err := f.InTx(ctx, func(s Store) error {
		w, refused = Welcome{}, nil
		inv, person, err := f.invitation(ctx, s, caller, hash)
		if !ok || fault.IsKind(err, fault.BadInput) {
			refused, err = f.refuseInvitation(ctx, s, caller)
			return err
		}
		if err != nil {
			return err
		}
		if inv.Browser == nil {
			inv.Browser = secret.Hash(caller.Browser.Reveal())
			if err := s.UpdateInvitation(ctx, inv); err != nil {
				return err
			}
			entry := signin.Entry(caller, f.Now(), person, "invitation.opened", audit.Done)
			entry.Actor, entry.Object, entry.Detail["purpose"] = "stranger", inv.ID, inv.Purpose
			if err := s.Record(ctx, entry); err != nil {
				return err
			}
		}
		w, err = f.welcome(ctx, s, caller, inv, person)
		return err
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return Welcome{}, err
	}
	return w, nil
}

// welcome is an invitation that is open in this browser.
func (f *Flow) welcome(ctx context.Context, s Store, caller signin.Caller, inv Invitation, p people.Person) (Welcome, error) {
	w := Welcome{Person: p, Purpose: inv.Purpose, Expires: inv.Expires}
	inForce, err := s.PolicyInForce(ctx)
	if err != nil {
		return Welcome{}, err
	}
	all, err := s.CredentialsOf(ctx, string(p.ID))
	if err != nil {
		return Welcome{}, err
	}
	w.Kinds = f.usefulKinds(inForce, p, all, inv.Purpose)
	w.Second = slices.ContainsFunc(all, func(c method.Credential) bool {
		return c.Kind == method.Password && !c.Pending && !c.Created.Before(inv.Created)
	})
	if w.Second {
		w.Kinds = f.afterPassword(w.Kinds)
	}
	w.Ref, err = f.Box.Pack("invitation", bound(caller, ""), opened{inv.Hash}, inv.Expires)
	return w, err
}

// afterPassword leaves of kinds what comes after a password. A telephone number does only where there is nothing else:
// alone it would not have been offered.
func (f *Flow) afterPassword(kinds []method.Kind) []method.Kind {
	rest := slices.DeleteFunc(slices.Clone(kinds), func(k method.Kind) bool { return k == method.Password })
	strong := slices.DeleteFunc(slices.Clone(rest), method.Kind.Fallback)
	if len(strong) == 0 {
		return rest
	}
	return strong
}

// ResumeInvitation is an invitation that is open in this browser, by its Welcome.Ref: the way back from a wizard.
func (f *Flow) ResumeInvitation(ctx context.Context, caller signin.Caller, ref string) (Welcome, error) {
	var w Welcome
	err := f.View(ctx, func(s Store) error {
		inv, p, err := f.resume(ctx, s, caller, ref)
		if err == nil {
			w, err = f.welcome(ctx, s, caller, inv, p)
		}
		return err
	})
	return w, err
}

// refuseInvitation records a wrong secret, sparingly, and says what to answer.
func (f *Flow) refuseInvitation(ctx context.Context, s Store, caller signin.Caller) (refused, err error) {
	entry := signin.Entry(caller, f.Now(), people.Person{}, "invitation.opened", audit.Failed)
	entry.Actor, entry.Personal, entry.Reason = "stranger", nil, errInvitation.Code
	within, err := f.SignIn.RecordSparingly(ctx, s, f.Now(), "invitation", wrongInvitations, entry)
	if !within {
		return fault.New(fault.TooMany, "invitation.too_many", "Too many wrong codes were typed. Wait a minute and try again.").After(time.Minute), err
	}
	return errInvitation, err
}

// invitation finds a live one that this browser may use, and its person.
func (f *Flow) invitation(ctx context.Context, s Store, caller signin.Caller, hash []byte) (Invitation, people.Person, error) {
	inv, err := s.InvitationByHash(ctx, hash)
	if fault.IsKind(err, fault.NotFound) {
		err = errInvitation
	}
	if err != nil {
		return inv, people.Person{}, err
	}
	if !f.Now().Before(inv.Expires) || inv.Browser != nil && !bytes.Equal(inv.Browser, secret.Hash(caller.Browser.Reveal())) {
		return inv, people.Person{}, errInvitation
	}
	p, err := s.PersonByID(ctx, people.ID(inv.Person))
	if err == nil && p.State != people.Invited && p.State != people.Active {
		err = errInvitation
	}
	return inv, p, err
}

// resume finds the invitation of a Ref, already bound to this browser.
func (f *Flow) resume(ctx context.Context, s Store, caller signin.Caller, ref string) (Invitation, people.Person, error) {
	var o opened
	if err := f.Box.Unpack("invitation", bound(caller, ""), ref, f.Now(), &o); err != nil {
		return Invitation{}, people.Person{}, errInvitation
	}
	inv, p, err := f.invitation(ctx, s, caller, o.Hash)
	if err == nil && inv.Browser == nil {
		err = errInvitation
	}
	if err == nil && inv.Purpose == PurposePasswordOnly {
		inForce, e := s.PolicyInForce(ctx)
		if err = e; err == nil && (!inForce.FirstEnrolment.PasswordOnly || p.NewPassword) {
			err = errInvitation // taken back meanwhile, or the password is somebody else's
		}
	}
	return inv, p, err
}

// The purposes of invitations that change what they register; any other ("invitation", "reset") registers what the
// house has.
const (
	// PurposeFirstAdministrator is the invitation that opens a new house: it registers a passkey and nothing less.
	PurposeFirstAdministrator = "first-administrator"
	// PurposePasswordOnly is the one that a campus lets people give themselves with their password
	// (policy.FirstEnrolment): what it registers is on hold for a while.
	PurposePasswordOnly = "password-only"
)

// firstKinds are the kinds that an invitation with this purpose registers for p, the strongest first. Recovery codes
// are never a first method, and a telephone number is none for administrators.
func (f *Flow) firstKinds(purpose string, p people.Person) []method.Kind {
	var kinds, fallback []method.Kind
	for kind, t := range f.SignIn.Traits() {
		switch {
		case t.Replaced, purpose == PurposeFirstAdministrator && !t.PhishingResistant, purpose == PurposePasswordOnly && kind == method.Password:
		case kind.Fallback() && (p.Has(people.RoleAdministrator) || purpose == PurposePasswordOnly):
			if !p.Has(people.RoleAdministrator) {
				fallback = append(fallback, kind)
			}
		default:
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) == 0 {
		kinds = fallback
	}
	return policy.Policy{}.Order("", kinds, f.SignIn.Traits())
}

// usefulKinds are those of firstKinds with which policy then lets the person sign in: nobody is led to spend their
// invitation on a method that leaves them outside. A password counts with the passcode app that comes with it. Where
// nothing would do all are offered, and the desk is asked anyway.
func (f *Flow) usefulKinds(inForce policy.Policy, p people.Person, owned []method.Credential, purpose string) []method.Kind {
	all := f.firstKinds(purpose, p)
	p.State = people.Active
	useful := slices.DeleteFunc(slices.Clone(all), func(kind method.Kind) bool {
		then := append(slices.Clone(owned), method.Credential{ID: "first", Person: string(p.ID), Kind: kind})
		if kind == method.Password {
			then = append(then, method.Credential{ID: "second", Person: string(p.ID), Kind: method.TOTP})
		}
		return !f.SignIn.Reachable(inForce, p, then, f.Now())
	})
	if len(useful) == 0 {
		return all
	}
	return useful
}

func (f *Flow) mayBeFirst(inv Invitation, p people.Person, kind method.Kind) error {
	if !slices.Contains(f.firstKinds(inv.Purpose, p), kind) {
		return errNotFirst
	}
	return nil
}

var errNotFirst = fault.New(fault.BadInput, "enrol.method_unknown", "This sign-in method is not offered here.")

// OfferFirst begins to register a first method.
func (f *Flow) OfferFirst(ctx context.Context, caller signin.Caller, ref string, kind method.Kind) (Offer, error) {
	return f.OfferFirstAgain(ctx, caller, ref, kind, "")
}

// OfferFirstAgain is OfferFirst after a wrong answer to sealed.
func (f *Flow) OfferFirstAgain(ctx context.Context, caller signin.Caller, ref string, kind method.Kind, sealed string) (Offer, error) {
	var inv Invitation
	var p people.Person
	var all []method.Credential
	err := f.View(ctx, func(s Store) (err error) {
		inv, p, all, err = f.mayOfferFirst(ctx, s, caller, ref, kind)
		return err
	})
	if err != nil {
		return Offer{}, err
	}
	return f.sealOffer(bound(caller, inv.ID), p, kind, all, sealed)
}

// mayOfferFirst resumes an invitation that may register kind.
func (f *Flow) mayOfferFirst(ctx context.Context, s Store, caller signin.Caller, ref string, kind method.Kind) (Invitation, people.Person, []method.Credential, error) {
	inv, p, err := f.resume(ctx, s, caller, ref)
	if err == nil {
		err = f.mayBeFirst(inv, p, kind)
	}
	if err != nil {
		return inv, p, nil, err
	}
	all, err := s.CredentialsOf(ctx, string(p.ID))
	return inv, p, all, err
}

// FinishFirst registers a first method. The invitation is used up as soon as what the person has lets them sign in
// by more than a password: a passkey does at once, a passcode together with a password, in either order. It signs
// nobody in.
func (f *Flow) FinishFirst(ctx context.Context, caller signin.Caller, ref string, kind method.Kind, sealed, name string, answer method.Answer) (Done, error) {
	var inv Invitation
	var p people.Person
	var seen []method.Credential
	err := f.View(ctx, func(s Store) (err error) {
		inv, p, seen, err = f.mayOfferFirst(ctx, s, caller, ref, kind)
		return err
	})
	if err != nil {
		return Done{}, err
	}
	var made method.Credential
	var o offer
	if kind == method.Password {
		made, err = f.newPassword(p, seen, answer.Text, f.Now())
	} else {
		made, o, err = f.enrolled(ctx, bound(caller, inv.ID), sealed, name, p, kind, seen, answer)
	}
	if err != nil {
		return Done{}, err
	}
	var done Done
	err = f.InTx(ctx, func(s Store) error {
		done = Done{}
		inv, p, err := f.resume(ctx, s, caller, ref)
		if err != nil {
			return err
		}
		if kind == method.Password {
			done.CredentialID, err = setPassword(ctx, s, made, seen)
		} else {
			done.CredentialID = made.ID
			if made.HeldUntil, err = heldUntil(ctx, s, inv, f.Now()); err == nil {
				_, err = f.save(ctx, s, o, made, f.Now())
			}
		}
		if err != nil {
			return err
		}
		return f.finished(ctx, s, caller, inv, p, kind, &done)
	})
	if err != nil {
		return Done{}, err
	}
	return done, nil
}

// heldUntil is until when what inv registers does not open applications on hold; zero where nothing is held.
func heldUntil(ctx context.Context, s Store, inv Invitation, now time.Time) (time.Time, error) {
	if inv.Purpose != PurposePasswordOnly {
		return time.Time{}, nil
	}
	inForce, err := s.PolicyInForce(ctx)
	hold := inForce.FirstEnrolment.Hold
	if hold <= 0 {
		hold = policy.DefaultHold
	}
	return now.Add(hold), err
}

// finished records a first method and, where it suffices, uses the invitation up and makes the person active.
func (f *Flow) finished(ctx context.Context, s Store, caller signin.Caller, inv Invitation, p people.Person, kind method.Kind, done *Done) error {
	now := f.Now()
	entry := signin.Entry(caller, now, p, "method.added", audit.Done)
	entry.Object, entry.Detail["method"], entry.Detail["invitation"] = done.CredentialID, string(kind), inv.ID
	if err := s.Record(ctx, entry); err != nil {
		return err
	}
	all, err := s.CredentialsOf(ctx, string(p.ID))
	if err != nil {
		return err
	}
	accept(done, p, kind, all)
	inForce, err := s.PolicyInForce(ctx)
	if err != nil {
		return err
	}
	if !CanSignIn(f.SignIn, inForce, p, all, now) {
		added, err := owned(all, done.CredentialID)
		if err != nil {
			return err
		}
		return signin.Tell(ctx, s, caller, now, p, "method.added",
			map[string]string{"method": string(kind), "label": Label(added.Name, string(kind))})
	}
	gone, err := s.RemoveInvitation(ctx, inv.ID)
	if err == nil && !gone {
		err = errInvitation
	}
	if err != nil {
		return err
	}
	if p.State == people.Invited {
		p.State, p.Updated = people.Active, now
		if err := s.UpdatePerson(ctx, p); err != nil {
			return err
		}
	}
	entry = signin.Entry(caller, now, p, "invitation.used", audit.Done)
	entry.Object, entry.Detail["purpose"], entry.Detail["by"] = inv.ID, inv.Purpose, inv.By
	entry.Detail["browser"] = hex.EncodeToString(inv.Browser[:4])
	if err := s.Record(ctx, entry); err != nil {
		return err
	}
	return signin.Tell(ctx, s, caller, now, p, "invitation.used", map[string]string{"method": string(kind)})
}
