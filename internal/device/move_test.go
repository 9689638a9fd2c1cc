package device_test

import (
	"crypto/sha256"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// move begins a move as the protocol says: the assertion is over the call's own JWS.
func (p *phone) move() (device.Moving, error) {
	p.t.Helper()
	call := p.call("POST", "/app/v1/move", nil)
	in, err := p.h.device.Enter(ctx, call)
	must(p.t, err)
	return p.h.device.Move(ctx, in, p.over(call.Token))
}

func TestMovingTakesTheOldPhonesPlaceInOneMoment(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, _, old := h.paired(t, "ada")
		before := h.credentials(t, ada)
		m, err := old.move()
		must(t, err)
		fresh := newPhone(t, h)
		_, err = fresh.claim(appOrigin + "/#pair=" + m.Token)
		must(t, err)
		if standing, _, err := h.device.Pairing(ctx, old.enterPairing(m.Pairing), m.Pairing); err != nil || standing != "claimed" {
			t.Errorf("the old phone sees %s %v", standing, err)
		}
		wrong := "000000"
		if fresh.claimed.Code == wrong {
			wrong = "000001"
		}
		wantCode(t, h.device.ConfirmMove(ctx, old.enter(), m.Pairing, wrong), "pairing.code_wrong")
		must(t, h.device.ConfirmMove(ctx, old.enter(), m.Pairing, fresh.claimed.Code))
		_, err = h.device.Enter(ctx, old.call("GET", "/a", nil))
		wantCode(t, err, "device.unknown")
		fresh.enter()
		after := h.credentials(t, ada)
		if len(after) != len(before) {
			t.Errorf("%d credentials were %d", len(after), len(before))
		}
		for _, c := range after {
			was := slices.ContainsFunc(before, func(b method.Credential) bool { return b.ID == c.ID })
			if was && (c.Kind == method.App || c.Device != "") {
				t.Errorf("%s of the old phone stays", c.Kind)
			}
		}
		if len(h.Sessions(ada)) != 0 || !slices.Contains(h.Notices(ada), "method.moved") || !slices.Contains(h.Acts(ada), "method.moved done") {
			t.Errorf("%d sessions, %v, %v", len(h.Sessions(ada)), h.Notices(ada), h.Acts(ada))
		}
		in := h.ask(t, ada, h.Browser())
		_, err = fresh.answer(in.id, in.number, "approve")
		must(t, err)
	})
}

func TestMovingNeedsTheOldPhonesUnlockingForItself(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		_, b, old := h.paired(t, "ada")
		_, _, eve := h.paired(t, "eve")
		for name, unlock := range map[string]json.RawMessage{"none": nil, "over something else": old.over("x"), "nonsense": []byte(`{}`)} {
			if _, err := h.device.Move(ctx, old.enter(), unlock); err == nil || fault.Of(err).Code != "request.unlock" {
				t.Errorf("%s: %v", name, err)
			}
		}
		call := old.call("POST", "/app/v1/move", nil)
		in, err := h.device.Enter(ctx, call)
		must(t, err)
		_, err = h.device.Move(ctx, in, old.over(call.Token))
		must(t, err)
		_, err = h.device.Move(ctx, in, old.over(call.Token))
		wantCode(t, err, "device.refused") // once
		// Somebody else's phone, and a page, confirm nothing of it.
		m, err := old.move()
		must(t, err)
		fresh := newPhone(t, h)
		_, err = fresh.claim(appOrigin + "/#pair=" + m.Token)
		must(t, err)
		wantCode(t, h.device.ConfirmMove(ctx, eve.enter(), m.Pairing, fresh.claimed.Code), "pairing.ended")
		_, err = h.device.EnterPairing(ctx, eve.call("GET", "/a", nil), m.Pairing)
		wantCode(t, err, "device.unknown")
		_, err = h.enrol.ConfirmPairing(ctx, b.Caller, "x", fresh.claimed.Code, "")
		wantCode(t, err, "pairing.ended")
		h.Clock.Add(10*time.Minute + time.Second)
		wantCode(t, h.device.ConfirmMove(ctx, old.enter(), m.Pairing, fresh.claimed.Code), "pairing.ended")
		old.enter()
	})
}

// A phone that is moved, or comes back, stays on hold as long as it was.
func TestMovingDoesNotShortenAHold(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, _, old := h.paired(t, "ada")
		until := h.Clock.Now().Add(7 * 24 * time.Hour).Truncate(time.Microsecond)
		must(t, h.inTx(ctx, func(s device.Store) error {
			all, err := s.CredentialsOf(ctx, string(ada.ID))
			if err != nil {
				return err
			}
			i := slices.IndexFunc(all, func(c method.Credential) bool { return c.Kind == method.App })
			if _, err := s.RemoveCredential(ctx, string(ada.ID), all[i].ID); err != nil {
				return err
			}
			all[i].HeldUntil, all[i].Version = until, 0
			return s.AddCredential(ctx, all[i])
		}))
		m, err := old.move()
		must(t, err)
		fresh := newPhone(t, h)
		_, err = fresh.claim(appOrigin + "/#pair=" + m.Token)
		must(t, err)
		must(t, h.device.ConfirmMove(ctx, old.enter(), m.Pairing, fresh.claimed.Code))
		for _, c := range h.credentials(t, ada) {
			if (c.Kind == method.App || c.Device != "") && !c.HeldUntil.Equal(until) {
				t.Errorf("%s is held until %v", c.Kind, c.HeldUntil)
			}
		}
	})
}

// restore gives the phone a new key, with its passkey.
func (p *phone) restore(by *softkey.Authenticator) (device.Claim, error) {
	p.t.Helper()
	o, err := p.h.device.OpenRestore(ctx, from())
	must(p.t, err)
	p.newKey()
	assertion, err := by.Get(o.Unlock.Options)
	must(p.t, err)
	sum := sha256.Sum256([]byte(o.State))
	in := device.Claim{State: o.State, Key: p.jwk, Unlock: assertion, Name: "Pixel 9",
		Proof: p.jws(`{"alg":"ES256","typ":"gatehouse-restore+jwt"}`, map[string]any{"state": b64(sum[:]), "aud": appOrigin, "iat": p.now()})}
	c, err := p.h.device.Restore(ctx, from(), in)
	if err == nil {
		p.claimed = c
	}
	return in, err
}

func TestALostStorageComesBackByItsPasskey(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, _, ph := h.paired(t, "ada")
		before := h.credentials(t, ada)
		lost := ph.device
		claim, err := ph.restore(ph.unlock)
		must(t, err)
		if ph.device == lost || ph.claimed.Device != ph.device || ph.claimed.Account != ph.account || ph.claimed.Code != "" || ph.claimed.Passcode.Secret.Empty() {
			t.Errorf("%+v", ph.claimed)
		}
		ph.enter()
		if after := h.credentials(t, ada); len(after) != len(before) {
			t.Errorf("%d credentials were %d", len(after), len(before))
		}
		if !slices.Contains(h.Notices(ada), "method.restored") || !slices.Contains(h.Acts(ada), "method.restored done") || len(h.Sessions(ada)) != 0 {
			t.Errorf("%v %v", h.Notices(ada), h.Acts(ada))
		}
		_, err = h.device.Restore(ctx, from(), claim)
		wantCode(t, err, "restore.invalid") // once
		in := h.ask(t, ada, h.Browser())
		_, err = ph.answer(in.id, in.number, "approve")
		must(t, err)
		// And once more, with the same passkey.
		_, err = ph.restore(ph.unlock)
		must(t, err)
		ph.enter()
	})
}

func TestARemovedPhoneDoesNotComeBack(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b, ph := h.paired(t, "ada")
		unseen := softkey.New(appOrigin)
		unseen.NotVerified = true
		for _, c := range ph.unlock.Credentials() {
			unseen.Add(c)
		}
		_, err := ph.restore(unseen)
		wantCode(t, err, "restore.invalid")
		var id string
		for _, c := range h.credentials(t, ada) {
			if c.Kind == method.App {
				id = c.ID
			}
		}
		h.prove(t, b, ada, policy.ActMethodRemove, id)
		_, err = h.enrol.RemoveMethod(ctx, b.Caller, id)
		must(t, err)
		_, err = ph.restore(ph.unlock)
		wantCode(t, err, "restore.invalid")
		stranger := softkey.New(appOrigin)
		for _, c := range ph.unlock.Credentials() {
			c.UserHandle = []byte(string(ada.ID) + ".made-up")
			stranger.Add(c)
		}
		_, err = ph.restore(stranger)
		wantCode(t, err, "restore.invalid")
	})
}

func TestLeaving(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, _, ph := h.paired(t, "ada")
		must(t, h.device.Leave(ctx, ph.enter()))
		_, err := h.device.Enter(ctx, ph.call("GET", "/a", nil))
		wantCode(t, err, "device.unknown")
		if n := len(h.credentials(t, ada)); n != 2 || len(h.Sessions(ada)) != 0 || !slices.Contains(h.Notices(ada), "method.removed") {
			t.Errorf("%d credentials, %v", n, h.Notices(ada))
		}
		// The only method beside the password is not given up from here.
		bob, _, only := h.paired(t, "bob")
		must(t, h.inTx(ctx, func(s device.Store) error {
			_, err := s.RemoveCredential(ctx, string(bob.ID), bob.Creds[method.TOTP])
			return err
		}))
		wantCode(t, h.device.Leave(ctx, only.enter()), "method.last")
		only.enter()
		in := h.ask(t, bob, h.Browser())
		_, err = only.answer(in.id, in.number, "approve")
		must(t, err)
		if s := in.b.Answer(in.ref, method.App, method.Answer{}, false); s.Kind != signin.StepDone {
			t.Errorf("step %d %v", s.Kind, s.Problem)
		}
	})
}

// Two phones that are all there is beside the password do not both leave, also at once.
func TestOfTwoPhonesOneStays(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b, one := h.paired(t, "ada")
		h.prove(t, b, ada, policy.ActMethodAdd, string(method.App))
		two := h.pair(t, b)
		must(t, h.inTx(ctx, func(s device.Store) error {
			_, err := s.RemoveCredential(ctx, string(ada.ID), ada.Creds[method.TOTP])
			return err
		}))
		var all sync.WaitGroup
		for _, in := range []device.Phone{one.enter(), two.enter()} {
			all.Go(func() {
				if err := h.device.Leave(ctx, in); err != nil && !fault.IsKind(err, fault.Conflict) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		phones := 0
		for _, c := range h.credentials(t, ada) {
			if c.Kind == method.App {
				phones++
			}
		}
		if phones != 1 {
			t.Errorf("%d phones are left", phones)
		}
	})
}
