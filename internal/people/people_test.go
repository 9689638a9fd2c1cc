package people_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/people"
)

func TestNormaliseMakesLookalikesOfOneNameEqual(t *testing.T) {
	for in, want := range map[string]string{
		"Ada": "ada", " ADA\t": "ada", "ａｄａ": "ada", "STRASSE": "strasse", "Straße": "strasse", "ﬁ": "fi",
		"Ada@Example.ORG": "ada@example.org", "": "", "   ": "", "a\x00b": "", "a\u200db": "", "a\u202eb": "", "a\xffb": "",
		"a\nb": "", strings.Repeat("a", 254): strings.Repeat("a", 254), strings.Repeat("a", 255): "",
	} {
		if got := people.Normalise(in); got != want {
			t.Errorf("%q: %q, wanted %q", in, got, want)
		}
	}
	// Look-alikes of other scripts are other names: Gatehouse does not guess, and the directory decides who exists.
	if people.Normalise("аda") == people.Normalise("ada") {
		t.Error("Cyrillic а became Latin a")
	}
}

func TestCheckUsername(t *testing.T) {
	for name, ok := range map[string]bool{
		"ada": true, "Ada.Lovelace-1_x": true, "дарья": true, "": false, "a b": false, "a@b": false, "a/b": false, "a:b": false,
		"<script>": false, "a\x00": false, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false,
	} {
		if err := people.CheckUsername(name); (err == nil) != ok || err != nil && !fault.IsKind(err, fault.BadInput) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestG135_OneAddressAndNothingBeside(t *testing.T) {
	for address, ok := range map[string]bool{
		"ada@example.org": true, "a.b+tag@sub.example.ac.uk": true, "o'neil@example.org": true,
		"ada": false, "@example.org": false, "ada@": false, "ada@localhost": false, "a@b@example.org": false,
		`"a b"@example.org`: false, "ada@example.org(comment)": false, "ada@example.org,eve@evil.org": false,
		"ada@example.org\r\nBcc: eve@evil.org": false, "ada@example.org eve@evil.org": false, "<ada@example.org>": false,
		"ada@[192.0.2.1]": false, ".ada@example.org": false, "ada.@example.org": false, "a..b@example.org": false,
		"ada@-example.org": false, "ada@example-.org": false, "ada@example..org": false, "аda@example.org": false,
		"ada@exämple.org": false, "ada@example.org\x00": false, "=?utf-8?q?a?=@example.org": true,
		"ada@" + strings.Repeat("a", 64) + ".org": false, strings.Repeat("a", 250) + "@b.cc": false,
	} {
		if err := people.CheckEmail(address); (err == nil) != ok || err != nil && !fault.IsKind(err, fault.BadInput) {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestZeroStateAndRoleAllowNothing(t *testing.T) {
	var p people.Person
	if p.State == people.Active || p.State == people.Invited || p.Has(people.RoleAdministrator) {
		t.Error("the zero person may do something")
	}
	p.Roles = []people.Role{people.RoleDesk}
	if !p.Has(people.RoleDesk) || p.Has(people.RoleAdministrator) {
		t.Error("roles are mixed up")
	}
}

func FuzzNormalise(f *testing.F) {
	for _, s := range []string{"Ada", "ａｄａ", "ß", "İ", "a\u0345", "ﷺ", "\xff", "ϓ", "ẞ\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		n := people.Normalise(name)
		if n == "" {
			return
		}
		if !utf8.ValidString(n) || len(n) > people.MaxNameBytes || strings.ContainsRune(n, 0) {
			t.Errorf("%q became %q", name, n)
		}
		if again := people.Normalise(n); again != n {
			t.Errorf("%q became %q and then %q", name, n, again)
		}
	})
}

func FuzzCheckEmail(f *testing.F) {
	for _, s := range []string{"ada@example.org", "a@b@c.de", "\"a\"@b.cc", "a@b.cc\r\nBcc: x@y.zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, address string) {
		if people.CheckEmail(address) != nil {
			return
		}
		if strings.Count(address, "@") != 1 || strings.ContainsAny(address, " \t\r\n\",<>()[]\\;:\x00") || people.Normalise(address) == "" {
			t.Errorf("accepted %q", address)
		}
	})
}
