package manage

import (
	"context"
	"slices"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/people"
)

var errScope = fault.New(fault.Forbidden, "manage.scope", "This token may not do that. Ask for one with the scope named.")

// Has reports whether by was granted scope.
func (by By) Has(scope Scope) bool { return by.Actor != "" && slices.Contains(by.Scopes, scope) }

// do is every act: allowed, its change and its entry are one transaction; not allowed, the refusal is written down.
func (f *Flow) do(ctx context.Context, by By, scope Scope, act string, subject people.ID, object string,
	change func(s Store, e *audit.Entry) error) error {
	if !by.Has(scope) {
		return f.refuse(ctx, by, scope, act, subject, object)
	}
	return f.InTx(ctx, func(s Store) error {
		e := f.entry(by, act, subject, object)
		if err := change(s, &e); err != nil {
			return err
		}
		if e.Act == "" { // the change found that there was nothing to do
			return nil
		}
		return s.Record(ctx, e)
	})
}

// see is every look: no entry, for it changes nothing; a refusal is written down all the same.
func (f *Flow) see(ctx context.Context, by By, scope Scope, look func(s Store) error) error {
	if !by.Has(scope) {
		return f.refuse(ctx, by, scope, "manage.read", "", "")
	}
	return f.View(ctx, look)
}

func (f *Flow) refuse(ctx context.Context, by By, scope Scope, act string, subject people.ID, object string) error {
	refused := errScope.With("scope", string(scope))
	if by.Actor == "" {
		return refused
	}
	err := f.InTx(ctx, func(s Store) error {
		e := f.entry(by, act, subject, object)
		e.Outcome, e.Reason = audit.Refused, errScope.Code
		e.Detail = map[string]string{"scope": string(scope)}
		if subject != "" {
			if _, err := s.PersonByID(ctx, subject); err != nil {
				e.Subject, e.Personal = "", nil // a made-up id is nobody's
			}
		}
		return s.Record(ctx, e)
	})
	if err != nil {
		return err
	}
	return refused
}
