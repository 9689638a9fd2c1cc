package store

import (
	"context"

	"github.com/gatehouse-id/gatehouse/internal/policy"
)

// PolicyInForce implements signin.Store and policy.Records: the version line is read, the policy comes from this node's
// cache where it is that version. The caller must not change what its slices and maps hold.
func (t *Tx) PolicyInForce(ctx context.Context) (policy.Policy, error) {
	version, err := t.version(versionPolicy)
	if err != nil {
		return policy.Policy{}, err
	}
	if version == 0 {
		return t.db.cfg.DefaultPolicy, nil
	}
	t.db.cache.mu.RLock()
	have := t.db.cache.policy
	t.db.cache.mu.RUnlock()
	if have.loaded && have.version == version && !t.dirty[versionPolicy] {
		return have.policy, nil
	}
	var p policy.Policy
	found, err := t.one("SELECT policy FROM policies WHERE version = $1", []any{version}, jsonTo{&p})
	if err != nil {
		return policy.Policy{}, err
	}
	if !found {
		return policy.Policy{}, notFound("policy")
	}
	p.Version = version
	t.keep(versionPolicy, func(c *cache) { c.policy = cachedPolicy{version, p, true} })
	return p, nil
}

// SavePolicy implements policy.Records.
func (t *Tx) SavePolicy(ctx context.Context, p policy.Policy, source []byte, by, why string) error {
	version, err := t.version(versionPolicy)
	if err != nil {
		return err
	}
	if p.Version != 0 && p.Version != version {
		return changed("policy")
	}
	moved, err := t.raise(versionPolicy, version)
	if err != nil {
		return err
	}
	if !moved {
		return changed("policy")
	}
	p.Version = version + 1
	text, err := toJSON(p)
	if err != nil {
		return err
	}
	_, err = t.exec("INSERT INTO policies (version, policy, source, by_whom, why, at) VALUES ($1, $2, $3, $4, $5, $6)",
		p.Version, text, source, by, why, t.db.cfg.Now())
	return err
}

// PolicyHistory implements policy.Records.
func (t *Tx) PolicyHistory(ctx context.Context, limit int) (list []policy.Record, err error) {
	err = t.each("SELECT version, policy, source, by_whom, why, at FROM policies ORDER BY version DESC LIMIT $1", []any{page(limit)},
		func(scan func(...any) error) error {
			var r policy.Record
			var version int64
			err := scan(&version, jsonTo{&r.Policy}, &r.Source, &r.By, &r.Why, timeTo{&r.At})
			r.Policy.Version = version
			list = append(list, r)
			return err
		})
	return list, err
}
