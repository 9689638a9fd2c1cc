package admin_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/door/admin"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/incident"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/wake"
)

// kept runs f in the store.
func (h *house) kept(f func(tx *store.Tx) error) {
	h.t.Helper()
	if err := h.db.InTx(h.t.Context(), f); err != nil {
		h.t.Fatal(err)
	}
}

// challenge is one to a person's phone that has just been shown there.
func (h *house) challenge(p people.Person, id string) signin.Challenge {
	c := signin.Challenge{ID: id, Person: string(p.ID), Attempt: "a-" + id, Browser: []byte("CANARY-of-browser"), Kind: method.App, Via: "push",
		State: []byte("CANARY-of-state"), Public: json.RawMessage(`"CANARY-of-page"`), Number: "CANARY-of-number", Sent: []string{"phone"}, Standing: signin.Open,
		Application: "Library", Address: "203.0.113.7", Agent: "Firefox on Linux", Country: "GB", Created: h.now, Expires: h.now.Add(signin.ChallengeFor),
		Ends: h.now.Add(signin.ChallengeMax), Version: 1}
	h.kept(func(tx *store.Tx) error {
		if err := tx.AddChallenge(h.t.Context(), c); err != nil {
			return err
		}
		return tx.SaveDelivery(h.t.Context(), signin.Delivery{Challenge: id, Credential: "phone", State: signin.Shown, At: h.now, Detail: "201"})
	})
	return c
}

// phoneSecrets are everything about a person's phone that nobody may read, put where it belongs.
func (h *house) phoneSecrets(p people.Person) []string {
	h.t.Helper()
	ctx := h.t.Context()
	h.kept(func(tx *store.Tx) error {
		for _, c := range []method.Credential{
			{ID: "phone", Kind: method.App, Name: "Her phone", Handle: []byte("handle-of-phone"), State: []byte("CANARY-of-app")},
			{ID: "number", Kind: method.Phone, Name: "Her number", State: []byte("CANARY-+441632960001")},
			{ID: "codes", Kind: method.Recovery, Name: "Codes", State: []byte("CANARY-of-recovery")},
		} {
			c.Person, c.Created, c.Version = string(p.ID), h.now, 1
			if err := tx.AddCredential(ctx, c); err != nil {
				return err
			}
		}
		if err := tx.SaveEndpoint(ctx, device.Endpoint{Credential: "phone", Person: string(p.ID), URL: "https://push.example/CANARY-of-endpoint",
			P256DH: []byte("CANARY-of-p256dh"), Auth: []byte("CANARY-of-auth"), Created: h.now}); err != nil {
			return err
		}
		if err := tx.AddPairing(ctx, enrol.Pairing{ID: "pairing", Person: string(p.ID), Token: secret.Hash("CANARY-of-token"), Code: secret.Hash("CANARY-of-short"),
			Browser: secret.Hash("b"), Session: "s1", Standing: enrol.PairingClaimed, Claim: []byte("CANARY-of-claim"), PhoneCode: "CANARY-of-phone-code",
			Created: h.now, Expires: h.now.Add(enrol.PairingFor), Version: 1}); err != nil {
			return err
		}
		return tx.Enqueue(ctx, notice.Message{ID: secret.NewID(h.now), Person: string(p.ID), Channel: notice.Text, To: "+441632960001", Kind: "code.text",
			Code: secret.NewString("CANARY-of-code"), Created: h.now, NotUntil: h.now})
	})
	h.challenge(p, "challenge")
	return []string{"CANARY-of-app", "CANARY-+441632960001", "CANARY-of-recovery", "https://push.example/CANARY-of-endpoint", "CANARY-of-p256dh", "CANARY-of-auth",
		"CANARY-of-token", "CANARY-of-short", "CANARY-of-claim", "CANARY-of-phone-code", "CANARY-of-code", "CANARY-of-browser", "CANARY-of-state",
		"CANARY-of-page", "CANARY-of-number"}
}

func TestTheDeskSeesHowFarARequestCame(t *testing.T) {
	h := newHouse(t)
	ada, ben := h.person("ada"), h.person("ben")
	h.kept(func(tx *store.Tx) error {
		return tx.AddCredential(t.Context(), method.Credential{ID: "phone", Person: string(ada.ID), Kind: method.App, Name: "Her phone", Handle: []byte("x"), Created: h.now, Version: 1})
	})
	h.challenge(ada, "one")
	read := h.token(manage.PeopleRead)
	var got struct{ Requests []admin.Request }
	h.ok(read, "GET", prefix+"/people/"+string(ada.ID)+"/challenges", "", &got)
	if len(got.Requests) != 1 || len(got.Requests[0].Deliveries) != 1 {
		t.Fatalf("%+v", got)
	}
	r := got.Requests[0]
	if d := r.Deliveries[0]; r.Standing != "open" || r.Application != "Library" || r.Country != "GB" || d.Name != "Her phone" || d.State != "shown" || d.Detail != "201" {
		t.Errorf("%+v", r)
	}
	h.now = h.now.Add(signin.ChallengeFor)
	h.ok(read, "GET", prefix+"/people/"+string(ada.ID)+"/challenges", "", &got)
	if got.Requests[0].Standing != "expired" {
		t.Errorf("nobody answered, and it stands %s", got.Requests[0].Standing)
	}
	h.ok(read, "GET", prefix+"/people/"+string(ben.ID)+"/challenges", "", &got)
	if len(got.Requests) != 0 {
		t.Errorf("ben has ada's requests: %+v", got.Requests)
	}
	for path, want := range map[string]int{"/people/nobody/challenges": 404, "/people/x/challenges?limit=1000": 422, "/people/x/challenges?number=1": 422} {
		if w := h.call(read, "GET", prefix+path, ""); w.Code != want && !(want == 422 && w.Code == 400) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestIMP10_AnIncidentIsSeenAndClosedOnceWithItsReason(t *testing.T) {
	h := newHouse(t)
	ada := h.person("ada")
	h.kept(func(tx *store.Tx) error {
		return tx.AddIncident(t.Context(), incident.Incident{ID: "i1", Kind: incident.Reported, Person: string(ada.ID), Object: "c1",
			Detail: map[string]string{"application": "Library"}, Personal: map[string]string{"address": "203.0.113.7"}, Opened: h.now, Count: 1, Version: 1})
	})
	all := h.token(manage.Scopes()...)
	var got struct{ Incidents []admin.Incident }
	h.ok(all, "GET", prefix+"/incidents?person="+string(ada.ID), "", &got)
	if len(got.Incidents) != 1 || got.Incidents[0].Username != "ada" || got.Incidents[0].Personal["address"] != "203.0.113.7" || got.Incidents[0].Closed != nil {
		t.Fatalf("%+v", got)
	}
	for body, want := range map[string]int{`{}`: 422, `{"why":""}`: 422, `{"why":"=cmd|' /C calc'!A0"}`: 400, `{"why":"x","closed_by":"me"}`: 422} {
		if w := h.call(all, "POST", prefix+"/incidents/i1/close", body); w.Code != want {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	h.ok(all, "POST", prefix+"/incidents/i1/close", `{"why":"A stranger knew her password"}`, nil)
	if w := h.call(all, "POST", prefix+"/incidents/i1/close", `{"why":"again"}`); w.Code != 409 {
		t.Errorf("closed twice: %d", w.Code)
	}
	if w := h.call(all, "POST", prefix+"/incidents/nothing/close", `{"why":"x"}`); w.Code != 404 {
		t.Errorf("closed nothing: %d", w.Code)
	}
	h.ok(all, "GET", prefix+"/incidents", "", &got)
	if len(got.Incidents) != 0 {
		t.Errorf("still open: %+v", got)
	}
	h.ok(all, "GET", prefix+"/incidents?state=all", "", &got)
	if len(got.Incidents) != 1 || got.Incidents[0].Closed == nil || got.Incidents[0].Why != "A stranger knew her password" || !strings.HasPrefix(got.Incidents[0].ClosedBy, "token:") {
		t.Errorf("%+v", got)
	}
	if trail := strings.Join(h.trail(), "\n"); strings.Count(trail, "incident.closed done token:") != 1 {
		t.Errorf("the trail:\n%s", trail)
	}
	if w := h.call(all, "GET", prefix+"/incidents?state=closed", ""); w.Code != 400 && w.Code != 422 {
		t.Errorf("an unknown state: %d", w.Code)
	}
}

func TestG55_NobodyVerifiesForSomebodyElse(t *testing.T) {
	h := newHouse(t)
	ada := h.person("ada")
	h.kept(func(tx *store.Tx) error {
		p, err := tx.PersonByID(t.Context(), ada.ID)
		if err != nil {
			return err
		}
		p.NewPassword = true
		return tx.UpdatePerson(t.Context(), p)
	})
	all := h.token(manage.Scopes()...)
	path := prefix + "/people/" + string(ada.ID)
	for _, extra := range []string{`"phone":"+441632960001"`, `"phone_verified":true`, `"email_verified":true`, `"verified":true`, `"new_password":false`,
		`"methods":[{"kind":"phone"}]`, `"device":{}`, `"lead":"phone"`, `"state":"active"`, `"credentials":[]`} {
		if w := h.call(all, "PUT", path, `{"username":"ada","version":2,`+extra+`}`); w.Code < 400 || w.Code >= 500 {
			t.Errorf("%s was taken: %d %s", extra, w.Code, w.Body)
		}
		if w := h.call(all, "POST", prefix+"/people", `{"username":"new",`+extra+`}`); w.Code < 400 || w.Code >= 500 {
			t.Errorf("%s was taken for a new person: %d %s", extra, w.Code, w.Body)
		}
	}
	h.ok(all, "PUT", path, `{"username":"ada","given_name":"Ada","version":2}`, nil)
	h.kept(func(tx *store.Tx) error {
		p, err := tx.PersonByID(t.Context(), ada.ID)
		if err == nil && !p.NewPassword {
			t.Error("a change of the profile lifted the demand for a new password")
		}
		owned, e := tx.CredentialsOf(t.Context(), string(ada.ID))
		if len(owned) > 0 {
			t.Errorf("methods out of nothing: %+v", owned)
		}
		if err == nil {
			err = e
		}
		return err
	})
}

func TestG8_SuspendingWakesThePhones(t *testing.T) {
	hub := &wake.Hub{}
	h := newHouseWith(t, hub)
	ada, ben := h.person("ada"), h.person("ben")
	hers, his := hub.Subscribe(signin.RequestsTopic(string(ada.ID))), hub.Subscribe(signin.RequestsTopic(string(ben.ID)))
	defer hers.Close()
	defer his.Close()
	h.ok(h.token(manage.PeopleWrite), "POST", prefix+"/people/"+string(ada.ID)+"/suspend", `{"why":"x"}`, nil)
	select {
	case <-hers.C:
	case <-time.After(10 * time.Second):
		t.Error("her phone waits on")
	}
	select {
	case <-his.C:
		t.Error("his phone was woken")
	default:
	}
}

func TestAnInvitationByMailIsSeenByItsReaderOnly(t *testing.T) {
	h := newHouse(t)
	ada := h.person("ada")
	all := h.token(manage.Scopes()...)
	w := h.call(all, "POST", prefix+"/people/"+string(ada.ID)+"/invite-by-mail", "")
	if w.Code != 200 || strings.Contains(w.Body.String(), "secret") {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	h.kept(func(tx *store.Tx) error {
		sent, err := tx.RecentMessages(t.Context(), 10)
		if len(sent) != 1 || sent[0].To != "ada@example.org" || sent[0].Channel != notice.Mail {
			t.Errorf("%+v", sent)
		}
		return err
	})
	var nobody admin.Person
	h.ok(all, "POST", prefix+"/people", `{"username":"nomail"}`, &nobody)
	if w := h.call(all, "POST", prefix+"/people/"+nobody.ID+"/invite-by-mail", ""); w.Code != 400 || !strings.Contains(w.Body.String(), "no mail address") {
		t.Errorf("without an address: %d %s", w.Code, w.Body)
	}
}
