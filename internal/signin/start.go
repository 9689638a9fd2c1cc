package signin

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/incident"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// Problems of starting. Each leaves the other methods as they are.
var (
	problemBusy = fault.New(fault.TooMany, "signin.app_busy",
		"A request from another browser waits on your phone. Answer it there, wait until it is over, or sign in another way.")
	problemAppWait = fault.New(fault.TooMany, "signin.app_wait",
		"Many requests were sent to your phone. Wait a while, or sign in another way.")
	problemBlocked = fault.New(fault.Forbidden, "signin.app_blocked",
		"A request from here was reported as not yours, so none are sent to your phone from here for a day. Sign in another way.")
)

// outbound reports whether kind is proven by something that is sent first.
func (f *Flow) outbound(kind method.Kind) bool { return f.traits[kind].Outbound }

// reaches reports whether any of these is of an outbound kind: nobody else has challenges, and none are looked for.
func (f *Flow) reaches(owned []method.Credential) bool {
	for _, c := range owned {
		if f.outbound(c.Kind) {
			return true
		}
	}
	return false
}

// start sends a challenge of kind for the attempt in sit.row, which is saved already, or says in out.problem why none
// is sent. What the attempt or its browser had under way ends: its number and code are worth nothing (attack G34).
// It is called after a proof only, and never by a GET (attack rule 18).
func (f *Flow) start(ctx context.Context, s Store, sit *situation, kind method.Kind, via string, out *outcome) error {
	m, ok := f.Methods[kind].(method.Outbound)
	if !ok {
		return fmt.Errorf("signin: %s is outbound by its traits but cannot be sent", kind)
	}
	c := f.challengeFor(sit, kind)
	in := method.DispatchInput{Subject: subject(sit.person), Credentials: ofKind(sit.owned, kind),
		Digits: sit.policy.App.Digits(), Now: sit.now}
	in.Via, in.Credential, _ = strings.Cut(via, ":")
	over := []Challenge{}
	if sit.challenge != nil && sit.challenge.Standing == Open {
		over = append(over, *sit.challenge)
		in.Avoid = append(in.Avoid, sit.challenge.Number)
	}
	if f.traits[kind].Elsewhere {
		r, err := f.mayRequest(ctx, s, sit, c)
		if err != nil || r.problem != nil {
			out.problem = r.problem
			return err
		}
		over, in.Avoid = append(over, r.over...), append(in.Avoid, r.avoid...)
	}
	d, err := m.Dispatch(in)
	if problem := fault.Of(err); err != nil && (problem.Kind == fault.BadInput || problem.Kind == fault.TooMany) {
		out.problem = problem
		return nil
	}
	if err != nil {
		return err
	}
	c.Via, c.State, c.Public, c.Number = d.Via, d.State, d.Public, d.Number
	if problem, err := f.sendAll(ctx, s, sit, &c, d.Send); err != nil || problem != nil {
		out.problem = problem
		return err
	}
	for _, o := range over {
		if err := EndChallenge(ctx, s, o); err != nil {
			return err
		}
	}
	if err := s.AddChallenge(ctx, c); err != nil {
		return err
	}
	f.started(s, sit, c, out)
	return nil
}

func (f *Flow) started(s Store, sit *situation, c Challenge, out *outcome) {
	if f.traits[c.Kind].Elsewhere {
		s.Wake(RequestsTopic(c.Person))
		sit.page.Tries = maps.Clone(sit.page.Tries)
		if sit.page.Tries == nil {
			sit.page.Tries = map[method.Kind]int{}
		}
		sit.page.Tries[c.Kind]++
	}
	sit.challenge, sit.furthest, out.started = &c, NotSent, &c
	if c.Via != "" && !f.traits[c.Kind].Elsewhere {
		sit.furthest = Sent
	}
}

// challengeFor is an open challenge that is not filled yet. It never outlives its attempt.
func (f *Flow) challengeFor(sit *situation, kind method.Kind) Challenge {
	c := Challenge{
		ID: secret.Token(16).Reveal(), Person: string(sit.person.ID), Attempt: sit.row.ID, Browser: sit.browser,
		Known: sit.knownBrowser, Kind: kind, Standing: Open, Application: sit.app.Name, Address: address(sit.caller),
		Agent: sit.caller.Agent, Created: sit.now, Expires: sit.now.Add(ChallengeFor), Ends: sit.now.Add(ChallengeMax),
	}
	if sit.row.Expires.Before(c.Ends) {
		c.Ends = sit.row.Expires
	}
	if c.Ends.Before(c.Expires) {
		c.Expires = c.Ends
	}
	if f.Country != nil && sit.caller.Address.IsValid() {
		c.Country = f.Country(sit.caller.Address.Unmap())
	}
	return c
}

// sendAll puts what goes by message into the outbox and notes how far each is; pushes go after the commit, and until
// then a credential without a line stands at NotSent.
func (f *Flow) sendAll(ctx context.Context, s Store, sit *situation, c *Challenge, all []method.Outgoing) (*fault.Error, error) {
	for _, o := range all {
		c.Sent = append(c.Sent, o.Credential)
		if f.traits[c.Kind].Elsewhere {
			continue
		}
		problem, err := f.sendCode(ctx, s, codeMessage{caller: sit.caller, person: sit.person, out: o, expires: c.Expires, challenge: c.ID, now: sit.now})
		if err != nil || problem != nil {
			return problem, err
		}
		err = s.SaveDelivery(ctx, Delivery{Challenge: c.ID, Credential: o.Credential, State: Sent, At: sit.now})
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// request is what mayRequest found.
type request struct {
	problem *fault.Error
	over    []Challenge // of the same browser, or of attempts that are gone
	avoid   []string    // the numbers of all that were open: live numbers differ, and an old one does not fit a new request
}

// mayRequest holds a request to the app to its rules: a reported source sends none, a budget for each account and
// audience that no new attempt resets, one open at a time from strangers' browsers and one from known ones (attack
// G46). A request that another one is in the way of costs nothing.
func (f *Flow) mayRequest(ctx context.Context, s Store, sit *situation, c Challenge) (request, error) {
	blocked, err := s.Blocked(ctx, c.Person, f.Sources(c), sit.now)
	if err != nil {
		return request{}, err
	}
	if blocked {
		entry := f.entry(sit, "challenge.started", audit.Refused)
		entry.Reason, entry.Detail["method"] = "blocked", string(c.Kind)
		return request{problem: problemBlocked}, f.recordSparingly(ctx, s, sit, "blocked "+c.Person, lockedLines, entry)
	}
	// The budget first: it is where requests that are started at once queue up.
	before, problem, err := f.takeStart(ctx, s, sit, c)
	if err != nil || problem != nil {
		return request{problem: problem}, err
	}
	if err := inTurn(ctx, s, c, sit.now); err != nil {
		return request{}, err
	}
	open, err := s.OpenChallenges(ctx, c.Person, sit.now)
	if err != nil {
		return request{}, err
	}
	var r request
	for _, o := range open {
		if !f.traits[o.Kind].Elsewhere || o.Attempt == c.Attempt {
			continue
		}
		r.avoid = append(r.avoid, o.Number)
		over := bytes.Equal(o.Browser, c.Browser)
		if !over && o.Known == c.Known {
			if over, err = gone(ctx, s, o, sit); err != nil {
				return request{}, err
			}
			if !over {
				_, _, err := s.ReserveGuess(ctx, f.startKey(c), func(throttle.Counter) (throttle.Counter, bool) { return before, true })
				return request{problem: problemBusy}, err
			}
		}
		if over {
			r.over = append(r.over, o)
		}
	}
	return r, nil
}

// inTurn lets what is started at once for one person, from strangers' and from known browsers, queue up at one line that is
// written each time: whoever comes second sees the number of the first.
func inTurn(ctx context.Context, s Store, c Challenge, now time.Time) error {
	_, _, err := s.ReserveGuess(ctx, throttle.Key("numbers", c.Person, throttle.Stranger), func(n throttle.Counter) (throttle.Counter, bool) {
		n.TAT, n.Wrong = now, n.Wrong+1
		return n, true
	})
	return err
}

// gone reports whether nobody can take the answer to c any more.
func gone(ctx context.Context, s Store, c Challenge, sit *situation) (bool, error) {
	row, err := s.AttemptByID(ctx, c.Attempt)
	if fault.IsKind(err, fault.NotFound) {
		return true, nil
	}
	return err == nil && !sit.now.Before(row.Expires), err
}

func (f *Flow) startKey(c Challenge) []byte {
	return throttle.Key(startsOf(c.Kind), c.Person, audience(c.Known))
}

// startsOf names the budget of starting, which is not that of guessing.
func startsOf(kind method.Kind) string { return string(kind) + ".start" }

// takeStart counts a start. before is the counter as it was. Where the budget is spent an incident is opened, and the
// member is told at most once in throttle.TellEvery.
func (f *Flow) takeStart(ctx context.Context, s Store, sit *situation, c Challenge) (before throttle.Counter, problem *fault.Error, err error) {
	limit, tell := throttle.Starts(audience(c.Known)), false
	after, ok, err := s.ReserveGuess(ctx, f.startKey(c), func(n throttle.Counter) (throttle.Counter, bool) {
		before = n
		next, ok := throttle.Take(limit, sit.now)(n)
		if tell = !ok && (n.Told.IsZero() || sit.now.Sub(n.Told) >= throttle.TellEvery); tell {
			next.Told = sit.now
		}
		return next, ok
	})
	if err != nil || ok {
		return before, nil, err
	}
	wait := throttle.RetryAfter(limit, after, sit.now)
	problem = problemAppWait.After(wait).With("minutes", int(math.Ceil(wait.Minutes())))
	return before, problem, f.flooded(ctx, s, sit, c, tell)
}

func (f *Flow) flooded(ctx context.Context, s Store, sit *situation, c Challenge, tell bool) error {
	entry := f.entry(sit, "approval.flood", audit.Refused)
	entry.Reason, entry.Detail["method"] = "throttle", string(c.Kind)
	within, err := f.RecordSparingly(ctx, s, sit.now, "flood "+c.Person, lockedLines, entry)
	if err != nil {
		return err
	}
	if within {
		object := "starts from strangers"
		if c.Known {
			object = "starts from known browsers"
		}
		if err := f.open(ctx, s, sit, incident.Flood, object, map[string]string{"method": string(c.Kind), "country": c.Country}); err != nil {
			return err
		}
	}
	if !tell {
		return nil
	}
	return f.tell(ctx, s, sit, "approval.flood", nil)
}

// open opens an incident about the person of sit.
func (f *Flow) open(ctx context.Context, s Store, sit *situation, kind, object string, detail map[string]string) error {
	if sit.app.Name != "" {
		detail["application"] = sit.app.Name
	}
	return s.AddIncident(ctx, incident.Incident{
		ID: secret.NewID(sit.now), Kind: kind, Person: string(sit.person.ID), Object: object, Detail: detail,
		Personal: map[string]string{"address": address(sit.caller), "agent": sit.caller.Agent}, Opened: sit.now, Count: 1,
	})
}

// refundStarts gives back this attempt's starts of kind, and nobody else's, after one of them was approved.
func (f *Flow) refundStarts(ctx context.Context, s Store, sit *situation, c Challenge) error {
	limit := throttle.Starts(audience(c.Known))
	_, _, err := s.ReserveGuess(ctx, f.startKey(c), func(n throttle.Counter) (throttle.Counter, bool) {
		return throttle.Refund(limit, sit.page.Tries[c.Kind], sit.now)(n), true
	})
	return err
}

// Sources are what a report of c blocks, and what starting asks about: the browser always, and its address where the
// browser is a stranger to this account, so that a whole campus behind one address loses nothing.
func (f *Flow) Sources(c Challenge) [][]byte {
	out := [][]byte{c.Browser}
	if !c.Known && c.Address != "" {
		out = append(out, f.Keyring.Pseudonym("signin.block", Network(c.Address)))
	}
	return out
}

// Network is what counts as one address: of IPv6 the first 64 bits, which is what one household or host is given.
func Network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Unmap().Is4() {
		return address
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return address
	}
	return p.String()
}
