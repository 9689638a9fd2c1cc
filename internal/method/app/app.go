// Package app proves possession of a phone's key by the answer to a request: the authenticator app.
//
//	Dispatch ─► number (for the page that asks) and one push a phone
//	                 phone: number typed, unlocked ─► decision, signed {request, number, decision, account, server, time}
//	                 door/phone ─► device.Flow.Answer ─► Judge ─► Ruling ─► Evidence on the challenge
//	OfferUnlock ─► platform passkey on the app's origin ─► Pair(key, passkey) ─► credential (handle = key thumbprint)
//
// Nothing is typed into the browser that asks, so Verify refuses always, and a phone is paired (enrol.Pairing), not
// enrolled. The key is a software key in the app's storage: an approval is never called device-bound, and a number can
// be read out to somebody else, so it is never called phishing-resistant.
//
// Unlocking is WebAuthn with user verification over the hash of the very answer (package passkey judges it).
package app

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey"
	"github.com/gatehouse-id/gatehouse/internal/notice"
)

// Limit is how many phones one person may have.
const Limit = 5

// Settings are fixed for the life of a Method.
type Settings struct {
	// Server is the origin of the sign-in pages: a decision names it.
	Server string
	// Origin is the app's own origin, and RPID its host: the unlocking passkey is made and used there.
	Origin, RPID string
	// Name of the institution, for the phone's passkey dialogue.
	Name string
}

// Method is the authenticator app.
type Method struct {
	set    Settings
	unlock *passkey.Method
}

var (
	_ method.Method   = (*Method)(nil)
	_ method.Outbound = (*Method)(nil)
)

// New checks the settings.
func New(s Settings) (*Method, error) {
	if s.Server == "" || strings.HasSuffix(s.Server, "/") {
		return nil, errors.New("app: the server's origin is missing, or ends in a slash")
	}
	unlock, err := passkey.New(passkey.Settings{RPID: s.RPID, RPName: s.Name, Origins: []string{s.Origin}, Attachment: "platform"})
	if err != nil {
		return nil, fmt.Errorf("app: unlocking: %w", err)
	}
	return &Method{set: s, unlock: unlock}, nil
}

// Traits says what an approval is.
func (m *Method) Traits() method.Traits {
	return method.Traits{
		Kind: method.App, Factors: method.Possession, Limit: Limit, Strength: 70, Removable: true,
		Outbound: true, Elsewhere: true,
	}
}

// Begin has nothing to prepare: Dispatch sends, after a proof only.
func (m *Method) Begin(method.BeginInput) (method.Prompt, error) { return method.Prompt{}, nil }

// Public is Dispatch.Public: what the one page that asks shows.
type Public struct {
	Number string `json:"number"` // digits only
}

// Dispatch chooses the number and names the phones that are pushed to: all of the person's, or the one in.Credential. A
// two-digit number is from 10 to 99, so that no zero in front is lost in reading it out; a six-digit one from 100000.
func (m *Method) Dispatch(in method.DispatchInput) (method.Dispatch, error) {
	var send []method.Outgoing
	for _, c := range in.Credentials {
		if usable(c, in.Subject.ID) && (in.Credential == "" || in.Credential == c.ID) {
			send = append(send, method.Outgoing{Credential: c.ID, Channel: notice.Push})
		}
	}
	if len(send) == 0 {
		return method.Dispatch{}, fault.New(fault.BadInput, "app.none", "There is no phone with the authenticator app on this account. Sign in another way.")
	}
	number, err := chooseNumber(in.Digits, in.Avoid)
	if err != nil {
		return method.Dispatch{}, err
	}
	public, err := json.Marshal(Public{number})
	return method.Dispatch{Public: public, Number: number, Via: notice.Push, Send: send}, err
}

// chooseNumber draws evenly from the numbers of so many digits that are not to be avoided.
func chooseNumber(digits int, avoid []string) (string, error) {
	if digits != 2 && digits != 6 {
		return "", fmt.Errorf("app: a number of %d digits", digits)
	}
	low := int64(10)
	if digits == 6 {
		low = 100_000
	}
	if int64(len(avoid)) >= low {
		return "", fault.New(fault.TooMany, "app.too_many", "Too many requests wait on your phone. Answer or end them first.")
	}
	for {
		n, err := rand.Int(rand.Reader, big.NewInt(9*low))
		if err != nil {
			return "", err
		}
		if number := fmt.Sprint(n.Int64() + low); !slices.Contains(avoid, number) {
			return number, nil
		}
	}
}

// usable says whether a credential is a phone that counts for this person.
func usable(c method.Credential, person string) bool {
	return c.Kind == method.App && !c.Pending && c.Person != "" && c.Person == person
}
