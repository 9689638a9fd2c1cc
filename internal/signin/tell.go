package signin

import (
	"context"
	"maps"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// entry begins an audit entry about the person of sit. Detail may be added to.
func (f *Flow) entry(sit *situation, act string, outcome audit.Outcome) audit.Entry {
	e := Entry(sit.caller, sit.now, sit.person, act, outcome)
	if sit.app.ID != "" {
		e.Detail["application"] = sit.app.ID
	}
	if sit.app.Name != "" {
		e.Detail["application_name"] = sit.app.Name
	}
	if ownAct(sit.page.Target.Act) {
		e.Detail["act"] = string(sit.page.Target.Act)
	}
	return e
}

// Entry begins an audit entry by p about p, from where caller is. Detail may be added to; addresses and user agents
// are personal and can be erased.
func Entry(caller Caller, now time.Time, p people.Person, act string, outcome audit.Outcome) audit.Entry {
	e := audit.Entry{
		At: now, Act: act, Outcome: outcome, Actor: string(p.ID), Subject: string(p.ID), Door: caller.Door,
		Detail: map[string]string{}, Personal: map[string]string{},
	}
	if a := address(caller); a != "" {
		e.Personal["address"] = a
	}
	if caller.Agent != "" {
		e.Personal["agent"] = caller.Agent
	}
	return e
}

func (f *Flow) tell(ctx context.Context, s Store, sit *situation, kind string, params map[string]string) error {
	all := map[string]string{}
	maps.Copy(all, params)
	if sit.app.Name != "" {
		all["application"] = sit.app.Name
	}
	return Tell(ctx, s, sit.caller, sit.now, sit.person, kind, all)
}

// Tell puts a notice to p into the outbox, in the transaction of what it speaks of. A person without an address is
// not told by mail; the trail tells them on their page.
func Tell(ctx context.Context, s notice.Outbox, caller Caller, now time.Time, p people.Person, kind string, params map[string]string) error {
	if p.Email == "" {
		return nil
	}
	all := map[string]string{"name": p.DisplayName, "username": p.Username, "at": now.UTC().Format(time.RFC3339),
		"address": address(caller), "agent": caller.Agent}
	if all["name"] == "" {
		all["name"] = p.Username
	}
	for k, v := range params {
		all[k] = v
	}
	locale := p.Locale
	if locale == "" {
		locale = caller.Locale
	}
	return s.Enqueue(ctx, notice.Message{
		ID: secret.NewID(now), Person: string(p.ID), Channel: "mail", To: p.Email, Kind: kind, Params: all,
		Locale: locale, Created: now, NotUntil: now,
	})
}
func address(c Caller) string {
	if !c.Address.IsValid() {
		return ""
	}
	return c.Address.Unmap().String()
}
