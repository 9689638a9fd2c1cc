package enrol

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// Offers that send something first: a code to a new telephone number.
//
//	number typed ─► Method.Offer (pure) ─► budgets, outbox, "this is the newest" ─► page asks for the code
//	code typed ───► countTry: the newest one, at most SentTries ─► Method.Enrol (the number from the seal) ─► saved
//
// A person has one code of a kind under way: a newer one ends it, in whatever browser it was asked for (attack G34).

// SentTries is how often the code of one offer may be typed.
const SentTries = 5

// codeFor is for how long a code is worth carrying: no method takes it later.
const codeFor = 10 * time.Minute

var (
	errOfferOld = fault.New(fault.Expired, "enrol.code_replaced",
		"A newer code was sent meanwhile. Only the newest one works.")
	errOfferTried = fault.New(fault.TooMany, "enrol.code_tries",
		"This code was typed wrongly too often. Have a new one sent.")
)

// OfferMethodTo answers an offer that first needed something typed (a phone number): typed is judged, a code is sent,
// and the new offer asks for it. The same call sends again.
func (f *Flow) OfferMethodTo(ctx context.Context, caller signin.Caller, kind method.Kind, typed, via string) (Offer, error) {
	return f.offerTo(ctx, caller, kind, asked{typed: typed, via: via}, func(ctx context.Context, s Store) (offeree, error) {
		m, all, err := f.mayOffer(ctx, s, caller, kind)
		return offeree{m.person, all, bound(caller, m.live.ID)}, err
	})
}

// OfferFirstTo is OfferMethodTo within an invitation.
func (f *Flow) OfferFirstTo(ctx context.Context, caller signin.Caller, ref string, kind method.Kind, typed, via string) (Offer, error) {
	return f.offerTo(ctx, caller, kind, asked{typed: typed, via: via}, func(ctx context.Context, s Store) (offeree, error) {
		inv, p, all, err := f.mayOfferFirst(ctx, s, caller, ref, kind)
		return offeree{p, all, bound(caller, inv.ID)}, err
	})
}

// offeree is who an offer is made to, what they have, and what it is bound to.
type offeree struct {
	person  people.Person
	owned   []method.Credential
	binding string
}

func (f *Flow) offerTo(ctx context.Context, caller signin.Caller, kind method.Kind, a asked,
	who func(context.Context, Store) (offeree, error)) (Offer, error) {
	var to offeree
	err := f.View(ctx, func(s Store) (err error) {
		to, err = who(ctx, s)
		return err
	})
	if err != nil {
		return Offer{}, err
	}
	o, prompt, err := f.makeOffer(to.binding, to.person, kind, to.owned, a)
	if err != nil {
		return Offer{}, err
	}
	if len(prompt.Send) > 0 {
		if o.Sent, err = f.sendOffer(ctx, caller, kind, prompt.Send, who); err != nil {
			return Offer{}, err
		}
	}
	return f.packOffer(to.binding, o, prompt, to.owned)
}

// sendOffer puts what an offer sends into the outbox, within the budgets, and makes it the person's newest of its kind.
// A spent budget is a result that commits.
func (f *Flow) sendOffer(ctx context.Context, caller signin.Caller, kind method.Kind, out []method.Outgoing,
	who func(context.Context, Store) (offeree, error)) (sent int64, err error) {
	var refused *fault.Error
	now := f.Now()
	until := now.Add(OfferFor)
	err = f.InTx(ctx, func(s Store) error {
		refused = nil
		to, err := who(ctx, s)
		if err != nil {
			return err
		}
		entry := signin.Entry(caller, now, to.person, "code.sent", audit.Done)
		entry.Detail["method"] = string(kind)
		for _, one := range out {
			entry.Detail["via"], entry.Detail["country"] = one.Channel, one.Country
			if refused, err = f.SignIn.SendCode(ctx, s, caller, to.person, one, now.Add(codeFor)); err != nil {
				return err
			}
			if refused != nil {
				entry.Outcome, entry.Reason = audit.Refused, refused.Code
				return s.Record(ctx, entry)
			}
		}
		_, _, err = s.ReserveGuess(ctx, sentKey(to.person, kind), func(c throttle.Counter) (throttle.Counter, bool) {
			c.TAT, c.Wrong = until, 0
			return c, true
		})
		if err != nil {
			return err
		}
		return s.Record(ctx, entry)
	})
	if err == nil && refused != nil {
		err = refused
	}
	return until.UnixMicro(), err
}

// sentKey is the counter of a person's newest offer of a kind: its time says which offer that is, its count how often
// it was answered.
func sentKey(p people.Person, kind method.Kind) []byte {
	return secret.Hash("offer sent|" + string(kind) + "|" + string(p.ID))
}

// countTry counts an answer to an offer for which something was sent, before it is judged.
func (f *Flow) countTry(ctx context.Context, p people.Person, o offer) error {
	if o.Sent == 0 {
		return nil
	}
	var refused error
	err := f.InTx(ctx, func(s Store) error {
		_, _, err := s.ReserveGuess(ctx, sentKey(p, o.Kind), func(c throttle.Counter) (throttle.Counter, bool) {
			switch {
			case c.TAT.UnixMicro() != o.Sent:
				refused = errOfferOld
			case c.Wrong >= SentTries:
				refused = errOfferTried
			default:
				refused = nil
				c.Wrong++
				return c, true
			}
			return c, false
		})
		return err
	})
	if err == nil {
		err = refused
	}
	return err
}

// toldFor is how long a text about a changed number is worth sending.
const toldFor = 24 * time.Hour

// tellNumbers tells every telephone number that the person had before, by text or call, where one was added or removed:
// also the one that goes (NHS-07). The mail goes to everybody anyway, so a spent budget is no reason to refuse the act.
func (f *Flow) tellNumbers(ctx context.Context, s Store, caller signin.Caller, p people.Person, changed method.Kind, before []method.Credential) error {
	told, ok := f.Methods[changed].(method.Told)
	if !ok {
		return nil
	}
	now := f.Now()
	for _, c := range ofKind(before, changed) {
		to, ok := told.Reach(c)
		if !ok {
			continue
		}
		locale := p.Locale
		if locale == "" {
			locale = caller.Locale
		}
		err := s.Enqueue(ctx, notice.Message{
			ID: secret.NewID(now), Person: string(p.ID), Channel: to.Channel, To: to.Address, Kind: "phone.changed",
			Params: map[string]string{"username": p.Username}, Locale: locale, Created: now, NotUntil: now, Expires: now.Add(toldFor),
		})
		if err != nil {
			return err
		}
	}
	return nil
}
