package oidc

import (
	"net/http"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// tokenReply is a successful token response (RFC 6749 section 5.1).
type tokenReply struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	Scope        string `json:"scope,omitempty"`
}

// errorReply is RFC 6749 section 5.2.
type errorReply struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

// token answers POST /oauth2/token.
func (o *OIDC) token(w http.ResponseWriter, r *http.Request) error {
	tokens, err := o.grant(r)
	if err != nil {
		return protocolError(w, err)
	}
	return writeJSON(w, http.StatusOK, tokenReply{
		AccessToken: tokens.AccessToken.Reveal(), TokenType: "Bearer", ExpiresIn: int64(tokens.ExpiresIn.Seconds()),
		RefreshToken: tokens.RefreshToken.Reveal(), IDToken: tokens.IDToken.Reveal(), Scope: tokens.Scope,
	})
}

// grant tells the grant types apart.
func (o *OIDC) grant(r *http.Request) (apps.Tokens, error) {
	f, err := readForm(r)
	if err != nil {
		return apps.Tokens{}, err
	}
	proof, err := clientProof(r, f)
	if err != nil {
		return apps.Tokens{}, err
	}
	ctx := r.Context()
	switch f.get("grant_type") {
	case apps.GrantAuthorizationCode:
		if f.get("code") == "" || f.get("redirect_uri") == "" {
			return apps.Tokens{}, invalidRequest("code or redirect_uri is missing.")
		}
		return o.Apps.Redeem(ctx, proof, apps.CodeRequest{Code: secret.NewString(f.get("code")),
			RedirectURI: f.get("redirect_uri"), Verifier: secret.NewString(f.get("code_verifier"))})
	case apps.GrantRefreshToken:
		if f.get("refresh_token") == "" {
			return apps.Tokens{}, invalidRequest("refresh_token is missing.")
		}
		return o.Apps.Refresh(ctx, proof, apps.RefreshRequest{Token: secret.NewString(f.get("refresh_token")), Scope: f.get("scope")})
	case apps.GrantClientCredentials:
		return o.Apps.ForItself(ctx, proof, f.get("scope"))
	case "":
		return apps.Tokens{}, invalidRequest("grant_type is missing.")
	}
	return apps.Tokens{}, fault.New(fault.BadInput, "oauth.unsupported_grant_type", "This grant type is not offered.")
}

// protocolError answers a fault that the protocol has a word for; anything else goes to the one place that answers
// errors. Everything is 400 but a client that did not prove itself (RFC 6749 section 5.2).
func protocolError(w http.ResponseWriter, err error) error {
	f, code, ok := protocolCode(err)
	if !ok || f.Kind == fault.Internal || f.Kind == fault.Busy {
		return err
	}
	status := http.StatusBadRequest
	if code == "invalid_client" {
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Basic realm="client"`)
	}
	return writeJSON(w, status, errorReply{code, f.Public})
}

// introspect answers POST /oauth2/introspect (RFC 7662).
func (o *OIDC) introspect(w http.ResponseWriter, r *http.Request) error {
	f, proof, err := o.about(r)
	if err != nil {
		return protocolError(w, err)
	}
	found, err := o.Apps.Introspect(r.Context(), proof, secret.NewString(f.get("token")))
	if err != nil {
		return protocolError(w, err)
	}
	return writeJSON(w, http.StatusOK, found)
}

// revoke answers POST /oauth2/revoke (RFC 7009).
func (o *OIDC) revoke(w http.ResponseWriter, r *http.Request) error {
	f, proof, err := o.about(r)
	if err == nil {
		err = o.Apps.Revoke(r.Context(), proof, secret.NewString(f.get("token")))
	}
	if err != nil {
		return protocolError(w, err)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	return nil
}

// about reads a request about a token. token_type_hint is not needed: the kinds do not look alike.
func (o *OIDC) about(r *http.Request) (form, apps.ClientProof, error) {
	f, err := readForm(r)
	if err != nil {
		return nil, apps.ClientProof{}, err
	}
	proof, err := clientProof(r, f)
	if err != nil {
		return nil, proof, err
	}
	if f.get("token") == "" {
		return nil, proof, invalidRequest("token is missing.")
	}
	return f, proof, nil
}
