package webpush

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"os"
	"testing"
)

// receiver is a browser's side of a subscription.
type receiver struct {
	key  *ecdh.PrivateKey
	auth []byte
}

func newReceiver(t testing.TB) receiver {
	t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	auth := make([]byte, authSize)
	rand.Read(auth)
	return receiver{key, auth}
}

func (r receiver) decrypt(body []byte) (plain []byte, padding int, err error) {
	return Decrypt(body, r.key, r.auth)
}

func vector(t *testing.T) map[string][]byte {
	t.Helper()
	raw, err := os.ReadFile("testdata/rfc8291-vector.json")
	if err != nil {
		t.Fatal(err)
	}
	var text map[string]string
	if err := json.Unmarshal(raw, &text); err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for name, s := range text {
		if name == "source" {
			continue
		}
		if out[name], err = base64.RawURLEncoding.DecodeString(s); err != nil {
			t.Fatal(name, err)
		}
	}
	return out
}

func TestEncryptAsRFC8291DoesIt(t *testing.T) {
	v := vector(t)
	own, err := ecdh.P256().NewPrivateKey(v["as_private"])
	if err != nil || !bytes.Equal(own.PublicKey().Bytes(), v["as_public"]) {
		t.Fatal("the vector's sender", err)
	}
	got, err := encrypt(v["plaintext"], v["ua_public"], v["auth"], 0, own, v["salt"])
	if err != nil || !bytes.Equal(got, v["body"]) {
		t.Errorf("%x, %v; want %x", got, err, v["body"])
	}
	key, err := ecdh.P256().NewPrivateKey(v["ua_private"])
	if err != nil {
		t.Fatal(err)
	}
	plain, padding, err := receiver{key, v["auth"]}.decrypt(v["body"])
	if err != nil || !bytes.Equal(plain, v["plaintext"]) || padding != 0 {
		t.Errorf("the browser reads %q with %d of padding: %v", plain, padding, err)
	}
}

func TestEveryPushHasOneLengthAndKeysOfItsOwn(t *testing.T) {
	r := newReceiver(t)
	var bodies [2][]byte
	for i, text := range []string{Payload, ""} {
		body, err := Encrypt([]byte(text), r.key.PublicKey().Bytes(), r.auth, padded)
		if err != nil {
			t.Fatal(err)
		}
		plain, padding, err := r.decrypt(body)
		if err != nil || string(plain) != text || len(plain)+padding != padded {
			t.Errorf("%q, %d: %v", plain, padding, err)
		}
		bodies[i] = body
	}
	if len(bodies[0]) != len(bodies[1]) || bytes.Equal(bodies[0][:21+pointSize], bodies[1][:21+pointSize]) {
		t.Error("lengths differ, or salt and key come twice")
	}
	for i := range bodies[0] {
		bodies[0][i] ^= 1
		// The record size stands in the clear; a larger one than there is says nothing.
		if _, _, err := r.decrypt(bodies[0]); err == nil && (i < saltSize || i >= saltSize+4) {
			t.Errorf("a body that was altered at %d is read", i)
		}
		bodies[0][i] ^= 1
		if _, _, err := r.decrypt(bodies[0][:i]); err == nil {
			t.Errorf("the first %d bytes are read", i)
		}
	}
}

func TestEncryptRefusesWhatIsNoSubscription(t *testing.T) {
	r := newReceiver(t)
	good := r.key.PublicKey().Bytes()
	off := bytes.Clone(good)
	off[64] ^= 1
	for name, c := range map[string]struct {
		point, auth []byte
		pad         int
	}{
		"no point": {nil, r.auth, 0}, "off the curve": {off, r.auth, 0}, "compressed": {good[:33], r.auth, 0},
		"the zero point": {make([]byte, pointSize), r.auth, 0}, "short secret": {good, r.auth[:15], 0}, "too long": {good, r.auth, maxPlain + 1},
	} {
		if _, err := Encrypt([]byte(Payload), c.point, c.auth, c.pad); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if body, err := Encrypt(nil, good, r.auth, maxPlain); err != nil || len(body) != 21+pointSize+recordSize {
		t.Errorf("a full record: %d, %v", len(body), err)
	}
}
