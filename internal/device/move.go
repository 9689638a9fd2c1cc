package device

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/app"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// RestoreType is the JWS type of a new key's proof where the phone lost the old one.
const RestoreType = "gatehouse-restore+jwt"

// errRestore says the same for a passkey of nobody, of a phone that was removed, and for one that did not check its owner.
var errRestore = fault.New(fault.BadInput, "restore.invalid",
	"No phone of yours was found with this passkey. Pair this phone from your security page instead.")

// Move begins a pairing of another phone from this one. unlock is the assertion over the hash of the call's own JWS: the
// proof of its own that names the act, owed where this phone can unlock or policy says that it must.
func (f *Flow) Move(ctx context.Context, p Phone, unlock json.RawMessage) (Moving, error) {
	m, err := f.app()
	if err != nil {
		return Moving{}, err
	}
	var cred method.Credential
	var inForce policy.Policy
	err = f.View(ctx, func(s Store) (err error) {
		if _, cred, err = p.standing(ctx, s); err == nil {
			inForce, err = s.PolicyInForce(ctx)
		}
		return err
	})
	if err != nil {
		return Moving{}, err
	}
	var updated *method.Credential
	if app.Unlocks(cred) || !inForce.App.WithoutUnlock {
		var reason string
		if updated, reason = m.Unlock(cred, p.token, unlock, f.Now()); reason != "" {
			return Moving{}, errLocked.Because(errors.New(reason))
		}
	}
	var out Moving
	err = f.InTx(ctx, func(s Store) error {
		now := f.Now()
		person, cred, err := f.changing(ctx, s, p, now)
		if err == nil && updated != nil {
			err = s.UpdateCredential(ctx, *updated)
		}
		if err != nil {
			return err
		}
		pairing, token, code := enrol.NewPairing(now, person)
		pairing.Device = cred.ID
		out = Moving{Pairing: pairing.ID, Token: token.Reveal(), Code: code, Expires: pairing.Expires}
		return enrol.BeginPairing(ctx, s, pairing, p.entry(now, person, "pairing.started", audit.Done))
	})
	return out, err
}

// ConfirmMove takes the code that the new phone shows, pairs it and removes this one, in one moment. Errors are those of
// enrol.Flow.ConfirmPairing.
func (f *Flow) ConfirmMove(ctx context.Context, p Phone, pairing, code string) error {
	var no error
	err := f.InTx(ctx, func(s Store) error {
		now := f.Now()
		no = nil
		person, cred, err := f.changing(ctx, s, p, now)
		if err != nil {
			return err
		}
		began, err := s.PairingByID(ctx, pairing)
		if fault.IsKind(err, fault.NotFound) || err == nil && (began.Device != cred.ID || began.Person != cred.Person) {
			err = enrol.ErrPairingEnded
		}
		if err != nil {
			return err
		}
		brought, refused, err := enrol.TryPairing(ctx, s, began, code, now, p.entry(now, person, "pairing.refused", audit.Failed))
		if no = refused; err != nil || no != nil {
			return err
		}
		if err := f.replace(ctx, s, p.Caller, person, cred, brought, began.Credential, "method.moved"); err != nil {
			return err
		}
		return enrol.FinishPairing(ctx, s, began)
	})
	if err == nil {
		err = no
	}
	return err
}

// replace puts a phone in the place of an old one, whatever that one was on hold for included: the old one with all that
// is on it is no method any more, and whoever was in with it is out.
func (f *Flow) replace(ctx context.Context, s Store, c Caller, person people.Person, old method.Credential, b enrol.Brought, id, act string) error {
	now := f.Now()
	gone, err := s.RemoveCredential(ctx, old.Person, old.ID)
	if err == nil && !gone {
		err = errUnknown
	}
	if err != nil {
		return err
	}
	made := method.Credential{ID: id, Person: old.Person, Name: b.Label, HeldUntil: old.HeldUntil, Created: now}
	if err := enrol.AddPhone(ctx, s, b, made, app.Limit); err != nil {
		return err
	}
	ended, err := signin.EndEverything(ctx, s, person.ID)
	if err != nil {
		return err
	}
	s.Wake(signin.RequestsTopic(old.Person))
	e := c.entry(now, person, act, audit.Done)
	e.Object, e.Detail["method"], e.Detail["before"], e.Detail["sessions"] = id, string(method.App), old.ID, strconv.Itoa(ended)
	if err := s.Record(ctx, e); err != nil {
		return err
	}
	return signin.Tell(ctx, s, c.signin(), now, person, act, map[string]string{"method": string(method.App), "label": made.Name, "before": old.Name})
}

// restoring is what Opening.State holds of a restoring.
type restoring struct {
	ID     string `json:"i"`
	Unlock []byte `json:"k"`
}

// OpenRestore asks for the platform passkey of a phone that lost its storage; Restore gives it a new key.
func (f *Flow) OpenRestore(context.Context, Caller) (Opening, error) {
	m, err := f.app()
	if err != nil {
		return Opening{}, err
	}
	now := f.Now()
	prompt, err := m.OfferRestore(now)
	if err != nil {
		return Opening{}, err
	}
	out := Opening{Expires: now.Add(signin.PromptFor), Unlock: Unlock{Required: true, Options: prompt.Public}}
	out.State, err = f.Box.Pack("device.restore", "", restoring{secret.Token(16).Reveal(), prompt.State}, out.Expires)
	return out, err
}

// Restore puts a new key and passcode in the place of the lost ones. fault BadInput "restore.invalid", "pairing.key",
// Conflict "pairing.key_taken".
func (f *Flow) Restore(ctx context.Context, c Caller, in Claim) (Claimed, error) {
	m, err := f.app()
	if err != nil {
		return Claimed{}, err
	}
	var open restoring
	if err := f.Box.Unpack("device.restore", "", in.State, f.Now(), &open); err != nil {
		return Claimed{}, errRestore
	}
	sum := sha256.Sum256([]byte(in.State))
	key, err := f.provenKey(in, RestoreType, "state", base64.RawURLEncoding.EncodeToString(sum[:]))
	if err != nil {
		return Claimed{}, err
	}
	owner := app.Claims(in.Unlock)
	var owned []method.Credential
	err = f.View(ctx, func(s Store) (err error) {
		if owner != "" {
			owned, err = s.CredentialsOf(ctx, owner)
		}
		return err
	})
	if err != nil {
		return Claimed{}, err
	}
	lost, state, reason := m.Restore(owned, open.Unlock, in.Unlock, key, f.Now())
	if reason != "" {
		err := f.InTx(ctx, func(s Store) error { return f.recordStranger(ctx, s, "method.restored", reason) })
		if err == nil {
			err = errRestore.Because(errors.New(reason))
		}
		return Claimed{}, err
	}
	b := enrol.Brought{Handle: key.Thumbprint(), State: state, Label: enrol.Label(in.Name, lost.Name)}
	out, err := f.handOver(&b)
	if err != nil {
		return Claimed{}, err
	}
	out.Account = lost.Person
	return out, f.InTx(ctx, func(s Store) error { return f.restored(ctx, s, c, open, lost, b) })
}

func (f *Flow) restored(ctx context.Context, s Store, c Caller, open restoring, lost method.Credential, b enrol.Brought) error {
	now := f.Now()
	first, err := s.SpendOnce(ctx, secret.Hash("device restore|"+open.ID), now.Add(signin.PromptFor))
	if err == nil && !first {
		err = errRestore
	}
	if err != nil {
		return err
	}
	person, still, err := device(ctx, s, lost.Handle)
	if err == nil && (still.ID != lost.ID || still.Version != lost.Version) || errors.Is(err, errUnknown) {
		err = errRestore
	}
	if err != nil {
		return err
	}
	return f.replace(ctx, s, c, person, still, b, secret.NewID(now), "method.restored")
}

// Leave removes the phone itself; fault Conflict "method.last" where its owner could not sign in any more.
func (f *Flow) Leave(ctx context.Context, p Phone) error {
	return f.InTx(ctx, func(s Store) error {
		now := f.Now()
		person, cred, err := f.changing(ctx, s, p, now)
		if err != nil {
			return err
		}
		// The person's version and their sessions first: of two phones, or a phone and a page, that remove methods at once,
		// one waits for the other, and then sees what is left.
		changed := person
		changed.Updated = now
		if err := s.UpdatePerson(ctx, changed); err != nil {
			return err
		}
		ended, err := signin.EndEverything(ctx, s, person.ID)
		if err != nil {
			return err
		}
		if err := f.dispensable(ctx, s, person, cred, now); err != nil {
			return err
		}
		if _, err := s.RemoveCredential(ctx, cred.Person, cred.ID); err != nil {
			return err
		}
		s.Wake(signin.RequestsTopic(cred.Person))
		e := p.entry(now, person, "method.removed", audit.Done)
		e.Object, e.Detail["method"], e.Detail["sessions"] = cred.ID, string(method.App), strconv.Itoa(ended)
		if err := s.Record(ctx, e); err != nil {
			return err
		}
		return signin.Tell(ctx, s, p.signin(), now, person, "method.removed", map[string]string{"method": string(method.App), "label": cred.Name})
	})
}

// dispensable sees that the person can still sign in without a phone and what is on it.
func (f *Flow) dispensable(ctx context.Context, s Store, person people.Person, cred method.Credential, now time.Time) error {
	all, err := s.CredentialsOf(ctx, cred.Person)
	if err != nil {
		return err
	}
	inForce, err := s.PolicyInForce(ctx)
	if err != nil {
		return err
	}
	rest := slices.DeleteFunc(all, func(o method.Credential) bool { return o.ID == cred.ID || o.Device == cred.ID })
	if !enrol.CanSignIn(f.SignIn, inForce, person, rest, now) {
		return enrol.ErrLast
	}
	return nil
}
