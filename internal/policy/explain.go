package policy

// RuleTrace says of one rule whether it speaks of an input, and if not, why.
type RuleTrace struct {
	Rule  string
	State RuleState
	// Applies: every condition is met and the rule is on (or report-only).
	Applies bool
	// Unmet is the first condition that is not: "state", "act", "people", "application"; "" where it applies.
	Unmet string
	// Block, Strength, Freshness and remember as granted.
	Grant Grant
}

// Explain traces every rule of the policy in its order, and last the built-in rule that
// holds: the default where no rule names a strength, or the one of the act, and that of a report. It decides
// nothing; Decide does.
func Explain(p Policy, in Input) []RuleTrace {
	if in.Act == "" {
		in.Act = ActSignIn
	}
	out := make([]RuleTrace, 0, len(p.Rules)+1)
	named := false
	for _, r := range p.Rules {
		t := RuleTrace{Rule: r.Name, State: r.State, Grant: r.Grant}
		ok, unmet := r.matches(in)
		switch {
		case r.State != RuleOn && r.State != RuleReportOnly:
			t.Unmet = "state"
		case !ok:
			t.Unmet = unmet
		default:
			t.Applies = true
		}
		named = named || t.Applies && r.State == RuleOn && r.Grant.Strength != ""
		out = append(out, t)
	}
	if signsIn(in.Act) && !named {
		out = append(out, RuleTrace{Rule: RuleDefault, State: RuleOn, Applies: true, Grant: Grant{Strength: StrengthMFA}})
	}
	if !signsIn(in.Act) {
		out = append(out, RuleTrace{Rule: RuleAct, State: RuleOn, Applies: true, Grant: Grant{Strength: p.level(in)}})
	}
	if in.Person.NewPassword {
		out = append(out, RuleTrace{Rule: RuleReported, State: RuleOn, Applies: true, Grant: Grant{Strength: StrengthMFA, RememberSet: true}})
	}
	return out
}
