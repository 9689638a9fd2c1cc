package storetest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/incident"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

// nothingPlain looks for what is sealed in everything that the engine wrote: no number, code, endpoint or address is
// found in the file.
func nothingPlain(t *testing.T, db *store.DB) {
	ctx := context.Background()
	words := []string{"plainstate", "plainpublic", "plain-number", "plain-address", "plain-agent", "plainclaim", "plain-phone-code",
		"push.plain.example", "plainkey", "plainauth", "plain-text-code", "plain-incident"}
	do(t, db, func(tx *store.Tx) error {
		c := challengeAt("c", "p", "a", start)
		c.State, c.Public, c.Number, c.Address, c.Agent = []byte(words[0]), []byte(words[1]), words[2], words[3], words[4]
		p := pairingFor("one", "p")
		p.Claim, p.PhoneCode = []byte(words[5]), words[6]
		for _, err := range []error{
			tx.AddPerson(ctx, people.Person{ID: "p", Username: "in-the-open", State: people.Active}),
			tx.AddChallenge(ctx, c), tx.AddPairing(ctx, p), tx.UpdatePairing(ctx, p),
			tx.AddCredential(ctx, method.Credential{ID: "phone", Person: "p", Kind: method.App}),
			tx.SaveEndpoint(ctx, device.Endpoint{Credential: "phone", Person: "p", URL: "https://" + words[7], P256DH: []byte(words[8]), Auth: []byte(words[9])}),
			tx.Enqueue(ctx, notice.Message{ID: "m", Channel: notice.Text, Code: secret.NewString(words[10])}),
			tx.AddIncident(ctx, incident.Incident{ID: "i", Kind: incident.Reported, Person: "p", Personal: map[string]string{"address": words[11]}}),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	written := everything(t, db)
	if !liesOpen(written, "in-the-open") || !liesOpen(written, "token-one") {
		t.Fatal("what is not sealed is not found either")
	}
	for _, w := range words {
		if liesOpen(written, w) {
			t.Errorf("%s lies open", w)
		}
	}
}

// liesOpen looks for word as it is, as JSON writes bytes, and as PostgreSQL writes either.
func liesOpen(written []byte, word string) bool {
	for _, w := range []string{word, base64.RawStdEncoding.EncodeToString([]byte(word))} {
		if bytes.Contains(written, []byte(w)) || bytes.Contains(written, []byte(hex.EncodeToString([]byte(w)))) {
			return true
		}
	}
	return false
}

// everything is what the database keeps: SQLite's files, or PostgreSQL's rows as text.
func everything(t *testing.T, db *store.DB) (all []byte) {
	t.Helper()
	if db.Engine() == "sqlite" {
		for _, ending := range []string{"", "-wal"} {
			b, err := os.ReadFile(db.DSN() + ending)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b...)
		}
		return all
	}
	raw := Raw(t, db)
	for _, table := range strings.Fields("people credentials challenges deliveries pairings messages incidents blocks") {
		var rows string
		raw.Get(t, "SELECT COALESCE(string_agg(t::text, '\n'), '') FROM "+table+" t", &rows)
		all = append(all, rows...)
	}
	return all
}

// phoneSwept: what is over goes, each challenge with its deliveries; what is under way, and open cases, stay.
func phoneSwept(t *testing.T, db *store.DB) {
	ctx := context.Background()
	month := 30 * 24 * time.Hour
	do(t, db, func(tx *store.Tx) error {
		for i := range 600 {
			id := fmt.Sprint("old", i)
			if err := errors.Join(tx.AddChallenge(ctx, challengeAt(id, "p", "a", start)),
				tx.SaveDelivery(ctx, signin.Delivery{Challenge: id, Credential: "phone", State: signin.Sent, At: start})); err != nil {
				return err
			}
		}
		fresh := pairingFor("fresh", "q")
		fresh.Expires = start.Add(2 * month)
		closed := incident.Incident{ID: "closed", Kind: incident.Cap, Object: "text", Opened: start, Closed: start.Add(time.Hour)}
		return errors.Join(
			tx.AddChallenge(ctx, challengeAt("fresh", "p", "a", start.Add(time.Minute))),
			tx.SaveDelivery(ctx, signin.Delivery{Challenge: "fresh", Credential: "phone", At: start}),
			tx.AddPairing(ctx, pairingFor("old", "p")), tx.AddPairing(ctx, fresh),
			tx.AddBlock(ctx, signin.Block{Person: "p", Source: []byte("old"), Until: start}),
			tx.AddBlock(ctx, signin.Block{Person: "p", Source: []byte("fresh"), Until: start.Add(2 * month)}),
			tx.AddIncident(ctx, closed), tx.AddIncident(ctx, incident.Incident{ID: "open", Kind: incident.Cap, Object: "voice", Opened: start}))
	})
	if n, err := db.Sweep(ctx, start.Add(month+time.Second)); err != nil || n != 600+1+1 {
		t.Errorf("swept %d %v", n, err)
	}
	var left int
	raw := Raw(t, db)
	raw.Get(t, "SELECT COUNT(*) FROM deliveries", &left)
	if left != 1 {
		t.Errorf("%d deliveries are left", left)
	}
	look(t, db, func(tx *store.Tx) error {
		_, err := tx.ChallengeByID(ctx, "fresh")
		_, err2 := tx.PairingByID(ctx, "fresh")
		blocked, err3 := tx.Blocked(ctx, "p", [][]byte{[]byte("fresh")}, start.Add(month))
		if !blocked {
			t.Error("a block went before its time")
		}
		return errors.Join(err, err2, err3)
	})
	if n, err := db.Sweep(ctx, start.Add(401*24*time.Hour)); err != nil || n != 1+1+1+1 {
		t.Errorf("swept %d after a year %v", n, err)
	}
	look(t, db, func(tx *store.Tx) error {
		_, err := tx.IncidentByID(ctx, "closed")
		wantKind(t, "a closed case of long ago", err, fault.NotFound)
		_, err = tx.IncidentByID(ctx, "open")
		return err
	})
}

// phoneErased: nothing of a person's requests and phones stays after an erasure; a case stays without what is personal.
func phoneErased(t *testing.T, db *store.DB) {
	ctx := context.Background()
	ada := Person(t, db, "ada")
	id := string(ada.ID)
	do(t, db, func(tx *store.Tx) error {
		return errors.Join(
			tx.AddChallenge(ctx, challengeAt("c", id, "a", start)), tx.AddChallenge(ctx, challengeAt("other", "q", "a", start)),
			tx.SaveDelivery(ctx, signin.Delivery{Challenge: "c", Credential: "phone"}),
			tx.SaveDelivery(ctx, signin.Delivery{Challenge: "other", Credential: "phone"}),
			tx.AddPairing(ctx, pairingFor("p", id)), tx.AddBlock(ctx, signin.Block{Person: id, Source: []byte("s"), Until: start}),
			tx.AddIncident(ctx, incident.Incident{ID: "i", Kind: incident.Reported, Person: id, Personal: map[string]string{"address": "192.0.2.1"}}))
	})
	do(t, db, func(tx *store.Tx) error { return tx.ErasePerson(ctx, ada.ID, "cli:bob", "cli", start) })
	raw := Raw(t, db)
	for table, want := range map[string]int{"challenges": 1, "deliveries": 1, "pairings": 0, "blocks": 0} {
		var n int
		if raw.Get(t, "SELECT COUNT(*) FROM "+table, &n); n != want {
			t.Errorf("%s: %d rows are left, wanted %d", table, n, want)
		}
	}
	look(t, db, func(tx *store.Tx) error {
		i, err := tx.IncidentByID(ctx, "i")
		if i.Person != id || i.Personal != nil {
			t.Errorf("the case: %+v", i)
		}
		return err
	})
}
