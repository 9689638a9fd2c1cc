// Package signintest is a small house with people and browsers for tests of flows, on a real store.
//
//	signintest.New(t, db, clock) ─► House ─► Person("ada", …) ─► password, phone, passkey
//	                                      └► Browser()        ─► Open, Show, Identify, Answer with a cookie jar
//
// Its methods are the real ones, with cheap hash parameters.
package signintest

import (
	"context"
	"encoding/base32"
	"encoding/json"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/oath"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
	"github.com/gatehouse-id/gatehouse/internal/method/password"
	"github.com/gatehouse-id/gatehouse/internal/method/recovery"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// Origin is where the house stands.
const Origin = "https://signin.example.ac.uk"

// Password is everybody's: long enough to be the only proof beside a remembered browser.
const Password = "violet tractors sing at noon"

// Clock is the house's: it moves when it is told to, and by a microsecond at each look.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock starts on a Monday morning.
func NewClock() *Clock { return &Clock{at: time.Date(2026, 10, 5, 9, 0, 10, 0, time.UTC)} }

// Now looks.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(time.Microsecond)
	return c.at
}

// Add moves it.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// House is one node.
type House struct {
	T       testing.TB
	DB      *store.DB
	Clock   *Clock
	Keyring *secret.Keyring
	Box     *secret.Box
	Methods map[method.Kind]method.Method
	Flow    *signin.Flow
	InTx    func(context.Context, func(signin.Store) error) error
	View    func(context.Context, func(signin.Store) error) error
	// Gateway may be changed before a Flow is made anew (Rebuild).
	Gateway signin.SendingCaps

	phones *phones // shared by copies of the house
}

// New builds a house on db, which must have been opened with the clock and policy.Default.
func New(t testing.TB, db *store.DB, keyring *secret.Keyring, clock *Clock) *House {
	t.Helper()
	h := &House{T: t, DB: db, Clock: clock, phones: &phones{}, Keyring: keyring, Box: secret.NewBox(keyring)}
	pw, err := password.New(password.Settings{Params: password.Params{Memory: 64, Time: 1, Threads: 1}, Workers: 4, Queue: 1000,
		MinLength: func(method.Subject) int { return 8 }})
	h.must(err)
	pk, err := passkey.New(passkey.Settings{RPID: "signin.example.ac.uk", Origins: []string{Origin}})
	h.must(err)
	otp, err := oath.New(oath.Settings{Issuer: "Example"})
	h.must(err)
	app, number := h.outbound()
	h.Methods = map[method.Kind]method.Method{method.Password: pw, method.Passkey: pk, method.TOTP: otp, method.App: app, method.Phone: number,
		method.Recovery: recovery.Method{}}
	h.InTx, h.View = store.Bind[signin.Store](db)
	h.Gateway = Caps()
	h.Rebuild()
	return h
}

// Deps are what the house's Flow is made of.
func (h *House) Deps() signin.Deps {
	return signin.Deps{
		InTx: h.InTx, View: h.View, Methods: h.Methods, Box: h.Box, Keyring: h.Keyring, Now: h.Clock.Now,
		Limits: func(k method.Kind, a throttle.Audience) throttle.Limit { return throttle.Default(string(k), a) },
		Push:   h.pushed, Gateway: h.Gateway, Country: func(netip.Addr) string { return "GB" },
	}
}

// Rebuild makes the Flow anew, as a restart with another configuration does.
func (h *House) Rebuild() { h.Flow = signin.New(h.Deps()) }

func (h *House) must(err error) {
	h.T.Helper()
	if err != nil {
		h.T.Fatal(err)
	}
}

// Person is an account with what its owner holds.
type Person struct {
	people.Person
	Phone   []byte // the TOTP secret, nil for none
	Key     *softkey.Authenticator
	Clock   *Clock
	Creds   map[method.Kind]string // credential IDs
	Handles map[method.Kind][]byte
}

// Code is what the phone shows now.
func (p *Person) Code() method.Answer {
	return method.Answer{Text: oath.Code(p.Phone, oath.SHA1, 6, 30*time.Second, p.Clock.Now())}
}

// Person makes an active account with a password and the further kinds.
func (h *House) Person(name string, kinds ...method.Kind) *Person {
	h.T.Helper()
	ctx := context.Background()
	now := h.Clock.Now()
	p := &Person{Clock: h.Clock, Creds: map[method.Kind]string{}, Handles: map[method.Kind][]byte{}, Person: people.Person{
		ID: people.ID(secret.NewID(now)), Username: name, Email: name + "@example.ac.uk", DisplayName: strings.ToUpper(name[:1]) + name[1:],
		State: people.Active, Created: now, Updated: now,
	}}
	h.must(h.InTx(ctx, func(s signin.Store) error { return s.AddPerson(ctx, p.Person) }))
	h.Enrol(p, method.Password)
	for _, k := range kinds {
		h.Enrol(p, k)
	}
	// The code that enrolled the phone is used up.
	h.Clock.Add(2 * time.Minute)
	return p
}

// Enrol gives a person a further credential, as an operator would.
func (h *House) Enrol(p *Person, kind method.Kind) {
	h.T.Helper()
	ctx := context.Background()
	m, now := h.Methods[kind], h.Clock.Now()
	subject := method.Subject{ID: string(p.ID), Username: p.Username, DisplayName: p.DisplayName, Email: p.Email}
	var c method.Credential
	switch kind {
	case method.App:
		c = h.pair(p, now)
	case method.Phone:
		c = h.number(subject, now)
	default:
		prompt, err := m.Offer(method.OfferInput{Subject: subject, Now: now})
		h.must(err)
		c, err = m.Enrol(method.EnrolInput{Subject: subject, State: prompt.State, Answer: h.register(p, kind, prompt.Public), Name: string(kind), Now: now})
		h.must(err)
	}
	c.ID, c.Person, c.Kind, c.Created = secret.NewID(now), string(p.ID), kind, now
	p.Creds[kind], p.Handles[kind] = c.ID, c.Handle
	h.must(h.InTx(ctx, func(s signin.Store) error { return s.AddCredential(ctx, c) }))
}

// register answers an offer as the person's devices would.
func (h *House) register(p *Person, kind method.Kind, public json.RawMessage) method.Answer {
	h.T.Helper()
	switch kind {
	case method.Password:
		return method.Answer{Text: Password}
	case method.TOTP:
		p.Phone = TOTPSecret(h.T, public)
		return p.Code()
	default:
		if p.Key == nil {
			p.Key = softkey.New(Origin)
		}
		answer, err := p.Key.Create(public)
		h.must(err)
		return method.Answer{JSON: answer}
	}
}

// TOTPSecret reads the secret from an offer, as a phone's camera does.
func TOTPSecret(t testing.TB, public json.RawMessage) []byte {
	t.Helper()
	var o oath.Offered
	if err := json.Unmarshal(public, &o); err != nil {
		t.Fatal(err)
	}
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(o.Secret, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Application registers one.
func (h *House) Application(id, name, category string) {
	h.T.Helper()
	ctx := context.Background()
	h.must(h.DB.InTx(ctx, func(tx *store.Tx) error {
		return tx.SaveApplication(ctx, apps.Application{ID: id, Name: name, Category: category, Created: h.Clock.Now()})
	}))
}

// Policy puts rules in force.
func (h *House) Policy(p policy.Policy) {
	h.T.Helper()
	ctx := context.Background()
	h.must(h.DB.InTx(ctx, func(tx *store.Tx) error { return tx.SavePolicy(ctx, p, nil, "test", "test") }))
}

// Notices are the kinds of mail that a person was sent, oldest first.
func (h *House) Notices(p *Person) (kinds []string) {
	h.T.Helper()
	ctx := context.Background()
	h.must(h.DB.View(ctx, func(tx *store.Tx) error {
		all, err := tx.RecentMessages(ctx, 1000)
		for i := len(all) - 1; i >= 0; i-- {
			if all[i].Person == string(p.ID) {
				kinds = append(kinds, all[i].Kind)
			}
		}
		return err
	}))
	return kinds
}

// Acts are the acts and outcomes of the trail about a person, oldest first.
func (h *House) Acts(p *Person) (acts []string) {
	h.T.Helper()
	ctx := context.Background()
	h.must(h.DB.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.AuditBySubject(ctx, string(p.ID), "", 1000)
		for i := len(rows) - 1; i >= 0; i-- {
			acts = append(acts, rows[i].Act+" "+string(rows[i].Outcome))
		}
		return err
	}))
	return acts
}

// Sessions are the person's, as stored.
func (h *House) Sessions(p *Person) (all []session.Session) {
	h.T.Helper()
	ctx := context.Background()
	h.must(h.View(ctx, func(s signin.Store) (err error) {
		all, err = s.SessionsOf(ctx, string(p.ID))
		return err
	}))
	return all
}

// Browser is one, with its cookies.
type Browser struct {
	h *House
	signin.Caller
}

// Browser opens a new one.
func (h *House) Browser() *Browser {
	return &Browser{h, signin.Caller{
		Browser: secret.Token(32), Address: netip.MustParseAddr("192.0.2.7"), Agent: "Test/1.0", Door: "web",
	}}
}

// On is the same browser (cookies as they are now) speaking to another node.
func (b *Browser) On(h *House) *Browser { return &Browser{h, b.Caller} }

// Keep takes the cookies of a step, as a browser does.
func (b *Browser) Keep(set *secret.String, remembered []secret.String) {
	if set != nil {
		b.Session = *set
	}
	if remembered != nil {
		b.Remembered = remembered
	}
}

func (b *Browser) step(s signin.Step, err error) signin.Step {
	b.h.T.Helper()
	b.h.must(err)
	b.Keep(s.SetSession, s.SetRemembered)
	return s
}

// Open starts an attempt and shows its first page.
func (b *Browser) Open(target signin.Target) signin.Step {
	b.h.T.Helper()
	if target.Return == "" {
		target.Return = "/apps"
	}
	ref, err := b.h.Flow.Open(b.Caller, target)
	b.h.must(err)
	return b.Show(ref)
}

// Show shows a page again.
func (b *Browser) Show(ref string) signin.Step {
	b.h.T.Helper()
	return b.step(b.h.Flow.Show(context.Background(), b.Caller, ref))
}

// Identify types a name.
func (b *Browser) Identify(ref, name string) signin.Step {
	b.h.T.Helper()
	return b.step(b.h.Flow.Identify(context.Background(), b.Caller, ref, name))
}

// Choose takes another way.
func (b *Browser) Choose(ref string, kind method.Kind) signin.Step {
	b.h.T.Helper()
	return b.step(b.h.Flow.Choose(context.Background(), b.Caller, ref, kind))
}

// Answer answers.
func (b *Browser) Answer(ref string, kind method.Kind, a method.Answer, remember bool) signin.Step {
	b.h.T.Helper()
	return b.step(b.h.Flow.Answer(context.Background(), b.Caller, ref, kind, a, remember))
}

// Type is Answer with a password.
func (b *Browser) Type(ref, text string) signin.Step {
	b.h.T.Helper()
	return b.Answer(ref, method.Password, method.Answer{Text: text}, false)
}

// Touch signs what a step asks with the person's passkey: the autofill prompt, or the page's own.
func (b *Browser) Touch(s signin.Step, p *Person) method.Answer {
	b.h.T.Helper()
	public := s.Prompt.Public
	if s.Passkey != nil {
		public = s.Passkey.Public
	}
	answer, err := p.Key.Get(public)
	b.h.must(err)
	return method.Answer{JSON: answer}
}

// SignIn goes all the way: by passkey where the person has one, else by password and code.
func (b *Browser) SignIn(p *Person, target signin.Target, remember bool) signin.Step {
	b.h.T.Helper()
	s := b.Open(target)
	if p.Key != nil {
		return b.Answer(s.Attempt, method.Passkey, b.Touch(s, p), remember)
	}
	if s.Kind == signin.StepIdentify {
		s = b.Identify(s.Attempt, p.Username)
	}
	if s.Kind == signin.StepProve && s.Method == method.Password {
		s = b.Type(s.Attempt, Password)
	}
	if s.Kind == signin.StepProve && s.Method == method.TOTP {
		b.h.Clock.Add(time.Minute)
		s = b.Answer(s.Attempt, method.TOTP, p.Code(), remember)
	}
	return s
}
