package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

	"github.com/go-jose/go-jose/v4"
)

// The signing algorithms (RFC 7518 section 3.1).
const (
	ES256 = "ES256"
	RS256 = "RS256"
)

// The media types of the tokens this house signs, as the JOSE header's typ names them.
const (
	TypeIDToken     = "JWT"
	TypeAccessToken = "at+jwt" // RFC 9068 section 2.1
)

// MaxTokenBytes is the longest compact serialisation that Verify reads. Ours are under 3 KiB.
const MaxTokenBytes = 8 << 10

// ErrToken is the only thing that Verify says of a token it refuses: details would help a forger.
var ErrToken = errors.New("keys: not a token of this house")

// Ring is the opened keys as of one moment: immutable, safe for concurrent use.
type Ring struct {
	signers map[string]*signer // by algorithm: the one that signs
	publics map[string]Key     // by id
	jwks    []byte
}

// signer signs with one key; the encoded headers are made once per type.
type signer struct {
	key     Key
	headers map[string]string // typ → base64url(header) + "."
}

// NewRing opens the keys: those that are Active sign, every one is published and verifies. Where two are active for
// one algorithm (two nodes made the first key at once) the older signs.
func NewRing(all []Key) (*Ring, error) {
	r := &Ring{signers: map[string]*signer{}, publics: map[string]Key{}}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range all {
		public := k
		public.Private = nil
		r.publics[k.ID] = public
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.Public, KeyID: k.ID, Algorithm: k.Algorithm, Use: "sig"})
		if k.State != Active || k.Private == nil {
			continue
		}
		if s := r.signers[k.Algorithm]; s != nil && !older(k, s.key) {
			continue
		}
		s, err := newSigner(k)
		if err != nil {
			return nil, err
		}
		r.signers[k.Algorithm] = s
	}
	var err error
	r.jwks, err = json.Marshal(set)
	return r, err
}

func older(a, b Key) bool {
	if a.Created.Equal(b.Created) {
		return a.ID < b.ID
	}
	return a.Created.Before(b.Created)
}

func newSigner(k Key) (*signer, error) {
	s := &signer{key: k, headers: map[string]string{}}
	for _, typ := range []string{TypeIDToken, TypeAccessToken} {
		h, err := json.Marshal(struct {
			Alg string `json:"alg"`
			Kid string `json:"kid"`
			Typ string `json:"typ"`
		}{k.Algorithm, k.ID, typ})
		if err != nil {
			return nil, err
		}
		s.headers[typ] = base64.RawURLEncoding.EncodeToString(h) + "."
	}
	return s, nil
}

// JWKS is the public key set (RFC 7517 section 5), encoded. The slice must not be changed.
func (r *Ring) JWKS() []byte { return r.jwks }

// Ready reports whether the algorithm has a key that signs.
func (r *Ring) Ready(algorithm string) bool { return r.signers[algorithm] != nil }

// Sign makes a compact JWS (RFC 7515 section 7.1) of the payload with the algorithm's active key. typ is one of the
// Type constants. It signs with the standard library: on the hot path the JOSE library costs half as much again.
func (r *Ring) Sign(algorithm, typ string, payload []byte) (string, error) {
	s := r.signers[algorithm]
	if s == nil {
		return "", fmt.Errorf("keys: no active %s key", algorithm)
	}
	header, ok := s.headers[typ]
	if !ok {
		return "", fmt.Errorf("keys: no token type %q", typ)
	}
	enc := base64.RawURLEncoding
	out := make([]byte, 0, len(header)+enc.EncodedLen(len(payload))+1+enc.EncodedLen(256))
	out = append(out, header...)
	out = enc.AppendEncode(out, payload)
	signature, err := s.sign(out)
	if err != nil {
		return "", err
	}
	out = append(out, '.')
	return string(enc.AppendEncode(out, signature)), nil
}

func (s *signer) sign(input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	switch private := s.key.Private.(type) {
	case *ecdsa.PrivateKey:
		x, y, err := ecdsa.Sign(rand.Reader, private, digest[:])
		if err != nil {
			return nil, err
		}
		return joinSignature(x, y), nil
	case *rsa.PrivateKey:
		return private.Sign(rand.Reader, digest[:], crypto.SHA256)
	}
	return nil, fmt.Errorf("keys: cannot sign with %T", s.key.Private)
}

// joinSignature writes r‖s, 32 bytes each (RFC 7518 section 3.4).
func joinSignature(r, s *big.Int) []byte {
	out := make([]byte, 64)
	r.FillBytes(out[:32])
	s.FillBytes(out[32:])
	return out
}

// Verify checks a compact JWS that this house signed with the header type typ, and returns its payload: the bytes
// that were verified, and no others, may be read. The algorithm is the key's, never the token's choice; a header that
// carries or points to a key, or names an extension, is refused (RFC 8725 sections 3.1 and 3.10).
func (r *Ring) Verify(token, typ string) ([]byte, error) {
	if !plausible(token) {
		return nil, ErrToken
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
	if err != nil || len(jws.Signatures) != 1 {
		return nil, ErrToken
	}
	h := jws.Signatures[0].Protected
	key, known := r.publics[h.KeyID]
	if !known || h.Algorithm != key.Algorithm || h.JSONWebKey != nil || h.Nonce != "" {
		return nil, ErrToken
	}
	if len(h.ExtraHeaders) != 1 || h.ExtraHeaders[jose.HeaderType] != typ {
		return nil, ErrToken
	}
	payload, err := jws.Verify(key.Public)
	if err != nil {
		return nil, ErrToken
	}
	return payload, nil
}

// Knows reports whether the token's header names a key of this ring; a node asks it before it looks for newer keys.
func (r *Ring) Knows(token string) bool {
	if !plausible(token) {
		return true
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
	if err != nil || len(jws.Signatures) != 1 {
		return true
	}
	_, known := r.publics[jws.Signatures[0].Protected.KeyID]
	return known
}

// plausible looks at size and shape before anything is decoded or split (G111): two dots, nothing long, and only
// characters of base64url, because decoders pass over line breaks.
func plausible(token string) bool {
	if len(token) > MaxTokenBytes {
		return false
	}
	dots := 0
	for i := range len(token) {
		switch c := token[i]; {
		case c == '.':
			dots++
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return dots == 2
}
