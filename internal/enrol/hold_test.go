package enrol_test

import (
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/signin/signintest"
)

// hold puts one of a person's methods on hold, as registering it with the password alone does.
func (h house) hold(t *testing.T, p *signintest.Person, kind method.Kind, until time.Time) {
	t.Helper()
	err := h.InTx(ctx, func(s signin.Store) error {
		all, err := s.CredentialsOf(ctx, string(p.ID))
		for _, c := range all {
			if c.ID != p.Creds[kind] {
				continue
			}
			if _, err := s.RemoveCredential(ctx, c.Person, c.ID); err != nil {
				return err
			}
			c.HeldUntil = until
			return s.AddCredential(ctx, c)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestG89_AHoldIsNotLiftedByASecondMethod: what a held method let in is held as long.
func TestG89_AHoldIsNotLiftedByASecondMethod(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		for _, held := range []bool{true, false} {
			name := map[bool]string{true: "ada", false: "ben"}[held]
			p, b := h.Person(name, method.TOTP), h.Browser()
			until := h.Clock.Now().Add(policy.DefaultHold).Truncate(time.Microsecond)
			if held {
				h.hold(t, p, method.TOTP, until)
			}
			b.SignIn(p, signin.Target{}, false)
			h.prove(t, b, p, policy.ActMethodAdd, string(method.Passkey))
			offer, err := h.enrol.OfferMethod(ctx, b.Caller, method.Passkey)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := softkey.New(signintest.Origin).Create(offer.Public)
			if err != nil {
				t.Fatal(err)
			}
			done, err := h.enrol.AddMethod(ctx, b.Caller, method.Passkey, offer.Sealed, "Key", method.Answer{JSON: answer})
			if err != nil {
				t.Fatal(err)
			}
			err = h.View(ctx, func(s signin.Store) error {
				all, err := s.CredentialsOf(ctx, string(p.ID))
				for _, c := range all {
					if c.ID == done.CredentialID && (held != c.HeldUntil.Equal(until) || held == c.HeldUntil.IsZero()) {
						t.Errorf("%s: held until %v, the first one until %v", name, c.HeldUntil, until)
					}
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestChangingThePasswordAnswersAReport(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.Person("ada", method.TOTP), h.Browser()
		b.SignIn(ada, signin.Target{}, false)
		err := h.InTx(ctx, func(s signin.Store) error {
			p, err := s.PersonByID(ctx, ada.ID)
			if err != nil {
				return err
			}
			p.NewPassword = true
			return s.UpdatePerson(ctx, p)
		})
		if err != nil {
			t.Fatal(err)
		}
		h.prove(t, b, ada, policy.ActPasswordChange, "")
		done, err := h.enrol.ChangePassword(ctx, b.Caller, "seven quiet herons over Leeds")
		if err != nil {
			t.Fatal(err)
		}
		b.Keep(done.SetSession, done.SetRemembered)
		if _, p, err := h.Flow.Who(ctx, b.Caller); err != nil || p.NewPassword {
			t.Fatalf("another password is asked for once more: %v %v", p.NewPassword, err)
		}
	})
}
