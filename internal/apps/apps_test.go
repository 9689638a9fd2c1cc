package apps

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

func good(change func(*Application)) Application {
	a := Application{Name: "Library", OIDC: OIDC{ClientID: "library", RedirectURIs: []string{"https://library.example.ac.uk/cb"},
		SecretHashes: [][]byte{make([]byte, 32)}}}
	if change != nil {
		change(&a)
	}
	return a
}

func TestRegistrationRules(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Application)
		ok     bool
	}{
		"usual":                      {nil, true},
		"http on loopback":           {func(a *Application) { a.OIDC.RedirectURIs = []string{"http://127.0.0.1:9001/cb"} }, true},
		"http on IPv6 loopback":      {func(a *Application) { a.OIDC.RedirectURIs = []string{"http://[::1]/cb"} }, true},
		"http elsewhere":             {func(a *Application) { a.OIDC.RedirectURIs = []string{"http://10.0.0.1/cb"} }, false},
		"http on a name like it":     {func(a *Application) { a.OIDC.RedirectURIs = []string{"http://localhost.evil.tld/cb"} }, false},
		"with a query":               {func(a *Application) { a.OIDC.RedirectURIs = []string{"https://a.example/cb?x=1"} }, true},
		"fragment":                   {func(a *Application) { a.OIDC.RedirectURIs = []string{"https://a.example/cb#"} }, false},
		"wildcard":                   {func(a *Application) { a.OIDC.RedirectURIs = []string{"https://*.example/cb"} }, false},
		"way up":                     {func(a *Application) { a.OIDC.RedirectURIs = []string{"https://a.example/x/../cb"} }, false},
		"way up, encoded":            {func(a *Application) { a.OIDC.RedirectURIs = []string{"https://a.example/x/%2e%2e/cb"} }, false},
		"backslash":                  {func(a *Application) { a.OIDC.RedirectURIs = []string{`https://a.example\cb`} }, false},
		"own scheme, secret":         {func(a *Application) { a.OIDC.RedirectURIs = []string{"org.example.app:/cb"} }, false},
		"own scheme, public":         {func(a *Application) { a.OIDC.SecretHashes = nil; a.OIDC.RedirectURIs = []string{"org.example.app:/cb"} }, true},
		"own scheme without a dot":   {func(a *Application) { a.OIDC.SecretHashes = nil; a.OIDC.RedirectURIs = []string{"myapp:/cb"} }, false},
		"no redirect":                {func(a *Application) { a.OIDC.RedirectURIs = nil }, false},
		"long":                       {func(a *Application) { a.OIDC.RedirectURIs = []string{"https://a.example/" + strings.Repeat("x", 600)} }, false},
		"post-logout by the same":    {func(a *Application) { a.OIDC.PostLogoutRedirectURIs = []string{"javascript:alert(1)"} }, false},
		"address of a script":        {func(a *Application) { a.URL = "javascript:alert(1)" }, false},
		"name with a line break":     {func(a *Application) { a.Name = "Library\nRoot" }, false},
		"client id with a slash":     {func(a *Application) { a.OIDC.ClientID = "a/b" }, false},
		"without PKCE, public":       {func(a *Application) { a.OIDC.SecretHashes = nil; a.OIDC.WithoutPKCE = true }, false},
		"credentials, public":        {func(a *Application) { a.OIDC.SecretHashes = nil; a.OIDC.GrantTypes = []string{"client_credentials"} }, false},
		"implicit":                   {func(a *Application) { a.OIDC.GrantTypes = []string{"implicit"} }, false},
		"refresh for ever":           {func(a *Application) { a.OIDC.RefreshMax = 1 << 40 }, false},
		"scope with a quote":         {func(a *Application) { a.OIDC.Scopes = []string{`a"b`} }, false},
		"none with a secret":         {func(a *Application) { a.OIDC.TokenAuth = "none" }, false},
		"pushed requests":            {func(a *Application) { a.OIDC.RequirePAR = true }, false},
		"audience of two words":      {func(a *Application) { a.OIDC.Audience = "a b" }, false},
		"three secrets":              {func(a *Application) { a.OIDC.SecretHashes = make([][]byte, 3) }, false},
		"machine without a redirect": {func(a *Application) { a.OIDC.RedirectURIs = nil; a.OIDC.GrantTypes = []string{"client_credentials"} }, true},
	} {
		if err := Check(good(c.change)); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestScopesAreThoseRegistered(t *testing.T) {
	o := OIDC{GrantTypes: []string{"authorization_code"}, Scopes: []string{"openid", "email", "offline_access"}}
	if got := grantedScopes(o, "email openid email profile offline_access  x"); !slices.Equal(got, []string{"email", "openid"}) {
		t.Errorf("%v", got)
	}
	o.GrantTypes = append(o.GrantTypes, "refresh_token")
	if got := grantedScopes(o, "openid offline_access"); len(got) != 2 {
		t.Errorf("%v", got)
	}
	if got, ok := narrowed("a b c", "c a a"); got != "c a" || !ok {
		t.Errorf("%q %v", got, ok)
	}
	if _, ok := narrowed("a b", "b d"); ok {
		t.Error("a refresh widened the scope")
	}
}

func TestDemandCountsFromTheStartOfTheRequest(t *testing.T) {
	start := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		req   Request
		since time.Time
	}{
		"nothing asked":       {Request{Started: start}, time.Time{}},
		"max_age":             {Request{Started: start, MaxAge: 60, MaxAgeSet: true}, start.Add(-time.Minute)},
		"max_age=0":           {Request{Started: start, MaxAgeSet: true}, start},
		"prompt=login":        {Request{Started: start, Prompt: []string{"login"}}, start},
		"login beats max_age": {Request{Started: start, Prompt: []string{"login"}, MaxAge: 3600, MaxAgeSet: true}, start},
		"prompt=consent":      {Request{Started: start, Prompt: []string{"consent"}}, time.Time{}},
	} {
		if d := c.req.demand(); !d.FreshSince.Equal(c.since) {
			t.Errorf("%s: since %v", name, d.FreshSince)
		}
	}
	d := Request{ACR: []string{"a"}, Claims: Wanted{ACR: []string{"b"}, Essential: true}}.demand()
	if !slices.Equal(d.ACR, []string{"b"}) || !d.Essential {
		t.Errorf("%+v", d)
	}
}

func TestTilesSayWhatTheyAskFor(t *testing.T) {
	p := policy.Default()
	p.Rules = append(p.Rules,
		policy.Rule{Name: "records", State: policy.RuleOn, Applications: policy.Match{Names: []string{"Records"}},
			Grant: policy.Grant{Strength: policy.StrengthPhishingResistant, Freshness: policy.Freshness{EveryTime: true}}},
		policy.Rule{Name: "vault", State: policy.RuleOn, Applications: policy.Match{Names: []string{"Vault"}},
			Grant: policy.Grant{Strength: policy.StrengthPhishingResistant}},
		policy.Rule{Name: "staff", State: policy.RuleOn, Applications: policy.Match{Names: []string{"Payroll"}},
			People: policy.Match{ExceptGroups: []string{"staff"}}, Grant: policy.Grant{Block: true}})
	person := people.Person{ID: "ada", Username: "ada", State: people.Active}
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	for name, want := range map[string]string{"Library": "asks.usual", "Records": "asks.every_time", "Vault": "asks.strong", "Payroll": ""} {
		if got := asksOf(p, Application{ID: name, Name: name}, person, now); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	person.Groups = []string{"staff"}
	if got := asksOf(p, Application{ID: "Payroll", Name: "Payroll"}, person, now); got != "asks.usual" {
		t.Errorf("staff: %q", got)
	}
}

func TestVerifiedForgetsTheOldest(t *testing.T) {
	v := newVerified()
	for i := range 3 * verifiedMax {
		v.put(string(rune(i))+"x", accessClaims{Issued: int64(i)})
	}
	if n := len(v.now) + len(v.old); n > 2*verifiedMax {
		t.Errorf("%d entries", n)
	}
	if _, ok := v.get(string(rune(0)) + "x"); ok {
		t.Error("the first is still there")
	}
	if c, ok := v.get(string(rune(3*verifiedMax-1)) + "x"); !ok || c.Issued != 3*verifiedMax-1 {
		t.Error("the last is gone")
	}
}

// FuzzRedirect: nothing but the registered strings and, for public clients, a port on a loopback address.
func FuzzRedirect(f *testing.F) {
	registered := []string{"https://a.example/cb", "http://127.0.0.1/cb", "http://[::1]/cb?x=1"}
	for _, seed := range append(slices.Clone(registered), "http://127.0.0.1:80/cb", "http://127.0.0.1:80@evil/cb", "http://[::1]:9/cb?x=1", "https://a.example/cb/") {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if redirectRegistered(OIDC{RedirectURIs: registered, SecretHashes: [][]byte{{1}}}, uri) && !slices.Contains(registered, uri) {
			t.Errorf("confidential: %q", uri)
		}
		if redirectRegistered(OIDC{RedirectURIs: registered}, uri) && !slices.Contains(registered, uri) {
			rest, ok := strings.CutPrefix(uri, "http://127.0.0.1:")
			port, fits := strings.CutSuffix(rest, "/cb")
			if !ok {
				rest, ok = strings.CutPrefix(uri, "http://[::1]:")
				port, fits = strings.CutSuffix(rest, "/cb?x=1")
			}
			if !ok || !fits || strings.Trim(port, "0123456789") != "" || port == "" {
				t.Errorf("public: %q", uri)
			}
		}
		if checkRedirect(uri, true) == nil && strings.ContainsAny(uri, " \r\n\t\\#*\"'<>"+"\x00") && !strings.Contains(uri, "'") {
			t.Errorf("registrable: %q", uri)
		}
	})
}
