package manage

import (
	"context"
	"strconv"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

var errWhy = fault.New(fault.BadInput, "manage.why", "Say in up to 200 characters why the policy changes.")

// Policy is what is in force.
func (f *Flow) Policy(ctx context.Context, by By) (p policy.Policy, err error) {
	err = f.see(ctx, by, PolicyRead, func(s Store) (err error) {
		p, err = s.PolicyInForce(ctx)
		return err
	})
	return p, err
}

// PolicyHistory gives the newest versions first, older than before (0: from the newest); limit 1 to 100.
func (f *Flow) PolicyHistory(ctx context.Context, by By, before int64, limit int) (list []PolicyRecord, err error) {
	err = f.see(ctx, by, PolicyRead, func(s Store) (err error) {
		list, err = s.PolicyRecords(ctx, before, limit)
		return err
	})
	return list, err
}

// SetPolicy puts p in force as the version after `read`, the one that it was made from: somebody else's change in
// between is a fault Conflict, never overwritten.
func (f *Flow) SetPolicy(ctx context.Context, by By, read int64, p policy.Policy, why string) (PolicyRecord, error) {
	r := PolicyRecord{Version: read + 1, Policy: p, Why: why, By: by.Actor, At: f.Now()}
	r.Policy.Version = r.Version
	if by.Has(PolicyWrite) {
		if why == "" || !plain(why, 200) {
			return r, errWhy
		}
		if err := f.CheckPolicy(p); err != nil {
			return r, err
		}
	}
	err := f.do(ctx, by, PolicyWrite, "policy.changed", "", strconv.FormatInt(r.Version, 10), func(s Store, e *audit.Entry) error {
		e.Reason = why
		return s.AddPolicy(ctx, r)
	})
	return r, err
}
