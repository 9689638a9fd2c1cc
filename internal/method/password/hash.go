package password

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

const (
	saltBytes = 16
	keyBytes  = 32
)

// hashed is a stored password of some scheme.
type hashed interface {
	// matches does the scheme's whole work, right or wrong.
	matches(text string) bool
}

var errScheme = errors.New("password: this is not a hash of a known scheme")

// parseHash reads a stored or imported hash. Its costs are bounded, because an import is somebody else's text.
func parseHash(s string) (hashed, error) {
	if len(s) > 1024 {
		return nil, errScheme
	}
	switch {
	case strings.HasPrefix(s, "$argon2id$"):
		return parseArgon2id(s)
	case strings.HasPrefix(s, "$2a$"), strings.HasPrefix(s, "$2b$"), strings.HasPrefix(s, "$2y$"):
		return parseBcrypt(s)
	case strings.HasPrefix(s, "$6$"):
		return parseSHA512Crypt(s)
	case strings.HasPrefix(s, "$pbkdf2"), strings.HasPrefix(s, "pbkdf2_"):
		return parsePBKDF2(s)
	case strings.HasPrefix(s, "{"):
		return parseLDAP(s)
	}
	return nil, errScheme
}

// argon2id is in PHC string format: $argon2id$v=19$m=19456,t=2,p=1$salt$key.
type argon2id struct {
	params    Params
	salt, key []byte
}

func newArgon2id(text string, p Params) argon2id {
	salt := make([]byte, saltBytes)
	rand.Read(salt)
	return argon2id{p, salt, argon2.IDKey([]byte(text), salt, p.Time, p.Memory, p.Threads, keyBytes)}
}

func (a argon2id) matches(text string) bool {
	got := argon2.IDKey([]byte(text), a.salt, a.params.Time, a.params.Memory, a.params.Threads, uint32(len(a.key)))
	return subtle.ConstantTimeCompare(got, a.key) == 1
}

func (a argon2id) String() string {
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, a.params.Memory, a.params.Time, a.params.Threads,
		enc.EncodeToString(a.salt), enc.EncodeToString(a.key))
}

// weakerThan reports whether p costs an attacker more than what a was made with.
func (a argon2id) weakerThan(p Params) bool {
	return a.params.Memory < p.Memory || a.params.Time < p.Time || len(a.key) < keyBytes
}

func parseArgon2id(s string) (hashed, error) {
	part := strings.Split(s, "$")
	if len(part) != 6 || part[2] != "v="+strconv.Itoa(argon2.Version) {
		return nil, errScheme
	}
	var a argon2id
	for _, kv := range strings.Split(part[3], ",") {
		k, v, _ := strings.Cut(kv, "=")
		n, err := strconv.ParseUint(v, 10, 32)
		if err != nil {
			return nil, errScheme
		}
		switch k {
		case "m":
			a.params.Memory = uint32(n)
		case "t":
			a.params.Time = uint32(n)
		case "p":
			if n > 255 {
				return nil, errScheme
			}
			a.params.Threads = uint8(n)
		default:
			return nil, errScheme
		}
	}
	if err := a.params.check(); err != nil {
		return nil, err
	}
	var err1, err2 error
	a.salt, err1 = base64.RawStdEncoding.DecodeString(part[4])
	a.key, err2 = base64.RawStdEncoding.DecodeString(part[5])
	if err1 != nil || err2 != nil || len(a.salt) < 8 || len(a.key) < 16 || len(a.key) > 128 {
		return nil, errScheme
	}
	return a, nil
}

type bcrypted string

func parseBcrypt(s string) (hashed, error) {
	cost, err := bcrypt.Cost([]byte(s))
	if err != nil || cost > 14 {
		return nil, errScheme
	}
	return bcrypted(s), nil
}

// matches compares as bcrypt always has: only the first 72 bytes count.
func (b bcrypted) matches(text string) bool {
	pw := []byte(text)
	return bcrypt.CompareHashAndPassword([]byte(b), pw[:min(len(pw), 72)]) == nil
}

type pbkdf2ed struct {
	hash       func() hash.Hash
	iterations int
	salt, key  []byte
}

func (p pbkdf2ed) matches(text string) bool {
	got, err := pbkdf2.Key(p.hash, text, p.salt, p.iterations, len(p.key))
	return err == nil && subtle.ConstantTimeCompare(got, p.key) == 1
}

var digests = map[string]func() hash.Hash{"sha1": sha1.New, "": sha1.New, "sha256": sha256.New, "sha512": sha512.New}

// parsePBKDF2 reads passlib's $pbkdf2-sha256$29000$salt$key (base64 with a dot for the plus sign) and Django's
// pbkdf2_sha256$870000$salt$key (salt as it is).
func parsePBKDF2(s string) (hashed, error) {
	django := strings.HasPrefix(s, "pbkdf2_")
	part := strings.Split(strings.TrimPrefix(s, "$"), "$")
	if len(part) != 4 {
		return nil, errScheme
	}
	name := strings.TrimLeft(strings.TrimPrefix(part[0], "pbkdf2"), "-_")
	digest, ok := digests[name]
	n, err := strconv.Atoi(strings.TrimPrefix(part[1], "i="))
	if !ok || err != nil || n < 1 || n > 2_000_000 {
		return nil, errScheme
	}
	p := pbkdf2ed{hash: digest, iterations: n, salt: []byte(part[2])}
	var err1, err2 error
	if !django {
		p.salt, err1 = anyBase64(strings.ReplaceAll(part[2], ".", "+"))
	}
	p.key, err2 = anyBase64(strings.ReplaceAll(part[3], ".", "+"))
	if err1 != nil || err2 != nil || len(p.key) < 16 || len(p.key) > 128 {
		return nil, errScheme
	}
	return p, nil
}

func anyBase64(s string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
}

type salted struct {
	hash      func() hash.Hash
	salt, key []byte
}

func (s salted) matches(text string) bool {
	h := s.hash()
	h.Write([]byte(text))
	h.Write(s.salt)
	return subtle.ConstantTimeCompare(h.Sum(nil), s.key) == 1
}

// parseLDAP reads directory values (RFC 3112 and common usage): {SSHA}, {SSHA256}, {SSHA512} with
// base64(digest ‖ salt), and {CRYPT} with a crypt(3) string.
func parseLDAP(s string) (hashed, error) {
	scheme, value, ok := strings.Cut(s[1:], "}")
	if !ok {
		return nil, errScheme
	}
	scheme = strings.ToUpper(scheme)
	if scheme == "CRYPT" && !strings.HasPrefix(value, "{") {
		return parseHash(value)
	}
	digest, ok := map[string]func() hash.Hash{"SSHA": sha1.New, "SSHA256": sha256.New, "SSHA512": sha512.New}[scheme]
	raw, err := anyBase64(value)
	if !ok || err != nil {
		return nil, errScheme
	}
	n := digest().Size()
	if len(raw) <= n || len(raw) > n+64 {
		return nil, errScheme
	}
	return salted{digest, raw[n:], raw[:n]}, nil
}
