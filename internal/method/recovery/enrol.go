package recovery

import (
	"crypto/subtle"
	"encoding/json"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// Offered is Prompt.Public of a registration: the only time that the codes are seen.
type Offered struct {
	Codes []string `json:"codes"`
}

type offered struct {
	Subject string   `json:"u"`
	Issued  int64    `json:"i"` // Unix microseconds
	Codes   []string `json:"c"`
}

func (o offered) live(s method.Subject, now time.Time) bool {
	issued := time.UnixMicro(o.Issued)
	return len(o.Codes) == Codes && o.Subject == s.ID && s.ID != "" && !now.Before(issued) && now.Before(issued.Add(OfferFor))
}

// Offer makes a set, or shows the one again that was not confirmed: it may be on paper already.
func (Method) Offer(in method.OfferInput) (method.Prompt, error) {
	o := offered{Subject: in.Subject.ID, Issued: in.Now.UnixMicro()}
	for range Codes {
		o.Codes = append(o.Codes, secret.Typed(Chars, 5).Reveal())
	}
	var before offered
	if json.Unmarshal(in.Again, &before) == nil && before.live(in.Subject, in.Now) {
		o = before
	}
	public, err := json.Marshal(Offered{Codes: o.Codes})
	if err != nil {
		return method.Prompt{}, err
	}
	state, err := json.Marshal(o)
	return method.Prompt{Public: public, State: state}, err
}

// Enrol keeps the hashes of a set that its owner says to have, or shows to have by one of its codes.
func (Method) Enrol(in method.EnrolInput) (method.Credential, error) {
	var o offered
	if json.Unmarshal(in.State, &o) != nil || !o.live(in.Subject, in.Now) {
		return method.Credential{}, fault.New(fault.BadInput, "recovery.expired", "This page waited too long. Make a new set of codes.")
	}
	var r record
	confirmed := strings.TrimSpace(in.Answer.Text) == Saved
	typed, _ := secret.Untype(in.Answer.Text, Chars)
	for _, code := range o.Codes {
		clean, _ := secret.Untype(code, Chars)
		r.Hashes = append(r.Hashes, secret.Hash(clean))
		confirmed = confirmed || subtle.ConstantTimeCompare([]byte(clean), []byte(typed)) == 1
	}
	if !confirmed {
		return method.Credential{}, fault.New(fault.BadInput, "recovery.unconfirmed",
			"Save or print the codes, then confirm it. They are not shown again.")
	}
	state, err := json.Marshal(r)
	return method.Credential{Kind: method.Recovery, Name: in.Name, State: state}, err
}
