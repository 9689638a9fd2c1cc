package campus

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

// State is what a campus file governs of a running house.
type State struct {
	Policy       policy.Policy
	Applications []Application
}

// State gives what the file wants.
func (c Campus) State() State { return State{c.Policy, c.Applications} }

// CurrentState is what a house has now.
func CurrentState(p policy.Policy, have []apps.Application) State {
	s := State{Policy: p}
	for _, a := range have {
		s.Applications = append(s.Applications, Application{a, len(a.OIDC.SecretHashes) > 0})
	}
	return s
}

// Change is one line of difference.
type Change struct {
	Sign rune   // '+' added, '-' removed, '~' changed
	What string // "rule", "strength", "name of assurance", "session", "leads", "application"
	Name string
	// Details of a change, "field: before → after".
	Details []string
}

// String prints it as `gatehouse plan` shows it.
func (c Change) String() string {
	s := fmt.Sprintf("%c %s %q", c.Sign, c.What, c.Name)
	if c.Name == "" {
		s = fmt.Sprintf("%c %s", c.Sign, c.What)
	}
	for _, d := range c.Details {
		s += "\n    " + d
	}
	return s
}

// Plan compares: the policy is wholly the file's, so that a rule that is not in it goes; of applications only those
// in the file are touched, for others may have been registered by hand. Client secrets are no difference.
func Plan(current, wanted State) []Change {
	out := planRules(current.Policy.Rules, wanted.Policy.Rules)
	strengths := func(p policy.Policy) map[string]any {
		m := map[string]any{}
		for s, c := range p.Strengths {
			m[string(s)] = c
		}
		return m
	}
	acr := func(p policy.Policy) map[string]any {
		m := map[string]any{}
		for _, a := range p.ACR {
			m[a.Name] = a.Strength
		}
		return m
	}
	out = append(out, planMap("strength", strengths(current.Policy), strengths(wanted.Policy))...)
	out = append(out, planMap("name of assurance", acr(current.Policy), acr(wanted.Policy))...)
	out = append(out, planRest(current.Policy, wanted.Policy)...)
	for _, w := range wanted.Applications {
		i := slices.IndexFunc(current.Applications, func(a Application) bool { return a.ID == w.ID })
		if i < 0 {
			out = append(out, Change{Sign: '+', What: "application", Name: w.Name})
		} else if d := differ(appFields(current.Applications[i]), appFields(w)); len(d) > 0 {
			out = append(out, Change{'~', "application", w.Name, d})
		}
	}
	return out
}

func planRules(current, wanted []policy.Rule) []Change {
	var out []Change
	find := func(rules []policy.Rule, name string) int {
		return slices.IndexFunc(rules, func(r policy.Rule) bool { return r.Name == name })
	}
	for _, r := range current {
		if find(wanted, r.Name) < 0 {
			out = append(out, Change{Sign: '-', What: "rule", Name: r.Name})
		}
	}
	for _, r := range wanted {
		if i := find(current, r.Name); i < 0 {
			out = append(out, Change{'+', "rule", r.Name, describe(ruleFields(r))})
		} else if d := differ(ruleFields(current[i]), ruleFields(r)); len(d) > 0 {
			out = append(out, Change{'~', "rule", r.Name, d})
		}
	}
	return out
}

func planRest(current, wanted policy.Policy) []Change {
	fields := func(p policy.Policy) map[string]string {
		names := make([]string, len(p.ACR))
		for i, a := range p.ACR {
			names[i] = a.Name
		}
		out := phoneFields(p)
		out["session.idle"], out["session.max"] = span(p.SessionIdle, policy.DefaultSessionIdle), span(p.SessionMax, policy.DefaultSessionMax)
		out["leads"], out["order of names of assurance"] = list(p.Leads), strings.Join(names, ", ")
		return out
	}
	if d := differ(fields(current), fields(wanted)); len(d) > 0 {
		return []Change{{'~', "settings", "", d}}
	}
	return nil
}

func planMap(what string, current, wanted map[string]any) []Change {
	var out []Change
	for _, name := range slices.Sorted(maps.Keys(current)) {
		if _, ok := wanted[name]; !ok {
			out = append(out, Change{Sign: '-', What: what, Name: name})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		have, ok := current[name]
		before, after := text(have), text(wanted[name])
		switch {
		case !ok:
			out = append(out, Change{'+', what, name, []string{after}})
		case before != after:
			out = append(out, Change{'~', what, name, []string{before + " → " + after}})
		}
	}
	return out
}

// differ lists the fields that are not equal.
func differ(before, after map[string]string) []string {
	keys := maps.Clone(before)
	maps.Copy(keys, after)
	var out []string
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if before[k] != after[k] {
			out = append(out, fmt.Sprintf("%s: %s → %s", k, orNone(before[k]), orNone(after[k])))
		}
	}
	return out
}

func describe(fields map[string]string) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		if fields[k] != "" {
			out = append(out, k+": "+fields[k])
		}
	}
	return out
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

// text prints a value so that equal ones print alike; empty ones print nothing.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil || string(b) == "{}" || string(b) == "null" || string(b) == "[]" || string(b) == `""` {
		return ""
	}
	return string(b)
}
