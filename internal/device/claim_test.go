package device_test

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

func TestAClaimMustProveItsKeyAndUnlocking(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		_, _, taken := h.paired(t, "eve")
		_, b := h.member(t, "ada")
		v, err := h.enrol.StartPairing(ctx, b.Caller)
		must(t, err)
		_, token, _ := strings.Cut(v.Link, "#pair=")
		o, err := h.device.Open(ctx, from(), token, "")
		must(t, err)
		ph := newPhone(t, h)
		header := `{"alg":"ES256","typ":"gatehouse-pairing+jwt"}`
		payload := map[string]any{"pairing": o.Pairing, "aud": appOrigin, "iat": ph.now()}
		for name, c := range map[string]struct {
			change func(*device.Claim)
			code   string
		}{
			"the first phone's key, without it": {func(c *device.Claim) { c.Key = taken.jwk }, "pairing.key"},
			"the first phone's key":             {func(c *device.Claim) { c.Key, c.Proof = taken.jwk, taken.jws(header, payload) }, "pairing.key_taken"},
			"another pairing's proof": {func(c *device.Claim) {
				c.Proof = ph.jws(header, map[string]any{"pairing": "x", "aud": appOrigin, "iat": ph.now()})
			}, "pairing.key"},
			"a proof for elsewhere": {func(c *device.Claim) {
				c.Proof = ph.jws(header, map[string]any{"pairing": o.Pairing, "aud": "https://phone.example.com", "iat": ph.now()})
			}, "pairing.key"},
			"an old proof": {func(c *device.Claim) {
				c.Proof = ph.jws(header, map[string]any{"pairing": o.Pairing, "aud": appOrigin, "iat": ph.now() - 300})
			}, "device.clock"},
			"a proof of another type": {func(c *device.Claim) { c.Proof = ph.jws(`{"alg":"ES256","typ":"gatehouse-device+jwt"}`, payload) }, "pairing.key"},
			"no key":                  {func(c *device.Claim) { c.Key = nil }, "pairing.key"},
			"no unlocking":            {func(c *device.Claim) { c.Unlock = nil }, "pairing.unlock"},
			"unlocking that is none":  {func(c *device.Claim) { c.Unlock = []byte(`{}`) }, "pairing.unlock"},
			"unlocking by nobody": {func(c *device.Claim) {
				cold := softkey.New(appOrigin)
				cold.NotVerified = true
				c.Unlock, err = cold.Create(o.Unlock.Options)
				must(t, err)
			}, "pairing.unlock"},
			"a forged state": {func(c *device.Claim) { c.State = "AAAA" }, "pairing.invalid"},
		} {
			claim := ph.claimOf(o)
			c.change(&claim)
			_, err := h.device.Claim(ctx, from(), claim)
			if err == nil || fault.Of(err).Code != c.code {
				t.Errorf("%s: %v, want %s", name, err, c.code)
			}
		}
		if _, err := ph.claim(v.Link); err != nil {
			t.Errorf("what was refused changed something: %v", err)
		}
	})
}

// Where policy lets phones without biometrics answer, one pairs and approves without unlocking; where it no longer does,
// that phone approves nothing.
func TestUnlockingIsPolicy(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		set := policy.Default()
		set.App.WithoutUnlock = true
		ada, b := h.member(t, "ada")
		h.Policy(set)
		v, err := h.enrol.StartPairing(ctx, b.Caller)
		must(t, err)
		_, token, _ := strings.Cut(v.Link, "#pair=")
		o, err := h.device.Open(ctx, from(), token, "")
		must(t, err)
		if o.Unlock.Required {
			t.Fatal("unlocking is required")
		}
		ph := newPhone(t, h)
		claim := ph.claimOf(o)
		claim.Unlock = nil
		claimed, err := h.device.Claim(ctx, from(), claim)
		must(t, err)
		ph.account = claimed.Account
		_, err = h.enrol.ConfirmPairing(ctx, b.Caller, v.Sealed, claimed.Code, "")
		must(t, err)
		in := h.ask(t, ada, h.Browser())
		h.Policy(policy.Default())
		_, err = ph.answer(in.id, in.number, "approve")
		wantCode(t, err, "request.unlock")
		_, err = h.device.Move(ctx, ph.enter(), nil)
		wantCode(t, err, "request.unlock")
		h.Policy(set)
		standing, err := ph.answer(in.id, in.number, "approve")
		if err != nil || standing != "approved" || h.challenge(t, in.id).Proof.UserVerified {
			t.Errorf("%s %v", standing, err)
		}
	})
}

// Short codes are throttled by network, and for the whole house; links, right codes and everybody else's go on.
func TestTypedCodesAreThrottled(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		_, b := h.member(t, "ada")
		v, err := h.enrol.StartPairing(ctx, b.Caller)
		must(t, err)
		if o, err := h.device.Open(ctx, from(), "", " "+strings.ToLower(v.Code)+" "); err != nil || o.Pairing != v.ID {
			t.Fatalf("%+v %v", o, err)
		}
		tooMany := 0
		for range 80 {
			_, err := h.device.Open(ctx, from(), "", "AAAA-AAAA")
			if f := fault.Of(err); f.Kind == fault.TooMany && f.RetryAfter > 0 {
				tooMany++
			} else {
				wantCode(t, err, "pairing.invalid")
			}
		}
		if tooMany == 0 {
			t.Error("codes can be guessed without end")
		}
		elsewhere := from()
		elsewhere.Address = netip.MustParseAddr("198.51.100.20")
		if _, err := h.device.Open(ctx, elsewhere, "", v.Code); err != nil {
			t.Errorf("one guesser stops everybody's codes: %v", err)
		}
		_, token, _ := strings.Cut(v.Link, "#pair=")
		if _, err := h.device.Open(ctx, from(), token, ""); err != nil {
			t.Errorf("a link is held up: %v", err)
		}
		for range 40 {
			_, err := h.device.Open(ctx, from(), secret.Token(16).Reveal(), "")
			wantCode(t, err, "pairing.invalid")
		}
		if _, err := h.device.Open(ctx, from(), token, v.Code); err == nil {
			t.Error("one of them, not both")
		}
		h.Clock.Add(2 * time.Minute)
		if _, err := h.device.Open(ctx, from(), "", v.Code); err != nil {
			t.Errorf("the budget does not fill up again: %v", err)
		}
	})
}

// Wrong codes typed at once are counted like those typed one after the other.
func TestParallelWrongCodesAreCounted(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.member(t, "ada")
		v, err := h.enrol.StartPairing(ctx, b.Caller)
		must(t, err)
		ph := newPhone(t, h)
		_, err = ph.claim(v.Link)
		must(t, err)
		var all sync.WaitGroup
		for i := range 12 {
			typed := fmt.Sprintf("%06d", i)
			if typed == ph.claimed.Code {
				continue
			}
			all.Go(func() {
				if _, err := h.enrol.ConfirmPairing(ctx, b.Caller, v.Sealed, typed, ""); err == nil {
					t.Error("a wrong code pairs")
				}
			})
		}
		all.Wait()
		n := strings.Count(strings.Join(h.Acts(ada), "\n"), "pairing.refused failed")
		if n == 0 || n > enrol.PairingTries || (n == enrol.PairingTries) != (len(h.pairings(t, ada)) == 0) {
			t.Errorf("%d codes were tried", n)
		}
	})
}
