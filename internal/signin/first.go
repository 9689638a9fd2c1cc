package signin

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

var errNotFirst = fault.New(fault.Forbidden, "signin.first_refused",
	"A first sign-in method cannot be added from here with the password alone. Ask the service desk for an invitation.")

// FirstEnrolment gives the person and target of an attempt that stands at StepFirstMethod, judged anew in the caller's
// transaction (enrol); fault Forbidden "signin.first_refused" otherwise, Expired for a page that is too old.
func (f *Flow) FirstEnrolment(ctx context.Context, s Store, caller Caller, ref string) (people.Person, Target, error) {
	p, err := f.unseal(caller, ref)
	if errors.Is(err, errExpired) {
		err = fault.New(fault.Expired, "signin.expired", "This sign-in took too long or belongs to another browser. Start again.")
	}
	if err != nil {
		return people.Person{}, Target{}, err
	}
	sit, err := f.load(ctx, s, caller, p)
	if err == nil && !sit.gone && sit.known {
		err = f.loadFirst(ctx, s, sit)
	}
	if err == nil && (!sit.mayFirst || f.decide(sit).Verdict != policy.Deny || f.remedy(sit).Kind == "") {
		err = errNotFirst
	}
	if err != nil {
		return people.Person{}, Target{}, err
	}
	return sit.person, sit.page.Target, nil
}

// loadFirst judges whether a first method may be registered with the password that this attempt has proven: policy
// allows it from this network, the account is in use and not reported, and it never had anything but a password. That
// last is read in the trail, which nobody can shorten; it is looked at last, and only where all else holds.
func (f *Flow) loadFirst(ctx context.Context, s Store, sit *situation) error {
	sit.mayFirst = false
	rule := sit.policy.FirstEnrolment
	if !rule.PasswordOnly || sit.row == nil || sit.person.State != people.Active || sit.person.NewPassword ||
		!within(rule, sit.caller) || !slices.ContainsFunc(sit.row.Evidence, isPassword) {
		return nil
	}
	all, err := s.CredentialsOf(ctx, string(sit.person.ID)) // pending ones too
	if err != nil || len(all) != 1 || all[0].Kind != method.Password || all[0].Pending {
		return err
	}
	if !inUse(rule, all[0], sit.now) {
		return nil
	}
	never, err := neverHadMore(ctx, s, sit.person.ID)
	sit.mayFirst = never
	return err
}

func isPassword(e method.Evidence) bool { return e.Kind == method.Password }

func within(rule policy.FirstEnrolment, c Caller) bool {
	a := c.Address.Unmap().WithZone("")
	for _, n := range rule.Networks {
		if a.IsValid() && n.Contains(a) {
			return true
		}
	}
	return false
}

// inUse: the password was set, or let somebody in, not too long ago (attack G89). A refused proof is no use (saveUse).
func inUse(rule policy.FirstEnrolment, c method.Credential, now time.Time) bool {
	dormant := rule.Dormant
	if dormant <= 0 {
		dormant = policy.DefaultDormant
	}
	last := c.Created
	if c.LastUsed.After(last) {
		last = c.LastUsed
	}
	return now.Sub(last) < dormant
}

// trailOf is how much of a person's trail is looked at: what is beyond counts against them.
const trailOf = 1000

// neverHadMore looks in the trail for any method beside the password, and for a reset, which takes them all away.
func neverHadMore(ctx context.Context, s Store, person people.ID) (bool, error) {
	for _, acts := range []string{"method.", "person.reset"} {
		rows, err := s.AuditBySubject(ctx, string(person), acts, trailOf)
		if err != nil || len(rows) == trailOf {
			return false, err
		}
		if slices.ContainsFunc(rows, func(r audit.Row) bool {
			return r.Act == "person.reset" || r.Outcome == audit.Done && r.Detail["method"] != string(method.Password)
		}) {
			return false, nil
		}
	}
	return true, nil
}
