package policy

import "time"

// BuiltinACR are the names of assurance that are known without configuration, the strongest first: OpenID Connect
// EAP ACR Values 1.0, REFEDS MFA and SFA. The phishing-resistant REFEDS name rests on a secondary source.
func BuiltinACR() []ACRName {
	return []ACRName{
		{"phrh", StrengthHardware},
		{"phr", StrengthPhishingResistant},
		{"https://refeds.org/profile/phishing-resistant-mfa", StrengthPhishingResistant},
		{"https://refeds.org/profile/mfa", StrengthMFA},
		{"https://refeds.org/profile/sfa", StrengthAny},
	}
}

// The session times where policy says nothing: a working day without a break, and one day in all.
const (
	DefaultSessionIdle = 8 * time.Hour
	DefaultSessionMax  = 24 * time.Hour
)

// Default is the policy of a house that was not told otherwise: MFA for everybody, not asked again on a browser for
// 30 days.
func Default() Policy {
	return Policy{
		Rules: []Rule{{
			Name: "MFA for everybody", State: RuleOn,
			Grant: Grant{Strength: StrengthMFA, RememberSet: true, Remember: 30 * 24 * time.Hour},
		}},
		ACR:         BuiltinACR(),
		SessionIdle: DefaultSessionIdle,
		SessionMax:  DefaultSessionMax,
	}
}
