package web

import (
	"bytes"
	"embed"
	"fmt"
	"html"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/fault"
)

//go:embed templates/*.html templates/campus.part
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

// Pages renders. It holds everything that is the same for every request and is safe for concurrent use.
type Pages struct {
	Texts  *Texts
	Static *httpdoor.Static
	// Accent is the campus colour as it is used.
	Accent Accent

	campus    campusView
	templates map[string]map[string]*template.Template // language, name
	log       *slog.Logger
	buffers   sync.Pool
	fronts    *fronts
}

// OurAccent is the colour of a campus that set none.
const OurAccent = "#1d4f91"

// NewPages reads catalogue, templates and static files, and refuses a campus whose colour cannot be read.
func NewPages(c Campus, log *slog.Logger) (*Pages, error) {
	texts, err := LoadTexts()
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	p := &Pages{Texts: texts, log: log, templates: map[string]map[string]*template.Template{}, fronts: newFronts()}
	p.buffers.New = func() any { return new(bytes.Buffer) }
	sub, err := fs.Sub(staticFiles, "static")
	if err != nil {
		return nil, err
	}
	if p.Static, err = httpdoor.NewStatic(sub); err != nil {
		return nil, err
	}
	if err := p.dress(c); err != nil {
		return nil, err
	}
	for _, lang := range texts.Languages() {
		if p.templates[lang], err = p.parse(lang); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// dress takes what the campus set.
func (p *Pages) dress(c Campus) error {
	if c.Accent == "" {
		c.Accent = OurAccent
	}
	colour, err := ParseColour(c.Accent)
	if err != nil {
		return err
	}
	if p.Accent, err = MakeAccent(colour); err != nil {
		return err
	}
	p.campus = campusView{Name: c.Name, HomeURL: c.HomeURL, HelpName: c.HelpName, HelpURL: c.HelpURL,
		HelpPhone: c.HelpPhone, HelpMail: c.HelpMail, Banner: c.Banner, BannerURL: c.BannerURL}
	if p.campus.Name == "" {
		p.campus.Name = "Gatehouse"
	}
	p.Texts.campus, p.Texts.domain = p.campus.Name, c.Domain
	if p.campus.HelpName == "" {
		p.campus.HelpName = p.Texts.Text("en", "layout.desk", nil)
	}
	p.campus.HelpPhone = strings.ReplaceAll(p.campus.HelpPhone, " ", "\u00a0") // a number stays on one line
	p.campus.Stylesheet = p.Static.Add("campus.css", p.Accent.stylesheet())
	if c.Logo != nil {
		if c.LogoType != ".svg" && c.LogoType != ".png" {
			return fmt.Errorf("logo: an SVG or a PNG file, not %q", c.LogoType)
		}
		p.campus.Logo = p.Static.Add("campus-logo"+c.LogoType, c.Logo)
	}
	return nil
}

// fixed are the calls whose result never changes within a language; they are written into the template before it is
// parsed, so that a page costs only what is its own.
var fixed = regexp.MustCompile(`\{\{(t|static|icon|smallicon|campus) "([^"{}]+)"\}\}`)

// read gives a template's text with its fixed calls written in. parts are the campus's, by name.
func (p *Pages) read(lang, name string, parts *template.Template) (string, error) {
	raw, err := templateFiles.ReadFile(name)
	if err != nil {
		return "", err
	}
	var failed error
	text := fixed.ReplaceAllStringFunc(string(raw), func(call string) string {
		m := fixed.FindStringSubmatch(call)
		switch m[1] {
		case "t":
			if s, ok := p.Texts.plain[lang][m[2]]; ok {
				return html.EscapeString(s)
			}
			return call
		case "static":
			return html.EscapeString(p.Static.URL(m[2]))
		case "icon":
			return string(icon(m[2]))
		case "smallicon":
			return string(smallIcon(m[2]))
		}
		var part strings.Builder
		if err := parts.ExecuteTemplate(&part, m[2], &p.campus); err != nil {
			failed = err
		}
		return strings.ReplaceAll(part.String(), "{{", "{{`{{`}}") // a campus's braces are text
	})
	return text, failed
}

func (p *Pages) parse(lang string) (map[string]*template.Template, error) {
	funcs := p.Texts.funcs(lang, p.Static.URL)
	text, err := p.read(lang, "templates/campus.part", nil)
	if err != nil {
		return nil, err
	}
	parts, err := template.New("campus").Funcs(funcs).Parse(text)
	if err != nil {
		return nil, err
	}
	if text, err = p.read(lang, "templates/layout.html", parts); err != nil {
		return nil, err
	}
	layout, err := template.New("layout").Funcs(funcs).Parse(text)
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	out := map[string]*template.Template{}
	for _, name := range names {
		short := strings.TrimSuffix(path.Base(name), ".html")
		if short == "layout" {
			continue
		}
		if text, err = p.read(lang, name, parts); err != nil {
			return nil, err
		}
		own, err := layout.Clone()
		if err != nil {
			return nil, err
		}
		if out[short], err = own.Parse(text); err != nil {
			return nil, fmt.Errorf("web: %s: %w", name, err)
		}
	}
	return out, nil
}

// write renders a page into buf.
func (p *Pages) write(buf *bytes.Buffer, pg page) error {
	if done, err := p.writeFront(buf, pg); done || err != nil {
		return err
	}
	return p.execute(buf, pg)
}

// execute runs a page's template.
func (p *Pages) execute(buf *bytes.Buffer, pg page) error {
	s := pg.frame()
	if _, ok := p.templates[s.Lang]; !ok {
		s.Lang = "en"
	}
	s.Campus = &p.campus
	key := "layout.title"
	if s.Problem != nil {
		key = "layout.title_error"
	}
	s.FullTitle = p.Texts.Text(s.Lang, key, map[string]any{"Page": s.Title, "Campus": p.campus.Name})
	tpl, ok := p.templates[s.Lang][pg.name()]
	if !ok {
		return fmt.Errorf("web: no template %q", pg.name())
	}
	return tpl.Execute(buf, pg)
}

// render answers with a page, whole or not at all.
func (p *Pages) render(w http.ResponseWriter, status int, pg page) error {
	buf := p.buffers.Get().(*bytes.Buffer)
	defer p.buffers.Put(buf)
	buf.Reset()
	if err := p.write(buf, pg); err != nil {
		return err
	}
	w.Header().Set("Content-Length", strconv.Itoa(buf.Len()))
	w.WriteHeader(status)
	_, err := w.Write(buf.Bytes())
	if err != nil {
		p.log.Debug("page not delivered", "error", err)
	}
	return nil
}

// has reports whether there is a template of that name.
func (p *Pages) has(name string) bool { return p.templates["en"][name] != nil }

// problem puts a fault into words beside its field.
func (p *Pages) problem(lang string, f *fault.Error, field string) *Problem {
	if f == nil {
		return nil
	}
	return &Problem{Text: p.Texts.Fault(lang, f), Field: field, Anchor: anchor(f.Code)}
}

// anchor is where the help speaks of an error.
func anchor(code string) string { return "error-" + strings.ReplaceAll(code, ".", "-") }

// ErrorPage implements httpdoor.ErrorPages, and the protocol doors' port of the same name.
func (p *Pages) ErrorPage(w http.ResponseWriter, r *http.Request, status int, f *fault.Error, requestID string) {
	lang := p.Texts.Locale(r.Header.Get("Accept-Language"))
	if err := p.render(w, status, p.errorPage(lang, status, f, requestID)); err != nil {
		p.log.Error("error page", "error", err)
		http.Error(w, f.Public, status)
	}
}

func (p *Pages) errorPage(lang string, status int, f *fault.Error, requestID string) *errorPage {
	key := "status." + strconv.Itoa(status)
	if !p.Texts.Has(key + ".title") {
		key = "status.500"
		if status < 500 {
			key = "status.400"
		}
	}
	params := map[string]any{"Desk": p.campus.HelpName, "Minutes": max(1, int((f.RetryAfter+time.Minute-1)/time.Minute))}
	e := &errorPage{Message: p.Texts.Fault(lang, f), Advice: p.Texts.Text(lang, key+".advice", params),
		Anchor: anchor(f.Code), RequestID: requestID}
	e.Lang, e.Title, e.Help = lang, p.Texts.Text(lang, key+".title", nil), e.Anchor
	return e
}
