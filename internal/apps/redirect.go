package apps

import (
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/fault"
)

// maxURI is the longest address that may be registered, in bytes.
const maxURI = 512

// redirectRegistered compares as strings, always: no parser that could read two things into one address stands
// between what was registered and what is answered (G94; RFC 9700 section 4.1.3). The one exception is RFC 8252
// section 7.3: a public client that registered http://127.0.0.1/path or http://[::1]/path, without a port, may name
// any port there.
func redirectRegistered(o OIDC, uri string) bool {
	if slices.Contains(o.RedirectURIs, uri) {
		return true
	}
	if o.Confidential() {
		return false
	}
	for _, registered := range o.RedirectURIs {
		for _, host := range []string{"http://127.0.0.1", "http://[::1]"} {
			path, ok := strings.CutPrefix(registered, host)
			if ok && strings.HasPrefix(path, "/") && samePath(uri, host, path) {
				return true
			}
		}
	}
	return false
}

// samePath reports whether uri is host, a colon, a port and exactly path.
func samePath(uri, host, path string) bool {
	rest, ok := strings.CutPrefix(uri, host+":")
	if !ok {
		return false
	}
	port, ok := strings.CutSuffix(rest, path)
	if !ok || len(port) == 0 || len(port) > 5 || port[0] == '0' {
		return false
	}
	for _, c := range []byte(port) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// checkRedirect refuses what cannot be registered as a redirect URI: anything but https, http on a loopback
// address, and for a public client a private-use scheme with a dot in it (RFC 8252 section 7.1).
func checkRedirect(uri string, public bool) error {
	bad := fault.New(fault.BadInput, "apps.redirect_invalid",
		"A redirect URI is one exact https address without fragment, user or wildcard; http only on 127.0.0.1, [::1] or localhost.").With("uri", printable(uri))
	if uri == "" || len(uri) > maxURI || printable(uri) != uri || strings.ContainsAny(uri, " \\#*\"<>{}|^`") {
		return bad
	}
	u, err := url.Parse(uri)
	if err != nil || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return bad
	}
	for _, segment := range strings.Split(u.Path, "/") {
		if segment == ".." || segment == "." {
			return bad
		}
	}
	switch scheme := u.Scheme; {
	case scheme == "https" && u.Hostname() != "":
		return nil
	case scheme == "http" && loopback(u.Hostname()):
		return nil
	case public && strings.Contains(scheme, ".") && u.Host == "" && strings.HasPrefix(u.Path, "/"):
		return nil
	}
	return bad
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// printable keeps the visible ASCII characters of s, at most maxURI of them.
func printable(s string) string {
	if len(s) > maxURI {
		s = s[:maxURI]
	}
	return strings.Map(func(r rune) rune {
		if r < '!' || r > '~' {
			return -1
		}
		return r
	}, s)
}

// origin is where a redirect to uri ends, as a content security policy names it: scheme and host, or the scheme of a
// native application.
func origin(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	if u.Host == "" {
		return u.Scheme + ":"
	}
	return u.Scheme + "://" + u.Host
}
