package device

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/app"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// Caller is what is known of who calls before a signature was seen.
type Caller struct {
	Address netip.Addr
	Agent   string
	Locale  string
}

// Signed is a call's Authorization as it came, with what it must speak of.
type Signed struct {
	Caller
	// Token is the compact JWS. Method, Path (with query) and Body are those of the request that it came with. Body is nil
	// where the body was made over the token (a move).
	Token, Method, Path string
	Body                []byte
}

// Phone is a device whose signature was judged: Enter gives it, and the calls that follow take it. While one call
// waits, the same Phone is used again: the signature is not judged twice, the device's standing is.
type Phone struct {
	Caller
	Device     string // thumbprint of its key, base64url
	Credential string // ID of its App credential; "" while its pairing is not confirmed
	Person     string

	entered method.Credential // as Enter found it
	handle  []byte            // thumbprint
	token   string            // as it came: what a move is unlocked over
	spend   []byte            // what makes the change by this call one
	pairing string            // that EnterPairing was asked for
}

// Opening is what a phone learns before it claims a pairing.
type Opening struct {
	Pairing string
	Expires time.Time
	State   string // sealed; comes back with the claim
	Unlock  Unlock
}

// Unlock is the platform passkey that answers are unlocked with.
type Unlock struct {
	Required bool
	Options  json.RawMessage // WebAuthn creation or request options, JSON form
}

// Claim is what a phone brings to a pairing (and to a restoring, where Unlock is the assertion).
type Claim struct {
	State  string
	Key    json.RawMessage // JWK, P-256
	Unlock json.RawMessage // registration or assertion response, or nil
	Name   string
	Proof  string // JWS by the new key
}

// Claimed is what the phone then shows and keeps.
type Claimed struct {
	Device   string // RFC 7638 thumbprint of the key
	Account  string // opaque
	Code     string // 6 digits to be typed where the pairing began; "" after restoring
	Passcode Passcode
	Expires  time.Time
}

// Passcode is the secret of the phone's passcodes (RFC 6238). It is handed over once.
type Passcode struct {
	Secret    secret.String // base32
	Algorithm string
	Digits    int
	Period    int // seconds
}

// Account is what the app shows of an account, and does not store.
type Account struct {
	Account, Username, Name, DeviceName string
	Push, Unlock                        bool
}

// Request is one that waits, as a phone sees it: without its number.
type Request struct {
	ID, Account string
	Digits      int
	Application string
	Country     string // ISO 3166-1 alpha-2, "" unknown
	Address     string
	Agent       string
	Known       bool
	Created     time.Time
	Expires     time.Time
	CanExtend   bool
}

// Answer is a decision, signed by the phone's key, with the unlocking assertion where there is one.
type Answer struct {
	JWS    string
	Unlock json.RawMessage
}

// Moving is a pairing that the old phone began.
type Moving struct {
	Pairing, Token, Code string
	Expires              time.Time
}

// Deps are what the flow needs. All fields but Log are required.
type Deps struct {
	InTx, View func(context.Context, func(Store) error) error
	SignIn     *signin.Flow
	Methods    map[method.Kind]method.Method
	Box        *secret.Box
	Keyring    *secret.Keyring
	// Origin is the app's, Server the sign-in pages' ("https://signin.example.ac.uk").
	Origin, Server string
	// PushAllowed alone says whether a phone may name an endpoint, its form and length included; see webpush.Hosts.
	PushAllowed func(endpoint string) bool
	Now         func() time.Time
	Log         *slog.Logger
}

// Flow serves phones. It holds settings only and is safe for concurrent use.
type Flow struct{ Deps }

// New makes the flow.
func New(d Deps) *Flow {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Flow{d}
}

// app gives the method; fault BadInput where the house does not offer it.
func (f *Flow) app() (*app.Method, error) {
	m, ok := f.Methods[method.App].(*app.Method)
	if !ok {
		return nil, fault.New(fault.BadInput, "enrol.method_unknown", "This sign-in method is not offered here.")
	}
	return m, nil
}

// entry begins an audit entry by p about p, from where the phone is.
func (c Caller) entry(now time.Time, p people.Person, act string, outcome audit.Outcome) audit.Entry {
	return signin.Entry(c.signin(), now, p, act, outcome)
}

func (c Caller) signin() signin.Caller {
	return signin.Caller{Address: c.Address, Agent: c.Agent, Locale: c.Locale, Door: "phone"}
}
