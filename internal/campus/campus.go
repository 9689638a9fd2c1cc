// Package campus is a campus written as one YAML file: who it is, its policy, its applications, and the people that
// its demonstration plays with.
//
//	bytes ─► yamlfile.Decode (strict) ─► Campus ─► check ─► Campus, or file:line:column and what to write
//	                                       │
//	                                       └─► State ─► Plan(current, wanted) ─► []Change (plan shows, apply makes)
//
// Secrets are never in the file: it says `secret: generated`, and whoever applies it makes one.
package campus

import (
	"errors"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

// Campus is a file that was read and found right.
type Campus struct {
	ID           string // lower-case letters, digits, hyphens
	Name         string
	Accent       string // #rrggbb
	Logo         *Logo
	Help         Help
	Groups       []Group
	Policy       policy.Policy
	Limits       map[method.Kind]int // credentials of a kind per person; a kind that is missing keeps its own limit
	Applications []Application
	Demo         Demo
}

// Logo is one path in the accent colour.
type Logo struct {
	Path    string // SVG path data
	ViewBox string // "0 0 24 24"
}

// Help is where members find it.
type Help struct {
	URL, Phone, Mail, Text string
}

// Group is a group of people that rules may name.
type Group struct {
	Name, Label string
}

// Application is a registration; its client secret is made when it is applied.
type Application struct {
	apps.Application
	// GenerateSecret: a confidential client; false: a public one.
	GenerateSecret bool
}

// Demo is what only the demonstration uses.
type Demo struct {
	People []DemoPerson
	// Samples are the IDs of applications that the demonstration plays itself.
	Samples []string
	// Country is where telephone numbers without a country code are from (ISO 3166-1 alpha-2); "" none.
	Country string
}

// DemoPerson is a fictional person.
type DemoPerson struct {
	Username, Given, Family, Email, Locale string
	Groups                                 []string
	Roles                                  []people.Role
	// Password is given, or "" where one is to be made.
	Password string
	// Methods that the person has from the start; passkeys cannot be among them, for they need a browser.
	Methods []method.Kind
	Lead    method.Kind
	// Invited: no method yet; the demonstration prints an invitation.
	Invited bool
	Note    string // what this person shows
}

// ---- as written ------------------------------------------------------------------------------------------------

type file struct {
	ID           string         `yaml:"id,required"`
	Name         string         `yaml:"name,required"`
	Accent       string         `yaml:"accent"`
	Logo         *fileLogo      `yaml:"logo"`
	Help         fileHelp       `yaml:"help"`
	Groups       []fileGroup    `yaml:"groups"`
	Policy       filePolicy     `yaml:"policy,required"`
	Limits       map[string]int `yaml:"limits"`
	Applications []fileApp      `yaml:"applications"`
	Demo         fileDemo       `yaml:"demo"`
}

type fileLogo struct {
	Path    string `yaml:"path,required"`
	ViewBox string `yaml:"view_box"`
}

type fileHelp struct {
	URL   string `yaml:"url"`
	Phone string `yaml:"phone"`
	Mail  string `yaml:"mail"`
	Text  string `yaml:"text"`
}

type fileGroup struct {
	Name  string `yaml:"name,required"`
	Label string `yaml:"label"`
}

type filePolicy struct {
	Session   fileSession              `yaml:"session"`
	Leads     []string                 `yaml:"leads"`
	ACR       []fileACR                `yaml:"acr"`
	Strengths map[string][][]fileProof `yaml:"strengths"`
	App       filePhone                `yaml:"app"`
	First     *fileFirst               `yaml:"first_enrolment"`
	Rules     []fileRule               `yaml:"rules,required"`
}

// filePhone is how the authenticator app works here.
type filePhone struct {
	SixDigits bool      `yaml:"six_digits"`
	Unlock    string    `yaml:"unlock"`
	NotMe     fileNotMe `yaml:"not_me"`
}

// fileNotMe is what "No, it's not me" does; nil: it does.
type fileNotMe struct {
	EndSessions *bool `yaml:"end_sessions"`
	NewPassword *bool `yaml:"new_password"`
}

// fileFirst is policy.FirstEnrolment.
type fileFirst struct {
	PasswordOnly   bool     `yaml:"password_only,required"`
	Networks       []string `yaml:"networks"`
	Hold           duration `yaml:"hold"`
	HoldCategories []string `yaml:"hold_categories"`
	Dormant        duration `yaml:"dormant"`
}

type fileSession struct {
	Idle duration `yaml:"idle"`
	Max  duration `yaml:"max"`
}

type fileACR struct {
	Name     string `yaml:"name,required"`
	Strength string `yaml:"strength,required"`
}

type fileProof struct {
	Kinds             []string `yaml:"kinds"`
	PhishingResistant bool     `yaml:"phishing_resistant"`
	UserVerified      bool     `yaml:"user_verified"`
	DeviceBound       bool     `yaml:"device_bound"`
	Attested          bool     `yaml:"attested"`
	Models            []string `yaml:"models"`
}

type fileRule struct {
	Name         string    `yaml:"name,required"`
	State        string    `yaml:"state"`
	People       fileMatch `yaml:"people"`
	Applications fileMatch `yaml:"applications"`
	Acts         []string  `yaml:"acts"`
	Block        bool      `yaml:"block"`
	Strength     string    `yaml:"strength"`
	Fresh        freshness `yaml:"fresh"`
	Remember     remember  `yaml:"remember"`
}

type fileMatch struct {
	Groups     []string   `yaml:"groups"`
	Roles      []string   `yaml:"roles"`
	Names      []string   `yaml:"names"`
	Categories []string   `yaml:"categories"`
	Except     fileExcept `yaml:"except"`
}

type fileExcept struct {
	Groups     []string `yaml:"groups"`
	Roles      []string `yaml:"roles"`
	Names      []string `yaml:"names"`
	Categories []string `yaml:"categories"`
}

type fileApp struct {
	ID       string   `yaml:"id,required"`
	Name     string   `yaml:"name,required"`
	Category string   `yaml:"category"`
	Audience string   `yaml:"audience"`
	URL      string   `yaml:"url"`
	Closed   bool     `yaml:"closed"`
	OIDC     fileOIDC `yaml:"oidc,required"`
}

type fileOIDC struct {
	ClientID    string   `yaml:"client_id"`
	Secret      string   `yaml:"secret,required"`
	Redirect    []string `yaml:"redirect_uris"`
	PostLogout  []string `yaml:"post_logout_redirect_uris"`
	Grants      []string `yaml:"grant_types"`
	Scopes      []string `yaml:"scopes"`
	TokenAuth   string   `yaml:"token_auth"`
	IDTokenAlg  string   `yaml:"id_token_alg"`
	AccessToken string   `yaml:"access_token"`
	Audience    string   `yaml:"audience"`
	RefreshMax  duration `yaml:"refresh_max"`
	Pairwise    bool     `yaml:"pairwise"`
	WithoutPKCE bool     `yaml:"without_pkce"`
}

type fileDemo struct {
	Samples []string     `yaml:"samples"`
	Country string       `yaml:"country"`
	People  []filePerson `yaml:"people"`
}

type filePerson struct {
	Username string   `yaml:"username,required"`
	Given    string   `yaml:"given,required"`
	Family   string   `yaml:"family,required"`
	Email    string   `yaml:"email,required"`
	Locale   string   `yaml:"locale"`
	Groups   []string `yaml:"groups"`
	Roles    []string `yaml:"roles"`
	Password string   `yaml:"password"`
	Methods  []string `yaml:"methods"`
	Lead     string   `yaml:"lead"`
	Invited  bool     `yaml:"invited"`
	Note     string   `yaml:"note"`
}

// freshness is "every time" or the age of the oldest proof used.
type freshness policy.Freshness

func (f *freshness) FromText(text string) error {
	if strings.EqualFold(text, "every time") {
		*f = freshness{EveryTime: true}
		return nil
	}
	var d duration
	if d.FromText(text) != nil || d.Std() <= 0 {
		return errors.New("write \"every time\", or for how long a proof counts, like 8h")
	}
	*f = freshness{MaxAge: d.Std()}
	return nil
}

// remember is "never" or for how long.
type remember struct {
	set bool
	d   time.Duration
}

func (r *remember) FromText(text string) error {
	if strings.EqualFold(text, "never") {
		*r = remember{set: true}
		return nil
	}
	var d duration
	if d.FromText(text) != nil || d.Std() <= 0 {
		return errors.New("write \"never\", or for how long a browser is remembered, like 30d")
	}
	*r = remember{true, d.Std()}
	return nil
}
