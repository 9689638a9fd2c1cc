// Package passkey proves possession of a WebAuthn credential with user verification (W3C WebAuthn Level 3).
//
//	Offer ─► creation options ─► browser ─► Enrol ─► credential (handle = credential id)
//	         State: challenge, algorithms offered, attachment, whom for, when
//	Begin ─► request options ──► browser ─► Handle (unverified id, to look the credential up)
//	         State: challenge, whom for ("" while nobody is known), when
//	                                     └► Verify: type, challenge, origin, RP id, user presence and verification,
//	                                        owner, backup flags, counter, signature ─► Verdict
//
// Parsing CBOR, COSE and the signature checks are go-webauthn's, which no other package imports; what it leaves open
// (exact origins, weak keys, who owns what, counters, trust roots) is checked here. Everything that was asked of the
// browser is in State and checked again on the server, because the browser belongs to whoever answers (attack G56).
package passkey

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// Lifetime is how long a challenge may be answered; a page that waits longer asks for a new one.
const Lifetime = 10 * time.Minute

// MaxAnswerBytes bounds a response before it is parsed. The largest real ones (TPM attestation with three
// certificates) have about 8 KB.
const MaxAnswerBytes = 64 << 10

// Limit is how many passkeys and security keys one person may have.
const Limit = 10

// COSE algorithm identifiers (IANA COSE Algorithms), the ones that may be offered.
const (
	ES256 int64 = -7
	EdDSA int64 = -8
	ES384 int64 = -35
	ES512 int64 = -36
	RS256 int64 = -257
)

// Settings are fixed for the life of a Method.
type Settings struct {
	// RPID is the relying party id: a registrable domain suffix of every origin's host, without scheme and port.
	RPID string
	// RPName is shown by some browsers and authenticators.
	RPName string
	// Origins are compared byte for byte: scheme, host and port where it is not the scheme's own (attack G67).
	Origins []string
	// Algorithms offered, in order of preference. Default: ES256, EdDSA, ES384, ES512, RS256.
	Algorithms []int64
	// Attachment "platform" or "cross-platform" restricts registration; "" allows both.
	Attachment string
	// Attestation conveyance asked for: "none" (default), "indirect", "direct" or "enterprise". An attestation that
	// comes is verified and kept in any case.
	Attestation string
	// Roots are the trust anchors of attestation by AAGUID in its text form
	// ("00000000-0000-0000-0000-000000000000" for fido-u2f). An attestation whose chain ends elsewhere is kept but
	// its credential does not count as attested.
	Roots map[string][]*x509.Certificate
	// RequireAttested refuses registration without an attestation that chains to Roots.
	RequireAttested bool
	// AllowCounterRegression lets a passkey whose signature counter went backwards prove with a warning; the default
	// refuses it (WebAuthn section 7.2 step 22). Verdict.Risk is set either way.
	AllowCounterRegression bool
}

// Method is the passkey method.
type Method struct {
	set Settings
	// optionalUV is a test's alone: most of the standard's own vectors lack user verification.
	optionalUV bool
	// crossOrigin is a test's alone, for the vectors that were made inside a frame.
	crossOrigin []string
	// syntheticDevices is a test's alone: the vectors' TPM has a maker that does not exist, and the lists of their
	// Android key are empty.
	syntheticDevices bool
}

var (
	_ method.Method  = (*Method)(nil)
	_ method.Handled = (*Method)(nil)
)

// New checks the settings. Every origin must be https, or http on localhost, and lie within RPID.
func New(s Settings) (*Method, error) {
	if s.RPID == "" || strings.ContainsAny(s.RPID, ":/ ") || s.RPID != strings.ToLower(s.RPID) {
		return nil, fmt.Errorf("passkey: relying party id %q must be a lower-case domain", s.RPID)
	}
	if len(s.Origins) == 0 {
		return nil, errors.New("passkey: no origin")
	}
	for _, o := range s.Origins {
		if err := checkOrigin(o, s.RPID); err != nil {
			return nil, err
		}
	}
	if len(s.Algorithms) == 0 {
		s.Algorithms = []int64{ES256, EdDSA, ES384, ES512, RS256}
	}
	for _, a := range s.Algorithms {
		if !slices.Contains([]int64{ES256, EdDSA, ES384, ES512, RS256}, a) {
			return nil, fmt.Errorf("passkey: algorithm %d is not one that can be verified", a)
		}
	}
	if s.Attestation == "" {
		s.Attestation = "none"
	}
	if !slices.Contains([]string{"none", "indirect", "direct", "enterprise"}, s.Attestation) {
		return nil, fmt.Errorf("passkey: attestation conveyance %q", s.Attestation)
	}
	if !slices.Contains([]string{"", "platform", "cross-platform"}, s.Attachment) {
		return nil, fmt.Errorf("passkey: attachment %q", s.Attachment)
	}
	if s.RPName == "" {
		s.RPName = s.RPID
	}
	return &Method{set: s}, nil
}

func checkOrigin(origin, rpID string) error {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme+"://"+u.Host != origin || origin != strings.ToLower(origin) {
		return fmt.Errorf("passkey: origin %q must be scheme://host[:port] in lower case and nothing more", origin)
	}
	host := u.Hostname()
	if u.Scheme != "https" && !(u.Scheme == "http" && (host == "localhost" || strings.HasSuffix(host, ".localhost"))) {
		return fmt.Errorf("passkey: origin %q must be https (http only on localhost)", origin)
	}
	if host != rpID && !strings.HasSuffix(host, "."+rpID) {
		return fmt.Errorf("passkey: origin %q does not lie within relying party id %q", origin, rpID)
	}
	return nil
}

// Traits says what a passkey is.
func (m *Method) Traits() method.Traits {
	return method.Traits{
		Kind:              method.Passkey,
		Factors:           method.Possession | method.Inherence,
		PhishingResistant: true,
		First:             true,
		Limit:             Limit,
		Strength:          100,
		Removable:         true,
	}
}

// asked is Prompt.State: what the browser was asked, to be checked against its answer.
type asked struct {
	Ceremony   string  `json:"t"` // "create" or "get"
	Challenge  string  `json:"c"` // base64url, as clientDataJSON carries it
	Subject    string  `json:"u,omitempty"`
	Issued     int64   `json:"i"` // Unix microseconds
	Algorithms []int64 `json:"a,omitempty"`
	Attachment string  `json:"m,omitempty"`
}

func newAsked(ceremony, subject string, now time.Time) asked {
	challenge := make([]byte, 32) // section 13.4.3 asks for at least 16
	rand.Read(challenge)
	return asked{Ceremony: ceremony, Challenge: b64(challenge), Subject: subject, Issued: now.UnixMicro()}
}

// readAsked opens State for a ceremony; "" when it may be answered now, else the reason.
func readAsked(state []byte, ceremony, subject string, now time.Time) (asked, string) {
	var a asked
	if err := json.Unmarshal(state, &a); err != nil || a.Challenge == "" {
		return asked{}, "passkey.no_challenge"
	}
	if a.Ceremony != ceremony {
		return asked{}, "passkey.wrong_ceremony"
	}
	if a.Subject != "" && a.Subject != subject {
		return asked{}, "passkey.wrong_person"
	}
	if now.After(time.UnixMicro(a.Issued).Add(Lifetime)) {
		return asked{}, "passkey.expired"
	}
	return a, ""
}

// record is Credential.State.
type record struct {
	Key            []byte   `json:"key"` // COSE_Key
	Algorithm      int64    `json:"alg"`
	BackupEligible bool     `json:"be,omitempty"`
	BackedUp       bool     `json:"bs,omitempty"`
	Counters       counters `json:"ctr,omitzero"`
	AAGUID         string   `json:"aaguid"`
	Transports     []string `json:"tr,omitempty"`
	Attachment     string   `json:"att,omitempty"`
	Attested       bool     `json:"attested,omitempty"`
	Format         string   `json:"fmt"`
	// Attestation is the whole attestation object and ClientData the hash it was made over, so that a later policy
	// can judge what was registered earlier. They come last: a sign-in does not look at them.
	Attestation []byte `json:"obj"`
	ClientData  []byte `json:"cdh"`
}

func readRecord(state []byte) (record, error) {
	var r record
	if err := json.Unmarshal(state, &r); err != nil {
		return record{}, fmt.Errorf("passkey: stored credential: %w", err)
	}
	return r, nil
}

// About is what pages and policy may know of a registered passkey.
type About struct {
	AAGUID     string // text form; all zeros where the authenticator does not say
	Model      string // "" where unknown
	Synced     bool   // may leave the device it was made on (backup eligible)
	BackedUp   bool
	Attested   bool
	Transports []string
}

// Describe reads what is known of a credential.
func Describe(c method.Credential) (About, error) {
	r, err := readRecord(c.State)
	if err != nil {
		return About{}, err
	}
	return About{
		AAGUID: r.AAGUID, Model: ModelName(r.AAGUID), Synced: r.BackupEligible, BackedUp: r.BackedUp,
		Attested: r.Attested, Transports: r.Transports,
	}, nil
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func b64dec(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }
