package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/bench"
	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/app"
	"github.com/gatehouse-id/gatehouse/internal/method/oath"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

// lightHash costs some ten microseconds instead of 25 milliseconds. No configuration admits it.
var lightHash = argon2Config{MemoryKiB: 8, Passes: 1, Lanes: 1}

// seconder is somebody with a password and a second method.
type seconder struct {
	name   string
	second method.Credential
}

// seconds puts the people in who sign in with two proofs.
func (s *benchSeed) seconds(ctx context.Context, h *house, plan benchPlan) error {
	if plan.members+plan.coders == 0 {
		return nil
	}
	pw, err := h.methods[method.Password].Enrol(method.EnrolInput{Answer: method.Answer{Text: benchPassword}, Now: time.Now()})
	if err != nil {
		return err
	}
	s.phones = phoneClient(s.addr)
	err = s.add(ctx, h, plan.members, pw.State, func(i int, id string) (seconder, error) { return s.member(h, i, id) })
	if err != nil {
		return err
	}
	s.house.Coder, s.house.Coders = benchCoder, plan.coders
	secrets := make([][]byte, plan.coders)
	s.house.Passcode = func(n int, at time.Time) string { return oath.Code(secrets[n], oath.SHA1, 6, 30*time.Second, at) }
	return s.add(ctx, h, plan.coders, pw.State, func(i int, _ string) (x seconder, err error) {
		x, secrets[i], err = coder(h, i)
		return x, err
	})
}

func benchCoder(n int) string { return fmt.Sprintf("coder.%06d", n) }

// add puts n people in, a few hundred in each transaction.
func (s *benchSeed) add(ctx context.Context, h *house, n int, password []byte, build func(i int, id string) (seconder, error)) error {
	const batch = 500
	for from := 0; from < n; from += batch {
		now := time.Now()
		var ids [batch]string
		var all [batch]seconder
		for i := range min(batch, n-from) {
			ids[i] = secret.NewID(now)
			var err error
			if all[i], err = build(from+i, ids[i]); err != nil {
				return err
			}
		}
		err := h.db.InTx(ctx, func(tx *store.Tx) error {
			for i := range min(batch, n-from) {
				if err := addSeconder(ctx, tx, ids[i], all[i], password, now); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func addSeconder(ctx context.Context, tx *store.Tx, id string, x seconder, password []byte, now time.Time) error {
	p := people.Person{ID: people.ID(id), Username: x.name, DisplayName: "Person " + x.name, Email: x.name + "@bench.example",
		Groups: []string{"members"}, State: people.Active, Created: now, Updated: now, Version: 1}
	if err := tx.AddPerson(ctx, p); err != nil {
		return err
	}
	first := method.Credential{ID: secret.NewID(now), Person: id, Kind: method.Password, State: password, Created: now, Version: 1}
	if err := tx.AddCredential(ctx, first); err != nil {
		return err
	}
	x.second.ID, x.second.Person, x.second.Created, x.second.Version = secret.NewID(now), id, now, 1
	return tx.AddCredential(ctx, x.second)
}

// coder has the secret of an app for passcodes.
func coder(h *house, i int) (x seconder, key []byte, err error) {
	m, ok := h.built[method.TOTP].(*oath.Method)
	if !ok {
		return x, nil, errors.New("the house has no passcodes")
	}
	issued, err := m.Issue()
	if err != nil {
		return x, nil, err
	}
	key, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(issued.Secret.Reveal())
	return seconder{benchCoder(i), method.Credential{Kind: method.TOTP, Name: "Codes", State: issued.State}}, key, err
}

// member has a phone that is paired, with a key and an unlocking passkey of its own.
func (s *benchSeed) member(h *house, i int, id string) (seconder, error) {
	m, ok := h.built[method.App].(*app.Method)
	if !ok {
		return seconder{}, errors.New("the house has no app")
	}
	now, name := time.Now(), fmt.Sprintf("member.%06d", i)
	user := app.UserHandle(id, "bench")
	offer, err := m.OfferUnlock(user, method.Subject{ID: id, Username: name, DisplayName: name}, now)
	if err != nil {
		return seconder{}, err
	}
	platform := softkey.New(s.app)
	registration, err := platform.Create(offer.Public)
	if err != nil {
		return seconder{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return seconder{}, err
	}
	phone, err := softphone.Paired(s.app, s.base, id, key, platform.Credentials()[0], s.phones)
	if err != nil {
		return seconder{}, err
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		return seconder{}, err
	}
	enc := base64.RawURLEncoding.EncodeToString
	held, err := app.ParseKey(fmt.Appendf(nil, `{"crv":"P-256","kty":"EC","x":%q,"y":%q}`, enc(public[1:33]), enc(public[33:])))
	if err != nil {
		return seconder{}, err
	}
	state, err := m.Pair(held, user, offer.State, registration, now)
	s.house.Members = append(s.house.Members, bench.Member{Name: name, Phone: phone})
	return seconder{name, method.Credential{Kind: method.App, Name: "Phone", Handle: held.Thumbprint(), State: state}}, err
}

// phoneClient makes the phones' calls, all to one address whatever the host is called.
func phoneClient(addr string) *http.Client {
	var d net.Dialer
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 64,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "tcp", addr) }}}
}

// call lets every phone call at addr from now on.
func (s *benchSeed) call(addr string) {
	s.phones = phoneClient(addr)
	for _, m := range s.house.Members {
		m.Phone.Client = s.phones
	}
}
