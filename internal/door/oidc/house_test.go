package oidc_test

import (
	"context"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/door/oidc"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/keys"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/pgtest"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

const (
	issuer   = "http://localhost:9000"
	callback = "https://library.example.ac.uk/callback"
	loggedof = "https://library.example.ac.uk/bye"
	verifier = "a-verifier-of-forty-three-characters-or-more"
)

// clock is a hand-moved one.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// pages are small pages in the place of the web door's.
type pages struct{}

var tmpl = template.Must(template.New("").Parse(`<form method="post" action="{{.Action}}" data-page="{{.Page}}" data-app="{{.App}}">` +
	`{{range $k, $v := .Fields}}<input type="hidden" name="{{$k}}" value="{{index $v 0}}">{{end}}</form>`))

type page struct {
	Page, App, Action string
	Fields            url.Values
}

func (pages) FormPost(w http.ResponseWriter, _ *http.Request, action string, fields url.Values) error {
	return tmpl.Execute(w, page{"formpost", "", action, fields})
}

func (pages) LogoutConfirm(w http.ResponseWriter, _ *http.Request, application, action string, fields url.Values) error {
	return tmpl.Execute(w, page{"confirm", application, action, fields})
}

func (pages) LoggedOut(w http.ResponseWriter, _ *http.Request, _, _ string) error {
	_, err := io.WriteString(w, "logged out")
	return err
}

func (pages) ErrorPage(w http.ResponseWriter, _ *http.Request, status int, f *fault.Error, _ string) {
	w.WriteHeader(status)
	io.WriteString(w, "error page: "+f.Code)
}

// house is everything that the door stands on, real but for the pages.
type house struct {
	t      testing.TB
	clock  *clock
	db     *store.DB
	signin *signin.Flow
	apps   *apps.Flow
	keeper *keys.Keeper
	key    *passkey.Method
	door   http.Handler
	inTx   func(context.Context, func(apps.FlowStore) error) error
	view   func(context.Context, func(apps.FlowStore) error) error
}

func newHouse(t testing.TB) *house {
	t.Helper()
	c := &clock{now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}
	return houseOn(t, storetest.SQLite(t, storetest.Clock(c.Now), usualPolicy), c)
}

func usualPolicy(c *store.Config) { c.DefaultPolicy = policy.Default() }

// houseOn puts one node on a database.
func houseOn(t testing.TB, db *store.DB, c *clock) *house {
	t.Helper()
	h := &house{t: t, clock: c, db: db}
	ring := storetest.Keyring(t)
	var err error
	h.key, err = passkey.New(passkey.Settings{RPID: "localhost", RPName: "Test", Origins: []string{issuer}})
	if err != nil {
		t.Fatal(err)
	}
	signTx, signView := store.Bind[signin.Store](db)
	h.signin = signin.New(signin.Deps{InTx: signTx, View: signView, Methods: map[method.Kind]method.Method{method.Passkey: h.key},
		Box: secret.NewBox(ring), Keyring: ring, Now: c.Now,
		Limits: func(method.Kind, throttle.Audience) throttle.Limit {
			return throttle.Limit{Burst: 10, Refill: time.Minute, Cap: 100}
		}})
	keyTx, keyView := store.Bind[keys.Store](db)
	h.keeper = &keys.Keeper{InTx: keyTx, View: keyView, Keyring: ring, Now: c.Now}
	lendKeys(t, h, ring)
	h.inTx, h.view = store.Bind[apps.FlowStore](db)
	h.apps = apps.New(apps.Deps{InTx: h.inTx, View: h.view, SignIn: h.signin, Keys: h.keeper, Keyring: ring,
		Box: secret.NewBox(ring), Now: c.Now, Issuer: issuer})
	base, _ := url.Parse(issuer)
	d, err := httpdoor.New(httpdoor.Config{Base: base, Errors: pages{}, Now: c.Now, FloodRate: -1})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	oidc.New(oidc.Deps{Apps: h.apps, SignIn: h.signin, Keys: h.keeper, Pages: pages{}, Door: d, Issuer: issuer, Now: c.Now}).Routes(mux)
	d.Fallback(mux)
	h.door = d.Wrap(mux)
	return h
}

// lent is one RSA key for all tests of the package: making one costs more than a test.
var lent = sync.OnceValues(func() (keys.Key, error) {
	return keys.Generate(keys.RS256, keys.Active, func(_ string, plain []byte) []byte { return plain }, time.Unix(1_700_000_000, 0))
})

func lendKeys(t testing.TB, h *house, ring *secret.Keyring) {
	t.Helper()
	k, err := lent()
	if err != nil {
		t.Fatal(err)
	}
	k.Sealed = ring.Seal("signing_keys/sealed/"+k.ID, k.Sealed)
	k.Changed = h.clock.Now()
	err = h.keeper.InTx(context.Background(), func(s keys.Store) error {
		if have, err := s.SigningKeys(context.Background()); err != nil || len(have) > 0 {
			return err
		}
		return s.AddSigningKey(context.Background(), k)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// member is a person with a passkey.
type member struct {
	people.Person
	device *softkey.Authenticator
}

func (h *house) member(name string, groups ...string) *member {
	h.t.Helper()
	now := h.clock.Now()
	m := &member{Person: people.Person{ID: people.ID(secret.NewID(now)), Username: name, Email: name + "@example.ac.uk",
		DisplayName: strings.ToUpper(name[:1]) + name[1:] + " Example", GivenName: name, FamilyName: "Example", Groups: groups,
		State: people.Active, Created: now, Updated: now}, device: softkey.New(issuer)}
	h.tx(func(ctx context.Context, s apps.FlowStore) error { return s.AddPerson(ctx, m.Person) })
	h.addPasskey(m)
	return m
}

func (h *house) addPasskey(m *member) string {
	h.t.Helper()
	now := h.clock.Now()
	subject := method.Subject{ID: string(m.ID), Username: m.Username, DisplayName: m.DisplayName}
	p, err := h.key.Offer(method.OfferInput{Subject: subject, Now: now})
	if err != nil {
		h.t.Fatal(err)
	}
	made, err := m.device.Create(p.Public)
	if err != nil {
		h.t.Fatal(err)
	}
	cred, err := h.key.Enrol(method.EnrolInput{Subject: subject, State: p.State, Answer: method.Answer{JSON: made}, Name: "key", Now: now})
	if err != nil {
		h.t.Fatal(err)
	}
	cred.ID, cred.Person, cred.Created = secret.NewID(now), string(m.ID), now
	h.tx(func(ctx context.Context, s apps.FlowStore) error { return s.AddCredential(ctx, cred) })
	return cred.ID
}

func (h *house) tx(fn func(context.Context, apps.FlowStore) error) {
	h.t.Helper()
	ctx := context.Background()
	if err := h.inTx(ctx, func(s apps.FlowStore) error { return fn(ctx, s) }); err != nil {
		h.t.Fatal(err)
	}
}
