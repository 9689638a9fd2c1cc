package webpush

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// Services are the push services of the browsers: Chrome and its kin, Firefox, Safari, Edge. A name stands for itself,
// "*.name" for every host below it.
func Services() []string {
	return []string{"fcm.googleapis.com", "updates.push.services.mozilla.com", "*.push.apple.com", "*.notify.windows.com"}
}

// maxEndpoint is the longest endpoint in bytes; the longest known (Windows) have about 600.
const maxEndpoint = 2048

var (
	errEndpoint = errors.New("webpush: not an endpoint at a listed push service")
	errAddress  = errors.New("webpush: the push service's name leads to an address that is not public")
)

// Hosts says where pushes may go. A phone names its endpoint, so without it anybody with a phone could have this server
// call what only this server reaches (rule 13). It is safe for concurrent use.
type Hosts struct {
	names   map[string]bool // host:port; true: the operator listed it, so its addresses may be private
	parents map[string]bool // ".name:port"
	// resolve is the machine's resolver; tests put theirs in its place.
	resolve func(ctx context.Context, host string) ([]netip.Addr, error)
}

// NewHosts lists the browsers' push services and what the operator adds: "push.example.ac.uk", "*.push.example.net", an
// IP address, each with ":port" where it is not 443. Only those the operator lists may have private addresses.
func NewHosts(more []string) (*Hosts, error) {
	h := &Hosts{names: map[string]bool{}, parents: map[string]bool{}, resolve: lookup}
	for _, s := range Services() {
		if err := h.add(s, false); err != nil {
			return nil, err
		}
	}
	for _, s := range more {
		if err := h.add(s, true); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

func (h *Hosts) add(s string, operator bool) error {
	name, below := strings.CutPrefix(s, "*.")
	u, err := url.Parse("https://" + name)
	if err != nil || u.Host != name || !plainHost(u.Hostname()) || strings.HasSuffix(name, ":") || (below && !strings.Contains(u.Hostname(), ".")) {
		return fmt.Errorf("webpush: %q is no host of a push service; write push.example.org, *.push.example.org, or one with :port", s)
	}
	if below {
		if _, err := netip.ParseAddr(u.Hostname()); err == nil {
			return fmt.Errorf("webpush: %q: nothing lies below an address", s)
		}
		h.parents["."+u.Hostname()+":"+port(u)] = operator
		return nil
	}
	h.names[u.Hostname()+":"+port(u)] = operator
	return nil
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return "443"
}

// Allowed reports whether a phone may name this endpoint: https, at a listed host and its port, no user, no fragment.
func (h *Hosts) Allowed(endpoint string) bool {
	_, err := h.parse(endpoint)
	return err == nil
}

// parse gives the URL that will be called: what was judged is what is used.
func (h *Hosts) parse(endpoint string) (*url.URL, error) {
	if len(endpoint) > maxEndpoint {
		return nil, errEndpoint
	}
	for _, c := range []byte(endpoint) {
		if c <= ' ' || c >= 0x7f || c == '\\' || c == '#' || c == '"' || c == '<' || c == '>' {
			return nil, errEndpoint
		}
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Opaque != "" || !plainHost(u.Hostname()) ||
		strings.HasSuffix(u.Host, ":") || len(u.Path) < 2 || u.Path[0] != '/' {
		return nil, errEndpoint
	}
	if _, listed := h.listed(u.Hostname(), port(u)); !listed {
		return nil, errEndpoint
	}
	return u, nil
}

// listed finds a host in the list; operator: the operator put it there.
func (h *Hosts) listed(host, port string) (operator, ok bool) {
	if operator, ok = h.names[host+":"+port]; ok {
		return operator, true
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return false, false
	}
	for i := range len(host) {
		if host[i] != '.' || i == 0 {
			continue
		}
		if op, there := h.parents[host[i:]+":"+port]; there {
			operator, ok = operator || op, true
		}
	}
	return operator, ok
}

// plainHost accepts a name of lower-case letters, digits, dots and hyphens, or an address without zone.
func plainHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Zone() == "" && !a.Is4In6() && a.String() == host
	}
	if host == "" || len(host) > 253 || host[0] == '.' || host[len(host)-1] == '.' || strings.Contains(host, "..") {
		return false
	}
	for _, c := range []byte(host) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.') {
			return false
		}
	}
	// What some resolvers read as an IPv4 address ("2130706433", "0x7f.1") is no name.
	last := host[strings.LastIndexByte(host, '.')+1:]
	return last[0] >= 'a' && last[0] <= 'z'
}

// addresses resolves a listed host and keeps what may be called. The caller dials one of them and nothing else, so that
// a name which answers differently the next time gains nothing.
func (h *Hosts) addresses(ctx context.Context, host, port string) ([]netip.Addr, error) {
	operator, ok := h.listed(host, port)
	if !ok {
		return nil, errEndpoint
	}
	var found []netip.Addr
	if a, err := netip.ParseAddr(host); err == nil {
		found = []netip.Addr{a}
	} else if found, err = h.resolve(ctx, host); err != nil {
		return nil, err
	}
	var usable []netip.Addr
	for _, a := range found {
		if a = a.Unmap(); operator || public(a) {
			usable = append(usable, a)
		}
	}
	if len(usable) == 0 {
		return nil, errAddress
	}
	return usable, nil
}

// notPublic are the special-purpose networks of the IANA registries (RFC 6890) that netip has no word for.
func notPublic() []netip.Prefix {
	var out []netip.Prefix
	for _, s := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// public reports whether an address is of the Internet at large.
func public(a netip.Addr) bool {
	a = a.Unmap()
	if nat64 := netip.MustParsePrefix("64:ff9b::/96"); nat64.Contains(a) { // RFC 6052: an IPv4 address behind a translator
		b := a.As16()
		return public(netip.AddrFrom4([4]byte(b[12:])))
	}
	if !a.IsValid() || a.Zone() != "" || !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	if a.Is6() && !netip.MustParsePrefix("2000::/3").Contains(a) {
		return false
	}
	for _, p := range notPublic() {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
