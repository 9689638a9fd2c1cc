package place

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The types of the MaxMind DB format, version 2.0, section "Data Section", as far as a small table needs them.
func text(s string) string { return string([]byte{byte(2<<5 | len(s))}) + s }
func short(n byte) string  { return "\xa1" + string([]byte{n}) }
func entries(pairs ...string) string {
	return string([]byte{byte(7<<5 | len(pairs)/2)}) + strings.Join(pairs, "")
}
func none() string       { return "\x00\x04" } // an empty array
func long(n byte) string { return "\x01\x02" + string([]byte{n}) }

// small makes a table of one node: the lower half of IPv4 has record, the upper half nothing.
func small(record string) []byte {
	tree := "\x00\x00\x11" + "\x00\x00\x01" // node count 1: 1 is nothing, 17 the first byte after the separator
	meta := entries(
		text("node_count"), "\xc1\x01", text("record_size"), short(24), text("ip_version"), short(4),
		text("database_type"), text("test"), text("languages"), none(), text("binary_format_major_version"), short(2),
		text("binary_format_minor_version"), short(0), text("build_epoch"), long(1), text("description"), entries())
	return []byte(tree + strings.Repeat("\x00", 16) + record + "\xab\xcd\xefMaxMind.com" + meta)
}

func TestFilesOfOperators(t *testing.T) {
	for name, c := range map[string]struct {
		record, want string
		refused      string
	}{
		"country level":      {record: entries(text("country_code"), text("HK")), want: "HK"},
		"city level":         {record: entries(text("country"), entries(text("iso_code"), text("NL")), text("city"), text("Enschede")), want: "NL"},
		"the holder's only":  {record: entries(text("registered_country"), entries(text("iso_code"), text("US"))), refused: "no country"},
		"a region":           {record: entries(text("country_code"), text("EU")), refused: "no country"},
		"something else":     {record: entries(text("asn"), text("AS4528")), refused: "no country"},
		"no map":             {record: text("HK"), refused: "no country"},
		"a record that ends": {record: "\xe5", refused: ""},
	} {
		path := filepath.Join(t.TempDir(), "place.mmdb")
		if err := os.WriteFile(path, small(c.record), 0o600); err != nil {
			t.Fatal(err)
		}
		table, err := OpenFile(path)
		if c.want == "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if low, high := table.Country(netip.MustParseAddr("8.8.8.8")), table.Country(netip.MustParseAddr("200.1.1.1")); low != c.want || high != "" {
			t.Errorf("%s: %q and %q", name, low, high)
		}
		if six := table.Country(netip.MustParseAddr("2a00::1")); six != "" { // the table has no IPv6
			t.Errorf("%s: %q", name, six)
		}
	}
}

// Whatever a file holds, it is refused, or answers with countries and nothing else.
func FuzzFile(f *testing.F) {
	f.Add(small(entries(text("country_code"), text("HK"))))
	f.Add(small(entries(text("country"), entries(text("iso_code"), text("NL")))))
	f.Add(small("\x20\x00")) // a pointer to itself
	f.Add(builtIn[len(builtIn)-400:])
	f.Add([]byte("\xab\xcd\xefMaxMind.com"))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := openBytes(data)
		if err != nil {
			return
		}
		for _, addr := range []string{"8.8.8.8", "200.1.1.1", "2a00::1", "2600::1"} {
			if code := table.Country(netip.MustParseAddr(addr)); code != "" && !isCountry(code) {
				t.Errorf("%s: %q", addr, code)
			}
		}
	})
}
