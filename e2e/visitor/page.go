package visitor

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

func (p *Page) find(fits func(*html.Node) bool) *html.Node {
	for n := range p.doc.Descendants() {
		if n.Type == html.ElementNode && !hidden(n) && fits(n) {
			return n
		}
	}
	return nil
}

// hidden reports whether n or what it lies in is not shown. Templates and noscript follow a browser without scripts.
func hidden(n *html.Node) bool {
	for ; n != nil; n = n.Parent {
		if n.Type == html.ElementNode && (has(n, "hidden") || n.Data == "template" || n.Data == "script" || n.Data == "style") {
			return true
		}
	}
	return false
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && !hidden(d) {
			b.WriteString(d.Data)
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func says(n *html.Node, name string) bool {
	have, want := strings.ToLower(textOf(n)), strings.ToLower(name)
	return have == want || strings.Contains(have, want) || strings.EqualFold(attr(n, "aria-label"), name) ||
		(n.Data == "input" && strings.EqualFold(attr(n, "value"), name))
}

// button finds what submits a form and says name, and its form.
func (p *Page) button(name string) (button, form *html.Node) {
	button = p.find(func(n *html.Node) bool {
		submits := n.Data == "button" && attr(n, "type") != "button" || n.Data == "input" && attr(n, "type") == "submit"
		return submits && !has(n, "disabled") && says(n, name) && p.formOf(n) != nil
	})
	if button == nil {
		return nil, nil
	}
	return button, p.formOf(button)
}

func (p *Page) formOf(n *html.Node) *html.Node {
	if id := attr(n, "form"); id != "" {
		return p.find(func(f *html.Node) bool { return f.Data == "form" && attr(f, "id") == id })
	}
	for ; n != nil; n = n.Parent {
		if n.Data == "form" {
			return n
		}
	}
	return nil
}

// fill gives what the form sends: its own values, and the given ones in their place.
func (p *Page) fill(form *html.Node, fields Fields) (url.Values, error) {
	values, used := url.Values{}, map[string]bool{}
	for n := range p.doc.Descendants() {
		if n.Type != html.ElementNode || !slices.Contains([]string{"input", "textarea", "select"}, n.Data) ||
			attr(n, "name") == "" || has(n, "disabled") || p.formOf(n) != form {
			continue
		}
		key, given := p.given(n, fields)
		used[key] = given || used[key]
		switch kind := attr(n, "type"); {
		case kind == "submit" || kind == "button" || kind == "image":
		case kind == "checkbox" || kind == "radio":
			on := has(n, "checked")
			if given {
				on = fields[key] == "on" || fields[key] == attr(n, "value")
			}
			if on {
				value := attr(n, "value")
				if !has(n, "value") {
					value = "on"
				}
				values.Add(attr(n, "name"), value)
			}
		case given:
			values.Add(attr(n, "name"), fields[key])
		case n.Data == "select":
			values.Add(attr(n, "name"), selected(n))
		case n.Data == "textarea":
			values.Add(attr(n, "name"), textOf(n))
		default:
			values.Add(attr(n, "name"), attr(n, "value"))
		}
	}
	for key := range fields {
		if !used[key] {
			return nil, fmt.Errorf("no field %q in the form at %s: %s", key, p.URL.Path, p.Text())
		}
	}
	return values, nil
}

// given finds the key under which fields has a value for the input n: its name or its label.
func (p *Page) given(n *html.Node, fields Fields) (string, bool) {
	label := p.label(n)
	for key := range fields {
		if key == attr(n, "name") || strings.EqualFold(key, label) || (attr(n, "type") != "hidden" && label != "" && strings.Contains(strings.ToLower(label), strings.ToLower(key))) {
			return key, true
		}
	}
	return "", false
}

func (p *Page) label(n *html.Node) string {
	if l := attr(n, "aria-label"); l != "" {
		return l
	}
	if id := attr(n, "id"); id != "" {
		if l := p.find(func(l *html.Node) bool { return l.Data == "label" && attr(l, "for") == id }); l != nil {
			return textOf(l)
		}
	}
	for up := n.Parent; up != nil; up = up.Parent {
		if up.Data == "label" {
			return textOf(up)
		}
	}
	return ""
}

func selected(n *html.Node) string {
	first, found := "", false
	for o := range n.Descendants() {
		if o.Type != html.ElementNode || o.Data != "option" {
			continue
		}
		value := textOf(o)
		if has(o, "value") {
			value = attr(o, "value")
		}
		if has(o, "selected") {
			return value
		}
		if !found {
			first, found = value, true
		}
	}
	return first
}
