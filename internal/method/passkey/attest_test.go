package passkey

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
)

// maker is a manufacturer's certification authority, for attestations that no public vector shows.
type maker struct {
	key  *ecdsa.PrivateKey
	root *x509.Certificate
}

func newMaker(t *testing.T) maker {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	m := maker{key: key}
	m.root = m.issue(t, nil, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "maker"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: noon2026.Add(-time.Hour), NotAfter: noon2026.Add(time.Hour),
	}, &key.PublicKey)
	return m
}

func (m maker) issue(t *testing.T, parent, c *x509.Certificate, pub *ecdsa.PublicKey) *x509.Certificate {
	t.Helper()
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, pub, m.key)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// device is a key whose attestation is under test.
type device struct {
	key        *ecdsa.PrivateKey
	cose       []byte
	authData   []byte
	clientHash []byte
}

func newDevice(t *testing.T) device {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256([]byte("client data"))
	return device{key, cose(t, map[int]any{1: 2, 3: ES256, -1: 1, -2: raw[1:33], -3: raw[33:]}), []byte("authenticator data"), hash[:]}
}

func (d device) object(t *testing.T, format string, leaf *x509.Certificate) protocol.AttestationObject {
	t.Helper()
	digest := sha256.Sum256(slices.Concat(d.authData, d.clientHash))
	sig, err := ecdsa.SignASN1(rand.Reader, d.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	obj := protocol.AttestationObject{Format: format, RawAuthData: d.authData, AttStatement: map[string]any{
		"alg": ES256, "sig": sig, "x5c": []any{leaf.Raw},
	}}
	obj.AuthData.AttData.CredentialPublicKey = d.cose
	return obj
}

func marshal(t *testing.T, v any, params ...string) []byte {
	t.Helper()
	der, err := asn1.MarshalWithParams(v, append(params, "")[0])
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// authorization is one element of an AuthorizationList: [tag] EXPLICIT content.
func authorization(t *testing.T, tag int, content []byte) []byte {
	return marshal(t, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: content})
}

func list(t *testing.T, elements ...[]byte) asn1.RawValue {
	return asn1.RawValue{FullBytes: marshal(t, asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: slices.Concat(elements...)})}
}

const someAAGUID = "b93fd961-f2e6-462f-b122-82002247de78"

func TestAndroidKeyAttestation(t *testing.T) {
	mk, d := newMaker(t), newDevice(t)
	purposeSign, generated := marshal(t, []int{2}, "set"), marshal(t, 0)
	honest := list(t, authorization(t, 1, purposeSign), authorization(t, 702, generated))
	for name, c := range map[string]struct {
		challenge  []byte
		soft, hard asn1.RawValue
		ok         bool
	}{
		"honest":                    {d.clientHash, list(t), honest, true},
		"another ceremony":          {make([]byte, 32), list(t), honest, false},
		"empty lists":               {d.clientHash, list(t), list(t), false},
		"only software says so":     {d.clientHash, honest, list(t), false},
		"imported key":              {d.clientHash, list(t), list(t, authorization(t, 1, purposeSign), authorization(t, 702, marshal(t, 2))), false},
		"may encrypt too":           {d.clientHash, list(t), list(t, authorization(t, 1, marshal(t, []int{0, 2}, "set")), authorization(t, 702, generated)), false},
		"for all applications":      {d.clientHash, list(t, authorization(t, 600, []byte{5, 0})), honest, false},
		"purpose said twice":        {d.clientHash, list(t), list(t, authorization(t, 1, purposeSign), authorization(t, 1, purposeSign), authorization(t, 702, generated)), false},
		"list that is not sequence": {d.clientHash, list(t), asn1.RawValue{FullBytes: []byte{4, 0}}, false},
	} {
		ext := marshal(t, keyDescription{300, 1, 300, 1, c.challenge, []byte{}, c.soft, c.hard})
		leaf := mk.issue(t, mk.root, &x509.Certificate{
			SerialNumber: big.NewInt(2), NotBefore: noon2026.Add(-time.Hour), NotAfter: noon2026.Add(time.Hour),
			ExtraExtensions: []pkix.Extension{{Id: oidAndroidKey, Value: ext}},
		}, &d.key.PublicKey)
		m := &Method{set: Settings{Roots: map[string][]*x509.Certificate{someAAGUID: {mk.root}}}}
		attested, reason := m.attest(d.object(t, "android-key", leaf), d.clientHash, someAAGUID, noon2026)
		if attested != c.ok || (reason == "") != c.ok {
			t.Errorf("%s: attested %t, %q", name, attested, reason)
		}
	}
}

func TestAppleAttestation(t *testing.T) {
	mk, d := newMaker(t), newDevice(t)
	nonce := sha256.Sum256(slices.Concat(d.authData, d.clientHash))
	appleNonce := func(n []byte) []byte {
		return marshal(t, struct {
			Nonce []byte `asn1:"tag:1,explicit"`
		}{n})
	}
	other := newDevice(t)
	for name, c := range map[string]struct {
		ext []byte
		key *ecdsa.PublicKey
		ok  bool
	}{
		"honest":          {appleNonce(nonce[:]), &d.key.PublicKey, true},
		"another nonce":   {appleNonce(make([]byte, 32)), &d.key.PublicKey, false},
		"trailing bytes":  {append(appleNonce(nonce[:]), 0), &d.key.PublicKey, false},
		"another key":     {appleNonce(nonce[:]), &other.key.PublicKey, false},
		"empty extension": {nil, &d.key.PublicKey, false},
	} {
		leaf := mk.issue(t, mk.root, &x509.Certificate{
			SerialNumber: big.NewInt(2), NotBefore: noon2026.Add(-time.Hour), NotAfter: noon2026.Add(time.Hour),
			ExtraExtensions: []pkix.Extension{{Id: oidAppleNonce, Value: c.ext}},
		}, c.key)
		m := &Method{set: Settings{Roots: map[string][]*x509.Certificate{someAAGUID: {mk.root}}}}
		attested, reason := m.attest(d.object(t, "apple", leaf), d.clientHash, someAAGUID, noon2026)
		if attested != c.ok || (reason == "") != c.ok {
			t.Errorf("%s: attested %t, %q", name, attested, reason)
		}
	}
}

// A chain counts for the AAGUID whose root is pinned, while its certificates are valid, and for no other.
func TestTrustIsPerModelAndInTime(t *testing.T) {
	mk, d, stranger := newMaker(t), newDevice(t), newMaker(t)
	leaf := mk.issue(t, mk.root, &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: noon2026.Add(-time.Hour), NotAfter: noon2026.Add(time.Hour),
	}, &d.key.PublicKey)
	for name, c := range map[string]struct {
		roots []*x509.Certificate
		now   time.Time
		ok    bool
	}{
		"its root":         {[]*x509.Certificate{stranger.root, mk.root}, noon2026, true},
		"leaf as anchor":   {[]*x509.Certificate{leaf}, noon2026, true},
		"a stranger's":     {[]*x509.Certificate{stranger.root}, noon2026, false},
		"none":             {nil, noon2026, false},
		"after its life":   {[]*x509.Certificate{mk.root}, noon2026.Add(2 * time.Hour), false},
		"before its birth": {[]*x509.Certificate{mk.root}, noon2026.Add(-2 * time.Hour), false},
	} {
		if got := trusted([]*x509.Certificate{leaf}, c.roots, c.now); got != c.ok {
			t.Errorf("%s: %t", name, got)
		}
	}
	m := &Method{set: Settings{Roots: map[string][]*x509.Certificate{zeroAAGUID: {mk.root}}}}
	if attested, _ := m.attest(d.object(t, "apple", leaf), d.clientHash, someAAGUID, noon2026); attested {
		t.Error("another model's root vouched")
	}
}
