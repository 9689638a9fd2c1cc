package phone

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
)

// index is the page; it is served as "/" and under no other name.
const index = "index.html"

// Headers of the app's own files, the service worker's too, which has the policy that its file came with.
var (
	contentPolicy = []string{"default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data:; manifest-src 'self'; " +
		"worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"}
	noReferrer  = []string{"no-referrer"}
	permissions = []string{"camera=(self), publickey-credentials-get=(self), publickey-credentials-create=(self), microphone=(), geolocation=(), " +
		"payment=(), usb=(), browsing-topics=()"}
	noFrames     = []string{"DENY"}
	sameOrigin   = []string{"same-origin"}
	manifestType = []string{"application/manifest+json"}
	noCache      = []string{"no-cache"}
)

func readFiles(files fs.FS) (*httpdoor.Static, []string, error) {
	s, err := httpdoor.NewStatic(files)
	if err != nil {
		return nil, nil, err
	}
	var names []string
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasSuffix(name, ".go") {
			names = append(names, name)
		}
		return err
	})
	if err == nil && !slices.Contains(names, index) {
		err = fs.ErrNotExist
	}
	return s, names, err
}

// fileRoutes registers one route for each file, so that the inventory names them all.
func (p *Phone) fileRoutes(mux *http.ServeMux) {
	for _, name := range p.names {
		pattern := "GET /" + name
		if name == index {
			pattern = "GET /{$}"
		}
		p.Door.Handle(mux, httpdoor.API, pattern, func(w http.ResponseWriter, r *http.Request) error {
			fileHeaders(w.Header())
			return p.files.ServeNamed(w, r, name)
		})
	}
	p.Door.Handle(mux, httpdoor.API, "GET /manifest.webmanifest", p.manifest)
}

func fileHeaders(h http.Header) {
	h["Content-Security-Policy"] = contentPolicy
	h["Referrer-Policy"] = noReferrer
	h["Permissions-Policy"] = permissions
	h["X-Frame-Options"] = noFrames
	h["Cross-Origin-Resource-Policy"] = sameOrigin
}

// manifest is the Web Application Manifest, with the institution's name and colour.
type manifest struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	ShortName  string `json:"short_name"`
	Lang       string `json:"lang"`
	StartURL   string `json:"start_url"`
	Scope      string `json:"scope"`
	Display    string `json:"display"`
	Theme      string `json:"theme_color"`
	Background string `json:"background_color"`
	Icons      []icon `json:"icons"`
}

type icon struct {
	Source  string `json:"src"`
	Sizes   string `json:"sizes"`
	Type    string `json:"type"`
	Purpose string `json:"purpose"`
}

func (p *Phone) manifest(w http.ResponseWriter, r *http.Request) error {
	h, err := p.House(r.Context())
	if err != nil {
		return err
	}
	lang := p.Door.Language(r)
	m := manifest{ID: "/", Name: p.Texts.AppName(lang, h.Institution), ShortName: h.Institution, Lang: lang, StartURL: "/", Scope: "/",
		Display: "standalone", Theme: h.Accent, Background: "#f3f4f6"}
	for _, i := range []icon{
		{"icon-192.png", "192x192", "image/png", "any"}, {"icon-512.png", "512x512", "image/png", "any"},
		{"icon-maskable.png", "512x512", "image/png", "maskable"}, {"icon.svg", "any", "image/svg+xml", "any"},
	} {
		if slices.Contains(p.names, i.Source) {
			i.Source = "/" + i.Source
			m.Icons = append(m.Icons, i)
		}
	}
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	fileHeaders(w.Header())
	w.Header()["Content-Type"] = manifestType
	w.Header()["Cache-Control"] = noCache
	w.Header()["Vary"] = []string{"Accept-Language"}
	w.Write(body)
	return nil
}
