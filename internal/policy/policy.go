// Package policy decides. Decide is the one function that every door asks, at issue and again at refresh.
//
//	Policy (versioned rules) ┐
//	Input (who, what, where, ├─► Decide ─► Decision{Allow | Ask(kinds) | Deny, because: named reasons}
//	 evidence, remembered)   ┘
//
// It is pure: values and now in, a value out. All matching rules apply and the strictest wins. An input that is
// unknown never matches in the asker's favour. The zero value of every verdict denies.
package policy

import (
	"net/netip"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// Verdict of a decision. The zero value denies.
type Verdict uint8

const (
	// Deny refuses; Reasons say why.
	Deny Verdict = iota
	// Ask needs a further proof of one of the kinds in Decision.Ask.
	Ask
	// Allow lets in.
	Allow
)

// Act is what is being done. Signing in to an application is ActSignIn; changing something is an act of its own.
type Act string

// The acts. An act other than signing in or refreshing is proven freshly, for itself.
const (
	ActSignIn         Act = "signin"
	ActRefreshSignIn  Act = "signin.refresh" // "Refresh my sign-in now"
	ActMethodAdd      Act = "method.add"
	ActMethodRemove   Act = "method.remove"
	ActMethodRename   Act = "method.rename"
	ActMethodLead     Act = "method.lead"
	ActPasswordChange Act = "password.change"
	ActBrowserForget  Act = "browser.forget"
	ActSecurityPage   Act = "security.page" // the page itself: a session of 15 minutes
)

// Strength is a named set of method combinations. Built in: StrengthAny, StrengthMFA, StrengthPasswordless,
// StrengthPhishingResistant, StrengthHardware; an administrator adds others in the campus file.
type Strength string

// The built-in strengths.
const (
	StrengthAny               Strength = "any" // one proof; a password alone only where nothing else is owed
	StrengthMFA               Strength = "mfa"
	StrengthPasswordless      Strength = "passwordless"
	StrengthPhishingResistant Strength = "phishing-resistant"
	// StrengthHardware is phishing-resistant with a key that an attestation says never leaves its device (the
	// "phrh" of OpenID EAP ACR Values 1.0).
	StrengthHardware Strength = "phishing-resistant-hardware"
)

// Combination is met by evidence in which, for each element, a different proof matches.
type Combination []ProofMatch

// ProofMatch describes one proof of a combination; empty fields match anything.
type ProofMatch struct {
	Kinds             []method.Kind `json:"kinds,omitempty"`
	PhishingResistant bool          `json:"phishing_resistant,omitempty"` // must be
	UserVerified      bool          `json:"user_verified,omitempty"`      // must be
	DeviceBound       bool          `json:"device_bound,omitempty"`       // must be
	Attested          bool          `json:"attested,omitempty"`           // must be
	Models            []string      `json:"models,omitempty"`
}

// RuleState switches a rule.
type RuleState string

// The rule states.
const (
	RuleOff        RuleState = "off"
	RuleReportOnly RuleState = "report-only"
	RuleOn         RuleState = "on"
)

// Match selects by inclusion and exclusion; exclusion wins. Empty inclusion lists match everybody or everything.
type Match struct {
	// People are matched by Groups, Roles and Names (usernames), applications by Categories and Names (name or ID).
	// A person or application that is in any of the lists is included. Compared without case.
	Groups     []string `json:"groups,omitempty"`
	Roles      []string `json:"roles,omitempty"`
	Names      []string `json:"names,omitempty"`
	Categories []string `json:"categories,omitempty"`

	ExceptGroups     []string `json:"except_groups,omitempty"`
	ExceptRoles      []string `json:"except_roles,omitempty"`
	ExceptNames      []string `json:"except_names,omitempty"`
	ExceptCategories []string `json:"except_categories,omitempty"`
}

// Freshness bounds the age of the proofs. The zero value asks nothing.
type Freshness struct {
	EveryTime bool          `json:"every_time,omitempty"` // a new proof for this very sign-in, tolerant by 5 minutes
	MaxAge    time.Duration `json:"max_age,omitempty"`    // the oldest proof used may be this old; 0: no bound
}

// Grant is what a matching rule demands.
type Grant struct {
	Block bool `json:"block,omitempty"`
	// Strength "" names none: where no matching rule names one, the default rule (MFA) holds.
	Strength  Strength  `json:"strength,omitempty"`
	Freshness Freshness `json:"freshness,omitzero"`
	// Remember is for how long a browser may skip the second proof; RememberSet with 0 means never.
	RememberSet bool          `json:"remember_set,omitempty"`
	Remember    time.Duration `json:"remember,omitempty"`
}

// Rule is one line of policy.
type Rule struct {
	Name         string    `json:"name"`
	State        RuleState `json:"state"`
	People       Match     `json:"people,omitzero"`
	Applications Match     `json:"applications,omitzero"` // applies to ActSignIn and ActRefreshSignIn
	Acts         []Act     `json:"acts,omitempty"`        // empty: ActSignIn
	Grant        Grant     `json:"grant"`
}

// Policy is what is in force: one versioned record.
type Policy struct {
	Version   int64                      `json:"version"`
	Rules     []Rule                     `json:"rules"`
	Strengths map[Strength][]Combination `json:"strengths,omitempty"` // beyond the built-in ones
	// ACR maps names of assurance to strengths, in order of preference when a token states what was reached:
	// strongest first. Built-in names are filled in by Default.
	ACR []ACRName `json:"acr,omitempty"`
	// SessionIdle, SessionMax bound a sign-in session. Defaults 8 h and 24 h.
	SessionIdle time.Duration `json:"session_idle,omitempty"`
	SessionMax  time.Duration `json:"session_max,omitempty"`
	// Leads are the kinds that may lead; empty: all but the fallbacks.
	Leads []method.Kind `json:"leads,omitempty"`
	// App is how the authenticator app works here.
	App AppSettings `json:"app,omitzero"`
	// FirstEnrolment is the named risk of registering a first method with nothing but the password.
	FirstEnrolment FirstEnrolment `json:"first_enrolment,omitzero"`
}

// AppSettings are the authenticator app's. The zero value is the default.
type AppSettings struct {
	// SixDigits asks for a number of six digits instead of two (NIST SP 800-63B section 3.1.3 out of band).
	SixDigits bool `json:"six_digits,omitempty"`
	// WithoutUnlock lets phones answer that have no biometrics or PIN; by default pairing and each answer need them.
	WithoutUnlock bool `json:"without_unlock,omitempty"`
	// KeepSessions and KeepPassword leave out what "No, it's not me" does beside ending the attempt and blocking its source.
	KeepSessions bool `json:"keep_sessions,omitempty"` // by default the member's sessions end
	KeepPassword bool `json:"keep_password,omitempty"` // by default a new password is asked for
}

// Digits of the number to match.
func (a AppSettings) Digits() int {
	if a.SixDigits {
		return 6
	}
	return 2
}

// FirstEnrolment lets an account that never had a method beside its password register a first one after the password
// alone, from named networks, with notices and a hold. The zero value never does.
type FirstEnrolment struct {
	PasswordOnly bool `json:"password_only,omitempty"`
	// Networks it is allowed from; empty: nowhere.
	Networks []netip.Prefix `json:"networks,omitempty"`
	// Hold is for how long a method so registered does not open applications of HoldCategories; default 7 days.
	Hold           time.Duration `json:"hold,omitempty"`
	HoldCategories []string      `json:"hold_categories,omitempty"`
	// Dormant accounts, whose password was neither set nor used for so long, are left out; default 90 days (attack G89).
	Dormant time.Duration `json:"dormant,omitempty"`
}

// Defaults of FirstEnrolment.
const (
	DefaultHold    = 7 * 24 * time.Hour
	DefaultDormant = 90 * 24 * time.Hour
)

// ACRName is a name that a relying party may ask for or be told.
type ACRName struct {
	Name     string   `json:"name"`
	Strength Strength `json:"strength"`
}

// Application is what policy knows of the thing signed in to. Gatehouse's own pages are Application{}.
type Application struct {
	ID         string
	Name       string
	Category   string
	Categories []string // further ones
}

// Demand is what an application asks beyond policy (OpenID Connect acr_values, max_age, prompt).
type Demand struct {
	// ACR names in order of preference; Essential: one of them must be met or the request fails.
	ACR       []string      `json:"acr,omitempty"`
	Essential bool          `json:"ess,omitempty"`
	MaxAge    time.Duration `json:"age,omitempty"`
	MaxAgeSet bool          `json:"ages,omitempty"` // max_age=0 is a demand too
	// FreshSince: a proof given at or after this time is required (prompt=login, an act's own proof).
	FreshSince time.Time `json:"since,omitzero"`
	// Began is when this very request or act began, by our own clock: what was proven since then is fresh, however
	// slowly the person goes on. It is never derived from what an application sends.
	Began time.Time `json:"began,omitzero"`
}

// Input is everything a decision looks at.
type Input struct {
	Person      Person
	Application Application
	Act         Act
	Demand      Demand
	// Evidence is the session's and the attempt's log together.
	Evidence []method.Evidence
	// Remembered is set where this browser is remembered for this person and neither expired nor stolen.
	Remembered *Remembered
	// Owned are the person's usable credentials (not pending), to choose what to ask and to know what they own.
	Owned []method.Credential
	// Traits of every kind that this house offers.
	Traits map[method.Kind]method.Traits
	Now    time.Time
}

// Person is what policy knows of who asks.
type Person struct {
	ID       string
	Username string
	Groups   []string
	Roles    []string
	Active   bool
	Lead     method.Kind
	// NewPassword: the password may be known to somebody else. Whatever the rules say, it takes another method too.
	NewPassword bool
}

// Remembered is a remembered browser's standing.
type Remembered struct {
	Since    time.Time // when remembering began
	ProvenAt time.Time
}

// Reason is a named cause of an ask or a refusal.
type Reason struct {
	// Rule is the rule's name, or a built-in one in angle brackets: "<default>", "<application's demand>".
	Rule string
	// Code is the first condition behind it: "strength", "freshness.every_time", "freshness.max_age", "blocked",
	// "demand.acr", "demand.max_age", "demand.login", "act.proof", "act.page", "first_method", "no_method",
	// "password_too_short", "account", "reported", "first_enrolment.hold".
	Code string
	// Params fill the catalogue text "reason."+Code.
	Params map[string]any
}

// Decision is the answer.
type Decision struct {
	Verdict Verdict
	// Ask lists the kinds of proof that would help, the lead first. Only kinds the person owns (or, before
	// anybody is known, kinds that may be first).
	Ask     []method.Kind
	Reasons []Reason
	// Reached are the strengths that the evidence meets now (without the remembered browser).
	Reached []Strength
	// ACR is the strongest name reached that was asked for, else the strongest name reached; "" if none.
	ACR string
	// AuthTime is the time of the latest proof (OpenID Connect Core section 2).
	AuthTime time.Time
	// Oldest is the time of the oldest proof used: freshness counts from here.
	Oldest time.Time
	// AMR are the RFC 8176 values of the proofs.
	AMR []string
	// RememberFor is for how long this browser may be remembered after this sign-in; 0: not offered.
	RememberFor time.Duration
	// UsedRemembered: Allow rests on the remembered browser.
	UsedRemembered bool
	// ReportOnly are reasons that report-only rules would have given.
	ReportOnly []Reason
	// Version of the policy that decided.
	Version int64
}
