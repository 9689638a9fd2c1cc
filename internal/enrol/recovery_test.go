package enrol_test

import (
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/recovery"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/signin/signintest"
)

// paper proves, makes a set of recovery codes and gives what was written down.
func (h house) paper(t *testing.T, b *signintest.Browser, p *signintest.Person) []string {
	t.Helper()
	h.prove(t, b, p, policy.ActMethodAdd, string(method.Recovery))
	o, err := h.enrol.OfferMethod(ctx, b.Caller, method.Recovery)
	if err != nil {
		t.Fatal(err)
	}
	var offered recovery.Offered
	if err := json.Unmarshal(o.Public, &offered); err != nil {
		t.Fatal(err)
	}
	if _, err := h.enrol.AddMethod(ctx, b.Caller, method.Recovery, o.Sealed, "", method.Answer{Text: recovery.Saved}); err != nil {
		t.Fatal(err)
	}
	return offered.Codes
}

// atRecovery is a new browser in which p has typed the password and chosen a recovery code.
func (h house) atRecovery(t *testing.T, p *signintest.Person) (*signintest.Browser, string) {
	t.Helper()
	b := h.Browser()
	s := b.Type(b.Identify(b.Open(signin.Target{}).Attempt, p.Username).Attempt, signintest.Password)
	s = b.Choose(s.Attempt, method.Recovery)
	if s.Kind != signin.StepProve || s.Method != method.Recovery {
		t.Fatalf("%+v", s)
	}
	return b, s.Attempt
}

func TestRecoveryCodesAreASetThatIsReplaced(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.Person("ada", method.TOTP), h.Browser()
		b.SignIn(ada, signin.Target{}, false)
		if o := methods(t, h, b); !o.OneDevice || o.RecoveryLeft != 0 {
			t.Errorf("one app alone: %v %d", o.OneDevice, o.RecoveryLeft)
		}
		old := h.paper(t, b, ada)
		if o := methods(t, h, b); o.OneDevice || o.RecoveryLeft != recovery.Codes || o.LeadNow != method.TOTP {
			t.Errorf("with codes: %v %d %s", o.OneDevice, o.RecoveryLeft, o.LeadNow)
		}
		other, ref := h.atRecovery(t, ada)
		if s := other.Answer(ref, method.Recovery, method.Answer{Text: old[0]}, false); s.Kind != signin.StepDone {
			t.Fatalf("%+v", s)
		}
		if o := methods(t, h, b); o.RecoveryLeft != recovery.Codes-1 || !slices.Contains(h.Notices(ada), "recovery.used") {
			t.Errorf("%d left, told %v", o.RecoveryLeft, h.Notices(ada))
		}
		fresh := h.paper(t, b, ada) // in the place of the old, though the limit is one
		o := methods(t, h, b)
		if sets := slices.DeleteFunc(o.Methods, func(c method.Credential) bool { return c.Kind != method.Recovery }); len(sets) != 1 || o.RecoveryLeft != recovery.Codes {
			t.Errorf("%d sets, %d left", len(sets), o.RecoveryLeft)
		}
		another, ref := h.atRecovery(t, ada)
		if s := another.Answer(ref, method.Recovery, method.Answer{Text: old[1]}, false); s.Kind != signin.StepProve {
			t.Errorf("an old code: %+v", s)
		}
		if s := another.Answer(ref, method.Recovery, method.Answer{Text: fresh[1]}, false); s.Kind != signin.StepDone {
			t.Errorf("a new code: %+v", s)
		}
	})
}

// One code fifty times in parallel signs one browser in (attack G37).
func TestG37_ARecoveryCodeIsSpentOnce(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.Person("ada", method.TOTP), h.Browser()
		b.SignIn(ada, signin.Target{}, false)
		code := h.paper(t, b, ada)[4]
		before := len(h.Sessions(ada))
		const n = 8 // the budget of guesses lets ten through at once
		var all sync.WaitGroup
		var mu sync.Mutex
		done := 0
		for range n {
			one, ref := h.atRecovery(t, ada)
			all.Go(func() {
				s, err := h.Flow.Answer(ctx, one.Caller, ref, method.Recovery, method.Answer{Text: code}, false)
				if err != nil && !fault.IsKind(err, fault.Conflict) {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if s.Kind == signin.StepDone {
					done++
				}
			})
		}
		all.Wait()
		if done != 1 || len(h.Sessions(ada)) != before+1 {
			t.Errorf("%d signed in, %d sessions more", done, len(h.Sessions(ada))-before)
		}
		if o := methods(t, h, b); o.RecoveryLeft != recovery.Codes-1 {
			t.Errorf("%d left", o.RecoveryLeft)
		}
	})
}

// A stock that runs out is no way to live on, and neither it nor a number leads.
func TestRecoveryCodesAreNoLastMethodAndNeverLead(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.Person("ada", method.TOTP, method.Phone), h.Browser()
		b.SignIn(ada, signin.Target{}, false)
		h.paper(t, b, ada)
		for _, kind := range []method.Kind{method.Recovery, method.Phone} {
			h.prove(t, b, ada, policy.ActMethodLead, string(kind))
			_, err := h.enrol.SetLead(ctx, b.Caller, kind)
			wantCode(t, err, "method.cannot_lead")
		}
		h.prove(t, b, ada, policy.ActMethodRemove, ada.Creds[method.Phone])
		done, err := h.enrol.RemoveMethod(ctx, b.Caller, ada.Creds[method.Phone])
		if err != nil {
			t.Fatal(err)
		}
		b.Keep(done.SetSession, done.SetRemembered)
		h.prove(t, b, ada, policy.ActMethodRemove, ada.Creds[method.TOTP])
		_, err = h.enrol.RemoveMethod(ctx, b.Caller, ada.Creds[method.TOTP])
		wantCode(t, err, "method.last")
	})
}

// A device goes with all that is on it, and its phone learns at once.
func TestAnAppTakesItsPasscodesWithIt(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.Person("ada", method.Passkey, method.App), h.Browser()
		err := h.inTx(ctx, func(s enrol.Store) error {
			return s.AddCredential(ctx, method.Credential{ID: "codes", Person: string(ada.ID), Kind: method.TOTP, Name: "Pixel", State: []byte("{}"),
				Device: ada.Creds[method.App], Created: h.Clock.Now()})
		})
		if err != nil {
			t.Fatal(err)
		}
		b.SignIn(ada, signin.Target{}, false)
		if o := methods(t, h, b); o.OneDevice {
			t.Error("a passkey and a phone are two things")
		}
		h.prove(t, b, ada, policy.ActMethodRemove, ada.Creds[method.App])
		done, err := h.enrol.RemoveMethod(ctx, b.Caller, ada.Creds[method.App])
		if err != nil {
			t.Fatal(err)
		}
		b.Keep(done.SetSession, done.SetRemembered)
		o := methods(t, h, b)
		if len(o.Methods) != 2 || slices.ContainsFunc(o.Methods, func(c method.Credential) bool { return c.Kind == method.App || c.Kind == method.TOTP }) {
			t.Errorf("%+v", o.Methods)
		}
		if !o.OneDevice {
			t.Error("one passkey is one thing")
		}
	})
}

func ofKind(all []method.Credential, kind method.Kind) []method.Credential {
	return slices.DeleteFunc(slices.Clone(all), func(c method.Credential) bool { return c.Kind != kind })
}

// The app with its passcodes is one thing, and passcodes on a device are not counted against the limit of apps.
func TestWhatLiesOnADeviceIsTheDevices(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.Person("ada", method.TOTP), h.Browser()
		b.SignIn(ada, signin.Target{}, false)
		h.Enrol(ada, method.App)
		err := h.inTx(ctx, func(s enrol.Store) error {
			all, err := s.CredentialsOf(ctx, string(ada.ID))
			if err != nil {
				return err
			}
			codes := ofKind(all, method.TOTP)[0]
			if _, err := s.RemoveCredential(ctx, string(ada.ID), codes.ID); err != nil {
				return err
			}
			for i := range 5 { // the one that signed in, and more, lie on the phone
				codes.Device = ada.Creds[method.App]
				if err := s.AddCredential(ctx, codes); err != nil {
					return err
				}
				codes.ID = "more-" + string(rune('a'+i))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		o := methods(t, h, b)
		if !o.OneDevice {
			t.Error("an app and its passcodes are one thing")
		}
		i := slices.IndexFunc(o.Addable, func(a enrol.Addable) bool { return a.Kind == method.TOTP })
		if i < 0 || o.Addable[i].Reason != "" {
			t.Errorf("%+v", o.Addable)
		}
	})
}

// A session that proved little, or nothing lately, changes nothing, with the new kinds neither: it is asked at the
// account's level first (attack G75).
func TestG75_ALowSessionTouchesNoMethod(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		p := policy.Default()
		p.Rules[0].Grant.Strength = policy.StrengthAny
		h.Policy(p)
		ada, b := h.Person("ada", method.TOTP, method.Phone), h.Browser()
		s := b.Type(b.Identify(b.Open(signin.Target{}).Attempt, "ada").Attempt, signintest.Password)
		if s.Kind != signin.StepDone {
			t.Fatalf("%+v", s)
		}
		before := h.texts(t)
		_, e1 := h.enrol.OfferMethod(ctx, b.Caller, method.Recovery) // regenerate
		_, e2 := h.enrol.AddMethod(ctx, b.Caller, method.Recovery, "", "", method.Answer{Text: recovery.Saved})
		_, e3 := h.enrol.OfferMethodTo(ctx, b.Caller, method.Phone, number, "")
		_, e4 := h.enrol.AddMethod(ctx, b.Caller, method.Phone, "", "", method.Answer{Text: "123456"})
		_, e5 := h.enrol.RemoveMethod(ctx, b.Caller, ada.Creds[method.Phone])
		_, e6 := h.enrol.RenameMethod(ctx, b.Caller, ada.Creds[method.Phone], "mine")
		_, e7 := h.enrol.SetLead(ctx, b.Caller, method.TOTP)
		_, e8 := h.enrol.StartPairing(ctx, b.Caller)
		for i, err := range []error{e1, e2, e3, e4, e5, e6, e7, e8} {
			if fault.Of(err) == nil || fault.Of(err).Code != "enrol.proof_needed" {
				t.Errorf("act %d: %v", i+1, err)
			}
		}
		if !slices.Equal(h.texts(t), before) {
			t.Error("something was sent")
		}
		// The password again is not enough to prove the act.
		h.Clock.Add(10 * time.Minute)
		for _, act := range []enrol.Act{{Act: policy.ActMethodAdd, Object: string(method.Recovery)}, {Act: policy.ActMethodAdd, Object: string(method.Phone)},
			{Act: policy.ActMethodRemove, Object: ada.Creds[method.Phone]}} {
			act.Return = "/security"
			needed, err := h.enrol.Needs(ctx, b.Caller, act)
			if err != nil || needed == nil {
				t.Fatal(needed, err)
			}
			s := b.Open(needed.Target)
			for s.Kind == signin.StepProve && s.Method == method.Password {
				s = b.Type(s.Attempt, signintest.Password)
			}
			if s.Kind == signin.StepDone {
				t.Errorf("%s %s with a password", act.Act, act.Object)
			}
		}
	})
}
