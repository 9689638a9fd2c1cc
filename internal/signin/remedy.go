package signin

import (
	"cmp"
	"slices"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

// unowned stands for a credential that the person could add.
const unowned = "unowned"

// remedy asks policy what it would say to this person with one method more, the strongest first, and whether it lets
// them add that by themselves. Both answers are policy's own: no page promises what the next one takes back.
func (f *Flow) remedy(sit *situation) Remedy {
	kinds := make([]method.Kind, 0, len(f.traits))
	for kind, t := range f.traits {
		if t.Removable && len(ofKind(sit.owned, kind)) == 0 {
			kinds = append(kinds, kind)
		}
	}
	slices.SortFunc(kinds, func(a, b method.Kind) int {
		return cmp.Or(cmp.Compare(f.traits[b].Strength, f.traits[a].Strength), cmp.Compare(a, b))
	})
	for _, kind := range kinds {
		richer := *sit
		richer.owned = append(slices.Clone(sit.owned), method.Credential{ID: unowned, Person: string(sit.person.ID), Kind: kind})
		if f.decide(&richer).Verdict != policy.Deny {
			return Remedy{Kind: kind, Invited: !f.mayAdd(sit)}
		}
	}
	return Remedy{}
}

// mayAdd reports whether the person could prove enough to add a method without an invitation.
func (f *Flow) mayAdd(sit *situation) bool {
	in := f.input(sit.person, policy.Application{}, policy.ActMethodAdd, policy.Demand{}, sit.now)
	in.Owned, in.Evidence = sit.owned, sit.evidence()
	return policy.Decide(sit.policy, in).Verdict != policy.Deny
}
