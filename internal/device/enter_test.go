package device_test

import (
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// A call is the phone's own, for this very request, to this origin, now.
func TestACallIsSignedForExactlyItself(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		_, _, ph := h.paired(t, "ada")
		body := []byte(`{"answer":"x"}`)
		for name, c := range map[string]struct {
			call device.Signed
			code string
		}{
			"another origin":   {ph.call("POST", "/a", body, func(c map[string]any) { c["aud"] = "https://phone.example.com" }), "device.refused"},
			"another verb":     {ph.call("POST", "/a", body, func(c map[string]any) { c["htm"] = "GET" }), "device.refused"},
			"another path":     {ph.call("POST", "/a?wait=1", body, func(c map[string]any) { c["htp"] = "/a" }), "device.refused"},
			"another body":     {ph.call("POST", "/a", body, func(c map[string]any) { c["bh"] = b64(make([]byte, 32)) }), "device.refused"},
			"no body's hash":   {ph.call("POST", "/a", body, func(c map[string]any) { delete(c, "bh") }), "device.refused"},
			"a hash of none":   {ph.call("GET", "/a", nil, func(c map[string]any) { c["bh"] = b64(make([]byte, 32)) }), "device.refused"},
			"no identity":      {ph.call("GET", "/a", nil, func(c map[string]any) { delete(c, "jti") }), "device.refused"},
			"a short identity": {ph.call("GET", "/a", nil, func(c map[string]any) { c["jti"] = "AAAA" }), "device.refused"},
			"one claim more":   {ph.call("GET", "/a", nil, func(c map[string]any) { c["exp"] = 1 }), "device.refused"},
			"too old":          {ph.call("GET", "/a", nil, func(c map[string]any) { c["iat"] = ph.now() - 122 }), "device.clock"},
			"from tomorrow":    {ph.call("GET", "/a", nil, func(c map[string]any) { c["iat"] = ph.now() + 86_400 }), "device.clock"},
			"an unknown key":   {newPhone(t, h).call("GET", "/a", nil), "device.unknown"},
			"no token":         {device.Signed{Method: "GET", Path: "/a"}, "device.refused"},
		} {
			_, err := h.device.Enter(ctx, c.call)
			f := fault.Of(err)
			if err == nil || f.Code != c.code || f.Kind != fault.Unauthenticated {
				t.Errorf("%s: %v, want %s", name, err, c.code)
			}
			if now, ok := f.Params["now"].(int64); c.code == "device.clock" && (!ok || now != ph.now()) {
				t.Errorf("%s: the phone is not told the time: %v", name, f.Params)
			}
		}
		// Another phone's signature under this one's name.
		thief := newPhone(t, h)
		thief.device = ph.device
		_, err := h.device.Enter(ctx, thief.call("GET", "/a", nil))
		wantCode(t, err, "device.refused")
		if _, err := h.device.Enter(ctx, ph.call("POST", "/a", body)); err != nil {
			t.Errorf("the right call: %v", err)
		}
		if _, _, err := h.device.Requests(ctx, device.Phone{}); err == nil {
			t.Error("nobody has requests")
		}
	})
}

// What was removed or suspended is out at once, also where it entered before.
func TestARevokedPhoneIsOutAtOnce(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, b, ph := h.paired(t, "ada")
		in := h.ask(t, ada, h.Browser())
		waiting, answering := ph.enter(), ph.enter()
		suspend := func(state people.State) {
			must(t, h.inTx(ctx, func(s device.Store) error {
				p, err := s.PersonByID(ctx, ada.ID)
				if err != nil {
					return err
				}
				p.State = state
				return s.UpdatePerson(ctx, p)
			}))
		}
		suspend(people.Suspended)
		_, _, err := h.device.Requests(ctx, waiting)
		wantCode(t, err, "device.unknown")
		_, err = h.device.Answer(ctx, answering, in.id, ph.decide(in.id, in.number, "approve"))
		wantCode(t, err, "device.unknown")
		_, err = h.device.Enter(ctx, ph.call("GET", "/a", nil))
		wantCode(t, err, "device.unknown")
		suspend(people.Active)
		_, _, err = h.device.Requests(ctx, waiting)
		must(t, err)

		var phoneID string
		for _, c := range h.credentials(t, ada) {
			if c.Kind == method.App {
				phoneID = c.ID
			}
		}
		h.prove(t, b, ada, policy.ActMethodRemove, phoneID)
		done, err := h.enrol.RemoveMethod(ctx, b.Caller, phoneID)
		must(t, err)
		b.Keep(done.SetSession, nil)
		for _, c := range h.credentials(t, ada) {
			if c.Kind == method.App || c.Device != "" {
				t.Errorf("%s stays of the phone", c.Kind)
			}
		}
		_, _, err = h.device.Requests(ctx, waiting)
		wantCode(t, err, "device.unknown")
		_, err = h.device.Enter(ctx, ph.call("GET", "/a", nil))
		wantCode(t, err, "device.unknown")
	})
}

func TestPushesGoToListedServicesOnly(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		_, _, ph := h.paired(t, "ada")
		point, err := ph.key.PublicKey.Bytes()
		must(t, err)
		good := device.Endpoint{URL: "https://push.example.net/abc", P256DH: point, Auth: make([]byte, 16)}
		for _, url := range []string{"https://127.0.0.1/x", "http://localhost/x", "https://push.example.com/", "file:///etc/passwd", ""} {
			bad := good
			bad.URL = url
			wantCode(t, h.device.Subscribe(ctx, ph.enter(), bad), "push.endpoint")
		}
		for _, bad := range []device.Endpoint{{URL: good.URL, P256DH: make([]byte, 65), Auth: good.Auth}, {URL: good.URL, P256DH: point, Auth: make([]byte, 15)}} {
			wantCode(t, h.device.Subscribe(ctx, ph.enter(), bad), "push.key")
		}
		must(t, h.device.Subscribe(ctx, ph.enter(), good))
		if a, err := h.device.Account(ctx, ph.enter()); err != nil || !a.Push || !a.Unlock || a.DeviceName != "Pixel 9" || a.Account != ph.account {
			t.Errorf("%+v %v", a, err)
		}
		must(t, h.device.Unsubscribe(ctx, ph.enter()))
		if a, err := h.device.Account(ctx, ph.enter()); err != nil || a.Push {
			t.Errorf("%+v %v", a, err)
		}
	})
}

// The passcodes that came with the phone are good for sign-in, and lie on it.
func TestThePhonesOwnPasscodeSignsIn(t *testing.T) {
	both(t, func(t *testing.T, h house) {
		ada, _, ph := h.paired(t, "ada")
		in := h.ask(t, ada, h.Browser())
		h.Clock.Add(time.Minute)
		s := in.b.Choose(in.ref, method.TOTP)
		s = in.b.Answer(s.Attempt, method.TOTP, method.Answer{Text: ph.passcode()}, false)
		if s.Kind != signin.StepDone {
			t.Errorf("step %d %v", s.Kind, s.Problem)
		}
		_, err := ph.answer(in.id, in.number, "approve")
		wantCode(t, err, "request.over")
	})
}
