package storetest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/keys"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

func proofs(t *testing.T, db *store.DB) {
	ctx := context.Background()
	proof := signin.Proof{Session: "s", Act: policy.ActMethodRemove, Object: "c1", At: start}
	do(t, db, func(tx *store.Tx) error { return tx.AddProof(ctx, proof) })
	ask := func(session string, act policy.Act, object string, notBefore time.Time) (has, took bool) {
		do(t, db, func(tx *store.Tx) (err error) {
			if has, err = tx.HasProof(ctx, session, act, object, notBefore); err != nil {
				return err
			}
			took, err = tx.TakeProof(ctx, session, act, object, notBefore)
			return err
		})
		return has, took
	}
	for what, a := range map[string]struct {
		session   string
		act       policy.Act
		object    string
		notBefore time.Time
	}{
		"another session": {"s2", policy.ActMethodRemove, "c1", start},
		"another act":     {"s", policy.ActMethodAdd, "c1", start},
		"another object":  {"s", policy.ActMethodRemove, "c2", start},
		"too old":         {"s", policy.ActMethodRemove, "c1", start.Add(time.Microsecond)},
	} {
		if has, took := ask(a.session, a.act, a.object, a.notBefore); has || took {
			t.Errorf("%s: has %v took %v", what, has, took)
		}
	}
	if has, took := ask("s", policy.ActMethodRemove, "c1", start); !has || !took {
		t.Errorf("the proof itself: has %v took %v", has, took)
	}
	if has, took := ask("s", policy.ActMethodRemove, "c1", start); has || took {
		t.Error("a proof was used twice")
	}
	// Ending the session ends its proofs.
	do(t, db, func(tx *store.Tx) error { return tx.AddProof(ctx, proof) })
	do(t, db, func(tx *store.Tx) error { _, err := tx.EndSession(ctx, "s"); return err })
	if has, _ := ask("s", policy.ActMethodRemove, "c1", start); has {
		t.Error("a proof outlived its session")
	}
}

func invitations(t *testing.T, db *store.DB) {
	ctx := context.Background()
	one := enrol.Invitation{ID: "i1", Person: "p", Hash: []byte("h1"), Expires: start, Purpose: "invitation"}
	two := enrol.Invitation{ID: "i2", Person: "p", Hash: []byte("h2"), Expires: start, Purpose: "reset"}
	for _, i := range []enrol.Invitation{one, two} {
		do(t, db, func(tx *store.Tx) error { return tx.ReplaceInvitation(ctx, i) })
	}
	do(t, db, func(tx *store.Tx) error {
		_, err := tx.InvitationByHash(ctx, []byte("h1"))
		wantKind(t, "the replaced secret", err, fault.NotFound)
		got, err := tx.InvitationByHash(ctx, []byte("h2"))
		if err != nil {
			return err
		}
		got.Browser = []byte("b")
		if err := tx.UpdateInvitation(ctx, got); err != nil {
			return err
		}
		wantKind(t, "old version", tx.UpdateInvitation(ctx, got), fault.Conflict)
		first, err := tx.RemoveInvitation(ctx, "i2")
		if err != nil {
			return err
		}
		again, err := tx.RemoveInvitation(ctx, "i2")
		if !first || again {
			t.Errorf("removed %v, again %v", first, again)
		}
		return err
	})
}

func policies(t *testing.T, db *store.DB) {
	ctx := context.Background()
	look(t, db, func(tx *store.Tx) error {
		p, err := tx.PolicyInForce(ctx)
		if p.Version != 0 {
			t.Errorf("before the first: version %d", p.Version)
		}
		return err
	})
	save := func(p policy.Policy, why string) error {
		return db.InTx(ctx, func(tx *store.Tx) error {
			if err := tx.SavePolicy(ctx, p, []byte("# "+why), "cli:ada", why); err != nil {
				return err
			}
			// The transaction that saves sees what it saved.
			now, err := tx.PolicyInForce(ctx)
			if err == nil && now.SessionIdle != p.SessionIdle {
				t.Errorf("inside: %v", now.SessionIdle)
			}
			return err
		})
	}
	if err := save(policy.Policy{SessionIdle: time.Hour}, "one"); err != nil {
		t.Fatal(err)
	}
	if err := save(policy.Policy{Version: 1, SessionIdle: 2 * time.Hour}, "two"); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "made from an old version", save(policy.Policy{Version: 1}, "late"), fault.Conflict)
	if n := race(t, 20, func(int) (bool, error) {
		err := save(policy.Policy{Version: 2, SessionIdle: 3 * time.Hour}, "race")
		if fault.IsKind(err, fault.Conflict) {
			return false, nil
		}
		return err == nil, err
	}); n != 1 {
		t.Errorf("%d policies from one version", n)
	}
	look(t, db, func(tx *store.Tx) error {
		p, err := tx.PolicyInForce(ctx)
		if err != nil || p.Version != 3 || p.SessionIdle != 3*time.Hour {
			t.Errorf("in force: %+v %v", p, err)
		}
		list, err := tx.PolicyHistory(ctx, 2)
		if err != nil || len(list) != 2 || list[1].Why != "two" || list[1].Policy.Version != 2 || string(list[1].Source) != "# two" || list[1].By != "cli:ada" {
			t.Errorf("history: %+v %v", list, err)
		}
		return nil
	})
}

func applications(t *testing.T, db *store.DB) {
	ctx := context.Background()
	save := func(a apps.Application) error {
		return db.InTx(ctx, func(tx *store.Tx) error { return tx.SaveApplication(ctx, a) })
	}
	lib := apps.Application{ID: "lib", Name: "Library", Category: "study", OIDC: apps.OIDC{ClientID: "c1"}}
	if err := save(lib); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "the same id", save(lib), fault.Conflict)
	wantKind(t, "the same client", save(apps.Application{ID: "x", OIDC: apps.OIDC{ClientID: "c1"}}), fault.Conflict)
	for _, id := range []string{"saml1", "saml2"} { // without client_id there is no conflict
		if err := save(apps.Application{ID: id, Name: id}); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, "another's client", save(apps.Application{ID: "saml1", Version: 1, OIDC: apps.OIDC{ClientID: "c1"}}), fault.Conflict)
	lib.Version, lib.Closed = 1, true
	if err := save(lib); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "old version", save(lib), fault.Conflict)
	look(t, db, func(tx *store.Tx) error {
		a, err := tx.ApplicationByClientID(ctx, "c1")
		if err != nil || !a.Closed || a.Version != 2 {
			t.Errorf("%+v %v", a, err)
		}
		_, err = tx.PolicyApplication(ctx, "lib")
		wantKind(t, "closed", err, fault.NotFound)
		p, err := tx.PolicyApplication(ctx, "saml1")
		if err != nil || p.Name != "saml1" {
			t.Errorf("%+v %v", p, err)
		}
		all, err := tx.Applications(ctx)
		if len(all) != 3 {
			t.Errorf("%d applications", len(all))
		}
		return err
	})
	do(t, db, func(tx *store.Tx) error { _, err := tx.RemoveApplication(ctx, "lib"); return err })
	look(t, db, func(tx *store.Tx) error {
		_, err := tx.ApplicationByID(ctx, "lib")
		wantKind(t, "removed", err, fault.NotFound)
		return nil
	})
}

func grants(t *testing.T, db *store.DB) {
	ctx := context.Background()
	add := func(g apps.Grant) {
		t.Helper()
		do(t, db, func(tx *store.Tx) error { return tx.AddGrant(ctx, g) })
	}
	add(apps.Grant{ID: "g1", Application: "a", Person: "p", Session: "s", CodeHash: []byte("c1"), RefreshHash: []byte("r1")})
	add(apps.Grant{ID: "g2", Application: "b", Person: "p", Session: "s", Offline: true, CodeHash: []byte("c2")})
	add(apps.Grant{ID: "g3", Application: "b"}) // an application's own: no person, no session, no code
	add(apps.Grant{ID: "g4", Application: "b"})
	wantKind(t, "a grant twice", db.InTx(ctx, func(tx *store.Tx) error {
		return tx.AddGrant(ctx, apps.Grant{ID: "g1", CodeHash: []byte("c5")})
	}), fault.Conflict)
	do(t, db, func(tx *store.Tx) error {
		g, err := tx.GrantByID(ctx, "g1")
		if err != nil {
			return err
		}
		g.RefreshHash, g.PrevHash, g.Generation = []byte("r2"), []byte("r1"), 1
		g.Person, g.Session, g.CodeHash, g.Expires = "else", "else", []byte("else"), start
		return tx.UpdateGrant(ctx, g)
	})
	do(t, db, func(tx *store.Tx) error {
		g, err := tx.GrantByID(ctx, "g1")
		if err != nil || string(g.RefreshHash) != "r2" || string(g.PrevHash) != "r1" || g.Generation != 1 {
			t.Errorf("updated: %+v %v", g, err)
		}
		if g.Person != "p" || g.Session != "s" || string(g.CodeHash) != "c1" || !g.Expires.IsZero() {
			t.Errorf("an update changed what is fixed at issue: %+v", g)
		}
		n, err := tx.RevokeGrantsOfSession(ctx, "s")
		if n != 1 {
			t.Errorf("revoked %d with the session, the offline one stays", n)
		}
		if err != nil {
			return err
		}
		if n, err := tx.RevokeGrantsOfSession(ctx, ""); n != 0 || err != nil {
			t.Errorf("no session: %d %v", n, err)
		}
		if n, err := tx.RevokeGrantsOf(ctx, "", ""); n != 0 || err != nil {
			t.Errorf("nobody: %d %v", n, err)
		}
		n, err = tx.RevokeGrantsOf(ctx, "p", "b")
		if n != 1 {
			t.Errorf("revoked %d of one application", n)
		}
		return err
	})
}

func accessTokens(t *testing.T, db *store.DB) {
	ctx := context.Background()
	do(t, db, func(tx *store.Tx) error {
		for _, h := range []string{"t1", "t2"} {
			if err := tx.AddAccessToken(ctx, apps.AccessToken{Hash: []byte(h), Grant: "g", Expires: start}); err != nil {
				return err
			}
		}
		if err := tx.RevokeAccessTokensOfGrant(ctx, "g"); err != nil {
			return err
		}
		_, err := tx.AccessTokenByHash(ctx, []byte("t1"))
		wantKind(t, "revoked with its grant", err, fault.NotFound)
		if err := tx.RevokeAccessToken(ctx, "jti", start); err != nil {
			return err
		}
		if err := tx.RevokeAccessToken(ctx, "jti", start); err != nil {
			t.Errorf("revoking twice: %v", err)
		}
		for id, want := range map[string]bool{"jti": true, "other": false} {
			if got, err := tx.AccessTokenRevoked(ctx, id); got != want || err != nil {
				t.Errorf("%s: %v %v", id, got, err)
			}
		}
		return nil
	})
}

func signingKeys(t *testing.T, db *store.DB) {
	ctx := context.Background()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k := keys.Key{ID: "k", Algorithm: "ES256", State: keys.Next, Public: &private.PublicKey, Sealed: []byte("sealed"), Created: start, Changed: start}
	do(t, db, func(tx *store.Tx) error { return tx.AddSigningKey(ctx, k) })
	look(t, db, func(tx *store.Tx) error {
		list, err := tx.SigningKeys(ctx)
		if err != nil || len(list) != 1 || !private.PublicKey.Equal(list[0].Public) {
			t.Fatalf("%+v %v", list, err)
		}
		list[0].Public = k.Public
		same(t, "key", list[0], k)
		return nil
	})
	if n := race(t, 20, func(int) (moved bool, err error) {
		err = db.InTx(ctx, func(tx *store.Tx) (err error) {
			moved, err = tx.UpdateSigningKey(ctx, "k", keys.Next, keys.Active, start)
			return err
		})
		return moved, err
	}); n != 1 {
		t.Errorf("%d activated one key", n)
	}
	do(t, db, func(tx *store.Tx) error { return tx.RemoveSigningKey(ctx, "k") })
}

func outbox(t *testing.T, db *store.DB) {
	ctx := context.Background()
	do(t, db, func(tx *store.Tx) error {
		for i := range 40 {
			m := notice.Message{ID: string(rune('A' + i)), Channel: notice.Mail, Kind: "k", Created: start, NotUntil: start}
			if i == 39 {
				m.NotUntil = start.Add(time.Hour)
			}
			if err := tx.Enqueue(ctx, m); err != nil {
				return err
			}
		}
		return nil
	})
	claimed := make(chan string, 100)
	race(t, 10, func(int) (bool, error) {
		return true, db.InTx(ctx, func(tx *store.Tx) error {
			list, err := tx.ClaimMessages(ctx, mail, start, start.Add(time.Minute), 5)
			for _, m := range list {
				claimed <- m.ID
			}
			return err
		})
	})
	close(claimed)
	seen := map[string]bool{}
	for id := range claimed {
		if seen[id] {
			t.Errorf("%s was claimed twice", id)
		}
		seen[id] = true
	}
	if len(seen) == 0 || seen[string(rune('A'+39))] {
		t.Errorf("claimed %d, the one not due: %v", len(seen), seen[string(rune('A'+39))])
	}
	do(t, db, func(tx *store.Tx) error {
		list, err := tx.ClaimMessages(ctx, mail, start.Add(time.Minute), start.Add(2*time.Minute), 1000)
		if err != nil || len(list) != 39 {
			t.Fatalf("after the leases: %d %v", len(list), err)
		}
		list[0].SentAt, list[1].GivenUp, list[2].LastFail = start, true, "odd \xff\x00 answer"
		for _, m := range list[:3] {
			if err := tx.SaveMessage(ctx, m); err != nil {
				return err
			}
		}
		list, err = tx.ClaimMessages(ctx, mail, start.Add(3*time.Minute), start.Add(4*time.Minute), 1000)
		if len(list) != 37 {
			t.Errorf("sent and given up come again: %d", len(list))
		}
		return err
	})
}

func settings(t *testing.T, db *store.DB) {
	ctx := context.Background()
	do(t, db, func(tx *store.Tx) error {
		for _, v := range []string{"one", "two"} {
			if err := tx.SaveSetting(ctx, "campus", []byte(v)); err != nil {
				return err
			}
		}
		if added, err := tx.AddSetting(ctx, "campus", []byte("three")); added || err != nil {
			t.Errorf("added over a value: %v", err)
		}
		v, err := tx.Setting(ctx, "campus")
		if string(v) != "two" {
			t.Errorf("setting %q", v)
		}
		if err != nil {
			return err
		}
		if err := tx.AddToken(ctx, apps.APIToken{Hash: []byte("h"), Name: "ci"}); err != nil {
			return err
		}
		wantKind(t, "token name", tx.AddToken(ctx, apps.APIToken{Hash: []byte("h2"), Name: "ci"}), fault.Conflict)
		list, err := tx.Tokens(ctx)
		if len(list) != 1 || list[0].Name != "ci" {
			t.Errorf("%+v", list)
		}
		if err != nil {
			return err
		}
		gone, err := tx.RemoveToken(ctx, "ci")
		if !gone {
			t.Error("token stays")
		}
		return err
	})
}
