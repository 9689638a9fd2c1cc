package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/campus"
	"github.com/gatehouse-id/gatehouse/internal/demo"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/oath"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

// demoBy is who sets the demonstration up, in its trail.
var demoBy = manage.By{Actor: "system", Door: "demo", Scopes: manage.Scopes()}

// build opens the house on the demo's folder and seeds what is missing. The slow parts (password hashes, an RSA key)
// run side by side.
func (s *stage) build(ctx context.Context) (*house, error) {
	keyFile := filepath.Join(s.dir, "master.key")
	if _, err := os.Stat(keyFile); errors.Is(err, os.ErrNotExist) {
		if err := makeKeyFile(keyFile); err != nil {
			return nil, err
		}
	}
	ring, _, err := readKeyFile(keyFile)
	if err != nil {
		return nil, err
	}
	h, err := openHouse(ctx, houseConfig{Base: s.base, DSN: filepath.Join(s.dir, "gatehouse.db"), Node: "demo", Keyring: ring,
		AppBase: s.app, Push: &pushSettings{Contact: s.contact()}, Text: s.texts(), Campus: s.campus, Now: s.clock.Now, Log: s.log, Banner: "A demonstration: nobody here is real. People, passcodes and mail", BannerPath: "/demo"})
	if err != nil {
		return nil, err
	}
	err = s.seed(ctx, h)
	if err == nil {
		err = h.openPush(ctx)
	}
	if err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (s *stage) seed(ctx context.Context, h *house) error {
	if err := h.db.Migrate(ctx); err != nil {
		return err
	}
	if err := s.mark(ctx, h); err != nil {
		return err
	}
	s.facts.BaseURL, s.facts.Issuer, s.facts.OutboxURL = h.issuer(), h.issuer(), h.issuer()+"/demo/outbox"
	s.facts.AppURL = h.appOrigin()
	var side errgroup.Group
	side.Go(func() error {
		_, err := h.keys.Turn(ctx)
		return err
	})
	people := make([]demo.Person, len(s.campus.Demo.People))
	for i, p := range s.campus.Demo.People {
		side.Go(func() (err error) {
			people[i], err = s.seedPerson(ctx, h, p)
			return err
		})
	}
	if err := errors.Join(s.seedCampus(ctx, h), side.Wait()); err != nil {
		return err
	}
	s.facts.People = people
	if err := s.seedToken(ctx, h); err != nil {
		return err
	}
	return s.facts.Write(filepath.Join(s.dir, demoFile))
}

// mark tells this database from a real one, for ever.
func (s *stage) mark(ctx context.Context, h *house) error {
	var have []byte
	err := h.db.InTx(ctx, func(tx *store.Tx) (err error) {
		if _, err = tx.AddSetting(ctx, demoMark, []byte(s.campus.ID)); err != nil {
			return err
		}
		have, err = tx.Setting(ctx, demoMark)
		return err
	})
	if err == nil && string(have) != s.campus.ID {
		err = errDemoCampus
	}
	return err
}

// seedCampus puts the campus' policy in force and registers its applications: the samples at their addresses of this
// run, the others as they are but without a tile, for nobody answers at theirs.
func (s *stage) seedCampus(ctx context.Context, h *house) error {
	changes, version, err := h.plan(ctx, demoBy, campus.Campus{Policy: s.campus.Policy})
	if err != nil {
		return err
	}
	if len(changes) > 0 {
		p := s.campus.Policy
		p.Version = version
		if _, err := h.manage.SetPolicy(ctx, demoBy, p, nil, "the demonstration's campus"); err != nil {
			return err
		}
	}
	secrets := map[string]string{}
	for _, a := range s.facts.Applications {
		secrets[a.ClientID] = a.ClientSecret
	}
	s.facts.Applications = nil
	var wanted []apps.Application
	for _, a := range s.campus.Applications {
		a.URL = ""
		for i, id := range s.campus.Demo.Samples {
			if a.ID == id {
				a.URL = s.urls[i] + "/"
				a.OIDC.RedirectURIs = []string{s.urls[i] + "/callback"}
				a.OIDC.PostLogoutRedirectURIs = []string{s.urls[i] + "/"}
			}
		}
		fact := demo.Application{Name: a.Name, ClientID: a.OIDC.ClientID, RedirectURIs: a.OIDC.RedirectURIs, URL: a.URL}
		if a.GenerateSecret {
			if fact.ClientSecret = secrets[fact.ClientID]; fact.ClientSecret == "" {
				shown, _ := apps.NewSecret()
				fact.ClientSecret = shown.Reveal()
			}
			a.OIDC.SecretHashes = [][]byte{secret.Hash(fact.ClientSecret)}
		}
		s.facts.Applications = append(s.facts.Applications, fact)
		wanted = append(wanted, a.Application)
	}
	_, err = h.apps.Apply(ctx, demoBy.Actor, wanted)
	return err
}

// seedPerson adds a person once; later runs find them as they left themselves.
func (s *stage) seedPerson(ctx context.Context, h *house, d campus.DemoPerson) (demo.Person, error) {
	out := demo.Person{Username: d.Username, Email: d.Email, Groups: d.Groups}
	if out.Groups == nil {
		out.Groups = []string{}
	}
	for _, before := range s.facts.People {
		if before.Username == d.Username {
			out.Password, out.TOTPSecret = before.Password, before.TOTPSecret
		}
	}
	p, err := h.manage.Person(ctx, demoBy, d.Username)
	if fault.IsKind(err, fault.NotFound) {
		p, err = s.addPerson(ctx, h, d, &out)
	}
	if err != nil {
		return out, fmt.Errorf("%s: %w", d.Username, err)
	}
	if p.State == people.Invited {
		typed, _, err := h.manage.Invite(ctx, demoBy, p.ID, "invitation", manage.InviteFor)
		if err != nil {
			return out, err
		}
		out.Invitation = typed.Reveal()
	}
	return out, nil
}

func (s *stage) addPerson(ctx context.Context, h *house, d campus.DemoPerson, out *demo.Person) (people.Person, error) {
	now := h.Now()
	p := people.Person{ID: people.ID(secret.NewID(now)), Username: d.Username, Email: d.Email, DisplayName: d.Given + " " + d.Family,
		GivenName: d.Given, FamilyName: d.Family, Locale: d.Locale, Groups: d.Groups, Roles: d.Roles, State: people.Invited,
		Lead: string(d.Lead), Created: now, Updated: now, Version: 1}
	var owned []method.Credential
	for _, kind := range d.Methods {
		c, err := enrolDemo(h, p, kind, d.Password, out)
		if err != nil {
			return p, err
		}
		owned = append(owned, c)
		p.State = people.Active
	}
	err := h.db.InTx(ctx, func(tx *store.Tx) error {
		var s enrol.Store = tx
		if err := s.AddPerson(ctx, p); err != nil {
			return err
		}
		for _, c := range owned {
			if err := s.AddCredential(ctx, c); err != nil {
				return err
			}
		}
		return s.Record(ctx, audit.Entry{At: now, Act: "person.added", Outcome: audit.Done, Actor: demoBy.Actor, Door: demoBy.Door,
			Subject: string(p.ID)})
	})
	return p, err
}

// enrolDemo registers a method as its owner would: the same offer and the same judgement.
func enrolDemo(h *house, p people.Person, kind method.Kind, password string, out *demo.Person) (method.Credential, error) {
	m := h.methods[kind]
	who := method.Subject{ID: string(p.ID), Username: p.Username, DisplayName: p.DisplayName, Email: p.Email}
	// A while ago, so that the passcode of this moment is still unused.
	then := h.Now().Add(-5 * time.Minute)
	offer, err := m.Offer(method.OfferInput{Subject: who, Now: then})
	if err != nil {
		return method.Credential{}, err
	}
	in := method.EnrolInput{Subject: who, State: offer.State, Now: then}
	switch kind {
	case method.Password:
		if out.Password = password; password == "" {
			t := strings.ToLower(rand.Text())
			out.Password = t[:4] + "-" + t[4:8] + "-" + t[8:12] + "-" + t[12:16]
		}
		in.Answer.Text, in.Name = out.Password, "Password"
	case method.TOTP:
		var shown oath.Offered
		if err := json.Unmarshal(offer.Public, &shown); err != nil {
			return method.Credential{}, err
		}
		out.TOTPSecret = strings.ReplaceAll(shown.Secret, " ", "")
		in.Answer.Text, _ = demo.Passcode(out.TOTPSecret, then)
		in.Name = "Passcode app"
	}
	c, err := m.Enrol(in)
	c.ID, c.Person, c.Kind, c.Created, c.Version = secret.NewID(h.Now()), string(p.ID), kind, h.Now(), 1
	return c, err
}

// seedToken keeps the administration token of the last run while it lives.
func (s *stage) seedToken(ctx context.Context, h *house) error {
	if s.facts.AdminToken != "" {
		if _, err := h.manage.WhoIs(ctx, secret.NewString(s.facts.AdminToken)); err == nil {
			return nil
		}
		if err := h.manage.RemoveToken(ctx, demoBy, "demo"); err != nil && !fault.IsKind(err, fault.NotFound) {
			return err
		}
	}
	_, shown, err := h.manage.AddToken(ctx, demoBy, "demo", manage.Scopes(), manage.MaxTokenLife)
	s.facts.AdminToken = shown.Reveal()
	return err
}
