package enrol_test

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

func TestAPairingKeepsHashesOfWhatOpensIt(t *testing.T) {
	now := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	p, token, code := enrol.NewPairing(now, people.Person{ID: "ada"})
	q, other, _ := enrol.NewPairing(now, people.Person{ID: "ada"})
	if p.Person != "ada" || !p.Live(now) || p.Live(now.Add(enrol.PairingFor)) || p.ID == q.ID || token.Equal(other) {
		t.Fatalf("%+v", p)
	}
	if len(token.Reveal()) < 22 || !bytes.Equal(p.Token, enrol.PairingTokenHash(token)) || bytes.Equal(p.Token, q.Token) {
		t.Error("the token has 128 bits and is kept as a hash")
	}
	link := enrol.PairingLink("https://phone.example.ac.uk", token)
	if link != "https://phone.example.ac.uk/#pair="+token.Reveal() {
		t.Error(link)
	}
	for _, typed := range []string{code, strings.ToLower(code), strings.ReplaceAll(code, "-", ""), " " + code[:4] + " – " + code[5:] + "\n", strings.ReplaceAll(code, "0", "O")} {
		if hash, ok := enrol.PairingCodeHash(typed); !ok || !bytes.Equal(hash, p.Code) {
			t.Errorf("%q is not %q", typed, code)
		}
	}
	for _, typed := range []string{"", code[:8], code + "A", strings.Repeat("-", 100)} {
		if _, ok := enrol.PairingCodeHash(typed); ok {
			t.Errorf("%q can be a code", typed)
		}
	}
	// A code is no invitation's secret and no token, even where the text is the same.
	if hash, _ := enrol.PairingCodeHash(code); bytes.Equal(hash, enrol.PairingTokenHash(secret.NewString(strings.ToLower(strings.ReplaceAll(code, "-", ""))))) {
		t.Error("one hash for two purposes")
	}
}

func FuzzPairingCode(f *testing.F) {
	for _, seed := range []string{"ABCD-EFGH", "abcdefgh", "", "--------", "O0O0-O0O0", "\xff\xfe", "ＡＢＣＤ-ＥＦＧＨ", strings.Repeat("a", 40)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		hash, ok := enrol.PairingCodeHash(typed)
		if ok && (len(hash) != 32 || len(typed) > 32) {
			t.Errorf("%q", typed)
		}
	})
}

// What comes out is one line that reads the same way everywhere.
func FuzzLine(f *testing.F) {
	for _, seed := range []string{"Pixel 9", "a\u202eb\u2066c\u200fd", "one\r\ntwo\u2028three", "\x00\x1b[31m", "\xff", strings.Repeat("é ", 100), "\u00a0\u3000x", "\U000e0041"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		line := enrol.Line(text, 60)
		if n := len([]rune(line)); n > 60 {
			t.Errorf("%d characters", n)
		}
		for _, r := range line {
			if r != ' ' && (!unicode.IsPrint(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.IsControl(r)) {
				t.Errorf("%q holds %U", line, r)
			}
		}
		if again := enrol.Line(line, 60); again != line {
			t.Errorf("%q became %q", line, again)
		}
	})
}
