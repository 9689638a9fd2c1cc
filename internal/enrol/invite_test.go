package enrol_test

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/signin/signintest"
)

func (h house) invite(t *testing.T, name string) (people.Person, secret.String) {
	t.Helper()
	now := h.Clock.Now()
	p := people.Person{ID: people.ID(secret.NewID(now)), Username: name, Email: name + "@example.ac.uk", State: people.Invited, Created: now, Updated: now}
	var typed secret.String
	err := h.inTx(ctx, func(s enrol.Store) (err error) {
		if err = s.AddPerson(ctx, p); err != nil {
			return err
		}
		typed, err = enrol.Invite(ctx, s, now, p.ID, "invitation", 30*time.Minute, "cli:test")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, typed
}

// A typing error while adding an app does not change the secret that the app holds; another browser's or a made-up
// offer is no way to one.
func TestOfferAfterAWrongCode(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		_, typed := h.invite(t, "grace")
		b := h.Browser()
		w, err := h.enrol.OpenInvitation(ctx, b.Caller, typed.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		first, err := h.enrol.OfferFirst(ctx, b.Caller, w.Ref, method.TOTP)
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.enrol.FinishFirst(ctx, b.Caller, w.Ref, method.TOTP, first.Sealed, "App", method.Answer{Text: "000000"})
		wantCode(t, err, "totp.wrong")
		again, err := h.enrol.OfferFirstAgain(ctx, b.Caller, w.Ref, method.TOTP, first.Sealed)
		if err != nil || !bytes.Equal(again.Public, first.Public) {
			t.Error("the secret changed", err)
		}
		for _, sealed := range []string{"", "x", w.Ref} {
			if other, err := h.enrol.OfferFirstAgain(ctx, b.Caller, w.Ref, method.TOTP, sealed); err != nil || bytes.Equal(other.Public, first.Public) {
				t.Errorf("%.10q: %v", sealed, err)
			}
		}
		phone := signintest.TOTPSecret(t, again.Public)
		code := (&signintest.Person{Phone: phone, Clock: h.Clock}).Code()
		if _, err := h.enrol.FinishFirst(ctx, b.Caller, w.Ref, method.TOTP, again.Sealed, "App", code); err != nil {
			t.Error(err)
		}
	})
}

// An invitation that set a password goes on with what comes after it, on the way back from a wizard and when its code is
// typed once more.
func TestInvitationGoesOnAfterThePassword(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		_, typed := h.invite(t, "grace")
		b := h.Browser()
		w, err := h.enrol.OpenInvitation(ctx, b.Caller, typed.Reveal())
		if err != nil || w.Second || !slices.Contains(w.Kinds, method.Password) {
			t.Fatal(w.Second, w.Kinds, err)
		}
		back, err := h.enrol.ResumeInvitation(ctx, b.Caller, w.Ref)
		if err != nil || back.Second || !slices.Equal(back.Kinds, w.Kinds) {
			t.Fatal(back.Kinds, err)
		}
		h.Clock.Add(time.Minute)
		if _, err := h.enrol.FinishFirst(ctx, b.Caller, w.Ref, method.Password, "", "", method.Answer{Text: "a long first passphrase"}); err != nil {
			t.Fatal(err)
		}
		again, err := h.enrol.OpenInvitation(ctx, b.Caller, typed.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		back, err = h.enrol.ResumeInvitation(ctx, b.Caller, again.Ref)
		if err != nil || !slices.Equal(back.Kinds, again.Kinds) {
			t.Fatal(back.Kinds, again.Kinds, err)
		}
		if !back.Second || !again.Second || !slices.Contains(again.Kinds, method.TOTP) || slices.Contains(again.Kinds, method.Password) || slices.Contains(again.Kinds, method.Phone) {
			t.Error(again.Second, again.Kinds)
		}
		_, err = h.enrol.ResumeInvitation(ctx, h.Browser().Caller, again.Ref)
		wantCode(t, err, "invitation.invalid") // another browser's
	})
}

// What an invitation offers is enough to sign in with: an app alone is not, and where a passkey is demanded nothing
// else is.
func TestInvitationOffersWhatOpensTheDoor(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		_, typed := h.invite(t, "grace")
		w, err := h.enrol.OpenInvitation(ctx, h.Browser().Caller, typed.Reveal())
		if err != nil || !slices.Equal(w.Kinds, []method.Kind{method.Passkey, method.Password}) {
			t.Error(w.Kinds, err)
		}
		p := policy.Default()
		p.Rules = append(p.Rules, policy.Rule{Name: "passkeys", State: policy.RuleOn, Grant: policy.Grant{Strength: policy.StrengthPhishingResistant}})
		h.Policy(p)
		_, typed = h.invite(t, "joan")
		w, err = h.enrol.OpenInvitation(ctx, h.Browser().Caller, typed.Reveal())
		if err != nil || !slices.Equal(w.Kinds, []method.Kind{method.Passkey}) {
			t.Error(w.Kinds, err)
		}
	})
}

func TestInvitationToAPasskey(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		p, typed := h.invite(t, "grace")
		b, other := h.Browser(), h.Browser()
		_, err := h.enrol.OpenInvitation(ctx, b.Caller, enrol.NewTyped().Reveal())
		wantCode(t, err, "invitation.invalid")
		forgiving := " " + strings.ToUpper(strings.ReplaceAll(typed.Reveal(), "-", " "))
		w, err := h.enrol.OpenInvitation(ctx, b.Caller, strings.ReplaceAll(forgiving, "0", "O"))
		if err != nil || w.Person.ID != p.ID || !slices.Contains(w.Kinds, method.Passkey) {
			t.Fatal(w, err)
		}
		if _, err := h.enrol.OpenInvitation(ctx, b.Caller, typed.Reveal()); err != nil {
			t.Fatal("the same browser may come back:", err)
		}
		_, err = h.enrol.OpenInvitation(ctx, other.Caller, typed.Reveal())
		wantCode(t, err, "invitation.invalid")
		_, err = h.enrol.OfferFirst(ctx, other.Caller, w.Ref, method.Passkey)
		wantCode(t, err, "invitation.invalid")
		offer, err := h.enrol.OfferFirst(ctx, b.Caller, w.Ref, method.Passkey)
		if err != nil {
			t.Fatal(err)
		}
		grace := &signintest.Person{Person: p, Clock: h.Clock}
		answer := register(t, h, grace, offer)
		var wg sync.WaitGroup
		var mu sync.Mutex
		done := 0
		for range 5 {
			wg.Go(func() {
				_, err := h.enrol.FinishFirst(ctx, b.Caller, w.Ref, method.Passkey, offer.Sealed, "key", answer)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					done++
				}
			})
		}
		wg.Wait()
		if done != 1 {
			t.Fatalf("used %d times", done)
		}
		_, err = h.enrol.OpenInvitation(ctx, b.Caller, typed.Reveal())
		wantCode(t, err, "invitation.invalid")
		if s := b.SignIn(grace, signin.Target{}, false); s.Kind != signin.StepDone {
			t.Fatalf("%+v", s)
		}
		if !slices.Contains(h.Acts(grace), "invitation.used done") || !slices.Contains(h.Notices(grace), "invitation.used") {
			t.Fatal(h.Acts(grace), h.Notices(grace))
		}
	})
}

func TestInvitationNeedsMoreThanAPassword(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		for i, order := range [][]method.Kind{{method.Password, method.TOTP}, {method.TOTP, method.Password}} {
			p, typed := h.invite(t, []string{"grace", "hedy"}[i])
			b := h.Browser()
			w, err := h.enrol.OpenInvitation(ctx, b.Caller, typed.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			who := &signintest.Person{Person: p, Clock: h.Clock}
			for n, kind := range order {
				answer, sealed := method.Answer{Text: signintest.Password}, ""
				if kind == method.TOTP {
					offer, err := h.enrol.OfferFirst(ctx, b.Caller, w.Ref, kind)
					if err != nil {
						t.Fatal(err)
					}
					answer, sealed = register(t, h, who, offer), offer.Sealed
				}
				if _, err := h.enrol.FinishFirst(ctx, b.Caller, w.Ref, kind, sealed, "mine", answer); err != nil {
					t.Fatal(kind, err)
				}
				_, err := h.enrol.OpenInvitation(ctx, b.Caller, typed.Reveal())
				if open := err == nil; open != (n == 0) {
					t.Fatalf("after %s: open %v", kind, open)
				}
				if told := h.Notices(who); len(told) != n+1 || told[n] != []string{"method.added", "invitation.used"}[n] {
					t.Fatalf("after %s the member was told %v", kind, told)
				}
				if state(t, h, p.ID) == people.Active != (n == 1) {
					t.Fatalf("after %s: state %d", kind, state(t, h, p.ID))
				}
			}
			if s := b.SignIn(who, signin.Target{}, false); s.Kind != signin.StepDone {
				t.Fatalf("%+v", s)
			}
		}
	})
}

func state(t *testing.T, h house, id people.ID) (s people.State) {
	t.Helper()
	err := h.inTx(ctx, func(tx enrol.Store) error {
		p, err := tx.PersonByID(ctx, id)
		s = p.State
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestInvitationEnds(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		_, typed := h.invite(t, "grace")
		b := h.Browser()
		w, err := h.enrol.OpenInvitation(ctx, b.Caller, typed.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		h.Clock.Add(30 * time.Minute)
		_, err = h.enrol.OfferFirst(ctx, b.Caller, w.Ref, method.Passkey)
		wantCode(t, err, "invitation.invalid")
		_, err = h.enrol.OpenInvitation(ctx, b.Caller, typed.Reveal())
		wantCode(t, err, "invitation.invalid")
		for range 40 {
			_, err = h.enrol.OpenInvitation(ctx, b.Caller, "no")
		}
		wantCode(t, err, "invitation.too_many")
		_, again := h.invite(t, "hedy")
		if _, err := h.enrol.OpenInvitation(ctx, b.Caller, again.Reveal()); err != nil {
			t.Fatal("a right one is never held up:", err)
		}
	})
}

func TestTypedSecret(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		s := enrol.NewTyped().Reveal()
		hash, ok := enrol.TypedHash(s)
		upper, _ := enrol.TypedHash(strings.ToUpper(s))
		if !ok || seen[s] || !bytes.Equal(hash, upper) || strings.ContainsAny(s, "oil1") {
			t.Fatal("bad secret")
		}
		seen[s] = true
	}
	if _, ok := enrol.TypedHash(strings.Repeat("-", 1<<20)); ok {
		t.Fatal("anything goes")
	}
}

func TestFirstAdministratorRegistersAPasskeyAndNothingLess(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		p, _ := h.invite(t, "root")
		var typed secret.String
		if err := h.inTx(ctx, func(s enrol.Store) (err error) {
			typed, err = enrol.Invite(ctx, s, h.Clock.Now(), p.ID, enrol.PurposeFirstAdministrator, 30*time.Minute, "cli:test")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		b := h.Browser()
		w, err := h.enrol.OpenInvitation(ctx, b.Caller, typed.Reveal())
		if err != nil || len(w.Kinds) != 1 || w.Kinds[0] != method.Passkey {
			t.Fatalf("offered %v, %v", w.Kinds, err)
		}
		if _, err := h.enrol.OfferFirst(ctx, b.Caller, w.Ref, method.TOTP); !fault.IsKind(err, fault.BadInput) {
			t.Errorf("a passcode was offered: %v", err)
		}
		if _, err := h.enrol.FinishFirst(ctx, b.Caller, w.Ref, method.Password, "", "mine", method.Answer{Text: signintest.Password}); !fault.IsKind(err, fault.BadInput) {
			t.Errorf("a password was set: %v", err)
		}
		if _, err := h.enrol.OfferFirst(ctx, b.Caller, w.Ref, method.Passkey); err != nil {
			t.Errorf("a passkey was not offered: %v", err)
		}
	})
}
