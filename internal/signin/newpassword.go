package signin

import (
	"bytes"
	"context"
	"errors"
	"strconv"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// owesPassword reports whether another password comes before anything else: the one there is may be known to somebody
// else. It is asked for after a full proof of this attempt, to which policy has added another method (its rule
// "<reported>"); somebody who has no other method sees that refusal. Whoever is signed in and changes it anyway is not
// asked twice; a sign-in that only says that it will is.
func (f *Flow) owesPassword(sit *situation) bool {
	_, offered := f.Methods[method.Password]
	changing := sit.page.Target.Act == policy.ActPasswordChange && sit.live != nil && sit.live.Person == string(sit.person.ID)
	return offered && sit.person.NewPassword && sit.row != nil && len(sit.row.Evidence) > 0 && !changing &&
		len(ofKind(sit.owned, method.Password)) > 0
}

// askPassword asks for another password. Prompt.Public says how long it must be.
func (f *Flow) askPassword(sit *situation, step Step) (Step, error) {
	offer, err := f.Methods[method.Password].Offer(method.OfferInput{
		Subject: subject(sit.person), Existing: ofKind(sit.owned, method.Password), Now: sit.now,
	})
	if err != nil {
		return Step{}, err
	}
	step.Kind, step.Method, step.Prompt.Public, step.RememberFor = StepNewPassword, method.Password, offer.Public, 0
	step.Attempt, err = f.seal(sit.caller, sit.page)
	return step, err
}

// NewPassword sets the password that StepNewPassword asks for and goes on. An answer that does not do is a problem. The
// hash is made outside of any transaction; then the password, the flag, the end of all other sessions and remembered
// browsers, the entry, the notice and the session are one.
func (f *Flow) NewPassword(ctx context.Context, caller Caller, ref, password string) (Step, error) {
	p, err := f.unseal(caller, ref)
	if errors.Is(err, errExpired) {
		return f.expired(caller, p)
	}
	if err != nil {
		return Step{}, err
	}
	var sit *situation
	err = f.View(ctx, func(s Store) (err error) {
		sit, err = f.load(ctx, s, caller, p)
		return err
	})
	if err != nil {
		return Step{}, err
	}
	if !f.mustSetPassword(sit) {
		return f.next(sit, nil)
	}
	before := ofKind(sit.owned, method.Password)
	made, err := f.Methods[method.Password].Enrol(method.EnrolInput{
		Subject: subject(sit.person), Existing: before, Answer: method.Answer{Text: password}, Now: sit.now,
	})
	if problem := fault.Of(err); err != nil && problem.Kind == fault.BadInput {
		return f.next(sit, problem)
	}
	if err != nil {
		return Step{}, err
	}
	return f.change(ctx, caller, p, func(ctx context.Context, s Store, sit *situation, out *outcome) error {
		if !f.mustSetPassword(sit) {
			return nil
		}
		now := ofKind(sit.owned, method.Password)
		if !bytes.Equal(now[0].State, before[0].State) {
			out.problem = problemAgain
			return nil
		}
		now[0].State = made.State
		return f.renewPassword(ctx, s, sit, now[0], out)
	})
}

func (f *Flow) mustSetPassword(sit *situation) bool {
	return !sit.gone && sit.known && f.owesPassword(sit) && f.decide(sit).Verdict == policy.Allow
}

func (f *Flow) renewPassword(ctx context.Context, s Store, sit *situation, c method.Credential, out *outcome) error {
	c.LastUsed = sit.now
	if err := s.UpdateCredential(ctx, c); err != nil {
		return err
	}
	p := sit.person
	p.NewPassword, p.Updated = false, sit.now
	if err := s.UpdatePerson(ctx, p); err != nil {
		return err
	}
	p.Version++
	sit.person = p
	if sit.live != nil && sit.live.Person == string(p.ID) {
		sit.livePerson = p
	}
	ended, err := f.endOthers(ctx, s, sit, out)
	if err != nil {
		return err
	}
	// Whoever guessed at the old password, or sent requests with it, is out: the budgets begin anew.
	for _, a := range []throttle.Audience{throttle.Stranger, throttle.Known} {
		for _, kind := range []string{string(method.Password), startsOf(method.App)} {
			if err := s.ClearCounter(ctx, throttle.Key(kind, string(p.ID), a)); err != nil {
				return err
			}
		}
	}
	entry := f.entry(sit, "password.changed", audit.Done)
	entry.Object, entry.Reason, entry.Detail["sessions"] = c.ID, "reported", strconv.Itoa(ended)
	if err := s.Record(ctx, entry); err != nil {
		return err
	}
	if err := f.tell(ctx, s, sit, "password.changed", nil); err != nil {
		return err
	}
	if sit.knownBrowser, err = s.KnownBrowser(ctx, string(p.ID), sit.browser); err != nil {
		return err
	}
	out.decision = f.decide(sit)
	return f.finish(ctx, s, sit, &try{kind: method.Password}, out)
}

// endOthers ends every session, half-done sign-in and remembered browser of the person but the session that goes on.
func (f *Flow) endOthers(ctx context.Context, s Store, sit *situation, out *outcome) (int, error) {
	id, except := string(sit.person.ID), ""
	if sit.live != nil && sit.live.Person == id {
		except = sit.live.ID
	}
	ended, err := EndSessions(ctx, s, sit.person.ID, except)
	if err != nil {
		return 0, err
	}
	sit.row.ID = "" // it has ended with the others: of two answers at once one is first
	if _, err := s.RevokeGrantsOf(ctx, id, ""); err != nil {
		return 0, err
	}
	if _, err := s.ForgetBrowsersOf(ctx, id); err != nil {
		return 0, err
	}
	if sit.remembered.found() {
		out.setRemembered = WithoutFamily(sit.caller.Remembered, sit.remembered.browser.Family)
		sit.remembered = rememberedBrowser{}
	}
	return len(ended), nil
}
