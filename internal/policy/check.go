package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Problem is one thing in a policy that cannot be put in force.
type Problem struct {
	Rule  int    // index in Policy.Rules, or -1
	Name  string // the rule's name, or the strength's
	Field string // "name", "state", "strength", "max_age", "remember", "people", "applications", "acts", "strengths", "acr", "session", "leads", "first_enrolment"
	Text  string // what is wrong and what to write
}

// Error names the rule and the field.
func (p Problem) Error() string {
	if p.Name == "" {
		return p.Field + ": " + p.Text
	}
	return fmt.Sprintf("%q, %s: %s", p.Name, p.Field, p.Text)
}

// Problems are all that Check found.
type Problems []Problem

// Error lists them, a line each.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// MaxRemember is the longest that a browser may be remembered.
const MaxRemember = 366 * 24 * time.Hour

// Acts are all acts that a rule may name.
func Acts() []Act {
	return []Act{ActSignIn, ActRefreshSignIn, ActMethodAdd, ActMethodRemove, ActMethodRename, ActMethodLead,
		ActPasswordChange, ActBrowserForget, ActSecurityPage}
}

// Check gives nil for a policy that can be put in force, else Problems.
func Check(p Policy) error {
	var out Problems
	names := map[string]bool{}
	for i, r := range p.Rules {
		put := func(field, format string, args ...any) {
			out = append(out, Problem{i, r.Name, field, fmt.Sprintf(format, args...)})
		}
		name := strings.ToLower(r.Name)
		switch {
		case strings.TrimSpace(r.Name) == "" || strings.ContainsAny(r.Name, "<>\n"):
			put("name", "give the rule a name of one line without < and >; logs and answers carry it")
		case names[name]:
			put("name", "another rule has this name: each needs its own")
		}
		names[name] = true
		p.checkRule(r, put)
	}
	out = append(out, p.checkStrengths()...)
	out = append(out, p.checkRest()...)
	if len(out) == 0 {
		return nil
	}
	return out
}

func (p Policy) checkRule(r Rule, put func(field, format string, args ...any)) {
	if r.State != RuleOff && r.State != RuleReportOnly && r.State != RuleOn {
		put("state", "write off, report-only or on")
	}
	for _, a := range r.Acts {
		if !slices.Contains(Acts(), a) {
			put("acts", "%q is no act; acts are %s", a, list(Acts()))
		}
	}
	g := r.Grant
	if g.Strength != "" && !p.known(g.Strength) {
		put("strength", "%q is not known; write %s", g.Strength, list(p.strengthNames()))
	}
	if g.Block && (g.Strength != "" || g.Freshness != Freshness{} || g.RememberSet) {
		put("block", "a rule that blocks grants nothing else: remove strength, fresh and remember")
	}
	if !g.Block && g.Strength == "" && g.Freshness == (Freshness{}) && !g.RememberSet {
		put("strength", "the rule says nothing: write block, strength, fresh or remember")
	}
	if g.Freshness.MaxAge < 0 || g.Freshness.EveryTime && g.Freshness.MaxAge > 0 {
		put("fresh", "write \"every time\" or an age of one second or more, not both")
	}
	if g.Remember < 0 || g.Remember > MaxRemember || !g.RememberSet && g.Remember != 0 {
		put("remember", "write \"never\" or a time of at most 366d")
	}
	if len(r.People.Categories)+len(r.People.ExceptCategories) > 0 {
		put("people", "people have groups, roles and names; categories are for applications")
	}
	a := r.Applications
	if len(a.Groups)+len(a.Roles)+len(a.ExceptGroups)+len(a.ExceptRoles) > 0 {
		put("applications", "applications have categories and names; groups and roles are for people")
	}
	for i, m := range []Match{r.People, a} {
		field := []string{"people", "applications"}[i]
		for _, l := range [][]string{m.Groups, m.Roles, m.Names, m.Categories, m.ExceptGroups, m.ExceptRoles, m.ExceptNames, m.ExceptCategories} {
			if slices.ContainsFunc(l, func(s string) bool { return strings.TrimSpace(s) == "" }) {
				put(field, "an empty name matches nothing: remove it")
			}
		}
	}
}

func (p Policy) checkStrengths() (out Problems) {
	for _, s := range p.ownStrengths() {
		put := func(text string) { out = append(out, Problem{-1, string(s), "strengths", text}) }
		if rank(s) != 2 || s == "" {
			put("this name is built in: choose another")
		}
		if len(p.Strengths[s]) == 0 {
			put("list at least one combination of proofs")
		}
		for _, c := range p.Strengths[s] {
			if len(c) == 0 || len(c) > maxProofs {
				put(fmt.Sprintf("a combination has 1 to %d proofs", maxProofs))
			}
			if slices.ContainsFunc(c, func(m ProofMatch) bool { return slices.Contains(m.Models, "") || slices.Contains(m.Models, anyModel) }) {
				put("a model is an AAGUID or a product name")
			}
		}
	}
	return out
}

func (p Policy) checkRest() (out Problems) {
	seen := map[string]bool{}
	for _, a := range p.ACR {
		put := func(format string, args ...any) {
			out = append(out, Problem{-1, a.Name, "acr", fmt.Sprintf(format, args...)})
		}
		if a.Name == "" || strings.ContainsAny(a.Name, " \t\n\"\\") {
			put("a name of assurance is one word or one address, without spaces")
		}
		if seen[a.Name] {
			put("this name stands here twice")
		}
		seen[a.Name] = true
		if !p.known(a.Strength) {
			put("%q is not known; write %s", a.Strength, list(p.strengthNames()))
		}
	}
	if p.SessionIdle < 0 || p.SessionMax < 0 || p.SessionMax > 0 && p.SessionIdle > p.SessionMax {
		out = append(out, Problem{-1, "", "session", "idle and max are times, and idle is not longer than max"})
	}
	for _, k := range p.Leads {
		if k.Fallback() {
			out = append(out, Problem{-1, "", "leads", fmt.Sprintf("%s never leads: it is for when nothing else is at hand", k)})
		}
	}
	return append(out, p.FirstEnrolment.check()...)
}

// MaxHold bounds FirstEnrolment.Hold and Dormant: what is longer was meant otherwise.
const MaxHold = 366 * 24 * time.Hour

func (e FirstEnrolment) check() (out Problems) {
	put := func(text string) { out = append(out, Problem{-1, "", "first_enrolment", text}) }
	if e.PasswordOnly && len(e.Networks) == 0 {
		put("write the networks that a first method may be registered from: from elsewhere a password alone is never enough")
	}
	for _, n := range e.Networks {
		if !n.IsValid() || n != n.Masked() || n.Bits() < 8 {
			put(fmt.Sprintf("%q is no network of a campus: write one like 192.0.2.0/24", n))
		}
	}
	if e.Hold < 0 || e.Hold > MaxHold || e.Dormant < 0 || e.Dormant > MaxHold {
		put("hold and dormant are times of at most 366d")
	}
	if slices.ContainsFunc(e.HoldCategories, func(c string) bool { return strings.TrimSpace(c) == "" }) {
		put("an empty category holds nothing: remove it")
	}
	return out
}

func (p Policy) ownStrengths() []Strength {
	var out []Strength
	for s := range p.Strengths {
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func (p Policy) strengthNames() []Strength {
	return append([]Strength{StrengthAny, StrengthMFA, StrengthPasswordless, StrengthPhishingResistant, StrengthHardware}, p.ownStrengths()...)
}

func list[T ~string](names []T) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = string(n)
	}
	return strings.Join(out, ", ")
}
