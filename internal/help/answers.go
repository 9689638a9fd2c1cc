package help

import (
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/password"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

func say(key string) Point { return Point{Key: key} }

func sayAge(key string, age time.Duration) Point {
	return Point{Key: key, Params: map[string]any{"Age": age}}
}

// put adds a point where it holds.
func (a *Answer) put(holds bool, p Point) {
	if holds {
		a.Points = append(a.Points, p)
	}
}

// list adds a sentence that introduces applications, where there are any.
func (a *Answer) list(key string, names []string) {
	a.put(len(names) > 0, Point{Key: key, Names: names})
}

// often answers "How often am I asked?".
func (v view) often() Answer {
	a := Answer{Anchor: "often", Points: []Point{say("help.often.lead")}}
	for _, g := range v.groups {
		p := say("help.often.signin")
		switch {
		case g.everyTime:
			p = say("help.often.every_time")
		case g.maxAge > 0:
			p = sayAge("help.often.max_age", g.maxAge)
		case g.remember > 0:
			p = sayAge("help.often.remember", g.remember)
		}
		p.Detail, p.Names = needKeys[g.need], g.names
		a.put(true, p)
	}
	a.put(true, say("help.often.more"))
	return a
}

// ways answers "Which ways of signing in can I use?".
func (v view) ways() Answer {
	a := Answer{Anchor: "ways", Points: []Point{say("help.ways.lead")}}
	for _, k := range v.kinds {
		p := Point{Key: v.worth(k), Kind: k}
		if n := v.Traits[k].Limit; n > 1 {
			p.Detail, p.Params = "help.ways.limit", map[string]any{"Limit": n}
		}
		a.put(true, p)
	}
	return a
}

// needsPasskey answers "Which applications need a passkey?".
func (v view) needsPasskey() Answer {
	a := Answer{Anchor: "needs-passkey"}
	needs := func(n need) func(group) bool { return func(g group) bool { return g.need == n } }
	below := v.any(func(g group) bool { return g.need < needPasskey })
	strong := v.any(func(g group) bool { return g.need >= needPasskey })
	a.put(!strong, say("help.needs-passkey.none"))
	a.put(strong && !below, say("help.needs-passkey.all"))
	a.list("help.needs-passkey.these", v.names(needs(needPasskey)))
	a.list("help.needs-passkey.hardware", v.names(needs(needHardware)))
	a.list("help.needs-passkey.special", v.names(needs(needSpecial)))
	a.put(strong && v.offers(method.Passkey), say("help.needs-passkey.add"))
	return a
}

// length answers "How long does my password have to be?".
func (v view) length() Answer {
	a := Answer{Anchor: "length"}
	if !v.offers(method.Password) {
		return a
	}
	alone := v.Policy.PasswordMayStandAlone(v.Person)
	least, why := password.MinChars, "help.length.together"
	if alone {
		least, why = password.AloneChars, "help.length.alone"
	}
	a.put(true, Point{Key: "help.length.least", Params: map[string]any{"Least": least}})
	a.put(true, say(why))
	a.put(true, say("help.length.words"))
	return a
}

// slow is a wait after wrong answers that nobody sits out.
const slow = 12 * time.Hour

// mistake answers "What if I type it wrong?". It says no number that would help whoever guesses.
func (v view) mistake() Answer {
	a := Answer{Anchor: "mistake", Points: []Point{say("help.mistake.again")}}
	var waits, long, free bool
	for _, k := range v.kinds {
		if !v.Traits[k].Guessable {
			free = true
			continue
		}
		refill := v.limit(k).Refill
		long, waits = long || refill >= slow, waits || refill < slow
	}
	a.put(waits, say("help.mistake.wait"))
	a.put(long, say("help.mistake.long"))
	a.put(free, say("help.mistake.passkey"))
	a.put(waits || long, say("help.mistake.others")) // each audience has counters of its own
	return a
}

// newPhone answers "I have a new phone".
func (v view) newPhone() Answer {
	a := Answer{Anchor: "new-phone", Points: []Point{say("help.new-phone.1")}}
	a.put(v.offers(method.App), say("help.new-phone.app"))
	a.put(v.offers(method.Passkey), say("help.new-phone.passkey"))
	a.put(v.offers(method.TOTP), say("help.new-phone.totp"))
	return a
}

// lost answers "I lost my phone or key".
func (v view) lost() Answer {
	a := Answer{Anchor: "lost", Points: []Point{say("help.lost.1"), say("help.lost.signed_in")}}
	a.put(v.longest() > 0, sayAge("help.lost.remembered", v.longest()))
	a.put(v.offers(method.Recovery), say("help.lost.recovery"))
	a.put(true, say("help.lost.2"))
	return a
}

// forgot answers "I left my phone at home".
func (v view) forgot() Answer {
	a := Answer{Anchor: "forgot"}
	a.put(v.offers(method.Passkey), say("help.forgot.passkey"))
	skips := func(g group) bool { return g.remember > 0 }
	a.put(v.any(skips), Point{Key: "help.forgot.remembered", Names: v.names(skips)})
	a.put(v.offers(method.Recovery), say("help.forgot.recovery"))
	a.put(true, say("help.forgot.desk"))
	return a
}

// abroad answers "I am travelling, or have no network".
func (v view) abroad() Answer {
	a := Answer{Anchor: "abroad"}
	a.put(v.offers(method.TOTP), say("help.abroad.totp"))
	a.put(v.offers(method.Passkey), say("help.abroad.passkey"))
	a.put(v.offers(method.App), say("help.abroad.app"))
	a.put(v.silent(), say("help.abroad.silent"))
	return a
}

// remember answers what "Don't ask again on this browser" does.
func (v view) remember() Answer {
	a := Answer{Anchor: "remember"}
	if v.longest() == 0 {
		a.put(true, say("help.remember.never"))
		return a
	}
	seen := map[time.Duration]bool{}
	for _, g := range v.groups {
		if g.remember == 0 || seen[g.remember] {
			continue
		}
		seen[g.remember] = true
		p := sayAge("help.remember.for", g.remember)
		p.Names = v.names(func(o group) bool { return o.remember == g.remember })
		a.put(true, p)
	}
	a.list("help.remember.except", v.names(func(g group) bool { return g.remember == 0 }))
	a.put(true, say("help.remember.2"))
	return a
}

// refresh answers "Before an important meeting".
func (v view) refresh() Answer {
	idle, most := v.sessionTimes()
	a := Answer{Anchor: "refresh", Points: []Point{say("help.refresh.1")}}
	a.put(true, Point{Key: "help.refresh.lasts", Params: map[string]any{"Max": most, "Idle": min(idle, most)}})
	a.put(v.longest() > 0, sayAge("help.refresh.remember", v.longest()))
	a.list("help.refresh.every_time", v.names(func(g group) bool { return g.everyTime }))
	for _, g := range v.groups {
		if !g.everyTime && g.maxAge > 0 && len(g.names) > 0 {
			p := sayAge("help.refresh.max_age", g.maxAge)
			p.Names = g.names
			a.put(true, p)
		}
	}
	return a
}

// sessionTimes are policy's, or the usual ones.
func (v view) sessionTimes() (idle, most time.Duration) {
	idle, most = v.Policy.SessionIdle, v.Policy.SessionMax
	if idle <= 0 {
		idle = policy.DefaultSessionIdle
	}
	if most <= 0 {
		most = policy.DefaultSessionMax
	}
	return idle, most
}

// session answers "How long do I stay signed in?".
func (v view) session() Answer {
	idle, most := v.sessionTimes()
	a := Answer{Anchor: "session", Points: []Point{sayAge("help.session.max", most)}}
	a.put(idle < most, sayAge("help.session.idle", idle))
	a.put(true, sayAge("help.session.security", policy.SecurityPageFor))
	a.put(true, say("help.session.applications"))
	return a
}

// unexpected answers "I got a message that I did not expect".
func (v view) unexpected() Answer {
	a := Answer{Anchor: "unexpected"}
	a.put(v.silent(), say("help.unexpected.silent"))
	a.put(v.offers(method.App), say("help.unexpected.app"))
	a.put(v.offers(method.Phone), say("help.unexpected.phone"))
	a.put(true, say("help.unexpected.mail"))
	a.put(true, say("help.unexpected.act"))
	return a
}

// privacy answers "What is kept about me?".
func (v view) privacy() Answer {
	_, most := v.sessionTimes()
	a := Answer{Anchor: "privacy", Points: []Point{say("help.privacy.1"), say("help.privacy.server"), sayAge("help.privacy.session", most),
		sayAge("help.privacy.browser", v.BrowserCookie)}}
	a.put(v.longest() > 0, sayAge("help.privacy.remembered", v.longest()))
	a.put(v.offers(method.App), say("help.privacy.app"))
	a.put(true, say("help.privacy.nothing_else"))
	return a
}
