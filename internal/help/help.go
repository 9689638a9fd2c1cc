// Package help computes the answers that depend on the policy in force, so that the help page is never out of date.
//
//	Policy, applications, kinds, limits ─► For ─► []Answer (an anchor, catalogue keys, parameters) ─► page
//	                                        │
//	                                        └─ policy.Decide, asked with made-up proofs, never a second reading of the rules
//
// The room is pure: no clock, no database, no words. The pages' catalogue has a text for every key that stands here.
package help

import (
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// Input is what the answers follow from.
type Input struct {
	Policy policy.Policy
	// Person is whom the answers are for; the zero value is a member without groups or roles.
	Person policy.Person
	// Applications are those that this person may know of. What is closed or meant for others is left out by the caller.
	Applications []policy.Application
	// Traits of the kinds that this house offers, with the campus' own limits.
	Traits map[method.Kind]method.Traits
	// Limits are the budgets for wrong answers; nil: throttle.Default.
	Limits func(method.Kind, throttle.Audience) throttle.Limit
	// BrowserCookie is how long a browser is told from others.
	BrowserCookie time.Duration
}

// Answer is one topic of the help page.
type Answer struct {
	Anchor string // "help."+Anchor+".title" is its heading
	Points []Point
}

// Point is one sentence of an answer and what belongs to it.
type Point struct {
	Key string
	// Params fill the text. A time.Duration is written as days, hours or minutes.
	Params map[string]any
	// Detail is the key of a quieter sentence below, "" for none.
	Detail string
	// Kind is the way of signing in that the point is about, with its picture; "" for none.
	Kind method.Kind
	// Names are those of applications, sorted.
	Names []string
}

// For gives the answers in force, for one person.
func For(in Input) []Answer {
	if in.Person.ID == "" {
		in.Person.ID = "member"
	}
	in.Person.Active = true
	v := view{Input: in}
	for k := range in.Traits {
		v.kinds = append(v.kinds, k)
	}
	v.kinds = in.Policy.Order("", v.kinds, in.Traits)
	v.groups = v.grouped()
	var out []Answer
	for _, a := range []Answer{v.often(), v.ways(), v.needsPasskey(), v.length(), v.mistake(), v.newPhone(), v.lost(), v.forgot(),
		v.abroad(), v.remember(), v.refresh(), v.session(), v.unexpected(), v.privacy()} {
		if len(a.Points) > 0 {
			out = append(out, a)
		}
	}
	return out
}

// view is what all answers look at.
type view struct {
	Input
	kinds  []method.Kind // the strongest first
	groups []group       // the least strict first
}

// group is applications that ask for the same.
type group struct {
	standing
	names []string
}

// grouped sorts the applications by what they ask for. Where there are none, signing in here stands for them.
func (v view) grouped() []group {
	list := slices.Clone(v.Applications)
	if len(list) == 0 {
		list = []policy.Application{{}}
	}
	slices.SortStableFunc(list, func(a, b policy.Application) int { return byName(a.Name, b.Name) })
	type found struct {
		standing
		open bool
	}
	known := map[string]found{} // what the same rules speak of asks for the same
	var out []group
	for _, app := range list {
		rules := v.rules(app)
		f, ok := known[rules]
		if !ok {
			f.standing, f.open = v.standing(app)
			known[rules] = f
		}
		s := f.standing
		if !f.open {
			continue
		}
		i := slices.IndexFunc(out, func(g group) bool { return g.standing == s })
		if i < 0 {
			i, out = len(out), append(out, group{standing: s})
		}
		if app.Name != "" {
			out[i].names = append(out[i].names, app.Name)
		}
	}
	slices.SortStableFunc(out, func(a, b group) int { return a.compare(b.standing) })
	return out
}

func byName(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) }

// names of all applications in the groups that fit, sorted.
func (v view) names(fits func(group) bool) (out []string) {
	n := 0
	for _, g := range v.groups {
		if fits(g) {
			out, n = append(out, g.names...), n+1
		}
	}
	if n > 1 { // each group is sorted already
		slices.SortFunc(out, byName)
	}
	return out
}

func (v view) any(fits func(group) bool) bool { return slices.ContainsFunc(v.groups, fits) }

func (v view) offers(k method.Kind) bool { return slices.Contains(v.kinds, k) }

// longest is for how long a browser is remembered at most; 0: never.
func (v view) longest() (d time.Duration) {
	for _, g := range v.groups {
		d = max(d, g.remember)
	}
	return d
}

// limit is the budget of a stranger's browser, the stricter one.
func (v view) limit(k method.Kind) throttle.Limit {
	if v.Limits == nil {
		return throttle.Default(string(k), throttle.Stranger)
	}
	return v.Limits(k, throttle.Stranger)
}

// silent reports whether no kind sends anything to a phone.
func (v view) silent() bool {
	return !slices.ContainsFunc(v.kinds, func(k method.Kind) bool { return v.Traits[k].Outbound })
}
