package main

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

var wildcard = regexp.MustCompile(`\{[^}]*\}`)

// TestG79_NeitherOriginHasTheOthersRoutes: every route of the one is asked at the other, with every verb, with a cookie
// and from another site. What comes back says nothing, sets nothing, and may neither be framed nor read from elsewhere.
func TestG79_NeitherOriginHasTheOthersRoutes(t *testing.T) {
	_, d := houseWithPhones(t)
	handler, asked := d.handler(), 0
	for _, route := range d.routes() {
		route, phones := strings.CutPrefix(route, "app: ")
		_, pattern, _ := strings.Cut(route, " ")
		if _, p, ok := strings.Cut(pattern, " "); ok {
			pattern = p
		}
		path := strings.TrimSuffix(wildcard.ReplaceAllString(pattern, "x"), "x")
		if path == "/" || path == "/healthz" || path == "/readyz" {
			continue
		}
		for _, verb := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			asked++
			r := httptest.NewRequest(verb, "http://app.localhost:8080"+path, nil)
			if phones {
				r = httptest.NewRequest(verb, "http://localhost:8080"+path, nil)
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Origin", "https://elsewhere.example")
			r.Header.Set("Access-Control-Request-Method", "GET")
			r.Header.Set("Cookie", "__Host-gatehouse="+strings.Repeat("a", 43))
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != http.StatusNotFound && w.Code != http.StatusMethodNotAllowed && w.Code != http.StatusForbidden && w.Code != http.StatusMovedPermanently {
				t.Errorf("%s %s at the other origin: %d %.100s", verb, path, w.Code, w.Body)
			}
			if h := w.Header(); len(h["Set-Cookie"]) > 0 || h.Get("Access-Control-Allow-Origin") != "" || h.Get("Cache-Control") != "no-store" ||
				!strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || h.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s %s at the other origin: %v", verb, path, h)
			}
		}
	}
	if asked < 400 {
		t.Errorf("only %d were asked", asked)
	}
}

// TestG91_NoHeaderLeadsToTheOtherOrigin: which of the two answers is decided by the one name that HTTP has for it.
func TestG91_NoHeaderLeadsToTheOtherOrigin(t *testing.T) {
	_, d := houseWithPhones(t)
	handler := d.handler()
	for _, c := range []struct {
		host, target string
		want         int
	}{
		{"app.localhost:8080", "/app/v1/house", 200},
		{"app.localhost:8080", "http://app.localhost:8080/app/v1/house", 200},
		{"app.localhost:8080", "https://app.localhost:8080/app/v1/house", 421},
		{"app.localhost:8080", "http://localhost:8080/app/v1/house", 421},
		{"localhost:8080", "http://app.localhost:8080/app/v1/house", 421},
		{"app.localhost.:8080", "/app/v1/house", 421},
		{"app.localhost:08080", "/app/v1/house", 421},
		{"app.localhost:8080 ", "/app/v1/house", 421},
		{"app.localhost:8080,localhost:8080", "/app/v1/house", 421},
		{"user@app.localhost:8080", "/app/v1/house", 421},
		{"app。localhost:8080", "/app/v1/house", 421},
		{"app.localhost:8080\x00", "/app/v1/house", 421},
		{"[::1]:8080", "/app/v1/house", 421},
	} {
		r := httptest.NewRequest("GET", c.target, nil)
		r.Host = c.host
		w := httptest.NewRecorder()
		if handler.ServeHTTP(w, r); w.Code != c.want {
			t.Errorf("Host %q, %s: %d, want %d", c.host, c.target, w.Code, c.want)
		}
	}
	for _, name := range []string{"X-Forwarded-Host", "X-Host", "X-Original-Host", "Forwarded", "X-Forwarded-Server", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Proto"} {
		for host, path := range map[string]string{"localhost:8080": "/app/v1/house", "app.localhost:8080": "/signin"} {
			r := httptest.NewRequest("GET", "http://"+host+path, nil)
			other := map[string]string{"localhost:8080": "app.localhost:8080", "app.localhost:8080": "localhost:8080"}[host]
			r.Header.Set(name, map[string]string{"Forwarded": "host=" + other, "X-Original-URL": "/app/v1/house", "X-Rewrite-URL": "/app/v1/house", "X-Forwarded-Proto": "https"}[name])
			if r.Header.Get(name) == "" {
				r.Header.Set(name, other)
			}
			w := httptest.NewRecorder()
			if handler.ServeHTTP(w, r); w.Code != http.StatusNotFound {
				t.Errorf("%s %s with %s: %d", host, path, name, w.Code)
			}
		}
	}
}
