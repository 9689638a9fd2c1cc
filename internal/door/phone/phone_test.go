package phone_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

func code(t *testing.T, err error, want string) {
	t.Helper()
	if got := softphone.Code(err); got != want {
		t.Errorf("answered %q (%v), want %q", got, err, want)
	}
}

// TestAPhoneFromTheShopToTheTill: paired, asked, approved, extended, subscribed, and given up.
func TestAPhoneFromTheShopToTheTill(t *testing.T) {
	h := newHouse(t)
	ada := h.Person("ada")
	s, ctx := h.handset(), t.Context()

	id, _, typed := h.begin(ada)
	must(t, s.OpenPairing(ctx, typed))
	shown, err := s.Claim(ctx, "Pixel\u202e 9")
	must(t, err)
	if standing, err := s.PairingState(ctx, id, 0); err != nil || standing != "claimed" {
		t.Errorf("%q, %v", standing, err)
	}
	h.confirm(ada, id, shown)
	must(t, s.WaitPaired(ctx))

	a, err := s.Show(ctx)
	if err != nil || a.Username != "ada" || a.Name != "Ada" || a.DeviceName != "Pixel 9" || !a.Unlock || a.Push || a.Account != s.Account() ||
		a.PasskeyURL != "https://signin.example.ac.uk/security/add/passkey" || a.SecurityURL != "https://signin.example.ac.uk/security" {
		t.Errorf("%+v, %v", a, err)
	}

	must(t, s.Subscribe(ctx, "https://push.example/1"))
	code(t, s.Subscribe(ctx, "https://127.0.0.1/1"), "push.endpoint")
	if a, err := s.Show(ctx); err != nil || !a.Push {
		t.Errorf("%+v, %v", a, err)
	}
	must(t, s.Unsubscribe(ctx))

	h.Clock.Add(time.Minute)
	b, step := h.asked(ada)
	list, err := s.Requests(ctx, 0)
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	r := list[0]
	if r.Digits != 2 || r.Address != "192.0.2.7" || r.Agent != "agent Test/1.0" || r.Place != "roughly "+r.Country || r.Expires <= r.Created || !r.Extend {
		t.Errorf("%+v", r)
	}
	until, err := s.Extend(ctx, r.ID)
	if err != nil || until.Unix() != r.Expires+int64(signin.ChallengeFor/time.Second) {
		t.Errorf("%v, %v", until, err)
	}
	must(t, s.Approve(ctx, r, step.Sending.Number))
	code(t, s.Approve(ctx, r, step.Sending.Number), "request.over")
	done := b.Answer(step.Attempt, method.App, method.Answer{}, false)
	if done.Kind != signin.StepDone {
		t.Errorf("the browser stands at %+v", done)
	}
	h.Clock.Add(time.Minute)
	passcode, err := s.Passcode(h.Clock.Now())
	if err != nil || len(passcode) != 6 {
		t.Errorf("%q, %v", passcode, err)
	}
	code(t, s.Leave(ctx), "method.last")
}

// TestAWrongNumberEndsTheRequest, and a no is a no.
func TestAWrongNumberEndsTheRequest(t *testing.T) {
	h := newHouse(t)
	ada := h.Person("ada", method.TOTP)
	s, ctx := h.paired(ada), t.Context()
	h.Clock.Add(time.Minute)
	_, step := h.asked(ada)
	list, err := s.Requests(ctx, 0)
	must(t, err)
	wrong := "10"
	if step.Sending.Number == wrong {
		wrong = "11"
	}
	code(t, s.Approve(ctx, list[0], wrong), "request.wrong_number")
	code(t, s.Approve(ctx, list[0], step.Sending.Number), "request.over")

	h.Clock.Add(10 * time.Minute)
	_, step = h.asked(ada)
	if list, err = s.Requests(ctx, 0); err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	must(t, s.Deny(ctx, list[0]))
	code(t, s.Approve(ctx, list[0], step.Sending.Number), "request.over")
	must(t, s.Leave(ctx))
	_, err = s.Requests(ctx, 0)
	code(t, err, "device.unknown")
}

// TestG47_TheNumberIsInNoAnswer of all that a phone can ask.
func TestG47_TheNumberIsInNoAnswer(t *testing.T) {
	h := newHouse(t)
	h.Policy(sixDigits())
	ada := h.Person("ada")
	s, ctx := h.paired(ada), t.Context()
	h.Clock.Add(time.Minute)
	_, step := h.asked(ada)
	if len(step.Sending.Number) != 6 {
		t.Fatalf("number %q", step.Sending.Number)
	}
	for _, path := range []string{"/app/v1/requests?wait=0", "/app/v1/requests", "/app/v1/account", "/app/v1/house"} {
		var raw json.RawMessage
		must(t, s.Call(ctx, "GET", path, nil, &raw))
		if contains(string(raw), step.Sending.Number) || contains(string(raw), "number") {
			t.Errorf("%s answers %s", path, raw)
		}
	}
}

// TestMoveAndRestore: another phone, and one that forgot.
func TestMoveAndRestore(t *testing.T) {
	h := newHouse(t)
	ada := h.Person("ada", method.TOTP)
	old, ctx := h.paired(ada), t.Context()
	h.Clock.Add(time.Minute)
	m, err := old.Move(ctx)
	must(t, err)
	_, token, err := softphone.ParseLink(m.Link)
	must(t, err)
	next := h.handset()
	must(t, next.OpenPairing(ctx, token))
	shown, err := next.Claim(ctx, "New")
	must(t, err)
	code(t, old.ConfirmMove(ctx, m.Pairing, "000000x"), "pairing.code_wrong")
	must(t, old.ConfirmMove(ctx, m.Pairing, shown))
	must(t, next.WaitPaired(ctx))
	_, err = old.Show(ctx)
	code(t, err, "device.unknown")

	before := next.Device()
	lost := *next.Key()
	next.LoseStorage()
	must(t, next.Restore(ctx, "New again"))
	if next.Device() == before || next.Key().Equal(&lost) {
		t.Error("the phone came back with its old key")
	}
	if a, err := next.Show(ctx); err != nil || a.Username != "ada" {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestACancelledPairingLeavesNothing behind: not the phone, not the pairing.
func TestACancelledPairingLeavesNothing(t *testing.T) {
	h := newHouse(t)
	ada := h.Person("ada")
	s, ctx := h.handset(), t.Context()
	id, token, typed := h.begin(ada)
	must(t, s.OpenPairing(ctx, token))
	_, err := s.Claim(ctx, "Phone")
	must(t, err)
	must(t, s.CancelPairing(ctx, id))
	_, err = s.PairingState(ctx, id, 0)
	code(t, err, "pairing.ended")
	code(t, h.handset().OpenPairing(ctx, token), "pairing.invalid")
	code(t, h.handset().OpenPairing(ctx, typed), "pairing.invalid")
	_, err = s.Show(ctx)
	code(t, err, "device.unknown")
}

// TestAWrongClockIsLearned from the answer, in pairing too.
func TestAWrongClockIsLearned(t *testing.T) {
	h := newHouse(t)
	ada := h.Person("ada")
	s, ctx := h.handset(), t.Context()
	s.Now = func() time.Time { return h.Clock.Now().Add(-3 * time.Hour) }
	id, token, _ := h.begin(ada)
	must(t, s.OpenPairing(ctx, token))
	shown, err := s.Claim(ctx, "Phone")
	must(t, err)
	h.confirm(ada, id, shown)
	s.Now = func() time.Time { return h.Clock.Now().Add(5 * time.Hour) }
	if _, err := s.Requests(ctx, 0); err != nil {
		t.Error(err)
	}
}
