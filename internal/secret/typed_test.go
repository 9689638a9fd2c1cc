package secret_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/secret"
)

func TestTypedSecretsReadBack(t *testing.T) {
	for _, of := range []struct{ chars, group int }{{26, 5}, {14, 5}, {8, 4}, {5, 5}} {
		seen := map[string]bool{}
		for range 200 {
			typed := secret.Typed(of.chars, of.group).Reveal()
			clean, ok := secret.Untype(typed, of.chars)
			if !ok || seen[clean] || clean != strings.ReplaceAll(typed, "-", "") || strings.ContainsAny(clean, "ilo1") {
				t.Fatalf("%d characters: %q reads as %q", of.chars, typed, clean)
			}
			seen[clean] = true
			for _, group := range strings.Split(typed, "-") {
				if len(group) > of.group+1 || len(group) < 2 {
					t.Fatalf("groups of %q", typed)
				}
			}
			forgiven, ok := secret.Untype(" "+strings.ToUpper(strings.ReplaceAll(strings.ReplaceAll(typed, "-", "\u2011"), "0", "O"))+"\r\n", of.chars)
			if !ok || forgiven != clean {
				t.Fatalf("%q was not forgiven: %q", typed, forgiven)
			}
		}
	}
	for _, wrong := range []string{"", "abcde", strings.Repeat("a", 200), strings.Repeat(" ", 60) + "abcdefgh"} {
		if _, ok := secret.Untype(wrong, 8); ok {
			t.Errorf("%.20q was taken", wrong)
		}
	}
}
