package session

import (
	"crypto/subtle"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// RotationOverlap is for how long the token before the present one is still taken, from the same browser: an answer
// that was lost on the way, or a second tab, is no theft.
const RotationOverlap = time.Minute

// MaxRemembered is how many people one browser remembers: tokens in its cookie.
const MaxRemembered = 5

// Standing is what a presented token of a remembered browser is worth. The zero value is worth nothing.
type Standing uint8

const (
	// Lapsed: remembering has ended; nothing is wrong.
	Lapsed Standing = iota
	// Stolen: a token that was rotated away, or one that came from another browser. The family and every session
	// born from it end, and the member is told.
	Stolen
	// Overlap: the token before, within RotationOverlap; it counts, and nothing is rotated.
	Overlap
	// Fresh: the present token; it was rotated.
	Fresh
)

// Counts reports whether the browser is remembered.
func (s Standing) Counts() bool { return s == Fresh || s == Overlap }

// Remembering is what a remembered browser is born from.
type Remembering struct {
	Person   people.ID
	Browser  []byte // secret.Hash of the browser cookie
	ProvenAt time.Time
	Address  string
	Agent    string
}

// NewBrowser remembers a browser for the given time and gives the token for its cookie.
func NewBrowser(now time.Time, r Remembering, remember time.Duration) (Browser, secret.String) {
	family, key := secret.NewID(now), secret.Token(32)
	return Browser{
		Family: family, Person: string(r.Person), TokenHash: secret.Hash(key.Reveal()), Rotated: now, Created: now,
		Expires: now.Add(remember), LastUsed: now, ProvenAt: r.ProvenAt, BrowserID: slices.Clone(r.Browser),
		Agent: r.Agent, Address: r.Address,
	}, FormatToken(family, key)
}

// Rotate judges the token with the hash presented (ParseToken) that came from the browser whose cookie hashes to
// from. On Fresh the Browser is to be saved (Store.RotateBrowser, which raises Generation) and the token set; on
// anything else b comes back as it was and the token is empty. Expires never moves.
func Rotate(b Browser, presented, from []byte, now time.Time) (Browser, secret.String, Standing) {
	switch {
	case !now.Before(b.Expires):
		return b, secret.String{}, Lapsed
	case !equal(b.BrowserID, from):
		return b, secret.String{}, Stolen
	case equal(b.TokenHash, presented):
		key := secret.Token(32)
		b.PrevHash, b.TokenHash = b.TokenHash, secret.Hash(key.Reveal())
		b.Rotated, b.LastUsed = now, now
		return b, FormatToken(b.Family, key), Fresh
	case equal(b.PrevHash, presented) && now.Before(b.Rotated.Add(RotationOverlap)):
		return b, secret.String{}, Overlap
	}
	return b, secret.String{}, Stolen
}

// equal compares hashes in constant time; an empty one equals nothing.
func equal(have, given []byte) bool {
	return len(have) > 0 && subtle.ConstantTimeCompare(have, given) == 1
}

// FormatToken makes the cookie's token of a family and its present key.
func FormatToken(family string, key secret.String) secret.String {
	return secret.NewString(family + "." + key.Reveal())
}

// ParseToken takes a token apart: the family to look up and the hash to present. ok is false for anything that
// FormatToken does not make; a stranger sent it.
func ParseToken(token secret.String) (family string, presented []byte, ok bool) {
	family, key, found := strings.Cut(token.Reveal(), ".")
	if !found || len(family) != 26 || len(key) != 43 || !plain(family) || !plain(key) {
		return "", nil, false
	}
	return family, secret.Hash(key), true
}

// plain: only what base32 and base64url are written with.
func plain(s string) bool {
	for _, c := range []byte(s) {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// maxCookie bounds what is read of the remembered cookie, in bytes: five tokens are 354.
const maxCookie = 1024

// SplitTokens reads the remembered cookie's value: at most MaxRemembered well-formed tokens, one a family.
func SplitTokens(cookie string) []secret.String {
	if len(cookie) > maxCookie {
		return nil
	}
	var out []secret.String
	seen := map[string]bool{}
	for part := range strings.SplitSeq(cookie, "~") {
		token := secret.NewString(part)
		family, _, ok := ParseToken(token)
		if !ok || seen[family] {
			continue
		}
		if seen[family] = true; len(out) < MaxRemembered {
			out = append(out, token)
		}
	}
	return out
}

// JoinTokens writes the cookie's value; beyond MaxRemembered the first ones, the oldest, are left out.
func JoinTokens(tokens []secret.String) secret.String {
	if len(tokens) > MaxRemembered {
		tokens = tokens[len(tokens)-MaxRemembered:]
	}
	parts := make([]string, len(tokens))
	for i, t := range tokens {
		parts[i] = t.Reveal()
	}
	return secret.NewString(strings.Join(parts, "~"))
}
