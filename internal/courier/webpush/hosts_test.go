package webpush

import (
	"context"
	"net/netip"
	"strings"
	"testing"
)

func TestEndpointsLieAtListedServicesOnly(t *testing.T) {
	h, err := NewHosts([]string{"push.example.ac.uk:8443", "*.push.example.net", "10.1.2.3", "[fd00::1]:8443"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{
		"https://fcm.googleapis.com/fcm/send/abc:def", "https://fcm.googleapis.com:443/wp/x",
		"https://updates.push.services.mozilla.com/wpush/v2/gAAAA", "https://web.push.apple.com/QOXk",
		"https://wns2-par02p.notify.windows.com/w/?token=BQ%2f%3d", "https://push.example.ac.uk:8443/x",
		"https://a.b.push.example.net/x", "https://10.1.2.3/x", "https://[fd00::1]:8443/x",
	} {
		if !h.Allowed(s) {
			t.Errorf("%s is refused", s)
		}
	}
	for why, s := range map[string]string{
		"empty": "", "http": "http://fcm.googleapis.com/x", "no scheme": "//fcm.googleapis.com/x", "another scheme": "ftp://fcm.googleapis.com/x",
		"loopback": "https://127.0.0.1/x", "loopback name": "https://localhost/x", "decimal": "https://2130706433/x", "hex": "https://0x7f.1/x",
		"private": "https://10.0.0.1/x", "link-local": "https://169.254.169.254/latest/meta-data", "mapped": "https://[::ffff:127.0.0.1]/x",
		"mapped listed": "https://[::ffff:10.1.2.3]/x", "zone": "https://[fe80::1%25eth0]/x", "IPv6 loopback": "https://[::1]/x",
		"user": "https://u@fcm.googleapis.com/x", "user and password": "https://fcm.googleapis.com:p@evil.example/x",
		"other port": "https://fcm.googleapis.com:8443/x", "no port": "https://fcm.googleapis.com:/x", "port 0": "https://fcm.googleapis.com:0/x",
		"default port of another": "https://push.example.ac.uk/x", "below a plain name": "https://x.fcm.googleapis.com/x",
		"the parent itself": "https://push.example.net/x", "suffix only": "https://evilpush.example.net/x", "prefix": "https://fcm.googleapis.com.evil.example/x",
		"dot at the end": "https://fcm.googleapis.com./x", "capitals": "https://FCM.googleapis.com/x", "empty label": "https://a..push.apple.com/x",
		"fragment": "https://fcm.googleapis.com/x#y", "no path": "https://fcm.googleapis.com", "root": "https://fcm.googleapis.com/",
		"long": "https://fcm.googleapis.com/" + strings.Repeat("x", maxEndpoint), "space": "https://fcm.googleapis.com/ x",
		"line": "https://fcm.googleapis.com/x\r\nHost: evil", "backslash": `https://evil.example\@fcm.googleapis.com/x`, "not ASCII": "https://fcm.googleapis.com/ä",
		"escaped host": "https://fcm%2egoogleapis.com/x", "unicode dots": "https://fcm。googleapis。com/x", "opaque": "https:fcm.googleapis.com/x",
	} {
		if h.Allowed(s) {
			t.Errorf("%s: %q is accepted", why, s)
		}
	}
}

func TestOperatorsListIsRead(t *testing.T) {
	for _, s := range []string{"", "*", "*.", "*.10.0.0.1", "https://push.example.org", "push.example.org/x", "u@push.example.org", "push.example.org:",
		"push.example.org:x", "Push.Example.Org", "*.local", "*.*.example.org", "a b", "push.example.org?x", "::1", "[::ffff:10.0.0.1]"} {
		if _, err := NewHosts([]string{s}); err == nil {
			t.Errorf("%q is accepted", s)
		}
	}
}

func TestAddressesOfListedNamesArePublic(t *testing.T) {
	h, err := NewHosts([]string{"push.campus.example"})
	if err != nil {
		t.Fatal(err)
	}
	var answer []netip.Addr
	h.resolve = func(context.Context, string) ([]netip.Addr, error) { return answer, nil }
	for s, want := range map[string]bool{
		"142.250.1.1": true, "2a00:1450:4001::1": true, "64:ff9b::8efa:101": true, "::ffff:142.250.1.1": true,
		"127.0.0.1": false, "127.8.8.8": false, "::1": false, "::ffff:127.0.0.1": false, "0.0.0.0": false, "::": false, "0.1.2.3": false,
		"10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "::ffff:192.168.1.1": false, "fd00::1": false, "fc00::1": false,
		"169.254.169.254": false, "fe80::1": false, "fe80::1%eth0": false, "100.64.0.1": false, "198.18.0.1": false, "192.0.2.1": false, "203.0.113.9": false,
		"198.51.100.1": false, "192.0.0.8": false, "224.0.0.1": false, "255.255.255.255": false, "240.0.0.1": false, "ff02::1": false, "2001:db8::1": false,
		"2002:7f00:1::": false, "2001::1": false, "64:ff9b::7f00:1": false, "64:ff9b::a00:1": false, "fec0::1": false, "::7f00:1": false, "100::1": false,
	} {
		answer = []netip.Addr{netip.MustParseAddr(s)}
		if got, err := h.addresses(t.Context(), "fcm.googleapis.com", "443"); (err == nil) != want {
			t.Errorf("%s: %v, %v", s, got, err)
		}
		if _, err := h.addresses(t.Context(), "push.campus.example", "443"); err != nil {
			t.Errorf("%s is refused where the operator listed the name: %v", s, err)
		}
	}
	answer = []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("142.250.1.1")}
	if got, err := h.addresses(t.Context(), "fcm.googleapis.com", "443"); err != nil || len(got) != 1 || got[0] != answer[1] {
		t.Errorf("of a mixed answer %v remain: %v", got, err)
	}
	for _, c := range [][2]string{{"evil.example", "443"}, {"fcm.googleapis.com", "22"}, {"127.0.0.1", "443"}} {
		if _, err := h.addresses(t.Context(), c[0], c[1]); err == nil {
			t.Errorf("%v is dialled", c)
		}
	}
}

// FuzzEndpoint holds the check to what will be called: whatever it accepts is https, at a listed host and port, and has
// nothing that another reader of URLs could take for a different host.
func FuzzEndpoint(f *testing.F) {
	for _, s := range []string{"https://fcm.googleapis.com/fcm/send/abc", "https://web.push.apple.com/x", "https://a@fcm.googleapis.com/x", `https://evil\@fcm.googleapis.com/x`,
		"https://[::1]/x", "https://127.0.0.1:443/x", "https://fcm.googleapis.com:443/x?y#z", "https://x.notify.windows.com/?token=%2f", "HTTPS://FCM.googleapis.com/x"} {
		f.Add(s)
	}
	h, err := NewHosts(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !h.Allowed(s) {
			return
		}
		rest, ok := strings.CutPrefix(strings.ToLower(s), "https://")
		authority, _, slash := strings.Cut(rest, "/")
		host := strings.TrimSuffix(authority, ":443")
		known := host == "fcm.googleapis.com" || host == "updates.push.services.mozilla.com" ||
			strings.HasSuffix(host, ".push.apple.com") || strings.HasSuffix(host, ".notify.windows.com")
		if !ok || !slash || !known || strings.ContainsAny(authority, "@[]%\\?# ") || len(s) > maxEndpoint {
			t.Errorf("%q is accepted", s)
		}
	})
}
