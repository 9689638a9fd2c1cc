package apps

import (
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

// The scopes this house knows. Applications may register further ones; they mean nothing here.
const (
	ScopeOpenID  = "openid"
	ScopeProfile = "profile"
	ScopeEmail   = "email"
	ScopeGroups  = "groups"
	ScopeOffline = "offline_access"
)

// Request is an authorization request as a door has read it (RFC 6749 section 4.1.1, OpenID Connect Core section
// 3.1.2.1). It travels sealed through the sign-in page and comes back as it was.
type Request struct {
	ClientID        string   `json:"c"`
	RedirectURI     string   `json:"r"`
	ResponseType    string   `json:"t,omitempty"`
	ResponseMode    string   `json:"m,omitempty"`
	Scope           string   `json:"s,omitempty"`
	State           string   `json:"st,omitempty"`
	Nonce           string   `json:"n,omitempty"`
	Challenge       string   `json:"pc,omitempty"`
	ChallengeMethod string   `json:"pm,omitempty"`
	Prompt          []string `json:"p,omitempty"`
	MaxAge          int64    `json:"a,omitempty"` // seconds, where MaxAgeSet
	MaxAgeSet       bool     `json:"as,omitempty"`
	ACR             []string `json:"acr,omitempty"`
	LoginHint       string   `json:"lh,omitempty"`
	IDTokenHint     string   `json:"ih,omitempty"`
	Claims          Wanted   `json:"cl,omitzero"`

	// Problem is what the door could not read, as an oauth fault; it is answered once it is known whom to answer.
	Problem *fault.Error `json:"-"`

	// Started is when the request first arrived: prompt=login and max_age count from here, so that coming back from
	// the sign-in page asks for nothing twice.
	Started time.Time `json:"at,omitzero"`
	// Round counts the returns from the sign-in page.
	Round int `json:"rd,omitempty"`
}

// Wanted is the claims parameter (OpenID Connect Core section 5.5), reduced to what this house acts on.
type Wanted struct {
	UserInfo []string `json:"u,omitempty"` // claim names
	IDToken  []string `json:"i,omitempty"`
	// ACR values asked for as a claim of the ID token; Essential where one of them must be met.
	ACR       []string `json:"acr,omitempty"`
	Essential bool     `json:"e,omitempty"`
	// Subject is the sub that must answer, or "".
	Subject string `json:"s,omitempty"`
}

// The response modes (OAuth 2.0 Multiple Response Types section 2.1, Form Post Response Mode).
const (
	ModeQuery    = "query"
	ModeFormPost = "form_post"
)

// Reply is where and how an authorization response goes: only ever to a registered address.
type Reply struct {
	RedirectURI string
	Mode        string // ModeQuery or ModeFormPost
	State       string
}

// reply reads where to answer; an unknown mode is answered in the query.
func (r Request) reply() Reply {
	mode := ModeQuery
	if r.ResponseMode == ModeFormPost {
		mode = ModeFormPost
	}
	return Reply{RedirectURI: r.RedirectURI, Mode: mode, State: r.State}
}

func badRequest(text string) *fault.Error { return oauth(fault.BadInput, "invalid_request", text) }

// check says what is wrong with the request for this application, or nil.
func (r Request) check(a Application) *fault.Error {
	switch {
	case r.Problem != nil:
		return r.Problem
	case r.ResponseType == "":
		return badRequest("response_type is missing.")
	case r.ResponseType != "code":
		return oauth(fault.BadInput, "unsupported_response_type", "Only response_type=code is offered.")
	case r.ResponseMode != "" && r.ResponseMode != ModeQuery && r.ResponseMode != ModeFormPost:
		return badRequest("response_mode is query or form_post.")
	case !a.OIDC.allows(GrantAuthorizationCode):
		return oauth(fault.Forbidden, "unauthorized_client", "This client is not registered for authorization codes.")
	case len(grantedScopes(a.OIDC, r.Scope)) == 0:
		return oauth(fault.BadInput, "invalid_scope", "None of the scopes is registered for this client.")
	case slices.Contains(r.Prompt, "none") && len(r.Prompt) > 1:
		return badRequest("prompt=none stands alone.")
	}
	for _, p := range r.Prompt {
		if p != "none" && p != "login" && p != "consent" && p != "select_account" {
			return badRequest("prompt is none, login, consent or select_account.")
		}
	}
	return r.checkPKCE(a.OIDC)
}

// checkPKCE holds every request to PKCE with S256 (RFC 7636, RFC 9700 section 2.1.1), but for a confidential client
// that was registered to do without; where it sends a challenge all the same, that one counts.
func (r Request) checkPKCE(o OIDC) *fault.Error {
	if r.Challenge == "" && r.ChallengeMethod == "" && o.WithoutPKCE && o.Confidential() {
		return nil
	}
	switch {
	case r.Challenge == "":
		return badRequest("code_challenge is missing: PKCE with S256 is required.")
	case r.ChallengeMethod != "S256":
		return badRequest("code_challenge_method must be S256.")
	case !verifierLike(r.Challenge) || len(r.Challenge) != 43:
		return badRequest("code_challenge is the base64url of a SHA-256: 43 characters.")
	}
	return nil
}

// verifierLike is code-verifier of RFC 7636 section 4.1: 43 to 128 unreserved characters.
func verifierLike(s string) bool {
	return len(s) >= 43 && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._~", r))
	})
}

// grantedScopes are those asked for that the application registered, each once, in order; what is unknown is ignored
// (OpenID Connect Core section 3.1.2.1).
func grantedScopes(o OIDC, asked string) []string {
	registered := o.Scopes
	if len(registered) == 0 {
		registered = []string{ScopeOpenID, ScopeProfile, ScopeEmail}
	}
	var out []string
	for _, s := range strings.Fields(asked) {
		if s == ScopeOffline && !o.allows(GrantRefreshToken) {
			continue
		}
		if slices.Contains(registered, s) && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func hasScope(scope, want string) bool { return slices.Contains(strings.Fields(scope), want) }

// demand is what the request asks beyond policy. max_age and prompt=login are one thing, a time before which the
// latest proof must not lie, counted from the start of the request: thus whoever returns from the sign-in page, however
// slowly, is asked nothing twice.
func (r Request) demand() policy.Demand {
	d := policy.Demand{ACR: r.ACR}
	if len(r.Claims.ACR) > 0 {
		d.ACR, d.Essential = r.Claims.ACR, r.Claims.Essential
	}
	if r.MaxAgeSet {
		d.FreshSince = r.Started.Add(-time.Duration(r.MaxAge) * time.Second)
	}
	if slices.Contains(r.Prompt, "login") || slices.Contains(r.Prompt, "select_account") {
		d.FreshSince = r.Started
	}
	if !d.FreshSince.IsZero() {
		d.Began = r.Started // not FreshSince: a long max_age must not make policy's own freshness longer
	}
	return d
}

func (r Request) silent() bool { return slices.Contains(r.Prompt, "none") }
