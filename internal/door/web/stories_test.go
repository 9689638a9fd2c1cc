package web

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// element is one start tag as it was written.
type element struct {
	name string
	attr map[string]string
	text string // all text inside
}

var void = []string{"meta", "link", "input", "img", "br", "hr"}

// parse reads a page strictly: every element that is opened is closed, in order.
func parse(t *testing.T, page []byte) []*element {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(page))
	d.Strict, d.Entity = false, xml.HTMLEntity
	var all, stack []*element
	for {
		tok, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not well formed: %v", err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			e := &element{name: tok.Name.Local, attr: map[string]string{}}
			for _, a := range tok.Attr {
				if _, twice := e.attr[a.Name.Local]; twice {
					t.Errorf("<%s> has %s twice", e.name, a.Name.Local)
				}
				e.attr[a.Name.Local] = a.Value
			}
			all = append(all, e)
			if !slices.Contains(void, e.name) {
				stack = append(stack, e)
			}
		case xml.EndElement:
			if slices.Contains(void, tok.Name.Local) {
				continue
			}
			if len(stack) == 0 || stack[len(stack)-1].name != tok.Name.Local {
				t.Fatalf("</%s> closes nothing", tok.Name.Local)
			}
			stack = stack[:len(stack)-1]
		case xml.CharData:
			for _, e := range stack {
				e.text += string(tok)
			}
		}
	}
	if len(stack) > 0 {
		t.Fatalf("<%s> is never closed", stack[len(stack)-1].name)
	}
	return all
}

func TestStories(t *testing.T) {
	p, err := NewPages(storyCampus, nil)
	if err != nil {
		t.Fatal(err)
	}
	seen, templates := map[string]bool{}, map[string]bool{}
	for _, s := range Stories() {
		t.Run(s.Name(), func(t *testing.T) {
			if seen[s.Name()] {
				t.Fatal("two stories of this name")
			}
			seen[s.Name()] = true
			templates[s.make(p).name()] = true
			page, err := s.Render(p)
			if err != nil {
				t.Fatal(err)
			}
			checkPage(t, p, page)
		})
	}
	for name := range p.templates["en"] {
		if !templates[name] {
			t.Errorf("template %s stands in no story", name)
		}
	}
}

func checkPage(t *testing.T, p *Pages, page []byte) {
	t.Helper()
	if len(page) > 100<<10 {
		t.Errorf("%d bytes", len(page))
	}
	for _, bad := range []string{"ZgotmplZ", "no value", "javascript:"} {
		if bytes.Contains(page, []byte(bad)) {
			t.Errorf("contains %s", bad)
		}
	}
	all := parse(t, page)
	ids, labels := map[string]bool{}, map[string]bool{}
	headings := 0
	for _, e := range all {
		if id, ok := e.attr["id"]; ok {
			if ids[id] || id == "" {
				t.Errorf("id %q twice", id)
			}
			ids[id] = true
		}
		if e.name == "label" {
			labels[e.attr["for"]] = true
		}
		if e.name == "h1" {
			headings++
		}
	}
	if headings != 1 {
		t.Errorf("%d h1", headings)
	}
	for _, e := range all {
		checkElement(t, p, e, ids, labels)
	}
}

func checkElement(t *testing.T, p *Pages, e *element, ids, labels map[string]bool) {
	t.Helper()
	for name, value := range e.attr {
		if strings.HasPrefix(name, "on") || name == "style" {
			t.Errorf("<%s %s>", e.name, name)
		}
		if name == "aria-describedby" || name == "aria-labelledby" {
			for _, id := range strings.Fields(value) {
				if !ids[id] {
					t.Errorf("%s names %q, which is not there", name, id)
				}
			}
		}
	}
	for _, name := range []string{"src", "href"} {
		if at := e.attr[name]; strings.HasPrefix(at, "/static/") {
			if _, ok := p.Static.Content(at); !ok {
				t.Errorf("%s is not there", at)
			}
		} else if strings.HasPrefix(at, "#") && !ids[at[1:]] {
			t.Errorf("%s leads nowhere", at)
		}
	}
	_, hidden := e.attr["hidden"]
	switch e.name {
	case "html":
		if e.attr["lang"] == "" {
			t.Error("no language")
		}
	case "style":
		t.Error("inline style")
	case "script":
		if e.attr["src"] == "" || strings.TrimSpace(e.text) != "" {
			t.Error("inline script")
		}
	case "img":
		if _, ok := e.attr["alt"]; !ok {
			t.Error("image without alt")
		}
	case "input", "select", "textarea":
		if e.attr["type"] != "hidden" && !hidden && !labels[e.attr["id"]] {
			t.Errorf("input %q has no label", e.attr["name"])
		}
	case "label":
		if !ids[e.attr["for"]] {
			t.Errorf("label for %q, which is not there", e.attr["for"])
		}
	case "button", "a", "h1", "h2", "title":
		if strings.TrimSpace(e.text) == "" {
			t.Errorf("empty <%s>", e.name)
		}
	case "form":
		if m := e.attr["method"]; m != "post" && m != "get" {
			t.Errorf("form by %q", m)
		}
	}
}

// TestStoriesWritten writes the storybook where STORIES names a folder, else into a temporary one.
func TestStoriesWritten(t *testing.T) {
	dir := os.Getenv("STORIES")
	if dir == "" {
		dir = t.TempDir()
	}
	if err := WriteStories(dir); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < len(Stories()) {
		t.Fatalf("%d files, %v", len(files), err)
	}
}

// TestPagesOfNobodyEscape: what people type stays text.
func TestPagesOfNobodyEscape(t *testing.T) {
	p, err := NewPages(Campus{Name: `<b>"Campus"</b>{{.Nothing}}`, HelpName: "<i>"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	v := storySecurity(p)
	v.Name = `<script>alert(1)</script>`
	v.Methods[1].Name = `"><img src=x onerror=alert(1)>`
	v.Flash = `</p><script>`
	var buf bytes.Buffer
	if err := p.write(&buf, v); err != nil {
		t.Fatal(err)
	}
	checkPage(t, p, buf.Bytes())
}

func BenchmarkIdentifyPage(b *testing.B) {
	p, err := NewPages(storyCampus, nil)
	if err != nil {
		b.Fatal(err)
	}
	v := Stories()[0].make(p)
	var buf bytes.Buffer
	b.ReportAllocs()
	for b.Loop() {
		buf.Reset()
		if err := p.write(&buf, v); err != nil {
			b.Fatal(err)
		}
	}
}
