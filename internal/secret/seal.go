package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Keyring seals with the newest of several 256-bit keys and opens with whichever sealed.
//
// A sealed value is keyID (4 bytes, big endian) ‖ nonce (12) ‖ AES-256-GCM ciphertext; "where" (table, column,
// row) is associated data, so that a ciphertext moved elsewhere does not open. A Keyring is immutable and safe
// for concurrent use.
type Keyring struct {
	current uint32
	aeads   map[uint32]cipher.AEAD
	macs    map[uint32][]byte
	first   uint32
}

// ErrSealed is returned for anything that does not open: it tells nothing more.
var ErrSealed = errors.New("secret: does not open")

// NewKeyring takes the master keys by id (ids from 1); the highest id seals.
func NewKeyring(keys map[uint32][]byte) (*Keyring, error) {
	k := &Keyring{aeads: map[uint32]cipher.AEAD{}, macs: map[uint32][]byte{}}
	for id, key := range keys {
		if len(key) != 32 || id == 0 {
			return nil, fmt.Errorf("secret: key %d must be 32 bytes with an id from 1", id)
		}
		sealing, err := hkdf.Key(sha256.New, key, nil, "gatehouse seal v1", 32)
		if err != nil {
			return nil, err
		}
		mac, err := hkdf.Key(sha256.New, key, nil, "gatehouse mac v1", 32)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(sealing)
		if err != nil {
			return nil, err
		}
		if k.aeads[id], err = cipher.NewGCM(block); err != nil {
			return nil, err
		}
		k.macs[id] = mac
		k.current = max(k.current, id)
		if k.first == 0 || id < k.first {
			k.first = id
		}
	}
	if k.current == 0 {
		return nil, errors.New("secret: no key")
	}
	return k, nil
}

// Seal encrypts plaintext for the place named by where.
func (k *Keyring) Seal(where string, plaintext []byte) []byte {
	aead := k.aeads[k.current]
	out := make([]byte, 4+aead.NonceSize(), 4+aead.NonceSize()+len(plaintext)+aead.Overhead())
	binary.BigEndian.PutUint32(out, k.current)
	rand.Read(out[4:])
	return aead.Seal(out, out[4:], plaintext, []byte(where))
}

// Open decrypts what Seal made for the same place, or returns ErrSealed.
func (k *Keyring) Open(where string, sealed []byte) ([]byte, error) {
	if len(sealed) < 4 {
		return nil, ErrSealed
	}
	aead, ok := k.aeads[binary.BigEndian.Uint32(sealed)]
	if !ok || len(sealed) < 4+aead.NonceSize() {
		return nil, ErrSealed
	}
	n := aead.NonceSize()
	plain, err := aead.Open(nil, sealed[4:4+n], sealed[4+n:], []byte(where))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// Pseudonym is a stable keyed hash of value for purpose (throttle keys of unknown names, pairwise subjects). It
// uses the oldest key, so that adding a key does not flip it.
func (k *Keyring) Pseudonym(purpose, value string) []byte {
	h := hmac.New(sha256.New, k.macs[k.first])
	fmt.Fprintf(h, "%d:%s%s", len(purpose), purpose, value)
	return h.Sum(nil)
}

// Box packs values into opaque, expiring tokens that travel through a browser (hidden fields, challenges). What
// comes back is exactly what went out, for the same purpose and binding; single use is the store's (SpendOnce).
type Box struct{ ring *Keyring }

// NewBox seals with ring.
func NewBox(ring *Keyring) *Box { return &Box{ring} }

// ErrExpired is returned by Unpack for a genuine token past its time; into is filled all the same, so that the
// caller can start the same thing again.
var ErrExpired = errors.New("secret: token expired")

// expiryBytes is what stands before the value's JSON in a packed token: when it expires, in unix microseconds, big endian.
const expiryBytes = 8

// Pack seals value for purpose and binding (the browser's hash, a session id), until expires.
func (b *Box) Pack(purpose, binding string, value any, expires time.Time) (string, error) {
	v, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	plain := make([]byte, expiryBytes, expiryBytes+len(v))
	binary.BigEndian.PutUint64(plain, uint64(expires.UnixMicro()))
	plain = append(plain, v...)
	return base64.RawURLEncoding.EncodeToString(b.ring.Seal(boxPlace(purpose, binding), plain)), nil
}

// Unpack opens what Pack made for the same purpose and binding.
func (b *Box) Unpack(purpose, binding, token string, now time.Time, into any) error {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return ErrSealed
	}
	plain, err := b.ring.Open(boxPlace(purpose, binding), raw)
	if err != nil {
		return err
	}
	if len(plain) < expiryBytes {
		return ErrSealed
	}
	if err := json.Unmarshal(plain[expiryBytes:], into); err != nil {
		return ErrSealed
	}
	if now.UnixMicro() >= int64(binary.BigEndian.Uint64(plain)) {
		return ErrExpired
	}
	return nil
}

func boxPlace(purpose, binding string) string {
	return "box\x00" + strconv.Itoa(len(purpose)) + ":" + purpose + binding
}
