package webpush

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// vapid reads an Authorization header as a push service does (RFC 8292 section 3) and gives the claims.
func vapid(t testing.TB, header string) map[string]any {
	t.Helper()
	jwt, k, ok := strings.Cut(strings.TrimPrefix(header, "vapid t="), ", k=")
	if !ok {
		t.Fatalf("%q", header)
	}
	point, err := base64.RawURLEncoding.DecodeString(k)
	if err != nil || len(point) != pointSize {
		t.Fatalf("k=%q: %v", k, err)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := jose.ParseSignedCompact(jwt, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := signed.Verify(public)
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestVAPIDSpeaksToOneOriginForSomeHours(t *testing.T) {
	k, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	header := func(origin string, at time.Time) string {
		h, err := k.authorization(origin, "mailto:post@example.ac.uk", at)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	first := header("https://one.example", now)
	claims := vapid(t, first)
	if claims["aud"] != "https://one.example" || claims["sub"] != "mailto:post@example.ac.uk" || claims["exp"] != float64(now.Add(13*time.Hour).Unix()) {
		t.Errorf("%v", claims)
	}
	if header("https://one.example", now.Add(tokenUse-time.Second)) != first {
		t.Error("the token is made anew within its hours")
	}
	if other := header("https://two.example", now); vapid(t, other)["aud"] != "https://two.example" {
		t.Error("another service gets the first one's token")
	}
	if late := header("https://one.example", now.Add(tokenUse)); late == first {
		t.Error("the token is used for ever")
	}
	if back := header("https://one.example", now.Add(-48*time.Hour)); vapid(t, back)["exp"] != float64(now.Add(-35*time.Hour).Unix()) {
		t.Error("after the clock was set back the token lives for days, which services refuse")
	}
	for i := range 3 * maxTokens {
		header("https://"+strings.Repeat("x", i)+".example", now)
	}
	if len(k.tokens) > maxTokens {
		t.Errorf("%d tokens are kept", len(k.tokens))
	}
}

func TestKeyComesBack(t *testing.T) {
	k, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	der, err := k.PKCS8()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := k.private.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{der, raw} {
		if back, err := ParseKey(b); err != nil || back.Public() != k.Public() {
			t.Errorf("%v", err)
		}
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := x509.MarshalPKCS8PrivateKey(p384)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"nothing": nil, "zero": make([]byte, 32), "too big": bytes.Repeat([]byte{0xff}, 32), "cut": der[:50], "P-384": other} {
		if _, err := ParseKey(b); err == nil {
			t.Errorf("%s is a key", name)
		}
	}
}

func TestSubjectReachesSomebody(t *testing.T) {
	for s, good := range map[string]bool{
		"mailto:post@example.ac.uk": true, "https://example.ac.uk/contact": true,
		"": false, "post@example.ac.uk": false, "mailto:post": false, "mailto:@x": false, "http://example.ac.uk": false,
		"https://": false, "mailto:a b@x": false, "mailto:a@x\r\nX: y": false, "https://u@example.org": false,
	} {
		if err := CheckSubject(s); (err == nil) != good {
			t.Errorf("%q: %v", s, err)
		}
	}
}
