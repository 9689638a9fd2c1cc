package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// jarBefore is what a request carried, and, where somebody signs out, whom the house took it for: the reference may
// think a session alive that has ended, and then signing out ends nothing.
type jarBefore struct{ session, browser, remembered, who string }

// families reads a remembered cookie: token by family. What is no token is nobody's, and no copy of one.
func families(cookie string) map[string]string {
	out := map[string]string{}
	for part := range strings.SplitSeq(cookie, "~") {
		if id, key, ok := strings.Cut(part, "."); ok && len(id) == 26 && len(key) == 43 {
			out[id] = key
		}
	}
	return out
}

// presented is the family that a request showed for a person; stale: with a token or from a browser that is not its own.
func (w *walk) presented(b jarBefore, who string, now time.Time) (first *family, stale bool) {
	shown := families(b.remembered)
	found := 0
	for _, id := range slices.Sorted(maps.Keys(shown)) {
		f, key := w.world.families[id], shown[id]
		if f == nil || f.over || f.who != who || !now.Before(f.until) {
			continue
		}
		good := f.opens(b, key, now)
		found++
		if first == nil || good {
			first, stale = f, !good
		}
	}
	return first, stale && found == 1 // of several the house looks at one: which, is not said
}

// usable is the family that may stand for a second proof.
func (w *walk) usable(b jarBefore, who string, now time.Time) *family {
	f, _ := w.presented(b, who, now)
	if f != nil && f.opens(b, families(b.remembered)[f.id], now) {
		return f
	}
	return nil
}

// opens: the token is the present one, or the one before for a minute, and comes from the family's own browser.
func (f *family) opens(b jarBefore, token string, now time.Time) bool {
	return f.browser == b.browser && (token == f.token || token == f.before && now.Before(f.rotated.Add(time.Minute)))
}

// observe holds one answer to the reference.
func (w *walk) observe(j *jar, b jarBefore, verb, path string, r *reply, e *errand, g *given) {
	now := w.x.clock.Now()
	bare, _, _ := strings.Cut(path, "?")
	v := w.world.visits[b.session]
	alive := w.world.live(v, b.browser, b.session, now)
	switch {
	case j.session() != "" && j.session() != b.session && strings.HasPrefix(path, "/signin/"):
		w.minted(j, b, e, g, now)
	case j.session() != "" && j.session() != b.session:
		if !strings.HasPrefix(bare, "/security/") || !r.done() || alive != nil {
			w.fail("%s set a session", path)
		}
		v.cookie, w.world.visits[j.session()] = j.session(), v // our own pages change the token after a change
	}
	w.remembered(j, b, e, g, now)
	onward := r.status == 303 || r.status == 200 && (r.asks() == "app" || bare == "/signin/next") // a request may be refused after the proof
	if strings.HasPrefix(path, "/signin/") && onward && j.session() == b.session {
		e.facts = append(e.facts, g.facts...) // perhaps taken: the next question is asked
		w.world.errands = append(w.world.errands, e)
	}
	switch {
	case bare == "/apps" && r.status == 200:
		w.judge("/apps", alive)
	case strings.HasPrefix(bare, "/security") && r.status == 200 && r.asks() == "":
		w.judge("/security", alive)
		if bare == "/security" || bare == "/security/add" || bare == "/security/lead" {
			w.judge("page", w.world.level(v.who, v.facts, now.Add(-15*time.Minute), 1))
		}
	}
	if verb == "POST" && r.done() {
		w.judge("changed", alive)
		w.changed(v, b, bare, e, now)
	}
	if bare == "/signout" && r.location == "/signed-out" && alive == nil && b.who == v.who {
		v.over = true
		if g.remember { // everywhere
			w.world.end(v.who, nil, nil)
		}
	}
	if code := r.code(); code != "" {
		w.judge("code", alive)
		w.issued(v, b, e, code, now)
	}
}

// minted: a sign-in page gave a session, or a live one more proofs.
func (w *walk) minted(j *jar, b jarBefore, e *errand, g *given, now time.Time) {
	who := w.who(j)
	proven := slices.IndexFunc(g.facts, func(f fact) bool { return f.who == who })
	if proven < 0 {
		w.fail("a session for %q after an answer that proved %+v", who, g.facts)
	}
	for s, step := range g.steps {
		if s.name == who {
			s.last = step
		}
	}
	w.spendPaper(who, g)
	if f, stale := w.presented(b, who, now); stale {
		w.world.endFamily(f, nil)
	}
	e.facts = append(e.facts, g.facts[proven])
	v := w.world.visits[b.session]
	living := w.world.live(v, b.browser, b.session, now) == nil
	recent := slices.DeleteFunc(slices.Clone(e.facts), func(f fact) bool { return f.who != who || f.at.Before(now.Add(-30*time.Minute)) })
	if living && v.who == who && e.act != "refresh" {
		w.counts["elevated"]++
		v.cookie, v.facts = j.session(), append(v.facts, recent...)
	} else {
		w.counts["session"]++
		next := &visit{who: who, browser: j.cookies["__Host-gatehouse-browser"], cookie: j.session(), facts: recent, born: now}
		if living {
			v.over = true
			if v.who == who {
				next.facts = append(next.facts, since(v.facts, e.began)...)
			}
		}
		v = next
	}
	v.used = now
	w.world.visits[j.session()] = v
	w.old = append(w.old, j.session())
	w.judge("mint "+e.act, w.fits(v, b, e, now))
}

// fits: the visit has what the errand was for.
func (w *walk) fits(v *visit, b jarBefore, e *errand, now time.Time) error {
	if !w.world.active[v.who] {
		return fmt.Errorf("%s is suspended", v.who)
	}
	switch e.act {
	case "":
		err := w.world.enough(e.app, v.who, v.facts, nil, e, now)
		if err == nil {
			return nil
		}
		f := w.usable(b, v.who, now)
		if err = w.world.enough(e.app, v.who, v.facts, f, e, now); err == nil {
			w.counts["rests"]++
			if v.born.Equal(now) {
				v.family = f
			}
		}
		return err
	case "page":
		return w.world.level(v.who, v.facts, now.Add(-15*time.Minute), 1)
	case "refresh":
		if err := w.world.enough("", v.who, since(v.facts, e.began), nil, e, now); err != nil {
			return err
		}
		return w.world.level(v.who, v.facts, e.began, 2)
	}
	w.world.deeds[v] = append(slices.DeleteFunc(w.world.deeds[v], func(d deed) bool { return d.act == e.act && d.object == e.object }),
		deed{e.act, e.object, now})
	return w.world.level(v.who, e.facts, e.began, 2)
}

func since(facts []fact, t time.Time) []fact {
	return slices.DeleteFunc(slices.Clone(facts), func(f fact) bool { return f.at.Before(t) })
}

// remembered follows the remembered browsers: one begins only where it was wished and policy lets it.
func (w *walk) remembered(j *jar, b jarBefore, e *errand, g *given, now time.Time) {
	had := families(b.remembered)
	for id, key := range families(j.cookies["__Host-gatehouse-remembered"]) {
		switch f := w.world.families[id]; {
		case had[id] == key:
		case f != nil:
			f.before, f.token, f.rotated = f.token, key, now
		default:
			for old := range had { // the one before is forgotten, and nothing else ends with it
				if f := w.world.families[old]; f != nil && families(j.cookies["__Host-gatehouse-remembered"])[old] == "" {
					f.over = true
				}
			}
			v := w.world.visits[j.session()]
			d := demands[w.world.policy][w.world.categories[e.app]]
			var latest time.Time
			if v != nil {
				for _, f := range v.facts {
					if f.kind != "password" && f.at.After(latest) {
						latest = f.at
					}
				}
			}
			var err error
			if !g.remember || v == nil || e.act != "" && e.act != "refresh" || d.remembering == 0 || d.every || d.strength > 1 || latest.Before(e.cut(5*time.Minute, now)) {
				err = fmt.Errorf("wished %t, for %+v, second proof at %s", g.remember, e.aim, latest)
			}
			w.judge("remembered", err)
			w.world.families[id] = &family{id: id, who: v.who, browser: v.browser, token: key, proven: latest, until: now.Add(d.remembering), rotated: now}
		}
	}
}

// changed: one of our own pages says that something of the member's was changed.
func (w *walk) changed(v *visit, b jarBefore, path string, e *errand, now time.Time) {
	s := w.soul(v.who)
	had, has := w.world.things[v.who], w.owned(s.member)
	wanted := maps.Clone(had)
	switch e.act {
	case "page": // ending a session takes the page's own quarter of an hour; which one ended is not said
		w.judge("ended", w.world.level(v.who, v.facts, now.Add(-15*time.Minute), 1))
	default:
		w.judge("did "+e.act, w.world.take(v, e.act, e.object, now))
	}
	switch e.act {
	case "add", "password": // a first password is added, another one takes its place
		kind := e.object
		if e.act == "password" {
			kind = e.act
		}
		for id, k := range has {
			if had[id] == "" && k == kind && len(has) == len(had)+1 {
				wanted[id] = kind
			}
		}
	case "remove":
		delete(wanted, e.object)
	case "forget":
		if f := w.world.families[e.object]; f != nil {
			w.world.endFamily(f, v)
		}
	}
	if !maps.Equal(has, wanted) {
		w.fail("%s changed %v to %v", path, had, has)
	}
	w.world.things[v.who] = has
	if e.act == "remove" || e.act == "password" {
		var here *family
		for id := range families(b.remembered) {
			if f := w.world.families[id]; f != nil && !f.over && f.who == v.who {
				here = f
			}
		}
		w.world.end(v.who, v, here)
	}
}

// issued: an application was given a code.
func (w *walk) issued(v *visit, b jarBefore, e *errand, code string, now time.Time) {
	if e.app == "" {
		w.fail("a code for nobody knows what")
	}
	var rests *family
	err := w.world.enough(e.app, v.who, v.facts, nil, e, now)
	if err != nil {
		rests = w.usable(b, v.who, now)
		err = w.world.enough(e.app, v.who, v.facts, rests, e, now)
	}
	if err == nil && e.asked && len(since(w.mine(v), e.began.Add(-e.age-time.Millisecond))) == 0 {
		err = fmt.Errorf("%s gave no proof since %s", v.who, e.began.Add(-e.age))
	}
	w.judge("code", err)
	r := &right{app: e.app, who: v.who, visit: v, family: rests, facts: slices.Clone(v.facts), offline: e.offline, issued: now, errand: e, when: now,
		until: now.Add(30 * day), judged: w.world.version}
	if !r.offline && v.born.Add(day).Before(r.until) {
		r.until = v.born.Add(day)
	}
	w.world.rights = append(w.world.rights, r)
	w.tokens = append(w.tokens, &token{r, "code", code, now.Add(time.Minute)})
}

func (w *walk) mine(v *visit) []fact {
	return slices.DeleteFunc(slices.Clone(v.facts), func(f fact) bool { return f.who != v.who })
}
