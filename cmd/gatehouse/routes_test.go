package main

import (
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/campus"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

var update = flag.Bool("update", false, "write the checked-in lists anew")

// realHouse is a house as serve builds it, on a new database, with its doors: no app, and nobody to carry codes.
func realHouse(t *testing.T) (*house, *doors) {
	t.Helper()
	return realHouseWith(t, houseConfig{})
}

// houseWithPhones is one with an app, push and text messages.
func houseWithPhones(t *testing.T) (*house, *doors) {
	t.Helper()
	return realHouseWith(t, houseConfig{AppBase: &url.URL{Scheme: "http", Host: "app.localhost:8080"},
		Push: &pushSettings{Contact: "mailto:signin@example.ac.uk", Services: []string{"push.example.ac.uk"}},
		Text: &textSettings{Channels: []string{notice.Text}, Caps: signin.SendingCaps{Countries: []string{"GB"}}}})
}

func realHouseWith(t *testing.T, c houseConfig) (*house, *doors) {
	t.Helper()
	ring, err := secret.NewKeyring(map[uint32][]byte{1: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	c.Base, c.DSN, c.Node, c.Keyring = &url.URL{Scheme: "http", Host: "localhost:8080"}, filepath.Join(t.TempDir(), "gatehouse.db"), "test", ring
	c.Campus, c.Now = campus.Campus{ID: "test", Name: "Test"}, time.Now
	c.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	h, err := openHouse(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.close() })
	if err := h.db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.openPush(t.Context()); err != nil {
		t.Fatal(err)
	}
	d, err := h.openDoors(nil)
	if err != nil {
		t.Fatal(err)
	}
	h.probes(d)
	return h, d
}

func TestG79_RouteInventoryIsTheCheckedInList(t *testing.T) {
	_, without := realHouse(t)
	for _, r := range without.routes() {
		if strings.HasPrefix(r, "app: ") {
			t.Errorf("a house without an app's address has the route %s", r)
		}
	}
	_, d := houseWithPhones(t)
	have := strings.Join(d.routes(), "\n") + "\n"
	const file = "testdata/routes.txt"
	if *update {
		if err := os.WriteFile(file, []byte(have), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if have != string(want) {
		t.Errorf("the routes of serve are not those in %s; look at each difference, then run this test with -update\n%s", file, have)
	}
	for _, gone := range []string{"/demo", "/debug", "/pprof", "/dev", "/metrics"} {
		if strings.Contains(have, " "+gone) {
			t.Errorf("serve has a route with %s", gone)
		}
	}
}

// publicRoutes answer strangers: pages that begin or end a sign-in, protocol metadata and its CORS preflights, probes.
// Everything else refuses.
var publicRoutes = regexp.MustCompile(`^(page GET /\{\$\}|page (GET|POST) /(signin|signout|signed-out|welcome|help)\b.*|api GET /static/|entry /|` +
	`probe .*|app: api (GET /\{\$\}|GET /[a-z0-9-]+\.[a-z]+|/|GET /app/v1/house|POST /app/v1/(pairings/(open|claim)|restore(/open)?))|api OPTIONS .*|page POST /oauth2/logout/confirm|api GET /\.well-known/.*|api GET /oauth2/jwks|api GET /admin/api/v1/openapi\.json|entry (GET|POST) /oauth2/(authorize|logout).*)$`)

func TestG128_EveryOtherRouteRefusesStrangers(t *testing.T) {
	_, d := houseWithPhones(t)
	handler := d.handler()
	refusing := 0
	for _, route := range d.routes() {
		if publicRoutes.MatchString(route) {
			continue
		}
		base := "http://localhost:8080"
		route, phones := strings.CutPrefix(route, "app: ")
		if phones {
			base = "http://app.localhost:8080"
		}
		kind, pattern, _ := strings.Cut(route, " ")
		methods := []string{"GET", "POST", "PUT", "DELETE"}
		if m, p, ok := strings.Cut(pattern, " "); ok {
			methods, pattern = []string{m}, p
		}
		path := regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(strings.ReplaceAll(pattern, "{kind}", "totp"), "x")
		for _, m := range methods {
			refusing++
			r := httptest.NewRequest(m, base+path, strings.NewReader(""))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			switch {
			case w.Code == http.StatusUnauthorized, kind == "page" && w.Code == http.StatusForbidden:
			case kind == "page" && w.Code == http.StatusSeeOther && strings.HasPrefix(w.Header().Get("Location"), "/signin?"):
			default:
				t.Errorf("%s %s (%s) answers a stranger with %d %s %s", m, path, kind, w.Code, w.Header().Get("Location"), w.Body)
			}
		}
	}
	if refusing < 30 {
		t.Errorf("only %d routes were asked", refusing)
	}
}
