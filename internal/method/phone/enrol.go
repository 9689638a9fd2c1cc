package phone

import (
	"encoding/json"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
)

// Offered is Prompt.Public of a registration.
type Offered struct {
	// Ask is "number" or "code": what is to be typed now.
	Ask string `json:"ask"`
	// Channels to choose from.
	Channels []string `json:"channels"`
	// Country that a number without a country code is taken to be from, "" for none.
	Country string `json:"country,omitempty"`
	// To is the number that the code went to, masked, and Via how.
	To     string `json:"to,omitempty"`
	Via    string `json:"via,omitempty"`
	Digits int    `json:"digits,omitempty"`
}

// Offer asks for the number first, then sends a code to it. After a wrong code it asks for the same one again and
// sends nothing.
func (m *Method) Offer(in method.OfferInput) (method.Prompt, error) {
	if in.Answer.Text == "" {
		var q question
		if json.Unmarshal(in.Again, &q) == nil && q.Subject != "" && q.Subject == in.Subject.ID && q.live(in.Now) {
			return m.askCode(q, nil)
		}
		public, err := json.Marshal(Offered{Ask: "number", Channels: m.set.Channels, Country: m.set.Country})
		return method.Prompt{Public: public}, err
	}
	r, err := m.acceptable(in)
	if err != nil {
		return method.Prompt{}, err
	}
	via := m.via(r, in.Via)
	if via == "" && in.Via != "" && len(m.ways(r)) > 0 {
		return method.Prompt{}, errVia
	}
	if via == "" {
		return method.Prompt{}, fault.New(fault.BadInput, "phone.landline", "A landline cannot take text messages. Use a mobile number.")
	}
	q, code, err := newQuestion(in.Now)
	if err != nil {
		return method.Prompt{}, err
	}
	q.Subject, q.Record, q.Via = in.Subject.ID, r, via
	return m.askCode(q, []method.Outgoing{{Channel: via, Address: r.Number, Country: r.Country, Code: code}})
}

func (m *Method) askCode(q question, send []method.Outgoing) (method.Prompt, error) {
	public, err := json.Marshal(Offered{Ask: "code", Channels: m.ways(q.Record), To: Masked(q.Record.Number), Via: q.Via, Digits: CodeDigits})
	if err != nil {
		return method.Prompt{}, err
	}
	state, err := json.Marshal(q)
	return method.Prompt{Public: public, State: state, Send: send}, err
}

// acceptable reads what was typed and says why it cannot be a method.
func (m *Method) acceptable(in method.OfferInput) (record, error) {
	r, err := parse(in.Answer.Text, m.set.Country)
	if err != nil {
		return r, err
	}
	if !m.allowed(r.Country) {
		return r, fault.New(fault.BadInput, "phone.country",
			"Codes are not sent to numbers of this country from here. Use another number or another method.").With("country", r.Country)
	}
	for _, c := range in.Existing {
		if had, ok := read(c); ok && had.Number == r.Number {
			return r, fault.New(fault.BadInput, "phone.already", "You have this number already.")
		}
	}
	return r, nil
}

// Enrol takes the code that went to the number in the state. Which number that is, no answer says (attack G55).
func (m *Method) Enrol(in method.EnrolInput) (method.Credential, error) {
	var q question
	if json.Unmarshal(in.State, &q) != nil || q.Subject == "" || q.Subject != in.Subject.ID || q.Record.Number == "" || !q.live(in.Now) {
		return method.Credential{}, fault.New(fault.BadInput, "phone.expired",
			"The code was valid for {minutes} minutes. Have another one sent.").With("minutes", int(CodeFor/time.Minute))
	}
	if !q.right(in.Answer.Text) {
		return method.Credential{}, fault.New(fault.BadInput, "phone.wrong", "This code is not right. Type the one that was sent last.")
	}
	state, err := json.Marshal(q.Record)
	if err != nil {
		return method.Credential{}, err
	}
	name := in.Name
	if name == "" || name == string(method.Phone) {
		name = Masked(q.Record.Number) // two numbers are told apart by it
	}
	return method.Credential{Kind: method.Phone, Name: name, State: state}, nil
}
