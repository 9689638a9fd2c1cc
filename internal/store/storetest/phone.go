package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/incident"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

func challengeAt(id, person, attempt string, at time.Time) signin.Challenge {
	return signin.Challenge{ID: id, Person: person, Attempt: attempt, Kind: method.App, Via: "push", Number: "42", Standing: signin.Open,
		Created: at, Expires: at.Add(signin.ChallengeFor), Ends: at.Add(signin.ChallengeMax)}
}

func challengeIDs(list []signin.Challenge) (ids []string) {
	for _, c := range list {
		ids = append(ids, c.ID)
	}
	return ids
}

func challenges(t *testing.T, db *store.DB) {
	ctx := context.Background()
	do(t, db, func(tx *store.Tx) error {
		for i, c := range []signin.Challenge{
			challengeAt("old", "p", "a1", start), challengeAt("new", "p", "a1", start.Add(time.Minute)),
			challengeAt("else", "p", "a2", start.Add(2*time.Minute)), challengeAt("theirs", "q", "a3", start),
		} {
			if i == 2 {
				c.Standing = signin.Ended
			}
			if err := tx.AddChallenge(ctx, c); err != nil {
				return err
			}
		}
		wantKind(t, "the same ID", tx.AddChallenge(ctx, challengeAt("old", "x", "x", start)), fault.Conflict)
		return nil
	})
	look(t, db, func(tx *store.Tx) error {
		c, err := tx.ChallengeOfAttempt(ctx, "a1")
		if c.ID != "new" || err != nil {
			t.Errorf("the newest of an attempt: %s %v", c.ID, err)
		}
		open, err := tx.OpenChallenges(ctx, "p", start)
		if err != nil {
			return err
		}
		same(t, "open", challengeIDs(open), []string{"old", "new"})
		open, err = tx.OpenChallenges(ctx, "p", start.Add(signin.ChallengeFor))
		if err != nil {
			return err
		}
		same(t, "open when the first has expired", challengeIDs(open), []string{"new"})
		recent, err := tx.RecentChallenges(ctx, "p", 2)
		same(t, "recent", challengeIDs(recent), []string{"else", "new"})
		return err
	})
	// An update saves what an answer changes, and nothing of whom it asks.
	do(t, db, func(tx *store.Tx) error {
		c, err := tx.ChallengeByID(ctx, "new")
		if err != nil {
			return err
		}
		want := c
		want.Standing, want.AnsweredBy, want.Answered, want.Expires = signin.Approved, "phone", start.Add(time.Second), start.Add(time.Hour)
		want.Proof = &method.Evidence{Kind: method.App, Credential: "phone", Factors: method.Possession, At: start}
		changed := want
		changed.Person, changed.Attempt, changed.Number, changed.Application, changed.Ends = "q", "a9", "43", "else", start
		if err := tx.UpdateChallenge(ctx, changed); err != nil {
			return err
		}
		wantKind(t, "old version", tx.UpdateChallenge(ctx, changed), fault.Conflict)
		wantKind(t, "none", tx.UpdateChallenge(ctx, signin.Challenge{ID: "none"}), fault.Conflict)
		want.Version++
		got, err := tx.ChallengeByID(ctx, "new")
		same(t, "updated", got, want)
		return err
	})
}

// challengeRace: of 20 answers at once, approvals and denials, one counts.
func challengeRace(t *testing.T, db *store.DB) { ChallengeRace(t, db, db) }

// ChallengeRace lets 20 answers, on the nodes in turn, race for one challenge.
func ChallengeRace(t *testing.T, nodes ...*store.DB) {
	ctx := context.Background()
	c := challengeAt("raced", "raced", "a", start)
	do(t, nodes[0], func(tx *store.Tx) error { return tx.AddChallenge(ctx, c) })
	n := race(t, 20, func(i int) (bool, error) {
		answer := c
		answer.Standing, answer.AnsweredBy = []signin.Standing{signin.Approved, signin.Denied}[i/2%2], fmt.Sprint("phone", i)
		err := nodes[i%len(nodes)].InTx(ctx, func(tx *store.Tx) error { return tx.UpdateChallenge(ctx, answer) })
		if fault.IsKind(err, fault.Conflict) {
			return false, nil
		}
		return err == nil, err
	})
	if n != 1 {
		t.Errorf("%d of 20 answers counted", n)
	}
}

func deliveries(t *testing.T, db *store.DB) {
	ctx := context.Background()
	save := func(credential string, state signin.DeliveryState, at time.Time) error {
		return db.InTx(ctx, func(tx *store.Tx) error {
			return tx.SaveDelivery(ctx, signin.Delivery{Challenge: "c", Credential: credential, State: state, At: at, Detail: fmt.Sprint(state)})
		})
	}
	for i, state := range []signin.DeliveryState{signin.Sent, signin.Shown, signin.Accepted, signin.Shown, signin.Sent} {
		if err := save("a", state, start.Add(time.Duration(i)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	states := []signin.DeliveryState{signin.NotSent, signin.Sent, signin.Accepted, signin.Failed, signin.Gone, signin.Shown, signin.Responded}
	race(t, 28, func(i int) (bool, error) { return true, save("b", states[i%len(states)], start) })
	look(t, db, func(tx *store.Tx) error {
		list, err := tx.DeliveriesOf(ctx, "c")
		same(t, "the furthest of each", list, []signin.Delivery{
			{Challenge: "c", Credential: "a", State: signin.Shown, At: start.Add(time.Second), Detail: fmt.Sprint(signin.Shown)},
			{Challenge: "c", Credential: "b", State: signin.Responded, At: start, Detail: fmt.Sprint(signin.Responded)},
		})
		return err
	})
}

func blocks(t *testing.T, db *store.DB) {
	ctx := context.Background()
	do(t, db, func(tx *store.Tx) error {
		for _, until := range []time.Duration{time.Hour, 2 * time.Hour, time.Minute} { // prolonged, never shortened
			if err := tx.AddBlock(ctx, signin.Block{Person: "p", Source: []byte("browser"), Until: start.Add(until)}); err != nil {
				return err
			}
		}
		return nil
	})
	for what, c := range map[string]struct {
		person  string
		sources []string
		at      time.Duration
		want    bool
	}{
		"now":               {"p", []string{"browser"}, 0, true},
		"one of several":    {"p", []string{"address", "browser", "other"}, time.Hour, true},
		"over":              {"p", []string{"browser"}, 2 * time.Hour, false},
		"another person":    {"q", []string{"browser"}, 0, false},
		"another source":    {"p", []string{"address"}, 0, false},
		"no source":         {"p", nil, 0, false},
		"an unknown source": {"p", []string{""}, 0, false},
	} {
		var sources [][]byte
		for _, s := range c.sources {
			sources = append(sources, []byte(s))
		}
		look(t, db, func(tx *store.Tx) error {
			got, err := tx.Blocked(ctx, c.person, sources, start.Add(c.at))
			if got != c.want {
				t.Errorf("%s: blocked %v", what, got)
			}
			return err
		})
	}
}

func pairingFor(id, person string) enrol.Pairing {
	return enrol.Pairing{ID: id, Person: person, Token: []byte("token-" + id), Code: []byte("code-" + id), Browser: []byte("b"),
		Standing: enrol.PairingWaiting, Created: start, Expires: start.Add(enrol.PairingFor)}
}

func pairings(t *testing.T, db *store.DB) {
	ctx := context.Background()
	do(t, db, func(tx *store.Tx) error {
		for _, p := range []enrol.Pairing{pairingFor("one", "p"), pairingFor("two", "p"), pairingFor("theirs", "q")} {
			if err := tx.AddPairing(ctx, p); err != nil {
				return err
			}
		}
		for what, ask := range map[string]func() error{
			"id":    func() error { _, err := tx.PairingByID(ctx, "one"); return err },
			"token": func() error { _, err := tx.PairingByToken(ctx, []byte("token-one")); return err },
			"code":  func() error { _, err := tx.PairingByCode(ctx, []byte("code-one")); return err },
		} {
			wantKind(t, "the replaced one by its "+what, ask(), fault.NotFound)
		}
		list, err := tx.PairingsOf(ctx, "p")
		if err != nil || len(list) != 1 || list[0].ID != "two" {
			t.Errorf("pairings: %+v %v", list, err)
		}
		p, err := tx.PairingByToken(ctx, []byte("token-two"))
		if err != nil {
			return err
		}
		want := p
		want.Standing, want.Claim, want.PhoneCode, want.Wrong, want.Credential = enrol.PairingClaimed, []byte("key"), "123456", 2, "phone"
		changed := want
		changed.Person, changed.Token, changed.Session = "q", []byte("x"), "x"
		if err := tx.UpdatePairing(ctx, changed); err != nil {
			return err
		}
		wantKind(t, "old version", tx.UpdatePairing(ctx, changed), fault.Conflict)
		want.Version++
		got, err := tx.PairingByCode(ctx, []byte("code-two"))
		same(t, "updated", got, want)
		return err
	})
	do(t, db, func(tx *store.Tx) error {
		first, err := tx.RemovePairing(ctx, "two")
		if err != nil {
			return err
		}
		again, err := tx.RemovePairing(ctx, "two")
		if !first || again {
			t.Errorf("removed %v, again %v", first, again)
		}
		return err
	})
	pairingsOfSessions(t, db)
	// Another's link is a conflict: nobody comes into a pairing by it.
	stolen := pairingFor("stolen", "r")
	stolen.Token = []byte("token-theirs")
	wantKind(t, "a link that is taken", db.InTx(ctx, func(tx *store.Tx) error { return tx.AddPairing(ctx, stolen) }), fault.Conflict)
}

// pairingsOfSessions: a pairing that a session began ends with it, unless it is done: its phone may not know yet.
func pairingsOfSessions(t *testing.T, db *store.DB) {
	ctx := context.Background()
	do(t, db, func(tx *store.Tx) error {
		for _, id := range []string{"here", "there", "done"} {
			p := pairingFor("in-"+id, "p-"+id)
			p.Session = "s-" + id
			if id == "done" {
				p.Standing = enrol.Paired
			}
			s := session.Session{ID: p.Session, TokenHash: []byte(id), Person: p.Person, Created: start, LastSeen: start, Expires: start.Add(time.Hour)}
			if err := errors.Join(tx.AddPairing(ctx, p), tx.AddSession(ctx, s)); err != nil {
				return err
			}
		}
		_, err := tx.EndSession(ctx, "s-here")
		_, err2 := tx.EndSessionsOf(ctx, "p-done", "")
		_, gone := tx.PairingByID(ctx, "in-here")
		wantKind(t, "a pairing of a session that ended", gone, fault.NotFound)
		for _, id := range []string{"in-there", "in-done"} {
			if _, err := tx.PairingByID(ctx, id); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
		return errors.Join(err, err2)
	})
}

// pairingRace: two pages begin at once; one pairing is under way. Ten phones claim it; one has it.
func pairingRace(t *testing.T, db *store.DB) {
	ctx := context.Background()
	if n := race(t, 20, func(i int) (bool, error) {
		return true, db.InTx(ctx, func(tx *store.Tx) error { return tx.AddPairing(ctx, pairingFor(fmt.Sprint("n", i), "p")) })
	}); n != 20 {
		t.Errorf("%d of 20 began", n)
	}
	var left []enrol.Pairing
	look(t, db, func(tx *store.Tx) (err error) { left, err = tx.PairingsOf(ctx, "p"); return err })
	if len(left) != 1 {
		t.Fatalf("%d pairings under way", len(left))
	}
	n := race(t, 10, func(i int) (bool, error) {
		claimed := left[0]
		claimed.Standing, claimed.Claim = enrol.PairingClaimed, fmt.Append(nil, i)
		err := db.InTx(ctx, func(tx *store.Tx) error { return tx.UpdatePairing(ctx, claimed) })
		if fault.IsKind(err, fault.Conflict) {
			return false, nil
		}
		return err == nil, err
	})
	if n != 1 {
		t.Errorf("%d phones claimed one pairing", n)
	}
}

func incidents(t *testing.T, db *store.DB) {
	ctx := context.Background()
	add := func(id, kind, person, object string, at time.Time) error {
		return db.InTx(ctx, func(tx *store.Tx) error {
			return tx.AddIncident(ctx, incident.Incident{ID: id, Kind: kind, Person: person, Object: object, Opened: at})
		})
	}
	if n := race(t, 20, func(i int) (bool, error) {
		return true, add(fmt.Sprint("f", i), incident.Flood, "p", "requests", start)
	}); n != 20 {
		t.Errorf("%d of 20 were taken", n)
	}
	if err := add("r", incident.Reported, "p", "c1", start.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := add("h", incident.Cap, "", "text", start.Add(2*time.Second)); err != nil {
		t.Fatal(err)
	}
	list := func(person string, all bool, limit int) (out []string) {
		look(t, db, func(tx *store.Tx) error {
			found, err := tx.Incidents(ctx, person, all, limit)
			for _, i := range found {
				out = append(out, fmt.Sprintf("%s %s %d", i.Kind, i.Object, i.Count))
			}
			return err
		})
		return out
	}
	same(t, "open", list("", false, 10), []string{"cap text 1", "reported c1 1", "flood requests 20"})
	same(t, "the newest", list("", false, 1), []string{"cap text 1"})
	same(t, "of one person", list("p", false, 10), []string{"reported c1 1", "flood requests 20"})
	closed := race(t, 10, func(i int) (won bool, err error) {
		err = db.InTx(ctx, func(tx *store.Tx) (err error) {
			won, err = tx.CloseIncident(ctx, "r", "p:ada", "talked to them", start.Add(time.Hour))
			return err
		})
		return won, err
	})
	if closed != 1 {
		t.Errorf("closed %d times", closed)
	}
	same(t, "open", list("p", false, 10), []string{"flood requests 20"})
	if err := add("r2", incident.Reported, "p", "c1", start.Add(2*time.Hour)); err != nil { // a new case, not the closed one
		t.Fatal(err)
	}
	same(t, "all", list("p", true, 10), []string{"reported c1 1", "reported c1 1", "flood requests 20"})
	look(t, db, func(tx *store.Tx) error {
		i, err := tx.IncidentByID(ctx, "r")
		if i.ClosedBy != "p:ada" || i.Why != "talked to them" || !i.Closed.Equal(start.Add(time.Hour)) || i.Version != 1 {
			t.Errorf("closed: %+v", i)
		}
		return err
	})
}
