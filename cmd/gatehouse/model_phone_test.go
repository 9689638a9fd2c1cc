package main

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

// The walk's phones. What the world outside knows of a request is the number on a page, in one browser: an approval with
// that number is a proof of the page's errand, to be fetched by that browser, for five minutes.

// showing is a number that a page has shown.
type showing struct {
	number, who, browser string
	errand               *errand
	at                   time.Time
}

// walkPolicy is the usual one. A report ends sessions, and asks for no other password: the walk could not tell when.
func walkPolicy() policy.Policy {
	p := attackPolicy()
	p.App.KeepPassword = true
	return p
}

// withApp is a member whose passcodes are those of their paired phone.
func (w *walk) withApp(name, pass string, kinds ...method.Kind) *member {
	m := w.x.member(name, pass, kinds...)
	var own string
	for id, kind := range w.owned(m) {
		if kind == string(method.TOTP) {
			own = id
		}
	}
	p := w.x.browser().pair(m, w.x.nodes[0])
	w.phones[name] = p
	w.x.must(w.x.nodes[0].db.InTx(context.Background(), func(tx *store.Tx) error {
		_, err := enrol.Store(tx).RemoveCredential(context.Background(), string(m.id), own)
		return err
	}))
	var kept struct {
		Passcode struct{ Secret string }
	}
	text, err := json.Marshal(p)
	w.x.must(err)
	w.x.must(json.Unmarshal(text, &kept))
	m.phone = phoneSecret(w.t, kept.Passcode.Secret)
	w.x.clock.Add(10 * time.Minute)
	return m
}

// see notes the number on a page. A session's page is that of the session's person, whose name it shows, whoever was meant.
func (w *walk) see(j *jar, p *page) {
	if n := p.number(); n != "" {
		if v := w.world.visits[j.session()]; v != nil && strings.Contains(p.body, "<strong>"+v.who+"</strong>") {
			p.who = v.who
		}
		w.shows = append(last(w.shows, 60), showing{n, p.who, j.cookies[httpdoor.BrowserCookie], p.errand, p.at})
	}
}

// byApp has a request sent where none is, lets a phone answer, and mostly goes on.
func (w *walk) byApp(j *jar, p *page, s *soul) *reply {
	if p.number() == "" {
		w.note("send to the phone of %s", s.name)
		r := w.ask(j, "POST", "/signin/app/send", url.Values{"attempt": {p.attempt()}}, p.errand, &given{who: p.who})
		if r.number() == "" || w.r.IntN(3) == 0 {
			return r
		}
		p = j.pages[len(j.pages)-1]
	}
	owner := s.name
	if w.phones[owner] == nil || w.r.IntN(15) == 0 {
		owner = pick(w.r, []string{"fay", "gil"})
	}
	w.phone(owner, p)
	switch w.r.IntN(12) {
	case 0:
		return p.reply // nobody fetches it yet
	case 1:
		w.clock()
	case 2:
		j = pick(w.r, w.jars)
	}
	return w.fetch(j, p)
}

// phone answers one of the owner's requests: with the page's number, another one, or no.
func (w *walk) phone(owner string, p *page) {
	ctx, phone := context.Background(), w.phones[owner]
	list, err := phone.Requests(ctx, 0)
	if err != nil || len(list) == 0 {
		return
	}
	one, number := pick(w.r, list), p.number()
	switch n := w.r.IntN(60); {
	case n == 0:
		w.note("%s's phone reports", owner)
		if phone.Report(ctx, one) == nil {
			w.world.end(owner, nil, nil)
			w.counts["reported"]++
		}
		return
	case n < 3:
		w.note("%s's phone denies", owner)
		_ = phone.Deny(ctx, one) // whether it was in time is the house's to say
		return
	case n < 6:
		number = other(number)
	case n < 9 && len(w.shows) > 0:
		number = pick(w.r, w.shows).number
	}
	err = phone.Approve(ctx, one, number)
	w.note("%s's phone enters %s: %s", owner, number, softphone.Code(err))
	if err != nil {
		return
	}
	now := w.x.clock.Now()
	i := len(w.shows) - 1
	for ; i >= 0; i-- {
		if v := w.shows[i]; v.number == number && now.Before(v.at.Add(30*time.Minute)) && (v.who == owner || v.who == "") {
			break
		}
	}
	if i < 0 {
		w.fail("%s's phone approved with %s, which no page of theirs shows", owner, number)
	}
	if !w.world.active[owner] {
		w.fail("the phone of %s, who is suspended, approved", owner)
	}
	w.counts["approved"]++
	w.shows[i].errand.approved = &fact{who: owner, kind: "app", thing: w.appOf(owner), at: now}
	w.shows[i].errand.shownIn = w.shows[i].browser
}

// appOf is the phone's credential.
func (w *walk) appOf(owner string) string {
	for id, kind := range w.world.things[owner] {
		if kind == "app" {
			return id
		}
	}
	return ""
}

// fetch goes on from a waiting page, perhaps with what a phone has approved.
func (w *walk) fetch(j *jar, p *page) *reply {
	now, e := w.x.clock.Now(), p.errand
	g := &given{remember: w.r.IntN(2) == 0, who: p.who}
	if a := e.approved; a != nil && now.Before(a.at.Add(5*time.Minute)) && j.cookies[httpdoor.BrowserCookie] == e.shownIn {
		g.facts = []fact{*a}
	}
	path := "/signin/next?attempt=" + url.QueryEscape(p.attempt())
	if g.remember {
		path += "&remember=yes"
	}
	before := j.session()
	r := w.ask(j, "GET", path, nil, e, g)
	if len(g.facts) > 0 && j.session() != before {
		e.approved = nil
		w.counts["by app"]++
	}
	return r
}

// paper gives a recovery code: an unused one, a used one, somebody else's.
func (w *walk) paper(s *soul, g *given) string {
	owner := s.name
	if len(w.papers[owner]) == 0 || w.r.IntN(12) == 0 {
		owner = pick(w.r, []string{"bea", "eli"})
	}
	text := "aaaa-aaaa-aaaaaa"
	switch all := w.papers[owner]; {
	case w.r.IntN(20) == 0 && len(w.used) > 0:
		text = pick(w.r, w.used)
	case len(all) > 0:
		text = pick(w.r, all)
	}
	for name, codes := range w.papers {
		for id, kind := range w.world.things[name] {
			if kind == "recovery" && slices.Contains(codes, text) {
				g.facts, g.code = append(g.facts, fact{who: name, kind: kind, thing: id, at: w.x.clock.Now()}), text
			}
		}
	}
	return text
}

// spendPaper uses up the code that a session was begun with.
func (w *walk) spendPaper(who string, g *given) {
	if i := slices.Index(w.papers[who], g.code); i >= 0 {
		w.papers[who] = slices.Delete(w.papers[who], i, i+1)
		w.used = append(w.used, g.code)
		w.counts["by paper"]++
	}
}
