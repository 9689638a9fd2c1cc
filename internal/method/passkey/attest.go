package passkey

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
)

// attest verifies an attestation statement (section 6.5). A wrong one refuses the registration. attested is true only
// when its chain ends at a root that Settings name for this very AAGUID: until then an attestation is a claim.
//
// apple and android-key are verified here rather than by the library, which pins their vendors' roots inside itself:
// one rule of trust holds for every format.
func (m *Method) attest(obj protocol.AttestationObject, clientHash []byte, aaguid string, now time.Time) (attested bool, reason string) {
	const wrong = "passkey.attestation"
	var certs []*x509.Certificate
	ok := true
	if obj.Format != "none" {
		if certs, ok = chain(obj.AttStatement); !ok {
			return false, wrong
		}
	}
	switch obj.Format {
	case "none":
		ok = len(obj.AttStatement) == 0 && len(obj.SubStatements) == 0
	case "packed", "tpm", "fido-u2f":
		err := obj.VerifyAttestation(clientHash, nil, protocol.AttestationPolicy{}, protocol.SignaturePolicy{})
		ok = err == nil || m.syntheticDevices && unknownTPMMaker(err)
	case "apple":
		ok = verifyApple(obj, certs, clientHash)
	case "android-key":
		ok = verifyAndroidKey(obj, certs, clientHash, m.syntheticDevices)
	default:
		ok = false
	}
	if !ok {
		return false, wrong
	}
	return trusted(certs, m.set.Roots[aaguid], now), ""
}

// unknownTPMMaker tells the library's refusal of a maker that is not in the TCG's registry, which it states after the
// signature over certInfo and the certificate were checked.
func unknownTPMMaker(err error) bool {
	var e *protocol.Error
	return errors.As(err, &e) && e.Details == "Invalid TPM manufacturer"
}

// chain reads x5c; ok is false where it is there and cannot be read. No attestation chain has more than a handful of
// certificates.
func chain(statement map[string]any) ([]*x509.Certificate, bool) {
	x5c, there := statement["x5c"]
	if !there {
		return nil, true
	}
	list, ok := x5c.([]any)
	if !ok || len(list) == 0 || len(list) > 6 {
		return nil, false
	}
	var out []*x509.Certificate
	for _, e := range list {
		der, ok := e.([]byte)
		if !ok {
			return nil, false
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, false
		}
		out = append(out, c)
	}
	return out, true
}

var oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

func trusted(certs []*x509.Certificate, roots []*x509.Certificate, now time.Time) bool {
	if len(certs) == 0 || len(roots) == 0 {
		return false
	}
	opts := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	for _, r := range roots {
		// A root may be the attestation certificate itself (FIDO metadata allows it).
		if r.Equal(certs[0]) {
			return now.After(r.NotBefore) && now.Before(r.NotAfter)
		}
		opts.Roots.AddCert(r)
	}
	for _, c := range certs[1:] {
		opts.Intermediates.AddCert(c)
	}
	// A TPM's certificate has a critical alternative name with directory names, which crypto/x509 does not read and
	// which the format's own verification has checked (TCG EK profile section 3.2.9).
	leaf := *certs[0]
	leaf.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(leaf.UnhandledCriticalExtensions),
		func(id asn1.ObjectIdentifier) bool { return id.Equal(oidSubjectAltName) })
	_, err := leaf.Verify(opts)
	return err == nil
}

var oidAppleNonce = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 8, 2}

// verifyApple is section 8.8: the certificate was made for this key and this ceremony.
func verifyApple(obj protocol.AttestationObject, certs []*x509.Certificate, clientHash []byte) bool {
	if len(certs) == 0 || !sameKey(obj, certs[0]) {
		return false
	}
	var ext struct {
		Nonce []byte `asn1:"tag:1,explicit"`
	}
	rest, err := asn1.Unmarshal(extension(certs[0], oidAppleNonce), &ext)
	want := sha256.Sum256(slices.Concat(obj.RawAuthData, clientHash))
	return err == nil && len(rest) == 0 && bytes.Equal(ext.Nonce, want[:])
}

var oidAndroidKey = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 1, 17}

// keyDescription is the front of Android's KeyDescription; the lists are read element by element.
type keyDescription struct {
	AttestationVersion       int
	AttestationSecurityLevel asn1.Enumerated
	KeyMintVersion           int
	KeyMintSecurityLevel     asn1.Enumerated
	Challenge                []byte
	UniqueID                 []byte
	SoftwareEnforced         asn1.RawValue
	HardwareEnforced         asn1.RawValue
}

// verifyAndroidKey is section 8.4, with the hardware-enforced list alone believed for origin and purpose.
func verifyAndroidKey(obj protocol.AttestationObject, certs []*x509.Certificate, clientHash []byte, emptyLists bool) bool {
	if len(certs) == 0 || !sameKey(obj, certs[0]) {
		return false
	}
	alg, okAlg := obj.AttStatement["alg"].(int64)
	sig, okSig := obj.AttStatement["sig"].([]byte)
	key, err := webauthncose.ParsePublicKey(obj.AuthData.AttData.CredentialPublicKey)
	if !okAlg || !okSig || err != nil {
		return false
	}
	if got, ok := checkKey(obj.AuthData.AttData.CredentialPublicKey); !ok || got != alg {
		return false
	}
	if ok, err := webauthncose.VerifySignature(key, slices.Concat(obj.RawAuthData, clientHash), sig); err != nil || !ok {
		return false
	}
	var d keyDescription
	if _, err := asn1.Unmarshal(extension(certs[0], oidAndroidKey), &d); err != nil || !bytes.Equal(d.Challenge, clientHash) {
		return false
	}
	soft, okSoft := authorizations(d.SoftwareEnforced)
	hard, okHard := authorizations(d.HardwareEnforced)
	const purpose, allApplications, origin = 1, 600, 702
	if !okSoft || !okHard || soft[allApplications] != nil || hard[allApplications] != nil {
		return false
	}
	if emptyLists && len(soft)+len(hard) == 0 {
		return true
	}
	// Generated in the key store (0), for signing alone (2).
	return bytes.Equal(hard[origin], []byte{asn1.TagInteger, 1, 0}) &&
		bytes.Equal(hard[purpose], []byte{asn1.TagSet | 0x20, 3, asn1.TagInteger, 1, 2})
}

// authorizations reads an AuthorizationList into tag → content.
func authorizations(list asn1.RawValue) (map[int][]byte, bool) {
	if list.Tag != asn1.TagSequence || list.Class != asn1.ClassUniversal {
		return nil, false
	}
	out := map[int][]byte{}
	for rest := list.Bytes; len(rest) > 0; {
		var e asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &e); err != nil || e.Class != asn1.ClassContextSpecific || out[e.Tag] != nil {
			return nil, false
		}
		out[e.Tag] = append([]byte{}, e.Bytes...)
	}
	return out, true
}

func extension(c *x509.Certificate, id asn1.ObjectIdentifier) []byte {
	for _, e := range c.Extensions {
		if e.Id.Equal(id) {
			return e.Value
		}
	}
	return nil
}

// sameKey reports whether the certificate's key is the credential's.
func sameKey(obj protocol.AttestationObject, c *x509.Certificate) bool {
	der := webauthncose.DisplayPublicKey(obj.AuthData.AttData.CredentialPublicKey)
	want, err := x509.MarshalPKIXPublicKey(c.PublicKey)
	if err != nil {
		return false
	}
	return bytes.Equal(pemBytes(der), want)
}

func pemBytes(text string) []byte {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil
	}
	return block.Bytes
}
