package signin

import (
	"context"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
)

var errNoSession = fault.New(fault.Unauthenticated, "signin.no_session", "You are not signed in. Sign in to go on.")

// Judge asks policy about a live session and an application, in the caller's transaction: it is what every door asks
// at issue and again at refresh, so that there is one answer. It reads policy, which may have changed a moment ago,
// and the person's credentials; it writes nothing. A session that is not live must not be brought here (see Session).
//
// Its signature is held stable: flows after sign-in (apps) take it as a function.
func (f *Flow) Judge(ctx context.Context, s Store, sess session.Session, p people.Person, app policy.Application,
	act policy.Act, demand policy.Demand, remembered *policy.Remembered) (policy.Decision, error) {
	inForce, err := s.PolicyInForce(ctx)
	if err != nil {
		return policy.Decision{}, err
	}
	owned, err := s.CredentialsOf(ctx, string(p.ID))
	if err != nil {
		return policy.Decision{}, err
	}
	if sess.Person != string(p.ID) {
		return policy.Decision{}, errNoSession
	}
	in := f.input(p, app, act, demand, f.Now())
	in.Owned, in.Remembered = usable(owned), remembered
	in.Evidence = standing(sess.Evidence, in.Owned)
	return policy.Decide(inForce, in), nil
}

// standing gives the proofs of a log whose credential the person still has: what was removed, or lost and reset,
// proves nothing any more, in whatever log it was kept.
func standing(log []method.Evidence, owned []method.Credential) []method.Evidence {
	gone := func(e method.Evidence) bool {
		return !slices.ContainsFunc(owned, func(c method.Credential) bool { return c.ID == e.Credential })
	}
	if !slices.ContainsFunc(log, gone) {
		return log
	}
	return slices.DeleteFunc(slices.Clone(log), gone)
}

// Remembered gives the standing of this browser's remembered family for p, nil where there is none: what Judge takes
// beside a session. It writes nothing; a copied token counts as none here and is dealt with at the next sign-in.
func (f *Flow) Remembered(ctx context.Context, s Store, caller Caller, p people.Person) (*policy.Remembered, error) {
	browser, err := browserHash(caller)
	if err != nil {
		return nil, nil
	}
	r, err := findRemembered(ctx, s, caller, browser, p, f.Now())
	return r.forPolicy(), err
}

// Reachable reports whether an active person with these credentials, and nothing proven yet, could sign in to
// Gatehouse's own pages.
func (f *Flow) Reachable(inForce policy.Policy, p people.Person, owned []method.Credential, now time.Time) bool {
	in := f.input(p, policy.Application{}, policy.ActSignIn, policy.Demand{}, now)
	in.Owned = owned
	return policy.Decide(inForce, in).Verdict != policy.Deny
}

// input fills what policy knows without evidence.
func (f *Flow) input(p people.Person, app policy.Application, act policy.Act, demand policy.Demand, now time.Time) policy.Input {
	return policy.Input{
		Person:      PolicyPerson(p),
		Application: app, Act: act, Demand: demand, Traits: f.traits, Now: now,
	}
}

// PolicyPerson is p as policy knows people.
func PolicyPerson(p people.Person) policy.Person {
	roles := make([]string, len(p.Roles))
	for i, r := range p.Roles {
		roles[i] = string(r)
	}
	return policy.Person{ID: string(p.ID), Username: p.Username, Groups: p.Groups, Roles: roles,
		Active: p.State == people.Active, Lead: method.Kind(p.Lead), NewPassword: p.NewPassword}
}

// Session loads the caller's session and its person where both are live: known token, this browser, neither idle too
// long nor past its end, the person active. Anything else is fault Unauthenticated.
func (f *Flow) Session(ctx context.Context, s Store, caller Caller) (session.Session, people.Person, error) {
	if caller.Session.Empty() {
		return session.Session{}, people.Person{}, errNoSession
	}
	inForce, err := s.PolicyInForce(ctx)
	if err != nil {
		return session.Session{}, people.Person{}, err
	}
	return f.session(ctx, s, caller, inForce, f.Now())
}

func (f *Flow) session(ctx context.Context, s Store, caller Caller, inForce policy.Policy, now time.Time) (session.Session, people.Person, error) {
	none := func(err error) (session.Session, people.Person, error) {
		if fault.IsKind(err, fault.NotFound) {
			err = errNoSession
		}
		return session.Session{}, people.Person{}, err
	}
	if caller.Session.Empty() || caller.Browser.Empty() {
		return none(errNoSession)
	}
	live, err := s.SessionByToken(ctx, secret.Hash(caller.Session.Reveal()))
	if err != nil {
		return none(err)
	}
	if err := session.From(live, secret.Hash(caller.Browser.Reveal())); err != nil {
		return none(err)
	}
	person, err := s.PersonByID(ctx, people.ID(live.Person))
	if err != nil {
		return none(err)
	}
	if err := session.Live(live, person, Limits(inForce), now); err != nil {
		return none(err)
	}
	return live, person, nil
}

// Limits are the session times of the policy in force.
func Limits(p policy.Policy) session.Limits {
	return session.Limits{Idle: p.SessionIdle, Max: p.SessionMax}
}

// Who gives the live session and its person; fault Unauthenticated. At most once in session.SeenEvery it saves that the
// session was used.
func (f *Flow) Who(ctx context.Context, caller Caller) (session.Session, people.Person, error) {
	var live session.Session
	var person people.Person
	err := f.View(ctx, func(s Store) (err error) {
		live, person, err = f.Session(ctx, s, caller)
		return err
	})
	if err != nil {
		return session.Session{}, people.Person{}, err
	}
	if now := f.Now(); session.NeedsTouch(live, now) {
		live.LastSeen = now
		if err := f.Seen(ctx, live.ID, now); err != nil {
			return session.Session{}, people.Person{}, err
		}
	}
	return live, person, nil
}

// Seen saves that a session was used, for flows that loaded it by Session: call it where session.NeedsTouch says so,
// outside any transaction.
func (f *Flow) Seen(ctx context.Context, id string, at time.Time) error {
	return f.InTx(ctx, func(s Store) error { return s.TouchSession(ctx, id, at) })
}
