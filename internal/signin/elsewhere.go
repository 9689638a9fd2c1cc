package signin

import (
	"bytes"
	"context"
	"slices"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// answerElsewhere takes what was answered outside of this browser. Nothing is typed here, so asking is harmless: what
// still waits is left alone, and an approval becomes evidence once, of the attempt and in the browser that asked.
func (f *Flow) answerElsewhere(ctx context.Context, caller Caller, p page, t *try) (Step, error) {
	return f.change(ctx, caller, p, func(ctx context.Context, s Store, sit *situation, out *outcome) error {
		judged := *t
		if sit.gone {
			return f.endedByReport(ctx, s, sit, out)
		}
		if !sit.known {
			return nil
		}
		if err := f.loadChallenge(ctx, s, sit); err != nil {
			return err
		}
		c := sit.challenge
		if c == nil || c.Kind != t.kind {
			return nil
		}
		if c.Standing == Reported { // the attempt ends for that source, with whatever method
			if _, err := s.RemoveAttempt(ctx, sit.row.ID); err != nil {
				return err
			}
			sit.gone, out.problem = true, problemAppReported
			return nil
		}
		if c.Standing != Approved || !slices.Contains(f.askable(sit), t.kind) {
			return nil
		}
		return f.takeApproval(ctx, s, sit, &judged, out)
	})
}

// endedByReport tells a page whose attempt a report has ended why it is over.
func (f *Flow) endedByReport(ctx context.Context, s Store, sit *situation, out *outcome) error {
	if sit.page.Row == "" {
		return nil
	}
	c, err := s.ChallengeOfAttempt(ctx, sit.page.Row)
	if fault.IsKind(err, fault.NotFound) {
		return nil
	}
	if err == nil && c.Standing == Reported && bytes.Equal(c.Browser, sit.browser) {
		out.problem = problemAppReported
	}
	return err
}

// takeApproval turns an approval into evidence: compare-and-swap from Approved to Taken, in the transaction of what it
// opens. Of parallel claims one is first.
func (f *Flow) takeApproval(ctx context.Context, s Store, sit *situation, t *try, out *outcome) error {
	c := *sit.challenge
	taken := c
	taken.Standing = Taken
	if err := s.UpdateChallenge(ctx, taken); err != nil {
		return err
	}
	sit.challenge = &taken
	i := slices.IndexFunc(sit.owned, func(o method.Credential) bool { return o.ID == c.AnsweredBy && o.Kind == c.Kind })
	switch {
	case i < 0 || c.Proof == nil:
		out.problem = problemAppRemoved
		return nil
	case !sit.now.Before(c.Answered.Add(ChallengeFor)):
		out.problem = problemAppExpired
		return nil
	}
	e := *c.Proof
	e.Kind, e.Credential = c.Kind, c.AnsweredBy
	// A number can be read out to somebody else, and the key is software: whoever judged the answer may say otherwise,
	// the kind does not.
	e.PhishingResistant = e.PhishingResistant && t.traits.PhishingResistant
	t.verdict, t.credential = method.Verdict{OK: true, Used: c.AnsweredBy, Evidence: e}, sit.owned[i]
	var err error
	if sit.knownBrowser, err = s.KnownBrowser(ctx, string(sit.person.ID), sit.browser); err != nil {
		return err
	}
	if err := f.refundStarts(ctx, s, sit, c); err != nil {
		return err
	}
	return f.passed(ctx, s, sit, t, out)
}

// codeTries is how many wrong codes end one that was sent out.
var codeTries = throttle.Limit{Burst: 5, Refill: 24 * ChallengeMax}

// openCode finds the code that was sent out for this attempt, inside the write; a problem where there is none to be
// answered (attack G34: another attempt's, a replaced one's and an old one's are worth nothing).
func (f *Flow) openCode(ctx context.Context, s Store, sit *situation, t *try) (*fault.Error, error) {
	if err := f.loadChallenge(ctx, s, sit); err != nil {
		return nil, err
	}
	c := sit.challenge
	if c == nil || c.Kind != t.kind || !c.Live(sit.now) {
		return problemCodeExpired, nil
	}
	return nil, nil
}

// settleCode consumes the code with a right answer and counts a wrong one against it.
func (f *Flow) settleCode(ctx context.Context, s Store, sit *situation, t *try) (*fault.Error, error) {
	if t.locked {
		return nil, nil
	}
	c := *sit.challenge
	if t.verdict.OK {
		c.Standing, c.Answered, c.AnsweredBy = Taken, sit.now, t.verdict.Used
		if err := s.UpdateChallenge(ctx, c); err != nil {
			return nil, err
		}
		sit.challenge = &c
		err := s.SaveDelivery(ctx, Delivery{Challenge: c.ID, Credential: t.verdict.Used, State: Responded, At: sit.now})
		return nil, err
	}
	n, _, err := s.ReserveGuess(ctx, f.Keyring.Pseudonym("signin.code.tries", c.ID), throttle.Take(codeTries, sit.now))
	if err != nil || n.Wrong < codeTries.Burst {
		return nil, err
	}
	sit.challenge = nil
	entry := f.entry(sit, "challenge.ended", audit.Done)
	entry.Object, entry.Reason, entry.Detail["method"] = c.ID, "tries", string(c.Kind)
	if err := s.Record(ctx, entry); err != nil {
		return nil, err
	}
	return problemCodeOver, EndChallenge(ctx, s, c)
}
