package webpush

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	recordSize = 4096 // of RFC 8188; one record is all that a push may have (RFC 8291 section 4)
	saltSize   = 16
	authSize   = 16
	pointSize  = 65
	tagSize    = 16
	// maxPlain is what fits into the one record beside its delimiter and tag.
	maxPlain = recordSize - tagSize - 1
)

var errKeys = errors.New("webpush: the phone's key is an uncompressed P-256 point of 65 bytes, its secret 16 bytes")

// Encrypt makes a push message body for the browser that gave p256dh (65 bytes) and auth (16 bytes): RFC 8291 with the
// content coding aes128gcm of RFC 8188. The plaintext is padded with zeros to pad bytes, so that lengths tell nothing.
func Encrypt(plain, p256dh, auth []byte, pad int) ([]byte, error) {
	own, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return encrypt(plain, p256dh, auth, pad, own, salt)
}

func encrypt(plain, p256dh, auth []byte, pad int, own *ecdh.PrivateKey, salt []byte) ([]byte, error) {
	if len(p256dh) != pointSize || len(auth) != authSize {
		return nil, errKeys
	}
	if max(len(plain), pad) > maxPlain {
		return nil, fmt.Errorf("webpush: %d bytes do not fit into one record", max(len(plain), pad))
	}
	theirs, err := ecdh.P256().NewPublicKey(p256dh)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errKeys, err)
	}
	shared, err := own.ECDH(theirs)
	if err != nil {
		return nil, err
	}
	aead, nonce, err := derive(shared, auth, salt, p256dh, own.PublicKey().Bytes())
	if err != nil {
		return nil, err
	}
	body := make([]byte, 0, saltSize+4+1+pointSize+max(len(plain), pad)+1+tagSize)
	body = append(body, salt...)
	body = binary.BigEndian.AppendUint32(body, recordSize)
	body = append(body, pointSize)
	body = append(body, own.PublicKey().Bytes()...)
	record := append(append(make([]byte, 0, max(len(plain), pad)+1), plain...), 2) // 2: the last record
	record = append(record, make([]byte, max(0, pad-len(plain)))...)
	return aead.Seal(body, nonce, record, nil), nil
}

var errBody = errors.New("webpush: not a body that was encrypted for this subscription")

// Decrypt is the browser's side: it reads a body of one record with the subscription's key and secret. padding is how
// many bytes of it said nothing.
func Decrypt(body []byte, key *ecdh.PrivateKey, auth []byte) (plain []byte, padding int, err error) {
	const header = saltSize + 4 + 1 + pointSize
	if len(body) < header+tagSize+1 || len(body) > header+recordSize || body[saltSize+4] != pointSize ||
		int(binary.BigEndian.Uint32(body[saltSize:])) < len(body)-header {
		return nil, 0, errBody
	}
	sender, err := ecdh.P256().NewPublicKey(body[saltSize+5 : header])
	if err != nil {
		return nil, 0, errBody
	}
	shared, err := key.ECDH(sender)
	if err != nil {
		return nil, 0, err
	}
	aead, nonce, err := derive(shared, auth, body[:saltSize], key.PublicKey().Bytes(), sender.Bytes())
	if err != nil {
		return nil, 0, err
	}
	record, err := aead.Open(nil, nonce, body[header:], nil)
	if err != nil {
		return nil, 0, errBody
	}
	plain = bytes.TrimRight(record, "\x00")
	if len(plain) == 0 || plain[len(plain)-1] != 2 {
		return nil, 0, errBody
	}
	return plain[:len(plain)-1], len(record) - len(plain), nil
}

// derive is RFC 8291 section 3.4: the secret of both sides and the phone's auth secret make the key of RFC 8188.
func derive(shared, auth, salt, receiver, sender []byte) (cipher.AEAD, []byte, error) {
	info := "WebPush: info\x00" + string(receiver) + string(sender)
	ikm, err := hkdf.Key(sha256.New, shared, auth, info, 32)
	if err != nil {
		return nil, nil, err
	}
	prk, err := hkdf.Extract(sha256.New, ikm, salt)
	if err != nil {
		return nil, nil, err
	}
	key, err := hkdf.Expand(sha256.New, prk, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return nil, nil, err
	}
	nonce, err := hkdf.Expand(sha256.New, prk, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCM(block)
	return aead, nonce, err
}
