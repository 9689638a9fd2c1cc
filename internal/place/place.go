// Package place says in which country an address is, as far as the registries of the Internet say so. It is a pure
// table look-up: nothing leaves the house.
//
//	Open()         the table in the binary, country level; costs nothing until the first look-up
//	OpenFile(path) one that the operator has added (MaxMind DB format, country or city level), checked at once
//	  └─► Table.Country(addr) ─► "HK", or "" for whatever is not known
//
// The answer is shown to people beside a request, so that they notice one that is not theirs. It is the country that an
// address block is registered for, or announced for by its holder: a roaming phone, a relay or a VPN is elsewhere. No rule
// rests on it, and what is not known stays unknown: private, shared and special addresses, addresses that carry another
// one inside (6to4, Teredo, NAT64), and blocks registered for no single country. The code is ISO 3166-1 alpha-2.
//
// The table in the binary is geo-whois-asn-country of ip-location-db (see its licence in country.md). It is as old as the
// release; whoever wants a newer or finer one adds a file.
package place

import (
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"

	"github.com/oschwald/maxminddb-golang/v2"
)

// builtIn stays in the program's file: the system reads the pages that are looked at.
//
//go:embed country.mmdb
var builtIn []byte

// Table is one table. It is safe for concurrent use.
type Table struct {
	open func() (*maxminddb.Reader, error)

	mu sync.RWMutex
	// seen are the countries by where their record lies: there are some hundred of them, so that nearly every look-up
	// decodes and allocates nothing.
	seen map[uintptr]string
}

// seenMost bounds seen: in a city-level table every town is a record.
const seenMost = 4096

// networksMost bounds the walk through a file; city-level tables have some millions.
const networksMost = 1 << 25

func newTable(open func() (*maxminddb.Reader, error)) *Table {
	return &Table{open: sync.OnceValues(open), seen: map[uintptr]string{}}
}

// Open gives the table in the binary. It is read at the first look-up.
func Open() (*Table, error) {
	if len(builtIn) == 0 {
		return nil, errors.New("place: this binary was built without its table of countries")
	}
	return newTable(func() (*maxminddb.Reader, error) { return maxminddb.OpenBytes(builtIn) }), nil
}

// errUnusable is what OpenFile says of a file.
func errUnusable(path string, err error) error {
	return fmt.Errorf("place: %s cannot be used as a table of places; give a file in MaxMind DB format (.mmdb) that names countries, "+
		"or none for the one in the binary: %w", path, err)
}

// OpenFile gives the table in a file of the operator's, which is read whole (a city-level one has about 100 MB) and checked
// from end to end: a damaged one is an error here and no wrong answer later. The file may be replaced meanwhile; the next
// start reads the new one.
func OpenFile(path string) (*Table, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, errUnusable(path, err)
	}
	t, err := openBytes(data)
	if err != nil {
		return nil, errUnusable(path, err)
	}
	return t, nil
}

func openBytes(data []byte) (t *Table, err error) {
	defer func() { // the library means to answer with an error; a table of strangers is not worth a crash
		if p := recover(); p != nil {
			t, err = nil, fmt.Errorf("damaged: %v", p)
		}
	}()
	r, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, err
	}
	if err := check(r); err != nil {
		return nil, err
	}
	return newTable(func() (*maxminddb.Reader, error) { return r, nil }), nil
}

// check walks through the whole tree and reads every record once. The library's own Verify asks for a description, too,
// which many tables lack.
func check(r *maxminddb.Reader) error {
	seen, named, n := map[uintptr]bool{}, false, 0
	for result := range r.Networks() {
		if n++; n > networksMost {
			return errors.New("its tree does not end")
		}
		if err := result.Err(); err != nil {
			return err
		}
		if at := result.Offset(); !seen[at] {
			seen[at] = true
			var whole any
			if err := result.Decode(&whole); err != nil {
				return err
			}
			named = named || country(result) != ""
		}
	}
	if !named {
		return errors.New("no country is found in it")
	}
	return nil
}

// Country is the country of an address, or "" where it is not known. It never guesses.
func (t *Table) Country(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() || special(addr) {
		return ""
	}
	r, err := t.open()
	if err != nil {
		return ""
	}
	return t.look(r, addr)
}

func (t *Table) look(r *maxminddb.Reader, addr netip.Addr) (code string) {
	defer func() { // see openBytes
		if recover() != nil {
			code = ""
		}
	}()
	found := r.Lookup(addr)
	if found.Err() != nil || !found.Found() {
		return ""
	}
	at := found.Offset()
	t.mu.RLock()
	code, known := t.seen[at]
	t.mu.RUnlock()
	if known {
		return code
	}
	code = country(found)
	t.mu.Lock()
	if len(t.seen) < seenMost {
		t.seen[at] = code
	}
	t.mu.Unlock()
	return code
}

// country reads the code out of a record: "country_code" at its top, or "iso_code" within "country" as MaxMind's own files
// have it (not "registered_country", which is the holder's).
func country(r maxminddb.Result) string {
	for _, path := range [][]any{{"country_code"}, {"country", "iso_code"}} {
		var code string
		if r.DecodePath(&code, path...) == nil && isCountry(code) {
			return code
		}
	}
	return ""
}

// isCountry reports whether code has the shape of a country's and is none of those that tables use for anything else:
// regions (EU, AP), satellites and relays (A1, A2 have the wrong shape), user-assigned ones for "unknown" (XX, ZZ; ISO
// 3166-1, 8.1.3). XK is user-assigned, too, and means Kosovo.
func isCountry(code string) bool {
	if len(code) != 2 || code[0] < 'A' || code[0] > 'Z' || code[1] < 'A' || code[1] > 'Z' {
		return false
	}
	switch code {
	case "EU", "AP", "XX", "ZZ", "AA", "QQ":
		return false
	}
	return true
}

// special reports whether an address belongs to nobody in particular, or stands for another one (RFC 6890 and the IANA
// registries that it began).
func special(addr netip.Addr) bool {
	if !addr.IsGlobalUnicast() || addr.IsPrivate() {
		return true
	}
	for _, p := range specialPrefixes() {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

var specialPrefixes = sync.OnceValue(func() (all []netip.Prefix) {
	for _, p := range []string{
		"0.0.0.0/8",                                         // this network
		"100.64.0.0/10",                                     // shared by a provider's customers, RFC 6598
		"192.0.0.0/24",                                      // IETF
		"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", // documentation, RFC 5737
		"192.88.99.0/24",                 // 6to4 relays
		"198.18.0.0/15",                  // benchmarks, RFC 2544
		"240.0.0.0/4",                    // reserved
		"64:ff9b::/96", "64:ff9b:1::/48", // NAT64: an IPv4 address inside
		"100::/64",                   // discard
		"2001::/23",                  // IETF, Teredo
		"2001:db8::/32", "3fff::/20", // documentation
		"2002::/16", // 6to4
		"5f00::/16", // segment routing
	} {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
})
