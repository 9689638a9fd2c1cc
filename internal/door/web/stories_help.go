package web

import (
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/help"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

// storyAdministrator is held to stricter rules than others.
var storyAdministrator = policy.Person{ID: "1", Username: "dev.example", Groups: []string{"it-administrators"}}

// storyAnswers are real ones: what follows from a policy with every kind of rule, for a person. Beside a few
// applications there are so many further ones; -1: none at all.
func storyAnswers(person policy.Person, further int) []help.Answer {
	in := help.Input{Person: person, BrowserCookie: 400 * 24 * time.Hour, Policy: policy.Default(), Traits: map[method.Kind]method.Traits{
		method.Password: {Kind: method.Password, Factors: method.Knowledge, Guessable: true, First: true, Limit: 1, Strength: 10},
		method.TOTP:     {Kind: method.TOTP, Factors: method.Possession, Guessable: true, Limit: 5, Strength: 20},
		method.Passkey: {Kind: method.Passkey, Factors: method.Possession | method.Inherence, PhishingResistant: true, First: true,
			Limit: 10, Strength: 30},
	}}
	in.Policy.Rules = append(in.Policy.Rules,
		policy.Rule{Name: "Clinical applications ask every time", State: policy.RuleOn, Applications: policy.Match{Categories: []string{"clinical"}},
			Grant: policy.Grant{Strength: policy.StrengthPhishingResistant, Freshness: policy.Freshness{EveryTime: true}, RememberSet: true}},
		policy.Rule{Name: "Finance asks after a working day", State: policy.RuleOn, Applications: policy.Match{Categories: []string{"finance"}},
			Grant: policy.Grant{Freshness: policy.Freshness{MaxAge: 8 * time.Hour}, RememberSet: true}},
		policy.Rule{Name: "IT administrators use a security key", State: policy.RuleOn, People: policy.Match{Groups: []string{"it-administrators"}},
			Grant: policy.Grant{Strength: policy.StrengthHardware, RememberSet: true}})
	if further < 0 {
		return help.For(in)
	}
	in.Applications = []policy.Application{{ID: "library", Name: "Library"}, {ID: "timetable", Name: "Timetable"},
		{ID: "patients", Name: "Patient records", Category: "clinical"}, {ID: "expenses", Name: "Expenses", Category: "finance"}}
	for i := range further {
		in.Applications = append(in.Applications, policy.Application{ID: fmt.Sprint(i), Name: fmt.Sprintf("Course catalogue of faculty %d", i+1)})
	}
	return help.For(in)
}
