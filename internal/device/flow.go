package device

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
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
	// Token is the compact JWS. Method, Path (with query) and Body are those of the request that it came with.
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

	token string // as it came: what a move is unlocked over
	spend []byte // what makes a change by this call one; nil where nothing is changed
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
	// PushHosts are the host names (exact, or "*.example.net") that endpoints may lie at; see webpush.Hosts.
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

var errUnbuilt = fault.New(fault.Internal, "internal", "not built")

// Enter judges a signed call. fault Unauthenticated "device.unknown" for a key that is not (or no more) in use,
// "device.clock" with {now} (Unix seconds) for one signed at another time, "device.refused" for anything else.
func (f *Flow) Enter(ctx context.Context, s Signed) (Phone, error) { return Phone{}, errUnbuilt }

// EnterPairing is Enter for the phone that claimed the pairing, whose key is in no other use yet, and for the old phone
// that began it; fault Expired "pairing.ended" where it is over and gone.
func (f *Flow) EnterPairing(ctx context.Context, s Signed, id string) (Phone, error) {
	return Phone{}, errUnbuilt
}

// Open looks at a pairing by its token or short code (one of them); nothing is changed. fault BadInput
// "pairing.invalid" for unknown, used and expired alike; TooMany "pairing.too_many" after too many.
func (f *Flow) Open(ctx context.Context, c Caller, token, code string) (Opening, error) {
	return Opening{}, errUnbuilt
}

// Claim brings a phone to a pairing: the first one wins, any other is fault Conflict "pairing.claimed".
func (f *Flow) Claim(ctx context.Context, c Caller, in Claim) (Claimed, error) {
	return Claimed{}, errUnbuilt
}

// Pairing gives the standing of a pairing ("claimed", "paired", "ended") to the phone that claimed it or to the old one
// that began it ("waiting" too), and the topic to wait on. p comes from EnterPairing.
func (f *Flow) Pairing(ctx context.Context, p Phone, id string) (standing, topic string, err error) {
	return "", "", errUnbuilt
}

// CancelPairing ends a pairing for the phone that claimed it or began it. p comes from EnterPairing.
func (f *Flow) CancelPairing(ctx context.Context, p Phone, id string) error { return errUnbuilt }

// Account gives what the app shows.
func (f *Flow) Account(ctx context.Context, p Phone) (Account, error) { return Account{}, errUnbuilt }

// Requests gives what waits, and the topic to wait on; it marks what it gives as shown.
func (f *Flow) Requests(ctx context.Context, p Phone) (list []Request, topic string, err error) {
	return nil, "", errUnbuilt
}

// Answer takes a decision. standing is "approved", "denied" or "reported"; fault BadInput "request.wrong_number" (the
// request is over), Conflict "request.over", Forbidden "request.unlock", BadInput "request.answer" for a decision that
// does not read or speaks of something else.
func (f *Flow) Answer(ctx context.Context, p Phone, id string, a Answer) (standing string, err error) {
	return "", errUnbuilt
}

// Extend gives a request more time.
func (f *Flow) Extend(ctx context.Context, p Phone, id string) (expires time.Time, err error) {
	return time.Time{}, errUnbuilt
}

// Subscribe says where pushes go. Of e, URL, P256DH and Auth are read.
func (f *Flow) Subscribe(ctx context.Context, p Phone, e Endpoint) error { return errUnbuilt }

// Unsubscribe removes the endpoint.
func (f *Flow) Unsubscribe(ctx context.Context, p Phone) error { return errUnbuilt }

// Move begins a pairing of another phone from this one; unlock is the assertion over the hash of the call's own JWS.
func (f *Flow) Move(ctx context.Context, p Phone, unlock json.RawMessage) (Moving, error) {
	return Moving{}, errUnbuilt
}

// ConfirmMove takes the code that the new phone shows, pairs it and removes this one, in one moment.
func (f *Flow) ConfirmMove(ctx context.Context, p Phone, pairing, code string) error {
	return errUnbuilt
}

// OpenRestore asks for the platform passkey of a phone that lost its storage; Restore gives it a new key.
func (f *Flow) OpenRestore(ctx context.Context, c Caller) (Opening, error) {
	return Opening{}, errUnbuilt
}

// Restore puts a new key and passcode in the place of the lost ones.
func (f *Flow) Restore(ctx context.Context, c Caller, in Claim) (Claimed, error) {
	return Claimed{}, errUnbuilt
}

// Leave removes the phone itself; fault Conflict "method.last" where its owner could not sign in any more.
func (f *Flow) Leave(ctx context.Context, p Phone) error { return errUnbuilt }
