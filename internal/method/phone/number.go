package phone

import (
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/notice"
)

// maxTyped is how much of a typed number is looked at; the longest one has 15 digits (ITU-T E.164 section 6.1).
const maxTyped = 60

var (
	errNumber = fault.New(fault.BadInput, "phone.number",
		"This is not a telephone number. Write it with its country code, like +32 470 12 34 56.")
	errCountryCode = fault.New(fault.BadInput, "phone.country_code",
		"Write the number with its country code, like +32 470 12 34 56.")
	errSpecial = fault.New(fault.BadInput, "phone.special",
		"Codes are not sent to premium, shared-cost, freephone or service numbers. Use an ordinary mobile or landline number.")
)

// IsCountry reports whether code is a country with telephone numbers of its own (ISO 3166-1 alpha-2, capitals).
func IsCountry(code string) bool {
	return phonenumbers.GetSupportedRegions()[code]
}

// parse reads a number as people write one: with + or 00 and the country code, or as it is dialled at home. It gives
// it in E.164, with its country and the channels that its sort can take.
func parse(typed, home string) (record, error) {
	clean, ok := cleanNumber(typed)
	if !ok {
		return record{}, errNumber
	}
	if home == "" && clean[0] != '+' {
		return record{}, errCountryCode
	}
	n, err := phonenumbers.Parse(clean, home)
	if err != nil || n.GetExtension() != "" {
		return record{}, errNumber
	}
	country := phonenumbers.GetRegionCodeForNumber(n)
	switch phonenumbers.GetNumberType(n) {
	case phonenumbers.PREMIUM_RATE, phonenumbers.SHARED_COST, phonenumbers.TOLL_FREE, phonenumbers.PAGER,
		phonenumbers.UAN, phonenumbers.VOICEMAIL, phonenumbers.PERSONAL_NUMBER:
		return record{}, errSpecial
	case phonenumbers.UNKNOWN:
		return record{}, errNumber
	case phonenumbers.FIXED_LINE:
		return record{Number: phonenumbers.Format(n, phonenumbers.E164), Country: country, Channels: []string{notice.Voice}}, nil
	}
	if !phonenumbers.IsValidNumber(n) || !IsCountry(country) {
		return record{}, errNumber
	}
	return record{Number: phonenumbers.Format(n, phonenumbers.E164), Country: country,
		Channels: []string{notice.Text, notice.Voice}}, nil
}

// cleanNumber leaves digits with at most a + before them. What people write between digits, the marks that address
// books paste along, and full-width digits are forgiven; anything else is no number.
func cleanNumber(typed string) (string, bool) {
	if len(typed) > maxTyped {
		return "", false
	}
	bad := false
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9', r == '+':
			return r
		case r >= '\uff10' && r <= '\uff19':
			return r - '\uff10' + '0'
		case r == '\uff0b':
			return '+'
		case slices.Contains(between, r):
			return -1
		}
		bad = true
		return -1
	}, typed)
	if international, ok := strings.CutPrefix(clean, "00"); ok {
		clean = "+" + international
	}
	// "+44 (0)20 …" is how many write a number that is dialled with the 0 at home; libphonenumber drops it.
	if bad || strings.LastIndexByte(clean, '+') > 0 || len(clean) < 4 {
		return "", false
	}
	return clean, true
}

// between are separators, and the invisible marks that direct and isolate text.
var between = []rune{' ', '\t', '\u00a0', '\u2009', '\u202f', '\u3000', '-', '\u2010', '\u2011', '\u2012', '\u2013', '\u2212', '.', '/', '(', ')',
	'\u200e', '\u200f', '\u202a', '\u202b', '\u202c', '\u202d', '\u202e', '\u2066', '\u2067', '\u2068', '\u2069', '\u200b', '\ufeff'}
