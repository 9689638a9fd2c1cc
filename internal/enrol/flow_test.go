package enrol_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/incident"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/signin/signintest"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/pgtest"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
)

var ctx = context.Background()

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// house adds the flow under test.
type house struct {
	*signintest.House
	enrol *enrol.Flow
	inTx  func(context.Context, func(enrol.Store) error) error
}

func both(t *testing.T, body func(t *testing.T, h house)) {
	t.Helper()
	clock := signintest.NewClock()
	storetest.Engines(t, func(t *testing.T, db *store.DB) {
		h := signintest.New(t, db, storetest.Keyring(t), clock)
		inTx, view := store.Bind[enrol.Store](db)
		body(t, house{h, enrol.New(enrol.Deps{InTx: inTx, View: view, SignIn: h.Flow, Methods: h.Methods, Box: h.Box, Now: clock.Now}), inTx})
	}, storetest.Clock(clock.Now), func(c *store.Config) { c.DefaultPolicy = policy.Default() })
}

// prove goes through the step-up of an act, with the person's strongest.
func (h house) prove(t *testing.T, b *signintest.Browser, p *signintest.Person, act policy.Act, object string) {
	t.Helper()
	h.Clock.Add(time.Minute)
	needed, err := h.enrol.Needs(ctx, b.Caller, enrol.Act{Act: act, Object: object, Return: "/security"})
	if err != nil || needed == nil {
		t.Fatalf("needs: %v %v", needed, err)
	}
	s := b.Open(needed.Target)
	for range 3 {
		if s.Kind != signin.StepProve {
			break
		}
		switch s.Method {
		case method.Passkey:
			s = b.Answer(s.Attempt, method.Passkey, b.Touch(s, p), false)
		case method.Password:
			s = b.Type(s.Attempt, signintest.Password)
		default:
			h.Clock.Add(time.Minute)
			s = b.Answer(s.Attempt, s.Method, p.Code(), false)
		}
	}
	if s.Kind != signin.StepDone || s.Return != "/security" {
		t.Fatalf("%s %s: step %d %v %v", act, object, s.Kind, s.Problem, s.Reasons)
	}
	if needed, err := h.enrol.Needs(ctx, b.Caller, enrol.Act{Act: act, Object: object, Return: "/security"}); err != nil || needed != nil {
		t.Fatalf("proof is not in hand: %v %v", needed, err)
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if err == nil || fault.Of(err).Code != code {
		t.Fatalf("error %v, want %s", err, code)
	}
}

// register makes a key or a phone take an offer.
func register(t *testing.T, h house, p *signintest.Person, o enrol.Offer) method.Answer {
	t.Helper()
	if o.Kind == method.TOTP {
		p.Phone = signintest.TOTPSecret(t, o.Public)
		return p.Code()
	}
	if p.Key == nil {
		p.Key = softkey.New(signintest.Origin)
	}
	answer, err := p.Key.Create(o.Public)
	if err != nil {
		t.Fatal(err)
	}
	return method.Answer{JSON: answer}
}

func methods(t *testing.T, h house, b *signintest.Browser) (o enrol.Overview) {
	t.Helper()
	o, err := h.enrol.Overview(ctx, b.Caller)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAddRenameLeadRemove(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b, other := h.Person("ada", method.TOTP), h.Browser(), h.Browser()
		b.SignIn(ada, signin.Target{}, false)
		other.SignIn(ada, signin.Target{}, true)
		added := addKey(t, h, ada, b, other)
		changeAndRemove(t, h, ada, b, other, added)
		for _, kind := range []string{"method.added", "method.lead", "method.renamed", "method.removed"} {
			if !slices.Contains(h.Notices(ada), kind) || !slices.Contains(h.Acts(ada), kind+" done") {
				t.Errorf("%s: %v %v", kind, h.Notices(ada), h.Acts(ada))
			}
		}
	})
}

// addKey adds a passkey in b, with everything tried that must not work.
func addKey(t *testing.T, h house, ada *signintest.Person, b, other *signintest.Browser) (id string) {
	t.Helper()
	_, err := h.enrol.OfferMethod(ctx, b.Caller, method.Passkey)
	wantCode(t, err, "enrol.proof_needed")

	h.prove(t, b, ada, policy.ActMethodAdd, string(method.Passkey))
	_, err = h.enrol.OfferMethod(ctx, b.Caller, method.TOTP)
	wantCode(t, err, "enrol.proof_needed") // the proof names passkeys
	offer, err := h.enrol.OfferMethod(ctx, b.Caller, method.Passkey)
	if err != nil {
		t.Fatal(err)
	}
	answer := register(t, h, ada, offer)
	_, err = h.enrol.AddMethod(ctx, other.Caller, method.Passkey, offer.Sealed, "x", answer)
	wantCode(t, err, "enrol.proof_needed")
	done, err := h.enrol.AddMethod(ctx, b.Caller, method.Passkey, offer.Sealed, "  My\tkey\x07 ", answer)
	if err != nil || done.CredentialID == "" || len(done.AcceptedPasskeys) != 1 || string(done.UserHandle) != string(ada.ID) {
		t.Fatal(done, err)
	}
	_, err = h.enrol.AddMethod(ctx, b.Caller, method.Passkey, offer.Sealed, "x", answer)
	wantCode(t, err, "enrol.proof_needed") // consumed

	o := methods(t, h, b)
	i := slices.IndexFunc(o.Methods, func(c method.Credential) bool { return c.ID == done.CredentialID })
	if i < 0 || o.Methods[i].Name != "My key" || o.Methods[i].State != nil || len(o.Sessions) != 2 || len(o.Browsers) != 1 || o.LeadNow != method.Passkey || len(o.Recent) == 0 {
		t.Fatalf("%+v", o)
	}
	return done.CredentialID
}

// changeAndRemove chooses the lead, renames the passkey, removes the phone, and fails to remove the last method.
func changeAndRemove(t *testing.T, h house, ada *signintest.Person, b, other *signintest.Browser, added string) {
	t.Helper()
	h.prove(t, b, ada, policy.ActMethodLead, string(method.TOTP))
	if _, err := h.enrol.SetLead(ctx, b.Caller, method.TOTP); err != nil || methods(t, h, b).LeadNow != method.TOTP {
		t.Fatal(err)
	}
	h.prove(t, b, ada, policy.ActMethodRename, added)
	if _, err := h.enrol.RenameMethod(ctx, b.Caller, added, strings.Repeat("é", 90)); err != nil {
		t.Fatal(err)
	}

	h.prove(t, b, ada, policy.ActMethodRemove, ada.Creds[method.TOTP])
	before := b.Caller
	removed, err := h.enrol.RemoveMethod(ctx, b.Caller, ada.Creds[method.TOTP])
	if err != nil || removed.SetSession == nil {
		t.Fatal(removed, err)
	}
	b.Keep(removed.SetSession, removed.SetRemembered)
	if _, _, err := h.Flow.Who(ctx, before); !fault.IsKind(err, fault.Unauthenticated) {
		t.Fatal("the old token lives")
	}
	if _, _, err := h.Flow.Who(ctx, other.Caller); !fault.IsKind(err, fault.Unauthenticated) {
		t.Fatal("the other session lives")
	}
	if o := methods(t, h, b); len(o.Sessions) != 1 || len(o.Browsers) != 0 || len(o.Methods) != 2 {
		t.Fatalf("%+v", o)
	}

	// Without the passkey only the password would be left.
	h.prove(t, b, ada, policy.ActMethodRemove, added)
	_, err = h.enrol.RemoveMethod(ctx, b.Caller, added)
	wantCode(t, err, "method.last")
}

func TestG73_NothingChangesWithoutAFreshProofOfItsOwn(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.Person("ada", method.TOTP, method.Passkey), h.Browser()
		pending := h.Browser()
		s := pending.Type(pending.Identify(pending.Open(signin.Target{}).Attempt, "ada").Attempt, signintest.Password)
		stranger := pending.Caller
		stranger.Session = secret.NewString(s.Attempt)
		b.SignIn(ada, signin.Target{}, false)
		key := ada.Creds[method.Passkey]
		tries := func(c signin.Caller) (errs []error) {
			_, e1 := h.enrol.OfferMethod(ctx, c, method.Passkey)
			_, e2 := h.enrol.RemoveMethod(ctx, c, key)
			_, e3 := h.enrol.RenameMethod(ctx, c, key, "mine")
			_, e4 := h.enrol.SetLead(ctx, c, method.TOTP)
			_, e5 := h.enrol.ChangePassword(ctx, c, "another long password")
			_, e6 := h.enrol.ForgetBrowser(ctx, c, "x")
			return []error{e1, e2, e3, e4, e5, e6}
		}
		for i, err := range tries(b.Caller) {
			if !fault.IsKind(err, fault.Forbidden) {
				t.Errorf("%d with a session alone: %v", i, err)
			}
		}
		for i, err := range tries(stranger) {
			if !fault.IsKind(err, fault.Unauthenticated) {
				t.Errorf("%d after the password alone: %v", i, err)
			}
		}
		h.prove(t, b, ada, policy.ActMethodRemove, key)
		h.Clock.Add(enrol.ProofFor + time.Second)
		_, err := h.enrol.RemoveMethod(ctx, b.Caller, key)
		wantCode(t, err, "enrol.proof_needed")
		if acts := h.Acts(ada); slices.Contains(acts, "method.removed done") {
			t.Fatal(acts)
		}
	})
}

func TestG75_SomebodyElsesThings(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, eve, b, a := h.Person("ada", method.Passkey), h.Person("eve", method.Passkey), h.Browser(), h.Browser()
		there := a.SignIn(ada, signin.Target{}, false)
		b.SignIn(eve, signin.Target{}, false)
		key := ada.Creds[method.Passkey]
		h.prove(t, b, eve, policy.ActMethodRemove, key)
		_, err := h.enrol.RemoveMethod(ctx, b.Caller, key)
		wantCode(t, err, "enrol.method_gone")
		h.prove(t, b, eve, policy.ActMethodRename, key)
		_, err = h.enrol.RenameMethod(ctx, b.Caller, key, "eve's")
		wantCode(t, err, "enrol.method_gone")
		_, err = h.enrol.EndSession(ctx, b.Caller, there.SessionID)
		wantCode(t, err, "session.gone")
		_, err = h.enrol.ReportSignIn(ctx, b.Caller, methods(t, h, a).Recent[0].ID)
		wantCode(t, err, "incident.unknown")
	})
}

func TestOneProofOneChange(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.Person("ada", method.Passkey), h.Browser()
		h.Enrol(ada, method.TOTP)
		b.SignIn(ada, signin.Target{}, false)
		h.prove(t, b, ada, policy.ActMethodRename, ada.Creds[method.TOTP])
		var wg sync.WaitGroup
		var mu sync.Mutex
		done := 0
		for range 10 {
			wg.Go(func() {
				_, err := h.enrol.RenameMethod(ctx, b.Caller, ada.Creds[method.TOTP], "phone")
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					done++
				}
			})
		}
		wg.Wait()
		if done != 1 {
			t.Fatalf("%d changes from one proof", done)
		}
	})
}

func TestChangePassword(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b, other := h.Person("ada", method.TOTP), h.Browser(), h.Browser()
		b.SignIn(ada, signin.Target{}, true)
		other.SignIn(ada, signin.Target{}, true)
		h.prove(t, b, ada, policy.ActPasswordChange, "")
		if _, err := h.enrol.ChangePassword(ctx, b.Caller, "short"); !fault.IsKind(err, fault.BadInput) {
			t.Fatal(err)
		}
		done, err := h.enrol.ChangePassword(ctx, b.Caller, "seven quiet lighthouses")
		if err != nil {
			t.Fatal(err)
		}
		b.Keep(done.SetSession, done.SetRemembered)
		o := methods(t, h, b)
		if len(o.Sessions) != 1 || len(o.Browsers) != 1 || o.HereFamily != o.Browsers[0].Family {
			t.Fatalf("%d sessions, browsers %v", len(o.Sessions), o.Browsers)
		}
		fresh := h.Browser()
		s := fresh.Type(fresh.Identify(fresh.Open(signin.Target{}).Attempt, "ada").Attempt, signintest.Password)
		if s.Known {
			t.Fatal("the old password lives")
		}
		s = fresh.Type(s.Attempt, "seven quiet lighthouses")
		if !s.Known || !slices.Contains(h.Notices(ada), "password.changed") {
			t.Fatal(s, h.Notices(ada))
		}
	})
}

// The steps on the way to what is told anyway are not told; the right password of somebody who came no further is, from
// the same place within the same minute.
func TestWhatHappenedLatelyLeavesOutSteps(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b, thief := h.Person("ada", method.TOTP), h.Browser(), h.Browser()
		thief.Type(thief.Identify(thief.Open(signin.Target{}).Attempt, "ada").Attempt, signintest.Password)
		b.SignIn(ada, signin.Target{}, false)
		err := h.inTx(ctx, func(s enrol.Store) error {
			for _, e := range []audit.Entry{
				{Act: "pairing.started", Object: "p1"}, {Act: "pairing.claimed", Object: "p1", Detail: map[string]string{"credential": "phone1"}},
				{Act: "method.added", Object: "phone1"},
				{Act: "pairing.started", Object: "p2"}, {Act: "pairing.claimed", Object: "p2", Detail: map[string]string{"credential": "phone2"}},
				{Act: "pairing.cancelled", Object: "p2"},
				{Act: "pairing.started", Object: "p3"},
			} {
				e.At, e.Outcome, e.Actor, e.Subject = h.Clock.Now(), audit.Done, string(ada.ID), string(ada.ID)
				if err := s.Record(ctx, e); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		told := map[string]int{}
		for _, r := range methods(t, h, b).Recent {
			told[r.Act]++
		}
		for act, want := range map[string]int{"signin.proof": 1, "signin.finished": 1, "pairing.started": 1, "pairing.claimed": 1, "pairing.cancelled": 1, "method.added": 1} {
			if told[act] != want {
				t.Errorf("%s: %d times, want %d", act, told[act], want)
			}
		}
	})
}

func TestThisWasntMe(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b, thief := h.Person("ada", method.TOTP), h.Browser(), h.Browser()
		thief.SignIn(ada, signin.Target{}, true)
		thief.Session = secret.String{}
		s := thief.Type(thief.Identify(thief.Open(signin.Target{}).Attempt, "ada").Attempt, signintest.Password)
		if s.Kind != signin.StepDone {
			t.Fatalf("%+v", s)
		}
		b.SignIn(ada, signin.Target{}, false)
		o := methods(t, h, b)
		i := slices.IndexFunc(o.Recent, func(r enrol.Recent) bool { return r.Session == s.SessionID })
		if i < 0 {
			t.Fatalf("%+v", o.Recent)
		}
		if _, err := h.enrol.ReportSignIn(ctx, b.Caller, o.Recent[i].ID); err != nil {
			t.Fatal(err)
		}
		o = methods(t, h, b)
		if len(o.Browsers) != 0 || !slices.Contains(h.Acts(ada), "incident.reported done") || !slices.Contains(h.Notices(ada), "incident.reported") {
			t.Fatalf("%v %v", o.Browsers, h.Acts(ada))
		}
		if _, _, err := h.Flow.Who(ctx, thief.Caller); !fault.IsKind(err, fault.Unauthenticated) {
			t.Fatal(err)
		}
		if err := h.inTx(ctx, func(s enrol.Store) error {
			known, err := s.KnownBrowser(ctx, string(ada.Person.ID), secret.Hash(thief.Caller.Browser.Reveal()))
			if known {
				t.Error("the thief's browser keeps the budget of a known one")
			}
			if err != nil {
				return err
			}
			open, err := s.Incidents(ctx, string(ada.Person.ID), false, 10)
			if len(open) != 1 || open[0].Kind != incident.Reported || open[0].Detail["about"] != "signin.finished" {
				t.Errorf("what an administrator must look at: %+v", open)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := h.Flow.Who(ctx, b.Caller); err != nil {
			t.Fatal(err)
		}
		done, err := h.enrol.EndSession(ctx, b.Caller, o.Here)
		if err != nil || done.SetSession == nil || !done.SetSession.Empty() || !slices.Contains(h.Notices(ada), "session.ended") {
			t.Fatal(done, err, h.Notices(ada))
		}
	})
}

func TestForgetThisBrowser(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.Person("ada", method.TOTP), h.Browser()
		b.SignIn(ada, signin.Target{}, true)
		family := methods(t, h, b).HereFamily
		h.prove(t, b, ada, policy.ActBrowserForget, family)
		done, err := h.enrol.ForgetBrowser(ctx, b.Caller, family)
		if err != nil || done.SetRemembered == nil || len(done.SetRemembered) != 0 {
			t.Fatal(done, err)
		}
		if o := methods(t, h, b); len(o.Browsers) != 0 || o.HereFamily != "" || len(o.Sessions) != 1 {
			t.Fatalf("%+v", o)
		}
	})
}

func TestSecurityPageAsksAgainAfterAWhile(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b := h.Person("ada", method.Passkey), h.Browser()
		b.SignIn(ada, signin.Target{}, false)
		methods(t, h, b)
		h.Clock.Add(16 * time.Minute)
		_, err := h.enrol.Overview(ctx, b.Caller)
		wantCode(t, err, "enrol.proof_needed")
		h.prove(t, b, ada, policy.ActSecurityPage, "")
		methods(t, h, b)
	})
}
