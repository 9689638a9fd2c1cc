package passkey

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
)

// creationOptions is PublicKeyCredentialCreationOptionsJSON (section 5.4): what
// PublicKeyCredential.parseCreationOptionsFromJSON takes.
type creationOptions struct {
	RP struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"rp"`
	User struct {
		ID          string `json:"id"`
		Name        string `json:"name"`
		DisplayName string `json:"displayName"`
	} `json:"user"`
	Challenge              string         `json:"challenge"`
	PubKeyCredParams       []parameter    `json:"pubKeyCredParams"`
	Timeout                int64          `json:"timeout"` // milliseconds
	ExcludeCredentials     []descriptor   `json:"excludeCredentials"`
	AuthenticatorSelection selection      `json:"authenticatorSelection"`
	Attestation            string         `json:"attestation"`
	Extensions             map[string]any `json:"extensions"`
}

type parameter struct {
	Type string `json:"type"`
	Alg  int64  `json:"alg"`
}

type selection struct {
	Attachment         string `json:"authenticatorAttachment,omitempty"`
	ResidentKey        string `json:"residentKey"`
	RequireResidentKey bool   `json:"requireResidentKey"`
	UserVerification   string `json:"userVerification"`
}

// Offer asks for a discoverable, user-verified credential that none of the person's own authenticators holds yet. The
// user handle is the person's ID, which is opaque and never changes.
func (m *Method) Offer(in method.OfferInput) (method.Prompt, error) {
	if in.Subject.ID == "" {
		return method.Prompt{}, refuse("passkey.no_person")
	}
	a := newAsked("create", in.Subject.ID, in.Now)
	a.Algorithms, a.Attachment = m.set.Algorithms, m.set.Attachment
	exclude, err := descriptors(in.Existing)
	if err != nil {
		return method.Prompt{}, err
	}
	o := creationOptions{
		Challenge: a.Challenge, Timeout: (Lifetime / 2).Milliseconds(), ExcludeCredentials: exclude,
		Attestation: m.set.Attestation, Extensions: map[string]any{"credProps": true},
		AuthenticatorSelection: selection{
			Attachment: m.set.Attachment, ResidentKey: "required", RequireResidentKey: true, UserVerification: "required",
		},
	}
	o.RP.ID, o.RP.Name = m.set.RPID, m.set.RPName
	o.User.ID, o.User.Name, o.User.DisplayName = b64([]byte(in.Subject.ID)), in.Subject.Username, in.Subject.DisplayName
	if o.User.DisplayName == "" {
		o.User.DisplayName = o.User.Name
	}
	for _, alg := range a.Algorithms {
		o.PubKeyCredParams = append(o.PubKeyCredParams, parameter{"public-key", alg})
	}
	return prompt(o, a)
}

// Enrol judges a registration (section 7.1). It fails with fault BadInput whose code, or else whose cause, says which
// step refused.
func (m *Method) Enrol(in method.EnrolInput) (method.Credential, error) {
	a, reason := readAsked(in.State, "create", in.Subject.ID, in.Now)
	if reason == "" && in.Subject.ID == "" {
		reason = "passkey.no_person"
	}
	if reason != "" {
		return method.Credential{}, refuse(reason)
	}
	p, reason := parseCreation(in.Answer.JSON)
	if reason != "" {
		return method.Credential{}, refuse(reason)
	}
	if reason := m.checkCreation(a, p, in.Existing); reason != "" {
		return method.Credential{}, refuse(reason)
	}
	rec, reason := m.register(a, p, in.Now)
	if reason != "" {
		return method.Credential{}, refuse(reason)
	}
	rec.Counters = rec.Counters.first(p.Response.AttestationObject.AuthData.Counter)
	state, err := json.Marshal(rec)
	if err != nil {
		return method.Credential{}, err
	}
	name := in.Name
	if name == "" {
		name = ModelName(rec.AAGUID)
	}
	return method.Credential{
		Kind: method.Passkey, Name: name, State: state,
		Handle: bytes.Clone(p.Response.AttestationObject.AuthData.AttData.CredentialID),
	}, nil
}

func parseCreation(answer json.RawMessage) (*protocol.ParsedCredentialCreationData, string) {
	if len(answer) > MaxAnswerBytes {
		return nil, "passkey.malformed"
	}
	p, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return nil, "passkey.malformed"
	}
	// fxamacker/cbor accepts an attestation object without authData parsed to nothing; the parser then fails above.
	if len(p.Response.AttestationObject.AuthData.AttData.CredentialID) == 0 {
		return nil, "passkey.malformed"
	}
	return p, ""
}

// checkCreation is everything but keys and attestation: what the browser was asked is what it did (attack G56).
func (m *Method) checkCreation(a asked, p *protocol.ParsedCredentialCreationData, existing []method.Credential) string {
	auth := p.Response.AttestationObject.AuthData
	if reason := m.checkClientData(p.Response.CollectedClientData, protocol.CreateCeremony, a); reason != "" {
		return reason
	}
	rpID := sha256.Sum256([]byte(m.set.RPID))
	if !bytes.Equal(auth.RPIDHash, rpID[:]) {
		return "passkey.wrong_site"
	}
	if reason := m.checkFlags(auth.Flags); reason != "" {
		return reason
	}
	if !bytes.Equal(p.RawID, auth.AttData.CredentialID) {
		return "passkey.malformed"
	}
	if a.Attachment != "" && string(p.AuthenticatorAttachment) != a.Attachment {
		return "passkey.wrong_attachment"
	}
	// The client tells through credProps whether the credential is discoverable; some do not tell at all.
	if props := p.ClientExtensionResults.CredProps; props != nil && props.RK != nil && !*props.RK {
		return "passkey.not_discoverable"
	}
	if slices.ContainsFunc(existing, func(c method.Credential) bool {
		return c.Kind == method.Passkey && bytes.Equal(c.Handle, p.RawID)
	}) {
		return "passkey.already_registered"
	}
	return ""
}

// register checks the key and the attestation and makes the record.
func (m *Method) register(a asked, p *protocol.ParsedCredentialCreationData, now time.Time) (record, string) {
	obj := p.Response.AttestationObject
	alg, ok := checkKey(obj.AuthData.AttData.CredentialPublicKey)
	if !ok {
		return record{}, "passkey.weak_key"
	}
	if !slices.Contains(a.Algorithms, alg) {
		return record{}, "passkey.wrong_algorithm"
	}
	id, err := uuid.FromBytes(obj.AuthData.AttData.AAGUID)
	if err != nil {
		return record{}, "passkey.malformed"
	}
	hash := sha256.Sum256(p.Raw.AttestationResponse.ClientDataJSON)
	attested, reason := m.attest(obj, hash[:], id.String(), now)
	if reason != "" {
		return record{}, reason
	}
	if m.set.RequireAttested && !attested {
		return record{}, "passkey.not_attested"
	}
	rec := record{
		Key: bytes.Clone(obj.AuthData.AttData.CredentialPublicKey), Algorithm: alg, AAGUID: id.String(),
		BackupEligible: obj.AuthData.Flags.HasBackupEligible(), BackedUp: obj.AuthData.Flags.HasBackupState(),
		Attachment: string(p.AuthenticatorAttachment), Attested: attested, Format: obj.Format,
		Attestation: bytes.Clone(p.Raw.AttestationResponse.AttestationObject), ClientData: hash[:],
	}
	for _, t := range p.Raw.AttestationResponse.Transports {
		// Only names of the standard (section 5.8.4), so that a stranger's text does not come back in later options.
		if slices.Contains([]string{"usb", "nfc", "ble", "smart-card", "hybrid", "internal"}, t) && !slices.Contains(rec.Transports, t) {
			rec.Transports = append(rec.Transports, t)
		}
	}
	return rec, ""
}

// publicText is what a person can do about a refused registration. What has no line here is no person's doing: it is
// "passkey.refused", and the reason goes to the log.
var publicText = map[string]string{
	"passkey.no_person":          "Sign in before adding a passkey.",
	"passkey.expired":            "This page waited too long. Start adding the passkey again.",
	"passkey.already_registered": "This passkey is already on your account.",
	"passkey.user_not_verified":  "This device did not check that it is you. Set up a PIN, fingerprint or face on it, then try again.",
	"passkey.not_discoverable":   "This device could not keep the passkey. Use another device or free space on this one.",
	"passkey.wrong_attachment":   "This kind of passkey is not allowed here.",
	"passkey.wrong_algorithm":    "This device used a signature type that is not allowed here. Use another device.",
	"passkey.weak_key":           "This device made a key that cannot be trusted. Use another device.",
	"passkey.not_attested":       "This device did not prove its make. Use a security key from the list your institution supports.",
}

func refuse(reason string) error {
	if text, ok := publicText[reason]; ok {
		return fault.New(fault.BadInput, reason, text)
	}
	return fault.New(fault.BadInput, "passkey.refused", "That did not work. Start adding the passkey again.").Because(errors.New(reason))
}
