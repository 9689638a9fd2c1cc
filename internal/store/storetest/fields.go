package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/incident"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// roundTrip saves a filled value and wants it back as it was.
func roundTrip[T any](t *testing.T, db *store.DB, name string, add func(*store.Tx, T) error, get func(*store.Tx, T) (T, error)) {
	t.Helper()
	want := filled[T](1)
	do(t, db, func(tx *store.Tx) error { return add(tx, want) })
	look(t, db, func(tx *store.Tx) error {
		got, err := get(tx, want)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		same(t, name, got, want)
		return nil
	})
}

func everyField(t *testing.T, db *store.DB) {
	ctx := context.Background()
	roundTrip(t, db, "person", func(tx *store.Tx, v people.Person) error { return tx.AddPerson(ctx, v) },
		func(tx *store.Tx, v people.Person) (people.Person, error) { return tx.PersonByID(ctx, v.ID) })
	roundTrip(t, db, "credential", func(tx *store.Tx, v method.Credential) error { return tx.AddCredential(ctx, v) },
		func(tx *store.Tx, v method.Credential) (method.Credential, error) {
			return tx.CredentialByHandle(ctx, v.Kind, v.Handle)
		})
	roundTrip(t, db, "session", func(tx *store.Tx, v session.Session) error { return tx.AddSession(ctx, v) },
		func(tx *store.Tx, v session.Session) (session.Session, error) {
			return tx.SessionByToken(ctx, v.TokenHash)
		})
	roundTrip(t, db, "remembered browser", func(tx *store.Tx, v session.Browser) error { return tx.AddBrowser(ctx, v) },
		func(tx *store.Tx, v session.Browser) (session.Browser, error) {
			return tx.BrowserByFamily(ctx, v.Family)
		})
	roundTrip(t, db, "counter", func(tx *store.Tx, v throttle.Counter) error {
		_, _, err := tx.ReserveGuess(ctx, v.Key, func(throttle.Counter) (throttle.Counter, bool) { return v, true })
		return err
	},
		func(tx *store.Tx, v throttle.Counter) (throttle.Counter, error) { return tx.CounterFor(ctx, v.Key) })
	roundTrip(t, db, "attempt", func(tx *store.Tx, v signin.Attempt) error { return tx.AddAttempt(ctx, v) },
		func(tx *store.Tx, v signin.Attempt) (signin.Attempt, error) { return tx.AttemptByID(ctx, v.ID) })
	roundTrip(t, db, "invitation", func(tx *store.Tx, v enrol.Invitation) error { return tx.ReplaceInvitation(ctx, v) },
		func(tx *store.Tx, v enrol.Invitation) (enrol.Invitation, error) {
			return tx.InvitationByHash(ctx, v.Hash)
		})
	roundTrip(t, db, "grant", func(tx *store.Tx, v apps.Grant) error { return tx.AddGrant(ctx, v) },
		func(tx *store.Tx, v apps.Grant) (apps.Grant, error) { return tx.GrantByID(ctx, v.ID) })
	roundTrip(t, db, "access token", func(tx *store.Tx, v apps.AccessToken) error { return tx.AddAccessToken(ctx, v) },
		func(tx *store.Tx, v apps.AccessToken) (apps.AccessToken, error) {
			return tx.AccessTokenByHash(ctx, v.Hash)
		})
	roundTrip(t, db, "API token", func(tx *store.Tx, v apps.APIToken) error { return tx.AddToken(ctx, v) },
		func(tx *store.Tx, v apps.APIToken) (apps.APIToken, error) { return tx.TokenByHash(ctx, v.Hash) })
	roundTrip(t, db, "message", func(tx *store.Tx, v notice.Message) error { return tx.Enqueue(ctx, v) },
		func(tx *store.Tx, v notice.Message) (notice.Message, error) {
			list, err := tx.RecentMessages(ctx, 1)
			return list[0], err
		})
	everyPhoneField(t, db)
	application := filled[apps.Application](1)
	application.Version = 0
	do(t, db, func(tx *store.Tx) error { return tx.SaveApplication(ctx, application) })
	application.Version = 1
	pol := filled[policy.Policy](1)
	pol.Version = 0
	do(t, db, func(tx *store.Tx) error { return tx.SavePolicy(ctx, pol, []byte("text"), "cli:ada", "first") })
	pol.Version = 1
	look(t, db, func(tx *store.Tx) error {
		a, err := tx.ApplicationByClientID(ctx, application.OIDC.ClientID)
		same(t, "application", a, application)
		if err != nil {
			return err
		}
		p, err := tx.PolicyInForce(ctx)
		same(t, "policy", p, pol)
		return err
	})
}

// everyPhoneField is everyField for what phones brought.
func everyPhoneField(t *testing.T, db *store.DB) {
	ctx := context.Background()
	roundTrip(t, db, "challenge", func(tx *store.Tx, v signin.Challenge) error { return tx.AddChallenge(ctx, v) },
		func(tx *store.Tx, v signin.Challenge) (signin.Challenge, error) { return tx.ChallengeByID(ctx, v.ID) })
	roundTrip(t, db, "delivery", func(tx *store.Tx, v signin.Delivery) error { return tx.SaveDelivery(ctx, v) },
		func(tx *store.Tx, v signin.Delivery) (signin.Delivery, error) {
			list, err := tx.DeliveriesOf(ctx, v.Challenge)
			return list[0], err
		})
	roundTrip(t, db, "pairing", func(tx *store.Tx, v enrol.Pairing) error { return tx.AddPairing(ctx, v) },
		func(tx *store.Tx, v enrol.Pairing) (enrol.Pairing, error) { return tx.PairingByID(ctx, v.ID) })
	roundTrip(t, db, "incident", func(tx *store.Tx, v incident.Incident) error { return tx.AddIncident(ctx, v) },
		func(tx *store.Tx, v incident.Incident) (incident.Incident, error) { return tx.IncidentByID(ctx, v.ID) })
	roundTrip(t, db, "endpoint", func(tx *store.Tx, v device.Endpoint) error {
		if _, err := tx.RemoveCredential(ctx, filled[method.Credential](1).Person, v.Credential); err != nil {
			return err
		}
		phone := method.Credential{ID: v.Credential, Person: v.Person, Kind: method.App}
		return errors.Join(tx.AddCredential(ctx, phone), tx.SaveEndpoint(ctx, v))
	},
		func(tx *store.Tx, v device.Endpoint) (device.Endpoint, error) {
			list, err := tx.EndpointsOf(ctx, v.Person)
			return list[0], err
		})
}

func absent(t *testing.T, db *store.DB) {
	ctx := context.Background()
	look(t, db, func(tx *store.Tx) error {
		for name, ask := range map[string]func() error{
			"person":       func() error { _, err := tx.PersonByID(ctx, "no"); return err },
			"name":         func() error { _, err := tx.PersonByName(ctx, "no"); return err },
			"empty name":   func() error { _, err := tx.PersonByName(ctx, ""); return err },
			"odd name":     func() error { _, err := tx.PersonByName(ctx, "a\x00b\xff"); return err },
			"handle":       func() error { _, err := tx.CredentialByHandle(ctx, method.Passkey, []byte("no")); return err },
			"empty handle": func() error { _, err := tx.CredentialByHandle(ctx, method.Passkey, nil); return err },
			"token":        func() error { _, err := tx.SessionByToken(ctx, []byte("no")); return err },
			"empty token":  func() error { _, err := tx.SessionByToken(ctx, nil); return err },
			"session":      func() error { _, err := tx.SessionByID(ctx, "no"); return err },
			"browser":      func() error { _, err := tx.BrowserByFamily(ctx, "no"); return err },
			"attempt":      func() error { _, err := tx.AttemptByID(ctx, "no"); return err },
			"invitation":   func() error { _, err := tx.InvitationByHash(ctx, []byte("no")); return err },
			"application":  func() error { _, err := tx.ApplicationByID(ctx, "no"); return err },
			"client":       func() error { _, err := tx.ApplicationByClientID(ctx, ""); return err },
			"for policy":   func() error { _, err := tx.PolicyApplication(ctx, "no"); return err },
			"grant":        func() error { _, err := tx.GrantByID(ctx, "no"); return err },
			"access token": func() error { _, err := tx.AccessTokenByHash(ctx, []byte("no")); return err },
			"API token":    func() error { _, err := tx.TokenByHash(ctx, []byte("no")); return err },
			"challenge":    func() error { _, err := tx.ChallengeByID(ctx, "no"); return err },
			"of attempt":   func() error { _, err := tx.ChallengeOfAttempt(ctx, "no"); return err },
			"pairing":      func() error { _, err := tx.PairingByID(ctx, "no"); return err },
			"link":         func() error { _, err := tx.PairingByToken(ctx, []byte("no")); return err },
			"empty link":   func() error { _, err := tx.PairingByToken(ctx, nil); return err },
			"code":         func() error { _, err := tx.PairingByCode(ctx, []byte("no")); return err },
			"empty code":   func() error { _, err := tx.PairingByCode(ctx, nil); return err },
			"incident":     func() error { _, err := tx.IncidentByID(ctx, "no"); return err },
			"setting":      func() error { _, err := tx.Setting(ctx, "no"); return err },
		} {
			wantKind(t, name, ask(), fault.NotFound)
		}
		c, err := tx.CounterFor(ctx, []byte("no"))
		if err != nil || !c.TAT.IsZero() || c.Wrong != 0 {
			t.Errorf("counter: %+v %v", c, err)
		}
		return nil
	})
}

func unkeepable(t *testing.T, db *store.DB) {
	ctx := context.Background()
	for _, bad := range []string{"a\x00b", "a\xffb"} {
		err := db.InTx(ctx, func(tx *store.Tx) error {
			return tx.AddSession(ctx, session.Session{ID: "s" + bad, TokenHash: []byte(bad), Expires: start.Add(time.Hour)})
		})
		wantKind(t, "text", err, fault.BadInput)
	}
}
