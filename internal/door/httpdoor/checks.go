package httpdoor

import (
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/internal/fault"
)

// The door's own refusals.
var (
	errNotFound    = fault.New(fault.NotFound, "request.not_found", "There is no page at this address.")
	errMethod      = fault.New(fault.BadInput, "request.method", "This address does not take that kind of request.")
	errTooLarge    = fault.New(fault.TooLarge, "request.too_large", "That was too much to send at once.")
	errCrossSite   = fault.New(fault.Forbidden, "request.cross_site", "This request did not come from a page of ours, so nothing was changed.")
	errFramed      = fault.New(fault.Forbidden, "request.framed", "These pages cannot be shown inside another site.")
	errContentType = fault.New(fault.BadInput, "request.content_type", "This address takes a form and nothing else.")
	errForm        = fault.New(fault.BadInput, "request.form", "Parts of the form could not be read.")
	errMisdirected = fault.New(fault.Misdirected, "request.host", "This service does not answer under that name.")
	errFlood       = fault.New(fault.TooMany, "request.flood", "Too many requests are coming from your network.")
)

// maxPath is the longest path that can name something here, in bytes: a username of 254 behind a prefix.
const maxPath = 400

// check is what stands before a handler of that kind.
func (d *Door) check(kind Kind, r *http.Request) error {
	if len(r.URL.Path) > maxPath || !clean(r.URL.Path) {
		return errNotFound
	}
	if kind == Page && !cleanQuery(r.URL.RawQuery) {
		return errForm
	}
	if kind == API || kind == Probe {
		return nil
	}
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "iframe", "frame", "embed", "object", "fencedframe":
		return errFramed
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	if kind == Page {
		if err := d.sameOrigin(r); err != nil {
			return err
		}
	}
	if r.Method != http.MethodPost {
		return nil // the fallback says 405
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return errContentType
	}
	return nil
}

// cleanQuery holds a page's parameters to what Form holds its fields to.
func cleanQuery(raw string) bool {
	if strings.IndexByte(raw, '%') < 0 {
		return clean(raw)
	}
	text, err := url.QueryUnescape(raw)
	return err == nil && clean(text)
}

// clean refuses what no field needs and what databases, terminals and logs each take differently: bad UTF-8 and
// control characters but tabs and ends of lines (attacks G133, G134).
func clean(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}

// sameOrigin demands a positive sign that the request comes from our own page: Sec-Fetch-Site where the browser
// sends it, else Origin. Go's CrossOriginProtection alone lets a request through that carries neither.
func (d *Door) sameOrigin(r *http.Request) error {
	if d.cross.Check(r) != nil {
		return errCrossSite
	}
	origin := r.Header.Get("Origin")
	switch site := r.Header.Get("Sec-Fetch-Site"); {
	case site == "same-origin" && (origin == "" || origin == "null" || origin == d.origin):
		return nil
	case site == "" && origin == d.origin:
		return nil
	}
	return errCrossSite
}

// hostAllowed compares Host (or the absolute-form's authority, which net/http puts in its place) with the base.
func (d *Door) hostAllowed(r *http.Request) bool {
	if r.Host != d.host && canonicalHost(d.base.Scheme, r.Host) != d.host {
		return false
	}
	if r.URL.Host != "" && canonicalHost(d.base.Scheme, r.URL.Host) != d.host {
		return false
	}
	return r.URL.Scheme == "" || r.URL.Scheme == d.base.Scheme
}

// Answers reports whether a request is for this door's own name: where several doors share a listener, it goes to the one
// that does.
func (d *Door) Answers(r *http.Request) bool { return d.hostAllowed(r) }

func canonicalHost(scheme, host string) string {
	host = strings.ToLower(host)
	if scheme == "https" {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}

// address is the caller's: the connection's, or, where that is a listed proxy, the right-most hop in
// X-Forwarded-For that is not. What an unlisted peer writes there is ignored. A hop that cannot be read ends
// the walk at the last hop that could.
func (d *Door) address(r *http.Request) netip.Addr {
	var peer netip.Addr
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		peer = ap.Addr().Unmap().WithZone("")
	}
	if len(d.proxies) == 0 || !d.trusted(peer) {
		return peer
	}
	lines := r.Header["X-Forwarded-For"]
	for i := len(lines) - 1; i >= 0; i-- {
		rest := lines[i]
		for rest != "" {
			hop := rest
			if cut := strings.LastIndexByte(rest, ','); cut >= 0 {
				hop, rest = rest[cut+1:], rest[:cut]
			} else {
				rest = ""
			}
			a, ok := parseHop(strings.TrimSpace(hop))
			if !ok {
				return peer
			}
			peer = a
			if !d.trusted(a) {
				return a
			}
		}
	}
	return peer
}

// parseHop reads an address, also with a port, as some proxies write it.
func parseHop(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.Unmap().WithZone(""), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}

func (d *Door) trusted(a netip.Addr) bool {
	for _, p := range d.proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
