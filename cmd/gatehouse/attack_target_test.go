package main

import (
	"context"
	"encoding/base32"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/campus"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/oath"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
	"github.com/gatehouse-id/gatehouse/internal/method/password"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
)

// The tests in attack_*_test.go are an enemy at the public HTTP surface: the house is built as serve builds it, on a
// real store, and its handler is called directly. Only the clock, the people and what they hold are the tests' own.

const (
	attackBase = "http://localhost:8080"
	// longPassword is long enough to be the only proof, shortPassword is not.
	longPassword  = "violet tractors sing at noon"
	shortPassword = "plum-kite 77"
)

// attackClock moves when it is told to: by a millisecond with each request, and never by being looked at, so that a run
// can be repeated.
type attackClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *attackClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *attackClock) tick() { c.Add(time.Millisecond) }

func (c *attackClock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// lines collects what the nodes log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// target is what is attacked: one or more nodes on one database, with people and applications.
type target struct {
	t     testing.TB
	clock *attackClock
	nodes []*node
	log   *lines
	token string // an administrator's, with every scope
	// change, if set, changes how a node is configured.
	change func(*houseConfig)
	// seen, if set, is told every address, redirect and body that crosses the surface.
	seen func(method, url string, r *reply)
}

// node is one process of the house.
type node struct {
	*house
	handler http.Handler
}

// newTarget builds nodes on the database at dsn; "" is a new SQLite file.
func newTarget(t testing.TB, dsn string, nodes int) *target {
	t.Helper()
	return newTargetWith(t, dsn, nodes, nil)
}

// newTargetWith builds nodes that are configured otherwise.
func newTargetWith(t testing.TB, dsn string, nodes int, change func(*houseConfig)) *target {
	t.Helper()
	if dsn == "" {
		dsn = filepath.Join(t.TempDir(), "gatehouse.db")
	}
	x := &target{t: t, log: &lines{}, change: change, clock: &attackClock{at: time.Date(2026, 10, 5, 9, 0, 10, 0, time.UTC)}}
	for i := range nodes {
		x.nodes = append(x.nodes, x.node("n"+strconv.Itoa(i), dsn))
	}
	first := x.nodes[0]
	_, err := first.keys.Turn(t.Context())
	x.must(err)
	_, shown, err := first.manage.AddToken(t.Context(), attackBy, "attack", manage.Scopes(), manage.MaxTokenLife)
	x.must(err)
	x.token = shown.Reveal()
	x.policy(attackPolicy())
	return x
}

var attackBy = manage.By{Actor: "system", Door: "cli", Scopes: manage.Scopes()}

func (x *target) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

func (x *target) node(name, dsn string) *node {
	x.t.Helper()
	c := houseConfig{Base: &url.URL{Scheme: "http", Host: "localhost:8080"}, AppBase: &url.URL{Scheme: "http", Host: "app.localhost:8080"},
		Push: &pushSettings{Contact: "mailto:signin@example.ac.uk"}, DSN: dsn, Node: name,
		Keyring: storetest.Keyring(x.t), Campus: campus.Campus{ID: "test", Name: "Testing"}, Now: x.clock.Now,
		Log:       slog.New(slog.NewTextHandler(x.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Passwords: attackPasswords()}
	if x.change != nil {
		x.change(&c)
	}
	h, err := openHouse(context.Background(), c)
	x.must(err)
	x.t.Cleanup(func() { h.close() })
	x.must(h.db.Migrate(context.Background()))
	x.must(h.openPush(context.Background()))
	d, err := h.openDoors(nil)
	x.must(err)
	h.probes(d)
	return &node{h, d.handler()}
}

// attackPasswords are quick to hash.
func attackPasswords() password.Settings {
	return password.Settings{Params: password.Params{Memory: 64, Time: 1, Threads: 1}, Workers: 4, Queue: 1000}
}

// attackPolicy: MFA, remembered for 30 days; a notice board for which a password will do; money within the hour; and
// clinical applications that want a passkey every time.
func attackPolicy() policy.Policy {
	p := policy.Default()
	p.Rules = []policy.Rule{
		{Name: "MFA for everybody", State: policy.RuleOn, Applications: policy.Match{ExceptCategories: []string{"open"}},
			Grant: policy.Grant{Strength: policy.StrengthMFA, RememberSet: true, Remember: 30 * 24 * time.Hour}},
		{Name: "open to all", State: policy.RuleOn, Applications: policy.Match{Categories: []string{"open"}},
			Grant: policy.Grant{Strength: policy.StrengthAny}},
		{Name: "money", State: policy.RuleOn, Applications: policy.Match{Categories: []string{"money"}},
			Grant: policy.Grant{Strength: policy.StrengthMFA, Freshness: policy.Freshness{MaxAge: time.Hour}, RememberSet: true}},
		{Name: "clinical", State: policy.RuleOn, Applications: policy.Match{Categories: []string{"clinical"}},
			Grant: policy.Grant{Strength: policy.StrengthPhishingResistant, Freshness: policy.Freshness{EveryTime: true}, RememberSet: true}},
	}
	return p
}

// policy puts p in force, whatever stood before.
func (x *target) policy(p policy.Policy) {
	x.t.Helper()
	now, err := x.nodes[0].manage.Policy(context.Background(), attackBy)
	x.must(err)
	p.Version = now.Version
	_, err = x.nodes[0].manage.SetPolicy(context.Background(), attackBy, p, nil, "a test")
	x.must(err)
}

// application is a relying party as its operators know it.
type application struct {
	id, name, secret, redirect string
}

func (x *target) application(name, category string, scopes ...string) *application {
	x.t.Helper()
	a := &application{id: strings.ToLower(name), name: name, redirect: "https://" + strings.ToLower(name) + ".example/callback"}
	_, shown, err := x.nodes[0].apps.Register(context.Background(), "system", apps.Application{Name: name, Category: category, URL: a.redirect,
		OIDC: apps.OIDC{ClientID: a.id, RedirectURIs: []string{a.redirect}, Scopes: append(scopes, "openid", "profile", "email"),
			GrantTypes: []string{apps.GrantAuthorizationCode, apps.GrantRefreshToken}}}, true)
	x.must(err)
	a.secret = shown.Reveal()
	return a
}

// member is a person with what they know and hold.
type member struct {
	x        *target
	id       people.ID
	name     string
	password string
	phone    []byte                 // TOTP secret
	key      *softkey.Authenticator // their passkeys
	step     int64                  // of the last passcode shown by next
}

// member makes an active account with these methods; a passkey lives on a device of their own.
func (x *target) member(name, pass string, kinds ...method.Kind) *member {
	x.t.Helper()
	now := x.clock.Now()
	m := &member{x: x, id: people.ID(secret.NewID(now)), name: name, password: pass, key: softkey.New(attackBase)}
	p := people.Person{ID: m.id, Username: name, Email: name + "@example.ac.uk", DisplayName: strings.ToUpper(name), State: people.Active,
		Created: now, Updated: now, Version: 1}
	x.must(x.nodes[0].db.InTx(context.Background(), func(tx *store.Tx) error { return enrol.Store(tx).AddPerson(context.Background(), p) }))
	for _, k := range kinds {
		m.enrol(k)
	}
	x.clock.Add(2 * time.Minute) // the passcode that enrolled the phone is used up
	return m
}

// stranger is somebody with a device and no account.
func (x *target) stranger(name string) *member {
	return &member{x: x, name: name, key: softkey.New(attackBase)}
}

// enrol gives the member a method as an operator would.
func (m *member) enrol(kind method.Kind) {
	x := m.x
	x.t.Helper()
	x.clock.tick()
	n, now := x.nodes[0], x.clock.Now()
	enrolling := n.methods[kind]
	if kind == method.Password { // an operator may give a short one
		set := attackPasswords()
		set.MinLength = func(method.Subject) int { return password.MinChars }
		var err error
		enrolling, err = password.New(set)
		x.must(err)
	}
	who := method.Subject{ID: string(m.id), Username: m.name}
	offer, err := enrolling.Offer(method.OfferInput{Subject: who, Now: now})
	x.must(err)
	in := method.EnrolInput{Subject: who, State: offer.State, Now: now, Name: string(kind)}
	switch kind {
	case method.Password:
		in.Answer.Text = m.password
	case method.TOTP:
		var shown oath.Offered
		x.must(json.Unmarshal(offer.Public, &shown))
		m.phone = phoneSecret(x.t, shown.Secret)
		in.Answer.Text = m.at(now)
	default:
		in.Answer.JSON, err = m.key.Create(offer.Public)
		x.must(err)
	}
	c, err := enrolling.Enrol(in)
	x.must(err)
	c.ID, c.Person, c.Kind, c.Created, c.Version = secret.NewID(now), string(m.id), kind, now, 1
	x.must(n.db.InTx(context.Background(), func(tx *store.Tx) error { return enrol.Store(tx).AddCredential(context.Background(), c) }))
}

func phoneSecret(t testing.TB, shown string) []byte {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(shown, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// at is what the phone shows at a time.
func (m *member) at(t time.Time) string { return oath.Code(m.phone, oath.SHA1, 6, 30*time.Second, t) }

// code is a passcode that was never shown before: the clock moves to the next one where needed.
func (m *member) code() string {
	now := m.x.clock.Now()
	if s := now.Unix() / 30; s <= m.step {
		m.x.clock.Add(time.Duration(m.step+1-s) * 30 * time.Second)
		now = m.x.clock.Now()
	}
	m.step = now.Unix() / 30
	return m.at(now)
}

// wrong is a passcode that no step near now has.
func (m *member) wrong() string {
	for n := 0; ; n++ {
		guess := strconv.Itoa(100000 + n)
		near := false
		for s := -4; s <= 4; s++ {
			near = near || m.at(m.x.clock.Now().Add(time.Duration(s)*30*time.Second)) == guess
		}
		if !near {
			return guess
		}
	}
}

// acts are the acts, outcomes and reasons of the trail about the member, oldest first.
func (m *member) acts() (all []string) {
	m.x.t.Helper()
	ctx := context.Background()
	m.x.must(m.x.nodes[0].db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.AuditBySubject(ctx, string(m.id), "", 1000)
		for i := len(rows) - 1; i >= 0; i-- {
			all = append(all, rows[i].Act+" "+string(rows[i].Outcome)+" "+rows[i].Reason)
		}
		return err
	}))
	return all
}

// notices are the kinds of mail that the member was sent, oldest first.
func (m *member) notices() (all []string) {
	m.x.t.Helper()
	ctx := context.Background()
	m.x.must(m.x.nodes[0].db.View(ctx, func(tx *store.Tx) error {
		sent, err := tx.RecentMessages(ctx, 1000)
		for i := len(sent) - 1; i >= 0; i-- {
			if sent[i].Person == string(m.id) {
				all = append(all, sent[i].Kind)
			}
		}
		return err
	}))
	return all
}
