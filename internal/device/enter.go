package device

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/app"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// CallType is the JWS type of a signed call.
const CallType = "gatehouse-device+jwt"

// callSpentFor is how long the identity of a changing call is remembered: longer than its signature counts.
const callSpentFor = 3 * app.ClockSkew

var (
	errUnknown = fault.New(fault.Unauthenticated, "device.unknown", "This phone is not paired (any more). Pair it again.")
	errRefused = fault.New(fault.Unauthenticated, "device.refused", "The phone's signature does not fit this call. Try again.")
	errClock   = fault.New(fault.Unauthenticated, "device.clock", "The phone's clock is wrong. Set it to automatic and try again.")
)

func refused(why string) error { return errRefused.Because(errors.New(why)) }

// Enter judges a signed call. fault Unauthenticated "device.unknown" for a key that is not (or no more) in use,
// "device.clock" with {now} (Unix seconds) for one signed at another time, "device.refused" for anything else.
func (f *Flow) Enter(ctx context.Context, s Signed) (Phone, error) {
	jws, handle, err := readCall(s)
	if err != nil {
		return Phone{}, err
	}
	p := Phone{Caller: s.Caller, Device: jws.KeyID(), token: s.Token, handle: handle}
	var c method.Credential
	err = f.View(ctx, func(st Store) (err error) {
		_, c, err = device(ctx, st, handle)
		return err
	})
	if err != nil {
		return Phone{}, err
	}
	key, err := app.KeyOf(c)
	if err != nil {
		return Phone{}, err
	}
	p.Credential, p.Person, p.entered = c.ID, c.Person, c
	return f.judgeCall(p, s, jws, key)
}

// EnterPairing is Enter for the phone that claimed the pairing, whose key is in no other use yet, and for the old phone
// that began it; fault Expired "pairing.ended" where nothing is left of it.
func (f *Flow) EnterPairing(ctx context.Context, s Signed, id string) (Phone, error) {
	jws, handle, err := readCall(s)
	if err != nil {
		return Phone{}, err
	}
	var pairing enrol.Pairing
	err = f.View(ctx, func(st Store) (err error) {
		pairing, err = st.PairingByID(ctx, id)
		return err
	})
	if fault.IsKind(err, fault.NotFound) {
		err = enrol.ErrPairingEnded
	}
	if err != nil {
		return Phone{}, err
	}
	if pairing.Standing != enrol.PairingClaimed {
		return f.enterBegan(ctx, s, pairing)
	}
	brought, err := enrol.ReadBrought(pairing.Claim)
	if err != nil {
		return Phone{}, err
	}
	if !bytes.Equal(brought.Handle, handle) {
		return f.enterBegan(ctx, s, pairing)
	}
	key, err := app.KeyIn(brought.State)
	if err != nil {
		return Phone{}, err
	}
	return f.judgeCall(Phone{Caller: s.Caller, Device: jws.KeyID(), Person: pairing.Person, token: s.Token, handle: handle, pairing: id}, s, jws, key)
}

// enterBegan enters a phone that is one already: the one that began a pairing, or that it ended with.
func (f *Flow) enterBegan(ctx context.Context, s Signed, pairing enrol.Pairing) (Phone, error) {
	p, err := f.Enter(ctx, s)
	if err != nil {
		return Phone{}, err
	}
	if p.Person != pairing.Person || p.Credential != pairing.Device && (p.Credential != pairing.Credential || pairing.Standing != enrol.Paired) {
		return Phone{}, errUnknown
	}
	p.pairing = pairing.ID
	return p, nil
}

func readCall(s Signed) (jws app.JWS, handle []byte, err error) {
	jws, ok := app.ReadJWS(s.Token, CallType)
	if !ok {
		return jws, nil, refused("malformed")
	}
	if handle, ok = app.ParseThumbprint(jws.KeyID()); !ok {
		return jws, nil, refused("key id")
	}
	return jws, handle, nil
}

// judgeCall sees that key signed this very call to this very origin, now.
func (f *Flow) judgeCall(p Phone, s Signed, jws app.JWS, key app.Key) (Phone, error) {
	payload, ok := jws.Verify(key)
	if !ok {
		return Phone{}, refused("signature")
	}
	var aud, htm, htp, jti, bh string
	var iat int64
	if !app.ReadObject(payload, map[string]any{"aud": &aud, "htm": &htm, "htp": &htp, "iat": &iat, "jti": &jti}, map[string]any{"bh": &bh}) {
		return Phone{}, refused("claims")
	}
	nonce, err := base64.RawURLEncoding.DecodeString(jti)
	if err != nil || len(nonce) < 16 || len(nonce) > 64 {
		return Phone{}, refused("jti")
	}
	hash := ""
	if len(s.Body) > 0 {
		sum := sha256.Sum256(s.Body)
		hash = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if aud != f.Origin || htm != s.Method || htp != s.Path || bh != hash {
		return Phone{}, refused("another call")
	}
	if now := f.Now(); !app.Near(iat, now) {
		return Phone{}, errClock.With("now", now.Unix())
	}
	p.spend = secret.Hash("device call|" + p.Device + "|" + jti)
	return p, nil
}

// once makes a change by a signed call happen once: a call that was heard is not heard again.
func (f *Flow) once(ctx context.Context, s Store, p Phone, now time.Time) error {
	if len(p.spend) == 0 {
		return refused("not entered")
	}
	first, err := s.SpendOnce(ctx, p.spend, now.Add(callSpentFor))
	if err == nil && !first {
		err = refused("replayed")
	}
	return err
}

// changing is standing for a call that changes something: it happens once.
func (f *Flow) changing(ctx context.Context, s Store, p Phone, now time.Time) (people.Person, method.Credential, error) {
	person, c, err := p.standing(ctx, s)
	if err == nil {
		err = f.once(ctx, s, p, now)
	}
	return person, c, err
}

// device loads the credential of a phone's key and its person; errUnknown where the one is removed or the other may not
// act.
func device(ctx context.Context, s Store, handle []byte) (people.Person, method.Credential, error) {
	c, err := s.CredentialByHandle(ctx, method.App, handle)
	if fault.IsKind(err, fault.NotFound) || err == nil && c.Pending {
		err = errUnknown
	}
	if err != nil {
		return people.Person{}, method.Credential{}, err
	}
	p, err := s.PersonByID(ctx, people.ID(c.Person))
	// Whoever is invited still has a phone as soon as it is paired: there is nothing for it to answer yet.
	if err == nil && p.State != people.Active && p.State != people.Invited {
		err = errUnknown
	}
	return p, c, err
}

// standing looks again at what a Phone was entered as.
func (p Phone) standing(ctx context.Context, s Store) (people.Person, method.Credential, error) {
	if p.Credential == "" {
		return people.Person{}, method.Credential{}, errUnknown
	}
	person, c, err := device(ctx, s, p.handle)
	if err == nil && c.ID != p.Credential {
		err = errUnknown
	}
	return person, c, err
}
