package passkey

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// requestOptions is PublicKeyCredentialRequestOptionsJSON (section 5.5): what
// PublicKeyCredential.parseRequestOptionsFromJSON takes.
type requestOptions struct {
	Challenge        string       `json:"challenge"`
	Timeout          int64        `json:"timeout"` // milliseconds
	RPID             string       `json:"rpId"`
	AllowCredentials []descriptor `json:"allowCredentials"`
	UserVerification string       `json:"userVerification"`
}

type descriptor struct {
	ID         string   `json:"id"`
	Type       string   `json:"type"`
	Transports []string `json:"transports,omitempty"`
}

// Begin asks for an assertion. While nobody is known no credential is named (attack G77); afterwards the person's own
// are.
func (m *Method) Begin(in method.BeginInput) (method.Prompt, error) {
	a := newAsked("get", in.Subject.ID, in.Now)
	o := requestOptions{
		Challenge: a.Challenge, Timeout: (Lifetime / 2).Milliseconds(), RPID: m.set.RPID,
		AllowCredentials: []descriptor{}, UserVerification: "required",
	}
	if in.Subject.ID != "" {
		var err error
		if o.AllowCredentials, err = descriptors(in.Credentials); err != nil {
			return method.Prompt{}, err
		}
	}
	return prompt(o, a)
}

func descriptors(creds []method.Credential) ([]descriptor, error) {
	out := []descriptor{}
	for _, c := range creds {
		if c.Kind != method.Passkey || len(c.Handle) == 0 {
			continue
		}
		r, err := readRecord(c.State)
		if err != nil {
			return nil, err
		}
		out = append(out, descriptor{ID: b64(c.Handle), Type: "public-key", Transports: r.Transports})
	}
	return out, nil
}

func prompt(options any, a asked) (method.Prompt, error) {
	public, err := json.Marshal(options)
	if err != nil {
		return method.Prompt{}, err
	}
	state, err := json.Marshal(a)
	if err != nil {
		return method.Prompt{}, err
	}
	return method.Prompt{Public: public, State: state}, nil
}

// wire is the part of AuthenticationResponseJSON (section 5.5) that is read. Plain strings, decoded here: the library's
// own reader of the same JSON costs a tenth of the signature check.
type wire struct {
	ID       string `json:"id"`
	RawID    string `json:"rawId"`
	Type     string `json:"type"`
	Response struct {
		ClientData string `json:"clientDataJSON"`
		AuthData   string `json:"authenticatorData"`
		Signature  string `json:"signature"`
		UserHandle string `json:"userHandle"`
	} `json:"response"`
}

// Handle reads the credential id from an answer that nobody has verified yet.
func (m *Method) Handle(answer method.Answer) ([]byte, bool) {
	w, ok := readWire(answer.JSON)
	if !ok {
		return nil, false
	}
	id, err := b64dec(w.RawID)
	return id, err == nil && len(id) > 0 && len(id) <= 1023
}

func readWire(answer json.RawMessage) (wire, bool) {
	var w wire
	if len(answer) == 0 || len(answer) > MaxAnswerBytes || json.Unmarshal(answer, &w) != nil {
		return wire{}, false
	}
	return w, w.RawID != "" && w.ID == w.RawID && w.Type == "public-key"
}

// parseAssertion leaves client data and authenticator data to the library.
func parseAssertion(answer json.RawMessage) (*protocol.ParsedCredentialAssertionData, bool) {
	w, ok := readWire(answer)
	if !ok {
		return nil, false
	}
	var r protocol.CredentialAssertionResponse
	r.ID, r.Type = w.ID, w.Type
	for _, f := range []struct {
		text string
		into *protocol.URLEncodedBase64
	}{
		{w.RawID, &r.RawID}, {w.Response.ClientData, &r.AssertionResponse.ClientDataJSON},
		{w.Response.AuthData, &r.AssertionResponse.AuthenticatorData}, {w.Response.Signature, &r.AssertionResponse.Signature},
		{w.Response.UserHandle, &r.AssertionResponse.UserHandle},
	} {
		var err error
		if *f.into, err = b64dec(f.text); err != nil {
			return nil, false
		}
	}
	p, err := r.Parse()
	return p, err == nil
}

// Verify judges an assertion (section 7.2). Whoever answers is the owner of the credential that signed, never
// somebody the request named (attack G65).
func (m *Method) Verify(in method.VerifyInput) (method.Verdict, error) {
	a, reason := readAsked(in.State, "get", in.Subject.ID, in.Now)
	if reason != "" {
		return method.Verdict{Reason: reason}, nil
	}
	p, ok := parseAssertion(in.Answer.JSON)
	if !ok {
		return method.Verdict{Reason: "passkey.malformed"}, nil
	}
	cred, reason := m.owned(in, a, p)
	if reason != "" {
		return method.Verdict{Reason: reason}, nil
	}
	rec, err := readRecord(cred.State)
	if err != nil {
		return method.Verdict{}, err
	}
	if reason := m.checkAssertion(a, p, rec); reason != "" {
		return method.Verdict{Reason: reason, Used: cred.ID}, nil
	}
	return m.conclude(in.Now, a, p, cred, rec)
}

// owned finds the credential that the answer names and checks whose it is.
func (m *Method) owned(in method.VerifyInput, a asked, p *protocol.ParsedCredentialAssertionData) (method.Credential, string) {
	i := slices.IndexFunc(in.Credentials, func(c method.Credential) bool {
		return c.Kind == method.Passkey && bytes.Equal(c.Handle, p.RawID)
	})
	if i < 0 {
		return method.Credential{}, "passkey.unknown"
	}
	c := in.Credentials[i]
	switch {
	case c.Pending:
		return method.Credential{}, "passkey.pending"
	case c.Person == "" || in.Subject.ID != "" && c.Person != in.Subject.ID:
		return method.Credential{}, "passkey.wrong_person"
	case len(p.Response.UserHandle) > 0 && string(p.Response.UserHandle) != c.Person:
		return method.Credential{}, "passkey.wrong_person"
	case a.Subject == "" && len(p.Response.UserHandle) == 0:
		// Section 7.2 step 6: a discoverable sign-in must say whose it is.
		return method.Credential{}, "passkey.no_user_handle"
	}
	return c, ""
}

// checkAssertion is steps 11 to 21 of section 7.2; "" when all hold.
func (m *Method) checkAssertion(a asked, p *protocol.ParsedCredentialAssertionData, rec record) string {
	cd, flags := p.Response.CollectedClientData, p.Response.AuthenticatorData.Flags
	if reason := m.checkClientData(cd, protocol.AssertCeremony, a); reason != "" {
		return reason
	}
	if flags.HasAttestedCredentialData() {
		return "passkey.malformed"
	}
	if reason := m.checkFlags(flags); reason != "" {
		return reason
	}
	if flags.HasBackupEligible() != rec.BackupEligible {
		return "passkey.backup_changed"
	}
	err := p.Verify(a.Challenge, m.set.RPID, "", m.set.Origins, nil, m.crossOrigin, protocol.TopOriginExplicitVerificationMode,
		m.crossOrigin != nil, !m.optionalUV, true, rec.Key, protocol.SignaturePolicy{})
	if err != nil {
		return "passkey.signature"
	}
	return ""
}

// checkClientData is the part of section 5.8.1 that an attacker can choose, compared exactly.
func (m *Method) checkClientData(cd protocol.CollectedClientData, ceremony protocol.CeremonyType, a asked) string {
	switch {
	case cd.Type != ceremony:
		return "passkey.wrong_ceremony"
	case cd.Challenge != a.Challenge:
		return "passkey.wrong_challenge"
	case !slices.Contains(m.set.Origins, cd.Origin):
		return "passkey.wrong_origin"
	case m.crossOrigin == nil && (cd.CrossOrigin || cd.TopOrigin != ""):
		return "passkey.cross_origin"
	}
	return ""
}

func (m *Method) checkFlags(f protocol.AuthenticatorFlags) string {
	switch {
	case !f.HasUserPresent():
		return "passkey.user_not_present"
	case !m.optionalUV && !f.HasUserVerified():
		return "passkey.user_not_verified"
	case f.HasBackupState() && !f.HasBackupEligible():
		return "passkey.backup_flags"
	}
	return ""
}

// conclude judges the counter, after the signature: a stranger must not be able to raise an alarm.
func (m *Method) conclude(now time.Time, a asked, p *protocol.ParsedCredentialAssertionData, cred method.Credential, rec record) (method.Verdict, error) {
	v := method.Verdict{Used: cred.ID}
	next, ok, changed := rec.Counters.accept(p.Response.AuthenticatorData.Counter, time.UnixMicro(a.Issued), now)
	if !ok {
		v.Reason, v.Risk = "passkey.counter_regressed", true
		if !m.set.AllowCounterRegression {
			v.Code = "passkey.counter_regressed"
			return v, nil
		}
	}
	flags := p.Response.AuthenticatorData.Flags
	if changed || flags.HasBackupState() != rec.BackedUp {
		rec.Counters, rec.BackedUp = next, flags.HasBackupState()
		state, err := json.Marshal(rec)
		if err != nil {
			return method.Verdict{}, err
		}
		cred.State = state
		v.Updated = &cred
	}
	v.OK = true
	v.Evidence = evidence(cred.ID, rec, flags.HasUserVerified(), now)
	return v, nil
}

func evidence(id string, rec record, verified bool, now time.Time) method.Evidence {
	e := method.Evidence{
		Kind: method.Passkey, Credential: id, Factors: method.Possession, PhishingResistant: true,
		UserVerified: verified, DeviceBound: !rec.BackupEligible, Attested: rec.Attested, At: now,
	}
	if verified {
		e.Factors |= method.Inherence
	}
	if rec.AAGUID != zeroAAGUID {
		e.Model = rec.AAGUID
	}
	return e
}

// Over is the State of a question whose challenge both sides know without asking: the hash of what is unlocked. Verify
// then judges an assertion of subject over it, made now.
func (m *Method) Over(challenge []byte, subject string, now time.Time) []byte {
	a := asked{Ceremony: "get", Challenge: b64(challenge), Subject: subject, Issued: now.UnixMicro()}
	state, _ := json.Marshal(a) // strings and a number: it cannot fail
	return state
}
