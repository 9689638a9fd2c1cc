package enrol_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/signin/signintest"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

// passwordOnly lets a first method be registered from 192.0.2.0/24, where the tests' browsers are.
func (h house) passwordOnly(change func(*policy.FirstEnrolment)) {
	p := policy.Default()
	p.FirstEnrolment = policy.FirstEnrolment{PasswordOnly: true, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, HoldCategories: []string{"finance"}}
	if change != nil {
		change(&p.FirstEnrolment)
	}
	h.Policy(p)
}

// typed is the step after the password.
func typed(b *signintest.Browser, p *signintest.Person) signin.Step {
	return b.Type(b.Identify(b.Open(signin.Target{}).Attempt, p.Username).Attempt, signintest.Password)
}

func (h house) credentials(t *testing.T, p *signintest.Person) (all []method.Credential) {
	t.Helper()
	if err := h.inTx(ctx, func(s enrol.Store) (err error) {
		all, err = s.CredentialsOf(ctx, string(p.ID))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAFirstMethodByThePasswordAlone(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		h.passwordOnly(nil)
		ada, b, other := h.Person("ada"), h.Browser(), h.Browser()
		s := typed(b, ada)
		if s.Kind != signin.StepFirstMethod {
			t.Fatalf("%+v", s)
		}
		_, err := h.enrol.FirstByAttempt(ctx, other.Caller, s.Attempt)
		if !fault.IsKind(err, fault.Expired) {
			t.Fatal(err)
		}
		w, err := h.enrol.FirstByAttempt(ctx, b.Caller, s.Attempt)
		if err != nil || w.Purpose != enrol.PurposePasswordOnly || w.Person.ID != ada.ID || !slices.Contains(w.Kinds, method.TOTP) || !slices.Contains(w.Kinds, method.App) {
			t.Fatalf("%+v %v", w, err)
		}
		for _, kind := range []method.Kind{method.Password, method.Phone, method.Recovery} {
			if slices.Contains(w.Kinds, kind) {
				t.Errorf("%s is offered", kind)
			}
			_, err := h.enrol.OfferFirst(ctx, b.Caller, w.Ref, kind)
			wantCode(t, err, "enrol.method_unknown")
		}
		_, err = h.enrol.OfferFirstTo(ctx, b.Caller, w.Ref, method.Phone, number, "")
		wantCode(t, err, "enrol.method_unknown")
		_, err = h.enrol.OfferFirst(ctx, other.Caller, w.Ref, method.TOTP)
		wantCode(t, err, "invitation.invalid")
		if !slices.Contains(h.Notices(ada), "first.password_only") || !slices.Contains(h.Acts(ada), "invitation.self done") {
			t.Errorf("%v %v", h.Notices(ada), h.Acts(ada))
		}
		o, err := h.enrol.OfferFirst(ctx, b.Caller, w.Ref, method.TOTP)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.enrol.FinishFirst(ctx, b.Caller, w.Ref, method.TOTP, o.Sealed, "App", register(t, h, ada, o)); err != nil {
			t.Fatal(err)
		}
		all := h.credentials(t, ada)
		if len(all) != 2 || !all[0].HeldUntil.IsZero() || all[1].HeldUntil.Sub(all[1].Created).Round(time.Minute) != policy.DefaultHold {
			t.Fatalf("%+v", all)
		}
		_, err = h.enrol.OfferFirst(ctx, b.Caller, w.Ref, method.Passkey)
		wantCode(t, err, "invitation.invalid") // used up
		_, err = h.enrol.FirstByAttempt(ctx, b.Caller, s.Attempt)
		if !fault.IsKind(err, fault.Forbidden) && !fault.IsKind(err, fault.Expired) {
			t.Fatal("a second first method", err)
		}
		if s := b.SignIn(ada, signin.Target{}, false); s.Kind != signin.StepDone {
			t.Errorf("%+v", s)
		}
	})
}

// From elsewhere, after a long time, with a method or after one, where the campus does not say so or takes it back:
// refused (attack G89).
func TestG89_NoFirstMethodByThePasswordAloneWhereItIsNotSo(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		for i, tc := range []struct {
			name    string
			change  func(*policy.FirstEnrolment)
			address netip.Addr
			unused  time.Duration
		}{
			{name: "not allowed", change: func(f *policy.FirstEnrolment) { f.PasswordOnly = false }},
			{name: "nowhere", change: func(f *policy.FirstEnrolment) { f.Networks = nil }},
			{name: "another network", address: netip.MustParseAddr("198.51.100.1")},
			{name: "no network", address: netip.IPv6Unspecified()},
			{name: "dormant", unused: 91 * 24 * time.Hour},
		} {
			h.passwordOnly(tc.change)
			b := h.Browser()
			if tc.address.IsValid() {
				b.Address = tc.address
			}
			ada := h.Person("ada" + string(rune('a'+i)))
			h.Clock.Add(tc.unused)
			s := typed(b, ada)
			if s.Kind != signin.StepRefused {
				t.Errorf("%s: %+v", tc.name, s)
			}
			_, err := h.enrol.FirstByAttempt(ctx, b.Caller, s.Attempt)
			if fault.Of(err) == nil || fault.Of(err).Code != "signin.first_refused" {
				t.Errorf("%s: %v", tc.name, err)
			}
			if len(h.credentials(t, ada)) != 1 || slices.Contains(h.Notices(ada), "first.password_only") {
				t.Errorf("%s: %v", tc.name, h.Notices(ada))
			}
		}
		// A method that was taken away again leaves no way back in by the password alone.
		h.passwordOnly(nil)
		grace, b := h.Person("grace"), h.Browser()
		w, err := h.enrol.FirstByAttempt(ctx, b.Caller, typed(b, grace).Attempt)
		if err != nil {
			t.Fatal(err)
		}
		o, err := h.enrol.OfferFirst(ctx, b.Caller, w.Ref, method.TOTP)
		if err != nil {
			t.Fatal(err)
		}
		done, err := h.enrol.FinishFirst(ctx, b.Caller, w.Ref, method.TOTP, o.Sealed, "App", register(t, h, grace, o))
		if err != nil {
			t.Fatal(err)
		}
		if err := h.inTx(ctx, func(s enrol.Store) error {
			_, err := s.RemoveCredential(ctx, string(grace.ID), done.CredentialID)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		s := typed(b, grace)
		_, err = h.enrol.FirstByAttempt(ctx, b.Caller, s.Attempt)
		if s.Kind != signin.StepRefused || err == nil {
			t.Errorf("%+v %v", s, err)
		}
	})
}

// A wizard that is left leaves nothing but the notice; it ends after an hour, and with the campus' permission. Beginning
// it over and over is throttled.
func TestALeftFirstWizardLeavesNothing(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		h.passwordOnly(nil)
		ada, b := h.Person("ada"), h.Browser()
		begin := func() (enrol.Welcome, error) { return h.enrol.FirstByAttempt(ctx, b.Caller, typed(b, ada).Attempt) }
		w, err := begin()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.enrol.OfferFirst(ctx, b.Caller, w.Ref, method.Passkey); err != nil {
			t.Fatal(err)
		}
		if len(h.credentials(t, ada)) != 1 {
			t.Error("something is registered")
		}
		h.Clock.Add(enrol.FirstFor)
		_, err = h.enrol.OfferFirst(ctx, b.Caller, w.Ref, method.Passkey)
		wantCode(t, err, "invitation.invalid")

		w, err = begin() // begun again: what was left is no method that stands in its way
		if err != nil {
			t.Fatal(err)
		}
		h.passwordOnly(func(f *policy.FirstEnrolment) { f.PasswordOnly = false })
		_, err = h.enrol.OfferFirst(ctx, b.Caller, w.Ref, method.Passkey)
		wantCode(t, err, "invitation.invalid")
		h.passwordOnly(nil)
		reported := func(is bool) {
			t.Helper()
			if err := h.inTx(ctx, func(s enrol.Store) error {
				p, err := s.PersonByID(ctx, ada.ID)
				if err != nil {
					return err
				}
				p.NewPassword = is
				return s.UpdatePerson(ctx, p)
			}); err != nil {
				t.Fatal(err)
			}
		}
		reported(true)
		_, err = h.enrol.OfferFirst(ctx, b.Caller, w.Ref, method.Passkey)
		wantCode(t, err, "invitation.invalid")
		reported(false)
		for range 3 {
			if _, err := begin(); err != nil {
				t.Fatal(err)
			}
		}
		_, err = begin()
		wantCode(t, err, "enrol.first_too_many")
		if n := strings.Count(strings.Join(h.Notices(ada), " "), "first.password_only"); n != 5 {
			t.Errorf("%d notices", n)
		}
	})
}

// Recovery codes are never a first method, and a telephone number is none for administrators.
func TestWhatIsNeverFirst(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		for name, roles := range map[string][]people.Role{"member": nil, "administrator": {people.RoleAdministrator}} {
			p, secret := h.invite(t, name)
			if err := h.inTx(ctx, func(s enrol.Store) error {
				p, err := s.PersonByID(ctx, p.ID)
				if err != nil {
					return err
				}
				p.Roles = roles
				return s.UpdatePerson(ctx, p)
			}); err != nil {
				t.Fatal(err)
			}
			b := h.Browser()
			w, err := h.enrol.OpenInvitation(ctx, b.Caller, secret.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			_, err = h.enrol.OfferFirst(ctx, b.Caller, w.Ref, method.Recovery)
			wantCode(t, err, "enrol.method_unknown")
			_, err = h.enrol.OfferFirstTo(ctx, b.Caller, w.Ref, method.Phone, number, "")
			if (err == nil) != (roles == nil) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// Expiry is checked at use: one second after it nothing goes, without any cleaner having run (attack G90).
func TestG90_OneSecondLate(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		_, secret := h.invite(t, "grace") // 30 minutes
		b := h.Browser()
		w, err := h.enrol.OpenInvitation(ctx, b.Caller, secret.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		o, err := h.enrol.OfferFirst(ctx, b.Caller, w.Ref, method.Passkey)
		if err != nil {
			t.Fatal(err)
		}
		grace := &signintest.Person{Person: w.Person, Clock: h.Clock}
		answer := register(t, h, grace, o)
		h.Clock.Add(w.Expires.Add(time.Second).Sub(h.Clock.Now()))
		_, err = h.enrol.OpenInvitation(ctx, b.Caller, secret.Reveal())
		wantCode(t, err, "invitation.invalid")
		_, err = h.enrol.OfferFirst(ctx, b.Caller, w.Ref, method.Passkey)
		wantCode(t, err, "invitation.invalid")
		_, err = h.enrol.FinishFirst(ctx, b.Caller, w.Ref, method.Passkey, o.Sealed, "", answer)
		wantCode(t, err, "invitation.invalid")

		// An offer in a session: its own half hour and one second, with a proof as fresh as can be.
		ada, c := h.Person("ada", method.TOTP), h.Browser()
		c.SignIn(ada, signin.Target{}, false)
		h.prove(t, c, ada, policy.ActMethodAdd, string(method.Recovery))
		offered, err := h.enrol.OfferMethod(ctx, c.Caller, method.Recovery)
		if err != nil {
			t.Fatal(err)
		}
		h.Clock.Add(enrol.OfferFor + time.Second - 2*time.Minute)
		h.prove(t, c, ada, policy.ActMethodAdd, string(method.Recovery))
		_, err = h.enrol.AddMethod(ctx, c.Caller, method.Recovery, offered.Sealed, "", method.Answer{Text: "saved"})
		wantCode(t, err, "enrol.offer_expired")
	})
}

func TestAnInvitationByMail(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		now := h.Clock.Now()
		for _, name := range []string{"grace", "nomail"} {
			p, _ := h.invite(t, name)
			if name == "nomail" {
				p.Email = ""
			}
			var mailed bool
			if err := h.inTx(ctx, func(s enrol.Store) (err error) {
				mailed, err = enrol.InviteByMail(ctx, s, now, p, "invitation", time.Hour, "cli:test", signintest.Origin+"/welcome")
				return err
			}); err != nil || mailed == (name == "nomail") {
				t.Fatal(mailed, err)
			}
			var letters []notice.Message
			if err := h.DB.View(ctx, func(tx *store.Tx) error {
				all, err := tx.RecentMessages(ctx, 100)
				for _, m := range all {
					if m.Person == string(p.ID) {
						letters = append(letters, m)
					}
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if !mailed {
				if len(letters) != 0 {
					t.Error("mail to nobody")
				}
				continue
			}
			m := letters[0]
			if len(letters) != 1 || m.Channel != notice.Mail || m.To != p.Email || m.Kind != "invitation.mail" || m.Params["link"] != signintest.Origin+"/welcome" ||
				!m.Expires.Equal(now.Add(time.Hour)) {
				t.Errorf("%+v", m)
			}
			typed := m.Code.Reveal()
			if _, ok := enrol.TypedHash(typed); !ok {
				t.Errorf("%q is no invitation's secret", typed)
			}
			for k, v := range m.Params {
				if strings.Contains(v, typed) {
					t.Errorf("the secret stands in %s", k)
				}
			}
			if _, err := h.enrol.OpenInvitation(ctx, h.Browser().Caller, typed); err != nil {
				t.Error(err)
			}
		}
	})
}
