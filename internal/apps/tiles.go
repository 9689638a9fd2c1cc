package apps

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

// Tile is one application on the landing page.
type Tile struct {
	Name, Category, URL string
	// Asks says in a catalogue code what it asks for: "asks.every_time", "asks.strong", "asks.usual".
	Asks string
}

// Shown gives the policy in force and the applications that a person may know of: open, and for everybody or for an
// audience they belong to. The zero person is a stranger.
func (f *Flow) Shown(ctx context.Context, person people.Person) (inForce policy.Policy, shown []Application, err error) {
	err = f.View(ctx, func(s FlowStore) (err error) {
		if shown, err = s.Applications(ctx); err != nil {
			return err
		}
		inForce, err = s.PolicyInForce(ctx)
		return err
	})
	return inForce, slices.DeleteFunc(shown, func(a Application) bool {
		return a.Closed || a.Audience != "" && !slices.Contains(person.Groups, a.Audience)
	}), err
}

// Tiles are the applications that a person can start, by category and name: shown to them, with an address, and not
// blocked by policy.
func (f *Flow) Tiles(ctx context.Context, person people.Person) ([]Tile, error) {
	inForce, shown, err := f.Shown(ctx, person)
	if err != nil {
		return nil, err
	}
	var out []Tile
	for _, a := range shown {
		if a.URL == "" {
			continue
		}
		if asks := asksOf(inForce, a, person, f.Now()); asks != "" {
			out = append(out, Tile{Name: a.Name, Category: a.Category, URL: a.URL, Asks: asks})
		}
	}
	slices.SortFunc(out, func(a, b Tile) int {
		if c := strings.Compare(a.Category, b.Category); c != 0 {
			return c
		}
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	return out, nil
}

// asksOf asks policy itself what the application would want: of the strongest proof an hour ago, and of a password and
// a passcode just now. "" where it is blocked.
func asksOf(p policy.Policy, a Application, person people.Person, now time.Time) string {
	in := policy.Input{Application: a.policyApplication(), Act: policy.ActSignIn, Now: now, Person: policyPerson(person)}
	anHourAgo := now.Add(-time.Hour)
	in.Evidence = []method.Evidence{{Kind: method.Passkey, Credential: "strongest", Factors: method.Possession | method.Inherence,
		PhishingResistant: true, UserVerified: true, DeviceBound: true, Attested: true, At: anHourAgo}}
	strongest := policy.Decide(p, in)
	in.Evidence = []method.Evidence{
		{Kind: method.Password, Credential: "usual-1", Factors: method.Knowledge, Long: true, At: now},
		{Kind: method.TOTP, Credential: "usual-2", Factors: method.Possession, At: now},
	}
	usual := policy.Decide(p, in)
	switch {
	case hasReason(strongest, "blocked"), hasReason(strongest, "account"):
		return ""
	case hasReason(strongest, "freshness.every_time"):
		return "asks.every_time"
	case usual.Verdict != policy.Allow:
		return "asks.strong"
	}
	return "asks.usual"
}

func hasReason(d policy.Decision, code string) bool {
	return slices.ContainsFunc(d.Reasons, func(r policy.Reason) bool { return r.Code == code })
}

func policyPerson(p people.Person) policy.Person {
	roles := make([]string, len(p.Roles))
	for i, r := range p.Roles {
		roles[i] = string(r)
	}
	return policy.Person{ID: string(p.ID), Username: p.Username, Groups: p.Groups, Roles: roles,
		Active: p.State == people.Active, Lead: method.Kind(p.Lead)}
}
