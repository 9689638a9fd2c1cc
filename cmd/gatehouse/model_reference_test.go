package main

import (
	"fmt"
	"slices"
	"time"
)

// The reference of the flow model: what the world outside knows. It holds which proofs each person truly gave, where
// and when, and what ended; it is written from the product's rules and knows none of the house's types. It may count a
// proof that the house did not; it never overlooks one that the house needed.

// fact is a right answer that a person truly gave.
type fact struct {
	who   string
	kind  string // password, totp, passkey, app, recovery
	thing string // which password, app or key it was
	long  bool
	at    time.Time
}

// aim is what a sign-in is for.
type aim struct {
	app         string // client id, "" for our own pages
	act, object string // of our own pages: page, refresh, add, remove, rename, lead, password, forget
	asked       bool   // the application wants a proof since the request began, or since age before
	age         time.Duration
	offline     bool
}

// errand is one sign-in under way: everything that was answered on its pages.
type errand struct {
	aim
	began time.Time
	// reopened is when its page, having waited too long, was begun anew for the same request.
	reopened time.Time
	facts    []fact
	// approved is what a phone has approved for its page in that browser, and no session was begun with yet.
	approved *fact
	shownIn  string
}

// cut is the time from which a proof is fresh where it may be age old: what was proven since the application asked for a
// new proof, or since its page was begun anew, is fresh too, for half an hour at most.
func (e *errand) cut(age time.Duration, now time.Time) time.Time {
	cut := now.Add(-age)
	if !e.asked {
		return cut
	}
	for _, t := range []time.Time{e.began, e.reopened} {
		if t.Before(cut) && !t.Before(now.Add(-30*time.Minute)) {
			cut = t
		}
	}
	return cut
}

// visit is a session as the reference knows it.
type visit struct {
	who, browser, cookie string
	facts                []fact
	family               *family // that it was born through
	born, used           time.Time
	over                 bool
}

// family is a remembered browser.
type family struct {
	id, who, browser, token, before string
	proven, until, rotated          time.Time
	over                            bool
}

// right is what was issued to an application, from the code on.
type right struct {
	app, who              string
	visit                 *visit
	family                *family // that it rests on
	facts                 []fact
	offline, spent, dead  bool
	issued, until, turned time.Time
	errand                *errand   // that it was asked in
	judged                int       // the policy's number when it was last judged
	when                  time.Time // and when that was
	refresh, before       string
}

// demand is what the policy in force asks for a category.
type demand struct {
	strength         int // 0 any proof, 1 MFA, 2 a passkey
	every, blocked   bool
	age, remembering time.Duration
}

const day = 24 * time.Hour

// demands are the policies of the walk, by category, worked out by hand. "" are our own pages.
var demands = []map[string]demand{
	{"": {strength: 1, remembering: 30 * day}, "teaching": {strength: 1, remembering: 30 * day}, "open": {},
		"money": {strength: 1, age: time.Hour}, "clinical": {strength: 2, every: true}},
	{"": {strength: 2, remembering: 30 * day}, "teaching": {strength: 2, remembering: 30 * day}, "open": {strength: 2},
		"money": {strength: 2, age: time.Hour}, "clinical": {strength: 2, every: true}},
	{"": {strength: 1, remembering: 7 * day}, "teaching": {blocked: true}, "open": {},
		"money": {strength: 1, age: 10 * time.Minute}, "clinical": {strength: 2, every: true}},
}

// reference is the whole world's knowledge.
type reference struct {
	policy, version int
	categories      map[string]string // by client id
	active          map[string]bool
	things          map[string]map[string]string // who ─► thing ─► kind, as owned now
	visits          map[string]*visit            // by cookie, also old cookies
	families        map[string]*family           // by id
	errands         []*errand
	rights          []*right
	deeds           map[*visit][]deed
}

// deed is the proof of one act in one visit.
type deed struct {
	act, object string
	at          time.Time
}

// kinds are the kinds of the facts that count: the person's own, by a thing they still have, since cut.
func (w *reference) kinds(facts []fact, who string, cut time.Time) (password, long, totp, passkey bool) {
	for _, f := range facts {
		if f.who != who || f.at.Before(cut) || w.things[who][f.thing] == "" {
			continue
		}
		switch f.kind {
		case "password":
			password, long = true, long || f.long
		case "totp", "app", "recovery":
			totp = true
		case "passkey":
			passkey = true
		}
	}
	return password, long, totp, passkey
}

// enough: the facts, with a remembered browser or without, meet what policy asks for the application now.
func (w *reference) enough(app, who string, facts []fact, f *family, e *errand, now time.Time) error {
	d := demands[w.policy][w.categories[app]]
	if d.blocked {
		return fmt.Errorf("%s is blocked", app)
	}
	cut := time.Time{}
	age := d.age
	if d.every {
		age = 5 * time.Minute
	}
	if age > 0 {
		cut = e.cut(age, now)
	}
	password, long, totp, passkey := w.kinds(facts, who, cut)
	ok := []bool{passkey || totp || long, passkey || password && totp, passkey}[d.strength]
	if ok {
		return nil
	}
	if f != nil && d.strength == 1 && !d.every && d.remembering > 0 && long && !f.over && f.who == who &&
		now.Before(f.until) && now.Before(f.proven.Add(d.remembering)) && !f.proven.Before(cut) {
		return nil
	}
	return fmt.Errorf("%s for %q asks strength %d since %s; given: password %t (long %t), passcode %t, passkey %t, remembered %v", who, app,
		d.strength, cut.Format(time.TimeOnly), password, long, totp, passkey, f)
}

// level: the facts since cut are what the account can do at best, for an act on the person's own methods.
func (w *reference) level(who string, facts []fact, cut time.Time, most int) error {
	var owns [3]bool
	for _, kind := range w.things[who] {
		if kind == "app" || kind == "recovery" {
			kind = "totp" // as much worth
		}
		owns[slices.Index([]string{"password", "totp", "passkey"}, kind)] = true
	}
	best := 0
	switch {
	case owns[2]:
		best = 2
	case owns[0] && owns[1]:
		best = 1
	}
	password, _, totp, passkey := w.kinds(facts, who, cut)
	ok := []bool{password || totp || passkey, passkey || password && totp, passkey}[min(best, most)]
	if !ok {
		return fmt.Errorf("%s can prove level %d; since %s they gave password %t, passcode %t, passkey %t", who, best, cut.Format(time.TimeOnly), password, totp, passkey)
	}
	return nil
}

// live: the visit may be used now, from that browser with that cookie.
func (w *reference) live(v *visit, browser, cookie string, now time.Time) error {
	switch {
	case v == nil:
		return fmt.Errorf("nobody was ever given this cookie")
	case v.over:
		return fmt.Errorf("%s's session %.6s has ended", v.who, v.cookie)
	case v.cookie != cookie:
		return fmt.Errorf("%s's session has a newer cookie", v.who)
	case v.browser != browser:
		return fmt.Errorf("%s's session belongs to another browser", v.who)
	}
	return w.stands(v, now)
}

// stands: the visit has not ended, whoever asks.
func (w *reference) stands(v *visit, now time.Time) error {
	switch {
	case v.over:
		return fmt.Errorf("%s's session %.6s has ended", v.who, v.cookie)
	case !w.active[v.who]:
		return fmt.Errorf("%s is suspended", v.who)
	case !now.Before(v.born.Add(24 * time.Hour)):
		return fmt.Errorf("%s's session is a day old", v.who)
	case !now.Before(v.used.Add(8 * time.Hour)):
		return fmt.Errorf("%s's session was idle for eight hours", v.who)
	}
	return nil
}

// due: what was issued is still worth something; judging says that policy is asked anew.
func (w *reference) due(r *right, judging bool, now time.Time) error {
	switch {
	case r.dead:
		return fmt.Errorf("%s's grant for %s is dead", r.who, r.app)
	case !w.active[r.who]:
		return fmt.Errorf("%s is suspended", r.who)
	case !now.Before(r.until):
		return fmt.Errorf("%s's grant for %s is over", r.who, r.app)
	}
	if !r.offline {
		if err := w.stands(r.visit, now); err != nil {
			return err
		}
	}
	if judging || r.judged != w.version {
		return w.enough(r.app, r.who, r.facts, r.family, &errand{}, now)
	}
	// Without those whose key or app was removed since, the proofs must still have been enough when they were judged.
	then := r.family
	if then != nil { // what it rested on may have ended since: the next refresh finds out, ten minutes later at most
		then = &family{who: then.who, proven: then.proven, until: then.until}
	}
	return w.enough(r.app, r.who, r.facts, then, r.errand, r.when)
}

// end ends all that a person has open but one visit and the family beside it: half done errands too.
func (w *reference) end(who string, but *visit, keep *family) {
	for _, v := range w.visits {
		v.over = v.over || v.who == who && v != but
	}
	for _, f := range w.families {
		f.over = f.over || f.who == who && f != keep
	}
	for _, r := range w.rights {
		r.dead = r.dead || r.who == who
	}
	for _, e := range w.errands {
		e.facts = slices.DeleteFunc(e.facts, func(f fact) bool { return f.who == who })
	}
}

// endFamily ends a remembered browser and what was born from it.
func (w *reference) endFamily(f *family, but *visit) {
	f.over = true
	for _, v := range w.visits {
		v.over = v.over || v.family == f && v != but
	}
}

// take finds the proof of an act in a visit, at most five minutes old, and uses it up.
func (w *reference) take(v *visit, act, object string, now time.Time) error {
	for i, d := range w.deeds[v] {
		if d.act == act && d.object == object && !d.at.Before(now.Add(-5*time.Minute)) {
			w.deeds[v] = slices.Delete(w.deeds[v], i, i+1)
			return nil
		}
	}
	return fmt.Errorf("%s never proved %s %q in this session within five minutes", v.who, act, object)
}
