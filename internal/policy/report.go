package policy

import "slices"

// reportOnly gives the reasons that report-only rules would add, each rule judged beside those in force.
func (p Policy) reportOnly(g goal, in Input, ps proofs) []Reason {
	var out []Reason
	for _, r := range p.Rules {
		if r.State != RuleReportOnly {
			continue
		}
		if ok, _ := r.matches(in); ok {
			out = append(out, p.wouldSay(r, g, in, ps)...)
		}
	}
	return out
}

// wouldSay gives the reasons of one rule, were it on.
func (p Policy) wouldSay(r Rule, g goal, in Input, ps proofs) []Reason {
	with := g
	with.strengths, with.fresh, with.blocked = slices.Clone(g.strengths), slices.Clone(g.fresh), nil
	with.add(r, in)
	if r.Grant.Block {
		return with.blocked
	}
	if rests, short := p.restsOnRemembered(with, in, ps); rests && !short {
		return nil
	}
	out := p.reasons(with, ps, func(rule string) bool { return rule == r.Name })
	rested, short := p.restsOnRemembered(g, in, ps)
	if len(out) > 0 || !rested || short || p.met(g, ps) {
		return out
	}
	// The remembered browser would do without this rule, and not with it.
	switch {
	case r.Grant.Freshness.EveryTime:
		return []Reason{{Rule: r.Name, Code: "freshness.every_time"}}
	case r.Grant.RememberSet:
		return []Reason{{Rule: r.Name, Code: "remember"}}
	}
	return []Reason{{Rule: r.Name, Code: "freshness.max_age"}}
}
