package policy_test

import (
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/policy"
)

func TestPasswordMayStandAlone(t *testing.T) {
	rule := func(r policy.Rule) policy.Rule { r.State = policy.RuleOn; return r }
	mfa := rule(policy.Rule{Grant: policy.Grant{Strength: policy.StrengthMFA}})
	remember := rule(policy.Rule{Grant: policy.Grant{RememberSet: true, Remember: 30 * 24 * time.Hour}})
	never := rule(policy.Rule{People: policy.Match{Groups: []string{"it"}}, Grant: policy.Grant{RememberSet: true}})
	kiosk := rule(policy.Rule{Applications: policy.Match{Names: []string{"Kiosk"}}, Grant: policy.Grant{Strength: policy.StrengthAny}})
	off := remember
	off.State = policy.RuleReportOnly
	for name, c := range map[string]struct {
		rules []policy.Rule
		group string
		alone bool
	}{
		"the default is MFA":              {nil, "", false},
		"MFA, never remembered":           {[]policy.Rule{mfa}, "", false},
		"MFA, remembered":                 {[]policy.Rule{mfa, remember}, "", true},
		"a rule that only reports":        {[]policy.Rule{mfa, off}, "", false},
		"remembered, but not this group":  {[]policy.Rule{mfa, remember, never}, "it", false},
		"remembered, and another group":   {[]policy.Rule{mfa, remember, never}, "staff", true},
		"one application asks any proof":  {[]policy.Rule{kiosk}, "", true},
		"any proof there, MFA everywhere": {[]policy.Rule{kiosk, mfa}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			got := policy.Policy{Rules: c.rules}.PasswordMayStandAlone(policy.Person{ID: "1", Groups: []string{c.group}, Active: true})
			if got != c.alone {
				t.Errorf("alone = %v, want %v", got, c.alone)
			}
		})
	}
}
