package main

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
)

// answer answers one of the jar's pages, mostly a recent one with what it asks for.
func (w *walk) answer(j *jar) {
	if len(j.pages) == 0 {
		w.open(j)
		return
	}
	p := j.pages[len(j.pages)-1]
	if w.r.IntN(6) == 0 {
		p = pick(w.r, j.pages)
	}
	if w.r.IntN(40) == 0 { // another browser's page
		if other := pick(w.r, w.jars); len(other.pages) > 0 {
			p = pick(w.r, other.pages)
		}
	}
	kind := p.asks()
	switch w.r.IntN(12) {
	case 0:
		kind = pick(w.r, []string{"password", "totp", "passkey", "name", "app", "recovery"})
	case 1:
		w.note("choose")
		w.ask(j, "POST", "/signin/choose", url.Values{"attempt": {p.attempt()}, "kind": {pick(w.r, []string{"password", "totp", "passkey", "app", "recovery", "x"})}}, p.errand, &given{who: p.who})
		return
	}
	s := w.soul(p.who)
	if s == nil || w.r.IntN(10) == 0 {
		s = pick(w.r, w.people)
	}
	for _, other := range []string{"app", "recovery"} {
		if strings.Contains(p.body, `name="kind" value="`+other+`"`) && w.r.IntN(4) == 0 {
			w.note("%s instead", other)
			r := w.ask(j, "POST", "/signin/choose", url.Values{"attempt": {p.attempt()}, "kind": {other}}, p.errand, &given{who: p.who})
			if r.asks() == other {
				w.give(j, j.pages[len(j.pages)-1], s, other)
			}
			return
		}
	}
	if kind == "name" && (s.password == "" || w.r.IntN(3) == 0 && len(s.key.Credentials()) > 0) {
		kind = "passkey"
	}
	if kind == "name" || kind == "" {
		name := pick(w.r, []string{s.name, s.name, s.name, strings.ToUpper(s.name), s.name + "@example.ac.uk", "nobody", ""})
		w.note("name %q", name)
		w.ask(j, "POST", "/signin", url.Values{"attempt": {p.attempt()}, "name": {name}}, p.errand, &given{who: s.name})
		return
	}
	w.give(j, p, s, kind)
}

// give posts a proof to a page: a right one, somebody else's, an old one, a wrong one.
func (w *walk) give(j *jar, p *page, s *soul, kind string) *reply {
	if kind == "app" {
		return w.byApp(j, p, s)
	}
	g := &given{remember: w.r.IntN(2) == 0, who: p.who}
	var text string
	switch kind {
	case "password":
		text = w.password(s, g)
	case "totp":
		text = w.passcode(s, g)
	case "recovery":
		text = w.paper(s, g)
	default:
		text = w.assertion(j, p, s, g)
	}
	form := url.Values{"attempt": {p.attempt()}, "answer": {text}}
	if g.remember {
		form.Set("remember", "yes")
	}
	w.note("%s of %s (right for %d) remember %t for %+v", kind, s.name, len(g.facts), g.remember, p.errand.aim)
	return w.ask(j, "POST", "/signin/"+kind, form, p.errand, g)
}

func (w *walk) password(s *soul, g *given) string {
	text := s.password
	switch w.r.IntN(14) {
	case 0:
		text = pick(w.r, w.people).password
	case 1:
		text = "wrong " + text
	case 2:
		if len(s.past) > 0 {
			text = pick(w.r, s.past)
		}
	}
	for _, owner := range w.people {
		if owner.password != text || text == "" {
			continue
		}
		for id, kind := range w.world.things[owner.name] {
			if kind == "password" {
				g.facts = append(g.facts, fact{who: owner.name, kind: kind, thing: id, long: len(text) >= 15, at: w.x.clock.Now()})
			}
		}
	}
	return text
}

func (w *walk) passcode(s *soul, g *given) string {
	if s.phone == nil {
		return "000000"
	}
	now := w.x.clock.Now()
	text := ""
	switch n := w.r.IntN(80); { // wrong ones are few: ten in three days and the house listens to none
	case n == 0:
		text = s.wrong()
	case n == 1 && len(w.shown) > 0:
		text = pick(w.r, w.shown)
	case n == 2:
		text = s.at(now.Add(-time.Duration(w.r.IntN(20)) * 30 * time.Second))
	case n < 5:
		text = s.at(now.Add(30 * time.Second))
	case n < 7:
		text = s.at(now)
	default:
		text = s.code()
	}
	w.shown = append(w.shown, text)
	g.facts, g.steps = w.genuine(text)
	return text
}

// assertion signs the page's question, or hands in one that was signed for something else.
func (w *walk) assertion(j *jar, p *page, s *soul, g *given) string {
	options := p.field(optionsField)
	switch {
	case len(w.signed) > 0 && w.r.IntN(12) == 0:
		return pick(w.r, w.signed)
	case options == "":
		return "{}"
	}
	signed, err := s.key.Get([]byte(options))
	if err != nil {
		return "{}"
	}
	w.signed = append(w.signed, string(signed))
	var made struct{ ID string }
	w.x.must(json.Unmarshal(signed, &made))
	thing := w.handle(s, made.ID)
	if now := w.x.clock.Now(); !p.spent && thing != "" && now.Before(p.at.Add(10*time.Minute)) {
		g.facts = []fact{{who: s.name, kind: "passkey", thing: thing, at: now}}
	}
	return string(signed)
}

// ask does one request and what it leads to, within the house, and holds every answer to the reference.
func (w *walk) ask(j *jar, verb, path string, form url.Values, e *errand, g *given) *reply {
	var r *reply
	for range 12 {
		now := w.x.clock.Now()
		switch {
		case strings.HasPrefix(path, "/oauth2/authorize?"):
			e = &errand{aim: requested(path), began: now}
		case strings.HasPrefix(path, "/oauth2/authorize/continue") && e != nil:
			e = &errand{aim: e.aim, began: e.began}
			if hour := now.Add(-time.Hour); e.began.Before(hour) {
				e.began = hour // a page may be answered for an hour; an older one begins no earlier
			}
		case strings.HasPrefix(path, "/oauth2/authorize/continue"), verb == "GET" && path == "/signin", !strings.HasPrefix(path, "/signin"):
			e = &errand{aim: own(verb, path, form), began: now}
			if e.act == "refresh" && w.who(j) == "" {
				e.act = "" // nobody's sign-in is refreshed: it is an ordinary one
			}
		case e == nil:
			e = &errand{began: now}
		}
		before := jarBefore{j.session(), j.cookies[httpdoor.BrowserCookie], j.cookies[httpdoor.RememberedCookie], ""}
		if path == "/signout" {
			before.who = w.who(j)
		}
		if v := w.world.visits[before.session]; v != nil && w.world.live(v, before.browser, before.session, now) == nil {
			v.used = now
		}
		r = j.send(verb, path, form)
		w.note("  browser %d, %.6s to %.6s: %s %.40s %v -> %d %.40s %s", slices.Index(w.jars, j), before.session, j.session(), verb, path, e.aim,
			r.status, r.location, r.asks())
		w.observe(j, before, verb, path, r, e, g)
		if !strings.HasPrefix(r.location, "/") {
			break
		}
		verb, path, form, g = "GET", r.location, nil, &given{who: g.who}
	}
	w.keep(j, r, e, g)
	return r
}

// keep puts a page that can be answered with the jar's others.
func (w *walk) keep(j *jar, r *reply, e *errand, g *given) {
	if r.status == 403 {
		w.counts["refused"]++
	}
	if r.attempt() == "" {
		return
	}
	w.counts["asked"]++
	if strings.Contains(r.body, `<form method="get" action="/signin">`) { // expired: the attempt in it is a new one
		w.counts["expired"]++
		again := &errand{aim: e.aim, began: w.x.clock.Now()}
		if e.app != "" { // the application's request is the old one still
			again.began, again.reopened = e.began, again.began
		}
		e = again
	}
	p := &page{reply: r, errand: e, who: g.who, at: w.x.clock.Now()}
	if v := w.world.visits[j.session()]; v != nil && p.who == "" {
		p.who = v.who
	}
	w.see(j, p)
	j.pages = append(j.pages, p)
	if len(j.pages) > 8 {
		j.pages = j.pages[1:]
	}
}

// requested is the aim of an authorization request.
func requested(path string) aim {
	u, err := url.Parse(path)
	if err != nil {
		return aim{}
	}
	q := u.Query()
	a := aim{app: q.Get("client_id"), offline: strings.Contains(q.Get("scope"), "offline_access")}
	if age := q.Get("max_age"); age != "" {
		d, _ := time.ParseDuration(age + "s")
		a.asked, a.age = true, d
	}
	if p := q.Get("prompt"); p == "login" || p == "select_account" {
		a.asked, a.age = true, 0
	}
	return a
}

// own is the aim of a visit to one of our own pages.
func own(verb, path string, form url.Values) aim {
	path, _, _ = strings.Cut(path, "?")
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	part := func(i int) string {
		if i < len(parts) {
			return parts[i]
		}
		return ""
	}
	switch {
	case part(0) != "security":
		return aim{}
	case part(1) == "refresh":
		return aim{act: "refresh"}
	case part(1) == "add" && part(2) != "":
		return aim{act: "add", object: part(2)}
	case part(1) == "password":
		return aim{act: "password"}
	case part(1) == "methods":
		return aim{act: part(3), object: part(2)}
	case part(1) == "browsers":
		return aim{act: "forget", object: part(2)}
	case part(1) == "lead" && verb == "POST":
		return aim{act: "lead", object: form.Get("kind")}
	}
	return aim{act: "page"}
}
