package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

// spend uses something that an application holds: codes once and twice, refresh tokens of any age, access tokens.
func (w *walk) spend() {
	if len(w.tokens) == 0 {
		w.open(pick(w.r, w.jars))
		return
	}
	n := len(w.tokens)
	k := w.tokens[max(0, n-1-w.r.IntN(min(n, 6)))]
	if w.r.IntN(4) == 0 {
		k = pick(w.r, w.tokens)
	}
	a, node, now := w.app(k.right.app), w.x.nodes[0], w.x.clock.Now()
	w.note("spend %s of %s for %s", k.kind, k.right.who, k.right.app)
	switch k.kind {
	case "code":
		w.redeem(k, a, node, now)
	case "refresh":
		w.refresh(k, a, node, now)
	default:
		active, there := node.active(w.x, a, k.text), node.userinfo(w.x, k.text)
		if active != (there.status == 200) {
			w.fail("introspection says %t, userinfo %d", active, there.status)
		}
		if active {
			err := w.world.due(k.right, false, now)
			if err == nil && !now.Before(k.until) {
				err = fmt.Errorf("the access token is over since %s", k.until)
			}
			w.judge("active", err)
			if there.Subject != string(w.soul(k.right.who).id) {
				w.fail("the token of %s speaks of %s", k.right.who, there.Subject)
			}
		}
	}
}

func (w *walk) app(id string) *application {
	for _, a := range w.apps {
		if a.id == id {
			return a
		}
	}
	return nil
}

func (w *walk) redeem(k *token, a *application, node *node, now time.Time) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {k.text}, "redirect_uri": {a.redirect}, "code_verifier": {attackVerifier}}
	honest := true
	switch w.r.IntN(20) {
	case 0:
		form.Set("code_verifier", strings.Repeat("x", 50))
		honest = false
	case 1:
		form.Del("code_verifier")
		honest = false
	case 2:
		if other := pick(w.r, w.apps); other != a {
			a, honest = other, false
			form.Set("redirect_uri", other.redirect)
		}
	}
	spent := k.right.spent
	got := node.call(w.x, a, "/oauth2/token", form, "")
	if !honest || spent {
		k.right.dead = true
	}
	if got.status != 200 {
		return
	}
	err := w.world.due(k.right, false, now)
	switch {
	case !honest:
		err = fmt.Errorf("it was asked dishonestly")
	case spent:
		err = fmt.Errorf("the code was spent before")
	case !now.Before(k.until):
		err = fmt.Errorf("the code was over at %s", k.until)
	}
	w.judge("redeemed", err)
	k.right.spent, k.right.turned = true, now
	w.hold(k.right, got, now)
}

// hold keeps what a token response gave.
func (w *walk) hold(r *right, got tokens, now time.Time) {
	r.before, r.refresh = r.refresh, got.Refresh
	w.tokens = append(w.tokens, &token{r, "access", got.Access, now.Add(10 * time.Minute)}, &token{r, "refresh", got.Refresh, r.until})
}

func (w *walk) refresh(k *token, a *application, node *node, now time.Time) {
	honest := w.r.IntN(20) > 0
	if !honest {
		for a.id == k.right.app {
			a = pick(w.r, w.apps)
		}
	}
	got := node.refresh(w.x, a, k.text)
	r := k.right
	current := k.text == r.refresh
	grace := k.text == r.before && now.Before(r.turned.Add(5*time.Second+time.Millisecond))
	if !honest || !current && !grace {
		defer func() { r.dead = true }()
	}
	if got.status != 200 {
		return
	}
	err := w.world.due(r, true, now)
	switch {
	case !honest:
		err = fmt.Errorf("another client asked")
	case !current && !grace:
		err = fmt.Errorf("the refresh token was used before")
	}
	w.judge("refreshed", err)
	r.judged, r.when, r.errand = w.world.version, now, &errand{}
	if current {
		r.turned = now
		w.hold(r, got, now)
	} else if got.Refresh != r.refresh {
		w.fail("the same refresh token had two successors")
	}
}

// security does something on a member's own pages, whether or not it was proven.
func (w *walk) security(j *jar) {
	v := w.world.visits[j.session()]
	if v == nil {
		w.open(j)
		return
	}
	ids := []string{"x"}
	for id := range w.world.things[pick(w.r, []string{v.who, v.who, v.who, pick(w.r, w.people).name})] {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	id := pick(w.r, ids)
	g := &given{who: v.who}
	switch act := pick(w.r, []string{"add passkey", "add passkey", "add totp", "remove", "remove", "rename", "rename", "password", "lead", "forget", "refresh", "end", "signout", "signout", "signout", "everywhere"}); act {
	case "add passkey", "add totp":
		w.add(j, v, strings.TrimPrefix(act, "add "), g)
	case "remove", "rename":
		if kind := w.world.things[v.who][id]; w.phones[v.who] != nil && (kind == "app" || kind == "totp") {
			act = "rename" // a phone stays for the whole walk
		}
		w.proveAndPress(j, v, "/security/methods/"+id+"/"+act, url.Values{"name": {fmt.Sprint("label ", w.step)}}, g)
	case "password":
		w.newPassword(j, v, g)
	case "lead":
		w.proveAndPress(j, v, "/security/lead", url.Values{"kind": {pick(w.r, []string{"passkey", "totp", "password", ""})}}, g)
	case "forget":
		if all := slices.Sorted(maps.Keys(families(j.cookies[httpdoor.RememberedCookie]))); len(all) > 0 {
			id = all[0]
		}
		w.proveAndPress(j, v, "/security/browsers/"+id+"/forget", url.Values{}, g)
	case "refresh":
		w.note("refresh of %s", v.who)
		w.ask(j, "POST", "/security/refresh", url.Values{}, nil, g)
	case "end":
		page := j.copied().send("GET", "/security", nil)
		if m := sessionRow.FindStringSubmatch(page.body); m != nil {
			w.ask(j, "POST", "/security/sessions/"+m[1]+"/end", url.Values{}, nil, g)
		}
	default:
		form := url.Values{}
		if act == "everywhere" {
			form.Set("everywhere", "yes")
			g.remember = true
		}
		w.note("%s of %s", act, v.who)
		w.ask(j, "POST", "/signout", form, nil, g)
	}
}

// prove opens the page of an act and mostly answers what it asks.
func (w *walk) prove(j *jar, v *visit, path string) {
	r := w.ask(j, "GET", path, nil, nil, &given{who: v.who})
	for range 2 {
		kind := r.asks()
		if r.attempt() == "" || kind == "name" || w.r.IntN(8) == 0 {
			return
		}
		r = w.give(j, j.pages[len(j.pages)-1], w.soul(v.who), kind)
	}
}

func (w *walk) proveAndPress(j *jar, v *visit, path string, form url.Values, g *given) {
	w.note("press %s %v of %s", path, form, v.who)
	if path == "/security/lead" {
		w.ask(j, "POST", path, form, nil, g)
	} else if w.r.IntN(4) > 0 {
		w.prove(j, v, path)
	}
	w.ask(j, "POST", path, form, nil, g)
}

func (w *walk) newPassword(j *jar, v *visit, g *given) {
	s := w.soul(v.who)
	next := fmt.Sprintf("fresh words number %d", w.step)
	if w.world.policy != 0 && w.r.IntN(2) == 0 {
		next = fmt.Sprintf("brief %d", w.step)
	}
	w.note("password of %s", v.who)
	if w.r.IntN(4) > 0 {
		w.prove(j, v, "/security/password")
	}
	before := w.counts["did password"]
	w.ask(j, "POST", "/security/password", url.Values{"answer": {next}}, nil, g)
	if w.counts["did password"] > before {
		s.past, s.password = append(s.past, s.password), next
	}
}

// add registers a further passkey, or a passcode app where the member has none.
func (w *walk) add(j *jar, v *visit, kind string, g *given) {
	s := w.soul(v.who)
	if kind == "totp" && s.phone != nil {
		for _, have := range w.world.things[s.name] {
			if have == "totp" {
				return
			}
		}
	}
	w.note("add %s to %s", kind, v.who)
	path := "/security/add/" + kind
	if w.r.IntN(4) > 0 {
		w.prove(j, v, path)
	}
	page := j.send("GET", path, nil)
	answer, device, phone := "123456", softkey.New(attackBase), []byte(nil)
	switch {
	case page.field(sealedField) == "":
	case kind == "totp":
		phone = phoneSecret(w.t, page.field(keyField))
		m := member{x: w.x, phone: phone}
		answer = m.at(w.x.clock.Now())
	default:
		made, err := device.Create([]byte(page.field(optionsField)))
		w.x.must(err)
		answer = string(made)
	}
	before := w.counts["did add"]
	w.ask(j, "POST", path, url.Values{"sealed": {page.field(sealedField)}, "name": {kind}, "answer": {answer}}, nil, g)
	switch {
	case w.counts["did add"] == before:
	case kind == "totp":
		s.phone, s.step, s.last = phone, w.x.clock.Now().Unix()/30, w.x.clock.Now().Unix()/30-1
	default:
		s.key.Add(device.Credentials()[0])
	}
}

// handle is the house's id of the credential that an assertion's id means, "" where the person has none such.
func (w *walk) handle(s *soul, id string) (thing string) {
	raw, err := base64.RawURLEncoding.DecodeString(id)
	w.x.must(err)
	w.x.must(w.x.nodes[0].db.View(context.Background(), func(tx *store.Tx) error {
		c, err := tx.CredentialByHandle(context.Background(), method.Passkey, raw)
		if fault.IsKind(err, fault.NotFound) {
			return nil
		}
		if c.Person == string(s.id) {
			thing = c.ID
		}
		return err
	}))
	return thing
}

// comeBack is the morning after: the session is gone, the browser is remembered, a password is typed.
func (w *walk) comeBack() {
	for _, n := range w.r.Perm(len(w.jars)) {
		j := w.jars[n]
		shown := families(j.cookies[httpdoor.RememberedCookie])
		for _, id := range slices.Sorted(maps.Keys(shown)) {
			f := w.world.families[id]
			if f == nil || f.over {
				continue
			}
			w.note("%s comes back", f.who)
			delete(j.cookies, httpdoor.SessionCookie)
			s := w.soul(f.who)
			r := w.ask(j, "GET", pick(w.r, []string{"/apps", w.request(), w.request()}), nil, nil, &given{who: f.who})
			if r.asks() == "name" {
				p := j.pages[len(j.pages)-1]
				r = w.ask(j, "POST", "/signin", url.Values{"attempt": {r.attempt()}, "name": {f.who}}, p.errand, &given{who: f.who})
			}
			if r.asks() == "password" {
				w.give(j, j.pages[len(j.pages)-1], s, "password")
			}
			return
		}
	}
}

// mischief mixes what belongs to different browsers.
func (w *walk) mischief(j *jar) {
	other := pick(w.r, w.jars)
	switch w.r.IntN(6) {
	case 0:
		w.note("a stolen session cookie")
		if c := other.session(); c != "" {
			j.cookies[httpdoor.SessionCookie] = c
		}
	case 1:
		w.note("an old session cookie")
		if len(w.old) > 0 {
			j.cookies[httpdoor.SessionCookie] = pick(w.r, w.old)
		}
	case 2:
		w.note("a stolen remembered cookie")
		if c := other.cookies[httpdoor.RememberedCookie]; c != "" {
			j.cookies[httpdoor.RememberedCookie] = c
		}
	case 3:
		w.note("a whole jar copied")
		j.cookies = maps.Clone(other.cookies)
	case 4:
		w.note("a new browser")
		*j = jar{browser: w.browser()}
	case 5:
		w.note("damaged cookies")
		for _, name := range slices.Sorted(maps.Keys(j.cookies)) {
			if value := j.cookies[name]; w.r.IntN(3) == 0 {
				other := "A"
				if value[len(value)/2] == 'A' {
					other = "B"
				}
				j.cookies[name] = value[:len(value)/2] + other + value[len(value)/2+1:]
			}
		}
	}
}

// sweep asks with every jar, and with old cookies in every browser, whether anybody is signed in.
func (w *walk) sweep() {
	for _, j := range w.jars {
		w.ask(j, "GET", "/apps", nil, nil, &given{})
		c := &jar{browser: j.copied()}
		for range 2 {
			if len(w.old) > 0 {
				c.cookies[httpdoor.SessionCookie] = pick(w.r, w.old)
				w.ask(c, "GET", "/apps", nil, nil, &given{})
			}
		}
	}
	for _, s := range w.people {
		if has := w.owned(s.member); !maps.Equal(has, w.world.things[s.name]) {
			w.fail("%s's methods changed by themselves from %v to %v", s.name, w.world.things[s.name], has)
		}
	}
}

// prune forgets what is too old to matter, so that a long walk stays quick.
func (w *walk) prune() {
	w.old = last(w.old, 100)
	w.signed, w.shown = last(w.signed, 40), last(w.shown, 40)
	w.tokens = last(w.tokens, 120)
	w.world.rights = last(w.world.rights, 300)
	w.world.errands = last(w.world.errands, 300)
	if len(w.world.visits) > 2000 {
		for cookie, v := range w.world.visits {
			if v.over || w.x.clock.Now().After(v.born.Add(2*day)) {
				delete(w.world.visits, cookie)
				delete(w.world.deeds, v)
			}
		}
	}
}

func last[T any](s []T, n int) []T {
	if len(s) <= 2*n {
		return s
	}
	return append([]T(nil), s[len(s)-n:]...)
}
