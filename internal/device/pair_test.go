package device_test

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/signin/signintest"
)

func TestPairingByLink(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.member(t, "ada")
		v, err := h.enrol.StartPairing(ctx, b.Caller)
		must(t, err)
		if v.Standing != enrol.PairingWaiting || !strings.HasPrefix(v.Link, appOrigin+"/#pair=") || v.QRPath == "" || len(v.Code) != 9 || v.Code[4] != '-' {
			t.Fatalf("%+v", v)
		}
		ph := newPhone(t, h)
		o, err := ph.claim(v.Link)
		must(t, err)
		if !o.Unlock.Required || len(ph.claimed.Code) != 6 || ph.claimed.Device != ph.device || ph.account != string(ada.ID) {
			t.Fatalf("%+v", ph.claimed)
		}
		shown, err := h.enrol.ShowPairing(ctx, b.Caller, v.Sealed)
		if err != nil || shown.Standing != enrol.PairingClaimed || shown.Phone != "Pixel 9" || shown.Link != v.Link || shown.QRPath != v.QRPath || shown.Code != v.Code {
			t.Fatalf("%+v %v", shown, err)
		}
		standing, topic, err := h.device.Pairing(ctx, ph.enterPairing(o.Pairing), o.Pairing)
		if err != nil || standing != "claimed" || topic != enrol.PairingTopic(o.Pairing) {
			t.Fatalf("%s %s %v", standing, topic, err)
		}
		_, err = h.device.Enter(ctx, ph.call("GET", "/a", nil))
		wantCode(t, err, "device.unknown") // nothing of it counts before it is confirmed
		done, err := h.enrol.ConfirmPairing(ctx, b.Caller, v.Sealed, ph.claimed.Code[:3]+" "+ph.claimed.Code[3:], "My\u202e phone\n2")
		must(t, err)
		all := h.credentials(t, ada)
		i := slices.IndexFunc(all, func(c method.Credential) bool { return c.ID == done.CredentialID })
		j := slices.IndexFunc(all, func(c method.Credential) bool { return c.Device == done.CredentialID })
		if i < 0 || j < 0 || all[i].Kind != method.App || all[i].Name != "My phone 2" || all[j].Kind != method.TOTP || b64(all[i].Handle) != ph.device {
			t.Fatalf("%+v", all)
		}
		if standing, _, err := h.device.Pairing(ctx, ph.enterPairing(o.Pairing), o.Pairing); err != nil || standing != "paired" {
			t.Errorf("%s %v", standing, err)
		}
		if shown, err = h.enrol.ShowPairing(ctx, b.Caller, v.Sealed); err != nil || shown.Standing != enrol.Paired || shown.Credential != done.CredentialID || shown.Link != "" {
			t.Errorf("%+v %v", shown, err)
		}
		if p := h.pairings(t, ada); len(p) != 1 || p[0].Claim != nil || p[0].PhoneCode != "" {
			t.Errorf("what the phone brought stays in the pairing: %+v", p)
		}
		if !slices.Contains(h.Notices(ada), "method.added") || !slices.Contains(h.Acts(ada), "method.added done") {
			t.Errorf("%v %v", h.Notices(ada), h.Acts(ada))
		}
		// Used once: not with the same code, nor without a new proof.
		_, err = h.enrol.ConfirmPairing(ctx, b.Caller, v.Sealed, ph.claimed.Code, "")
		wantCode(t, err, "pairing.ended")
		_, err = newPhone(t, h).claim(v.Link)
		wantCode(t, err, "pairing.invalid")
		_, err = h.enrol.StartPairing(ctx, b.Caller)
		wantCode(t, err, "enrol.proof_needed")
	})
}

// Attack G75, rule 6: a session alone pairs no phone, and the proof is used up by the one that is paired.
func TestG75_PairingNeedsAProofOfItsOwn(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.Person("ada", method.TOTP), h.Browser()
		b.SignIn(ada, signin.Target{}, false)
		_, err := h.enrol.StartPairing(ctx, b.Caller)
		wantCode(t, err, "enrol.proof_needed")
		h.prove(t, b, ada, policy.ActMethodAdd, string(method.TOTP)) // of another kind
		_, err = h.enrol.StartPairing(ctx, b.Caller)
		wantCode(t, err, "enrol.proof_needed")
		if len(h.pairings(t, ada)) != 0 {
			t.Error("something was begun")
		}
		h.prove(t, b, ada, policy.ActMethodAdd, string(method.App))
		v, err := h.enrol.StartPairing(ctx, b.Caller)
		must(t, err)
		ph := newPhone(t, h)
		_, err = ph.claim(v.Link)
		must(t, err)
		// The proof is taken by something else meanwhile.
		must(t, h.inTx(ctx, func(s device.Store) error {
			session := h.Sessions(ada)[0]
			_, err := s.TakeProof(ctx, session.ID, policy.ActMethodAdd, string(method.App), h.Clock.Now().Add(-time.Hour))
			return err
		}))
		_, err = h.enrol.ConfirmPairing(ctx, b.Caller, v.Sealed, ph.claimed.Code, "")
		wantCode(t, err, "enrol.proof_needed")
		for _, c := range h.credentials(t, ada) {
			if c.Kind == method.App {
				t.Error("a phone was paired")
			}
		}
	})
}

// Whoever has the code of somebody else's phone, or the sealed page of another browser or session, pairs nothing.
func TestAPairingIsConfirmedByWhoBeganIt(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.member(t, "ada")
		v, err := h.enrol.StartPairing(ctx, b.Caller)
		must(t, err)
		eve, other := h.member(t, "eve")
		evil, err := h.enrol.StartPairing(ctx, other.Caller)
		must(t, err)
		ph := newPhone(t, h)
		_, err = ph.claim(v.Link)
		must(t, err)
		mixed := other.Caller
		mixed.Browser = b.Browser // her session in his browser
		elsewhere := b.Caller
		elsewhere.Browser = secret.Token(32)
		again := *b
		again.Session = secret.NewString("")
		again.SignIn(ada, signin.Target{}, false) // another session of the same member in the same browser
		signedOut := b.Caller
		signedOut.Session = secret.NewString("")
		for name, c := range map[string]signin.Caller{"another person": other.Caller, "another person's session here": mixed, "another browser": elsewhere, "another session": again.Caller, "no session": signedOut} {
			if _, err := h.enrol.ConfirmPairing(ctx, c, v.Sealed, ph.claimed.Code, ""); err == nil {
				t.Errorf("%s confirmed", name)
			}
			if _, err := h.enrol.ShowPairing(ctx, c, v.Sealed); err == nil {
				t.Errorf("%s was shown it", name)
			}
			if err := h.enrol.CancelPairing(ctx, c, v.Sealed); err == nil {
				t.Errorf("%s cancelled it", name)
			}
		}
		_, err = h.enrol.ConfirmPairing(ctx, other.Caller, evil.Sealed, ph.claimed.Code, "")
		wantCode(t, err, "pairing.unclaimed")
		_, err = h.enrol.ConfirmPairing(ctx, b.Caller, "forged", ph.claimed.Code, "")
		wantCode(t, err, "pairing.ended")
		for _, p := range []*signintest.Person{ada, eve} {
			for _, c := range h.credentials(t, p) {
				if c.Kind == method.App {
					t.Errorf("%s has a phone", p.Username)
				}
			}
		}
		_, err = h.enrol.ConfirmPairing(ctx, b.Caller, v.Sealed, ph.claimed.Code, "")
		must(t, err)
	})
}

func TestTheThirdWrongCodeEndsThePairing(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.member(t, "ada")
		v, err := h.enrol.StartPairing(ctx, b.Caller)
		must(t, err)
		_, err = h.enrol.ConfirmPairing(ctx, b.Caller, v.Sealed, "123456", "")
		wantCode(t, err, "pairing.unclaimed")
		ph := newPhone(t, h)
		o, err := ph.claim(v.Link)
		must(t, err)
		wrong := "000000"
		if ph.claimed.Code == wrong {
			wrong = "000001"
		}
		for left := 2; left > 0; left-- {
			_, err := h.enrol.ConfirmPairing(ctx, b.Caller, v.Sealed, wrong, "")
			if f := fault.Of(err); f == nil || f.Code != "pairing.code_wrong" || f.Params["left"] != left {
				t.Fatalf("%v %v", err, f.Params)
			}
		}
		_, err = h.enrol.ConfirmPairing(ctx, b.Caller, v.Sealed, wrong, "")
		wantCode(t, err, "pairing.ended")
		_, err = h.enrol.ConfirmPairing(ctx, b.Caller, v.Sealed, ph.claimed.Code, "")
		wantCode(t, err, "pairing.ended")
		if len(h.pairings(t, ada)) != 0 {
			t.Error("something of it stays")
		}
		if shown, err := h.enrol.ShowPairing(ctx, b.Caller, v.Sealed); err != nil || shown.Standing != enrol.PairingEnded {
			t.Errorf("%+v %v", shown, err)
		}
		_, err = h.device.EnterPairing(ctx, ph.call("GET", "/a", nil), o.Pairing)
		wantCode(t, err, "pairing.ended")
		if got := strings.Count(strings.Join(h.Acts(ada), "\n"), "pairing.refused failed"); got != 3 {
			t.Errorf("%d wrong codes are on record: %v", got, h.Acts(ada))
		}
	})
}

// Attack G90: what is ten minutes and a second old is refused at every door, with no cleaner running.
func TestG90_APairingIsOverWithItsTime(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		_, b := h.member(t, "ada")
		late, err := h.enrol.StartPairing(ctx, b.Caller)
		must(t, err)
		ph, slow := newPhone(t, h), newPhone(t, h)
		_, token, _ := strings.Cut(late.Link, "#pair=")
		opened, err := h.device.Open(ctx, from(), token, "")
		must(t, err)
		_, err = ph.claim(late.Link)
		must(t, err)
		entered := ph.enterPairing(late.ID)
		h.Clock.Add(enrol.PairingFor + time.Second)
		_, err = h.enrol.ConfirmPairing(ctx, b.Caller, late.Sealed, ph.claimed.Code, "")
		wantCode(t, err, "pairing.ended")
		_, err = h.device.Open(ctx, from(), token, "")
		wantCode(t, err, "pairing.invalid")
		_, err = h.device.Open(ctx, from(), "", late.Code)
		wantCode(t, err, "pairing.invalid")
		_, err = h.device.Claim(ctx, from(), slow.claimOf(opened))
		wantCode(t, err, "pairing.invalid")
		if standing, _, err := h.device.Pairing(ctx, entered, late.ID); err != nil || standing != "ended" {
			t.Errorf("%s %v", standing, err)
		}
		if shown, err := h.enrol.ShowPairing(ctx, b.Caller, late.Sealed); err != nil || shown.Standing != enrol.PairingEnded || shown.Link != "" {
			t.Errorf("%+v %v", shown, err)
		}
	})
}

func TestACancelledPairingLeavesNothing(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.member(t, "ada")
		for _, byPhone := range []bool{false, true} {
			v, err := h.enrol.StartPairing(ctx, b.Caller)
			must(t, err)
			ph := newPhone(t, h)
			o, err := ph.claim(v.Link)
			must(t, err)
			if byPhone {
				must(t, h.device.CancelPairing(ctx, ph.enterPairing(o.Pairing), o.Pairing))
			} else {
				must(t, h.enrol.CancelPairing(ctx, b.Caller, v.Sealed))
				must(t, h.enrol.CancelPairing(ctx, b.Caller, v.Sealed))
			}
			if len(h.pairings(t, ada)) != 0 || len(h.credentials(t, ada)) != 2 {
				t.Error("something stays")
			}
			_, err = h.enrol.ConfirmPairing(ctx, b.Caller, v.Sealed, ph.claimed.Code, "")
			wantCode(t, err, "pairing.ended")
			_, err = newPhone(t, h).claim(v.Link)
			wantCode(t, err, "pairing.invalid")
		}
		// A newer pairing ends the older one.
		old, err := h.enrol.StartPairing(ctx, b.Caller)
		must(t, err)
		_, err = h.enrol.StartPairing(ctx, b.Caller)
		must(t, err)
		_, err = newPhone(t, h).claim(old.Link)
		wantCode(t, err, "pairing.invalid")
		_, err = h.device.Open(ctx, from(), "", old.Code)
		wantCode(t, err, "pairing.invalid")
	})
}

func TestOfManyPhonesTheFirstClaims(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		_, b := h.member(t, "ada")
		v, err := h.enrol.StartPairing(ctx, b.Caller)
		must(t, err)
		_, token, _ := strings.Cut(v.Link, "#pair=")
		var claims []device.Claim
		for range 6 {
			o, err := h.device.Open(ctx, from(), token, "")
			must(t, err)
			claims = append(claims, newPhone(t, h).claimOf(o))
		}
		var all sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for _, c := range claims {
			all.Go(func() {
				_, err := h.device.Claim(ctx, from(), c)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if fault.Of(err).Code != "pairing.claimed" {
					t.Errorf("%v", err)
				}
			})
		}
		all.Wait()
		if won != 1 {
			t.Errorf("%d phones claimed", won)
		}
	})
}

// A pairing that came about is one line of what happened lately: the phone was added.
func TestAPairingIsToldOnce(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b, _ := h.paired(t, "ada")
		acts := h.Acts(ada)
		if !slices.Contains(acts, "pairing.started done") || !slices.Contains(acts, "pairing.claimed done") {
			t.Fatal("the trail has every step:", acts)
		}
		o, err := h.enrol.Overview(ctx, b.Caller)
		must(t, err)
		told := false
		for _, r := range o.Recent {
			told = told || r.Act == "method.added" && r.Method == method.App
			if r.Act == "pairing.started" || r.Act == "pairing.claimed" {
				t.Error(r.Act)
			}
		}
		if !told {
			t.Errorf("%+v", o.Recent)
		}
	})
}

// Of parallel confirmations one pairs.
func TestAPairingIsConfirmedOnce(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.member(t, "ada")
		v, err := h.enrol.StartPairing(ctx, b.Caller)
		must(t, err)
		ph := newPhone(t, h)
		_, err = ph.claim(v.Link)
		must(t, err)
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				_, err := h.enrol.ConfirmPairing(ctx, b.Caller, v.Sealed, ph.claimed.Code, "")
				if err != nil && !slices.Contains([]fault.Kind{fault.Expired, fault.Conflict, fault.Forbidden}, fault.Of(err).Kind) {
					t.Errorf("%v", err)
				}
			})
		}
		all.Wait()
		if n := len(h.credentials(t, ada)); n != 4 {
			t.Errorf("%d credentials", n)
		}
	})
}

func TestFivePhonesAndTheirPasscodesAreTheLimit(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.member(t, "ada")
		for i := range 5 {
			if i > 0 {
				h.prove(t, b, ada, policy.ActMethodAdd, string(method.App))
			}
			h.pair(t, b)
		}
		h.prove(t, b, ada, policy.ActMethodAdd, string(method.App))
		_, err := h.enrol.StartPairing(ctx, b.Caller)
		wantCode(t, err, "method.limit")
		// Their passcodes do not use up the room for other authenticator apps.
		h.prove(t, b, ada, policy.ActMethodAdd, string(method.TOTP))
		if _, err := h.enrol.OfferMethod(ctx, b.Caller, method.TOTP); err != nil {
			t.Error(err)
		}
	})
}

func TestAPhoneIsAFirstMethodByInvitation(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		now := h.Clock.Now()
		new := people.Person{ID: people.ID(secret.NewID(now)), Username: "new", Email: "new@example.ac.uk", State: people.Invited, Created: now, Updated: now}
		var typed secret.String
		must(t, h.inTx(ctx, func(s device.Store) (err error) {
			if err = s.AddPerson(ctx, new); err == nil {
				typed, err = enrol.Invite(ctx, s, now, new.ID, "invitation", time.Hour, "test")
			}
			return err
		}))
		b, other := h.Browser(), h.Browser()
		w, err := h.enrol.OpenInvitation(ctx, b.Caller, typed.Reveal())
		must(t, err)
		if !slices.Contains(w.Kinds, method.Password) {
			t.Fatalf("%v", w.Kinds)
		}
		v, err := h.enrol.StartFirstPairing(ctx, b.Caller, w.Ref)
		must(t, err)
		if _, err := h.enrol.StartFirstPairing(ctx, other.Caller, w.Ref); err == nil {
			t.Error("another browser goes on with the invitation")
		}
		ph := newPhone(t, h)
		o, err := ph.claim(v.Link)
		must(t, err)
		_, err = h.enrol.ConfirmPairing(ctx, other.Caller, v.Sealed, ph.claimed.Code, "")
		wantCode(t, err, "pairing.ended")
		_, err = h.enrol.ConfirmPairing(ctx, b.Caller, v.Sealed, ph.claimed.Code, "")
		must(t, err)
		if standing, _, err := h.device.Pairing(ctx, ph.enterPairing(o.Pairing), o.Pairing); err != nil || standing != "paired" {
			t.Errorf("%s %v", standing, err)
		}
		if shown, err := h.enrol.ShowPairing(ctx, b.Caller, v.Sealed); err != nil || shown.Standing != enrol.Paired {
			t.Errorf("%+v %v", shown, err)
		}
		// A phone alone signs nobody in: it waits for the password that belongs to it, and is a phone meanwhile.
		if list, _, err := h.device.Requests(ctx, ph.enter()); err != nil || len(list) != 0 {
			t.Errorf("%+v %v", list, err)
		}
		_, err = h.enrol.FinishFirst(ctx, b.Caller, w.Ref, method.Password, "", "", method.Answer{Text: signintest.Password})
		must(t, err)
		who := &signintest.Person{Person: new, Clock: h.Clock}
		in := h.ask(t, who, b)
		_, err = ph.answer(in.id, in.number, "approve")
		must(t, err)
		if s := b.Answer(in.ref, method.App, method.Answer{}, false); s.Kind != signin.StepDone {
			t.Errorf("step %d %v", s.Kind, s.Problem)
		}
		_, err = h.enrol.OpenInvitation(ctx, b.Caller, typed.Reveal())
		wantCode(t, err, "invitation.invalid")
	})
}

// What is registered with no more than a password is on hold: the phone, and the passcodes on it.
func TestAPhonePairedWithThePasswordAloneIsHeld(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		set := policy.Default()
		set.FirstEnrolment = policy.FirstEnrolment{PasswordOnly: true, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
		h.Policy(set)
		ada, b := h.Person("ada"), h.Browser()
		s := b.Type(b.Identify(b.Open(signin.Target{}).Attempt, "ada").Attempt, signintest.Password)
		w, err := h.enrol.FirstByAttempt(ctx, b.Caller, s.Attempt)
		must(t, err)
		v, err := h.enrol.StartFirstPairing(ctx, b.Caller, w.Ref)
		must(t, err)
		ph := newPhone(t, h)
		_, err = ph.claim(v.Link)
		must(t, err)
		_, err = h.enrol.ConfirmPairing(ctx, b.Caller, v.Sealed, ph.claimed.Code, "")
		must(t, err)
		for _, c := range h.credentials(t, ada) {
			held := c.HeldUntil.Sub(c.Created)
			if (c.Kind == method.App || c.Device != "") && (held < policy.DefaultHold || held > policy.DefaultHold+time.Minute) {
				t.Errorf("%s is held for %v", c.Kind, held)
			}
		}
	})
}
