package phone

import (
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/fault"
)

func TestNumbersAsPeopleWriteThem(t *testing.T) {
	for typed, want := range map[string]struct{ home, number, country string }{
		"+32 470 12 34 56":    {"", "+32470123456", "BE"},
		"0032470123456":       {"GB", "+32470123456", "BE"},
		"0470/12.34.56":       {"BE", "+32470123456", "BE"},
		"(0)470 12 34 56":     {"BE", "+32470123456", "BE"},
		"020 7946-0958":       {"GB", "+442079460958", "GB"},
		"+44 (0)20 7946 0958": {"", "+442079460958", "GB"},
		"\u202a+44\u00a020\u20117946\u00a00958\u202c": {"", "+442079460958", "GB"},
		"\uff0b\uff14\uff14 20 7946 0958":             {"", "+442079460958", "GB"},
		"+1 416 555 0123":                             {"", "+14165550123", "CA"},
		"(202) 555-0123":                              {"US", "+12025550123", "US"},
		"090-1234-5678":                               {"JP", "+819012345678", "JP"},
		"+852 5123 4567":                              {"", "+85251234567", "HK"},
		"  +32470123456\t":                            {"", "+32470123456", "BE"},
	} {
		r, err := parse(typed, want.home)
		if err != nil || r.Number != want.number || r.Country != want.country || len(r.Channels) == 0 {
			t.Errorf("%q: %+v %v, want %+v", typed, r, err, want)
		}
	}
}

func TestNumbersThatAreRefused(t *testing.T) {
	for typed, want := range map[string]string{
		"":                          "phone.number",
		"112":                       "phone.number",
		"0470 12 34":                "phone.number",
		"+32 470 12 34 56 78 90":    "phone.number",
		"+999 123 456 789":          "phone.number",
		"tel:+32470123456":          "phone.number",
		"+32470123456;ext=5":        "phone.number",
		"+32470123456 ext. 5":       "phone.number",
		"0470123456\nBcc: eve":      "phone.number",
		"+32+470123456":             "phone.number",
		"1-800-FLOWERS":             "phone.number",
		strings.Repeat("1", 10_000): "phone.number",
		"0900 12 345":               "phone.special",
		"+32 900 12345":             "phone.special",
		"+1 900 555 1234":           "phone.special",
		"+44 909 879 0123":          "phone.special",
		"+44 800 496 0123":          "phone.special",
		"+800 1234 5678":            "phone.special",
		"+882 16 1234 5678":         "phone.number", // satellites belong to no country
	} {
		r, err := parse(typed, "BE")
		if f := fault.Of(err); f == nil || f.Code != want && !(want == "phone.number" && f.Code == "phone.special") || f.Kind != fault.BadInput || f.Public == "" || r.Number != "" {
			t.Errorf("%.40q: %+v %v, want %s", typed, r, err, want)
		}
	}
	if _, err := parse("0470123456", ""); fault.Of(err).Code != "phone.country_code" {
		t.Error(err)
	}
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"+32 470 12 34 56", "0032470123456", "07700 900123", "+", "00", "+1 (202) 555-0123", "\u202e+44\u2066", "+44 (0)20 7946 0958",
		"+800 1234 5678", strings.Repeat("+", 60), "0000000000", "\xff+32"} {
		f.Add(s, "BE")
		f.Add(s, "")
	}
	e164 := regexp.MustCompile(`^\+[1-9][0-9]{5,14}$`)
	f.Fuzz(func(t *testing.T, typed, home string) {
		if home != "" && !IsCountry(home) {
			home = "GB"
		}
		r, err := parse(typed, home)
		if err != nil {
			if fault.Of(err).Kind != fault.BadInput || r.Number != "" {
				t.Fatalf("%q: %+v %v", typed, r, err)
			}
			return
		}
		if !e164.MatchString(r.Number) || !IsCountry(r.Country) || len(r.Channels) == 0 {
			t.Fatalf("%q: %+v", typed, r)
		}
		again, err := parse(r.Number, "")
		if err != nil || again.Number != r.Number || again.Country != r.Country {
			t.Fatalf("%q became %q, which reads as %+v %v", typed, r.Number, again, err)
		}
	})
}
