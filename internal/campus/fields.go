package campus

import (
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/yamlfile"
)

// span prints a time as the file writes it; zero is the default.
func span(d, ifZero time.Duration) string {
	if d == 0 {
		d = ifZero
	}
	return yamlfile.FormatDuration(d)
}

// ruleFields are a rule as its author reads it.
func ruleFields(r policy.Rule) map[string]string {
	f := map[string]string{
		"state": string(r.State), "people": matchText(r.People), "applications": matchText(r.Applications), "acts": list(r.Acts),
		"strength": string(r.Grant.Strength),
	}
	if r.Grant.Block {
		f["block"] = "true"
	}
	switch {
	case r.Grant.Freshness.EveryTime:
		f["fresh"] = "every time"
	case r.Grant.Freshness.MaxAge > 0:
		f["fresh"] = yamlfile.FormatDuration(r.Grant.Freshness.MaxAge)
	}
	switch {
	case r.Grant.RememberSet && r.Grant.Remember == 0:
		f["remember"] = "never"
	case r.Grant.RememberSet:
		f["remember"] = yamlfile.FormatDuration(r.Grant.Remember)
	}
	return f
}

func matchText(m policy.Match) string {
	var parts []string
	put := func(what string, names []string) {
		if len(names) > 0 {
			parts = append(parts, what+" "+strings.Join(names, ", "))
		}
	}
	put("groups", m.Groups)
	put("roles", m.Roles)
	put("names", m.Names)
	put("categories", m.Categories)
	put("except groups", m.ExceptGroups)
	put("except roles", m.ExceptRoles)
	put("except names", m.ExceptNames)
	put("except categories", m.ExceptCategories)
	return strings.Join(parts, "; ")
}

func appFields(a Application) map[string]string {
	o := a.OIDC
	secret := "none"
	if a.GenerateSecret {
		secret = "generated"
	}
	f := map[string]string{
		"name": a.Name, "category": a.Category, "audience": a.Audience, "url": a.URL, "closed": text(a.Closed), "secret": secret,
	}
	for key, v := range map[string]any{
		"client_id": o.ClientID, "redirect_uris": o.RedirectURIs, "post_logout_redirect_uris": o.PostLogoutRedirectURIs,
		"grant_types": o.GrantTypes, "scopes": o.Scopes, "without_pkce": o.WithoutPKCE, "id_token_alg": o.IDTokenAlg,
		"opaque": o.OpaqueAccessToken, "token_audience": o.Audience, "token_auth": o.TokenAuth, "refresh_max_seconds": o.RefreshMax,
		"pairwise": o.PairwiseSubject,
	} {
		f[key] = text(v)
	}
	return f
}
