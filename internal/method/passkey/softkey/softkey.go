// Package softkey is a WebAuthn authenticator and browser in software, for tests, the demo and the bench.
//
//	options JSON (what the page gives to navigator.credentials) ─► Create / Get ─► JSON as toJSON() gives it
//
// It makes discoverable ES256 credentials with user verification. Its fields are knobs: an honest authenticator needs
// only Origin, an attacker's sets the others. It is no place for a real key: private keys lie in memory, unprotected.
package softkey

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"sync"
)

// ErrNoCredential means that none of this authenticator's credentials fits the options; a browser would say
// NotAllowedError.
var ErrNoCredential = errors.New("softkey: no credential fits")

// ErrExcluded means that one of excludeCredentials lives here; a browser would say InvalidStateError.
var ErrExcluded = errors.New("softkey: already registered here")

// Authenticator signs. It is safe for concurrent use as long as its knobs are not changed meanwhile.
type Authenticator struct {
	// Origin that the browser reports.
	Origin string
	// NotPresent and NotVerified clear the UP and UV flags.
	NotPresent, NotVerified bool
	// BackupEligible and BackedUp set the BE and BS flags.
	BackupEligible, BackedUp bool
	// AAGUID is the model it claims to be.
	AAGUID [16]byte
	// Count makes the signature counter rise by one with every assertion, from one; without it the counter stays at
	// zero, as with synced passkeys.
	Count bool
	// Transports that the browser reports; nil: "internal".
	Transports []string

	// What follows is for attackers.

	// RPID replaces the options' relying party id in the signed data.
	RPID string
	// Type and Challenge replace clientDataJSON's.
	Type, Challenge string
	// CrossOrigin reports that the page was framed.
	CrossOrigin bool
	// CounterIs, if set, is the counter to report.
	CounterIs *uint32
	// UserHandle, if set, replaces the user handle (an empty one leaves it out).
	UserHandle *[]byte
	// CredentialID, if set, is the id that Create uses instead of a random one.
	CredentialID []byte
	// Algorithm, if not 0, is written into the COSE key instead of ES256.
	Algorithm int64
	// NotDiscoverable reports credProps.rk = false.
	NotDiscoverable bool
	// Attachment that the browser reports; "": "platform".
	Attachment string
	// IgnoreExclude registers even where the options exclude it.
	IgnoreExclude bool
	// Use, if set, is the credential id that Get signs with, whatever the options allow.
	Use []byte
	// ChangeAuthData, if set, rewrites authenticator data before it is signed.
	ChangeAuthData func([]byte) []byte

	mu          sync.Mutex
	credentials []*Credential
}

// Credential is one key pair.
type Credential struct {
	ID         []byte
	RPID       string
	UserHandle []byte
	Key        *ecdsa.PrivateKey
	Counter    uint32
}

// New makes an honest authenticator without credentials whose browser stands at origin.
func New(origin string) *Authenticator { return &Authenticator{Origin: origin} }

// Credentials gives copies of what is registered, oldest first.
func (a *Authenticator) Credentials() []Credential {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]Credential, 0, len(a.credentials))
	for _, c := range a.credentials {
		out = append(out, *c)
	}
	return out
}

// Add puts a credential into the authenticator: a clone is made by adding one authenticator's to another.
func (a *Authenticator) Add(c Credential) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.credentials = append(a.credentials, &c)
}

type descriptor struct {
	ID string `json:"id"`
}

type options struct {
	PublicKey *options `json:"publicKey"` // the options may come wrapped
	Challenge string   `json:"challenge"`
	RPID      string   `json:"rpId"`
	RP        struct {
		ID string `json:"id"`
	} `json:"rp"`
	User struct {
		ID string `json:"id"`
	} `json:"user"`
	Allow   []descriptor `json:"allowCredentials"`
	Exclude []descriptor `json:"excludeCredentials"`
}

func parse(optionsJSON []byte) (options, error) {
	var o options
	if err := json.Unmarshal(optionsJSON, &o); err != nil {
		return options{}, err
	}
	if o.PublicKey != nil {
		o = *o.PublicKey
	}
	if o.Challenge == "" {
		return options{}, errors.New("softkey: options without a challenge")
	}
	return o, nil
}

// Create registers a credential and gives the registration response.
func (a *Authenticator) Create(optionsJSON []byte) (json.RawMessage, error) {
	o, err := parse(optionsJSON)
	if err != nil {
		return nil, err
	}
	user, err := b64dec(o.User.ID)
	if err != nil {
		return nil, err
	}
	if !a.IgnoreExclude && a.find(o.RP.ID, o.Exclude, true) != nil {
		return nil, ErrExcluded
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	c := Credential{ID: bytes.Clone(a.CredentialID), RPID: o.RP.ID, UserHandle: user, Key: key}
	if c.ID == nil {
		c.ID = make([]byte, 32)
		rand.Read(c.ID)
	}
	a.Add(c)
	cose, err := a.cose(key)
	if err != nil {
		return nil, err
	}
	attested := append(a.AAGUID[:], 0, 0)
	binary.BigEndian.PutUint16(attested[16:], uint16(len(c.ID)))
	attested = append(append(attested, c.ID...), cose...)
	auth := a.authData(o.RP.ID, 0, attested)
	object := append([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData"), byteString(auth)...)
	clientData, err := a.clientData("webauthn.create", o.Challenge)
	if err != nil {
		return nil, err
	}
	return a.response(c.ID, map[string]any{"credProps": map[string]any{"rk": !a.NotDiscoverable}}, map[string]any{
		"clientDataJSON": b64(clientData), "attestationObject": b64(object), "transports": a.transports(),
	})
}

// Get signs an assertion with the newest credential that fits, and gives the authentication response.
func (a *Authenticator) Get(optionsJSON []byte) (json.RawMessage, error) {
	o, err := parse(optionsJSON)
	if err != nil {
		return nil, err
	}
	c := a.find(o.RPID, o.Allow, false)
	if a.Use != nil {
		c = a.find("", []descriptor{{b64(a.Use)}}, true)
	}
	if c == nil {
		return nil, ErrNoCredential
	}
	clientData, err := a.clientData("webauthn.get", o.Challenge)
	if err != nil {
		return nil, err
	}
	auth := a.authData(o.RPID, a.next(c), nil)
	hash := sha256.Sum256(clientData)
	digest := sha256.Sum256(append(bytes.Clone(auth), hash[:]...))
	sig, err := ecdsa.SignASN1(rand.Reader, c.Key, digest[:])
	if err != nil {
		return nil, err
	}
	response := map[string]any{"clientDataJSON": b64(clientData), "authenticatorData": b64(auth), "signature": b64(sig)}
	handle := c.UserHandle
	if a.UserHandle != nil {
		handle = *a.UserHandle
	}
	if len(handle) > 0 {
		response["userHandle"] = b64(handle)
	}
	return a.response(c.ID, map[string]any{}, response)
}

// find looks the newest fitting credential up. An empty list fits all, unless listed.
func (a *Authenticator) find(rpID string, ids []descriptor, listed bool) *Credential {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := len(a.credentials) - 1; i >= 0; i-- {
		c := a.credentials[i]
		if rpID != "" && c.RPID != rpID {
			continue
		}
		fits := len(ids) == 0 && !listed
		for _, d := range ids {
			fits = fits || d.ID == b64(c.ID)
		}
		if fits {
			return c
		}
	}
	return nil
}

func (a *Authenticator) next(c *Credential) uint32 {
	if a.CounterIs != nil {
		return *a.CounterIs
	}
	if !a.Count {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c.Counter++
	return c.Counter
}

// authData is section 6.1.
func (a *Authenticator) authData(rpID string, counter uint32, attested []byte) []byte {
	if a.RPID != "" {
		rpID = a.RPID
	}
	hash := sha256.Sum256([]byte(rpID))
	var flags byte
	for bit, on := range map[byte]bool{0x01: !a.NotPresent, 0x04: !a.NotVerified, 0x08: a.BackupEligible, 0x10: a.BackedUp, 0x40: attested != nil} {
		if on {
			flags |= bit
		}
	}
	out := append(hash[:], flags)
	out = binary.BigEndian.AppendUint32(out, counter)
	out = append(out, attested...)
	if a.ChangeAuthData != nil {
		out = a.ChangeAuthData(out)
	}
	return out
}

func (a *Authenticator) clientData(kind, challenge string) ([]byte, error) {
	if a.Type != "" {
		kind = a.Type
	}
	if a.Challenge != "" {
		challenge = a.Challenge
	}
	return json.Marshal(struct {
		Type        string `json:"type"`
		Challenge   string `json:"challenge"`
		Origin      string `json:"origin"`
		CrossOrigin bool   `json:"crossOrigin"`
	}{kind, challenge, a.Origin, a.CrossOrigin})
}

func (a *Authenticator) transports() []string {
	if a.Transports == nil {
		return []string{"internal"}
	}
	return a.Transports
}

func (a *Authenticator) response(id []byte, extensions, response map[string]any) (json.RawMessage, error) {
	attachment := a.Attachment
	if attachment == "" {
		attachment = "platform"
	}
	return json.Marshal(map[string]any{
		"id": b64(id), "rawId": b64(id), "type": "public-key", "authenticatorAttachment": attachment,
		"clientExtensionResults": extensions, "response": response,
	})
}

// cose writes the COSE_Key {1: 2, 3: alg, -1: 1, -2: x, -3: y} (RFC 9053 section 7.1.1).
func (a *Authenticator) cose(key *ecdsa.PrivateKey) ([]byte, error) {
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	alg := a.Algorithm
	if alg == 0 {
		alg = -7
	}
	out := append([]byte{0xa5, 0x01, 0x02, 0x03}, negative(alg)...)
	out = append(out, 0x20, 0x01, 0x21)
	out = append(out, byteString(point[1:33])...)
	out = append(out, 0x22)
	return append(out, byteString(point[33:65])...), nil
}

// negative encodes a negative CBOR integer down to -65536.
func negative(n int64) []byte {
	v := -1 - n
	switch {
	case v < 24:
		return []byte{0x20 | byte(v)}
	case v < 256:
		return []byte{0x38, byte(v)}
	}
	return []byte{0x39, byte(v >> 8), byte(v)}
}

func byteString(b []byte) []byte {
	switch {
	case len(b) < 24:
		return append([]byte{0x40 | byte(len(b))}, b...)
	case len(b) < 256:
		return append([]byte{0x58, byte(len(b))}, b...)
	}
	return append([]byte{0x59, byte(len(b) >> 8), byte(len(b))}, b...)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func b64dec(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }
