// Package visitor walks through pages as a browser without JavaScript does: cookies, links, forms, redirects.
//
//	New ─► Visitor ─► Open(url) ─► Page ─► Press("Continue", Fields{"Username": …}) ─► Page …
//
// Forms are filled by the labels that people read, and sent with what a browser would send: the pressed button, the
// hidden fields, Origin and Sec-Fetch-Site.
package visitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/html"
)

// Visitor is a browser with cookies of its own.
type Visitor struct {
	client *http.Client
	jar    *jar
}

// New is a browser that was never used before.
func New() *Visitor {
	j := &jar{}
	return &Visitor{jar: j, client: &http.Client{Jar: j, Transport: &recorder{jar: j}, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > 20 {
			return errors.New("visitor: it redirects for ever")
		}
		// A redirected navigation is a GET without the form's own headers.
		r.Header.Del("Origin")
		r.Header.Del("Sec-Fetch-Site")
		return nil
	}}}
}

// Cookie gives a cookie's value for a host, or "".
func (v *Visitor) Cookie(host, name string) string {
	v.jar.mu.Lock()
	defer v.jar.mu.Unlock()
	for _, c := range v.jar.cookies[host] {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// Refused are the cookies that a browser would not have taken, with the reason.
func (v *Visitor) Refused() []string {
	v.jar.mu.Lock()
	defer v.jar.mu.Unlock()
	return slices.Clone(v.jar.refused)
}

// Visited are all addresses that were asked for so far, redirects included, as they stand in the logs of everything on
// the way.
func (v *Visitor) Visited() []string {
	v.jar.mu.Lock()
	defer v.jar.mu.Unlock()
	return slices.Clone(v.jar.visited)
}

// recorder keeps the addresses that go over the wire.
type recorder struct{ jar *jar }

// RoundTrip sends the request without a proxy.
func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	r.jar.mu.Lock()
	r.jar.visited = append(r.jar.visited, request.URL.String())
	r.jar.mu.Unlock()
	return direct.RoundTrip(request)
}

var direct http.RoundTripper = &http.Transport{Proxy: nil}

// Page is what came back at the end of the redirects.
type Page struct {
	visitor *Visitor
	URL     *url.URL
	Status  int
	Header  http.Header
	Body    string
	doc     *html.Node
}

// Open goes to an address.
func (v *Visitor) Open(ctx context.Context, address string) (*Page, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	return v.send(r)
}

func (v *Visitor) send(r *http.Request) (*Page, error) {
	r.Header.Set("Accept", "text/html,application/xhtml+xml")
	r.Header.Set("Accept-Language", "en-GB,en")
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Visitor/1.0")
	resp, err := v.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	doc, err := html.ParseWithOptions(strings.NewReader(string(body)), html.ParseOptionEnableScripting(false))
	return &Page{v, resp.Request.URL, resp.StatusCode, resp.Header, string(body), doc}, err
}

// Text is what the page says: scripts, styles and hidden parts aside, white space folded.
func (p *Page) Text() string { return textOf(p.doc) }

// Says reports whether the page says text, letter case aside.
func (p *Page) Says(text string) bool {
	return strings.Contains(strings.ToLower(p.Text()), strings.ToLower(text))
}

// Fields are the values to fill in, by label or by name.
type Fields map[string]string

// Press presses the button (or link) that says name, after the fields of its form were filled in.
func (p *Page) Press(ctx context.Context, name string, fields Fields) (*Page, error) {
	button, form := p.button(name)
	if button == nil {
		link := p.find(func(n *html.Node) bool { return n.Data == "a" && attr(n, "href") != "" && says(n, name) })
		if link == nil {
			return nil, fmt.Errorf("nothing to press says %q at %s (status %d): %s", name, p.URL.Path, p.Status, p.Text())
		}
		to, err := p.URL.Parse(attr(link, "href"))
		if err != nil {
			return nil, err
		}
		return p.visitor.Open(ctx, to.String())
	}
	values, err := p.fill(form, fields)
	if err != nil {
		return nil, err
	}
	if n := attr(button, "name"); n != "" {
		values.Add(n, attr(button, "value"))
	}
	return p.submit(ctx, form, button, values)
}

// either is a form's attribute, or the pressed button's own in its place.
func either(form, button *html.Node, name string) string {
	if own := attr(button, "form"+name); own != "" {
		return own
	}
	return attr(form, name)
}

func (p *Page) submit(ctx context.Context, form, button *html.Node, values url.Values) (*Page, error) {
	to, err := p.URL.Parse(either(form, button, "action"))
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(either(form, button, "method"), "post") {
		to.RawQuery = values.Encode()
		return p.visitor.Open(ctx, to.String())
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), strings.NewReader(values.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", p.URL.Scheme+"://"+p.URL.Host)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if to.Host != p.URL.Host {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	return p.visitor.send(r)
}

// jar keeps cookies as browsers do on this machine: by host without the port; http://localhost and loopback addresses
// count as secure.
type jar struct {
	mu      sync.Mutex
	cookies map[string][]*http.Cookie
	refused []string
	visited []string
}

// SetCookies keeps what a browser would keep.
func (j *jar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.cookies == nil {
		j.cookies = map[string][]*http.Cookie{}
	}
	host := u.Hostname()
	for _, c := range cookies {
		if strings.HasPrefix(c.Name, "__Host-") && (!c.Secure || c.Path != "/" || c.Domain != "") {
			j.refused = append(j.refused, c.Name+": the prefix wants Secure, Path=/ and no Domain")
			continue
		}
		j.cookies[host] = slices.DeleteFunc(j.cookies[host], func(have *http.Cookie) bool { return have.Name == c.Name })
		if c.MaxAge >= 0 && c.Value != "" {
			j.cookies[host] = append(j.cookies[host], c)
		}
	}
}

// Cookies gives what a browser would send.
func (j *jar) Cookies(u *url.URL) []*http.Cookie {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []*http.Cookie
	for _, c := range j.cookies[u.Hostname()] {
		if c.Path == "" || c.Path == "/" || strings.HasPrefix(u.Path, c.Path) {
			out = append(out, &http.Cookie{Name: c.Name, Value: c.Value})
		}
	}
	return out
}
