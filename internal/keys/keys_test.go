package keys_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-id/gatehouse/internal/keys"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// shelf is a keys.Store in memory: transactions one at a time, and no key may change but its state.
type shelf struct {
	mu   sync.Mutex
	keys []keys.Key
}

func (s *shelf) tx(_ context.Context, fn func(keys.Store) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fn(s)
}

func (s *shelf) SigningKeys(context.Context) ([]keys.Key, error) {
	out := slices.Clone(s.keys)
	for i := range out {
		out[i].Private = nil
	}
	return out, nil
}

func (s *shelf) AddSigningKey(_ context.Context, k keys.Key) error {
	s.keys = append(s.keys, k)
	return nil
}

func (s *shelf) UpdateSigningKey(_ context.Context, id string, from, to keys.State, at time.Time) (bool, error) {
	for i := range s.keys {
		if s.keys[i].ID == id && s.keys[i].State == from {
			s.keys[i].State, s.keys[i].Changed = to, at
			return true, nil
		}
	}
	return false, nil
}

func (s *shelf) RemoveSigningKey(_ context.Context, id string) error {
	s.keys = slices.DeleteFunc(s.keys, func(k keys.Key) bool { return k.ID == id })
	return nil
}

func keyring(t testing.TB) *secret.Keyring {
	t.Helper()
	k, err := secret.NewKeyring(map[uint32][]byte{1: bytes.Repeat([]byte{3}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

type hands struct{ now time.Time }

func (h *hands) Now() time.Time { return h.now }

func newKeeper(t testing.TB, s *shelf, at *hands) *keys.Keeper {
	return &keys.Keeper{InTx: s.tx, View: s.tx, Keyring: keyring(t), Now: at.Now}
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestSignedTokensVerifyByTheLibraryAndByTheRing(t *testing.T) {
	k := newKeeper(t, &shelf{}, &hands{start})
	ring, err := k.Ring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(ring.JWKS(), &set); err != nil || len(set.Keys) != 2 {
		t.Fatalf("%d keys, %v", len(set.Keys), err)
	}
	for _, alg := range []string{keys.ES256, keys.RS256} {
		token, err := ring.Sign(alg, keys.TypeIDToken, []byte(`{"sub":"ada"}`))
		if err != nil {
			t.Fatal(err)
		}
		jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
		if err != nil {
			t.Fatal(err)
		}
		found := set.Key(jws.Signatures[0].Protected.KeyID)
		if len(found) != 1 || found[0].Use != "sig" || found[0].Algorithm != alg || !found[0].IsPublic() {
			t.Fatalf("published key: %+v", found)
		}
		if _, err := jws.Verify(found[0].Key); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		if got, err := ring.Verify(token, keys.TypeIDToken); err != nil || string(got) != `{"sub":"ada"}` {
			t.Errorf("%s: %q, %v", alg, got, err)
		}
		if _, err := ring.Verify(token, keys.TypeAccessToken); err == nil {
			t.Errorf("%s: an ID token passed as an access token", alg)
		}
	}
}

func TestKeyIDsAreThumbprints(t *testing.T) {
	// RFC 7638 section 3.1.
	var jwk jose.JSONWebKey
	err := json.Unmarshal([]byte(`{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB"}`), &jwk)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := keys.Thumbprint(jwk.Key); err != nil || id != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("%q, %v", id, err)
	}
}

func TestAStoredKeyOpensOnlyAsItself(t *testing.T) {
	ring := keyring(t)
	a, err := keys.Generate(keys.ES256, keys.Active, ring.Seal, start)
	if err != nil {
		t.Fatal(err)
	}
	b, err := keys.Generate(keys.ES256, keys.Active, ring.Seal, start)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(a.Sealed, []byte(a.ID)) {
		t.Error("the sealed key shows its id")
	}
	a.Sealed, b.Sealed = b.Sealed, a.Sealed
	if _, err := keys.Open(a, ring.Open); err == nil {
		t.Error("a key opened in another's place")
	}
}

func TestRotationPublishesBeforeItSignsAndKeepsAfterwards(t *testing.T) {
	s, at := &shelf{}, &hands{start}
	k := newKeeper(t, s, at)
	k.Schedule = keys.Schedule{Every: 30 * 24 * time.Hour, Ahead: 48 * time.Hour, Keep: 24 * time.Hour}
	published := map[string]time.Time{}
	signed := map[string]time.Time{}
	var last string
	kids := map[string]bool{}
	for hour := range 70 * 24 {
		at.now = start.Add(time.Duration(hour) * time.Hour)
		ring, err := k.Turn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var set jose.JSONWebKeySet
		if err := json.Unmarshal(ring.JWKS(), &set); err != nil {
			t.Fatal(err)
		}
		for _, key := range set.Keys {
			if _, seen := published[key.KeyID]; !seen {
				published[key.KeyID] = at.now
			}
		}
		token, err := ring.Sign(keys.ES256, keys.TypeIDToken, []byte(`{}`))
		if err != nil {
			t.Fatalf("hour %d: %v", hour, err)
		}
		if last != "" {
			if _, err := ring.Verify(last, keys.TypeIDToken); err != nil {
				t.Fatalf("hour %d: the last hour's token does not verify", hour)
			}
		}
		last = token
		jws, _ := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
		kid := jws.Signatures[0].Protected.KeyID
		kids[kid] = true
		if _, seen := signed[kid]; !seen {
			signed[kid] = at.now
			if ahead := at.now.Sub(published[kid]); hour > 0 && ahead < 48*time.Hour {
				t.Errorf("hour %d: key signs %s after it was published", hour, ahead)
			}
		}
	}
	if len(kids) != 3 {
		t.Errorf("%d keys signed in 70 days of 30 each", len(kids))
	}
	stored, _ := s.SigningKeys(t.Context())
	if len(stored) > 4 {
		t.Errorf("%d keys are left: retired ones are not dropped", len(stored))
	}
}

func TestTwoNodesAgree(t *testing.T) {
	s, at := &shelf{}, &hands{start}
	a, b := newKeeper(t, s, at), newKeeper(t, s, at)
	var wg sync.WaitGroup
	for _, k := range []*keys.Keeper{a, b} {
		wg.Go(func() {
			if _, err := k.Ring(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	at.now = at.now.Add(10 * time.Second)
	ra, err := a.Ring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	token, err := ra.Sign(keys.ES256, keys.TypeAccessToken, []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Verify(t.Context(), token, keys.TypeAccessToken); err != nil {
		t.Error("one node's token does not verify at the other:", err)
	}
	active := 0
	for _, k := range s.keys {
		if k.State == keys.Active && k.Algorithm == keys.ES256 {
			active++
		}
	}
	if active != 1 {
		t.Errorf("%d active ES256 keys", active)
	}
}

func TestAnUnknownKeyIsLookedForOnce(t *testing.T) {
	s, at := &shelf{}, &hands{start}
	b := newKeeper(t, s, at)
	if _, err := b.Ring(t.Context()); err != nil {
		t.Fatal(err)
	}
	at.now = at.now.Add(2 * time.Second)
	// Another node makes a key that b has not seen; within Fresh it must still verify.
	other, err := keys.Generate(keys.ES256, keys.Active, keyring(t).Seal, start.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	s.keys = append(s.keys, other)
	ring, err := keys.NewRing([]keys.Key{other})
	if err != nil {
		t.Fatal(err)
	}
	token, err := ring.Sign(keys.ES256, keys.TypeIDToken, []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Verify(t.Context(), token, keys.TypeIDToken); err != nil {
		t.Error(err)
	}
}

// forger makes tokens that no key of the house signed.
type forger struct {
	ring *keys.Ring
	rsa  *rsa.PublicKey
	kid  string // of the RSA key
	ec   string
}

func newForger(t testing.TB) forger {
	t.Helper()
	k := newKeeper(t, &shelf{}, &hands{start})
	ring, err := k.Ring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(ring.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	f := forger{ring: ring}
	for _, key := range set.Keys {
		if public, ok := key.Key.(*rsa.PublicKey); ok {
			f.rsa, f.kid = public, key.KeyID
		} else {
			f.ec = key.KeyID
		}
	}
	return f
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func (f forger) hmac(header string) string {
	input := b64(header) + "." + b64(`{"sub":"admin"}`)
	der, _ := x509.MarshalPKIXPublicKey(f.rsa)
	mac := hmac.New(sha256.New, der)
	mac.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// forgeries are tokens made from an honest one, or from nothing.
func (f forger) forgeries(t *testing.T, good string) map[string]string {
	t.Helper()
	parts := strings.Split(good, ".")
	reheaded := func(h string) string { return b64(h) + "." + parts[1] + "." + parts[2] }
	own, err := keys.Generate(keys.ES256, keys.Active, keyring(t).Seal, start)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: own.Public, KeyID: own.ID})
	if err != nil {
		t.Fatal(err)
	}
	signedWith := func(extra map[jose.HeaderKey]any) string {
		opts := &jose.SignerOptions{ExtraHeaders: extra}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: own.Private, KeyID: f.ec}}, opts)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := signer.Sign([]byte(`{"sub":"admin"}`))
		if err != nil {
			t.Fatal(err)
		}
		text, err := jws.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	return map[string]string{
		"HS256 with the RSA public key": f.hmac(`{"alg":"HS256","kid":"` + f.kid + `","typ":"at+jwt"}`),
		"none":                          b64(`{"alg":"none","typ":"at+jwt"}`) + "." + b64(`{"sub":"admin"}`) + ".",
		"None, with a signature":        reheaded(`{"alg":"None","kid":"` + f.ec + `","typ":"at+jwt"}`),
		"RS256 under the EC key":        reheaded(`{"alg":"RS256","kid":"` + f.ec + `","typ":"at+jwt"}`),
		"embedded jwk":                  reheaded(`{"alg":"ES256","jwk":` + string(jwk) + `,"typ":"at+jwt"}`),
		"embedded jwk, own signature":   signedWith(map[jose.HeaderKey]any{"typ": "at+jwt", "jwk": json.RawMessage(jwk)}),
		"jku":                           signedWith(map[jose.HeaderKey]any{"typ": "at+jwt", "jku": "https://evil.example/keys"}),
		"x5u":                           signedWith(map[jose.HeaderKey]any{"typ": "at+jwt", "x5u": "https://evil.example/cert"}),
		"own key under our kid":         signedWith(map[jose.HeaderKey]any{"typ": "at+jwt"}),
		"kid is a path":                 reheaded(`{"alg":"ES256","kid":"../../../../dev/null","typ":"at+jwt"}`),
		"kid is SQL":                    reheaded(`{"alg":"ES256","kid":"x' UNION SELECT 'k","typ":"at+jwt"}`),
		"no kid":                        reheaded(`{"alg":"ES256","typ":"at+jwt"}`),
		"crit":                          reheaded(`{"alg":"ES256","kid":"` + f.ec + `","typ":"at+jwt","crit":["exp"],"exp":1}`),
		"b64 false":                     reheaded(`{"alg":"ES256","kid":"` + f.ec + `","typ":"at+jwt","b64":false,"crit":["b64"]}`),
		"no typ":                        reheaded(`{"alg":"ES256","kid":"` + f.ec + `"}`),
		"JWE":                           b64(`{"alg":"RSA-OAEP","enc":"A128GCM"}`) + ".AAAA.AAAA.AAAA.AAAA",
		"other payload":                 parts[0] + "." + b64(`{"sub":"admin"}`) + "." + parts[2],
		"DER signature":                 parts[0] + "." + parts[1] + "." + b64("\x30\x06\x02\x01\x01\x02\x01\x01"),
		"zero signature":                parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
		"empty":                         "",
		"two dots":                      "..",
		"JSON serialisation":            `{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`,
		"line break inside":             parts[0] + "\n." + parts[1] + "." + parts[2],
	}
}

func TestG96_AlgorithmAndKeyConfusion(t *testing.T) {
	f := newForger(t)
	good, err := f.ring.Sign(keys.ES256, keys.TypeAccessToken, []byte(`{"sub":"ada"}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range f.forgeries(t, good) {
		if got, err := f.ring.Verify(token, keys.TypeAccessToken); err == nil {
			t.Errorf("%s: accepted: %s", name, got)
		}
	}
	if _, err := f.ring.Verify(good, keys.TypeIDToken); err == nil {
		t.Error("an access token passed as an ID token")
	}
	if _, err := f.ring.Verify(good, keys.TypeAccessToken); err != nil {
		t.Error("the honest token was refused")
	}
}

func TestG111_JOSEBombs(t *testing.T) {
	f := newForger(t)
	for name, token := range map[string]string{
		"many dots":        strings.Repeat(".", 1<<20),
		"long":             strings.Repeat("A", 1<<20) + ".AAAA.AAAA",
		"PBES2 iterations": b64(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2000000000,"p2s":"AAAA"}`) + ".A.A.A.A",
		"zip":              b64(`{"alg":"dir","enc":"A128GCM","zip":"DEF"}`) + "..AAAA.AAAA.AAAA",
		"deep header":      b64(strings.Repeat(`{"a":`, 500)+"1"+strings.Repeat("}", 500)) + ".AAAA.AAAA",
		"no content":       b64(`{"alg":"RSA-OAEP","enc":"A128GCM"}`) + "....",
	} {
		allocated := testing.AllocsPerRun(5, func() {
			if _, err := f.ring.Verify(token, keys.TypeAccessToken); err == nil {
				t.Errorf("%s: accepted", name)
			}
		})
		// What is too long or has the wrong shape is refused before anything is decoded; the rest costs no more than
		// reading a short header.
		limit := 3000.0
		if name != "deep header" {
			limit = 0
		}
		if allocated > limit {
			t.Errorf("%s: %v allocations", name, allocated)
		}
	}
}

func FuzzVerify(f *testing.F) {
	forge := newForger(f)
	good, err := forge.ring.Sign(keys.ES256, keys.TypeAccessToken, []byte(`{"sub":"ada"}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("..")
	f.Add(b64(`{"alg":"none"}`) + "." + b64(`{}`) + ".")
	f.Add(forge.hmac(`{"alg":"HS256","kid":"` + forge.kid + `","typ":"at+jwt"}`))
	f.Add(b64(`{"alg":"ES256","kid":"`+forge.ec+`","typ":"at+jwt","crit":["b64"],"b64":false}`) + ".e30.AAAA")
	body := strings.Split(good, ".")[1]
	f.Fuzz(func(t *testing.T, token string) {
		payload, err := forge.ring.Verify(token, keys.TypeAccessToken)
		if err == nil && base64.RawURLEncoding.EncodeToString(payload) != body {
			t.Errorf("forged: %q", token)
		}
		forge.ring.Knows(token)
	})
}

func BenchmarkSignES256(b *testing.B) {
	f := newForger(b)
	body := bytes.Repeat([]byte("x"), 400)
	for b.Loop() {
		if _, err := f.ring.Sign(keys.ES256, keys.TypeAccessToken, body); err != nil {
			b.Fatal(err)
		}
	}
}
