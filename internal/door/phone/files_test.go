package phone_test

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/authenticator"
)

func TestTheAppIsServedUnderItsOwnPolicy(t *testing.T) {
	h := newHouse(t)
	kinds := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".json": "application/json", ".svg": "image/svg+xml",
		".png": "image/png", ".html": "text/html; charset=utf-8"}
	must(t, fs.WalkDir(authenticator.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		path := "/" + name
		if name == "index.html" {
			path = "/"
		}
		a := h.ask("GET", path, "", "")
		want, err := fs.ReadFile(authenticator.Files, name)
		if err != nil {
			return err
		}
		if a.status != 200 || a.body != string(want) || a.header.Get("Content-Type") != kinds[name[strings.LastIndexByte(name, '.'):]] {
			t.Errorf("%s: %d, %s, %d bytes", path, a.status, a.header.Get("Content-Type"), len(a.body))
		}
		for header, value := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data:; manifest-src 'self'; " +
				"worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
			"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache", "X-Frame-Options": "DENY",
			"Strict-Transport-Security": "max-age=63072000", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := a.header.Get(header); got != value {
				t.Errorf("%s: %s is %q", path, header, got)
			}
		}
		if p := a.header.Get("Permissions-Policy"); !strings.HasPrefix(p, "camera=(self), publickey-credentials-get=(self), publickey-credentials-create=(self), microphone=()") {
			t.Errorf("%s: permissions %s", path, p)
		}
		r, err := http.NewRequestWithContext(t.Context(), "GET", origin+path, nil)
		must(t, err)
		r.Header.Set("If-None-Match", a.header.Get("Etag"))
		if b := h.do(r); b.status != http.StatusNotModified || b.body != "" {
			t.Errorf("%s is sent again: %d, %d bytes", path, b.status, len(b.body))
		}
		return nil
	}))
}

// TestFirstLoadIsSmall: all that the app is, compressed, within 100 KB.
func TestFirstLoadIsSmall(t *testing.T) {
	h := newHouse(t)
	total := 0
	for _, route := range h.door.Routes() {
		path, ok := strings.CutPrefix(route, "api GET ")
		if !ok || strings.HasPrefix(path, "/app/") {
			continue
		}
		r, err := http.NewRequestWithContext(t.Context(), "GET", origin+strings.TrimSuffix(path, "{$}"), nil)
		must(t, err)
		r.Header.Set("Accept-Encoding", "gzip")
		total += len(h.do(r).body)
	}
	if total == 0 || total > 100_000 {
		t.Errorf("%d bytes", total)
	}
}

func TestManifestCarriesTheInstitution(t *testing.T) {
	h := newHouse(t)
	a := h.ask("GET", "/manifest.webmanifest", "", "")
	var m struct {
		Name      string `json:"name"`
		ShortName string `json:"short_name"`
		StartURL  string `json:"start_url"`
		Display   string `json:"display"`
		Theme     string `json:"theme_color"`
		Icons     []struct {
			Source string `json:"src"`
			Sizes  string `json:"sizes"`
		} `json:"icons"`
	}
	if err := json.Unmarshal([]byte(a.body), &m); err != nil || a.header.Get("Content-Type") != "application/manifest+json" {
		t.Fatal(err, a)
	}
	if m.Name != "Example University Authenticator" || m.ShortName != "Example University" || m.StartURL != "/" || m.Display != "standalone" || m.Theme != "#0000cd" || len(m.Icons) < 2 {
		t.Errorf("%+v", m)
	}
	for _, i := range m.Icons {
		if b := h.ask("GET", i.Source, "", ""); b.status != 200 {
			t.Errorf("%s: %d", i.Source, b.status)
		}
	}
}

func TestWhatIsNotThere(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/nowhere", 404, ""}, {"GET", "/app/v1", 404, ""}, {"GET", "/app/v2/house", 404, ""}, {"GET", "/index.html", 404, ""}, {"GET", "/embed.go", 404, ""},
		{"GET", "/signin", 404, ""}, {"GET", "/security", 404, ""}, {"GET", "/oauth2/authorize", 404, ""}, {"GET", "/admin", 404, ""}, {"GET", "/metrics", 404, ""},
		{"POST", "/", 405, "GET, HEAD"}, {"POST", "/app.js", 405, "GET, HEAD"}, {"POST", "/app/v1/house", 405, "GET, HEAD"}, {"GET", "/app/v1/pairings/open", 405, ""},
		{"PATCH", "/app/v1/push", 405, "PUT, DELETE"}, {"GET", "/app/v1/device", 405, "DELETE"}, {"GET", "/app/v1/requests/x/answer", 405, "POST"},
	} {
		a := h.ask(c.method, c.path, "", "")
		if c.path == "/app/v1/pairings/open" {
			c.status = 401 // the name of a pairing, as far as this method goes
		}
		var e struct{ Error, Message string }
		if a.status != c.status || a.header.Get("Allow") != c.allow || json.Unmarshal([]byte(a.body), &e) != nil || e.Error == "" || !strings.HasPrefix(e.Message, "en: ") {
			t.Errorf("%s %s: %d, Allow %q, %s", c.method, c.path, a.status, a.header.Get("Allow"), a.body)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", origin+"/app/v1/house", nil)
	must(t, err)
	r.Host = "signin.example.ac.uk"
	if a := h.do(r); a.status != http.StatusMisdirectedRequest {
		t.Errorf("under another name: %d", a.status)
	}
}
