package main

import (
	"context"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/help"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// policyAnswers gives the help page what follows from the policy in force. The zero person is a stranger.
type policyAnswers struct{ h *house }

func (a policyAnswers) Answers(ctx context.Context, person people.Person) ([]help.Answer, error) {
	inForce, shown, err := a.h.apps.Shown(ctx, person)
	if err != nil {
		return nil, err
	}
	in := help.Input{Policy: inForce, Person: signin.PolicyPerson(person), Traits: map[method.Kind]method.Traits{},
		Limits: guessLimits, BrowserCookie: httpdoor.BrowserFor}
	for kind, m := range a.h.methods {
		in.Traits[kind] = m.Traits()
	}
	for _, app := range shown {
		if len(app.OIDC.RedirectURIs) > 0 { // people sign in to it
			in.Applications = append(in.Applications, policy.Application{ID: app.ID, Name: app.Name, Category: app.Category})
		}
	}
	return help.For(in), nil
}
