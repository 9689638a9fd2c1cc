package signin

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
)

// Problems of a challenge that is over.
var (
	problemAppExpired = fault.New(fault.Expired, "signin.app_expired",
		"The request on your phone was not answered in time. Send another one, or sign in another way.")
	problemAppDenied = fault.New(fault.Forbidden, "signin.app_denied",
		"The request was refused on the phone. Send another one, or sign in another way.")
	problemAppWrong = fault.New(fault.BadInput, "signin.app_wrong_number",
		"Another number was entered on the phone, so this request is over. Send another one and enter the number that you see here.")
	problemAppReported = fault.New(fault.Forbidden, "signin.app_reported",
		"The request was reported as not yours. This sign-in has ended.")
	problemAppRemoved = fault.New(fault.Conflict, "signin.app_removed",
		"The phone that answered is not on this account any more. Sign in another way.")
	problemCodeExpired = fault.New(fault.Expired, "signin.code_expired",
		"This code is no longer good. Ask for another one.")
	problemCodeOver = fault.New(fault.TooMany, "signin.code_over",
		"That was wrong too often, so this code is over. Ask for another one.")
)

// Send starts a challenge of kind for the attempt, or sends it again (with a new number or code; the old one ends).
// It needs a preceding proof: the attempt's own or a live session's (attack rule 18). via is "", "text" or "voice", and
// after a colon the credential that it goes to where there are several ("text:<id>").
func (f *Flow) Send(ctx context.Context, caller Caller, ref string, kind method.Kind, via string) (Step, error) {
	p, err := f.unseal(caller, ref)
	if errors.Is(err, errExpired) {
		return f.expired(caller, p)
	}
	if err != nil {
		return Step{}, err
	}
	return f.send(ctx, caller, p, sending{kind, via, true})
}

// Choose asks to prove with another kind. A kind that would not help is ignored: the page shows what would. An outbound
// kind is sent at once, and what was under way of another kind ends.
func (f *Flow) Choose(ctx context.Context, caller Caller, ref string, kind method.Kind) (Step, error) {
	p, err := f.unseal(caller, ref)
	if errors.Is(err, errExpired) {
		return f.expired(caller, p)
	}
	if err != nil {
		return Step{}, err
	}
	p.Chosen = kind
	if p.Row == "" && caller.Session.Empty() {
		return f.show(ctx, caller, p, nil) // before any proof nothing is sent
	}
	if f.outbound(kind) {
		return f.send(ctx, caller, p, sending{kind: kind})
	}
	var sit *situation
	err = f.View(ctx, func(s Store) (err error) {
		if sit, err = f.load(ctx, s, caller, p); err == nil {
			err = f.loadChallenge(ctx, s, sit)
		}
		return err
	})
	if err != nil {
		return Step{}, err
	}
	if c := sit.challenge; c == nil || c.Standing != Open {
		return f.next(sit, nil)
	}
	return f.send(ctx, caller, p, sending{kind: kind})
}

// sending says what is to be sent; again: also where one is under way.
type sending struct {
	kind  method.Kind
	via   string
	again bool
}

func (f *Flow) send(ctx context.Context, caller Caller, p page, what sending) (Step, error) {
	return f.change(ctx, caller, p, func(ctx context.Context, s Store, sit *situation, out *outcome) error {
		return f.sendFor(ctx, s, sit, what, out)
	})
}

// change loads what the page rests on and changes it in one write. A lost compare-and-swap is tried again with what is
// stored then.
func (f *Flow) change(ctx context.Context, caller Caller, p page, do func(context.Context, Store, *situation, *outcome) error) (Step, error) {
	for n := 1; ; n++ {
		var out outcome
		err := f.InTx(ctx, func(s Store) error {
			sit, err := f.load(ctx, s, caller, p)
			if err != nil {
				return err
			}
			out = outcome{sit: sit}
			return do(ctx, s, sit, &out)
		})
		if fault.IsKind(err, fault.Conflict) && n < maxTries {
			continue
		}
		if err != nil {
			return Step{}, err
		}
		f.push(out)
		return f.after(out.sit, out)
	}
}

// push hands a new request over, after its commit.
func (f *Flow) push(out outcome) {
	if out.started != nil && out.started.Kind == method.App && f.Push != nil {
		f.Push(*out.started)
	}
}

// sendFor sends where what would be proven is asked for; otherwise the page shows what is.
func (f *Flow) sendFor(ctx context.Context, s Store, sit *situation, what sending, out *outcome) error {
	if sit.gone || !sit.known {
		return nil
	}
	if err := f.loadChallenge(ctx, s, sit); err != nil {
		return err
	}
	if !slices.Contains(f.askable(sit), what.kind) {
		return nil
	}
	sit.page.Chosen = what.kind
	c := sit.challenge
	if c != nil && c.Kind == what.kind && !what.again && (c.Live(sit.now) || c.Standing == Approved) {
		return nil
	}
	if !f.outbound(what.kind) {
		return f.endOpen(ctx, s, sit)
	}
	if err := f.rowForChallenge(ctx, s, sit); err != nil {
		return err
	}
	var err error
	if sit.knownBrowser, err = s.KnownBrowser(ctx, string(sit.person.ID), sit.browser); err != nil {
		return err
	}
	if err := f.start(ctx, s, sit, what.kind, what.via, out); err != nil || out.started == nil {
		return err
	}
	entry := f.entry(sit, "challenge.started", audit.Done)
	entry.Object, entry.Detail["method"], entry.Detail["via"] = out.started.ID, string(what.kind), out.started.Via
	return s.Record(ctx, entry)
}

// rowForChallenge makes the attempt a row where a live session is stepped up and nothing was proven for it yet. Such a
// row proves nothing; it is there because a challenge belongs to an attempt.
func (f *Flow) rowForChallenge(ctx context.Context, s Store, sit *situation) error {
	if sit.row != nil {
		return nil
	}
	sit.row = &Attempt{Browser: sit.browser, Person: string(sit.person.ID), Session: sit.page.Session, Target: sit.page.Target,
		Created: sit.now, Expires: sit.now.Add(AttemptFor)}
	return f.saveRow(ctx, s, sit)
}

// loadChallenge finds the newest challenge of the attempt, for those who have anything that can be sent to.
func (f *Flow) loadChallenge(ctx context.Context, s Store, sit *situation) error {
	sit.challenge = nil
	if sit.gone || sit.row == nil || sit.row.ID == "" || !f.reaches(sit.owned) {
		return nil
	}
	c, err := s.ChallengeOfAttempt(ctx, sit.row.ID)
	if fault.IsKind(err, fault.NotFound) {
		return nil
	}
	if err != nil || !bytes.Equal(c.Browser, sit.browser) || c.Person != string(sit.person.ID) {
		return err
	}
	sit.challenge = &c
	if c.Standing != Open {
		return nil
	}
	sit.furthest, err = furthest(ctx, s, c.ID)
	return err
}

func furthest(ctx context.Context, s Store, challenge string) (state DeliveryState, err error) {
	all, err := s.DeliveriesOf(ctx, challenge)
	for _, d := range all {
		state = better(state, d.State)
	}
	return state, err
}

// better prefers the device that a challenge came further to: Failed and Gone say less than Sent.
func better(a, b DeliveryState) DeliveryState {
	if a == Failed || a == Gone {
		a, b = b, a
	}
	if b == Failed || b == Gone {
		if a == NotSent {
			return b
		}
		return a
	}
	return max(a, b)
}

// endOpen ends what the attempt has under way: another method was chosen, or the attempt is over.
func (f *Flow) endOpen(ctx context.Context, s Store, sit *situation) error {
	if sit.challenge == nil {
		if err := f.loadChallenge(ctx, s, sit); err != nil {
			return err
		}
	}
	if sit.challenge == nil || sit.challenge.Standing != Open {
		return nil
	}
	c := *sit.challenge
	sit.challenge = nil
	return EndChallenge(ctx, s, c)
}

// leave ends what the attempt of a page that is being left has under way. What was answered in this moment stays.
func (f *Flow) leave(ctx context.Context, caller Caller, p page) error {
	browser, err := browserHash(caller)
	if err != nil {
		return err
	}
	return f.InTx(ctx, func(s Store) error {
		c, err := s.ChallengeOfAttempt(ctx, p.Row)
		if fault.IsKind(err, fault.NotFound) {
			return nil
		}
		if err != nil || c.Standing != Open || !bytes.Equal(c.Browser, browser) {
			return err
		}
		if err := EndChallenge(ctx, s, c); !fault.IsKind(err, fault.Conflict) {
			return err
		}
		return nil
	})
}

// EndChallenge ends an open challenge in the caller's transaction and wakes who waits for it; fault Conflict where it
// was answered meanwhile.
func EndChallenge(ctx context.Context, s Store, c Challenge) error {
	c.Standing = Ended
	if err := s.UpdateChallenge(ctx, c); err != nil {
		return err
	}
	s.Wake(ChallengeTopic(c.ID))
	s.Wake(RequestsTopic(c.Person))
	return nil
}

// Extend gives the open challenge of the attempt another ChallengeFor, up to ChallengeMax.
func (f *Flow) Extend(ctx context.Context, caller Caller, ref string) (Step, error) {
	p, err := f.unseal(caller, ref)
	if errors.Is(err, errExpired) {
		return f.expired(caller, p)
	}
	if err != nil {
		return Step{}, err
	}
	return f.change(ctx, caller, p, func(ctx context.Context, s Store, sit *situation, _ *outcome) error {
		if err := f.loadChallenge(ctx, s, sit); err != nil || sit.challenge == nil {
			return err
		}
		c, ok := sit.challenge.Extended(sit.now)
		if !ok {
			return nil
		}
		if err := s.UpdateChallenge(ctx, c); err != nil {
			return err
		}
		c.Version++
		sit.challenge, sit.page.Chosen = &c, c.Kind
		s.Wake(ChallengeTopic(c.ID))
		s.Wake(RequestsTopic(c.Person))
		entry := f.entry(sit, "challenge.extended", audit.Done)
		entry.Object, entry.Detail["method"] = c.ID, string(c.Kind)
		return s.Record(ctx, entry)
	})
}

// Waiting gives the state of the attempt's challenge without changing anything; fault Expired for a foreign ref.
func (f *Flow) Waiting(ctx context.Context, caller Caller, ref string) (Waiting, error) {
	p, err := f.unseal(caller, ref)
	if errors.Is(err, errExpired) && p.ID == "" {
		return Waiting{}, fault.New(fault.Expired, "signin.expired", "This sign-in took too long or belongs to another browser. Start again.")
	}
	if err != nil || p.Row == "" {
		if errors.Is(err, errExpired) {
			err = nil
		}
		return Waiting{}, err
	}
	now := f.Now()
	var w Waiting
	err = f.View(ctx, func(s Store) error {
		w = Waiting{}
		c, err := s.ChallengeOfAttempt(ctx, p.Row)
		if fault.IsKind(err, fault.NotFound) {
			return nil
		}
		if browser, e := browserHash(caller); err != nil || e != nil || !bytes.Equal(browser, c.Browser) {
			return errors.Join(err, e)
		}
		w = Waiting{Topic: ChallengeTopic(c.ID), Standing: c.Standing, Expires: c.Expires}
		if c.Standing == Open && !c.Live(now) {
			w.Standing = Ended
		}
		if w.Standing != Open && w.Standing != Approved {
			return nil
		}
		if _, err := s.AttemptByID(ctx, p.Row); fault.IsKind(err, fault.NotFound) {
			w.Standing = Ended
			return nil
		} else if err != nil {
			return err
		}
		w.Furthest, err = furthest(ctx, s, c.ID)
		return err
	})
	return w, err
}

// sent is what the page shows of the attempt's challenge of kind, and what became of it where it is over.
func (f *Flow) sent(sit *situation, kind method.Kind) (*Sending, *fault.Error) {
	c := sit.challenge
	if c == nil || c.Kind != kind {
		return nil, nil
	}
	if c.Live(sit.now) || c.Standing == Approved {
		_, extends := c.Extended(sit.now)
		return &Sending{ID: c.ID, Standing: c.Standing, Public: c.Public, Number: c.Number, Via: c.Via, Expires: c.Expires,
			CanExtend: extends, Furthest: sit.furthest}, nil
	}
	if !f.traits[kind].Elsewhere {
		if c.Standing == Open {
			return nil, problemCodeExpired
		}
		return nil, nil
	}
	switch c.Standing {
	case Open:
		return nil, problemAppExpired
	case Denied:
		return nil, problemAppDenied
	case WrongNumber:
		return nil, problemAppWrong
	case Reported:
		return nil, problemAppReported
	}
	return nil, nil
}

func minutes(d time.Duration) int { return int(math.Ceil(d.Minutes())) }
