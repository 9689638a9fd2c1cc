package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/campus"
	"github.com/gatehouse-id/gatehouse/internal/courier/webpush"
	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
)

// ask sends a request without cookies to a house under a name.
func ask(handler http.Handler, verb, host, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(verb, path, nil)
	r.Host = host
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func TestG91_TheTwoOriginsAreToldApartByTheirNames(t *testing.T) {
	_, d := houseWithPhones(t)
	h := d.handler()
	for _, c := range []struct {
		host, path string
		want       int
	}{
		{"localhost:8080", "/signin", 200},
		{"localhost:8080", "/app/v1/house", 404},
		{"localhost:8080", "/manifest.webmanifest", 404},
		{"app.localhost:8080", "/", 200},
		{"APP.localhost:8080", "/", 200},
		{"app.localhost:8080", "/manifest.webmanifest", 200},
		{"app.localhost:8080", "/sw.js", 200},
		{"app.localhost:8080", "/app/v1/house", 200},
		{"app.localhost:8080", "/signin", 404},
		{"app.localhost:8080", "/security", 404},
		{"app.localhost:8080", "/oauth2/authorize", 404},
		{"app.localhost:8080", "/admin/api/v1/people", 404},
		{"app.localhost:8080", "/.well-known/openid-configuration", 404},
		{"app.localhost", "/", 421},
		{"app.localhost:8081", "/", 421},
		{"x.app.localhost:8080", "/", 421},
		{"app.localhost:8080.evil.example", "/", 421},
		{"evil.example", "/app/v1/house", 421},
		{"", "/", 421},
		{"10.0.0.3:8080", "/healthz", 200},
		{"app.localhost:8080", "/healthz", 200},
		{"app.localhost:8080", "/readyz", 200},
	} {
		w := ask(h, "GET", c.host, c.path)
		if w.Code != c.want {
			t.Errorf("%q %s: %d, want %d", c.host, c.path, w.Code, c.want)
		}
		if strings.HasPrefix(strings.ToLower(c.host), "app.") && len(w.Result().Cookies()) > 0 {
			t.Errorf("%s sets a cookie on the app's origin", c.path)
		}
	}
	// What the one origin's browser brings is nothing to the other.
	r := httptest.NewRequest("GET", "http://app.localhost:8080/app/v1/account", nil)
	r.AddCookie(&http.Cookie{Name: "__Host-gatehouse", Value: strings.Repeat("a", 43)})
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") != "Device" {
		t.Errorf("a cookie at the app: %d %v", w.Code, w.Header())
	}
}

func TestAHouseWithoutAnAppOffersNone(t *testing.T) {
	h, d := realHouse(t)
	if w := ask(d.handler(), "GET", "app.localhost:8080", "/"); w.Code != http.StatusMisdirectedRequest {
		t.Errorf("an app that nobody configured: %d", w.Code)
	}
	for _, kind := range []string{"app", "phone"} {
		for have := range h.methods {
			if string(have) == kind {
				t.Errorf("%s is offered", kind)
			}
		}
	}
	if h.pushAllowed("https://fcm.googleapis.com/fcm/send/x") || h.pushKey != "" {
		t.Error("pushes without an app")
	}
}

func TestTheKeyForPushesIsMadeOnce(t *testing.T) {
	for name, dsn := range map[string]func() string{
		"sqlite":   func() string { return t.TempDir() + "/gatehouse.db" },
		"postgres": func() string { return storetest.PostgresDSN(t) },
	} {
		t.Run(name, func(t *testing.T) {
			at := dsn()
			c := houseConfig{Base: &url.URL{Scheme: "http", Host: "localhost:8080"}, AppBase: &url.URL{Scheme: "http", Host: "app.localhost:8080"},
				DSN: at, Campus: campus.Campus{ID: "test", Name: "Test"}, Keyring: storetest.Keyring(t), Now: (&siteClock{}).now, Push: &pushSettings{Contact: "mailto:a@example.ac.uk"}}
			var houses []*house
			for i := range 4 {
				c.Node = "n" + string(rune('0'+i))
				h, err := openHouse(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { h.close() })
				houses = append(houses, h)
			}
			if err := houses[0].db.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for _, h := range houses {
				all.Go(func() {
					if err := h.openPush(context.Background()); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			for _, h := range houses {
				if h.pushKey == "" || h.pushKey != houses[0].pushKey {
					t.Errorf("%s signs with %q, %s with %q", h.Node, h.pushKey, houses[0].Node, houses[0].pushKey)
				}
			}
			kept, err := houses[0].setting(t.Context(), settingPushKey)
			if err != nil || len(kept) == 0 {
				t.Fatal(err)
			}
			if _, err := webpush.ParseKey(kept); err == nil {
				t.Error("the key lies open in the database")
			}
		})
	}
}

// throughHandler lets a client meet a house without a network.
type throughHandler struct{ http.Handler }

func (h throughHandler) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	in := r.Clone(r.Context())
	in.Host, in.RemoteAddr, in.RequestURI = r.URL.Host, "127.0.0.1:4711", r.URL.RequestURI()
	if in.Body == nil {
		in.Body = http.NoBody
	}
	in.URL.Scheme, in.URL.Host = "", ""
	h.ServeHTTP(w, in)
	return w.Result(), nil
}

func TestTheHouseTellsPhonesWhatItIs(t *testing.T) {
	h, d := houseWithPhones(t)
	p := softphone.New("http://app.localhost:8080", &http.Client{Transport: throughHandler{d.handler()}})
	house, err := p.House(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(house)
	if err != nil || !strings.Contains(string(text), h.pushKey) || !strings.Contains(string(text), "http://localhost:8080") {
		t.Errorf("%s %v", text, err)
	}
}
