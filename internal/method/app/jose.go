package app

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxJWS bounds a compact JWS, in bytes, and maxJWK a key.
const (
	MaxJWS = 4 << 10
	maxJWK = 1 << 10
)

// Key is a phone's public key (P-256).
type Key struct {
	point  []byte // uncompressed, 65 bytes
	public *ecdsa.PublicKey
}

var errKey = errors.New("app: not a public key on P-256")

func parsePoint(point []byte) (Key, error) {
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return Key{}, errKey
	}
	return Key{point: bytes.Clone(point), public: public}, nil
}

// ParseKey reads a JWK (RFC 7517) with exactly kty "EC", crv "P-256", x and y (RFC 7518 section 6.2.1). Any other member
// is refused, a private part above all.
func ParseKey(jwk []byte) (Key, error) {
	var kty, crv, x, y string
	if len(jwk) > maxJWK || !ReadObject(jwk, map[string]any{"kty": &kty, "crv": &crv, "x": &x, "y": &y}, nil) || kty != "EC" || crv != "P-256" {
		return Key{}, errKey
	}
	xb, okX := decode(x)
	yb, okY := decode(y)
	if !okX || !okY || len(xb) != 32 || len(yb) != 32 {
		return Key{}, errKey
	}
	return parsePoint(slices.Concat([]byte{4}, xb, yb))
}

// JWK writes the key as ParseKey reads it; its members are in the order of RFC 7638 section 3.2.
func (k Key) JWK() []byte {
	return fmt.Appendf(nil, `{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}`, encode(k.point[1:33]), encode(k.point[33:]))
}

// Thumbprint is the SHA-256 thumbprint of the key (RFC 7638 section 3): a phone's name.
func (k Key) Thumbprint() []byte {
	sum := sha256.Sum256(k.JWK())
	return sum[:]
}

// JWS is a compact JWS (RFC 7515 section 7.1) that nobody has verified yet.
type JWS struct {
	keyID            string
	signed           []byte // header.payload, as it came
	payload          []byte
	r, s             *big.Int
	complete, hasKID bool
}

// ReadJWS takes a compact JWS apart: ES256, exactly that type, and no header but alg, typ and (perhaps) kid. No key ever
// comes from a header.
func ReadJWS(token, typ string) (JWS, bool) {
	parts := strings.Split(token, ".")
	if len(token) > MaxJWS || len(parts) != 3 {
		return JWS{}, false
	}
	header, ok1 := decode(parts[0])
	payload, ok2 := decode(parts[1])
	signature, ok3 := decode(parts[2])
	if !ok1 || !ok2 || !ok3 || len(signature) != 64 {
		return JWS{}, false
	}
	j := JWS{signed: []byte(token[:len(token)-len(parts[2])-1]), payload: payload, complete: true}
	var alg, is string
	if !ReadObject(header, map[string]any{"alg": &alg, "typ": &is}, map[string]any{"kid": &j.keyID}) || alg != "ES256" || is != typ || typ == "" {
		return JWS{}, false
	}
	j.hasKID = j.keyID != ""
	j.r, j.s = new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	return j, true
}

// KeyID names the key that should verify it: a thumbprint in base64url, as it came.
func (j JWS) KeyID() string { return j.keyID }

// Verify checks the signature by key and gives the payload, which are the only bytes to be read. A key id must be the
// key's.
func (j JWS) Verify(key Key) (payload []byte, ok bool) {
	if !j.complete || key.public == nil || j.hasKID && j.keyID != encode(key.Thumbprint()) {
		return nil, false
	}
	sum := sha256.Sum256(j.signed)
	if !ecdsa.Verify(key.public, sum[:], j.r, j.s) {
		return nil, false
	}
	return j.payload, true
}

// ParseThumbprint reads a phone's name.
func ParseThumbprint(name string) (thumbprint []byte, ok bool) {
	b, ok := decode(name)
	return b, ok && len(b) == sha256.Size
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// decode reads base64url without padding, in its one spelling: no line breaks, which the library skips, and no stray bits.
func decode(s string) ([]byte, bool) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return b, err == nil
}

// ReadObject reads a JSON object whose members are all of must and some of may, each once, spelled exactly so, strings and
// integers only; anything else is refused. Values point to string or int64.
func ReadObject(data []byte, must, may map[string]any) bool {
	if !utf8.Valid(data) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return false
	}
	seen := map[string]bool{}
	for d.More() {
		name, err := d.Token()
		key, isName := name.(string)
		if err != nil || !isName || seen[key] {
			return false
		}
		seen[key] = true
		into, known := must[key]
		if !known {
			into, known = may[key]
		}
		value, err := d.Token()
		if err != nil || !known || !assign(into, value) {
			return false
		}
	}
	if t, err := d.Token(); err != nil || t != json.Delim('}') || d.InputOffset() != int64(len(bytes.TrimRight(data, " \t\r\n"))) {
		return false
	}
	for key := range must {
		if !seen[key] {
			return false
		}
	}
	return true
}

func assign(into, value any) bool {
	switch p := into.(type) {
	case *string:
		s, ok := value.(string)
		*p = s
		return ok
	case *int64:
		n, ok := value.(json.Number)
		if !ok {
			return false
		}
		i, err := n.Int64()
		*p = i
		return err == nil
	}
	return false
}
