package policy

import (
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/people"
)

// matches reports whether the rule speaks of this input, else the first condition unmet ("people", "act",
// "application"). The rule's state is not looked at.
func (r Rule) matches(in Input) (bool, string) {
	if !r.speaksOf(in.Act) {
		return false, "act"
	}
	if !r.People.person(in.Person) {
		return false, "people"
	}
	if signsIn(in.Act) && !r.Applications.application(in.Application) {
		return false, "application"
	}
	return true, ""
}

func signsIn(a Act) bool { return a == ActSignIn || a == ActRefreshSignIn }

// speaksOf: refreshing one's sign-in is held to the rules of signing in.
func (r Rule) speaksOf(a Act) bool {
	if len(r.Acts) == 0 {
		return signsIn(a)
	}
	return slices.Contains(r.Acts, a) || a == ActRefreshSignIn && slices.Contains(r.Acts, ActSignIn)
}

func (m Match) person(p Person) bool {
	if meet(m.ExceptGroups, p.Groups) || meet(m.ExceptRoles, p.Roles) || named(m.ExceptNames, p.Username) {
		return false
	}
	return len(m.Groups)+len(m.Roles)+len(m.Names) == 0 ||
		meet(m.Groups, p.Groups) || meet(m.Roles, p.Roles) || named(m.Names, p.Username)
}

func (m Match) application(a Application) bool {
	in := func(list []string) bool { return holds(list, a.Category) || meet(list, a.Categories) }
	is := func(list []string) bool { return holds(list, a.Name) || holds(list, a.ID) }
	if in(m.ExceptCategories) || is(m.ExceptNames) {
		return false
	}
	return len(m.Categories)+len(m.Names) == 0 || in(m.Categories) || is(m.Names)
}

// holds compares without case; "" is unknown and is in no list.
func holds(list []string, v string) bool {
	return v != "" && slices.ContainsFunc(list, func(l string) bool { return strings.EqualFold(l, v) })
}

func meet(list, have []string) bool {
	return len(list) > 0 && slices.ContainsFunc(have, func(h string) bool { return holds(list, h) })
}

// named compares usernames as the people room does.
func named(list []string, username string) bool {
	if len(list) == 0 {
		return false
	}
	n := people.Normalise(username)
	return n != "" && slices.ContainsFunc(list, func(l string) bool { return people.Normalise(l) == n })
}

// want is a strength that somebody demands.
type want struct {
	rule, code string
	strength   Strength
	params     map[string]any
}

// bound is a time before which proofs do not count.
type bound struct {
	rule, code string
	since      time.Time
	params     map[string]any
}

// goal is all that must hold at once.
type goal struct {
	strengths []want
	fresh     []bound // every proof used is from then or later
	recent    []bound // at least one proof is
	blocked   []Reason
	// everyTime and essential forbid resting on a remembered browser.
	everyTime, essential bool
	rememberSet          bool
	remember             time.Duration
}

// cutoff is the latest of the bounds that every used proof must keep.
func (g *goal) cutoff() time.Time {
	var t time.Time
	for _, b := range g.fresh {
		if b.since.After(t) {
			t = b.since
		}
	}
	return t
}

// add takes up what a matching rule grants.
func (g *goal) add(r Rule, in Input) {
	gr := r.Grant
	if gr.Block {
		g.blocked = append(g.blocked, Reason{Rule: r.Name, Code: "blocked"})
	}
	if gr.Strength != "" {
		g.strengths = append(g.strengths, want{r.Name, "strength", gr.Strength, map[string]any{"strength": string(gr.Strength)}})
	}
	if gr.Freshness.EveryTime {
		g.everyTime = true
		g.fresh = append(g.fresh, bound{r.Name, "freshness.every_time", in.ago(EveryTimeTolerance), nil})
	}
	if gr.Freshness.MaxAge > 0 {
		g.fresh = append(g.fresh, bound{r.Name, "freshness.max_age", in.ago(gr.Freshness.MaxAge),
			map[string]any{"minutes": int(gr.Freshness.MaxAge / time.Minute)}})
	}
	if gr.RememberSet && (!g.rememberSet || gr.Remember < g.remember) {
		g.rememberSet, g.remember = true, max(0, gr.Remember)
	}
}

// EveryTimeTolerance is how old a proof may be and still be "new for this very sign-in".
const EveryTimeTolerance = 5 * time.Minute

// attemptMax bounds for how long an attempt's own proofs stay fresh however slowly it goes on.
const attemptMax = 30 * time.Minute

// ago is the bound for proofs at most age old. What was proven in this very attempt (at or after Began)
// is fresh too, so that nobody who answers slowly is asked in a circle.
func (in Input) ago(age time.Duration) time.Time {
	t := in.Now.Add(-age)
	began := in.Demand.Began
	if !began.IsZero() && began.Before(t) && !began.Before(in.Now.Add(-attemptMax)) {
		return began
	}
	return t
}
