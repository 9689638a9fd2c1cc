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

// PolicyHistory gives the newest versions first; limit 1 to 1000.
func (f *Flow) PolicyHistory(ctx context.Context, by By, limit int) (list []policy.Record, err error) {
	err = f.see(ctx, by, PolicyRead, func(s Store) (err error) {
		list, err = s.PolicyHistory(ctx, limit)
		return err
	})
	return list, err
}

// SetPolicy puts p in force as the version after p.Version, the one that it was made from: somebody else's change in
// between is a fault Conflict, never overwritten. source is the text it was written in, or nil.
func (f *Flow) SetPolicy(ctx context.Context, by By, p policy.Policy, source []byte, why string) (version int64, err error) {
	if by.Has(PolicyWrite) {
		if why == "" || !plain(why, 200) {
			return 0, errWhy
		}
		if err := f.CheckPolicy(p); err != nil {
			return 0, err
		}
	}
	err = f.do(ctx, by, PolicyWrite, "policy.changed", "", "", func(s Store, e *audit.Entry) error {
		now, err := s.PolicyInForce(ctx)
		if err != nil {
			return err
		}
		if now.Version != p.Version {
			return errStale
		}
		version = now.Version + 1
		e.Object, e.Reason = strconv.FormatInt(version, 10), why
		return s.SavePolicy(ctx, p, source, by.Actor, why)
	})
	return version, err
}
