package policy

import (
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// The names of the rules that are built in.
const (
	RuleDefault  = "<default>"
	RuleDemand   = "<application's demand>"
	RuleAct      = "<act>"
	RulePassword = "<password alone>"
	RuleAccount  = "<account>"
	RuleReported = "<reported>"
)

// SecurityPageFor is how long the security page may be used after a proof.
const SecurityPageFor = 15 * time.Minute

// Decide says whether in may go on, what is to be proven first, or why not.
//
// The demands of all matching rules, of the act and of the application are one goal; the evidence meets all of it
// or does not. Freshness counts the oldest proof used; max_age and prompt=login of OpenID Connect count the latest
// (auth_time). A remembered browser is looked at last, and only where nothing beyond MFA is demanded.
func Decide(p Policy, in Input) Decision {
	if in.Act == "" {
		in.Act = ActSignIn
	}
	if d, held := p.onHold(in); held {
		return d
	}
	return p.decide(in)
}

func (p Policy) decide(in Input) Decision {
	ps := usable(in.Evidence, in.Now)
	d := Decision{Version: p.Version, Reached: p.reached(ps), AMR: amr(ps)}
	if len(ps) > 0 {
		d.AuthTime = ps[0].At
	}
	if !in.Person.Active || in.Person.ID == "" {
		d.Reasons = []Reason{{Rule: RuleAccount, Code: "account"}}
		return d
	}
	g, first := p.goal(in)
	d.ACR = p.acr(in.Demand.ACR, ps)
	d.ReportOnly = p.reportOnly(g, in, ps)
	if len(g.blocked) > 0 {
		d.Reasons = g.blocked
		return d
	}
	if first {
		d.Reasons = []Reason{{Rule: RuleAct, Code: "first_method"}}
		return d
	}
	g, ok := p.withACR(g, in, ps)
	if !ok {
		d.Reasons = []Reason{{Rule: RuleDemand, Code: "demand.acr", Params: map[string]any{"acr": in.Demand.ACR}}}
		return d
	}
	p.settle(&d, g, in, ps)
	return d
}

// settle compares the evidence with the whole goal.
func (p Policy) settle(d *Decision, g goal, in Input, ps proofs) {
	if p.met(g, ps) {
		d.Verdict = Allow
		d.Oldest = p.oldest(g, ps)
		d.RememberFor = p.rememberFor(g, in, ps, true)
		return
	}
	rests, short := p.restsOnRemembered(g, in, ps)
	if rests && !short {
		d.Verdict, d.UsedRemembered = Allow, true
		d.Oldest, _ = p.freshest(StrengthAny, ps.since(g.cutoff()))
		return
	}
	d.Reasons = p.reasons(g, ps, nil)
	if rests {
		d.Reasons = append([]Reason{tooShort()}, d.Reasons...)
	}
	d.Ask = p.ask(g, in, ps)
	if len(d.Ask) == 0 {
		d.Reasons = append([]Reason{{Rule: d.Reasons[0].Rule, Code: "no_method", Params: d.Reasons[0].Params}}, d.Reasons...)
		return
	}
	d.Verdict = Ask
	d.RememberFor = p.rememberFor(g, in, ps, false)
}

// goal collects what the rules, the act and a report demand. first: a first method is being added without more than a
// password in hand.
func (p Policy) goal(in Input) (g goal, first bool) {
	g, first = p.ruled(in)
	if in.Person.NewPassword {
		// A password that somebody else may know is company at most, and no browser stands for the other proof.
		g.strengths = append(g.strengths, want{RuleReported, "reported", StrengthMFA, map[string]any{"strength": string(StrengthMFA)}})
		g.rememberSet, g.remember = true, 0
	}
	return g, first
}

func (p Policy) ruled(in Input) (g goal, first bool) {
	for _, r := range p.Rules {
		if r.State != RuleOn {
			continue
		}
		if ok, _ := r.matches(in); ok {
			g.add(r, in)
		}
	}
	switch {
	case signsIn(in.Act):
		if len(g.strengths) == 0 {
			g.strengths = append(g.strengths, want{RuleDefault, "strength", StrengthMFA, map[string]any{"strength": string(StrengthMFA)}})
		}
		// Always last: what is left as the only proof is never a short password.
		g.strengths = append(g.strengths, want{RulePassword, "strength", StrengthAny, map[string]any{"strength": string(StrengthAny)}})
	case in.Act == ActSecurityPage:
		level := p.level(in)
		if rank(level) > rank(StrengthMFA) {
			level = StrengthMFA
		}
		g.prove(level, "act.page", in.ago(SecurityPageFor))
		return g, false
	}
	if in.Act != ActSignIn {
		level := p.level(in)
		since := in.Demand.FreshSince
		if since.IsZero() {
			since = in.Now.Add(-EveryTimeTolerance)
		}
		g.prove(level, "act.proof", since)
		first = in.Act == ActMethodAdd && level == StrengthAny
	}
	g.demand(in)
	return g, first
}

// level is what the account can prove at best: phishing-resistant where such a credential is owned, else MFA where
// two kinds are, else any proof.
func (p Policy) level(in Input) Strength {
	own := possible(in.Owned, in.Traits, nil, in.Now)
	for _, s := range []Strength{StrengthPhishingResistant, StrengthMFA} {
		if p.meets(s, own) {
			return s
		}
	}
	return StrengthAny
}

// prove demands the account's present level since t. Where that is a password alone its length is no matter: the
// act may be to change it.
func (g *goal) prove(level Strength, code string, t time.Time) {
	params := map[string]any{"strength": string(level)}
	if level == StrengthAny {
		g.recent = append(g.recent, bound{RuleAct, code, t, params})
		return
	}
	g.strengths = append(g.strengths, want{RuleAct, code, level, params})
	g.fresh = append(g.fresh, bound{RuleAct, code, t, params})
}

// demand adds what the application asks for; its names of assurance are withACR's.
func (g *goal) demand(in Input) {
	d := in.Demand
	if d.MaxAgeSet {
		age := max(0, d.MaxAge)
		g.recent = append(g.recent, bound{RuleDemand, "demand.max_age", in.ago(age), map[string]any{"minutes": int(age / time.Minute)}})
	}
	if in.Act == ActSignIn && !d.FreshSince.IsZero() {
		g.recent = append(g.recent, bound{RuleDemand, "demand.login", d.FreshSince, nil})
	}
}

// met reports whether ps meet every part of the goal at once.
func (p Policy) met(g goal, ps proofs) bool {
	if !recentEnough(g.recent, ps) || len(ps) == 0 {
		return false
	}
	fresh := ps.since(g.cutoff())
	for _, w := range g.strengths {
		if !p.meets(w.strength, fresh) {
			return false
		}
	}
	return true
}

func recentEnough(bounds []bound, ps proofs) bool {
	for _, b := range bounds {
		if len(ps) == 0 || ps[0].At.Before(b.since) {
			return false
		}
	}
	return true
}

// oldest is the time of the oldest proof that a met goal rests on.
func (p Policy) oldest(g goal, ps proofs) time.Time {
	oldest := ps[0].At
	for _, w := range g.strengths {
		if t, ok := p.freshest(w.strength, ps); ok && t.Before(oldest) {
			oldest = t
		}
	}
	return oldest
}

// reasons names every part of the goal that ps do not meet, the strictest first; of, where set, chooses rules.
func (p Policy) reasons(g goal, ps proofs, of func(rule string) bool) []Reason {
	wants := slices.Clone(g.strengths)
	slices.SortStableFunc(wants, func(a, b want) int { return rank(b.strength) - rank(a.strength) })
	var out []Reason
	put := func(rule, code string, params map[string]any) {
		if of == nil || of(rule) {
			out = append(out, Reason{rule, code, params})
		}
	}
	for _, w := range wants {
		switch {
		case p.meets(w.strength, ps), w.rule == RulePassword && len(out) > 0:
		case w.strength == StrengthAny && len(ps) > 0:
			put(w.rule, "password_too_short", tooShort().Params)
		default:
			put(w.rule, w.code, w.params)
		}
	}
	for _, b := range g.fresh {
		fresh := ps.since(b.since)
		if slices.ContainsFunc(wants, func(w want) bool { return p.meets(w.strength, ps) && !p.meets(w.strength, fresh) }) {
			put(b.rule, b.code, b.params)
		}
	}
	for _, b := range g.recent {
		if len(ps) == 0 || ps[0].At.Before(b.since) {
			put(b.rule, b.code, b.params)
		}
	}
	return out
}

func tooShort() Reason {
	return Reason{RulePassword, "password_too_short", map[string]any{"min": 15}}
}

// restsOnRemembered reports whether the remembered browser may stand for the second proof; short: it could, were
// the password long enough to be the only proof.
func (p Policy) restsOnRemembered(g goal, in Input, ps proofs) (rests, short bool) {
	r := in.Remembered
	if r == nil || in.Act != ActSignIn || !p.mayRemember(g) || !recentEnough(g.recent, ps) {
		return false, false
	}
	for _, w := range g.strengths {
		if g.essential && w.rule == RuleDemand && w.strength != StrengthAny {
			return false, false
		}
	}
	cutoff := g.cutoff()
	if r.ProvenAt.IsZero() || r.ProvenAt.After(in.Now.Add(clockSkew)) || r.ProvenAt.Before(cutoff) ||
		!in.Now.Before(r.ProvenAt.Add(g.remember)) {
		return false, false
	}
	for _, e := range ps.since(cutoff) {
		if e.Kind == method.Password {
			if e.Long {
				return true, false
			}
			short = true
		}
	}
	return short, short
}

// mayRemember: a remembered browser never stands for more than MFA, nor where every time is demanded.
func (p Policy) mayRemember(g goal) bool {
	if g.everyTime || g.remember <= 0 {
		return false
	}
	for _, w := range g.strengths {
		if rank(w.strength) > rank(StrengthMFA) {
			return false
		}
	}
	return true
}

// rememberFor is what may be offered: after a password and a second proof just given or, while that is being
// asked for (given false), beside the question.
func (p Policy) rememberFor(g goal, in Input, ps proofs, given bool) time.Duration {
	if !signsIn(in.Act) || !p.mayRemember(g) {
		return 0
	}
	var password, second bool
	for _, e := range ps {
		password = password || e.Kind == method.Password
		second = second || e.Kind != method.Password && !e.At.Before(in.ago(EveryTimeTolerance))
	}
	if !password || given && !(second && p.meets(StrengthMFA, ps)) {
		return 0
	}
	return g.remember
}
