package people

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/gatehouse-id/gatehouse/internal/fault"
)

// MaxNameBytes is the longest username or address accepted, in bytes (RFC 5321 section 4.5.3.1 allows 254).
const MaxNameBytes = 254

// Normalise gives the form in which usernames and addresses are compared: trimmed, NFKC, case-folded. Text that
// cannot be a name (controls, invalid UTF-8, too long) gives "", which matches nobody.
func Normalise(name string) string {
	name = strings.TrimSpace(name)
	if len(name) > MaxNameBytes || name == "" {
		return ""
	}
	for _, r := range name {
		if r == unicode.ReplacementChar || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ""
		}
	}
	folded := fold(name)
	// What folds further, or begins or ends with a space now, is no name: a form must be its own form.
	if len(folded) > MaxNameBytes || folded != strings.TrimSpace(folded) || folded != fold(folded) {
		return ""
	}
	return folded
}

func fold(name string) string {
	return norm.NFKC.String(cases.Fold().String(norm.NFKC.String(name)))
}

// CheckUsername refuses what cannot be a username, saying what can.
func CheckUsername(name string) error {
	n := Normalise(name)
	if n == "" || len(n) > 64 || strings.ContainsFunc(n, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-", r)
	}) {
		return fault.New(fault.BadInput, "people.username_invalid",
			"A username has up to 64 letters, digits, dots, hyphens and underscores.")
	}
	return nil
}

// CheckEmail accepts one plain address: exactly one @, no quotes, comments or spaces, ASCII before it. This one
// parser is the only one that reads addresses (attack G135).
func CheckEmail(address string) error {
	bad := fault.New(fault.BadInput, "people.email_invalid",
		"Write one e-mail address like name@example.ac.uk, without quotes, comments or spaces.")
	local, domain, ok := strings.Cut(address, "@")
	if !ok || local == "" || domain == "" || len(address) > MaxNameBytes || strings.Contains(domain, "@") {
		return bad
	}
	for _, r := range local {
		if r > 126 || !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+/=?^_`{|}~.-", r)) {
			return bad
		}
	}
	if strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return bad
	}
	labels := strings.Split(domain, ".")
	if len(labels) < 2 {
		return bad
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.HasPrefix(l, "-") || strings.HasSuffix(l, "-") {
			return bad
		}
		for _, r := range l {
			if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-') {
				return bad
			}
		}
	}
	return nil
}
