package campus

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
)

// isLink: an address that a page may link to.
func isLink(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil
}

// isRedirect: https, or plain http on the loopback (RFC 8252 section 7.3), or an application's own scheme with a dot
// (section 7.1); never a fragment (RFC 6749 section 3.1.2).
func isRedirect(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || strings.Contains(text, "#") || strings.ContainsAny(text, " *\\") || u.User != nil {
		return false
	}
	switch u.Scheme {
	case "https":
		return u.Hostname() != ""
	case "http":
		return slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname())
	}
	return strings.Contains(u.Scheme, ".")
}

func (r reader) applications(w []fileApp) []Application {
	var out []Application
	for i, a := range w {
		path := fmt.Sprintf("applications[%d]", i)
		if !idForm.MatchString(a.ID) {
			r.file.At(path+".id", "write lower-case letters, digits and hyphens, like patient-records")
		}
		if strings.TrimSpace(a.Name) == "" {
			r.file.At(path+".name", "write the name that members know the application by")
		}
		if a.URL != "" && !isRedirect(a.URL) {
			r.file.At(path+".url", "write the https:// address where members start the application")
		}
		made := Application{
			Application: apps.Application{ID: a.ID, Name: a.Name, Category: a.Category, Audience: a.Audience, URL: a.URL, Closed: a.Closed,
				OIDC: r.oidc(path+".oidc", a)},
			GenerateSecret: a.OIDC.Secret == "generated",
		}
		for _, have := range out {
			if have.ID == made.ID {
				r.file.At(path+".id", "another application has this id: each needs its own")
			}
			if have.OIDC.ClientID == made.OIDC.ClientID {
				r.file.At(path+".oidc.client_id", "another application has this client_id: each needs its own")
			}
		}
		out = append(out, made)
	}
	return out
}

var grantTypes = []string{"authorization_code", "refresh_token", "client_credentials"}

func (r reader) oidc(path string, a fileApp) apps.OIDC {
	w := a.OIDC
	public := w.Secret == "none"
	if w.Secret != "generated" && !public {
		r.file.At(path+".secret", "write generated (Gatehouse makes one and shows it once) or none (a public client); secrets never stand in this file")
	}
	if w.ClientID == "" {
		w.ClientID = a.ID
	}
	if w.Grants == nil {
		w.Grants = []string{"authorization_code", "refresh_token"}
	}
	for i, g := range w.Grants {
		if !slices.Contains(grantTypes, g) {
			r.file.At(fmt.Sprintf("%s.grant_types[%d]", path, i), "%q is not known: write %s", g, list(grantTypes))
		}
	}
	r.redirects(path, w)
	if public && slices.Contains(w.Grants, "client_credentials") {
		r.file.At(path+".grant_types", "client_credentials needs a secret: write secret: generated")
	}
	if public && w.WithoutPKCE {
		r.file.At(path+".without_pkce", "a client without a secret always uses PKCE: remove this")
	}
	w.TokenAuth = r.tokenAuth(path, w, public)
	r.oneOf(path+".id_token_alg", w.IDTokenAlg, "", "ES256", "RS256")
	r.oneOf(path+".access_token", w.AccessToken, "", "jwt", "opaque")
	return apps.OIDC{
		ClientID: w.ClientID, RedirectURIs: w.Redirect, PostLogoutRedirectURIs: w.PostLogout, GrantTypes: w.Grants, Scopes: w.Scopes,
		WithoutPKCE: w.WithoutPKCE, IDTokenAlg: w.IDTokenAlg, OpaqueAccessToken: w.AccessToken == "opaque", Audience: w.Audience,
		TokenAuth: w.TokenAuth, RefreshMax: int64(w.RefreshMax.Std().Seconds()), PairwiseSubject: w.Pairwise,
	}
}

func (r reader) redirects(path string, w fileOIDC) {
	if slices.Contains(w.Grants, "authorization_code") && len(w.Redirect) == 0 {
		r.file.At(path+".redirect_uris", "write at least one redirect URI: codes are sent nowhere else")
	}
	for field, uris := range map[string][]string{"redirect_uris": w.Redirect, "post_logout_redirect_uris": w.PostLogout} {
		for i, u := range uris {
			if !isRedirect(u) {
				r.file.At(fmt.Sprintf("%s.%s[%d]", path, field, i),
					"write a whole https:// address without # or *; plain http only for localhost and 127.0.0.1")
			}
		}
	}
}

func (r reader) tokenAuth(path string, w fileOIDC, public bool) string {
	if public {
		r.oneOf(path+".token_auth", w.TokenAuth, "", "none")
		return "none"
	}
	r.oneOf(path+".token_auth", w.TokenAuth, "", "client_secret_basic", "client_secret_post")
	return w.TokenAuth
}

func (r reader) oneOf(path, have string, allowed ...string) {
	if !slices.Contains(allowed, have) {
		r.file.At(path, "%q is not known here: write %s", have, strings.TrimPrefix(list(allowed), ", "))
	}
}

// namesOf finds rules that name an application that the file does not have: a spelling mistake there would quietly
// leave the application to weaker rules.
func (r reader) namesOf(rules []fileRule, applications []fileApp) {
	for i, rule := range rules {
		for j, name := range rule.Applications.Names {
			if !slices.ContainsFunc(applications, func(a fileApp) bool { return strings.EqualFold(a.Name, name) || strings.EqualFold(a.ID, name) }) {
				r.file.At(fmt.Sprintf("policy.rules[%d].applications.names[%d]", i, j), "there is no application %q in this file: write the name or id of one that is", name)
			}
		}
	}
}

var roles = []people.Role{people.RoleDesk, people.RoleAppOwner, people.RoleAuditor, people.RoleAdministrator}

func (r reader) role(path, name string) people.Role {
	if !slices.Contains(roles, people.Role(name)) {
		r.file.At(path, "%q is no role: write %s", name, list(roles))
	}
	return people.Role(name)
}

func (r reader) demo(w fileDemo, c Campus) Demo {
	d := Demo{Samples: w.Samples, Country: w.Country}
	if w.Country != "" && !countryForm.MatchString(w.Country) {
		r.file.At("demo.country", "write the two capital letters of a country, like GB")
	}
	for i, s := range w.Samples {
		if !slices.ContainsFunc(c.Applications, func(a Application) bool { return a.ID == s }) {
			r.file.At(fmt.Sprintf("demo.samples[%d]", i), "there is no application with the id %q", s)
		}
	}
	seen := map[string]bool{}
	for i, p := range w.People {
		path := fmt.Sprintf("demo.people[%d]", i)
		for field, name := range map[string]string{"username": p.Username, "email": p.Email} {
			if n := people.Normalise(name); seen[n] {
				r.file.At(path+"."+field, "another person has this name or address")
			} else {
				seen[n] = true
			}
		}
		d.People = append(d.People, r.person(path, p, c.Groups))
	}
	return d
}

func (r reader) person(path string, p filePerson, groups []Group) DemoPerson {
	if err := people.CheckUsername(p.Username); err != nil {
		r.file.At(path+".username", "a username has up to 64 letters, digits, dots, hyphens and underscores")
	}
	if people.CheckEmail(p.Email) != nil {
		r.file.At(path+".email", "write one e-mail address like name@campus.example")
	} else if !fictional(p.Email) {
		r.file.At(path+".email", "demonstration people live under .example, .test or .invalid, so that no mail ever leaves")
	}
	out := DemoPerson{Username: p.Username, Given: p.Given, Family: p.Family, Email: p.Email, Locale: p.Locale, Groups: p.Groups,
		Invited: p.Invited, Note: p.Note}
	for i, g := range p.Groups {
		if !slices.ContainsFunc(groups, func(have Group) bool { return have.Name == g }) {
			r.file.At(fmt.Sprintf("%s.groups[%d]", path, i), "there is no group %q: add it under groups", g)
		}
	}
	for i, role := range p.Roles {
		out.Roles = append(out.Roles, r.role(fmt.Sprintf("%s.roles[%d]", path, i), role))
	}
	for i, m := range p.Methods {
		out.Methods = append(out.Methods, r.kind(fmt.Sprintf("%s.methods[%d]", path, i), m, method.Password, method.TOTP))
	}
	if p.Lead != "" {
		out.Lead = r.kind(path+".lead", p.Lead, leads...)
	}
	if p.Password != "" && p.Password != "generated" {
		out.Password = p.Password
	}
	if p.Invited && len(p.Methods) > 0 {
		r.file.At(path+".methods", "an invited person has no methods yet: remove methods or invited")
	}
	if !p.Invited && !slices.Contains(out.Methods, method.Password) {
		r.file.At(path+".methods", "write [password] or [password, totp]: with no method nobody signs in; or write invited: true")
	}
	return out
}

// fictional: names that RFC 2606 reserves.
func fictional(address string) bool {
	return slices.ContainsFunc([]string{".example", ".test", ".invalid", ".localhost"}, func(s string) bool { return strings.HasSuffix(address, s) })
}
