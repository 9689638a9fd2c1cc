package device

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/incident"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/app"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

var (
	errOver   = fault.New(fault.Conflict, "request.over", "This request is over: it was answered, took too long or was cancelled.")
	errNumber = fault.New(fault.BadInput, "request.wrong_number", "This is not the number that the sign-in page shows. The request is over: start again in the browser.")
	errLocked = fault.New(fault.Forbidden, "request.unlock", "Confirm with your fingerprint, face or PIN, then try again.")
	errAnswer = fault.New(fault.BadInput, "request.answer", "The phone's answer does not fit this request. Fetch the requests again.")
)

// refusedAnswers bounds how many answers that do not read get a line in the trail, for one phone.
var refusedAnswers = throttle.Limit{Burst: 5, Refill: time.Minute}

// Answer takes a decision. standing is "approved", "denied" or "reported"; fault BadInput "request.wrong_number" (the
// request is over), Conflict "request.over", Forbidden "request.unlock", BadInput "request.answer" for a decision that
// does not read or speaks of something else.
func (f *Flow) Answer(ctx context.Context, p Phone, id string, a Answer) (standing string, err error) {
	m, err := f.app()
	if err != nil {
		return "", err
	}
	if p.Credential == "" {
		return "", errUnknown
	}
	var asked signin.Challenge
	var inForce policy.Policy
	cred := p.entered // what has changed since shows in settle, which reads it again
	err = f.View(ctx, func(s Store) (err error) {
		if asked, err = openRequest(ctx, s, id, cred, f.Now()); err != nil {
			return err
		}
		inForce, err = s.PolicyInForce(ctx)
		return err
	})
	if err != nil {
		return "", err
	}
	r, reason := m.Judge(cred, app.Answered{JWS: a.JWS, Unlock: a.Unlock, Request: asked.ID, Account: cred.Person,
		Started: asked.Created, Now: f.Now()})
	if reason == "" && r.Decision == app.Approve && !r.Unlocked && !inForce.App.WithoutUnlock {
		reason = "app.locked"
	}
	if reason != "" {
		return "", f.refuseAnswer(ctx, p, asked, reason)
	}
	var no error
	err = f.InTx(ctx, func(s Store) (err error) {
		standing, no, err = f.settle(ctx, s, p, id, cred, r)
		return err
	})
	if err == nil {
		err = no
	}
	if err != nil {
		return "", err
	}
	return standing, nil
}

// openRequest loads a request that waits for this phone's answer; errOver for everything else.
func openRequest(ctx context.Context, s Store, id string, cred method.Credential, now time.Time) (signin.Challenge, error) {
	c, err := s.ChallengeByID(ctx, id)
	if fault.IsKind(err, fault.NotFound) {
		err = errOver
	}
	if err == nil && (!c.Live(now) || c.Person != cred.Person || !sentTo(c, cred.ID)) {
		err = errOver
	}
	return c, err
}

func over(err error) error {
	if fault.IsKind(err, fault.Conflict) {
		return errOver
	}
	return err
}

// refuseAnswer records an answer that decided nothing, sparingly, and says what to answer.
func (f *Flow) refuseAnswer(ctx context.Context, p Phone, c signin.Challenge, reason string) error {
	err := f.InTx(ctx, func(s Store) error {
		now := f.Now()
		person, cred, err := p.standing(ctx, s)
		if err != nil {
			return err
		}
		e := f.approval(p, person, c, "approval.refused", audit.Refused, now)
		e.Reason = reason
		within, err := f.SignIn.RecordSparingly(ctx, s, now, "approval "+cred.ID, refusedAnswers, e)
		if err != nil || !within || reason != app.CounterRegressed {
			return err
		}
		return signin.Tell(ctx, s, p.signin(), now, person, "method.risk", map[string]string{"method": string(method.App)})
	})
	if err != nil {
		return err
	}
	no := errAnswer
	if reason == "app.locked" {
		no = errLocked
	}
	return no.Because(errors.New(reason))
}

func (f *Flow) approval(p Phone, person people.Person, c signin.Challenge, act string, outcome audit.Outcome, now time.Time) audit.Entry {
	e := p.entry(now, person, act, outcome)
	e.Object, e.Detail["method"], e.Detail["credential"] = c.ID, string(method.App), p.Credential
	if c.Application != "" {
		e.Detail["application_name"] = c.Application
	}
	return e
}

// settle saves what a decision came to: of several at once, one.
func (f *Flow) settle(ctx context.Context, s Store, p Phone, id string, judged method.Credential, r app.Ruling) (standing string, no, err error) {
	now := f.Now()
	person, cred, err := f.changing(ctx, s, p, now)
	if err != nil {
		return "", nil, err
	}
	c, err := openRequest(ctx, s, id, cred, now)
	if err != nil {
		return "", nil, err
	}
	c.AnsweredBy, c.Answered = cred.ID, now
	act, outcome := "", audit.Done
	switch {
	case r.Decision == app.Approve && app.SameNumber(r.Number, c.Number):
		proof := app.Evidence(cred.ID, r.Unlocked, now)
		c.Standing, c.Proof, act, standing = signin.Approved, &proof, "approval.approved", "approved"
	case r.Decision == app.Approve:
		c.Standing, act, outcome, no = signin.WrongNumber, "approval.wrong_number", audit.Failed, errNumber
	case r.Decision == app.Report:
		c.Standing, act, standing = signin.Reported, "approval.reported", "reported"
	case r.Decision == app.Deny:
		c.Standing, act, standing = signin.Denied, "approval.denied", "denied"
	default:
		return "", nil, errAnswer
	}
	if err := f.answered(ctx, s, c, judged, r, now); err != nil {
		return "", nil, err
	}
	e := f.approval(p, person, c, act, outcome, now)
	if no != nil {
		e.Reason = errNumber.Code
	}
	if standing == "reported" {
		if err := f.report(ctx, s, p, person, c, &e, now); err != nil {
			return "", nil, err
		}
	}
	return standing, no, s.Record(ctx, e)
}

// answered saves a request's end, the credential that answered and how far it came, and wakes who waits.
func (f *Flow) answered(ctx context.Context, s Store, c signin.Challenge, judged method.Credential, r app.Ruling, now time.Time) error {
	if err := s.UpdateChallenge(ctx, c); err != nil {
		return over(err)
	}
	d := signin.Delivery{Challenge: c.ID, Credential: c.AnsweredBy, State: signin.Responded, At: now}
	if err := s.SaveDelivery(ctx, d); err != nil {
		return err
	}
	s.Wake(signin.ChallengeTopic(c.ID))
	s.Wake(signin.RequestsTopic(c.Person))
	if r.Updated == nil {
		return s.TouchCredential(ctx, judged.ID, now)
	}
	// The counter of the unlocking passkey moved on from what was judged: two answers at once cannot both have seen it.
	updated := *r.Updated
	updated.LastUsed = now
	return s.UpdateCredential(ctx, updated)
}

// report is "No, it's not me": the attempt ends, its source is blocked for this account, administrators see an incident,
// and by policy the member's sessions end and their password is to be changed. The account is never locked.
func (f *Flow) report(ctx context.Context, s Store, p Phone, person people.Person, c signin.Challenge, e *audit.Entry, now time.Time) error {
	if _, err := s.RemoveAttempt(ctx, c.Attempt); err != nil {
		return err
	}
	for _, source := range f.SignIn.Sources(c) {
		if err := s.AddBlock(ctx, signin.Block{Person: c.Person, Source: source, Until: now.Add(signin.BlockFor)}); err != nil {
			return err
		}
	}
	err := s.AddIncident(ctx, incident.Incident{
		ID: secret.NewID(now), Kind: incident.Reported, Person: c.Person, Object: c.ID, Opened: now, Count: 1,
		Detail:   map[string]string{"application": c.Application, "country": c.Country, "method": string(c.Kind), "known": strconv.FormatBool(c.Known)},
		Personal: map[string]string{"address": c.Address, "agent": c.Agent},
	})
	if err != nil {
		return err
	}
	inForce, err := s.PolicyInForce(ctx)
	if err != nil {
		return err
	}
	if err := f.protect(ctx, s, person, c, inForce.App, e, now); err != nil {
		return err
	}
	return signin.Tell(ctx, s, p.signin(), now, person, "approval.reported", map[string]string{
		"application": enrol.Label(c.Application, ""), "country": c.Country, "address": enrol.Line(c.Address, 45), "agent": enrol.Line(c.Agent, maxAgent),
		"sessions": e.Detail["sessions"], "password": e.Detail["password"],
	})
}

// protect does what policy says of a report.
func (f *Flow) protect(ctx context.Context, s Store, person people.Person, c signin.Challenge, set policy.AppSettings, e *audit.Entry, now time.Time) error {
	if c.Known {
		// Whoever sat there is no known browser any more: the member's own become known again as they sign in.
		if err := s.ForgetKnownBrowsersOf(ctx, c.Person); err != nil {
			return err
		}
	}
	if !set.KeepSessions {
		ended, err := signin.EndEverything(ctx, s, person.ID)
		if err != nil {
			return err
		}
		e.Detail["sessions"] = strconv.Itoa(ended)
	}
	if set.KeepPassword {
		return nil
	}
	owned, err := s.CredentialsOf(ctx, c.Person)
	if err != nil {
		return err
	}
	for _, o := range owned {
		if o.Kind == method.Password && !o.Pending {
			e.Detail["password"] = "change"
			person.NewPassword, person.Updated = true, now
			return s.UpdatePerson(ctx, person)
		}
	}
	return nil
}
