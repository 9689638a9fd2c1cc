package signin

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/incident"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// Problems of text messages and calls.
var (
	problemCapped = fault.New(fault.TooMany, "signin.phone_capped",
		"No more codes can be sent to this number for now. Wait a while, or use another method.")
	problemCountry = fault.New(fault.BadInput, "signin.phone_country",
		"No codes are sent to numbers of that country. Use a number of another country, or another method.")
)

// codeMessage is one code that goes out by text message or call.
type codeMessage struct {
	caller    Caller
	person    people.Person
	out       method.Outgoing
	expires   time.Time
	challenge string // "" where a number is being registered
	now       time.Time
}

// SendCode puts a code to a number that is being registered into the outbox, in the caller's transaction and under the
// same caps as those of signing in (attack G53). problem is a result that commits: what is counted stays counted.
func (f *Flow) SendCode(ctx context.Context, s Store, caller Caller, person people.Person, out method.Outgoing, expires time.Time) (problem *fault.Error, err error) {
	return f.sendCode(ctx, s, codeMessage{caller: caller, person: person, out: out, expires: expires, now: f.Now()})
}

func (f *Flow) sendCode(ctx context.Context, s Store, m codeMessage) (*fault.Error, error) {
	if m.out.Channel != notice.Text && m.out.Channel != notice.Voice || m.out.Address == "" || m.out.Code == "" {
		return nil, fault.New(fault.Internal, "internal", "a code has no number, no channel or is empty")
	}
	if !slices.ContainsFunc(f.Gateway.Countries, func(c string) bool { return m.out.Country != "" && strings.EqualFold(c, m.out.Country) }) {
		return problemCountry, nil
	}
	if problem, err := f.withinCaps(ctx, s, m); err != nil || problem != nil {
		return problem, err
	}
	locale := m.person.Locale
	if locale == "" {
		locale = m.caller.Locale
	}
	kind := "code.text"
	if m.out.Channel == notice.Voice {
		kind = "code.voice"
	}
	params := map[string]string{}
	if m.challenge != "" { // so that whoever carries it can say how far it came
		params["challenge"], params["credential"] = m.challenge, m.out.Credential
	}
	return nil, s.Enqueue(ctx, notice.Message{
		ID: secret.NewID(m.now), Person: string(m.person.ID), Channel: m.out.Channel, To: m.out.Address,
		Kind: kind, Params: params, Code: secret.NewString(m.out.Code), Locale: locale,
		Expires: m.expires, Created: m.now, NotUntil: m.now,
	})
}

// sendingCap is one budget of messages.
type sendingCap struct {
	name, of string
	person   bool // an incident about the person, not the whole house
	limit    throttle.Limit
}

// withinCaps counts a message against every cap, the narrowest first: who hammers one number spends that number's
// budget and not the house's.
func (f *Flow) withinCaps(ctx context.Context, s Store, m codeMessage) (*fault.Error, error) {
	g := f.Gateway
	caps := []sendingCap{
		{"number", m.out.Address, true, g.Number},
		{"account", string(m.person.ID), true, g.Account},
		{"address", Network(address(m.caller)), false, g.Address},
		{"prefix", Prefix(m.out.Address), false, g.Prefix},
		{"total", "", false, g.Total},
	}
	for _, c := range caps {
		if c.name == "address" && c.of == "" {
			continue // no address is known: the other caps hold
		}
		after, ok, err := s.ReserveGuess(ctx, f.Keyring.Pseudonym("signin.send."+c.name, c.of), throttle.Take(c.limit, m.now))
		if err != nil {
			return nil, err
		}
		if !ok {
			wait := throttle.RetryAfter(c.limit, after, m.now)
			return problemCapped.After(wait).With("minutes", minutes(wait)), f.capped(ctx, s, m, c)
		}
	}
	return nil, nil
}

// capped opens an incident where a cap is spent. Nobody's number is in it: a prefix names ten thousand of them.
func (f *Flow) capped(ctx context.Context, s Store, m codeMessage, c sendingCap) error {
	entry := Entry(m.caller, m.now, m.person, "code.sent", audit.Refused)
	entry.Reason, entry.Detail["channel"] = "cap."+c.name, m.out.Channel
	within, err := f.RecordSparingly(ctx, s, m.now, "cap "+c.name+" "+c.of, lockedLines, entry)
	if err != nil || !within {
		return err
	}
	i := incident.Incident{
		ID: secret.NewID(m.now), Kind: incident.Cap, Object: c.name, Opened: m.now, Count: 1,
		Detail: map[string]string{"channel": m.out.Channel, "country": m.out.Country},
	}
	if c.person {
		i.Person = string(m.person.ID)
	}
	if c.name == "prefix" {
		i.Object += " " + c.of
	}
	return s.AddIncident(ctx, i)
}

// Prefix is the part of an E.164 number that pumping walks through: the country code and four digits more.
func Prefix(number string) string {
	digits := strings.TrimPrefix(number, "+")
	return "+" + digits[:min(len(digits), countryCode(digits)+4)]
}

// countryCode is how many digits the country code at the head of an E.164 number has (ITU-T E.164 Annex D and its list
// of assigned codes): one in zones 1 and 7, two for the codes below, three otherwise.
func countryCode(digits string) int {
	if len(digits) < 2 || digits[0] == '1' || digits[0] == '7' {
		return 1
	}
	n, err := strconv.Atoi(digits[:2])
	if err == nil && slices.Contains([]int{20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55,
		56, 57, 58, 60, 61, 62, 63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98}, n) {
		return 2
	}
	return 3
}
