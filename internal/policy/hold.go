package policy

import (
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// RuleHold is the rule behind the hold of FirstEnrolment.
const RuleHold = "<first enrolment>"

// onHold decides as if a person did not have the methods that were registered with no more than their password, for
// the applications that those do not open yet; held is false where no such method, or no such application, is meant. A
// remembered browser may stand for such a method, so it counts for nothing either.
func (p Policy) onHold(in Input) (d Decision, held bool) {
	a := in.Application
	on := func(c string) bool { return holds(p.FirstEnrolment.HoldCategories, c) }
	if !signsIn(in.Act) || !on(a.Category) && !slices.ContainsFunc(a.Categories, on) {
		return Decision{}, false
	}
	var until time.Time
	var ids []string
	for _, c := range in.Owned {
		if in.Now.Before(c.HeldUntil) {
			ids = append(ids, c.ID)
			if until.IsZero() || c.HeldUntil.Before(until) {
				until = c.HeldUntil
			}
		}
	}
	if len(ids) == 0 {
		return Decision{}, false
	}
	without := in
	without.Remembered = nil
	without.Owned = slices.DeleteFunc(slices.Clone(in.Owned), func(c method.Credential) bool { return slices.Contains(ids, c.ID) })
	without.Evidence = slices.DeleteFunc(slices.Clone(in.Evidence), func(e method.Evidence) bool { return slices.Contains(ids, e.Credential) })
	if d = p.decide(without); d.Verdict == Deny && p.decide(in).Verdict != Deny {
		d.Reasons = append([]Reason{{RuleHold, "first_enrolment.hold",
			map[string]any{"until": until.UTC().Format("2006-01-02 15:04 UTC")}}}, d.Reasons...)
	}
	return d, true
}
