package signin

import (
	"bytes"
	"context"
	"encoding/hex"
	"maps"
	"math"
	"slices"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// outcome is what one write came to. Its function may run twice, so it is filled anew each time.
type outcome struct {
	// sit is the situation as it stands after the write.
	sit      *situation
	problem  *fault.Error
	finished bool
	decision policy.Decision

	// started is a challenge that was begun, to be pushed after the commit.
	started *Challenge

	setSession    *secret.String
	setRemembered []secret.String
}

// verify judges the answer against the credentials in sit. For a locked account, and for one that is none, nothing
// of the account is looked at: the method does the same work for nothing (attack G27).
func (f *Flow) verify(sit *situation, t *try) error {
	in := method.VerifyInput{
		Subject: subject(sit.person), State: sit.page.Prompts[t.kind], Answer: t.answer, Now: sit.now,
	}
	if t.traits.Outbound {
		in.State = sit.challenge.State
	}
	switch {
	case t.locked || isNobody(sit.person):
	case !sit.known && t.credential.ID != "":
		in.Credentials = []method.Credential{t.credential}
	default:
		in.Credentials = ofKind(sit.owned, t.kind)
	}
	v, err := t.method.Verify(in)
	if err != nil {
		return err
	}
	if t.locked || isNobody(sit.person) {
		v = method.Verdict{Reason: v.Reason}
	}
	if v.OK {
		i := slices.IndexFunc(in.Credentials, func(c method.Credential) bool { return c.ID == v.Used })
		if i < 0 {
			// A proof counts for one of the credentials that were asked for, whatever a method says (attack G65).
			v = method.Verdict{Reason: "credential.foreign"}
		} else {
			t.credential = in.Credentials[i]
			v.Evidence.Credential, v.Evidence.Kind = v.Used, t.kind
		}
	}
	t.verdict = v
	return nil
}

// write saves what came of the try, in one transaction.
func (f *Flow) write(ctx context.Context, sit *situation, t *try) (outcome, error) {
	var out outcome
	err := f.InTx(ctx, func(s Store) error {
		run, judged := *sit, *t
		out = outcome{sit: &run}
		return f.settle(ctx, s, &run, &judged, &out)
	})
	if err == nil {
		f.push(out)
	}
	return out, err
}

// settle spends the prompt, judges what is judged inside, and saves a failure or a proof.
func (f *Flow) settle(ctx context.Context, s Store, sit *situation, t *try, out *outcome) error {
	if sit.page.Prompts[t.kind] != nil {
		first, err := s.SpendOnce(ctx, secret.Hash("prompt|"+sit.page.ID+"|"+string(t.kind)), sit.page.Asked.Add(PromptFor))
		if err != nil {
			return err
		}
		if !first {
			out.problem = problemAgain
			return nil
		}
	}
	if t.traits.Guessable {
		if problem, err := f.settleGuess(ctx, s, sit, t); err != nil || problem != nil {
			out.problem = problem
			return err
		}
	}
	if t.traits.Outbound {
		problem, err := f.settleCode(ctx, s, sit, t)
		if err != nil {
			return err
		}
		out.problem = problem
	}
	if t.verdict.OK && !sit.known && sit.page.Name != "" && !isNamed(sit.person, sit.page.Name) {
		t.verdict = method.Verdict{Reason: "credential.other_name"}
		out.problem = problemPasskeyOther
	}
	if !t.verdict.OK {
		return f.failed(ctx, s, sit, t, out)
	}
	return f.passed(ctx, s, sit, t, out)
}

// settleGuess does inside the write what guessable kinds need there. A code is reserved, verified and saved in this
// one transaction, from what is stored now: of fifty equal codes at once exactly one succeeds (attack G29). A
// password was reserved and verified before; here it is only seen to be still the same.
func (f *Flow) settleGuess(ctx context.Context, s Store, sit *situation, t *try) (*fault.Error, error) {
	if t.traits.Outbound {
		if problem, err := f.openCode(ctx, s, sit, t); err != nil || problem != nil {
			return problem, err
		}
	}
	if !t.traits.SlowVerify {
		// The counter first: it is where equal codes queue up.
		if err := f.reserve(ctx, s, sit, t); err != nil || t.locked {
			t.verdict = method.Verdict{}
			return nil, err
		}
	}
	all, err := s.CredentialsOf(ctx, string(sit.person.ID))
	if err != nil {
		return nil, err
	}
	sit.owned = usable(all)
	if !t.traits.SlowVerify {
		return nil, f.verify(sit, t)
	}
	if !t.verdict.OK {
		return nil, nil
	}
	i := slices.IndexFunc(sit.owned, func(c method.Credential) bool { return c.ID == t.verdict.Used })
	if i < 0 || !bytes.Equal(sit.owned[i].State, t.credential.State) {
		return problemAgain, nil
	}
	if t.verdict.Updated != nil {
		updated := *t.verdict.Updated
		updated.Version, updated.Name = sit.owned[i].Version, sit.owned[i].Name
		t.verdict.Updated = &updated
	}
	return nil, nil
}

// failed records a wrong answer. Before any proof the page learns nothing but that it did not work.
func (f *Flow) failed(ctx context.Context, s Store, sit *situation, t *try, out *outcome) error {
	if t.traits.Guessable && !t.locked {
		sit.page.Tries = maps.Clone(sit.page.Tries)
		if sit.page.Tries == nil {
			sit.page.Tries = map[method.Kind]int{}
		}
		sit.page.Tries[t.kind]++
	}
	entry := f.entry(sit, "signin.proof", audit.Failed)
	entry.Reason, entry.Object = t.verdict.Reason, t.verdict.Used
	if !sit.known {
		entry.Actor = "stranger"
	}
	entry.Detail["method"] = string(t.kind)
	if t.locked {
		entry.Outcome, entry.Reason = audit.Refused, "throttle"
	}
	if out.problem == nil {
		out.problem = f.problem(sit, t)
	}
	switch {
	case t.locked:
		return f.recordLocked(ctx, s, sit, entry)
	case isNobody(sit.person):
		entry.Object = hex.EncodeToString([]byte(sit.person.ID))[:16]
		return f.recordStranger(ctx, s, sit, entry)
	}
	if err := s.Record(ctx, entry); err != nil {
		return err
	}
	if t.verdict.Risk {
		return f.tell(ctx, s, sit, "method.risk", map[string]string{"method": string(t.kind), "name": t.credential.Name})
	}
	return nil
}

// problem is what the page says of a wrong answer.
func (f *Flow) problem(sit *situation, t *try) *fault.Error {
	switch {
	case !sit.known && !t.traits.Guessable && isNobody(sit.person):
		return problemPasskeyUnknown
	case !sit.known:
		return problemWrong
	case t.locked:
		return problemWait.After(t.wait).With("minutes", int(math.Ceil(t.wait.Minutes())))
	case t.verdict.Code != "":
		return fault.New(fault.BadInput, t.verdict.Code, problemWrong.Public)
	}
	return problemWrong
}

// passed saves a proof: credential, counters, evidence; then policy says whether it is enough. Where it is not and what
// leads is sent out, that is sent at once.
func (f *Flow) passed(ctx context.Context, s Store, sit *situation, t *try, out *outcome) error {
	if t.traits.Guessable {
		if err := f.refund(ctx, s, sit, t.kind); err != nil {
			return err
		}
	}
	if sit.remembered.stolen() {
		if err := f.endStolen(ctx, s, sit, out); err != nil {
			return err
		}
	}
	row := Attempt{
		Browser: sit.browser, Person: string(sit.person.ID), Session: sit.page.Session, Target: sit.page.Target,
		Created: sit.now, Expires: sit.now.Add(AttemptFor),
	}
	if sit.row != nil {
		row = *sit.row
		if err := f.endOpen(ctx, s, sit); err != nil {
			return err
		}
	}
	row.Evidence = append(slices.Clone(row.Evidence), t.verdict.Evidence)
	sit.row, sit.known, sit.page.Chosen = &row, true, ""
	out.decision = f.decide(sit)
	if err := f.saveUse(ctx, s, sit, t, out.decision.Verdict); err != nil {
		return err
	}
	if t.verdict.Notice != "" {
		if err := f.tell(ctx, s, sit, t.verdict.Notice, t.verdict.Params); err != nil {
			return err
		}
	}
	if out.decision.Verdict == policy.Allow && !f.owesPassword(sit) {
		return f.finish(ctx, s, sit, t, out)
	}
	return f.goOn(ctx, s, sit, t, out)
}

// goOn keeps an attempt whose proofs are not enough yet, or are and a new password comes first.
func (f *Flow) goOn(ctx context.Context, s Store, sit *situation, t *try, out *outcome) error {
	if err := f.saveRow(ctx, s, sit); err != nil {
		return err
	}
	d := out.decision
	if d.Verdict == policy.Ask && f.outbound(d.Ask[0]) {
		if err := f.start(ctx, s, sit, d.Ask[0], "", out); err != nil {
			return err
		}
	}
	entry := f.entry(sit, "signin.proof", audit.Done)
	entry.Object, entry.Detail["method"] = t.verdict.Used, string(t.kind)
	entry.Detail["attempt"] = sit.row.ID
	if out.started != nil {
		entry.Detail["started"], entry.Detail["challenge"] = string(out.started.Kind), out.started.ID
	}
	if err := s.Record(ctx, entry); err != nil || d.Verdict != policy.Deny {
		return err
	}
	if err := f.loadFirst(ctx, s, sit); err != nil {
		return err
	}
	entry = f.entry(sit, "signin.finished", audit.Refused)
	entry.Reason = reason(d)
	return s.Record(ctx, entry)
}

// saveUse saves the credential that proved: what the method changed, else only that it was used. A proof that ends in a
// refusal is no use of the account: whoever knows the password of a dormant one does not wake it by trying (attack G89).
func (f *Flow) saveUse(ctx context.Context, s Store, sit *situation, t *try, v policy.Verdict) error {
	switch {
	case t.verdict.Updated != nil:
		updated := *t.verdict.Updated
		if v != policy.Deny {
			updated.LastUsed = sit.now
		}
		return s.UpdateCredential(ctx, updated)
	case v == policy.Deny:
		return nil
	}
	return s.TouchCredential(ctx, t.verdict.Used, sit.now)
}

// saveRow keeps the attempt after a proof that was not enough, so that the next page rests on it.
func (f *Flow) saveRow(ctx context.Context, s Store, sit *situation) error {
	if sit.row.ID != "" {
		return s.UpdateAttempt(ctx, *sit.row)
	}
	sit.row.ID = secret.NewID(sit.now)
	sit.page.Row = sit.row.ID
	return s.AddAttempt(ctx, *sit.row)
}

// after makes the step that follows a write.
func (f *Flow) after(_ *situation, out outcome) (Step, error) {
	var step Step
	var err error
	if out.finished {
		step, err = f.done(out.sit, Step{Target: out.sit.page.Target, ApplicationName: out.sit.app.Name,
			Known: true, Name: out.sit.person.Username, Reasons: out.decision.Reasons})
	} else {
		step, err = f.next(f.unproven(out), out.problem)
	}
	step.SetSession, step.SetRemembered = out.setSession, out.setRemembered
	return step, err
}

// unproven forgets whom a wrong first answer was judged against: the dispatcher must not know.
func (f *Flow) unproven(out outcome) *situation {
	if !out.sit.known {
		out.sit.person, out.sit.owned, out.sit.remembered = f.nobody(out.sit.page.Name), nil, rememberedBrowser{}
	}
	return out.sit
}

func reason(d policy.Decision) string {
	if len(d.Reasons) == 0 {
		return ""
	}
	return d.Reasons[0].Rule + " " + d.Reasons[0].Code
}
