package signin

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

// Problems that a page shows. Before a first proof there is one for everything, locked and unknown included.
var (
	problemWrong = fault.New(fault.BadInput, "signin.wrong",
		"That did not work. Check it and try again; after several wrong tries, wait a few minutes.")
	problemWait = fault.New(fault.TooMany, "signin.too_many",
		"Too many wrong tries. Wait a few minutes, or sign in another way.")
	problemAgain = fault.New(fault.Conflict, "signin.already_used",
		"This page was answered before. Try once more.")
	problemLate = fault.New(fault.Expired, "signin.prompt_expired",
		"That took longer than ten minutes. Try once more.")
	problemPasskeyUnknown = fault.New(fault.BadInput, "signin.passkey_unknown",
		"This passkey is not in use here (any more). Choose another one or sign in another way.")
	problemPasskeyOther = fault.New(fault.BadInput, "signin.passkey_other",
		"This passkey belongs to another account than the name you typed.")
)

// maxTries bounds how often a lost compare-and-swap is tried again with what is stored now.
const maxTries = 5

// try is one answer under judgement.
type try struct {
	kind     method.Kind
	method   method.Method
	traits   method.Traits
	answer   method.Answer
	remember bool

	// verdict is in hand before the write for methods that are slow or cannot be guessed. locked: not checked.
	verdict method.Verdict
	locked  bool
	wait    time.Duration // until there is a guess again
	// problem ends the try without a check.
	problem *fault.Error
	// credential as it was when it was checked, "" where none was.
	credential method.Credential
}

// Answer judges an answer. remember: "don't ask again on this browser". A wrong answer is a step, not an error.
func (f *Flow) Answer(ctx context.Context, caller Caller, ref string, kind method.Kind, answer method.Answer, remember bool) (Step, error) {
	p, err := f.unseal(caller, ref)
	if errors.Is(err, errExpired) {
		return f.expired(caller, p)
	}
	if err != nil {
		return Step{}, err
	}
	t := &try{kind: kind, answer: answer, remember: remember}
	if t.method, err = f.method(kind); err != nil {
		return Step{}, err
	}
	t.traits = f.traits[kind]
	if t.traits.Elsewhere {
		return f.answerElsewhere(ctx, caller, p, t)
	}
	if t.traits.Guessable && t.traits.SlowVerify {
		return f.answerSlow(ctx, caller, p, t)
	}
	return f.answerQuick(ctx, caller, p, t)
}

// answerQuick judges signatures (loaded in a view, verified outside the write) and codes (reserved, verified and
// saved in one write). A lost compare-and-swap is judged again from what is stored now.
func (f *Flow) answerQuick(ctx context.Context, caller Caller, p page, t *try) (Step, error) {
	for n := 1; ; n++ {
		sit, stop, err := f.prepare(ctx, caller, p, t)
		if err != nil || stop {
			return f.stopped(sit, t, err)
		}
		if !t.traits.Guessable {
			if err := f.verify(sit, t); err != nil {
				return Step{}, err
			}
		}
		out, err := f.write(ctx, sit, t)
		if fault.IsKind(err, fault.Conflict) && n < maxTries {
			continue
		}
		if err != nil {
			return Step{}, err
		}
		return f.after(sit, out)
	}
}

// answerSlow judges a password: the guess is reserved and durable first, the hash runs outside every transaction,
// and a second write saves the result for what is stored by then.
func (f *Flow) answerSlow(ctx context.Context, caller Caller, p page, t *try) (Step, error) {
	sit, stop, err := f.prepare(ctx, caller, p, t)
	if err != nil || stop {
		return f.stopped(sit, t, err)
	}
	err = f.InTx(ctx, func(s Store) error {
		return f.reserve(ctx, s, sit, t)
	})
	if err != nil {
		return Step{}, err
	}
	if err := f.verify(sit, t); err != nil {
		return Step{}, f.unjudged(ctx, sit, t, err)
	}
	for n := 1; ; n++ {
		out, err := f.write(ctx, sit, t)
		if !fault.IsKind(err, fault.Conflict) || n >= maxTries {
			if err != nil {
				return Step{}, err
			}
			return f.after(sit, out)
		}
		if sit, stop, err = f.prepare(ctx, caller, p, t); err != nil || stop {
			return f.stopped(sit, t, err)
		}
	}
}

// unjudged gives back the guess that was reserved for an answer which nobody looked at: a full house counts against
// no account. It does so also where the person has gone meanwhile.
func (f *Flow) unjudged(ctx context.Context, sit *situation, t *try, cause error) error {
	if t.locked || !fault.IsKind(cause, fault.Busy) {
		return cause
	}
	return errors.Join(cause, f.InTx(context.WithoutCancel(ctx), func(s Store) error {
		return f.giveBack(ctx, s, sit, t.kind, 1)
	}))
}

// prepare loads what the answer is judged against. stop: there is nothing to judge, and t.problem says why.
func (f *Flow) prepare(ctx context.Context, caller Caller, p page, t *try) (sit *situation, stop bool, err error) {
	t.problem = nil
	err = f.View(ctx, func(s Store) (err error) {
		if sit, err = f.load(ctx, s, caller, p); err != nil || sit.gone {
			return err
		}
		if !sit.known {
			if err = f.loadStranger(ctx, s, sit, t); err != nil || t.problem != nil {
				return err
			}
		}
		if t.traits.Outbound {
			if err := f.loadChallenge(ctx, s, sit); err != nil {
				return err
			}
		}
		sit.knownBrowser, err = s.KnownBrowser(ctx, string(sit.person.ID), sit.browser)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	if sit.gone || t.problem != nil {
		return sit, true, nil
	}
	if sit.known && !slices.Contains(f.askable(sit), t.kind) {
		return sit, true, nil
	}
	if state, ok := sit.page.Prompts[t.kind]; !ok {
		sit.page.Chosen = t.kind
		return sit, true, nil
	} else if state != nil && sit.now.Sub(sit.page.Asked) >= PromptFor {
		t.problem = problemLate
		return sit, true, nil
	}
	return sit, false, nil
}

func (f *Flow) askable(sit *situation) []method.Kind {
	if d := f.decide(sit); d.Verdict == policy.Ask {
		return d.Ask
	}
	return nil
}

// stopped shows what stands next where nothing was judged.
func (f *Flow) stopped(sit *situation, t *try, err error) (Step, error) {
	if err != nil {
		return Step{}, err
	}
	return f.next(sit, t.problem)
}

// loadStranger finds whom a first proof would prove: by the passkey's own handle, else by the typed name. For a
// name that means nobody the same statements run.
func (f *Flow) loadStranger(ctx context.Context, s Store, sit *situation, t *try) error {
	if !t.traits.First {
		return nil // not askable before a first proof: no prompt of it is in the page
	}
	if handled, ok := t.method.(method.Handled); ok {
		return f.loadByHandle(ctx, s, sit, t, handled)
	}
	if sit.page.Name == "" {
		t.problem = fault.New(fault.BadInput, "signin.name_missing", "Type your username or e-mail address.")
		return nil
	}
	person, err := s.PersonByName(ctx, people.Normalise(sit.page.Name))
	switch {
	case fault.IsKind(err, fault.NotFound):
		person = f.nobody(sit.page.Name)
	case err != nil:
		return err
	}
	sit.person = person
	return f.loadOwned(ctx, s, sit)
}

func (f *Flow) loadByHandle(ctx context.Context, s Store, sit *situation, t *try, handled method.Handled) error {
	handle, ok := handled.Handle(t.answer)
	if !ok {
		sit.person = f.nobody(sit.page.Name)
		return nil
	}
	c, err := s.CredentialByHandle(ctx, t.kind, handle)
	if fault.IsKind(err, fault.NotFound) || err == nil && c.Pending {
		sit.person = f.nobody(sit.page.Name)
		return nil
	}
	if err != nil {
		return err
	}
	t.credential = c
	if sit.person, err = s.PersonByID(ctx, people.ID(c.Person)); err != nil {
		return err
	}
	return f.loadOwned(ctx, s, sit)
}
