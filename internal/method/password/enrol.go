package password

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
)

// Offered is Prompt.Public of a registration.
type Offered struct {
	Min int `json:"min"` // characters
	Max int `json:"max"`
}

// Offer tells how long a new password must and may be.
func (m *Method) Offer(in method.OfferInput) (method.Prompt, error) {
	public, err := json.Marshal(Offered{Min: m.minLength(in.Subject), Max: MaxChars})
	return method.Prompt{Public: public}, err
}

func (m *Method) minLength(s method.Subject) int {
	if m.set.MinLength == nil {
		return AloneChars
	}
	return max(MinChars, m.set.MinLength(s))
}

// Enrol judges and hashes a new password. Existing is the one it replaces, which it must differ from. State is not
// needed: a password can be set by an operator too.
func (m *Method) Enrol(in method.EnrolInput) (method.Credential, error) {
	text, err := m.check(in.Subject, in.Answer.Text)
	if err != nil {
		return method.Credential{}, err
	}
	for _, c := range in.Existing {
		if c.Kind != method.Password {
			continue
		}
		h, err := stored(c)
		if err != nil {
			return method.Credential{}, err
		}
		same := false
		if err := m.pool.do(func() { same = h.matches(text) }); err != nil {
			return method.Credential{}, err
		}
		if same {
			return method.Credential{}, fault.New(fault.BadInput, "password.same", "This is your present password. Choose another one.")
		}
	}
	var made argon2id
	if err := m.pool.do(func() { made = newArgon2id(text, m.set.Params) }); err != nil {
		return method.Credential{}, err
	}
	state, err := json.Marshal(record{made.String()})
	if err != nil {
		return method.Credential{}, err
	}
	return method.Credential{Kind: method.Password, Name: in.Name, State: state}, nil
}

// check gives the password as it is hashed, or the fault that says what to do. Length comes first: it costs nothing.
func (m *Method) check(s method.Subject, typed string) (string, error) {
	if len(typed) > MaxBytes {
		return "", tooLong()
	}
	least := m.minLength(s)
	if typed == "" {
		return "", tooShort(least)
	}
	text, ok := normalise(typed)
	if !ok {
		return "", fault.New(fault.BadInput, "password.characters", "The password has characters that cannot be typed everywhere, such as line breaks. Leave them out.")
	}
	n := utf8.RuneCountInString(text)
	switch {
	case n < least:
		return "", tooShort(least)
	case n > MaxChars:
		return "", tooLong()
	case m.contextual(s, text, least):
		return "", fault.New(fault.BadInput, "password.context", "The password is little more than your name, address or institution. Choose one that does not contain them.")
	case m.isCommon(text):
		return "", fault.New(fault.BadInput, "password.common", "Many people use this password, so it is among the first to be tried. Choose another one: four or five random words work well.")
	}
	return text, nil
}

func tooShort(least int) error {
	return fault.New(fault.BadInput, "password.too_short", "The password is too short.").With("min", least)
}

func tooLong() error {
	return fault.New(fault.BadInput, "password.too_long", "The password is too long.").With("max", MaxChars)
}
