package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
)

// errPaired is for whoever tries to enrol a phone like any other method.
var errPaired = fault.New(fault.BadInput, "app.paired", "A phone is paired with the authenticator app: start there.")

// Offer has nothing to offer: enrol.Flow.StartPairing begins.
func (m *Method) Offer(method.OfferInput) (method.Prompt, error) { return method.Prompt{}, nil }

// Enrol refuses: an app is paired.
func (m *Method) Enrol(method.EnrolInput) (method.Credential, error) {
	return method.Credential{}, errPaired
}

// record is Credential.State. The credential's handle is the thumbprint of Key.
type record struct {
	Key    []byte     `json:"key"` // uncompressed point (SEC 1 section 2.3.3)
	Unlock *unlocking `json:"unlock,omitempty"`
}

// unlocking is the phone's platform passkey, as package passkey keeps one.
type unlocking struct {
	ID    []byte `json:"id"`
	State []byte `json:"state"`
	// User is the user handle that it was made with: "<person>.<one for each pairing>", so that two phones that share
	// their passkeys do not overwrite each other's, and a phone that lost its storage finds its account.
	User string `json:"user"`
}

func readRecord(state []byte) (record, error) {
	var r record
	if err := json.Unmarshal(state, &r); err != nil || len(r.Key) == 0 {
		return record{}, fmt.Errorf("app: stored credential does not read: %w", err)
	}
	return r, nil
}

func (u unlocking) credential(id string) method.Credential {
	return method.Credential{ID: id, Person: u.User, Kind: method.Passkey, Handle: u.ID, State: u.State}
}

// KeyOf gives the phone's key of a credential.
func KeyOf(c method.Credential) (Key, error) { return KeyIn(c.State) }

// KeyIn gives the phone's key in a credential's state.
func KeyIn(state []byte) (Key, error) {
	r, err := readRecord(state)
	if err != nil {
		return Key{}, err
	}
	return parsePoint(r.Key)
}

// Unlocks says whether the phone has an unlocking passkey.
func Unlocks(c method.Credential) bool {
	r, err := readRecord(c.State)
	return err == nil && r.Unlock != nil
}

// UserHandle is the user handle of an unlocking passkey; pairing is one for each time that a phone is paired.
func UserHandle(person, pairing string) string { return person + "." + pairing }

// OwnerOf gives the person of a user handle, "" where it is none of ours.
func OwnerOf(userHandle string) string {
	person, pairing, ok := strings.Cut(userHandle, ".")
	if !ok || pairing == "" || len(userHandle) > 64 {
		return ""
	}
	return person
}

// OfferUnlock asks a phone for a platform passkey. subject is who it is shown as; user comes from UserHandle.
func (m *Method) OfferUnlock(user string, subject method.Subject, now time.Time) (method.Prompt, error) {
	subject.ID = user
	return m.unlock.Offer(method.OfferInput{Subject: subject, Now: now})
}

// Pair makes the State of a phone's credential of its key and, where registration is given, its unlocking passkey. state
// is OfferUnlock's for the same user. A registration that does not do is fault BadInput.
func (m *Method) Pair(key Key, user string, state []byte, registration json.RawMessage, now time.Time) ([]byte, error) {
	r := record{Key: key.point}
	if len(registration) > 0 && !bytes.Equal(registration, []byte("null")) {
		c, err := m.unlock.Enrol(method.EnrolInput{Subject: method.Subject{ID: user}, State: state,
			Answer: method.Answer{JSON: registration}, Now: now})
		if err != nil {
			return nil, err
		}
		r.Unlock = &unlocking{ID: c.Handle, State: c.State, User: user}
	}
	return json.Marshal(r)
}

// OfferRestore asks for any unlocking passkey of this house: nobody is known, so none is named.
func (m *Method) OfferRestore(now time.Time) (method.Prompt, error) {
	return m.unlock.Begin(method.BeginInput{Now: now})
}

// Claims reads whose phone an assertion says it unlocks; nobody has verified it yet.
func Claims(assertion json.RawMessage) (person string) {
	var w struct {
		Response struct {
			UserHandle string `json:"userHandle"`
		} `json:"response"`
	}
	if len(assertion) > maxAssertion || json.Unmarshal(assertion, &w) != nil {
		return ""
	}
	raw, ok := decode(w.Response.UserHandle)
	if !ok {
		return ""
	}
	return OwnerOf(string(raw))
}

// maxAssertion bounds what is read of an assertion before it is judged.
const maxAssertion = 16 << 10

// Restore judges an assertion of the unlocking passkey of one of owned, asked for by OfferRestore, and gives that
// phone's credential with the state that it has with the new key. reason is "" when it holds.
func (m *Method) Restore(owned []method.Credential, state []byte, assertion json.RawMessage, key Key, now time.Time) (lost method.Credential, restored []byte, reason string) {
	reason = "app.unknown"
	for _, c := range owned {
		rec, err := readRecord(c.State)
		if !usable(c, c.Person) || err != nil || rec.Unlock == nil {
			continue
		}
		v, err := m.unlock.Verify(method.VerifyInput{
			Credentials: []method.Credential{rec.Unlock.credential(c.ID)}, State: state, Answer: method.Answer{JSON: assertion}, Now: now,
		})
		if err != nil || !v.OK {
			if err == nil && v.Reason != "passkey.unknown" {
				reason = "app.unlock_" + v.Reason[len("passkey."):]
			}
			continue
		}
		if v.Updated != nil {
			rec.Unlock.State = v.Updated.State
		}
		rec.Key = key.point
		if restored, err = json.Marshal(rec); err != nil {
			return method.Credential{}, nil, "app.credential"
		}
		return c, restored, ""
	}
	return method.Credential{}, nil, reason
}
