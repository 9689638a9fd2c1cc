package enrol

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// What the page that began a pairing and the old phone that did have in common; device uses it too.

var (
	// ErrPairingEnded says the same for a pairing that is over, cancelled, unknown and somebody else's.
	ErrPairingEnded = fault.New(fault.Expired, "pairing.ended", "This pairing is over. Start again.")

	errUnclaimed = fault.New(fault.Conflict, "pairing.unclaimed", "No phone has scanned the code yet. Scan it, then type the code that the phone shows.")

	// ErrKeyTaken: one key is one phone.
	ErrKeyTaken = fault.New(fault.Conflict, "pairing.key_taken", "This phone is paired already. Remove it first, or use another one.")
)

// codeChars is how long a pairing's short code is: 40 bits, throttled, for ten minutes.
const codeChars = 8

// NewPairing makes one that waits for a phone of p, with what opens it: the token of its link and the code to be typed,
// as XXXX-XXXX. The caller says who began it.
func NewPairing(now time.Time, p people.Person) (pairing Pairing, token secret.String, code string) {
	typed := secret.Typed(codeChars, codeChars/2).Reveal()
	token = secret.Token(16)
	pairing = Pairing{
		ID: secret.NewID(now), Person: string(p.ID), Token: PairingTokenHash(token), Standing: PairingWaiting,
		Created: now, Expires: now.Add(PairingFor),
	}
	pairing.Code, _ = PairingCodeHash(typed)
	return pairing, token, strings.ToUpper(typed)
}

// PairingTokenHash is what the store keeps of a link's token.
func PairingTokenHash(token secret.String) []byte { return secret.Hash("pairing|" + token.Reveal()) }

// PairingCodeHash is what the store keeps of a short code. It forgives what TypedHash forgives; ok is false for what
// cannot be one.
func PairingCodeHash(typed string) (hash []byte, ok bool) {
	clean, ok := secret.Untype(typed, codeChars)
	return secret.Hash("pairing code|" + clean), ok
}

// PairingLink is what the phone's camera opens: the token stands behind the '#', which no server is sent.
func PairingLink(appOrigin string, token secret.String) string {
	return appOrigin + "/#pair=" + token.Reveal()
}

// NewPhoneCode is what the phone shows, 6 digits.
func NewPhoneCode() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%06d", n), nil
}

// Brought is what a phone brings to a pairing: Pairing.Claim.
type Brought struct {
	Handle   []byte `json:"h"`           // thumbprint of its key
	State    []byte `json:"s"`           // of its App credential
	Passcode []byte `json:"p,omitempty"` // State of its passcode credential; nil where the house has no passcodes
	Label    string `json:"l"`           // cleaned
}

// ReadBrought reads a claim.
func ReadBrought(claim []byte) (Brought, error) {
	var b Brought
	if err := json.Unmarshal(claim, &b); err != nil || len(b.Handle) == 0 {
		return b, fmt.Errorf("enrol: a pairing's claim does not read: %w", err)
	}
	return b, nil
}

// BeginPairing saves a pairing in the place of any that the person had under way, and records e about it.
func BeginPairing(ctx context.Context, s Store, p Pairing, e audit.Entry) error {
	before, err := s.PairingsOf(ctx, p.Person)
	if err != nil {
		return err
	}
	for _, b := range before {
		s.Wake(PairingTopic(b.ID))
	}
	if err := s.AddPairing(ctx, p); err != nil {
		return err
	}
	e.Object = p.ID
	return s.Record(ctx, e)
}

// EndPairing leaves nothing of a pairing and records e about it; fault Conflict where it went on meanwhile.
func EndPairing(ctx context.Context, s Store, p Pairing, e audit.Entry) error {
	p.Standing = PairingEnded
	if err := s.UpdatePairing(ctx, p); err != nil {
		return err
	}
	if _, err := s.RemovePairing(ctx, p.ID); err != nil {
		return err
	}
	s.Wake(PairingTopic(p.ID))
	e.Object = p.ID
	return s.Record(ctx, e)
}

// TryPairing compares the code that was typed with the one that the phone shows. refused is set where it does not do: a
// result that commits, with e recorded; the third wrong one leaves nothing of the pairing.
func TryPairing(ctx context.Context, s Store, p Pairing, code string, now time.Time, e audit.Entry) (b Brought, refused, err error) {
	e.Object = p.ID
	switch {
	case !p.Live(now):
		e.Reason = ErrPairingEnded.Code
		return b, ErrPairingEnded, s.Record(ctx, e)
	case p.Standing != PairingClaimed:
		return b, errUnclaimed, nil
	}
	if typed, ok := secret.Untype(code, len(p.PhoneCode)); ok && typed != "" && subtle.ConstantTimeCompare([]byte(typed), []byte(p.PhoneCode)) == 1 {
		b, err = ReadBrought(p.Claim)
		return b, nil, err
	}
	p.Wrong++
	e.Reason = "pairing.code_wrong"
	// Compare-and-swap in every case: of codes that are typed at once one is judged, so that nobody has more than three.
	if p.Wrong >= PairingTries {
		return b, ErrPairingEnded, EndPairing(ctx, s, p, e)
	}
	if err := s.UpdatePairing(ctx, p); err != nil {
		return b, nil, err
	}
	left := PairingTries - p.Wrong
	return b, fault.New(fault.BadInput, "pairing.code_wrong", "This is not the code that the phone shows. Check it and try again.").
		With("left", left), s.Record(ctx, e)
}

// FinishPairing marks a pairing as done: what the phone brought is its credentials' from now on.
func FinishPairing(ctx context.Context, s Store, p Pairing) error {
	p.Standing, p.Claim, p.PhoneCode = Paired, nil, ""
	if err := s.UpdatePairing(ctx, p); err != nil {
		return err
	}
	s.Wake(PairingTopic(p.ID))
	s.Wake(signin.RequestsTopic(p.Person))
	return nil
}

// AddPhone adds what a phone brought as one device: the App credential c (ID, Person, Name, Created and HeldUntil are the
// caller's) and its passcodes. limit is how many phones one person may have; fault Conflict "method.limit", and
// "pairing.key_taken" where the key is another device's already.
func AddPhone(ctx context.Context, s Store, b Brought, c method.Credential, limit int) error {
	all, err := s.CredentialsOf(ctx, c.Person)
	if err != nil {
		return err
	}
	if len(counted(all, method.App)) >= limit {
		return errLimit(limit)
	}
	c.Kind, c.Handle, c.State = method.App, b.Handle, b.State
	err = s.AddCredential(ctx, c)
	if fault.IsKind(err, fault.Conflict) {
		err = ErrKeyTaken
	}
	if err != nil || b.Passcode == nil {
		return err
	}
	return s.AddCredential(ctx, method.Credential{
		ID: secret.NewID(c.Created), Person: c.Person, Kind: method.TOTP, Name: c.Name, State: b.Passcode, Device: c.ID,
		HeldUntil: c.HeldUntil, Created: c.Created,
	})
}

// counted are the credentials of a kind that its limit counts: what lies on a device is the device's.
func counted(all []method.Credential, kind method.Kind) []method.Credential {
	var out []method.Credential
	for _, c := range all {
		if c.Kind == kind && c.Device == "" {
			out = append(out, c)
		}
	}
	return out
}
