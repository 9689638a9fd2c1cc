package policy

import (
	"cmp"
	"math/bits"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// maxProofs bounds how many proofs a goal may still need: with more, nobody would finish.
const maxProofs = 4

// possible gives, for each owned credential, the proof it would give at best if asked now. What a credential has
// already shown of itself in log is taken from there; what nobody knows yet (its model, its attestation, whether a
// password is long) is assumed for the best, because asking is how to find out.
func possible(owned []method.Credential, traits map[method.Kind]method.Traits, log proofs, now time.Time) proofs {
	var out proofs
	at := now.Add(clockSkew) // so that no bound set by another node's clock lies beyond it
	seen := map[method.Kind]int{}
	for _, c := range owned {
		t, offered := traits[c.Kind]
		if c.Pending || !offered || c.ID == "" {
			continue
		}
		if i := slices.IndexFunc(log, func(e method.Evidence) bool { return e.Credential == c.ID && e.Kind == c.Kind }); i >= 0 {
			e := log[i]
			e.At = at
			out = append(out, e)
			continue
		}
		// Unproven credentials of one kind look alike: no goal needs more than maxProofs of them.
		if seen[c.Kind]++; seen[c.Kind] > maxProofs {
			continue
		}
		out = append(out, method.Evidence{
			Kind: c.Kind, Credential: c.ID, Factors: t.Factors, PhishingResistant: t.PhishingResistant,
			UserVerified: t.PhishingResistant || bits.OnesCount8(uint8(t.Factors)) > 1,
			DeviceBound:  t.PhishingResistant, Attested: t.PhishingResistant, Model: anyModel, Long: true, At: at,
		})
	}
	return out
}

// anyModel marks a proof not given yet, whose model is unknown.
const anyModel = "*"

// ask gives the kinds that lead towards the goal, best first: those in some smallest set of owned credentials that,
// together with what is proven, meets it. Before any proof only kinds that may open an attempt are asked.
func (p Policy) ask(g goal, in Input, ps proofs) []method.Kind {
	own := possible(in.Owned, in.Traits, ps, in.Now)
	var kinds []method.Kind
	for _, set := range p.ways(g, ps, own) {
		opens := len(ps) > 0 || slices.ContainsFunc(set, func(e method.Evidence) bool { return in.Traits[e.Kind].First })
		for _, e := range set {
			if opens && (len(ps) > 0 || in.Traits[e.Kind].First) && !slices.Contains(kinds, e.Kind) {
				kinds = append(kinds, e.Kind)
			}
		}
	}
	return p.Order(in.Person.Lead, kinds, in.Traits)
}

// ways lists the minimal sets of own proofs that complete the goal. Because strengths are monotone, a set that holds
// one already found is never minimal.
func (p Policy) ways(g goal, ps, own proofs) []proofs {
	if len(own) > 63 {
		own = own[:63]
	}
	var found []uint64
	var out []proofs
	var try func(size, from int, chosen uint64, set proofs)
	try = func(size, from int, chosen uint64, set proofs) {
		for _, f := range found {
			if f&chosen == f {
				return
			}
		}
		if len(set) == size {
			if p.met(g, append(slices.Clone(set), ps...)) {
				found = append(found, chosen)
				out = append(out, slices.Clone(set))
			}
			return
		}
		for i := from; i < len(own); i++ {
			try(size, i+1, chosen|1<<i, append(set, own[i]))
		}
	}
	for size := 1; size <= min(maxProofs, len(own)); size++ {
		if size > 2 && len(out) > 0 {
			break // somebody who can finish with two is not offered a longer way
		}
		try(size, 0, 0, nil)
	}
	return out
}

// reachable reports whether the goal is met or could be by asking.
func (p Policy) reachable(g goal, in Input, ps proofs) bool {
	return p.met(g, ps) || len(p.ask(g, in, ps)) > 0
}

// Order sorts kinds for a menu: the member's lead where policy lets it lead, then those that may lead, then the
// rest, each the strongest first. Fallbacks (a text message, recovery codes) never lead and come last.
func (p Policy) Order(lead method.Kind, kinds []method.Kind, traits map[method.Kind]method.Traits) []method.Kind {
	class := func(k method.Kind) int {
		switch {
		case k.Fallback():
			return 3
		case len(p.Leads) > 0 && !slices.Contains(p.Leads, k):
			return 2
		case k == lead:
			return 0
		}
		return 1
	}
	out := slices.Clone(kinds)
	slices.SortFunc(out, func(a, b method.Kind) int {
		return cmp.Or(class(a)-class(b), traits[b].Strength-traits[a].Strength, cmp.Compare(a, b))
	})
	return out
}
