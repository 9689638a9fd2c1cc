package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

func endpoints(t *testing.T, db *store.DB) {
	ctx := context.Background()
	add := func(c method.Credential) {
		t.Helper()
		do(t, db, func(tx *store.Tx) error { return tx.AddCredential(ctx, c) })
	}
	add(method.Credential{ID: "phone", Person: "p", Kind: method.App, Created: start})
	add(method.Credential{ID: "tablet", Person: "p", Kind: method.App, Created: start.Add(time.Second), Pending: true})
	add(method.Credential{ID: "codes", Person: "p", Kind: method.TOTP, Device: "phone"})
	add(method.Credential{ID: "own", Person: "p", Kind: method.TOTP})
	add(method.Credential{ID: "password", Person: "p", Kind: method.Password})
	save := func(person, credential, url string) error {
		return db.InTx(ctx, func(tx *store.Tx) error {
			return tx.SaveEndpoint(ctx, device.Endpoint{Credential: credential, Person: person, URL: url, P256DH: []byte("key"), Auth: []byte("auth")})
		})
	}
	for _, credential := range []string{"phone", "phone", "tablet"} {
		if err := save("p", credential, "https://push.example/"+credential); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, "another's phone", save("q", "phone", "https://push.example/q"), fault.NotFound)
	wantKind(t, "no phone", save("p", "none", "https://push.example/none"), fault.NotFound)
	wantKind(t, "what is no app", save("p", "codes", "https://push.example/codes"), fault.NotFound)
	of := func() (urls []string) {
		look(t, db, func(tx *store.Tx) error {
			list, err := tx.EndpointsOf(ctx, "p")
			for _, e := range list {
				urls = append(urls, e.URL)
			}
			return err
		})
		return urls
	}
	same(t, "a pending phone is not pushed to", of(), []string{"https://push.example/phone"})
	do(t, db, func(tx *store.Tx) error {
		all, err := tx.CredentialsOf(ctx, "p")
		if err != nil {
			return err
		}
		for _, c := range all { // saving a credential leaves its endpoint alone
			if err := tx.UpdateCredential(ctx, c); err != nil {
				return err
			}
		}
		return nil
	})
	same(t, "after the credential was saved", of(), []string{"https://push.example/phone"})
	removesEndpoint(t, db)
	if err := save("p", "phone", "https://push.example/again"); err != nil {
		t.Fatal(err)
	}
	removesDevice(t, db)
	if urls := of(); urls != nil {
		t.Errorf("an endpoint outlived its phone: %v", urls)
	}
}

func removesEndpoint(t *testing.T, db *store.DB) {
	ctx := context.Background()
	do(t, db, func(tx *store.Tx) error {
		first, err := tx.RemoveEndpoint(ctx, "phone")
		if err != nil {
			return err
		}
		again, err := tx.RemoveEndpoint(ctx, "phone")
		if !first || again {
			t.Errorf("removed %v, again %v", first, again)
		}
		return err
	})
}

// removesDevice: a device goes with all that is on it; nothing else does, whatever is asked for.
func removesDevice(t *testing.T, db *store.DB) {
	ctx := context.Background()
	for _, c := range []struct {
		person, id string
		want       bool
		left       []string
	}{
		{"p", "", false, []string{"codes", "own", "password", "phone", "tablet"}},
		{"q", "phone", false, []string{"codes", "own", "password", "phone", "tablet"}},
		{"p", "phone", true, []string{"own", "password", "tablet"}},
		{"p", "phone", false, []string{"own", "password", "tablet"}},
	} {
		do(t, db, func(tx *store.Tx) error {
			removed, err := tx.RemoveCredential(ctx, c.person, c.id)
			if err != nil || removed != c.want {
				t.Errorf("%q of %s: removed %v %v", c.id, c.person, removed, err)
			}
			all, err := tx.CredentialsOf(ctx, "p")
			var left []string
			for _, x := range all {
				left = append(left, x.ID)
			}
			slices.Sort(left)
			same(t, "left", left, c.left)
			return err
		})
	}
}

// changedMeanwhile: a password that is changed between the reading and the saving of a proof is no proof.
func changedMeanwhile(t *testing.T, db *store.DB) {
	if db.Engine() == "sqlite" { // one writer: nobody comes in between
		return
	}
	ctx := context.Background()
	c := method.Credential{ID: "pw", Person: "p", Kind: method.Password, State: []byte("old"), Created: start}
	do(t, db, func(tx *store.Tx) error { return tx.AddCredential(ctx, c) })
	judged, changed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(changed)
		<-judged
		c.State = []byte("new")
		if err := db.InTx(ctx, func(tx *store.Tx) error { return tx.UpdateCredential(ctx, c) }); err != nil {
			t.Errorf("changing: %v", err)
		}
	}()
	err := db.InTx(ctx, func(tx *store.Tx) error {
		if _, err := tx.CredentialsOf(ctx, "p"); err != nil {
			return err
		}
		close(judged)
		<-changed
		return tx.TouchCredential(ctx, "pw", start.Add(time.Second))
	})
	wantKind(t, "what was judged is no more", err, fault.Conflict)
	do(t, db, func(tx *store.Tx) error {
		all, err := tx.CredentialsOf(ctx, "p")
		if err != nil || len(all) != 1 || string(all[0].State) != "new" || !all[0].LastUsed.IsZero() {
			t.Errorf("%+v %v", all, err)
		}
		all[0].Name = "renamed"
		if err := tx.UpdateCredential(ctx, all[0]); err != nil { // its own change is none of somebody else
			return err
		}
		return tx.TouchCredential(ctx, "pw", start.Add(time.Second))
	})
}

// channels: each claimer takes its own channels' messages, and none twice.
func channels(t *testing.T, db *store.DB) {
	ctx := context.Background()
	do(t, db, func(tx *store.Tx) error {
		for i := range 60 {
			channel := []string{notice.Mail, notice.Text, notice.Voice}[i%3]
			m := notice.Message{ID: fmt.Sprintf("%02d", i), Channel: channel, Code: secret.NewString("code"), Created: start, NotUntil: start}
			if err := tx.Enqueue(ctx, m); err != nil {
				return err
			}
		}
		return nil
	})
	claimed := make(chan notice.Message, 200)
	race(t, 16, func(i int) (bool, error) {
		want := [][]string{{notice.Mail}, {notice.Text, notice.Voice}}[i%2]
		return true, db.InTx(ctx, func(tx *store.Tx) error {
			list, err := tx.ClaimMessages(ctx, want, start, start.Add(time.Minute), 8)
			for _, m := range list {
				if !slices.Contains(want, m.Channel) {
					t.Errorf("%v was asked for, %s came", want, m.Channel)
				}
				claimed <- m
			}
			return err
		})
	})
	close(claimed)
	seen := map[string]bool{}
	for m := range claimed {
		if seen[m.ID] || m.Code.Reveal() != "code" {
			t.Errorf("%s: twice %v, code %q", m.ID, seen[m.ID], m.Code.Reveal())
		}
		seen[m.ID] = true
	}
	if len(seen) < 16 {
		t.Errorf("%d claimed", len(seen))
	}
	do(t, db, func(tx *store.Tx) error {
		if list, err := tx.ClaimMessages(ctx, nil, start.Add(time.Hour), start.Add(2*time.Hour), 10); err != nil || list != nil {
			t.Errorf("no channel: %d messages %v", len(list), err)
		}
		return nil
	})
	codesGo(t, db)
}

// codesGo: a code is kept as long as it is still to be sent.
func codesGo(t *testing.T, db *store.DB) {
	ctx := context.Background()
	do(t, db, func(tx *store.Tx) error {
		list, err := tx.ClaimMessages(ctx, []string{notice.Text}, start.Add(time.Hour), start.Add(2*time.Hour), 3)
		if err != nil || len(list) != 3 {
			t.Fatalf("%d %v", len(list), err)
		}
		list[0].SentAt, list[1].GivenUp, list[2].Tries = start, true, 1
		want := map[string]string{list[0].ID: "", list[1].ID: "", list[2].ID: "code"}
		for _, m := range list {
			if err := tx.SaveMessage(ctx, m); err != nil {
				return err
			}
		}
		all, err := tx.RecentMessages(ctx, 1000)
		for _, m := range all {
			if code, asked := want[m.ID]; asked && m.Code.Reveal() != code {
				t.Errorf("message %s keeps %q", m.ID, m.Code.Reveal())
			}
		}
		return err
	})
}
