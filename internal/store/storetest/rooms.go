package storetest

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

// Person adds an active person for tests and gives it as it was saved.
func Person(t testing.TB, db *store.DB, username string) people.Person {
	t.Helper()
	p := people.Person{ID: people.ID("id-" + username), Username: username, Email: username + "@example.org",
		DisplayName: "Test " + username, State: people.Active, Created: start, Updated: start}
	do(t, db, func(tx *store.Tx) error { return tx.AddPerson(context.Background(), p) })
	look(t, db, func(tx *store.Tx) (err error) {
		p, err = tx.PersonByID(context.Background(), p.ID)
		return err
	})
	return p
}

func peoplePort(t *testing.T, db *store.DB) {
	ctx := context.Background()
	ada := Person(t, db, "Ada")
	if len(ada.AuditKey) == 0 {
		t.Error("a new person has no audit key")
	}
	look(t, db, func(tx *store.Tx) error {
		for _, name := range []string{"ADA", " ada ", "Ada@Example.ORG"} {
			p, err := tx.PersonByName(ctx, people.Normalise(name))
			if err != nil || p.ID != ada.ID {
				t.Errorf("%q: %v %v", name, p.ID, err)
			}
		}
		return nil
	})
	for what, p := range map[string]people.Person{
		"username in capitals": {ID: "x1", Username: "ADA", State: people.Active},
		"full-width username":  {ID: "x2", Username: "ａｄａ", State: people.Active},
		"address":              {ID: "x3", Username: "other", Email: "ADA@example.org", State: people.Active},
		"id":                   {ID: ada.ID, Username: "third", State: people.Active},
	} {
		err := db.InTx(ctx, func(tx *store.Tx) error { return tx.AddPerson(ctx, p) })
		if !fault.IsKind(err, fault.Conflict) || fault.Of(err).Code != "people.name_taken" {
			t.Errorf("taken %s: %v", what, err)
		}
	}
	// Left keeps the name; two people without an address are no conflict.
	ada.State = people.Left
	do(t, db, func(tx *store.Tx) error { return tx.UpdatePerson(ctx, ada) })
	wantKind(t, "old version", db.InTx(ctx, func(tx *store.Tx) error { return tx.UpdatePerson(ctx, ada) }), fault.Conflict)
	wantKind(t, "name of one who left", db.InTx(ctx, func(tx *store.Tx) error {
		return tx.AddPerson(ctx, people.Person{ID: "x4", Username: "ada", State: people.Active})
	}), fault.Conflict)
	for _, name := range []string{"bob", "cy"} {
		do(t, db, func(tx *store.Tx) error {
			return tx.AddPerson(ctx, people.Person{ID: people.ID(name), Username: name, State: people.Invited})
		})
	}
	wantKind(t, "rename to a taken name", db.InTx(ctx, func(tx *store.Tx) error {
		return tx.UpdatePerson(ctx, people.Person{ID: "bob", Username: "CY", State: people.Active})
	}), fault.Conflict)
	look(t, db, func(tx *store.Tx) error {
		counts, err := tx.CountPeople(ctx)
		same(t, "counts", counts, map[people.State]int{people.Left: 1, people.Invited: 2})
		if err != nil {
			return err
		}
		list, err := tx.ListPeople(ctx, "ada", 1)
		if err != nil || len(list) != 1 || list[0].Username != "bob" {
			t.Errorf("page after ada: %+v %v", list, err)
		}
		return nil
	})
}

func erasedPerson(t *testing.T, db *store.DB) {
	ctx := context.Background()
	ada := Person(t, db, "ada")
	do(t, db, func(tx *store.Tx) error {
		if err := tx.AddSession(ctx, session.Session{ID: "s", TokenHash: []byte("s"), Person: string(ada.ID), Expires: start}); err != nil {
			return err
		}
		return tx.AddCredential(ctx, method.Credential{ID: "c", Person: string(ada.ID), Kind: method.Password, State: []byte("x")})
	})
	do(t, db, func(tx *store.Tx) error { return tx.ErasePerson(ctx, ada.ID, "cli:bob", "cli", start) })
	look(t, db, func(tx *store.Tx) error {
		p, err := tx.PersonByID(ctx, ada.ID)
		if err != nil || p.Username != "" || p.Email != "" || p.DisplayName != "" || len(p.AuditKey) != 0 || p.State != people.Left {
			t.Errorf("erased: %+v %v", p, err)
		}
		_, err = tx.PersonByName(ctx, "ada")
		wantKind(t, "erased name", err, fault.NotFound)
		_, err = tx.SessionByID(ctx, "s")
		wantKind(t, "session", err, fault.NotFound)
		creds, err := tx.CredentialsOf(ctx, string(ada.ID))
		if len(creds) != 0 {
			t.Errorf("methods stay: %+v", creds)
		}
		return err
	})
	for _, again := range []people.Person{{ID: "x", Username: "ADA"}, {ID: "y", Username: "new", Email: "ada@example.org"}} {
		wantKind(t, "name of an erased person", db.InTx(ctx, func(tx *store.Tx) error { return tx.AddPerson(ctx, again) }), fault.Conflict)
	}
}

func credentials(t *testing.T, db *store.DB) {
	ctx := context.Background()
	add := func(c method.Credential) error {
		return db.InTx(ctx, func(tx *store.Tx) error { return tx.AddCredential(ctx, c) })
	}
	a := method.Credential{ID: "a", Person: "p", Kind: method.Passkey, Handle: []byte("h"), State: []byte("1"), Created: start}
	b := method.Credential{ID: "b", Person: "p", Kind: method.TOTP, State: []byte("2"), Created: start.Add(time.Second)}
	for _, c := range []method.Credential{b, a} {
		if err := add(c); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, "taken handle", add(method.Credential{ID: "c", Person: "q", Kind: method.Passkey, Handle: []byte("h"), State: []byte("x")}), fault.Conflict)
	if err := add(method.Credential{ID: "d", Person: "q", Kind: "other", Handle: []byte("h"), State: nil}); err != nil {
		t.Errorf("the same handle of another kind: %v", err)
	}
	a.State, a.Name = []byte("new"), "blue key"
	do(t, db, func(tx *store.Tx) error { return tx.UpdateCredential(ctx, a) })
	wantKind(t, "old version", db.InTx(ctx, func(tx *store.Tx) error { return tx.UpdateCredential(ctx, a) }), fault.Conflict)
	do(t, db, func(tx *store.Tx) error {
		if err := tx.TouchCredential(ctx, "b", start.Add(time.Hour)); err != nil {
			return err
		}
		wantKind(t, "one that was removed", tx.TouchCredential(ctx, "gone", start), fault.Conflict)
		return tx.TouchCredential(ctx, "b", start) // an older touch that comes late changes nothing
	})
	look(t, db, func(tx *store.Tx) error {
		list, err := tx.CredentialsOf(ctx, "p")
		if err != nil || len(list) != 2 || list[0].ID != "a" || string(list[0].State) != "new" || list[0].Version != 1 ||
			!list[1].LastUsed.Equal(start.Add(time.Hour)) {
			t.Errorf("%+v %v", list, err)
		}
		return nil
	})
	do(t, db, func(tx *store.Tx) error {
		if ok, err := tx.RemoveCredential(ctx, "q", "a"); ok || err != nil {
			t.Errorf("somebody else's credential was removed: %v", err)
		}
		ok, err := tx.RemoveCredential(ctx, "p", "a")
		if !ok {
			t.Error("own credential was not removed")
		}
		return err
	})
}

func credentialSealed(t *testing.T, db *store.DB) {
	ctx := context.Background()
	do(t, db, func(tx *store.Tx) error {
		for _, id := range []string{"one", "two"} {
			if err := tx.AddCredential(ctx, method.Credential{ID: id, Person: id, Kind: method.TOTP, State: []byte("very secret seed " + id)}); err != nil {
				return err
			}
		}
		return nil
	})
	raw := Raw(t, db)
	var one, two []byte
	raw.Get(t, "SELECT state FROM credentials WHERE id = 'one'", &one)
	raw.Get(t, "SELECT state FROM credentials WHERE id = 'two'", &two)
	if bytes.Contains(one, []byte("secret seed")) {
		t.Error("the state lies in clear")
	}
	// A ciphertext moved to another row does not open.
	raw.Do(t, "UPDATE credentials SET state = (SELECT state FROM credentials WHERE id = 'one') WHERE id = 'two'")
	look(t, db, func(tx *store.Tx) error {
		if _, err := tx.CredentialsOf(ctx, "one"); err != nil {
			t.Errorf("untouched: %v", err)
		}
		return nil
	})
	if err := db.View(ctx, func(tx *store.Tx) error { _, err := tx.CredentialsOf(ctx, "two"); return err }); err == nil {
		t.Error("a moved state opened")
	}
}

func sessions(t *testing.T, db *store.DB) {
	ctx := context.Background()
	do(t, db, func(tx *store.Tx) error {
		for i, id := range []string{"s1", "s2", "s3", "s4"} {
			s := session.Session{ID: id, TokenHash: []byte(id), Person: "p", Created: start.Add(time.Duration(i) * time.Second), Expires: start.Add(time.Hour)}
			if id == "s4" {
				s.Person, s.Family = "q", "f"
			}
			if err := tx.AddSession(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
	wantKind(t, "a second session with one token", db.InTx(ctx, func(tx *store.Tx) error {
		return tx.AddSession(ctx, session.Session{ID: "s5", TokenHash: []byte("s1")})
	}), fault.Conflict)
	do(t, db, func(tx *store.Tx) error {
		s, err := tx.SessionByID(ctx, "s1")
		if err != nil {
			return err
		}
		s.TokenHash, s.Evidence = []byte("fresh"), []method.Evidence{{Kind: method.Passkey, At: start}}
		if err := tx.UpdateSession(ctx, s); err != nil {
			return err
		}
		wantKind(t, "old version", tx.UpdateSession(ctx, s), fault.Conflict)
		if _, err := tx.SessionByToken(ctx, []byte("s1")); !fault.IsKind(err, fault.NotFound) {
			t.Errorf("the old token still opens: %v", err)
		}
		_, err = tx.SessionByToken(ctx, []byte("fresh"))
		return err
	})
	do(t, db, func(tx *store.Tx) error {
		ids, err := tx.EndSessionsOf(ctx, "p", "s2")
		slices.Sort(ids)
		same(t, "ended", ids, []string{"s1", "s3"})
		if err != nil {
			return err
		}
		if ids, err := tx.EndSessionsOfFamily(ctx, ""); len(ids) != 0 || err != nil {
			t.Errorf("no family ended %v %v", ids, err)
		}
		ids, err = tx.EndSessionsOfFamily(ctx, "f")
		same(t, "ended of the family", ids, []string{"s4"})
		return err
	})
	do(t, db, func(tx *store.Tx) error {
		first, err := tx.EndSession(ctx, "s2")
		again, err2 := tx.EndSession(ctx, "s2")
		if !first || again {
			t.Errorf("ended: %v, again: %v", first, again)
		}
		if err == nil {
			err = err2
		}
		return err
	})
}

// halfDone: a sign-in under way ends with the sessions of its person, and with nobody else's.
func halfDone(t *testing.T, db *store.DB) {
	ctx := context.Background()
	do(t, db, func(tx *store.Tx) error {
		for _, a := range []signin.Attempt{{ID: "half", Person: "p"}, {ID: "another's", Person: "q"}} {
			a.Browser, a.Expires = []byte("b"), start.Add(time.Hour)
			if err := tx.AddAttempt(ctx, a); err != nil {
				return err
			}
		}
		if _, err := tx.EndSessionsOf(ctx, "p", ""); err != nil {
			return err
		}
		_, err := tx.AttemptByID(ctx, "half")
		wantKind(t, "a sign-in that was half done", err, fault.NotFound)
		_, err = tx.AttemptByID(ctx, "another's")
		return err
	})
}

func rememberedBrowsers(t *testing.T, db *store.DB) {
	ctx := context.Background()
	b := session.Browser{Family: "f", Person: "p", TokenHash: []byte("t1"), Created: start, Expires: start.Add(time.Hour)}
	do(t, db, func(tx *store.Tx) error { return tx.AddBrowser(ctx, b) })
	r := b
	r.TokenHash, r.PrevHash, r.Expires = []byte("t2"), []byte("t1"), start.Add(1000*time.Hour)
	do(t, db, func(tx *store.Tx) error { return tx.RotateBrowser(ctx, r) })
	wantKind(t, "rotate twice", db.InTx(ctx, func(tx *store.Tx) error { return tx.RotateBrowser(ctx, r) }), fault.Conflict)
	do(t, db, func(tx *store.Tx) error {
		got, err := tx.BrowserByFamily(ctx, "f")
		if !got.Expires.Equal(b.Expires) {
			t.Error("rotation extended the absolute lifetime")
		}
		if string(got.TokenHash) != "t2" || got.Generation != 1 {
			t.Errorf("%+v", got)
		}
		if err != nil {
			return err
		}
		n, err := tx.ForgetBrowsersOf(ctx, "p")
		if n != 1 {
			t.Errorf("forgot %d", n)
		}
		return err
	})
	browser := []byte("cookie hash")
	do(t, db, func(tx *store.Tx) error {
		for _, at := range []time.Time{start, start.Add(48 * time.Hour)} {
			if err := tx.RememberKnownBrowser(ctx, "p", browser, at); err != nil {
				return err
			}
		}
		for who, want := range map[string]bool{"p": true, "q": false} {
			if known, err := tx.KnownBrowser(ctx, who, browser); known != want || err != nil {
				t.Errorf("%s: known %v %v", who, known, err)
			}
		}
		if err := tx.ForgetKnownBrowsersOf(ctx, "p"); err != nil {
			return err
		}
		known, err := tx.KnownBrowser(ctx, "p", browser)
		if known {
			t.Error("known after forgetting")
		}
		return err
	})
}
