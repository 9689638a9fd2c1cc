package password

import (
	"bytes"
	"crypto/sha512"
	"crypto/subtle"
	"strconv"
	"strings"
)

// sha512Crypt is crypt(3) scheme $6$, by Ulrich Drepper's specification "Unix crypt using SHA-256 and SHA-512"
// (version 0.6). It is only verified, never made.
type sha512Crypt struct {
	salt    []byte
	rounds  int
	encoded string // the last part
}

// parseSHA512Crypt reads $6$[rounds=N$]salt$hash. Rounds are at most a million, about half a second.
func parseSHA512Crypt(s string) (hashed, error) {
	part := strings.Split(strings.TrimPrefix(s, "$6$"), "$")
	c := sha512Crypt{rounds: 5000}
	if n, ok := strings.CutPrefix(part[0], "rounds="); ok {
		rounds, err := strconv.Atoi(n)
		if err != nil || rounds > 1_000_000 {
			return nil, errScheme
		}
		c.rounds = max(rounds, 1000)
		part = part[1:]
	}
	if len(part) != 2 || len(part[1]) != 86 {
		return nil, errScheme
	}
	c.salt, c.encoded = []byte(part[0]), part[1]
	c.salt = c.salt[:min(len(c.salt), 16)]
	return c, nil
}

func (c sha512Crypt) matches(text string) bool {
	return subtle.ConstantTimeCompare([]byte(encodeCrypt(c.digest([]byte(text)))), []byte(c.encoded)) == 1
}

// digest follows the specification's numbered steps.
func (c sha512Crypt) digest(pw []byte) []byte {
	// Steps 4 to 8: B over password, salt, password.
	b := sum(pw, c.salt, pw)
	// Steps 1 to 3 and 9 to 12: A.
	a := sha512.New()
	a.Write(pw)
	a.Write(c.salt)
	a.Write(stretch(b, len(pw)))
	for n := len(pw); n > 0; n >>= 1 {
		if n&1 == 1 {
			a.Write(b)
		} else {
			a.Write(pw)
		}
	}
	out := a.Sum(nil)
	// Steps 13 to 16: P; 17 to 20: S.
	p := stretch(sum(bytes.Repeat(pw, len(pw))), len(pw))
	s := stretch(sum(bytes.Repeat(c.salt, 16+int(out[0]))), len(c.salt))
	// Step 21.
	for i := range c.rounds {
		h := sha512.New()
		first, last := out, p
		if i%2 == 1 {
			first, last = p, out
		}
		h.Write(first)
		if i%3 != 0 {
			h.Write(s)
		}
		if i%7 != 0 {
			h.Write(p)
		}
		h.Write(last)
		out = h.Sum(nil)
	}
	return out
}

func sum(parts ...[]byte) []byte {
	h := sha512.New()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// stretch repeats b to n bytes.
func stretch(b []byte, n int) []byte {
	out := make([]byte, 0, n+len(b))
	for len(out) < n {
		out = append(out, b...)
	}
	return out[:n]
}

// encodeCrypt is step 22: crypt's own base64 over a permutation of the digest, three bytes at a time. The three
// columns of the specification's table each rotate by one from line to line.
func encodeCrypt(d []byte) string {
	const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	var out strings.Builder
	put := func(v uint, chars int) {
		for range chars {
			out.WriteByte(alphabet[v&0x3f])
			v >>= 6
		}
	}
	for i := range 21 {
		at := [3]int{i, i + 21, i + 42}
		hi, mid, lo := at[i%3], at[(i+1)%3], at[(i+2)%3]
		put(uint(d[hi])<<16|uint(d[mid])<<8|uint(d[lo]), 4)
	}
	put(uint(d[63]), 2)
	return out.String()
}
