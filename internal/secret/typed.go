package secret

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
)

// typedAlphabet has no letter that looks like another sign: no i, l, o and no 1. Five bits a character.
var typedAlphabet = base32.NewEncoding("abcdefghjkmnpqrstuvwxyz023456789").WithPadding(base32.NoPadding)

// Typed is a fresh secret for people to type: chars characters of five bits each, in groups; nothing stands alone at
// the end.
func Typed(chars, group int) String {
	raw := make([]byte, (chars*5+7)/8)
	rand.Read(raw)
	s := typedAlphabet.EncodeToString(raw)[:chars]
	var b strings.Builder
	for len(s) > group+1 {
		b.WriteString(s[:group] + "-")
		s = s[group:]
	}
	b.WriteString(s)
	return String{b.String()}
}

// Untype reads a typed secret back as what is hashed. It forgives case, spaces, hyphens and an O for a zero; ok is false
// for what cannot be one of so many characters.
func Untype(typed string, chars int) (clean string, ok bool) {
	if len(typed) > 4*chars {
		return "", false
	}
	clean = strings.Map(func(r rune) rune {
		switch {
		case r == 'o' || r == 'O':
			return '0'
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		case r == ' ' || r == '-' || r == '\t' || r == '\r' || r == '\n' || r == '\u00a0' || r == '\u2010' || r == '\u2011' || r == '\u2013':
			return -1
		}
		return r
	}, typed)
	return clean, len(clean) == chars
}
