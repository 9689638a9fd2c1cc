package web

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzHeaders: whatever a browser says it is and reads, the language is one of ours and the label is short text.
func FuzzHeaders(f *testing.F) {
	x, err := LoadTexts()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", "en", "nl, en;q=0.5", "*", "zh-Hant-TW-x-private", strings.Repeat("a-", 2000), "q=;;;", "\xff", "en;q=1e9",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1",
		"curl/8", "(((((", "/", "<script>", "a/" + strings.Repeat("9", 300)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		lang := x.Locale(header)
		if !slices.Contains(x.Languages(), lang) {
			t.Fatalf("%q: language %q", header, lang)
		}
		if len(header) > 400 {
			header = header[:400] // as the door cuts it
		}
		label, _ := x.Agent(lang, header)
		if utf8.ValidString(header) && !utf8.ValidString(label) || label == "" && header == "" || len(label) > 1000 {
			t.Fatalf("%q: label %q", header, label)
		}
	})
}
