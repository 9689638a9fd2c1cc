package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/courier"
	"github.com/gatehouse-id/gatehouse/internal/courier/gateway"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

// A code goes from the outbox through a real HTTP gateway, and the desk can see how far it came.
func TestACodeReachesTheGatewayAndTheDeskSeesIt(t *testing.T) {
	status := http.StatusAccepted
	var got []map[string]string
	local := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var said map[string]string
		if err := json.NewDecoder(r.Body).Decode(&said); err != nil {
			t.Error(err)
		}
		got = append(got, said)
		w.WriteHeader(status)
	}))
	defer local.Close()
	text, err := gateway.NewHTTP(gateway.HTTP{URL: local.URL, Body: `{"to":"{{.To}}","text":"{{.Text}}"}`})
	if err != nil {
		t.Fatal(err)
	}
	h, d := realHouse(t)
	ctx := t.Context()
	codes := h.couriers(d.pages.Texts, map[string]courier.Channel{notice.Text: text})[0]
	p, err := h.manage.AddPerson(ctx, manage.CommandLine("tester"), manage.Details{Username: "ada", Email: "ada@example.ac.uk"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		id     string
		status int
		late   time.Duration
		state  signin.DeliveryState
		detail string
		sent   int
	}{
		{"taken", http.StatusAccepted, 0, signin.Accepted, "", 1},
		{"bad-number", http.StatusNotFound, 0, signin.Failed, "refused", 2},
		{"too-late", http.StatusAccepted, -time.Minute, signin.Failed, "expired", 2},
	} {
		status = tc.status
		now := h.Now()
		expires := now.Add(5*time.Minute + tc.late*10)
		err := h.db.InTx(ctx, func(tx *store.Tx) error {
			c := signin.Challenge{ID: tc.id, Person: string(p.ID), Attempt: "a" + tc.id, Browser: []byte("b"), Kind: method.Phone, Via: notice.Text,
				Standing: signin.Open, Created: now, Expires: now.Add(time.Minute), Ends: now.Add(time.Minute)}
			if err := tx.AddChallenge(ctx, c); err != nil {
				return err
			}
			return tx.Enqueue(ctx, notice.Message{ID: tc.id, Person: string(p.ID), Channel: notice.Text, To: "+12025550123", Kind: "code.text",
				Params: map[string]string{"challenge": tc.id, "credential": "number"}, Code: secret.NewString("471903"), Created: now, NotUntil: now, Expires: expires})
		})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := codes.Once(ctx); n != 1 || err != nil {
			t.Fatal(tc.id, n, err)
		}
		all := deliveries(t, h, tc.id)
		if len(all) != 1 || all[0].State != tc.state || all[0].Detail != tc.detail || len(got) != tc.sent {
			t.Errorf("%s: %+v after %d requests", tc.id, all, len(got))
		}
	}
	if got[0]["to"] != "+12025550123" || !strings.Contains(got[0]["text"], "471903") {
		t.Errorf("%v", got[0])
	}
}

// letterbox keeps what it is given.
type letterbox struct{ letters []courier.Letter }

func (l *letterbox) Send(_ context.Context, one courier.Letter) error {
	l.letters = append(l.letters, one)
	return nil
}

// The secret of an invitation by mail stands in the letter and in nothing that is kept afterwards.
func TestAnInvitationReachesItsPersonByMail(t *testing.T) {
	h, d := realHouse(t)
	ctx, by, box := t.Context(), manage.CommandLine("tester"), &letterbox{}
	mail := h.couriers(d.pages.Texts, map[string]courier.Channel{notice.Mail: box})[0]
	p, err := h.manage.AddPerson(ctx, by, manage.Details{Username: "ada", Email: "ada@example.ac.uk", DisplayName: "Ada Sample"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.manage.InviteByMail(ctx, by, p.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := mail.Once(ctx); err != nil || len(box.letters) != 1 {
		t.Fatal(len(box.letters), err)
	}
	body := box.letters[0].Body
	code := regexp.MustCompile(`[a-z0-9]{5}(-[a-z0-9]{5}){3}-[a-z0-9]{6}`).FindString(body)
	if code == "" || !strings.Contains(body, "/welcome") || !strings.Contains(body, "Hello Ada Sample") || strings.Contains(body, "<no value>") || box.letters[0].To != "ada@example.ac.uk" {
		t.Errorf("%s", body)
	}
	if err := h.db.View(ctx, func(tx *store.Tx) error {
		all, err := tx.RecentMessages(ctx, 10)
		for _, m := range all {
			if !m.Code.Empty() || strings.Contains(fmt.Sprint(m.Params), code) {
				t.Error("the secret is still in the outbox")
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func deliveries(t *testing.T, h *house, challenge string) (all []signin.Delivery) {
	t.Helper()
	if err := h.db.View(context.Background(), func(tx *store.Tx) (err error) {
		all, err = tx.DeliveriesOf(context.Background(), challenge)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all
}
