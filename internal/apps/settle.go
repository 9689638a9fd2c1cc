package apps

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
)

// settlement is what a token request comes to: what is saved, and what is answered. A refusal that saves something (a
// used code, a dead family) commits like a success.
type settlement struct {
	// save is the grant as it must be, compare-and-swapped on its version; nil: nothing changes.
	save *Grant
	// add saves a new grant instead (client credentials).
	add *Grant
	// access is an opaque access token to be kept.
	access *AccessToken
	// revoked: the opaque access tokens of save die too.
	revoked bool
	// list puts one token on the list of the revoked.
	list *AccessTokenID
	// entry is recorded with the change; nil: nothing happened that is worth the trail.
	entry *audit.Entry

	standing standing
	tokens   Tokens
	nonce    string
	problem  *fault.Error
}

// AccessTokenID names a token on the list of the revoked.
type AccessTokenID struct {
	ID      string
	Expires time.Time
}

// settleTries bounds how often a lost race is looked at again: after the first loss the winner's state is seen, which
// decides.
const settleTries = 4

// settle looks, decides and saves: one reading and one writing transaction. Where another request changed the grant
// between the two (compare-and-swap), it looks again; of N redemptions of one code exactly one finds it unused (G40).
func (f *Flow) settle(ctx context.Context, look func(FlowStore) (settlement, error)) (settlement, error) {
	var last error
	for range settleTries {
		var plan settlement
		err := f.View(ctx, func(s FlowStore) (err error) {
			plan, err = look(s)
			return err
		})
		if err != nil {
			return plan, err
		}
		if err = f.save(ctx, plan); err == nil {
			return plan, nil
		}
		if !fault.IsKind(err, fault.Conflict) {
			return plan, err
		}
		last = err
	}
	return settlement{}, fault.New(fault.Busy, "oauth.busy", "Too many requests for one grant at once; try again.").Because(last)
}

func (f *Flow) save(ctx context.Context, plan settlement) error {
	if plan.save == nil && plan.add == nil && plan.list == nil && plan.entry == nil {
		return nil
	}
	return f.InTx(ctx, func(s FlowStore) error {
		if plan.save != nil {
			if err := s.UpdateGrant(ctx, *plan.save); err != nil {
				return err
			}
			if plan.revoked {
				if err := s.RevokeAccessTokensOfGrant(ctx, plan.save.ID); err != nil {
					return err
				}
			}
		}
		if plan.add != nil {
			if err := s.AddGrant(ctx, *plan.add); err != nil {
				return err
			}
		}
		if plan.access != nil {
			if err := s.AddAccessToken(ctx, *plan.access); err != nil {
				return err
			}
		}
		if plan.list != nil {
			if err := s.RevokeAccessToken(ctx, plan.list.ID, plan.list.Expires); err != nil {
				return err
			}
		}
		if plan.entry == nil {
			return nil
		}
		return s.Record(ctx, *plan.entry)
	})
}

// refusal is a settlement for a grant that is not worth what was asked. What has ended for good is written down once, with
// the grant revoked, so that a client that goes on asking does not fill the trail; what may come back (a suspended
// person, a rule) leaves it as it is.
func (f *Flow) refusal(g Grant, app Application, act, reason string, problem *fault.Error) settlement {
	plan := settlement{problem: problem}
	switch reason {
	case "grant.revoked":
		return plan
	case "grant.expired", "session.ended", "person.gone", "evidence.gone", "code.expired":
		g.Revoked = true
		plan.save, plan.revoked = &g, true
	}
	plan.entry = f.entry(g, app, act, audit.Refused, reason)
	return plan
}

// death revokes the grant with everything it issued: somebody holds what they should not.
func (f *Flow) death(g Grant, app Application, act, reason string, problem *fault.Error) settlement {
	if g.Revoked {
		return settlement{problem: problem} // already dead, and recorded then: a replay cannot fill the trail
	}
	g.Revoked, g.CodeUsed = true, true
	return settlement{save: &g, revoked: true, problem: problem, entry: f.entry(g, app, act, audit.Failed, reason)}
}

func (f *Flow) entry(g Grant, app Application, act string, outcome audit.Outcome, reason string) *audit.Entry {
	actor := g.Person
	if actor == "" {
		actor = "client:" + app.OIDC.ClientID
	}
	return &audit.Entry{At: f.Now(), Act: act, Outcome: outcome, Actor: actor, Subject: g.Person, Object: app.ID, Door: "oidc",
		Reason: reason, Detail: map[string]string{"application": app.Name, "grant": g.ID}}
}
