package campus_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/campus"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/yamlfile"
)

const small = `id: small
name: Small College
groups:
  - { name: staff }
policy:
  rules:
    - name: everybody
      strength: mfa
applications:
  - id: library
    name: Library
    category: Office
    oidc: { secret: generated, redirect_uris: ["https://l.example/cb"] }
demo:
  samples: [library]
  people:
    - { username: ada, given: Ada, family: Sample, email: ada@s.example, groups: [staff], methods: [password] }
`

func TestSmall(t *testing.T) {
	c, err := campus.Parse("small.yaml", []byte(small))
	if err != nil {
		t.Fatal(err)
	}
	a := c.Applications[0]
	if a.OIDC.ClientID != "library" || !a.GenerateSecret || strings.Join(a.OIDC.GrantTypes, " ") != "authorization_code refresh_token" || len(a.OIDC.SecretHashes) != 0 {
		t.Errorf("%+v", a)
	}
	if c.Policy.Rules[0].State != policy.RuleOn || c.Policy.SessionIdle != 8*time.Hour || len(c.Policy.ACR) != len(policy.BuiltinACR()) || c.Groups[0].Label != "staff" {
		t.Errorf("defaults: %+v", c)
	}
}

func TestThePhonesSettings(t *testing.T) {
	parse := func(src string) policy.Policy {
		t.Helper()
		c, err := campus.Parse("small.yaml", []byte(src))
		if err != nil {
			t.Fatal(err)
		}
		return c.Policy
	}
	if p := parse(small); p.App != (policy.AppSettings{}) || p.FirstEnrolment.PasswordOnly {
		t.Errorf("what is not written is not the strict way: %+v %+v", p.App, p.FirstEnrolment)
	}
	loose := strings.Replace(small, "  rules:", `  leads: [app, passkey]
  app: { six_digits: true, unlock: optional, not_me: { end_sessions: false, new_password: false } }
  first_enrolment: { password_only: true, networks: [192.0.2.0/24, "2001:db8::1"], hold: 3d, hold_categories: [office], dormant: 30d }
  rules:`, 1)
	p := parse(loose)
	if p.App != (policy.AppSettings{SixDigits: true, WithoutUnlock: true, KeepSessions: true, KeepPassword: true}) {
		t.Errorf("%+v", p.App)
	}
	f := p.FirstEnrolment
	if !f.PasswordOnly || len(f.Networks) != 2 || f.Networks[1].String() != "2001:db8::1/128" || f.Hold != 3*24*time.Hour || f.Dormant != 30*24*time.Hour || f.HoldCategories[0] != "office" {
		t.Errorf("%+v", f)
	}
	var lines []string
	for _, c := range campus.Plan(campus.State{Policy: parse(small)}, campus.State{Policy: p}) {
		lines = append(lines, c.String())
	}
	plan := strings.Join(lines, "\n")
	for _, want := range []string{"app.six_digits: false → true", "app.unlock: required → optional", "app.not_me.end_sessions: true → false",
		"first_enrolment.networks: (none) → 192.0.2.0/24, 2001:db8::1/128", "first_enrolment.hold: (none) → 3d", "leads: (none) → app, passkey"} {
		if !strings.Contains(plan, want) {
			t.Errorf("plan does not say %q:\n%s", want, plan)
		}
	}
	if again := campus.Plan(campus.State{Policy: p}, campus.State{Policy: parse(loose)}); len(again) > 0 {
		t.Errorf("the same file differs from itself: %v", again)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown key", "strength: mfa", "strenght: mfa", `small.yaml:8:7: unknown key "strenght": write "strength"`},
		{"unknown strength", "strength: mfa", "strength: mfaa", `small.yaml:8:17: "mfaa" is not known; write any, mfa`},
		{"a rule that says nothing", "      strength: mfa\n", "", "small.yaml:7:7: the rule says nothing"},
		{"unknown state", "strength: mfa", "strength: mfa\n      state: maybe", "small.yaml:9:14: write off, report-only or on"},
		{"unknown group", "strength: mfa", "strength: mfa\n      people: { groups: [stuff] }", `small.yaml:9:26: there is no group "stuff"`},
		{"unknown excluded group", "strength: mfa", "strength: mfa\n      people: { except: { groups: [stuff] } }", `there is no group "stuff"`},
		{"unknown role", "strength: mfa", "strength: mfa\n      people: { roles: [king] }", `"king" is no role: write desk`},
		{"unknown application", "strength: mfa", "strength: mfa\n      applications: { names: [Libary] }", `there is no application "Libary" in this file`},
		{"people by category", "strength: mfa", "strength: mfa\n      people: { categories: [x] }", "people have groups, roles and names"},
		{"unknown act", "strength: mfa", "strength: mfa\n      acts: [fly]", `"fly" is no act`},
		{"freshness", "strength: mfa", "strength: mfa\n      fresh: often", `small.yaml:9:14: write "every time", or for how long a proof counts, like 8h`},
		{"remember", "strength: mfa", "strength: mfa\n      remember: 30", `write "never", or for how long`},
		{"remember too long", "strength: mfa", "strength: mfa\n      remember: 999d", "at most 366d"},
		{"block and more", "strength: mfa", "strength: mfa\n      block: true", "small.yaml:9:14: a rule that blocks"},
		{"two rules of one name", "strength: mfa", "strength: mfa\n    - name: Everybody\n      block: true", "small.yaml:9:13: another rule has this name"},
		{"no rules", "  rules:\n    - name: everybody\n      strength: mfa", "  rules: []", "write at least one rule"},
		{"session", "  rules:", "  session: { idle: 2d, max: 1d }\n  rules:", "idle is not longer than max"},
		{"lead", "  rules:", "  leads: [pigeon]\n  rules:", `"pigeon" is no method here`},
		{"own strength", "  rules:", "  strengths: { mfa: [[{ kinds: [passkey] }]] }\n  rules:", "this name is built in"},
		{"acr", "  rules:", "  acr: [{ name: urn:x, strength: y }]\n  rules:", `"y" is not known`},
		{"a secret in the file", "secret: generated", "secret: hunter2hunter2", "secrets never stand in this file"},
		{"redirect in plain", "https://l.example/cb", "http://l.example/cb", "plain http only for localhost"},
		{"redirect with a star", "https://l.example/cb", "https://*.example/cb", "without # or *"},
		{"redirect with a fragment", "https://l.example/cb", "https://l.example/cb#x", "without # or *"},
		{"redirect to script", "https://l.example/cb", "javascript:alert(1)", "write a whole https:// address"},
		{"no redirect", `redirect_uris: ["https://l.example/cb"]`, "redirect_uris: []", "write at least one redirect URI"},
		{"public machine", "secret: generated", "secret: none, grant_types: [client_credentials]", "client_credentials needs a secret"},
		{"public without PKCE", "secret: generated", "secret: none, without_pkce: true", "always uses PKCE"},
		{"grant", "secret: generated", "secret: generated, grant_types: [implicit]", `"implicit" is not known`},
		{"id", "id: small", "id: Small", "small.yaml:1:5: write lower-case letters"},
		{"accent", "name: Small College", "name: S\naccent: blue", "small.yaml:3:9: write a colour as"},
		{"logo", "name: Small College", "name: S\nlogo: { path: '\"/><script>' }", "write the data of one SVG path"},
		{"help", "name: Small College", "name: S\nhelp: { url: 'javascript:x' }", "write an https:// address"},
		{"sample", "samples: [library]", "samples: [libary]", `there is no application with the id "libary"`},
		{"a country by name", "samples: [library]", "samples: [library]\n  country: Belgium", "small.yaml:16:12: write the two capital letters of a country"},
		{"a real address", "ada@s.example", "ada@s.ac.uk", "so that no mail ever leaves"},
		{"no method", "methods: [password]", "methods: []", "with no method nobody signs in"},
		{"a passkey from nowhere", "methods: [password]", "methods: [password, passkey]", `"passkey" is no method here: write password, totp`},
		{"invited with methods", "methods: [password]", "methods: [password], invited: true", "an invited person has no methods yet"},
		{"a lead that is the last resort", "  rules:", "  leads: [phone]\n  rules:", `"phone" is no method here: write password, passkey, app, totp`},
		{"unlock", "  rules:", "  app: { unlock: never }\n  rules:", `small.yaml:6:18: "never" is not known here: write required, optional`},
		{"digits", "  rules:", "  app: { digits: 6 }\n  rules:", `unknown key "digits"`},
		{"not me", "  rules:", "  app: { not_me: { new_password: maybe } }\n  rules:", "small.yaml:6:34: write true or false"},
		{"password only from anywhere", "  rules:", "  first_enrolment: { password_only: true, hold_categories: [office] }\n  rules:", "from elsewhere a password alone is never enough"},
		{"password only for everything", "  rules:", "  first_enrolment: { password_only: true, networks: [192.0.2.0/24] }\n  rules:", "write the categories of sensitive applications"},
		{"everybody's network", "  rules:", "  first_enrolment: { password_only: true, networks: [0.0.0.0/0], hold_categories: [office] }\n  rules:", "small.yaml:6:54: this is nearly everybody"},
		{"host bits", "  rules:", "  first_enrolment: { password_only: true, networks: [192.0.2.9/24], hold_categories: [office] }\n  rules:", "write the network as 192.0.2.0/24"},
		{"no network", "  rules:", "  first_enrolment: { password_only: true, networks: [campus], hold_categories: [office] }\n  rules:", "write a network or an address"},
		{"hold of nothing", "  rules:", "  first_enrolment: { password_only: true, networks: [192.0.2.0/24], hold_categories: [ofice] }\n  rules:", `no application in this file has the category "ofice"`},
		{"hold too long", "  rules:", "  first_enrolment: { password_only: true, networks: [192.0.2.0/24], hold_categories: [office], hold: 999d }\n  rules:", "write at most 366d"},
		{"half a decision", "  rules:", "  first_enrolment: { networks: [192.0.2.0/24] }\n  rules:", `"password_only" is missing here`},
		{"said no and more", "  rules:", "  first_enrolment: { password_only: false, networks: [192.0.2.0/24] }\n  rules:", "it would do nothing"},
		{"limit of a set", "groups:\n", "limits: { recovery: 2 }\ngroups:\n", `"recovery" is no method here: write passkey, app, totp, phone`},
		{"limit", "groups:\n", "limits: { totp: 0 }\ngroups:\n", "write a number from 1 to 50"},
		{"limit of nothing", "groups:\n", "limits: { pigeon: 1 }\ngroups:\n", `"pigeon" is no method here`},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := strings.Replace(small, c.old, c.new, 1)
			if src == small {
				t.Fatal("the case changes nothing")
			}
			_, err := campus.Parse("small.yaml", []byte(src))
			var list yamlfile.Errors
			if !errors.As(err, &list) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got:\n%v\nwant: %s", err, c.want)
			}
		})
	}
}

func TestBuiltinOfAnotherNameIsRefused(t *testing.T) {
	for _, name := range []string{"oxford", "", "../campus", "/etc/passwd", "imperial.yaml"} {
		if _, err := campus.Builtin(name); err == nil || !strings.Contains(err.Error(), "there are hkust, imperial") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestImperialDecides asks the real file what it says of its people.
func TestImperialDecides(t *testing.T) {
	c, err := campus.Builtin("imperial")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	traits := map[method.Kind]method.Traits{
		method.Password: {Kind: method.Password, Factors: method.Knowledge, First: true, Strength: 1},
		method.TOTP:     {Kind: method.TOTP, Factors: method.Possession, Strength: 2},
		method.Passkey:  {Kind: method.Passkey, Factors: method.Possession | method.Inherence, PhishingResistant: true, First: true, Strength: 3},
	}
	owned := []method.Credential{{ID: "p", Kind: method.Password}, {ID: "t", Kind: method.TOTP}, {ID: "k", Kind: method.Passkey}}
	password := method.Evidence{Kind: method.Password, Credential: "p", Factors: method.Knowledge, Long: true, At: now}
	code := method.Evidence{Kind: method.TOTP, Credential: "t", Factors: method.Possession, At: now}
	key := func(ago time.Duration) method.Evidence {
		return method.Evidence{Kind: method.Passkey, Credential: "k", Factors: method.Possession, PhishingResistant: true, UserVerified: true, At: now.Add(-ago)}
	}
	remembered := &policy.Remembered{Since: now.Add(-29 * 24 * time.Hour), ProvenAt: now.Add(-29 * 24 * time.Hour)}
	for _, x := range []struct {
		name, app  string
		groups     []string
		remembered *policy.Remembered
		evidence   []method.Evidence
		want       policy.Verdict
		offers     time.Duration
	}{
		{"the Library, password", "library", []string{"students"}, nil, []method.Evidence{password}, policy.Ask, 30 * 24 * time.Hour},
		{"the Library, both", "library", []string{"students"}, nil, []method.Evidence{password, code}, policy.Allow, 30 * 24 * time.Hour},
		{"the Library, remembered", "library", []string{"students"}, remembered, []method.Evidence{password}, policy.Allow, 0},
		{"records, remembered", "patient-records", []string{"clinicians"}, remembered, []method.Evidence{password, code}, policy.Ask, 0},
		{"records, passkey", "patient-records", []string{"clinicians"}, nil, []method.Evidence{key(time.Minute)}, policy.Allow, 0},
		{"records, passkey of before", "patient-records", []string{"clinicians"}, nil, []method.Evidence{key(10 * time.Minute)}, policy.Ask, 0},
		{"IT administrator at the Library", "library", []string{"staff", "it-administrators"}, remembered, []method.Evidence{password, code}, policy.Ask, 0},
		{"IT administrator, passkey", "library", []string{"staff", "it-administrators"}, nil, []method.Evidence{key(7 * time.Hour)}, policy.Allow, 0},
	} {
		in := policy.Input{Person: policy.Person{ID: "x", Active: true, Groups: x.groups}, Evidence: x.evidence, Owned: owned, Traits: traits, Now: now, Remembered: x.remembered}
		for _, a := range c.Applications {
			if a.ID == x.app {
				in.Application = policy.Application{ID: a.ID, Name: a.Name, Category: a.Category}
			}
		}
		if d := policy.Decide(c.Policy, in); d.Verdict != x.want || d.RememberFor != x.offers {
			t.Errorf("%s: %+v", x.name, d)
		}
	}
}

func TestPlan(t *testing.T) {
	c, err := campus.Builtin("imperial")
	if err != nil {
		t.Fatal(err)
	}
	if d := campus.Plan(c.State(), c.State()); len(d) != 0 {
		t.Errorf("the same differs: %v", d)
	}
	// What was saved and loaded differs in nothing either, secrets aside.
	var have []apps.Application
	for _, a := range c.Applications {
		if a.GenerateSecret {
			a.OIDC.SecretHashes = [][]byte{{1}}
		}
		a.Version = 3
		have = append(have, a.Application)
	}
	have = append(have, apps.Application{ID: "by-hand", Name: "By hand"})
	if d := campus.Plan(campus.CurrentState(c.Policy, have), c.State()); len(d) != 0 {
		t.Errorf("applied, and still differs: %v", d)
	}
	var text []string
	for _, change := range campus.Plan(campus.State{Policy: policy.Default()}, c.State()) {
		text = append(text, change.String())
	}
	got := strings.Join(text, "\n")
	for _, want := range []string{"~ rule \"MFA for everybody\"\n    remember: 30d → (none)", "+ rule \"Clinical applications ask every time\"\n    applications: categories clinical\n    fresh: every time\n    remember: never", `+ application "Library"`} {
		if !strings.Contains(got, want) {
			t.Errorf("missing: %s\nin:\n%s", want, got)
		}
	}
	back := campus.Plan(c.State(), campus.State{Policy: policy.Default()})
	if len(back) == 0 || back[0].Sign != '-' {
		t.Errorf("the way back: %v", back)
	}
	closed := c.State()
	closed.Applications = append([]campus.Application(nil), closed.Applications...)
	closed.Applications[0].Closed = true
	closed.Policy.SessionIdle = time.Hour
	d := campus.Plan(c.State(), closed)
	if len(d) != 2 || d[0].String() != "~ settings\n    session.idle: 8h → 1h" || d[1].String() != "~ application \"Library\"\n    closed: false → true" {
		t.Errorf("%v", d)
	}
}

func TestDemoPeopleAreWhole(t *testing.T) {
	for _, name := range campus.Names() {
		c, err := campus.Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range c.Demo.People {
			if people.CheckUsername(p.Username) != nil || people.CheckEmail(p.Email) != nil || p.Password != "" {
				t.Errorf("%s: %+v", name, p)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(small)
	for _, name := range campus.Names() {
		src, err := os.ReadFile("../../campus/" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(src))
	}
	f.Add("policy: { rules: [{}] }")
	f.Fuzz(func(t *testing.T, src string) {
		c, err := campus.Parse("f.yaml", []byte(src))
		if err != nil {
			var list yamlfile.Errors
			if !errors.As(err, &list) || len(list) == 0 {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		if policy.Check(c.Policy) != nil || len(campus.Plan(c.State(), c.State())) != 0 {
			t.Fatal("accepted what cannot be put in force, or what differs from itself")
		}
	})
}
