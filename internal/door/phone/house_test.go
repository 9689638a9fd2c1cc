package phone_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/authenticator"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/door/phone"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/app"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/signin/signintest"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
	"github.com/gatehouse-id/gatehouse/internal/wake"
)

// origin is the app's. Its name is in the certificate of httptest.
const origin = "https://example.com"

// house is a node with the app's door on it.
type house struct {
	*signintest.House
	hub    *wake.Hub
	flow   *device.Flow
	phone  *phone.Phone
	door   *httpdoor.Door
	client *http.Client
	store  func(context.Context, func(device.Store) error) error
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{hub: &wake.Hub{}}
	clock := signintest.NewClock()
	db := storetest.SQLite(t, storetest.Clock(clock.Now), func(c *store.Config) { c.DefaultPolicy, c.Hub = policy.Default(), h.hub })
	h.House = signintest.New(t, db, storetest.Keyring(t), clock)
	m, err := app.New(app.Settings{Server: signintest.Origin, Origin: origin, RPID: "example.com", Name: "Example"})
	must(t, err)
	h.Methods[method.App] = m
	h.Flow = signin.New(h.Flow.Deps) // which knows the app now
	var view func(context.Context, func(device.Store) error) error
	h.store, view = store.Bind[device.Store](db)
	h.flow = device.New(device.Deps{InTx: h.store, View: view, SignIn: h.Flow, Methods: h.Methods, Box: h.Box, Keyring: h.Keyring, Origin: origin,
		Server: signintest.Origin, PushAllowed: func(s string) bool { return strings.HasPrefix(s, "https://push.example/") }, Now: clock.Now})
	h.serve(h.flow)
	return h
}

// serve opens the door on a server.
func (h *house) serve(flow phone.Flow) {
	t := h.T
	base, err := url.Parse(origin)
	must(t, err)
	language := func(*http.Request) string { return "en" }
	h.door, err = httpdoor.New(httpdoor.Config{Base: base, Now: h.Clock.Now, Problem: phone.Problem(words{}, language)})
	must(t, err)
	h.phone, err = phone.New(phone.Deps{Door: h.door, Flow: flow, Hub: h.hub, Files: authenticator.Files, Texts: words{}, Now: h.Clock.Now,
		House: func(context.Context) (phone.House, error) {
			return phone.House{Institution: "Example University", Accent: "#0000cd", Server: signintest.Origin, Push: "BPush", UnlockRequired: true,
				HelpURL: "https://help.example", HelpPhone: "+44 20 7946 0000", HelpMail: "desk@example.ac.uk"}, nil
		}})
	must(t, err)
	mux := http.NewServeMux()
	h.phone.Routes(mux)
	server := httptest.NewTLSServer(h.door.Wrap(mux))
	t.Cleanup(server.Close)
	h.client = server.Client()
	h.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	h.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
}

// words are texts that show what they were asked for.
type words struct{}

func (words) Fault(lang string, f *fault.Error) string { return lang + ": " + f.Public }
func (words) Place(_, country string) string           { return "roughly " + country }
func (words) Agent(_, raw string) (string, bool)       { return "agent " + raw, false }
func (words) AppName(_, institution string) string     { return institution + " Authenticator" }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// begin starts a pairing for a person, as their browser would.
func (h *house) begin(p *signintest.Person) (id, token, code string) {
	h.T.Helper()
	pairing, secret, code := enrol.NewPairing(h.Clock.Now(), p.Person)
	must(h.T, h.store(h.T.Context(), func(s device.Store) error { return s.AddPairing(h.T.Context(), pairing) }))
	return pairing.ID, secret.Reveal(), code
}

// confirm types the code that the phone shows into that browser.
func (h *house) confirm(p *signintest.Person, id, code string) {
	h.T.Helper()
	ctx := h.T.Context()
	must(h.T, h.store(ctx, func(s device.Store) error {
		pairing, err := s.PairingByID(ctx, id)
		if err != nil {
			return err
		}
		brought, refused, err := enrol.TryPairing(ctx, s, pairing, code, h.Clock.Now(), audit.Entry{At: h.Clock.Now(), Act: "method.added", Outcome: audit.Done})
		if err = errors.Join(err, refused); err != nil {
			return err
		}
		c := method.Credential{ID: pairing.Credential, Person: string(p.ID), Name: brought.Label, Created: h.Clock.Now()}
		if err := enrol.AddPhone(ctx, s, brought, c, app.Limit); err != nil {
			return err
		}
		return enrol.FinishPairing(ctx, s, pairing)
	}))
}

// handset is a phone that was just bought.
func (h *house) handset() *softphone.Phone {
	p := softphone.New(origin, h.client)
	p.Now = h.Clock.Now
	return p
}

// paired gives a person a phone.
func (h *house) paired(p *signintest.Person) *softphone.Phone {
	h.T.Helper()
	s := h.handset()
	id, token, _ := h.begin(p)
	must(h.T, s.OpenPairing(h.T.Context(), token))
	code, err := s.Claim(h.T.Context(), "Pixel 9")
	must(h.T, err)
	h.confirm(p, id, code)
	return s
}

// asked signs in with the password in a new browser; the phone is asked then.
func (h *house) asked(p *signintest.Person) (b *signintest.Browser, step signin.Step) {
	h.T.Helper()
	b = h.Browser()
	step = b.Open(signin.Target{})
	step = b.Identify(step.Attempt, p.Username)
	step = b.Type(step.Attempt, signintest.Password)
	if step.Sending == nil || step.Sending.Number == "" {
		h.T.Fatalf("the phone is not asked: %+v", step)
	}
	return b, step
}

// sixDigits is the policy that asks for numbers of six digits.
func sixDigits() policy.Policy {
	p := policy.Default()
	p.App.SixDigits = true
	return p
}

func contains(s, part string) bool { return strings.Contains(s, part) }
