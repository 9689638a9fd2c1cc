package phone

import (
	"encoding/json"
	"slices"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// Begin has nothing to prepare: Dispatch does.
func (m *Method) Begin(method.BeginInput) (method.Prompt, error) { return method.Prompt{}, nil }

// Dispatched is Dispatch.Public.
type Dispatched struct {
	To     string `json:"to"` // masked
	Via    string `json:"via"`
	Digits int    `json:"digits"`
	// Numbers are all that the person may have a code sent to, the one it went to first.
	Numbers []Number `json:"numbers"`
}

// Number is one that a code can be sent to.
type Number struct {
	Credential string   `json:"credential"`
	To         string   `json:"to"` // masked
	Channels   []string `json:"channels"`
}

// Dispatch makes a code for one of the person's numbers: the one that was asked for, else the one used last.
func (m *Method) Dispatch(in method.DispatchInput) (method.Dispatch, error) {
	numbers := slices.DeleteFunc(slices.Clone(in.Credentials), func(c method.Credential) bool {
		r, ok := read(c)
		return !ok || !m.mine(c, in.Subject) || len(m.ways(r)) == 0 || !m.allowed(r.Country)
	})
	slices.SortStableFunc(numbers, func(a, b method.Credential) int {
		switch {
		case a.ID == in.Credential:
			return -1
		case b.ID == in.Credential:
			return 1
		}
		return b.LastUsed.Compare(a.LastUsed)
	})
	if len(numbers) == 0 || in.Credential != "" && numbers[0].ID != in.Credential {
		return method.Dispatch{}, errNone
	}
	c := numbers[0]
	r, _ := read(c)
	via := m.via(r, in.Via)
	if via == "" {
		return method.Dispatch{}, errVia
	}
	q, code, err := newQuestion(in.Now)
	if err != nil {
		return method.Dispatch{}, err
	}
	q.Credential, q.Via = c.ID, via
	state, err := json.Marshal(q)
	if err != nil {
		return method.Dispatch{}, err
	}
	p := Dispatched{To: Masked(r.Number), Via: via, Digits: CodeDigits}
	for _, c := range numbers {
		r, _ := read(c)
		p.Numbers = append(p.Numbers, Number{Credential: c.ID, To: Masked(r.Number), Channels: m.ways(r)})
	}
	public, err := json.Marshal(p)
	return method.Dispatch{State: state, Public: public, Via: via, Send: []method.Outgoing{
		{Credential: c.ID, Channel: via, Address: r.Number, Country: r.Country, Code: code},
	}}, err
}

// mine reports whether c may prove anything for s.
func (m *Method) mine(c method.Credential, s method.Subject) bool {
	return c.Kind == method.Phone && !c.Pending && c.Person != "" && (s.ID == "" || c.Person == s.ID)
}

// Verify judges a code against the one that the state was sent with, and no other.
func (m *Method) Verify(in method.VerifyInput) (method.Verdict, error) {
	var q question
	if json.Unmarshal(in.State, &q) != nil || q.Credential == "" {
		return method.Verdict{Reason: "phone.none"}, nil
	}
	i := slices.IndexFunc(in.Credentials, func(c method.Credential) bool { return c.ID == q.Credential && m.mine(c, in.Subject) })
	right := q.right(in.Answer.Text)
	switch {
	case i < 0:
		return method.Verdict{Reason: "phone.none"}, nil
	case !q.live(in.Now):
		return method.Verdict{Used: q.Credential, Reason: "phone.expired"}, nil
	case !right:
		return method.Verdict{Used: q.Credential, Reason: "phone.wrong"}, nil
	}
	return method.Verdict{OK: true, Used: q.Credential, Evidence: method.Evidence{
		Kind: method.Phone, Credential: q.Credential, Factors: method.Possession, At: in.Now,
	}}, nil
}
