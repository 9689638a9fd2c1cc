package place

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func builtInTable(t testing.TB) *Table {
	t.Helper()
	table, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestCountryOfAddress(t *testing.T) {
	table := builtInTable(t)
	for addr, want := range map[string]string{
		// Addresses of universities and registries, which stay where they are.
		"147.8.2.58":         "HK", // hku.hk
		"130.89.3.249":       "NL", // utwente.nl
		"129.132.19.216":     "CH", // ethz.ch
		"193.0.6.139":        "NL", // RIPE NCC
		"18.9.22.69":         "US", // mit.edu
		"2001:67c:2e8:22::1": "NL", // RIPE NCC
		"2001:610:1908::1":   "NL", // SURF and its universities
		"::ffff:147.8.2.58":  "HK", // IPv4 as IPv6 sockets see it
		"2001:620:8::1":      "CH", // SWITCH
	} {
		if got := table.Country(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %q, wanted %q", addr, got, want)
		}
	}
}

func TestUnknownStaysUnknown(t *testing.T) {
	table := builtInTable(t)
	for _, addr := range []string{
		"127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "fd00::1", "169.254.1.1", "fe80::1%eth0",
		"0.0.0.0", "::", "0.1.2.3", "100.64.0.1", "192.0.2.1", "198.51.100.7", "203.0.113.9", "198.18.0.1", "224.0.0.1", "ff02::1",
		"240.0.0.1", "255.255.255.255", "2001:db8::1", "2002:9308:23a::1", "2001::1", "64:ff9b::9308:23a", "192.88.99.1", "100::1",
	} {
		if got := table.Country(netip.MustParseAddr(addr)); got != "" {
			t.Errorf("%s is said to be in %q", addr, got)
		}
	}
	if got := table.Country(netip.Addr{}); got != "" {
		t.Errorf("no address is said to be in %q", got)
	}
}

func TestTheBuiltInTableIsSound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "country.mmdb")
	if err := os.WriteFile(path, builtIn, 0o600); err != nil {
		t.Fatal(err)
	}
	table, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := table.Country(netip.MustParseAddr("147.8.2.58")); got != "HK" {
		t.Errorf("from the file: %q", got)
	}
}

func TestLookUpsAllocateNothing(t *testing.T) {
	table := builtInTable(t)
	addrs := []netip.Addr{netip.MustParseAddr("147.8.2.58"), netip.MustParseAddr("2001:67c:2e8:22::1"), netip.MustParseAddr("10.0.0.1")}
	look := func() {
		for _, a := range addrs {
			table.Country(a)
		}
	}
	look()
	if n := testing.AllocsPerRun(100, look); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestManyAtOnce(t *testing.T) {
	table := builtInTable(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for b := range 250 {
				table.Country(netip.AddrFrom4([4]byte{byte(b + 1), byte(i), 1, 1}))
			}
			if got := table.Country(netip.MustParseAddr("147.8.2.58")); got != "HK" {
				t.Errorf("%q", got)
			}
		})
	}
	all.Wait()
}

// A damaged file is refused with its name and what to do.
func TestDamagedFile(t *testing.T) {
	dir := t.TempDir()
	whole := builtIn
	for name, data := range map[string][]byte{
		"empty":           {},
		"text":            []byte("country,code\n"),
		"cut at the end":  whole[:len(whole)/2],
		"cut at the head": whole[len(whole)/2:],
		"only metadata":   whole[len(whole)-300:],
		"zeroes inside":   append(append(append([]byte{}, whole[:1<<20]...), make([]byte, 1<<20)...), whole[2<<20:]...),
	} {
		path := filepath.Join(dir, name+".mmdb")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := OpenFile(path)
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "MaxMind DB format") {
			t.Errorf("%s: %v", name, err)
		}
	}
	missing := filepath.Join(dir, "missing.mmdb")
	if _, err := OpenFile(missing); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing: %v", err)
	}
}

func TestCodesThatAreNoCountries(t *testing.T) {
	for code, want := range map[string]bool{"HK": true, "XK": true, "GB": true, "": false, "hk": false, "HKG": false, "A1": false,
		"EU": false, "AP": false, "ZZ": false, "XX": false, "H\x00": false} {
		if isCountry(code) != want {
			t.Errorf("%q: %v", code, !want)
		}
	}
}

func BenchmarkCountry(b *testing.B) {
	table, addr := builtInTable(b), netip.MustParseAddr("147.8.2.58")
	for b.Loop() {
		table.Country(addr)
	}
}
