package password

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// record is Credential.State.
type record struct {
	// Hash is a PHC string, or the text of the scheme it was imported with.
	Hash string `json:"h"`
}

// Import makes the credential of somebody whose password was hashed elsewhere (argon2id, bcrypt, PBKDF2, sha512-crypt,
// {SSHA}). It proves as it is and is hashed anew at the first right answer.
func Import(hash string) (method.Credential, error) {
	if _, err := parseHash(hash); err != nil {
		return method.Credential{}, err
	}
	state, err := json.Marshal(record{hash})
	return method.Credential{Kind: method.Password, State: state}, err
}

// Begin has nothing to prepare.
func (m *Method) Begin(method.BeginInput) (method.Prompt, error) { return method.Prompt{}, nil }

// Verify judges a password. With no credential (an unknown name, or one without a password) it does the same work and
// refuses. Its one error beside a broken machine is fault Busy, before any work.
func (m *Method) Verify(in method.VerifyInput) (method.Verdict, error) {
	text, ok := normalise(in.Answer.Text)
	if !ok {
		return method.Verdict{Reason: "password.unreadable"}, nil
	}
	i := slices.IndexFunc(in.Credentials, func(c method.Credential) bool {
		return c.Kind == method.Password && !c.Pending && c.Person != "" && (in.Subject.ID == "" || c.Person == in.Subject.ID)
	})
	if i < 0 {
		return method.Verdict{Reason: "password.none"}, m.pool.do(func() { m.decoy.matches(text) })
	}
	c := in.Credentials[i]
	stored, err := stored(c)
	if err != nil {
		return method.Verdict{}, err
	}
	var right bool
	var renewed *method.Credential
	err = m.pool.do(func() { right, renewed = m.work(c, stored, text, in.Answer.Text) })
	if err != nil {
		return method.Verdict{}, err
	}
	if !right {
		return method.Verdict{Reason: "password.wrong", Used: c.ID}, nil
	}
	return method.Verdict{
		OK: true, Used: c.ID, Updated: renewed,
		Evidence: method.Evidence{
			Kind: method.Password, Credential: c.ID, Factors: method.Knowledge,
			Long: utf8.RuneCountInString(text) >= AloneChars, At: in.Now,
		},
	}, nil
}

func stored(c method.Credential) (hashed, error) {
	var r record
	if err := json.Unmarshal(c.State, &r); err != nil {
		return nil, fmt.Errorf("password: stored credential %s does not read", c.ID)
	}
	h, err := parseHash(r.Hash)
	if err != nil {
		return nil, fmt.Errorf("password: stored credential %s: %w", c.ID, err)
	}
	return h, nil
}

// work is what happens in the pool. A hash of another scheme or of lesser parameters is made anew where it was right;
// where it was wrong the decoy costs as much, so that a fast answer does not tell an imported account from an unknown
// name.
func (m *Method) work(c method.Credential, h hashed, text, typed string) (right bool, renewed *method.Credential) {
	a, own := h.(argon2id)
	right = h.matches(text)
	if !own && !right && typed != text {
		// Other systems hashed what was typed, unnormalised.
		right = h.matches(typed)
	}
	switch {
	case own && !a.weakerThan(m.set.Params):
		return right, nil
	case !right:
		m.decoy.matches(text)
		return false, nil
	}
	state, err := json.Marshal(record{newArgon2id(text, m.set.Params).String()})
	if err != nil {
		return true, nil
	}
	c.State = state
	return true, &c
}
