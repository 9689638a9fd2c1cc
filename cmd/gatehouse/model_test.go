package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

var (
	walkSeed  = flag.Uint64("walk.seed", 20261122, "seed of the flow model's walk; 0: a new one, as make fuzz takes")
	walkSteps = flag.Int("walk.steps", modelSteps, "steps of the flow model's walk")
)

// walk is a crowd of members and enemies pressing whatever there is to press, each press held to the reference.
type walk struct {
	t      *testing.T
	x      *target
	r      *rand.Rand
	world  *reference
	seed   uint64
	step   int
	people []*soul
	jars   []*jar
	apps   []*application
	says   []string       // what was done lately
	counts map[string]int // what came of it
	old    []string       // session cookies that were ever set
	signed []string       // assertions that were ever made
	shown  []string       // passcodes that were ever shown
	tokens []*token
	phones map[string]*softphone.Phone // by their owner's name
	shows  []showing
	papers map[string][]string // unused recovery codes by owner
	used   []string
}

// soul is a member with the last passcode that the house certainly took.
type soul struct {
	*member
	last int64
	past []string // passwords of before
}

// jar is a browser with its pages, of any age.
type jar struct {
	*browser
	pages []*page
}

// page is something to be answered.
type page struct {
	*reply
	errand *errand
	who    string // whom it seems to speak of
	spent  bool   // its passkey question was answered
	at     time.Time
}

// token is something that an application holds.
type token struct {
	right *right
	kind  string // code, access, refresh
	text  string
	until time.Time
}

// given is one press of a button and what was truly given with it.
type given struct {
	facts    []fact
	steps    map[*soul]int64
	remember bool
	who      string
	code     string // a recovery code
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// walkers walk side by side, each in a house of its own.
const walkers = 4

func TestFlowModelNothingWithoutItsProofs(t *testing.T) {
	seed := *walkSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	for n := range walkers {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			t.Parallel()
			newWalk(t, seed, uint64(n)).through(*walkSteps / walkers)
		})
	}
}

// through walks so many steps, and sees to it that there was something to see.
func (w *walk) through(steps int) {
	for w.step = range steps {
		w.act()
		if w.step%200 == 199 {
			w.sweep()
		}
		if w.t.Failed() {
			w.fail("the house answered wrongly")
		}
	}
	w.t.Logf("-walk.seed=%d, %d steps: %v", w.seed, steps, w.counts)
	if steps < 10_000 {
		return // too short to have met everything
	}
	if len(w.used) == 0 {
		w.t.Errorf("nobody came in by a recovery code: %v", w.counts)
	}
	for _, what := range []string{"session", "elevated", "code", "redeemed", "refreshed", "active", "changed", "remembered", "rests", "asked", "refused", "expired", "approved", "by app"} {
		if w.counts[what]*4000 < steps {
			w.t.Errorf("the walk saw too little of %q: %v", what, w.counts)
		}
	}
}

func newWalk(t *testing.T, seed, n uint64) *walk {
	w := &walk{t: t, x: newTarget(t, "", 1), r: rand.New(rand.NewPCG(seed, n)), seed: seed, counts: map[string]int{}, phones: map[string]*softphone.Phone{}, papers: map[string][]string{},
		world: &reference{categories: map[string]string{}, active: map[string]bool{}, things: map[string]map[string]string{},
			visits: map[string]*visit{}, families: map[string]*family{}, deeds: map[*visit][]deed{}}}
	for name, category := range map[string]string{"Board": "open", "Library": "teaching", "Money": "money", "Records": "clinical"} {
		w.apps = append(w.apps, w.x.application(name, category, "offline_access"))
		w.world.categories[strings.ToLower(name)] = category
	}
	slices.SortFunc(w.apps, func(a, b *application) int { return strings.Compare(a.id, b.id) })
	for _, m := range []*member{
		w.x.member("ann", "seven pale horses at dawn", method.Password),
		w.x.member("bea", "nine quick otters in rain", method.Password, method.TOTP),
		w.x.member("cal", shortPassword, method.Password, method.TOTP),
		w.x.member("dov", "", method.Passkey),
		w.x.member("eli", "four slow foxes by night", method.Password, method.TOTP, method.Passkey),
		w.withApp("fay", "six blue herons at low tide", method.Password, method.TOTP),
		w.withApp("gil", "two grey badgers in a lane", method.Password, method.TOTP, method.Passkey),
	} {
		w.people = append(w.people, &soul{member: m, last: w.x.clock.Now().Unix()/30 - 2})
		w.world.active[m.name] = true
		if m.name == "bea" || m.name == "eli" {
			b := w.x.browser()
			b.signIn(m, "/security", false)
			w.papers[m.name] = b.paper(m)
		}
		w.world.things[m.name] = w.owned(m)
	}
	w.x.policy(walkPolicy())
	for range 6 {
		w.jars = append(w.jars, &jar{browser: w.browser()})
	}
	return w
}

func (w *walk) browser() *browser {
	b := w.x.browser()
	b.address = fmt.Sprintf("10.0.%d.%d:4711", w.r.IntN(250), w.r.IntN(250)) // the flood bound counts real seconds
	b.send("GET", "/signin", nil)
	return b
}

// owned are the person's credentials in the house's own record, by id.
func (w *walk) owned(m *member) map[string]string {
	out := map[string]string{}
	w.x.must(w.x.nodes[0].db.View(context.Background(), func(tx *store.Tx) error {
		all, err := tx.CredentialsOf(context.Background(), string(m.id))
		for _, c := range all {
			out[c.ID] = string(c.Kind)
		}
		return err
	}))
	return out
}

// who asks the house whose session a jar's cookies are.
func (w *walk) who(j *jar) string {
	_, p, err := w.x.nodes[0].signin.Who(context.Background(), signin.Caller{
		Session: secret.NewString(j.session()), Browser: secret.NewString(j.cookies[httpdoor.BrowserCookie])})
	if err != nil {
		return ""
	}
	return p.Username
}

func (w *walk) fail(format string, args ...any) {
	w.t.Helper()
	from := max(0, len(w.says)-25)
	w.t.Fatalf("-walk.seed=%d, step %d: %s\nthe last presses:\n%s", w.seed, w.step, fmt.Sprintf(format, args...), strings.Join(w.says[from:], "\n"))
}

func (w *walk) note(format string, args ...any) {
	if len(w.says) > 1000 {
		w.says = slices.Clone(w.says[900:])
	}
	w.says = append(w.says, fmt.Sprintf("%d %s ", w.step, w.x.clock.Now().Format("02T15:04:05"))+fmt.Sprintf(format, args...))
}

func (w *walk) soul(name string) *soul {
	for _, s := range w.people {
		if s.name == name {
			return s
		}
	}
	return nil
}

// judge fails where the house gave what the reference would not.
func (w *walk) judge(what string, err error) {
	w.t.Helper()
	if err != nil {
		w.fail("%s, but %v", what, err)
	}
	w.counts[what]++
}

// act is one random step: mostly what a member would do next, sometimes what an enemy would.
func (w *walk) act() {
	j := w.jars[w.r.IntN(len(w.jars))]
	switch n := w.r.IntN(100); {
	case n < 22:
		w.open(j)
	case n < 66:
		w.answer(j)
	case n < 70:
		w.comeBack()
	case n < 82:
		w.spend()
	case n < 88:
		w.security(j)
	case n < 93:
		w.clock()
	case n < 97:
		w.mischief(j)
	default:
		w.office()
	}
	w.prune()
}

// clock moves time: mostly little, sometimes past every limit.
func (w *walk) clock() {
	d := []time.Duration{10 * time.Second, 40 * time.Second, time.Minute, 2 * time.Minute, 6 * time.Minute, 11 * time.Minute, 16 * time.Minute,
		31 * time.Minute, time.Hour, 9 * time.Hour, 25 * time.Hour, 8 * day, 40 * day}
	n := min(w.r.IntN(len(d)), w.r.IntN(len(d)), w.r.IntN(len(d)+1))
	w.note("wait %s", d[n])
	w.x.clock.Add(d[n])
}

// office is what administrators do.
func (w *walk) office() {
	s := pick(w.r, w.people)
	switch w.r.IntN(5) {
	case 0:
		w.note("suspend %s", s.name)
		if w.world.active[s.name] {
			s.suspend()
			w.world.active[s.name] = false
			w.world.end(s.name, nil, nil)
		}
	case 1:
		w.note("end %s's sessions", s.name)
		w.x.admin("DELETE", "/people/"+string(s.id)+"/sessions", "")
		w.world.end(s.name, nil, nil)
	case 2:
		w.policy()
	}
	for _, s := range w.people { // nobody stays out for long, or nothing happens any more
		if !w.world.active[s.name] && w.r.IntN(2) == 0 {
			w.note("restore %s", s.name)
			s.restore()
			w.world.active[s.name] = true
		}
	}
}

// policy puts one of the three policies in force; the first is the usual one.
func (w *walk) policy() {
	n := max(0, w.r.IntN(5)-2)
	p := walkPolicy()
	switch n {
	case 1:
		p.Rules = append(p.Rules, policy.Rule{Name: "raised", State: policy.RuleOn, Grant: policy.Grant{Strength: policy.StrengthPhishingResistant}})
	case 2:
		p.Rules[0].Grant.Remember = 7 * day
		p.Rules[2].Grant.Freshness.MaxAge = 10 * time.Minute
		p.Rules = append(p.Rules, policy.Rule{Name: "closed", State: policy.RuleOn,
			Applications: policy.Match{Categories: []string{"teaching"}}, Grant: policy.Grant{Block: true}})
	}
	w.note("policy %d", n)
	w.x.policy(p)
	w.world.policy = n
	w.world.version++
}

// open begins or shows something.
func (w *walk) open(j *jar) {
	path := "/apps"
	switch w.r.IntN(8) {
	case 0:
		path = pick(w.r, []string{"/signin", "/apps", "/", "/security/add", "/signout", "/help"})
	case 1:
		path = "/security"
	case 2:
		if len(j.pages) > 0 {
			path = pick(w.r, []string{"/signin?attempt=", "/signin/name?attempt=", "/oauth2/authorize/continue?attempt="}) +
				url.QueryEscape(pick(w.r, j.pages).attempt())
		}
	default:
		path = w.request()
	}
	var e *errand
	if _, ref, ok := strings.Cut(path, "attempt="); ok {
		ref, _ = url.QueryUnescape(ref)
		for _, p := range j.pages {
			if p.attempt() == ref {
				e = p.errand
			}
		}
	}
	w.ask(j, "GET", path, nil, e, &given{})
}

// request is an authorization request with what applications may add to it.
func (w *walk) request() string {
	a := pick(w.r, w.apps)
	extra := pick(w.r, [][]string{{}, {}, {}, {"prompt", "login"}, {"prompt", "none"}, {"max_age", "0"}, {"max_age", "1700"}, {"max_age", "60"},
		{"acr_values", "https://refeds.org/profile/sfa"}, {"acr_values", "phr"}, {"prompt", "select_account"}, {"login_hint", "bea"}})
	if w.r.IntN(3) == 0 {
		extra = append(slices.Clone(extra), "scope", "openid offline_access")
	}
	return a.authorize(extra...)
}

// genuine says for each person whether a passcode is theirs, unused, and near enough for any drift that can be learned.
func (w *walk) genuine(text string) (facts []fact, steps map[*soul]int64) {
	now := w.x.clock.Now()
	steps = map[*soul]int64{}
	for _, s := range w.people {
		for id, kind := range w.world.things[s.name] {
			if kind != "totp" {
				continue
			}
			for step := now.Unix()/30 + 12; step >= now.Unix()/30-12 && step > s.last; step-- {
				if s.at(time.Unix(step*30, 0)) == text {
					facts, steps[s] = append(facts, fact{who: s.name, kind: "totp", thing: id, at: now}), step
				}
			}
		}
	}
	return facts, steps
}
