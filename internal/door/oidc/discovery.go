package oidc

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/keys"
)

// metadata is the discovery document, encoded, and when it was made.
type metadata struct {
	body []byte
	made time.Time
}

// metadataFor is how long a node serves the document before it makes it again: names of assurance come from policy.
const metadataFor = 5 * time.Second

// document is the metadata (OpenID Connect Discovery section 3, RFC 8414 section 2, RFC 9207 section 3).
type document struct {
	Issuer              string   `json:"issuer"`
	Authorization       string   `json:"authorization_endpoint"`
	Token               string   `json:"token_endpoint"`
	UserInfo            string   `json:"userinfo_endpoint"`
	JWKS                string   `json:"jwks_uri"`
	EndSession          string   `json:"end_session_endpoint"`
	Introspection       string   `json:"introspection_endpoint"`
	Revocation          string   `json:"revocation_endpoint"`
	Scopes              []string `json:"scopes_supported"`
	ResponseTypes       []string `json:"response_types_supported"`
	ResponseModes       []string `json:"response_modes_supported"`
	GrantTypes          []string `json:"grant_types_supported"`
	ACR                 []string `json:"acr_values_supported,omitempty"`
	SubjectTypes        []string `json:"subject_types_supported"`
	IDTokenAlgs         []string `json:"id_token_signing_alg_values_supported"`
	TokenAuth           []string `json:"token_endpoint_auth_methods_supported"`
	IntrospectionAuth   []string `json:"introspection_endpoint_auth_methods_supported"`
	RevocationAuth      []string `json:"revocation_endpoint_auth_methods_supported"`
	Display             []string `json:"display_values_supported"`
	ClaimTypes          []string `json:"claim_types_supported"`
	Claims              []string `json:"claims_supported"`
	ClaimsParameter     bool     `json:"claims_parameter_supported"`
	RequestParameter    bool     `json:"request_parameter_supported"`
	RequestURIParameter bool     `json:"request_uri_parameter_supported"`
	RequireRequestURI   bool     `json:"require_request_uri_registration"`
	ChallengeMethods    []string `json:"code_challenge_methods_supported"`
	ResponseIssuer      bool     `json:"authorization_response_iss_parameter_supported"`
	Prompt              []string `json:"prompt_values_supported"`
	BackchannelLogout   bool     `json:"backchannel_logout_supported"`
	FrontchannelLogout  bool     `json:"frontchannel_logout_supported"`
}

func (o *OIDC) document(acr []string) document {
	confidential := []string{apps.AuthBasic, apps.AuthPost}
	all := append(confidential[:2:2], apps.AuthNone)
	at := func(path string) string { return o.Issuer + path }
	return document{
		Issuer: o.Issuer, Authorization: at(pathAuthorize), Token: at(pathToken), UserInfo: at(pathUserInfo),
		JWKS: at(pathJWKS), EndSession: at(pathLogout), Introspection: at(pathIntrospect), Revocation: at(pathRevoke),
		Scopes:        []string{apps.ScopeOpenID, apps.ScopeProfile, apps.ScopeEmail, apps.ScopeGroups, apps.ScopeOffline},
		ResponseTypes: []string{"code"}, ResponseModes: []string{apps.ModeQuery, apps.ModeFormPost},
		GrantTypes: []string{apps.GrantAuthorizationCode, apps.GrantRefreshToken, apps.GrantClientCredentials},
		ACR:        acr, SubjectTypes: []string{"public", "pairwise"}, IDTokenAlgs: []string{keys.ES256, keys.RS256},
		TokenAuth: all, IntrospectionAuth: confidential, RevocationAuth: all,
		Display: []string{"page"}, ClaimTypes: []string{"normal"},
		Claims:          append([]string{"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid"}, apps.Claims()...),
		ClaimsParameter: true, ChallengeMethods: []string{"S256"}, ResponseIssuer: true,
		Prompt: []string{"none", "login", "consent", "select_account"},
	}
}

// discovery answers both well-known addresses.
func (o *OIDC) discovery(w http.ResponseWriter, r *http.Request) error {
	m := o.metadata.Load()
	if age := o.Now().Sub(made(m)); m == nil || age < 0 || age >= metadataFor {
		acr, err := o.Apps.ACRNames(r.Context())
		if err != nil {
			return err
		}
		body, err := json.Marshal(o.document(acr))
		if err != nil {
			return err
		}
		m = &metadata{body: body, made: o.Now()}
		o.metadata.Store(m)
	}
	return publish(w, m.body)
}

func made(m *metadata) time.Time {
	if m == nil {
		return time.Time{}
	}
	return m.made
}

// jwks answers with the published keys.
func (o *OIDC) jwks(w http.ResponseWriter, r *http.Request) error {
	ring, err := o.Keys.Ring(r.Context())
	if err != nil {
		return err
	}
	return publish(w, ring.JWKS())
}

// publish answers with what everybody may know for an hour.
func publish(w http.ResponseWriter, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=3600")
	w.Write(body) // a caller who went away is told nothing
	return nil
}
