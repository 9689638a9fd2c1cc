package enrol_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/enrol"
)

// FuzzTypedHash: whatever is typed, spelling it with other case, spaces and hyphens means the same.
func FuzzTypedHash(f *testing.F) {
	for _, seed := range []string{"", "abcde-fghjk-mnpqr-stuvw-xyz023", "ABCDE FGHJK MNPQR STUVW XYZO23", "\x00\xff", strings.Repeat("a", 200)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		hash, ok := enrol.TypedHash(typed)
		if !ok {
			return
		}
		if len(hash) != 32 {
			t.Fatalf("a hash of %d bytes", len(hash))
		}
		for _, same := range []string{strings.ReplaceAll(typed, "-", ""), " " + typed + "\n", strings.ReplaceAll(typed, "o", "0")} {
			again, ok := enrol.TypedHash(same)
			if len(same) <= 104 && (!ok || !bytes.Equal(hash, again)) {
				t.Fatalf("%q and %q differ", typed, same)
			}
		}
	})
}
