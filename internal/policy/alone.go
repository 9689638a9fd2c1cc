package policy

import "slices"

// PasswordMayStandAlone reports whether a password may be all that a person gives for some application: because a
// rule asks them for no more than any proof, or because a browser may be remembered for them. Such a password has at
// least 15 characters, any other 8 (NIST SP 800-63B section 3.1.1.2). It errs on the side of yes.
func (p Policy) PasswordMayStandAlone(person Person) bool {
	var anyProof, remembers, alwaysMore, neverRemembers bool
	for _, r := range p.Rules {
		if r.State != RuleOn || !r.speaksOf(ActSignIn) || !r.People.person(person) {
			continue
		}
		g := r.Grant
		anyProof = anyProof || g.Strength == StrengthAny
		remembers = remembers || g.RememberSet && g.Remember > 0
		if !r.Applications.everything() {
			continue
		}
		strong := rank(g.Strength) > rank(StrengthMFA)
		alwaysMore = alwaysMore || g.Block || g.Strength != "" && g.Strength != StrengthAny
		neverRemembers = neverRemembers || strong || g.Block || g.Freshness.EveryTime || g.RememberSet && g.Remember == 0
	}
	return anyProof && !alwaysMore || remembers && !neverRemembers
}

// everything reports whether m excludes nothing.
func (m Match) everything() bool {
	return len(slices.Concat(m.Groups, m.Roles, m.Names, m.Categories,
		m.ExceptGroups, m.ExceptRoles, m.ExceptNames, m.ExceptCategories)) == 0
}
