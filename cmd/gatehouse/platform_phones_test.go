package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/recovery"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
)

// withPhones gives a house an app, pushes and text messages.
func withPhones(c *houseConfig) {
	c.AppBase = &url.URL{Scheme: "http", Host: "app.localhost:8080"}
	c.Push = &pushSettings{Contact: "mailto:signin@example.ac.uk"}
	c.Text = &textSettings{Channels: []string{notice.Text}, Country: "GB", Caps: signin.SendingCaps{Countries: []string{"GB"}}}
}

// openPhones is a house with phones in this process.
func openPhones(t *testing.T, dsn string) *phoneSite {
	t.Helper()
	s := &phoneSite{openedSite: openSiteOn(t, dsn, &siteClock{at: time.Date(2026, 10, 5, 9, 0, 10, 0, time.UTC)}, withPhones), app: "http://app.localhost:8080"}
	s.inTx, _ = store.Bind[device.Store](s.h.db)
	return s
}

// paired is a phone on the member's account.
func (s *phoneSite) paired(m *siteMember) *softphone.Phone {
	s.t.Helper()
	p := softphone.New(s.app, &http.Client{Transport: throughHandler{s.handler}})
	p.Now = s.clock.now
	began := s.began(m)
	_, token, err := softphone.ParseLink(began.link)
	s.must(err)
	s.must(p.OpenPairing(s.t.Context(), token))
	code, err := p.Claim(s.t.Context(), "Her phone")
	s.must(err)
	s.typed(m, began.id, code)
	s.must(p.WaitPaired(s.t.Context()))
	return p
}

// TestG136_WhatAPhoneBringsIsNeverReadBack: neither by the desk nor by who holds the database without its keys.
func TestG136_WhatAPhoneBringsIsNeverReadBack(t *testing.T) {
	dir := t.TempDir()
	s := openPhones(t, filepath.Join(dir, "gatehouse.db"))
	c := canaries{}
	inForce, err := s.h.manage.Policy(t.Context(), demoBy)
	s.must(err)
	inForce.App.SixDigits = true
	_, err = s.h.manage.SetPolicy(t.Context(), demoBy, inForce, nil, "a longer number")
	s.must(err)
	ada := s.member("ada", method.Password)
	phone := s.paired(ada)
	state := filepath.Join(dir, "phone.json")
	s.must(phone.Save(state))
	kept, err := os.ReadFile(state)
	s.must(err)
	s.must(os.Remove(state))
	var known struct {
		Passcode struct{ Secret string } `json:"passcode"`
	}
	s.must(json.Unmarshal(kept, &known))
	c.add("the passcodes' secret", known.Passcode.Secret)
	c.add("the passcodes' secret (raw)", string(phoneSecret(t, known.Passcode.Secret)))
	s.must(phone.Subscribe(t.Context(), "https://fcm.googleapis.com/fcm/send/canary-of-the-endpoint"))
	c.add("the push endpoint", "canary-of-the-endpoint")
	c.add("a number that is live", s.asked(ada))
	began := s.began(s.member("ben", method.Password))
	_, token, err := softphone.ParseLink(began.link)
	s.must(err)
	c.add("a pairing's link", token)
	c.add("a pairing's code", strings.ReplaceAll(began.code, "-", ""))
	now := s.clock.now()
	offer, err := s.h.methods[method.Recovery].Offer(method.OfferInput{Subject: method.Subject{ID: string(ada.ID)}, Now: now})
	s.must(err)
	var codes recovery.Offered
	s.must(json.Unmarshal(offer.Public, &codes))
	set, err := s.h.methods[method.Recovery].Enrol(method.EnrolInput{Subject: method.Subject{ID: string(ada.ID)}, State: offer.State, Now: now,
		Answer: method.Answer{Text: recovery.Saved}})
	s.must(err)
	set.ID, set.Person, set.Kind, set.Created, set.Version = secret.NewID(now), string(ada.ID), method.Recovery, now, 1
	for _, code := range codes.Codes {
		c.add("a recovery code", code)
		c.add("a recovery code, typed", strings.ReplaceAll(code, "-", ""))
	}
	s.must(s.h.db.InTx(t.Context(), func(tx *store.Tx) error {
		if err := tx.AddCredential(t.Context(), set); err != nil {
			return err
		}
		return tx.Enqueue(t.Context(), notice.Message{ID: secret.NewID(now), Person: string(ada.ID), Channel: notice.Text, To: "+441632960001", Kind: "code.text",
			Code: secret.NewString("739184260"), Locale: "en", Expires: now.Add(time.Hour), Created: now, NotUntil: now})
	}))
	c.add("a code on its way", "739184260")
	sealed, err := s.h.setting(t.Context(), settingPushKey)
	s.must(err)
	private, err := s.h.Keyring.Open("settings/"+settingPushKey, sealed)
	s.must(err)
	c.add("the key for pushes", string(private))

	tokens := map[string]string{"everything": s.token("everything", manage.Scopes()...), "nobody": ""}
	ada.creds[method.TOTP] = "x"
	s.crawl(c, tokens, ada, "x")
	for _, args := range [][]string{{"people", "requests", "ada"}, {"incidents", "list"}} {
		_, out, problems := s.command(args...)
		c.find(t, "gatehouse "+strings.Join(args, " "), out+problems)
	}
	for _, name := range []string{"gatehouse.db", "gatehouse.db-wal"} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		c.find(t, name, string(raw))
	}
}

// TestNastyValuesAtTheApp: nonsense in every place where a phone says something, by a stranger and by a phone that is known.
func TestNastyValuesAtTheApp(t *testing.T) {
	for name, dsn := range map[string]func() string{"sqlite": func() string { return filepath.Join(t.TempDir(), "gatehouse.db") }, "postgres": func() string { return storetest.PostgresDSN(t) }} {
		t.Run(name, func(t *testing.T) {
			s := openPhones(t, dsn())
			phone, sent := s.paired(s.member("ada", method.Password)), 0
			try := func(verb, path, body string, headers ...string) {
				sent++
				r := httptest.NewRequest(verb, "/", strings.NewReader(body))
				u, err := url.ParseRequestURI(path)
				s.must(err)
				r.URL, r.RequestURI, r.Host, r.RemoteAddr = u, path, "app.localhost:8080", "192.0.2.7:4711"
				r.Header.Set("Content-Type", "application/json")
				for i := 0; i+1 < len(headers); i += 2 {
					r.Header.Set(headers[i], headers[i+1])
				}
				w := httptest.NewRecorder()
				s.handler.ServeHTTP(w, r)
				if wrong := unhurt(s.openedSite, w); wrong != "" || len(w.Header()["Set-Cookie"]) > 0 || strings.HasPrefix(path, "/app/") && w.Header().Get("Cache-Control") != "no-store" {
					t.Errorf("%s %.120q %.200q: %s %v", verb, path, body, wrong, w.Header())
				}
			}
			for _, value := range nasty {
				raw := jsonText(value)
				bodies := []string{value, raw, "[" + raw + "]"}
				for _, field := range []string{"token", "code", "key", "claim", "name", "answer", "unlock", "endpoint", "p256dh", "auth", "pairing", "jws", "passkey", "registration", "canary"} {
					bodies = append(bodies, fmt.Sprintf(`{%q:%s}`, field, raw))
				}
				all := `{"token":` + raw + `,"code":` + raw + `,"answer":` + raw + `,"unlock":` + raw + `,"endpoint":` + raw + `,"p256dh":` + raw + `,"auth":` + raw + `,"pairing":` + raw + `}`
				for _, route := range s.d.app.Routes() {
					_, pattern, _ := strings.Cut(route, " ")
					verb, path, ok := strings.Cut(pattern, " ")
					if !ok {
						verb, path = "POST", pattern
					}
					if strings.HasSuffix(path, ".png") {
						continue // bytes of all kinds, the same to everybody
					}
					path = wildcard.ReplaceAllLiteralString(strings.TrimSuffix(path, "{$}"), url.PathEscape(cut(value, 3000)))
					try(verb, path, all)
					try(verb, path+"?wait="+url.QueryEscape(cut(value, 500)), "")
					try(verb, path, "", "Authorization", "Device "+strings.NewReplacer("\r", "", "\n", "").Replace(value))
					if !strings.HasPrefix(path, "/app/") {
						continue
					}
					for _, body := range bodies {
						if verb != "GET" && (path == "/app/v1/pairings/open" || path == "/app/v1/pairings/claim" || strings.HasPrefix(path, "/app/v1/restore")) {
							try(verb, path, body)
						} else if verb != "GET" && path != "/app/v1/device" && json.Valid([]byte(body)) {
							_ = phone.Ask(context.Background(), verb, path, json.RawMessage(body), nil)
							sent++
						}
					}
				}
			}
			if sent < 1000 {
				t.Errorf("only %d were sent", sent)
			}
			if _, err := phone.Show(t.Context()); err != nil {
				t.Errorf("the phone after it: %v", err)
			}
			s.refuseLog()
		})
	}
}
