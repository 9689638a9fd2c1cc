package passkey

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

type vector struct {
	ID           string
	Registration struct {
		AAGUID    string
		Challenge string
	}
	RegistrationResponse json.RawMessage
	Authentication       struct {
		Challenge string
	}
	AuthenticationResponse json.RawMessage
}

// noon2026 lies in the life of the text's certificates.
var noon2026 = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

func vectors(t testing.TB) (all []vector, root *x509.Certificate) {
	t.Helper()
	raw, err := os.ReadFile("testdata/w3c-webauthn-l3-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []vector }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/w3c-attestation-root.pem")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if root, err = x509.ParseCertificate(block.Bytes); err != nil {
		t.Fatal(err)
	}
	return file.Vectors, root
}

// vectorMethod is the method as the vectors need it: most lack user verification, two were made inside a frame.
func vectorMethod(t testing.TB, roots map[string][]*x509.Certificate) *Method {
	t.Helper()
	m, err := New(Settings{RPID: "example.org", Origins: []string{"https://example.org"}, Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	m.optionalUV, m.crossOrigin, m.syntheticDevices = true, []string{"https://example.com"}, true
	return m
}

func vectorState(t testing.TB, ceremony, challenge string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(challenge)
	if err != nil {
		t.Fatal(err)
	}
	a := asked{Ceremony: ceremony, Challenge: base64.RawURLEncoding.EncodeToString(raw), Issued: noon2026.UnixMicro(),
		Algorithms: []int64{ES256, EdDSA, ES384, ES512, RS256}}
	state, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func aaguidText(hexText string) string {
	return fmt.Sprintf("%s-%s-%s-%s-%s", hexText[:8], hexText[8:12], hexText[12:16], hexText[16:20], hexText[20:])
}

func TestVectorsOfWebAuthnLevel3(t *testing.T) {
	all, root := vectors(t)
	attestedFormats := map[string]bool{
		"packed-es256": true, "packed-es384": true, "packed-es512": true, "packed-rs256": true, "packed-eddsa": true,
		"tpm-es256": true, "android-key-es256": true, "apple-es256": true, "fido-u2f-es256": true,
	}
	verified := 0
	for _, v := range all {
		t.Run(v.ID, func(t *testing.T) {
			roots := map[string][]*x509.Certificate{aaguidText(v.Registration.AAGUID): {root}}
			if v.ID == "fido-u2f-es256" {
				roots = map[string][]*x509.Certificate{zeroAAGUID: {root}, aaguidText(v.Registration.AAGUID): {root}}
			}
			enrol := func(m *Method) (method.Credential, error) {
				return m.Enrol(method.EnrolInput{
					Subject: method.Subject{ID: "ada"}, State: vectorState(t, "create", v.Registration.Challenge),
					Answer: method.Answer{JSON: v.RegistrationResponse}, Now: noon2026,
				})
			}
			m := vectorMethod(t, roots)
			c, err := enrol(m)
			if v.ID == "packed-ed448" {
				if err == nil {
					t.Error("Ed448, which nothing here verifies, was registered")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			about, err := Describe(c)
			if err != nil || about.Attested != attestedFormats[v.ID] {
				t.Errorf("attested %t, %v", about.Attested, err)
			}
			untrusting, err := enrol(vectorMethod(t, nil))
			if err != nil {
				t.Fatal(err)
			}
			if about, _ := Describe(untrusting); about.Attested {
				t.Error("attested without the root")
			}
			c.ID, c.Person = "c", "ada"
			in := method.VerifyInput{
				Subject: method.Subject{ID: "ada"}, Credentials: []method.Credential{c},
				State:  vectorState(t, "get", v.Authentication.Challenge),
				Answer: method.Answer{JSON: v.AuthenticationResponse}, Now: noon2026,
			}
			in.State = withSubject(t, in.State, "ada")
			got, err := m.Verify(in)
			if err != nil || !got.OK {
				t.Fatalf("%+v, %v", got, err)
			}
			if v.ID == "tpm-es256" || v.ID == "android-key-es256" {
				real := vectorMethod(t, roots)
				real.syntheticDevices = false
				if _, err := enrol(real); err == nil {
					t.Error("outside this test a device that cannot exist is attested")
				}
			}
			strict := vectorMethod(t, roots)
			strict.optionalUV = false
			if again, _ := strict.Verify(in); again.OK != got.Evidence.UserVerified {
				t.Error("outside this test user verification is optional")
			}
			verified++
		})
	}
	if verified != 14 || len(all) != 15 {
		t.Errorf("%d of %d verified", verified, len(all))
	}
}

func withSubject(t testing.TB, state []byte, subject string) []byte {
	t.Helper()
	var a asked
	if err := json.Unmarshal(state, &a); err != nil {
		t.Fatal(err)
	}
	a.Subject = subject
	out, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// One changed bit anywhere in what is signed makes an attestation or an assertion fail.
func TestChangedVectorsFail(t *testing.T) {
	all, root := vectors(t)
	for _, v := range all {
		if v.ID == "packed-ed448" || v.ID == "none-es256" {
			continue
		}
		m := vectorMethod(t, map[string][]*x509.Certificate{aaguidText(v.Registration.AAGUID): {root}})
		other := all[0].Registration.Challenge
		_, err := m.Enrol(method.EnrolInput{
			Subject: method.Subject{ID: "ada"}, State: vectorState(t, "create", other),
			Answer: method.Answer{JSON: v.RegistrationResponse}, Now: noon2026,
		})
		if err == nil {
			t.Errorf("%s: registered with another challenge", v.ID)
		}
	}
}
