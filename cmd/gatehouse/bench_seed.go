package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/bench"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

// benchSeed is a house with people, made without its doors.
type benchSeed struct {
	dir, config string
	base, app   string // the two origins
	addr        string // where they are served
	// second is the other node's configuration, and secondAddr where it listens; "" on SQLite.
	second, secondAddr string
	light              bool
	key                *ecdsa.PrivateKey // of everybody's passkey
	keys               []*softkey.Authenticator
	house              *bench.House
	phones             *http.Client // of all members' phones
}

const (
	benchPassword = "a pass phrase for the bench"
	// benchActive people sign in during the bench; the others are there to be passed over.
	benchActive = 512
	benchRole   = "bench"
)

// benchPlan says what a house of the bench is.
type benchPlan struct {
	people  int // a tenth of whom are guests with only a password
	members int // with a password and the app
	coders  int // with a password and passcodes
	// light: the house hashes passwords with next to nothing, so that the rest of a sign-in can be measured.
	light bool
	// postgres is the database of two nodes, "" for one on SQLite.
	postgres string
}

// seedBench makes a data folder with those people.
func seedBench(ctx context.Context, dir string, plan benchPlan) (*benchSeed, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &benchSeed{dir: dir, light: plan.light}
	if err := s.configure(plan); err != nil {
		return nil, err
	}
	if err := makeKeyFile(filepath.Join(dir, "gatehouse.key")); err != nil {
		return nil, err
	}
	c, err := loadConfig(s.config)
	if err != nil {
		return nil, err
	}
	if plan.light {
		c.Argon2 = lightHash
	}
	set, err := c.house(c.Node, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	h, err := openHouse(ctx, set)
	if err != nil {
		return nil, err
	}
	if err := s.fill(ctx, h, plan); err != nil {
		h.close()
		return nil, err
	}
	return s, h.close()
}

// configure writes the configuration of one node, or of two on one PostgreSQL.
func (s *benchSeed) configure(plan benchPlan) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	s.base = fmt.Sprintf("http://localhost:%d", port)
	s.app = fmt.Sprintf("http://app.localhost:%d", port)
	s.addr = fmt.Sprintf("127.0.0.1:%d", port)
	text := fmt.Sprintf("base_url: %s\nkey_file: gatehouse.key\n", s.base)
	if plan.members > 0 {
		text += "app:\n  base_url: " + s.app + "\n"
	}
	database := "gatehouse.db"
	if plan.postgres != "" {
		database = plan.postgres
	}
	text += fmt.Sprintf("database: %q\n", database)
	s.config = filepath.Join(s.dir, "gatehouse.yaml")
	if plan.postgres != "" {
		second, err := freePort()
		if err != nil {
			return err
		}
		s.second, s.secondAddr = filepath.Join(s.dir, "second.yaml"), fmt.Sprintf("127.0.0.1:%d", second)
		if err := os.WriteFile(s.second, []byte(text+"node: second\nlisten: "+s.secondAddr+"\n"), 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(s.config, []byte(text+"listen: "+s.addr+"\n"), 0o600)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (s *benchSeed) fill(ctx context.Context, h *house, plan benchPlan) error {
	if err := h.db.Migrate(ctx); err != nil {
		return err
	}
	if _, err := h.keys.Turn(ctx); err != nil {
		return err
	}
	by := manage.CommandLine(benchRole)
	p := policy.Default()
	p.Rules[0].People = policy.Match{ExceptGroups: []string{"guests"}}
	p.Rules = append(p.Rules, policy.Rule{Name: "Guests need one proof", State: policy.RuleOn,
		People: policy.Match{Groups: []string{"guests"}}, Grant: policy.Grant{Strength: policy.StrengthAny}})
	if _, err := h.manage.SetPolicy(ctx, by, p, nil, "bench"); err != nil {
		return err
	}
	redirect := "http://127.0.0.1/callback"
	app, key, err := h.manage.AddApplication(ctx, by, apps.Application{Name: "Bench", Category: "bench", OIDC: apps.OIDC{
		ClientID: "bench", RedirectURIs: []string{redirect}, GrantTypes: []string{apps.GrantAuthorizationCode, apps.GrantRefreshToken},
		Scopes: []string{apps.ScopeOpenID, apps.ScopeProfile, apps.ScopeEmail, apps.ScopeOffline}}}, true)
	if err != nil {
		return err
	}
	if err := s.people(ctx, h, plan.people); err != nil {
		return err
	}
	s.house = &bench.House{Sign: s.sign, People: len(s.keys), Guest: benchGuest, Guests: min(plan.people/10, benchActive), Password: benchPassword,
		ClientID: app.OIDC.ClientID, ClientSecret: key.Reveal(), RedirectURI: redirect}
	return s.seconds(ctx, h, plan)
}

func benchGuest(n int) string { return fmt.Sprintf("guest.%06d", n) }

// sign answers for one of the people who sign in.
func (s *benchSeed) sign(person int, options []byte) (json.RawMessage, error) {
	return s.keys[person].Get(options)
}

// people puts n accounts in. One passkey and one password are registered in earnest; the others' credentials are the
// same with handles of their own, so that a hundred thousand take seconds.
func (s *benchSeed) people(ctx context.Context, h *house, n int) error {
	passkeyState, err := s.registerPasskey(h)
	if err != nil {
		return err
	}
	pw, err := h.methods[method.Password].Enrol(method.EnrolInput{Answer: method.Answer{Text: benchPassword}, Now: time.Now()})
	if err != nil {
		return err
	}
	const batch = 500
	for from := 0; from < n; from += batch {
		var added []*softkey.Authenticator
		err := h.db.InTx(ctx, func(tx *store.Tx) error {
			added = added[:0]
			for i := from; i < min(from+batch, n); i++ {
				key, err := s.person(ctx, tx, i, n, passkeyState, pw.State)
				if err != nil {
					return err
				}
				if key != nil {
					added = append(added, key)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		s.keys = append(s.keys, added...)
	}
	s.keys = s.keys[:min(len(s.keys), benchActive)]
	return nil
}

// person adds one account; a tenth of them are guests, the others give their authenticator.
func (s *benchSeed) person(ctx context.Context, tx *store.Tx, i, n int, passkeyState, passwordState []byte) (*softkey.Authenticator, error) {
	now := time.Now()
	p := people.Person{ID: people.ID(secret.NewID(now)), Username: fmt.Sprintf("person.%06d", i), DisplayName: fmt.Sprintf("Person %d", i),
		GivenName: "Person", FamilyName: fmt.Sprint(i), Groups: []string{"members"}, State: people.Active, Created: now, Updated: now, Version: 1}
	c := method.Credential{ID: secret.NewID(now), Person: string(p.ID), Kind: method.Passkey, Name: "Passkey", State: passkeyState, Created: now, Version: 1}
	guest := i < n/10
	if guest {
		p.Username, p.Groups = benchGuest(i), []string{"guests"}
		c.Kind, c.Name, c.State = method.Password, "", passwordState
	} else {
		c.Handle = make([]byte, 32)
		rand.Read(c.Handle)
	}
	p.Email = p.Username + "@bench.example"
	if err := tx.AddPerson(ctx, p); err != nil {
		return nil, err
	}
	if err := tx.AddCredential(ctx, c); err != nil || guest {
		return nil, err
	}
	key := softkey.New(s.base)
	key.Add(softkey.Credential{ID: c.Handle, RPID: "localhost", UserHandle: []byte(p.ID), Key: s.key})
	return key, nil
}

// registerPasskey makes everybody's key pair and gives the state that the method keeps of it.
func (s *benchSeed) registerPasskey(h *house) ([]byte, error) {
	m, now := h.methods[method.Passkey], time.Now()
	subject := method.Subject{ID: secret.NewID(now), Username: "bench", DisplayName: "Bench"}
	offer, err := m.Offer(method.OfferInput{Subject: subject, Now: now})
	if err != nil {
		return nil, err
	}
	key := softkey.New(s.base)
	answer, err := key.Create(offer.Public)
	if err != nil {
		return nil, err
	}
	c, err := m.Enrol(method.EnrolInput{Subject: subject, State: offer.State, Answer: method.Answer{JSON: answer}, Name: "Passkey", Now: now})
	if err != nil {
		return nil, err
	}
	s.key = key.Credentials()[0].Key
	return c.State, nil
}
