package manage

import (
	"crypto/rand"
	"encoding/base32"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/secret"
)

var typedAlphabet = base32.NewEncoding("abcdefghjkmnpqrstuvwxyz023456789").WithPadding(base32.NoPadding)

// newTyped makes 130 bits that a person can type: 26 letters and digits in groups, none that looks like another.
func newTyped() secret.String {
	b := make([]byte, 17)
	rand.Read(b)
	s := typedAlphabet.EncodeToString(b)[:26]
	return secret.NewString(s[:5] + "-" + s[5:10] + "-" + s[10:15] + "-" + s[15:20] + "-" + s[20:])
}

func typedHash(s secret.String) []byte { return secret.Hash(strings.ReplaceAll(s.Reveal(), "-", "")) }
