package signin

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/session"
)

// finish turns an attempt that policy allows into a session: a new one, or the same person's with more evidence.
// Either way the token is new (attack G1). Everything is one write.
func (f *Flow) finish(ctx context.Context, s Store, sit *situation, t *try, out *outcome) error {
	act := "signin.finished"
	elevated, err := f.elevate(ctx, s, sit, out)
	if err != nil {
		return err
	}
	if elevated {
		act = "signin.stepped_up"
	} else if err := f.begin(ctx, s, sit, out); err != nil {
		return err
	}
	if sit.row.ID != "" {
		there, err := s.RemoveAttempt(ctx, sit.row.ID)
		if err != nil {
			return err
		}
		if !there { // it ended while this proof was judged: again, from what is stored now
			return problemAgain
		}
	}
	target := sit.page.Target
	if ownAct(target.Act) {
		proof := Proof{Session: sit.live.ID, Act: target.Act, Object: target.Object, At: sit.now}
		if err := s.AddProof(ctx, proof); err != nil {
			return err
		}
	}
	if err := f.remember(ctx, s, sit, t, out); err != nil {
		return err
	}
	entry := f.entry(sit, act, audit.Done)
	entry.Object = sit.live.ID
	entry.Detail["methods"] = kinds(sit.row.Evidence)
	if sit.row.ID != "" {
		entry.Detail["attempt"] = sit.row.ID
	}
	entry.Detail["policy"] = strconv.FormatInt(out.decision.Version, 10)
	if out.decision.UsedRemembered {
		entry.Detail["remembered"] = sit.remembered.browser.Family
	}
	if len(out.decision.ReportOnly) > 0 {
		entry.Detail["report_only"] = out.decision.ReportOnly[0].Rule + " " + out.decision.ReportOnly[0].Code
	}
	if err := s.Record(ctx, entry); err != nil {
		return err
	}
	out.finished = true
	return f.noteBrowser(ctx, s, sit)
}

// elevate gives the person's live session in this browser more evidence and a new token. "Refresh my sign-in" has
// proven everything anew: it begins a new session instead, because nothing extends one. A session that began after the
// refresh was asked for (in another tab) counts as evidence and is the one that goes on.
func (f *Flow) elevate(ctx context.Context, s Store, sit *situation, out *outcome) (bool, error) {
	if sit.live == nil || sit.live.Person != string(sit.person.ID) {
		return false, nil
	}
	if sit.page.Target.Act == policy.ActRefreshSignIn && sit.live.Created.Before(sit.page.Target.Started) {
		return false, nil
	}
	next, token := session.StepUp(*sit.live, sit.now, sit.row.Evidence...)
	if err := s.UpdateSession(ctx, next); err != nil {
		return false, err
	}
	next.Version++
	sit.live, out.setSession = &next, &token
	return true, nil
}

// begin starts a session. The one that this browser had ends, with what it opened.
func (f *Flow) begin(ctx context.Context, s Store, sit *situation, out *outcome) error {
	if sit.live != nil {
		if err := f.endSession(ctx, s, sit.live.ID); err != nil {
			return err
		}
		entry := f.entry(sit, "session.replaced", audit.Done)
		entry.Actor, entry.Subject, entry.Object = sit.live.Person, sit.live.Person, sit.live.ID
		if err := s.Record(ctx, entry); err != nil {
			return err
		}
	}
	beginning := session.Beginning{
		Person: sit.person.ID, Browser: sit.browser, Evidence: sit.row.Evidence,
		Address: address(sit.caller), Agent: sit.caller.Agent,
	}
	if out.decision.UsedRemembered {
		beginning.Family = sit.remembered.browser.Family
	}
	started, token := session.Start(sit.now, beginning, Limits(sit.policy))
	if err := s.AddSession(ctx, started); err != nil {
		return err
	}
	sit.live, sit.livePerson, out.setSession = &started, sit.person, &token
	return nil
}

func (f *Flow) endSession(ctx context.Context, s Store, id string) error {
	if _, err := s.EndSession(ctx, id); err != nil {
		return err
	}
	_, err := s.RevokeGrantsOfSession(ctx, id)
	return err
}

// remember rotates the remembered browser that was used, or makes one where the member chose it after a full proof.
func (f *Flow) remember(ctx context.Context, s Store, sit *situation, t *try, out *outcome) error {
	if out.decision.UsedRemembered {
		return f.useRemembered(ctx, s, sit, out)
	}
	if !t.remember || out.decision.RememberFor <= 0 {
		return nil
	}
	tokens := sit.caller.Remembered
	if old := sit.remembered; old.found() {
		if _, err := s.ForgetBrowser(ctx, old.browser.Family); err != nil {
			return err
		}
		tokens = WithoutFamily(tokens, old.browser.Family)
	}
	made, token := session.NewBrowser(sit.now, session.Remembering{
		Person: sit.person.ID, Browser: sit.browser, ProvenAt: secondProof(sit), Address: address(sit.caller), Agent: sit.caller.Agent,
	}, out.decision.RememberFor)
	if err := s.AddBrowser(ctx, made); err != nil {
		return err
	}
	entry := f.entry(sit, "browser.remembered", audit.Done)
	entry.Object = made.Family
	if err := s.Record(ctx, entry); err != nil {
		return err
	}
	// The oldest first: beyond session.MaxRemembered people it is the first ones who are forgotten.
	tokens = append(slices.Clone(tokens), token)
	out.setRemembered = tokens[max(0, len(tokens)-session.MaxRemembered):]
	return nil
}

// secondProof is when the proof that remembering will stand for was given: the latest one that is no password.
func secondProof(sit *situation) time.Time {
	var at time.Time
	for _, e := range sit.evidence() {
		if e.Kind != method.Password && e.At.After(at) {
			at = e.At
		}
	}
	return at
}

// useRemembered rotates the token. Within the overlap another tab has just done so: nothing changes.
func (f *Flow) useRemembered(ctx context.Context, s Store, sit *situation, out *outcome) error {
	r := sit.remembered
	if r.standing != session.Fresh {
		return nil
	}
	if err := s.RotateBrowser(ctx, r.next); err != nil {
		return err
	}
	out.setRemembered = append(WithoutFamily(sit.caller.Remembered, r.browser.Family), r.token)
	return nil
}

// endStolen ends a remembered browser whose token was copied, and every session born from it (attack G14). The
// sign-in goes on as if nothing were remembered.
func (f *Flow) endStolen(ctx context.Context, s Store, sit *situation, out *outcome) error {
	family := sit.remembered.browser.Family
	if _, err := s.ForgetBrowser(ctx, family); err != nil {
		return err
	}
	ended, err := s.EndSessionsOfFamily(ctx, family)
	if err != nil {
		return err
	}
	for _, id := range ended {
		if _, err := s.RevokeGrantsOfSession(ctx, id); err != nil {
			return err
		}
	}
	if sit.live != nil && slices.Contains(ended, sit.live.ID) {
		sit.live, sit.page.Session = nil, ""
	}
	out.setRemembered = WithoutFamily(sit.caller.Remembered, family)
	entry := f.entry(sit, "browser.stolen", audit.Done)
	entry.Object, entry.Detail["sessions"] = family, strconv.Itoa(len(ended))
	if err := s.Record(ctx, entry); err != nil {
		return err
	}
	return f.tell(ctx, s, sit, "browser.stolen", nil)
}

// noteBrowser remembers that this browser has signed the person in, and tells them where it is new and they had
// signed in before.
func (f *Flow) noteBrowser(ctx context.Context, s Store, sit *situation) error {
	if sit.knownBrowser {
		return nil
	}
	if err := s.RememberKnownBrowser(ctx, string(sit.person.ID), sit.browser, sit.now); err != nil {
		return err
	}
	if !slices.ContainsFunc(sit.owned, func(c method.Credential) bool { return !c.LastUsed.IsZero() }) {
		return nil
	}
	return f.tell(ctx, s, sit, "signin.new_browser", nil)
}

// kinds lists the kinds of proof in the order given, each once.
func kinds(log []method.Evidence) string {
	var names []string
	for _, e := range log {
		if !slices.Contains(names, string(e.Kind)) {
			names = append(names, string(e.Kind))
		}
	}
	return strings.Join(names, " ")
}
