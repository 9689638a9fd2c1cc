package passkey

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
)

func cose(t testing.TB, key map[int]any) []byte {
	t.Helper()
	out, err := webauthncbor.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func point(t testing.TB) (x, y []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return raw[1:33], raw[33:]
}

func modulus(bits int) []byte {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return n.SetBit(n, 0, 1).Bytes()
}

func TestG81_HostileKeys(t *testing.T) {
	x, y := point(t)
	off := slices.Clone(y)
	off[31] ^= 1
	edKey, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f4 := []byte{1, 0, 1}
	good := cose(t, map[int]any{1: 2, 3: ES256, -1: 1, -2: x, -3: y})
	for name, c := range map[string]struct {
		key []byte
		ok  bool
	}{
		"honest P-256":                  {good, true},
		"honest Ed25519":                {cose(t, map[int]any{1: 1, 3: EdDSA, -1: 6, -2: []byte(edKey)}), true},
		"honest RSA":                    {cose(t, map[int]any{1: 3, 3: RS256, -1: modulus(2048), -2: f4}), true},
		"point off its curve":           {cose(t, map[int]any{1: 2, 3: ES256, -1: 1, -2: x, -3: off}), false},
		"point at infinity":             {cose(t, map[int]any{1: 2, 3: ES256, -1: 1, -2: make([]byte, 32), -3: make([]byte, 32)}), false},
		"short coordinate":              {cose(t, map[int]any{1: 2, 3: ES256, -1: 1, -2: x[1:], -3: y}), false},
		"curve of another algorithm":    {cose(t, map[int]any{1: 2, 3: ES256, -1: 2, -2: x, -3: y}), false},
		"no curve":                      {cose(t, map[int]any{1: 2, 3: ES256, -2: x, -3: y}), false},
		"EC key named RSA":              {cose(t, map[int]any{1: 3, 3: RS256, -1: x, -2: f4}), false},
		"EC algorithm on an RSA key":    {cose(t, map[int]any{1: 3, 3: ES256, -1: modulus(2048), -2: f4}), false},
		"RSA algorithm on an EC key":    {cose(t, map[int]any{1: 2, 3: RS256, -1: 1, -2: x, -3: y}), false},
		"EdDSA on an EC key":            {cose(t, map[int]any{1: 2, 3: EdDSA, -1: 1, -2: x, -3: y}), false},
		"RSA exponent 1":                {cose(t, map[int]any{1: 3, 3: RS256, -1: modulus(2048), -2: []byte{1}}), false},
		"RSA exponent 3":                {cose(t, map[int]any{1: 3, 3: RS256, -1: modulus(2048), -2: []byte{3}}), false},
		"RSA exponent even":             {cose(t, map[int]any{1: 3, 3: RS256, -1: modulus(2048), -2: []byte{1, 0, 2}}), false},
		"RSA exponent huge":             {cose(t, map[int]any{1: 3, 3: RS256, -1: modulus(2048), -2: bytes.Repeat([]byte{255}, 300)}), false},
		"RSA of 16384 bits":             {cose(t, map[int]any{1: 3, 3: RS256, -1: modulus(16384), -2: f4}), false},
		"RSA of 1024 bits":              {cose(t, map[int]any{1: 3, 3: RS256, -1: modulus(1024), -2: f4}), false},
		"RSA with SHA-1":                {cose(t, map[int]any{1: 3, 3: -65535, -1: modulus(2048), -2: f4}), false},
		"Ed25519 of order 1":            {cose(t, map[int]any{1: 1, 3: EdDSA, -1: 6, -2: append([]byte{1}, make([]byte, 31)...)}), false},
		"Ed25519 of 31 bytes":           {cose(t, map[int]any{1: 1, 3: EdDSA, -1: 6, -2: make([]byte, 31)}), false},
		"Ed448":                         {cose(t, map[int]any{1: 1, 3: -53, -1: 7, -2: make([]byte, 57)}), false},
		"trailing byte":                 {append(slices.Clone(good), 0), false},
		"duplicate key":                 {append([]byte{0xa6, 0x03, 0x26}, good[1:]...), false},
		"indefinite map":                {append(append([]byte{0xbf}, good[1:]...), 0xff), false},
		"tagged":                        {append([]byte{0xc1}, good...), false},
		"a billion entries":             {[]byte{0xba, 0x40, 0, 0, 0, 1}, false},
		"a string of 2^63 bytes":        {[]byte{0xa1, 0x21, 0x5b, 0x7f, 255, 255, 255, 255, 255, 255, 255}, false},
		"not a map":                     {[]byte{0x80}, false},
		"nothing":                       {nil, false},
		"a private member is no matter": {cose(t, map[int]any{1: 2, 3: ES256, -1: 1, -2: x, -3: y, -4: make([]byte, 32)}), true},
	} {
		if _, ok := checkKey(c.key); ok != c.ok {
			t.Errorf("%s: accepted %t", name, ok)
		}
	}
}

// All eight points of small order, in every encoding, are refused, and why: with the first of them one signature fits
// every message.
func TestG81_SmallOrderKeysSignAnything(t *testing.T) {
	identity := append([]byte{1}, make([]byte, 31)...)
	forged := append(slices.Clone(identity), make([]byte, 32)...)
	if !ed25519.Verify(identity, []byte("any message"), forged) {
		t.Fatal("the standard library refuses this by itself now; the check can go")
	}
	order8, _ := hex.DecodeString("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
	order8b, _ := hex.DecodeString("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
	high := func(first byte) []byte { return append(append([]byte{first}, bytes.Repeat([]byte{255}, 30)...), 127) }
	for _, k := range [][]byte{identity, make([]byte, 32), order8, order8b, high(0xec), high(0xed), high(0xee)} {
		for _, sign := range []byte{0, 0x80} {
			bad := slices.Clone(k)
			bad[31] |= sign
			if !smallOrder(bad) {
				t.Errorf("%x passes", bad)
			}
		}
	}
	for range 100 {
		k, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if smallOrder(k) {
			t.Errorf("an honest key is refused: %x", k)
		}
	}
}

func TestG81_HostileAttestationObjects(t *testing.T) {
	deep := bytes.Repeat([]byte{0x81}, 40_000)
	withAuth := func(auth []byte) []byte {
		out, err := webauthncbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": auth})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	header := append(bytes.Repeat([]byte{7}, 32), 0x45, 0, 0, 0, 0)
	longID := append(append(slices.Clone(header), make([]byte, 16)...), 0xff, 0xff)
	for name, object := range map[string][]byte{
		"deep":               deep,
		"empty":              {},
		"huge array":         {0x9b, 0x7f, 255, 255, 255, 255, 255, 255, 255},
		"huge byte string":   append([]byte("\xa1\x68authData\x5b\x00\x00\x00\x7f"), 0, 0, 0, 0),
		"no authData":        []byte("\xa2\x63fmt\x64none\x67attStmt\xa0"),
		"short authData":     withAuth(header[:20]),
		"credential missing": withAuth(header),
		"credential id long": withAuth(longID),
		"duplicate fmt":      []byte("\xa3\x63fmt\x64none\x63fmt\x64none\x67attStmt\xa0"),
		"trailing":           append(withAuth(header), 0),
		"statement in none":  []byte("\xa3\x63fmt\x64none\x67attStmt\xa1\x61x\x01\x68authData\x40"),
		"unknown format":     []byte("\xa3\x63fmt\x64evil\x67attStmt\xa0\x68authData\x40"),
	} {
		if err := register(t, object); err == nil {
			t.Errorf("%s was registered", name)
		}
		if n := allocated(func() { _ = register(t, object) }); n > 2<<20 {
			t.Errorf("%s took %d bytes", name, n)
		}
	}
}

// allocated is how many bytes f takes, at the least of three times: other goroutines only add.
func allocated(f func()) uint64 {
	least := ^uint64(0)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// The largest answers that are read at all, made of what costs most, and one byte more.
func TestG81_LargestAnswers(t *testing.T) {
	m := vectorMethod(t, nil)
	for name, filler := range map[string]string{
		"objects": `{"a":`, "arrays": `[`, "strings": `"\u0000",`, "extensions": `{"clientExtensionResults":`, "spaces": ` `,
	} {
		for _, size := range []int{MaxAnswerBytes, MaxAnswerBytes + 1} {
			answer := json.RawMessage(strings.Repeat(filler, size/len(filler)+1)[:size])
			n := allocated(func() {
				if _, err := m.Enrol(method.EnrolInput{Subject: method.Subject{ID: "ada"}, State: vectorState(t, "create", "000000"),
					Answer: method.Answer{JSON: answer}, Now: noon2026}); err == nil {
					t.Errorf("%s registered", name)
				}
				if v, err := m.Verify(method.VerifyInput{State: vectorState(t, "get", "000000"), Answer: method.Answer{JSON: answer}, Now: noon2026}); err != nil || v.OK {
					t.Errorf("%s: %+v %v", name, v, err)
				}
			})
			if n > 2<<20 {
				t.Errorf("%s of %d bytes took %d", name, size, n)
			}
		}
	}
}

func vectorAnswer(clientData, object []byte) json.RawMessage {
	enc := base64.RawURLEncoding.EncodeToString
	return json.RawMessage(fmt.Sprintf(`{"id":"AQID","rawId":"AQID","type":"public-key","response":{"clientDataJSON":%q,"attestationObject":%q}}`,
		enc(clientData), enc(object)))
}

func register(t testing.TB, object []byte) error {
	m := vectorMethod(t, nil)
	client := []byte(`{"type":"webauthn.create","challenge":"AAAA","origin":"https://example.org"}`)
	_, err := m.Enrol(method.EnrolInput{
		Subject: method.Subject{ID: "ada"}, State: vectorState(t, "create", "000000"),
		Answer: method.Answer{JSON: vectorAnswer(client, object)}, Now: noon2026,
	})
	return err
}

// A key that authData carries with trailing bytes, or with an extension that is not announced.
func TestG81_BytesAfterTheKey(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"trailing byte":               func(b []byte) []byte { return append(b, 0) },
		"unannounced extension":       func(b []byte) []byte { return append(b, 0xa0) },
		"announced, missing":          func(b []byte) []byte { b[32] |= 0x80; return b },
		"announced, not a map":        func(b []byte) []byte { b[32] |= 0x80; return append(b, 0x01) },
		"longer id than there is":     func(b []byte) []byte { binary.BigEndian.PutUint16(b[53:], 60_000); return b },
		"id of no bytes":              func(b []byte) []byte { binary.BigEndian.PutUint16(b[53:], 0); return b },
		"no attested credential flag": func(b []byte) []byte { b[32] &^= 0x40; return b },
	} {
		m, key := vectorMethod(t, nil), softkey.New("https://example.org")
		p, err := m.Offer(method.OfferInput{Subject: method.Subject{ID: "ada"}, Now: noon2026})
		if err != nil {
			t.Fatal(err)
		}
		key.ChangeAuthData = change
		answer, err := key.Create(p.Public)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Enrol(method.EnrolInput{Subject: method.Subject{ID: "ada"}, State: p.State, Answer: method.Answer{JSON: answer}, Now: noon2026}); err == nil {
			t.Errorf("%s was registered", name)
		}
	}
}

func FuzzRegistration(f *testing.F) {
	all, _ := vectors(f)
	for _, v := range all {
		f.Add([]byte(v.RegistrationResponse))
	}
	f.Add([]byte(`{"id":"AQID","rawId":"AQID","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"oA"}}`))
	m := vectorMethod(f, nil)
	states := map[string][]byte{}
	for _, v := range all {
		states[v.ID] = vectorState(f, "create", v.Registration.Challenge)
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		for id, state := range states {
			c, err := m.Enrol(method.EnrolInput{Subject: method.Subject{ID: "ada"}, State: state, Answer: method.Answer{JSON: answer}, Now: noon2026})
			if err == nil && (len(c.Handle) == 0 || len(c.State) == 0) {
				t.Errorf("%s: registered nothing", id)
			}
			if err == nil {
				if _, err := Describe(c); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

func FuzzAssertion(f *testing.F) {
	all, _ := vectors(f)
	m := vectorMethod(f, nil)
	var creds []method.Credential
	for _, v := range all {
		f.Add([]byte(v.AuthenticationResponse))
		c, err := m.Enrol(method.EnrolInput{Subject: method.Subject{ID: "ada"}, State: vectorState(f, "create", v.Registration.Challenge),
			Answer: method.Answer{JSON: v.RegistrationResponse}, Now: noon2026})
		if err == nil {
			c.ID, c.Person = v.ID, "ada"
			creds = append(creds, c)
		}
	}
	state := withSubject(f, vectorState(f, "get", all[0].Authentication.Challenge), "ada")
	f.Fuzz(func(t *testing.T, answer []byte) {
		m.Handle(method.Answer{JSON: answer})
		v, err := m.Verify(method.VerifyInput{Subject: method.Subject{ID: "ada"}, Credentials: creds, State: state, Answer: method.Answer{JSON: answer}, Now: noon2026})
		if err != nil {
			t.Fatal(err)
		}
		if !v.OK {
			return
		}
		// Whatever is changed around them, only the vector's own signed bytes prove.
		got, _ := readWire(answer)
		want, _ := readWire(all[0].AuthenticationResponse)
		for _, pair := range [][2]string{{got.Response.ClientData, want.Response.ClientData}, {got.Response.AuthData, want.Response.AuthData}} {
			a, _ := b64dec(pair[0])
			b, _ := b64dec(pair[1])
			if !bytes.Equal(a, b) {
				t.Errorf("proved: %s", answer)
			}
		}
	})
}

// BenchmarkVerify against BenchmarkBareES256: what a sign-in costs beside the signature check that nobody can avoid.
func BenchmarkVerify(b *testing.B) {
	m, err := New(Settings{RPID: "example.org", Origins: []string{"https://example.org"}})
	if err != nil {
		b.Fatal(err)
	}
	key := softkey.New("https://example.org")
	offer, err := m.Offer(method.OfferInput{Subject: method.Subject{ID: "ada"}, Now: noon2026})
	if err != nil {
		b.Fatal(err)
	}
	created, err := key.Create(offer.Public)
	if err != nil {
		b.Fatal(err)
	}
	c, err := m.Enrol(method.EnrolInput{Subject: method.Subject{ID: "ada"}, State: offer.State, Answer: method.Answer{JSON: created}, Now: noon2026})
	if err != nil {
		b.Fatal(err)
	}
	c.ID, c.Person = "c", "ada"
	p, err := m.Begin(method.BeginInput{Now: noon2026})
	if err != nil {
		b.Fatal(err)
	}
	answer, err := key.Get(p.Public)
	if err != nil {
		b.Fatal(err)
	}
	in := method.VerifyInput{Credentials: []method.Credential{c}, State: p.State, Answer: method.Answer{JSON: answer}, Now: noon2026}
	b.ReportAllocs()
	for b.Loop() {
		if v, err := m.Verify(in); err != nil || !v.OK {
			b.Fatalf("%+v %v", v, err)
		}
	}
}

func BenchmarkBareES256(b *testing.B) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256([]byte("what is signed"))
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], sig) {
			b.Fatal("wrong")
		}
	}
}
