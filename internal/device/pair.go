package device

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/app"
	"github.com/gatehouse-id/gatehouse/internal/method/oath"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// PairingType is the JWS type of a new key's proof.
const PairingType = "gatehouse-pairing+jwt"

// typedCodes bounds how many short codes are tried from one network, and houseCodes in the whole house: right ones are given
// back. A code has 40 bits and ten minutes; with a thousand pairings open at all times, guessing at the house's pace meets
// one in three years, and the member must still confirm what it meets. Links are never held up.
var (
	typedCodes = throttle.Limit{Burst: 60, Refill: time.Second}
	houseCodes = throttle.Limit{Burst: 600, Refill: 100 * time.Millisecond}
)

// wrongCodes bounds how many wrong links, codes and passkeys get a line in the trail.
var wrongCodes = throttle.Limit{Burst: 30, Refill: 10 * time.Second}

var (
	errPairing = fault.New(fault.BadInput, "pairing.invalid", "This code is not valid (any more). Start again where you began.")
	errClaimed = fault.New(fault.Conflict, "pairing.claimed", "Another phone has used this code already. Start again where you began.")
	errKey     = fault.New(fault.BadInput, "pairing.key", "The phone did not prove its key. Start again.")
	errUnlock  = fault.New(fault.BadInput, "pairing.unlock", "Set up a fingerprint, face or PIN on this phone and allow its use, then try again.")
)

// claiming is what Opening.State holds.
type claiming struct {
	Pairing    string `json:"p"`
	Credential string `json:"c"`
	User       string `json:"u"` // user handle of the unlocking passkey
	Unlock     []byte `json:"k"`
}

// Open looks at a pairing by its token or short code (one of them); nothing of it is changed. fault BadInput
// "pairing.invalid" for unknown, used and expired alike; TooMany "pairing.too_many" after too many.
func (f *Flow) Open(ctx context.Context, c Caller, token, code string) (Opening, error) {
	m, err := f.app()
	if err != nil {
		return Opening{}, err
	}
	var pairing enrol.Pairing
	var person people.Person
	var required bool
	var no error
	run := f.View
	if code != "" {
		run = f.InTx // a typed code takes a guess
	}
	err = run(ctx, func(s Store) (err error) {
		now := f.Now()
		pairing, no, err = f.find(ctx, s, c, token, code, now)
		if err == nil && no == nil {
			person, required, no, err = f.opened(ctx, s, pairing, now)
		}
		return err
	})
	if err == nil && errors.Is(no, errPairing) {
		err = f.InTx(ctx, func(s Store) error { return f.recordStranger(ctx, s, "pairing.opened", errPairing.Code) })
	}
	if err == nil {
		err = no
	}
	if err != nil {
		return Opening{}, err
	}
	now := f.Now()
	in := claiming{Pairing: pairing.ID, Credential: secret.NewID(now)}
	in.User = app.UserHandle(pairing.Person, in.Credential)
	prompt, err := m.OfferUnlock(in.User, method.Subject{Username: person.Username, DisplayName: person.DisplayName}, now)
	if err != nil {
		return Opening{}, err
	}
	in.Unlock = prompt.State
	state, err := f.Box.Pack("device.claim", "", in, pairing.Expires)
	return Opening{Pairing: pairing.ID, Expires: pairing.Expires, State: state, Unlock: Unlock{Required: required, Options: prompt.Public}}, err
}

// recordStranger records what somebody without a phone of ours tried in vain, sparingly.
func (f *Flow) recordStranger(ctx context.Context, s Store, act, reason string) error {
	now := f.Now()
	e := Caller{}.entry(now, people.Person{}, act, audit.Failed)
	e.Actor, e.Reason = "stranger", reason
	_, err := f.SignIn.RecordSparingly(ctx, s, now, act, wrongCodes, e)
	return err
}

// find looks a pairing up; no is why there is none. A typed code takes a guess, which is given back where it was right.
func (f *Flow) find(ctx context.Context, s Store, c Caller, token, code string, now time.Time) (p enrol.Pairing, no, err error) {
	switch {
	case token != "" && code == "":
		p, err = s.PairingByToken(ctx, enrol.PairingTokenHash(secret.NewString(token)))
	case code != "" && token == "":
		return f.findTyped(ctx, s, c, code, now)
	default:
		return p, errPairing, nil
	}
	return p, notThere(err), unlessNotFound(err)
}

// findTyped counts against the caller's network first: who guesses from there spends the house's budget for nobody else.
func (f *Flow) findTyped(ctx context.Context, s Store, c Caller, code string, now time.Time) (p enrol.Pairing, no, err error) {
	budgets := []struct {
		key   []byte
		limit throttle.Limit
	}{
		{f.Keyring.Pseudonym("device.pairing.codes.network", signin.Network(c.Address.String())), typedCodes},
		{f.Keyring.Pseudonym("device.pairing.codes", ""), houseCodes},
	}
	for _, b := range budgets {
		counter, ok, err := s.ReserveGuess(ctx, b.key, throttle.Take(b.limit, now))
		if err != nil {
			return p, nil, err
		}
		if !ok {
			return p, fault.New(fault.TooMany, "pairing.too_many", "Too many codes were tried. Wait a minute, or scan the square instead.").
				After(throttle.RetryAfter(b.limit, counter, now)), nil
		}
	}
	hash, ok := enrol.PairingCodeHash(code)
	if !ok {
		return p, errPairing, nil
	}
	if p, err = s.PairingByCode(ctx, hash); err != nil {
		return p, notThere(err), unlessNotFound(err)
	}
	for _, b := range budgets {
		_, _, err = s.ReserveGuess(ctx, b.key, func(n throttle.Counter) (throttle.Counter, bool) {
			return throttle.Refund(b.limit, 1, now)(n), true
		})
		if err != nil {
			return p, nil, err
		}
	}
	return p, nil, nil
}

func notThere(err error) error {
	if fault.IsKind(err, fault.NotFound) {
		return errPairing
	}
	return nil
}

func unlessNotFound(err error) error {
	if fault.IsKind(err, fault.NotFound) {
		return nil
	}
	return err
}

// opened sees that a pairing waits for a phone, for somebody who may have one.
func (f *Flow) opened(ctx context.Context, s Store, p enrol.Pairing, now time.Time) (person people.Person, unlock bool, no, err error) {
	if !p.Live(now) || p.Standing != enrol.PairingWaiting {
		return person, false, errPairing, nil
	}
	person, err = s.PersonByID(ctx, people.ID(p.Person))
	if err != nil {
		return person, false, nil, err
	}
	if person.State != people.Active && person.State != people.Invited {
		return person, false, errPairing, nil
	}
	inForce, err := s.PolicyInForce(ctx)
	return person, !inForce.App.WithoutUnlock, nil, err
}

// Claim brings a phone to a pairing: the first one wins, any other is fault Conflict "pairing.claimed".
func (f *Flow) Claim(ctx context.Context, c Caller, in Claim) (Claimed, error) {
	var open claiming
	if err := f.Box.Unpack("device.claim", "", in.State, f.Now(), &open); err != nil {
		return Claimed{}, errPairing
	}
	key, err := f.provenKey(in, PairingType, "pairing", open.Pairing)
	if err != nil {
		return Claimed{}, err
	}
	brought, out, err := f.brought(in, key, open)
	if err != nil {
		return Claimed{}, err
	}
	if out.Code, err = enrol.NewPhoneCode(); err != nil {
		return Claimed{}, err
	}
	claim, err := json.Marshal(brought)
	if err != nil {
		return Claimed{}, err
	}
	err = f.InTx(ctx, func(s Store) error {
		p, err := f.claimable(ctx, s, open.Pairing, brought)
		if err != nil {
			return err
		}
		person, unlock, no, err := f.opened(ctx, s, p, f.Now())
		if err == nil && no == nil && unlock && !app.Unlocks(method.Credential{State: brought.State}) {
			no = errUnlock
		}
		if err == nil {
			err = no
		}
		if err != nil {
			return err
		}
		p.Standing, p.Claim, p.PhoneCode, p.Credential = enrol.PairingClaimed, claim, out.Code, open.Credential
		if err := s.UpdatePairing(ctx, p); err != nil {
			return claimedMeanwhile(err)
		}
		out.Account, out.Expires = p.Person, p.Expires
		s.Wake(enrol.PairingTopic(p.ID))
		e := c.entry(f.Now(), person, "pairing.claimed", audit.Done)
		e.Actor, e.Object, e.Detail["credential"] = "stranger", p.ID, p.Credential
		return s.Record(ctx, e)
	})
	if err != nil {
		return Claimed{}, err
	}
	return out, nil
}

func claimedMeanwhile(err error) error {
	if fault.IsKind(err, fault.Conflict) {
		return errClaimed
	}
	return err
}

// claimable loads a pairing that waits for its first phone, whose key is in no use yet.
func (f *Flow) claimable(ctx context.Context, s Store, id string, b enrol.Brought) (enrol.Pairing, error) {
	p, err := s.PairingByID(ctx, id)
	switch {
	case fault.IsKind(err, fault.NotFound):
		return p, errPairing
	case err != nil:
		return p, err
	case p.Standing == enrol.PairingClaimed || p.Standing == enrol.Paired:
		return p, errClaimed
	}
	_, err = s.CredentialByHandle(ctx, method.App, b.Handle)
	if err == nil {
		return p, enrol.ErrKeyTaken
	}
	return p, unlessNotFound(err)
}

// provenKey reads a new key and sees that whoever brings it has it: what must say about.
func (f *Flow) provenKey(in Claim, typ, what, about string) (app.Key, error) {
	key, err := app.ParseKey(in.Key)
	if err != nil {
		return key, errKey.Because(err)
	}
	jws, ok := app.ReadJWS(in.Proof, typ)
	if !ok {
		return key, errKey
	}
	payload, ok := jws.Verify(key)
	var is, aud string
	var iat int64
	if !ok || !app.ReadObject(payload, map[string]any{what: &is, "aud": &aud, "iat": &iat}, nil) || is != about || aud != f.Origin {
		return key, errKey
	}
	if now := f.Now(); !app.Near(iat, now) {
		return key, errClock.With("now", now.Unix())
	}
	return key, nil
}

// brought judges what a phone brings and makes its passcode secret.
func (f *Flow) brought(in Claim, key app.Key, open claiming) (enrol.Brought, Claimed, error) {
	m, err := f.app()
	if err != nil {
		return enrol.Brought{}, Claimed{}, err
	}
	b := enrol.Brought{Handle: key.Thumbprint(), Label: enrol.Label(in.Name, "Phone")}
	if b.State, err = m.Pair(key, open.User, open.Unlock, in.Unlock, f.Now()); err != nil {
		return b, Claimed{}, errUnlock.Because(err)
	}
	out, err := f.handOver(&b)
	return b, out, err
}

// handOver gives a phone its name and a passcode secret of its own.
func (f *Flow) handOver(b *enrol.Brought) (Claimed, error) {
	out := Claimed{Device: thumbprint(b.Handle)}
	m, ok := f.Methods[method.TOTP].(*oath.Method)
	if !ok {
		return out, nil
	}
	issued, err := m.Issue()
	b.Passcode = issued.State
	out.Passcode = Passcode{Secret: issued.Secret, Algorithm: string(issued.Algorithm), Digits: issued.Digits, Period: issued.Period}
	return out, err
}

// Pairing gives the standing of a pairing ("claimed", "paired", "ended") to the phone that claimed it or to the old one
// that began it ("waiting" too), and the topic to wait on. p comes from EnterPairing.
func (f *Flow) Pairing(ctx context.Context, p Phone, id string) (standing, topic string, err error) {
	if p.pairing != id || id == "" {
		return "", "", errUnknown
	}
	var pairing enrol.Pairing
	err = f.View(ctx, func(s Store) (err error) {
		pairing, err = s.PairingByID(ctx, id)
		return err
	})
	if fault.IsKind(err, fault.NotFound) {
		pairing, err = enrol.Pairing{}, nil
	}
	if err != nil {
		return "", "", err
	}
	standing = "ended"
	switch {
	case pairing.Standing == enrol.Paired:
		standing = "paired"
	case !pairing.Live(f.Now()):
	case pairing.Standing == enrol.PairingWaiting:
		standing = "waiting"
	case pairing.Standing == enrol.PairingClaimed:
		standing = "claimed"
	}
	return standing, enrol.PairingTopic(id), nil
}

// CancelPairing ends a pairing for the phone that claimed it or began it, and leaves nothing of it; one that is over
// already is no error. p comes from EnterPairing.
func (f *Flow) CancelPairing(ctx context.Context, p Phone, id string) error {
	if p.pairing != id || id == "" {
		return errUnknown
	}
	return f.InTx(ctx, func(s Store) error {
		now := f.Now()
		if err := f.once(ctx, s, p, now); err != nil {
			return err
		}
		pairing, err := s.PairingByID(ctx, id)
		if fault.IsKind(err, fault.NotFound) || err == nil && pairing.Standing == enrol.Paired {
			return nil
		}
		if err != nil {
			return err
		}
		person, err := s.PersonByID(ctx, people.ID(pairing.Person))
		if err != nil {
			return err
		}
		e := p.entry(now, person, "pairing.cancelled", audit.Done)
		if p.Credential == "" {
			e.Actor = "stranger"
		}
		return enrol.EndPairing(ctx, s, pairing, e)
	})
}
