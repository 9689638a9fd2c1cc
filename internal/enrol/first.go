package enrol

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// FirstFor is how long the wizard of a first method by password alone may take.
const FirstFor = time.Hour

// firstBegins bounds how often one account may begin that wizard: each time tells every address of it.
var firstBegins = throttle.Limit{Burst: 5, Refill: 4 * time.Hour}

// FirstByAttempt turns a sign-in attempt that stands at StepFirstMethod into an invitation that is open in this browser
// and in no other. Welcome.Ref goes through the wizard; afterwards the attempt goes on. Whether the account may do so is
// judged anew (signin.Flow.FirstEnrolment), every address of it is told, and what is registered is on hold.
func (f *Flow) FirstByAttempt(ctx context.Context, caller signin.Caller, attempt string) (Welcome, error) {
	var w Welcome
	var refused error
	err := f.InTx(ctx, func(s Store) error {
		w, refused = Welcome{}, nil
		p, _, err := f.SignIn.FirstEnrolment(ctx, s, caller, attempt)
		if err != nil {
			return err
		}
		now := f.Now()
		entry := signin.Entry(caller, now, p, "invitation.self", audit.Done)
		entry.Detail["purpose"] = PurposePasswordOnly
		c, within, err := s.ReserveGuess(ctx, throttle.Key("first enrolment", string(p.ID), throttle.Stranger), throttle.Take(firstBegins, now))
		if err != nil {
			return err
		}
		if !within {
			refused = fault.New(fault.TooMany, "enrol.first_too_many",
				"This was begun too often. Wait some hours, or ask the service desk for an invitation.").After(throttle.RetryAfter(firstBegins, c, now))
			entry.Outcome, entry.Reason = audit.Refused, "throttle"
			_, err := f.SignIn.RecordSparingly(ctx, s, now, "first enrolment "+string(p.ID), firstBegins, entry)
			return err
		}
		hash, _ := TypedHash(NewTyped().Reveal()) // nobody is shown it: the sealed Ref is the only way in
		inv := Invitation{
			ID: secret.NewID(now), Person: string(p.ID), Hash: hash, Browser: secret.Hash(caller.Browser.Reveal()),
			Purpose: PurposePasswordOnly, Created: now, Expires: now.Add(FirstFor), By: string(p.ID),
		}
		if err := s.ReplaceInvitation(ctx, inv); err != nil {
			return err
		}
		entry.Object = inv.ID
		if err := s.Record(ctx, entry); err != nil {
			return err
		}
		if err := signin.Tell(ctx, s, caller, now, p, "first.password_only", nil); err != nil {
			return err
		}
		w, err = f.welcome(ctx, s, caller, inv, p)
		return err
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return Welcome{}, err
	}
	return w, nil
}

// InviteByMail is Invite, and sends the secret to p's address, and nowhere else, with link, the house's page that takes it.
// mailed is false, and nothing is issued, for a person without an address. The caller records its act.
func InviteByMail(ctx context.Context, s Store, now time.Time, p people.Person, purpose string, lifetime time.Duration, by, link string) (mailed bool, err error) {
	if p.Email == "" {
		return false, nil
	}
	typed, err := Invite(ctx, s, now, p.ID, purpose, lifetime, by)
	if err != nil {
		return false, err
	}
	name := p.DisplayName
	if name == "" {
		name = p.Username
	}
	expires := now.Add(lifetime) // its text says when it ends: that is its "at"
	return true, s.Enqueue(ctx, notice.Message{
		ID: secret.NewID(now), Person: string(p.ID), Channel: notice.Mail, To: p.Email, Kind: "invitation.mail",
		Params: map[string]string{"name": name, "username": p.Username, "link": link, "at": expires.UTC().Format(time.RFC3339)},
		Code:   typed, Locale: p.Locale, Expires: expires, Created: now, NotUntil: now,
	})
}
