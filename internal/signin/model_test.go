package signin_test

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/signin/signintest"
)

// given is a right answer that somebody gave, as the world outside knows it.
type given struct {
	browser []byte
	person  string
	kind    method.Kind
	from    time.Time
	until   time.Time
}

// walk is a random user of a few browsers who keeps every page ever seen and answers any of them with anything.
type walk struct {
	t        *testing.T
	h        *signintest.House
	r        *rand.Rand
	people   []*signintest.Person
	browsers []*signintest.Browser
	pages    []signin.Step // of any browser, any age
	owner    map[string]*signintest.Browser
	answers  []method.Answer
	given    []given
	steps    map[signin.StepKind]int
	approved int
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func pick[T any](w *walk, from []T) T { return from[w.r.IntN(len(from))] }

// TestRandomWalksNeverReachASessionWithoutItsProofs holds every session to a reference of a few lines: each proof in
// it was really given, by its person, in its browser; and together they are MFA.
func TestRandomWalksNeverReachASessionWithoutItsProofs(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	h := quick(t)
	h.Application("pat", "Patients", "clinic")
	p := policy.Default()
	p.Rules = append(p.Rules, policy.Rule{Name: "clinic", State: policy.RuleOn,
		Applications: policy.Match{Categories: []string{"clinic"}}, Grant: policy.Grant{Strength: policy.StrengthPhishingResistant}})
	h.Policy(p)
	w := &walk{t: t, h: h, r: rand.New(rand.NewPCG(seed, 0)), steps: map[signin.StepKind]int{},
		owner: map[string]*signintest.Browser{}}
	w.people = []*signintest.Person{h.Person("ada", method.TOTP, method.Passkey), h.Person("bob", method.TOTP), h.Person("cyd", method.Passkey),
		h.Person("dan", method.App, method.TOTP), h.Person("eve", method.App)}
	for range 3 {
		w.browsers = append(w.browsers, h.Browser())
	}
	for range 2500 {
		w.step()
		w.check()
	}
	if w.steps[signin.StepDone] < 20 || w.steps[signin.StepProve] < 100 || w.steps[signin.StepExpired] == 0 || w.approved == 0 {
		t.Fatalf("the walk saw too little: %v, %d approvals", w.steps, w.approved)
	}
}

func (w *walk) step() {
	b := pick(w, w.browsers)
	ref := ""
	if len(w.pages) > 0 {
		// Mostly a recent page, sometimes an old one.
		n := len(w.pages)
		ref = w.pages[max(0, n-1-w.r.IntN(min(n, 1+w.r.IntN(12))))].Attempt
		if w.r.IntN(12) > 0 {
			b = w.owner[ref]
		}
	}
	switch w.r.IntN(17) {
	case 12:
		w.keep(b, b.Send(ref, method.App, ""))
	case 13, 14, 15, 16:
		w.respond()
	case 0:
		w.keep(b, b.Open(pick(w, []signin.Target{{}, {Application: "pat"}, {Another: true}, {Act: policy.ActRefreshSignIn},
			{Act: policy.ActMethodRemove, Object: "x"}, {Act: policy.ActSecurityPage}})))
	case 1:
		w.keep(b, b.Show(ref))
	case 2, 3:
		w.keep(b, b.Identify(ref, pick(w, []string{"ada", "bob", "cyd", "dan", "eve", "nobody", ""})))
	case 4:
		w.keep(b, b.Choose(ref, pick(w, []method.Kind{method.Password, method.TOTP, method.Passkey, method.App, "none"})))
	case 5:
		w.h.Clock.Add(pick(w, []time.Duration{time.Second, time.Minute, time.Minute, time.Minute, 11 * time.Minute, 3 * time.Hour}))
	case 6:
		if w.r.IntN(6) == 0 {
			if err := w.h.Flow.SignOut(ctx, b.Caller, w.r.IntN(3) == 0); err != nil {
				w.t.Fatal(err)
			}
		} else if w.r.IntN(4) == 0 {
			b.Session = pick(w, w.browsers).Session // a copied cookie
		}
	default:
		w.answer(b, ref)
	}
}

// respond is somebody at their phone: they type the number of the page, now and then one that is wrong, or say no.
func (w *walk) respond() {
	p := pick(w, w.people)
	for _, c := range w.h.Requests(p) {
		number, standing := c.Number, signin.Approved
		switch w.r.IntN(6) {
		case 0:
			number = "00"
		case 1:
			standing = signin.Denied
		}
		from := w.h.Clock.Now()
		came, err := w.h.Respond(p, c.ID, number, standing)
		if err != nil {
			w.t.Fatal(err)
		}
		if came == signin.Approved {
			w.approved++
			w.given = append(w.given, given{c.Browser, string(p.ID), method.App, from, w.h.Clock.Now()})
		}
	}
}

func (w *walk) keep(b *signintest.Browser, s signin.Step) {
	w.steps[s.Kind]++
	if s.Attempt != "" {
		w.pages, w.owner[s.Attempt] = append(w.pages, s), b
	}
}

// answer gives somebody's proof to a page: right, wrong, somebody else's, or one that was given before.
func (w *walk) answer(b *signintest.Browser, ref string) {
	p, kind := pick(w, w.people), pick(w, []method.Kind{method.Password, method.TOTP, method.Passkey, method.App})
	for _, page := range w.pages {
		if page.Attempt == ref && w.r.IntN(3) > 0 && page.Method != "" {
			for _, who := range w.people {
				if who.Username == page.Name && w.r.IntN(4) > 0 {
					p = who
				}
			}
			kind = page.Method
		}
	}
	var a method.Answer
	switch {
	case w.r.IntN(6) == 0 && len(w.answers) > 0:
		a = pick(w, w.answers)
	case w.r.IntN(8) == 0:
		a = method.Answer{Text: "wrong"}
	case kind == method.Password:
		a = method.Answer{Text: signintest.Password}
	case kind == method.TOTP && p.Phone != nil:
		a = p.Code()
	case kind == method.Passkey && p.Key != nil:
		for _, page := range w.pages {
			if page.Attempt == ref && (page.Passkey != nil || len(page.Prompt.Public) > 2) {
				if page.Passkey == nil && page.Method != method.Passkey {
					continue
				}
				public := page.Prompt.Public
				if page.Passkey != nil {
					public = page.Passkey.Public
				}
				p.Key.Use = p.Handles[method.Passkey]
				if answer, err := p.Key.Get(public); err == nil {
					a = method.Answer{JSON: answer}
				}
			}
		}
	}
	w.answers = append(w.answers, a)
	from := w.h.Clock.Now()
	w.keep(b, b.Answer(ref, kind, a, w.r.IntN(2) == 0))
	until := w.h.Clock.Now()
	// What the world knows: this answer may have been a right one of any of the people.
	for _, who := range w.people {
		right := kind == method.Password && a.Text == signintest.Password ||
			kind == method.TOTP && a.Text != "" && a.Text != "wrong" && who.Phone != nil ||
			kind == method.Passkey && a.JSON != nil && who.Key != nil && bytes.Contains(a.JSON, []byte(b64(who.Handles[method.Passkey])))
		if right {
			w.given = append(w.given, given{secret.Hash(b.Browser.Reveal()), string(who.ID), kind, from, until})
		}
	}
}

func (w *walk) check() {
	for _, p := range w.people {
		for _, s := range w.h.Sessions(p) {
			var password, code, passkey, app bool
			for _, e := range s.Evidence {
				password, code, passkey = password || e.Kind == method.Password, code || e.Kind == method.TOTP, passkey || e.Kind == method.Passkey
				app = app || e.Kind == method.App
				found := false
				for _, g := range w.given {
					found = found || g.kind == e.Kind && g.person == s.Person && bytes.Equal(g.browser, s.Browser) &&
						!e.At.Before(g.from.Truncate(time.Microsecond)) && !e.At.After(g.until)
				}
				if !found || e.Credential != p.Creds[e.Kind] {
					w.t.Fatalf("a proof that nobody gave: %+v in a session of %s", e, p.Username)
				}
			}
			if !passkey && !(password && (code || app || s.Family != "")) {
				w.t.Fatalf("a session of %s rests on too little: %+v", p.Username, s.Evidence)
			}
		}
	}
}
