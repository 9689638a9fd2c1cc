package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

// changed rewrites one member of an authenticator's response.
func changed(t *testing.T, answer json.RawMessage, change func(all, response map[string]any)) string {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal(answer, &all); err != nil {
		t.Fatal(err)
	}
	change(all, all["response"].(map[string]any))
	out, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestG65_SomebodyElsesCredentialOverHTTP(t *testing.T) {
	onBoth(t, func(t *testing.T, s *openedSite) {
		victim, thief := s.member("victim", method.Passkey), s.member("thief", method.Passkey)
		handleOf := func(m *siteMember) string {
			var out string
			answer, err := m.key.Get(options(s.browser().get("/signin")))
			s.must(err)
			changed(t, answer, func(_, r map[string]any) { out = r["userHandle"].(string) })
			return out
		}
		handles := map[string]any{"own": nil, "victim's": handleOf(victim), "none": "", "removed": false}
		for name, handle := range handles {
			b := s.browser()
			w := b.get("/signin")
			w = b.follow(b.post("/signin", "attempt", hidden(w)["attempt"], "name", victim.Username))
			asked := options(w)
			if asked == nil {
				t.Fatalf("no passkey is asked for after the name: %s", w.Body)
			}
			thief.key.Use = thief.key.Credentials()[0].ID
			answer, err := thief.key.Get(asked)
			s.must(err)
			w = b.post("/signin/passkey", "attempt", hidden(w)["attempt"], "answer", changed(t, answer, func(_, r map[string]any) {
				switch h := handle.(type) {
				case string:
					r["userHandle"] = h
				case bool:
					delete(r, "userHandle")
				}
			}))
			if b.signedIn() { // then it must be the credential's owner who is, whatever name was typed
				if name != "own" || !strings.Contains(b.get("/security").Body.String(), "Key of thief") {
					t.Errorf("handle %s: a session began", name)
				}
				if strings.Contains(b.get("/security").Body.String(), "Key of victim") {
					t.Errorf("handle %s: the thief is the victim", name)
				}
			} else if w.Code == http.StatusSeeOther && !strings.HasPrefix(w.Header().Get("Location"), "/signin") {
				t.Errorf("handle %s: it goes on to %s", name, w.Header().Get("Location"))
			}
		}
	})
}

// TestG65_StepUpWithSomebodyElsesCredential: a proof within a session is the session's own person's.
func TestG65_StepUpWithSomebodyElsesCredential(t *testing.T) {
	s := openSite(t)
	victim, thief := s.member("victim", method.Passkey), s.member("thief", method.Passkey)
	b := s.browser()
	b.signIn(victim)
	before := b.cookies["__Host-gatehouse"]
	w := b.follow(b.get("/security/add/totp"))
	asked := options(w)
	if asked == nil {
		t.Fatalf("no proof is asked for: %s", w.Body)
	}
	thief.key.Use = thief.key.Credentials()[0].ID
	answer, err := thief.key.Get(asked)
	s.must(err)
	w = b.follow(b.post("/signin/passkey", "attempt", hidden(w)["attempt"], "answer", string(answer)))
	if strings.Contains(w.Body.String(), `action="/security/add/totp"`) {
		t.Fatal("somebody else's passkey opened the wizard")
	}
	if b.cookies["__Host-gatehouse"] != before && b.signedIn() && strings.Contains(b.get("/security").Body.String(), "Key of thief") {
		t.Fatal("the session changed hands")
	}
}

// addPasskey goes through the wizard up to the answer; key creates it.
func (b *siteBrowser) addPasskey(m *siteMember, create func(json.RawMessage) string) *httptest.ResponseRecorder {
	b.s.t.Helper()
	w := b.prove(b.get("/security/add/passkey"), m)
	if options(w) == nil {
		b.s.t.Fatalf("no wizard: %d %s", w.Code, w.Body)
	}
	h := hidden(w)
	return b.post("/security/add/passkey", "sealed", h["sealed"], "name", "Mine now", "answer", create(options(w)))
}

func (s *openedSite) credentials(id people.ID) (all []method.Credential) {
	s.t.Helper()
	s.must(s.h.db.View(context.Background(), func(tx *store.Tx) (err error) {
		all, err = tx.CredentialsOf(context.Background(), string(id))
		return err
	}))
	return all
}

func TestG66_CredentialIDOfSomebodyElseIsRegistered(t *testing.T) {
	onBoth(t, func(t *testing.T, s *openedSite) {
		victim, thief := s.member("victim", method.Passkey), s.member("thief", method.Password, method.TOTP)
		before := s.credentials(victim.ID)
		b := s.browser()
		b.signIn(thief)
		w := b.addPasskey(thief, func(asked json.RawMessage) string {
			// The same id and key, attested anew: the victim's authenticator in the thief's hand without its secret.
			twin := softkey.New(siteOrigin)
			twin.CredentialID = victim.key.Credentials()[0].ID
			answer, err := twin.Create(asked)
			s.must(err)
			return string(answer)
		})
		if w.Code < 400 {
			t.Errorf("the credential id was taken twice: %d %s", w.Code, w.Header().Get("Location"))
		}
		for _, c := range s.credentials(thief.ID) {
			if c.Kind == method.Passkey {
				t.Error("the thief has a passkey now")
			}
		}
		after := s.credentials(victim.ID)
		if len(after) != 1 || fmt.Sprint(before) != fmt.Sprint(after) {
			t.Error("the victim's credential was changed")
		}
		v := s.browser()
		v.signIn(victim)
	})
}

func TestG67_OriginIsComparedToTheLetter(t *testing.T) {
	s := openSite(t)
	m := s.member("ada", method.Passkey)
	for _, origin := range []string{"https://localhost:8080", "http://localhost:8443", "http://localhost", "http://LOCALHOST:8080",
		"http://localhost:8080.evil.example", "http://localhost:8080/", "http://localhost.:8080", "http://xn--loclhost-hxf:8080", "null", "",
		"http://127.0.0.1:8080", "http://localhost:8080@evil.example", "http://localhost:08080", " http://localhost:8080", "http://localhost:8080\u0000",
		"http://login.localhost:8080", "android:apk-key-hash:AAAA", "file://"} {
		b := s.browser()
		w := b.get("/signin")
		m.key.Origin = origin
		answer, err := m.key.Get(options(w))
		s.must(err)
		w = b.post("/signin/passkey", "attempt", hidden(w)["attempt"], "answer", string(answer))
		if b.signedIn() || w.Code == http.StatusSeeOther || w.Code >= 500 {
			t.Errorf("origin %q: %d, signed in %v", origin, w.Code, b.signedIn())
		}
	}
	m.key.Origin = siteOrigin
	s.browser().signIn(m)
}

func TestG80_CounterRegression(t *testing.T) {
	onBoth(t, func(t *testing.T, s *openedSite) {
		m := s.member("ada", method.Passkey)
		try := func(count uint32) bool {
			b := s.browser()
			w := b.get("/signin")
			m.key.CounterIs = &count
			answer, err := m.key.Get(options(w))
			s.must(err)
			w = b.post("/signin/passkey", "attempt", hidden(w)["attempt"], "answer", string(answer))
			if w.Code >= 500 {
				t.Errorf("counter %d: %d", count, w.Code)
			}
			return b.signedIn()
		}
		for _, c := range []struct {
			count uint32
			ok    bool
		}{{10, true}, {9, false}, {10, false}, {0, false}, {11, true}, {1 << 31, true}, {1<<32 - 1, true}, {0, false}} {
			if try(c.count) != c.ok {
				t.Errorf("counter %d: accepted %v, want %v", c.count, !c.ok, c.ok)
			}
		}
		quiet := s.member("ben", method.Passkey)
		m = quiet
		for range 3 {
			if !try(0) {
				t.Error("0 after 0 is an authenticator that does not count")
			}
		}
	})
}

// shapeOf is a page without what must differ: the typed name and sealed values, which count by their lengths.
func shapeOf(w *httptest.ResponseRecorder, name string) string {
	body := strings.ReplaceAll(w.Body.String(), name, strings.Repeat("N", len(name)))
	for _, value := range append(slices.Collect(maps.Values(hidden(w))), challengeOf(w)) {
		if value != "" {
			body = strings.ReplaceAll(body, value, fmt.Sprint("sealed ", len(value)))
		}
	}
	return fmt.Sprint(w.Code, w.Body.Len(), body)
}

func challengeOf(w *httptest.ResponseRecorder) string { return textOf(string(options(w)), "challenge") }

func TestG77_KnownAndUnknownNamesAnswerAlike(t *testing.T) {
	s := openSite(t)
	s.clock.still = true // a sealed time is shorter where its microseconds end with a zero
	ctx, now := context.Background(), s.clock.now()
	const crowd = 1000
	sets := [][]method.Kind{{method.Passkey}, {method.Password, method.TOTP}, {method.Password}, {method.Passkey, method.Password, method.TOTP}, nil}
	models := make([][]method.Credential, len(sets))
	for i, kinds := range sets {
		m := s.member(fmt.Sprintf("model%d", i), kinds...)
		models[i] = s.credentials(m.ID)
	}
	s.must(s.h.db.InTx(ctx, func(tx *store.Tx) error {
		for i := range crowd {
			p := people.Person{ID: people.ID(secret.NewID(now)), Username: fmt.Sprintf("known%05d", i), DisplayName: "K", State: people.Active,
				Created: now, Updated: now, Lead: []string{"", "passkey", "password"}[i%3]}
			if i%7 == 0 {
				p.State = people.Suspended
			}
			if err := tx.AddPerson(ctx, p); err != nil {
				return err
			}
			for n, c := range models[i%len(models)] {
				c.ID, c.Person, c.Handle = secret.NewID(now), string(p.ID), fmt.Appendf(nil, "handle-%d-%d-%s", i, n, c.Kind)
				if err := tx.AddCredential(ctx, c); err != nil {
					return err
				}
			}
		}
		return nil
	}))
	shapes := func(s *openedSite, prefix string, n int, order []int) map[string]int {
		out := map[string]int{}
		b := s.browser()
		b.get("/help")
		for _, i := range order[:n] {
			name := fmt.Sprintf("%s%05d", prefix, i)
			w := b.get("/signin")
			w = b.follow(b.post("/signin", "attempt", hidden(w)["attempt"], "name", name))
			if strings.Contains(string(options(w)), "allowCredentials") && !strings.Contains(string(options(w)), `"allowCredentials":[]`) {
				t.Fatalf("%s: credentials are named before the first proof", name)
			}
			out[shapeOf(w, name)]++
		}
		return out
	}
	order := rand.Perm(crowd)
	known, unknown := shapes(s, "known", crowd, order), shapes(s, "nobod", crowd, order)
	if len(known) != 1 || len(unknown) != 1 || fmt.Sprint(known) != fmt.Sprint(unknown) {
		t.Errorf("%d shapes of answers for known names, %d for unknown ones", len(known), len(unknown))
	}
	// After a restart, on the same database with the same key file, the same.
	s.h.close()
	again := openSiteOn(t, s.dsn, s.clock)
	s.clock.add(time.Hour)
	for shape := range shapes(again, "known", 40, order) {
		if known[shape] == 0 {
			t.Error("a known name answers differently after a restart")
		}
	}
	for shape := range shapes(again, "nobod", 40, order) {
		if known[shape] == 0 {
			t.Error("an unknown name answers differently after a restart")
		}
	}
}
