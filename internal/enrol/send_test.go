package enrol_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/phone"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/signin/signintest"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// Numbers of the range that is kept for fiction.
const (
	number  = "+12025550123"
	number2 = "+12025550142"
)

// rebuild makes the flows anew after a change of the house's settings.
func (h *house) rebuild() {
	h.Rebuild()
	inTx, view := store.Bind[enrol.Store](h.DB)
	h.enrol = enrol.New(enrol.Deps{InTx: inTx, View: view, SignIn: h.Flow, Methods: h.Methods, Box: h.Box, Now: h.Clock.Now})
}

// texts are what was sent to telephone numbers, oldest first, as "kind number".
func (h house) texts(t *testing.T) (all []string) {
	t.Helper()
	err := h.DB.View(ctx, func(tx *store.Tx) error {
		list, err := tx.RecentMessages(ctx, 1000)
		for _, m := range slices.Backward(list) {
			if m.Channel != notice.Mail {
				all = append(all, m.Kind+" "+m.To)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// code is the newest one that was sent to p.
func (h house) code(t *testing.T, p *signintest.Person) string {
	t.Helper()
	all := h.Codes(p)
	if len(all) == 0 {
		t.Fatal("no code was sent")
	}
	return all[len(all)-1].Code.Reveal()
}

// wrong is a code that is not the right one.
func wrong(code string) method.Answer {
	if code == "000000" {
		return method.Answer{Text: "000001"}
	}
	return method.Answer{Text: "000000"}
}

// addNumber proves and registers one.
func (h house) addNumber(t *testing.T, b *signintest.Browser, p *signintest.Person, number string) string {
	t.Helper()
	h.prove(t, b, p, policy.ActMethodAdd, string(method.Phone))
	o, err := h.enrol.OfferMethodTo(ctx, b.Caller, method.Phone, number, "")
	if err != nil {
		t.Fatal(err)
	}
	done, err := h.enrol.AddMethod(ctx, b.Caller, method.Phone, o.Sealed, "", method.Answer{Text: h.code(t, p)})
	if err != nil {
		t.Fatal(err)
	}
	return done.CredentialID
}

func TestANumberIsAddedByTheCodeSentToIt(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.Person("ada", method.TOTP), h.Browser()
		b.SignIn(ada, signin.Target{}, false)
		_, err := h.enrol.OfferMethodTo(ctx, b.Caller, method.Phone, number, "")
		wantCode(t, err, "enrol.proof_needed")
		if len(h.texts(t)) != 0 {
			t.Fatal("something was sent without a proof")
		}
		h.prove(t, b, ada, policy.ActMethodAdd, string(method.Phone))
		first, err := h.enrol.OfferMethod(ctx, b.Caller, method.Phone)
		if err != nil || !strings.Contains(string(first.Public), `"ask":"number"`) || len(h.texts(t)) != 0 {
			t.Fatalf("%s %v", first.Public, err)
		}
		_, err = h.enrol.OfferMethodTo(ctx, b.Caller, method.Phone, "+44 20 7946 0958", "")
		wantCode(t, err, "phone.country")
		o, err := h.enrol.OfferMethodTo(ctx, b.Caller, method.Phone, "+1 (202) 555-0123", notice.Text)
		if err != nil || !slices.Equal(h.texts(t), []string{"code.text " + number}) {
			t.Fatalf("%v %v", h.texts(t), err)
		}
		code := h.code(t, ada)
		if strings.Contains(string(o.Public)+o.Sealed, code) || strings.Contains(o.Sealed, "2025550123") {
			t.Error("the page knows the code or the number")
		}
		_, err = h.enrol.AddMethod(ctx, b.Caller, method.Phone, o.Sealed, "", wrong(code))
		wantCode(t, err, "phone.wrong")
		again, err := h.enrol.OfferMethodAgain(ctx, b.Caller, method.Phone, o.Sealed)
		if err != nil || len(h.texts(t)) != 1 || !strings.Contains(string(again.Public), `"ask":"code"`) {
			t.Fatalf("a wrong code sends another: %v %v", h.texts(t), err)
		}
		done, err := h.enrol.AddMethod(ctx, b.Caller, method.Phone, again.Sealed, "", method.Answer{Text: code})
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.enrol.AddMethod(ctx, b.Caller, method.Phone, o.Sealed, "", method.Answer{Text: code})
		wantCode(t, err, "enrol.proof_needed") // consumed
		all := methods(t, h, b).Methods
		i := slices.IndexFunc(all, func(c method.Credential) bool { return c.ID == done.CredentialID })
		if i < 0 || all[i].Name != "•••• 123" || !slices.Contains(h.Notices(ada), "method.added") || !slices.Contains(h.Acts(ada), "code.sent done") {
			t.Errorf("%+v %v", all, h.Acts(ada))
		}
	})
}

// NHS-07: whoever held a number hears of every change, also the number that goes.
func TestNumbersHearOfEachOther(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.Person("ada", method.TOTP), h.Browser()
		b.SignIn(ada, signin.Target{}, false)
		first := h.addNumber(t, b, ada, number)
		h.addNumber(t, b, ada, number2)
		if got := h.texts(t); !slices.Equal(got, []string{"code.text " + number, "code.text " + number2, "phone.changed " + number}) {
			t.Fatal(got)
		}
		h.prove(t, b, ada, policy.ActMethodAdd, string(method.Phone))
		_, err := h.enrol.OfferMethodTo(ctx, b.Caller, method.Phone, "+12025550177", "")
		wantCode(t, err, "method.limit")
		h.prove(t, b, ada, policy.ActMethodRemove, first)
		if _, err := h.enrol.RemoveMethod(ctx, b.Caller, first); err != nil {
			t.Fatal(err)
		}
		got := h.texts(t)[3:]
		slices.Sort(got)
		if !slices.Equal(got, []string{"phone.changed " + number, "phone.changed " + number2}) || !slices.Contains(h.Notices(ada), "method.removed") {
			t.Error(got)
		}
	})
}

// A number in the request is not the number: what the answer says besides the code is not read (attack G55), and an
// offer for one number is no way to another.
func TestG55_TheNumberComesFromTheSealedOffer(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.Person("ada", method.TOTP), h.Browser()
		b.SignIn(ada, signin.Target{}, false)
		h.prove(t, b, ada, policy.ActMethodAdd, string(method.Phone))
		o, err := h.enrol.OfferMethodTo(ctx, b.Caller, method.Phone, number, "")
		if err != nil {
			t.Fatal(err)
		}
		made, _ := json.Marshal(map[string]any{"number": number2, "n": number2, "verified": true, "r": map[string]string{"n": number2}})
		_, err = h.enrol.AddMethod(ctx, b.Caller, method.Phone, string(made), "", method.Answer{Text: h.code(t, ada), JSON: made})
		wantCode(t, err, "enrol.offer_expired")
		if _, err := h.enrol.AddMethod(ctx, b.Caller, method.Phone, o.Sealed, number2, method.Answer{Text: h.code(t, ada), JSON: made}); err != nil {
			t.Fatal(err)
		}
		var stored []method.Credential
		if err := h.inTx(ctx, func(s enrol.Store) (err error) {
			stored, err = s.CredentialsOf(ctx, string(ada.ID))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		m := h.Methods[method.Phone].(*phone.Method)
		for _, c := range stored {
			if to, ok := m.Reach(c); c.Kind == method.Phone && (!ok || to.Address != number) {
				t.Errorf("registered %+v", to)
			}
		}
	})
}

// A code that was sent again ends the one before; another browser, another person and eleven minutes end it too; five
// wrong ones end it for the right one (attack G34).
func TestG34_ACodeToANewNumber(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		person, typed := h.invite(t, "grace")
		grace := &signintest.Person{Person: person}
		b, other := h.Browser(), h.Browser()
		w, err := h.enrol.OpenInvitation(ctx, b.Caller, typed.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		ask := func() (enrol.Offer, string) {
			t.Helper()
			h.Clock.Add(time.Second)
			o, err := h.enrol.OfferFirstTo(ctx, b.Caller, w.Ref, method.Phone, number, "")
			if err != nil {
				t.Fatal(err)
			}
			return o, h.code(t, grace)
		}
		finish := func(b *signintest.Browser, o enrol.Offer, a method.Answer) error {
			_, err := h.enrol.FinishFirst(ctx, b.Caller, w.Ref, method.Phone, o.Sealed, "", a)
			return err
		}
		old, oldCode := ask()
		newest, code := ask()
		wantCode(t, finish(b, old, method.Answer{Text: oldCode}), "enrol.code_replaced")
		if oldCode != code {
			wantCode(t, finish(b, newest, method.Answer{Text: oldCode}), "phone.wrong")
		}
		wantCode(t, finish(other, newest, method.Answer{Text: code}), "invitation.invalid")
		h.Clock.Add(11 * time.Minute)
		wantCode(t, finish(b, newest, method.Answer{Text: code}), "phone.expired")

		tried, code := ask()
		for range enrol.SentTries {
			wantCode(t, finish(b, tried, wrong(code)), "phone.wrong")
			again, err := h.enrol.OfferFirstAgain(ctx, b.Caller, w.Ref, method.Phone, tried.Sealed)
			if err != nil {
				t.Fatal(err)
			}
			tried = again // a fresh page does not give fresh tries
		}
		wantCode(t, finish(b, tried, method.Answer{Text: code}), "enrol.code_tries")

		last, code := ask()
		if err := finish(b, last, method.Answer{Text: code}); err != nil {
			t.Error(err)
		}
		wantCode(t, finish(b, last, method.Answer{Text: code}), "enrol.offer_expired")
	})
}

// What registering a number sends is under the same caps as signing in (attack G53), and a spent one says so.
func TestG53_CapsHoldWhileEnrolling(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		h.Gateway.Account = throttle.Limit{Burst: 3, Refill: time.Hour}
		h.rebuild()
		ada, b := h.Person("ada", method.TOTP), h.Browser()
		b.SignIn(ada, signin.Target{}, false)
		h.prove(t, b, ada, policy.ActMethodAdd, string(method.Phone))
		sent := 0
		for i := range 10 {
			_, err := h.enrol.OfferMethodTo(ctx, b.Caller, method.Phone, "+1202555014"+string(rune('0'+i)), "")
			if err == nil {
				sent++
			} else if f := fault.Of(err); f.Kind != fault.TooMany || f.RetryAfter <= 0 {
				t.Fatal(err)
			}
		}
		if sent != 3 || len(h.texts(t)) != 3 || !slices.Contains(h.Acts(ada), "code.sent refused") {
			t.Errorf("%d sent: %v", sent, h.texts(t))
		}
	})
}

// A wizard that is left leaves nothing: no pending method, no proof spent, and the invitation goes on.
func TestAnInterruptedWizardLeavesNothing(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.Person("ada", method.TOTP), h.Browser()
		b.SignIn(ada, signin.Target{}, false)
		for _, kind := range []method.Kind{method.Recovery, method.Passkey, method.TOTP, method.Phone} {
			h.prove(t, b, ada, policy.ActMethodAdd, string(kind))
			if _, err := h.enrol.OfferMethod(ctx, b.Caller, kind); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := h.enrol.OfferMethodTo(ctx, b.Caller, method.Phone, number, ""); err != nil {
			t.Fatal(err)
		}
		if all := methods(t, h, b).Methods; len(all) != 2 {
			t.Errorf("%+v", all)
		}
		for _, act := range h.Acts(ada) {
			if strings.HasPrefix(act, "method.") {
				t.Errorf("the trail says %s", act)
			}
		}
	})
}
