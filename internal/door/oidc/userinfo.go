package oidc

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// userinfo answers GET and POST /oauth2/userinfo (OpenID Connect Core section 5.3).
func (o *OIDC) userinfo(w http.ResponseWriter, r *http.Request) error {
	token, err := bearer(r)
	if err != nil {
		return bearerError(w, err)
	}
	if token == "" {
		// No token, no reason (RFC 6750 section 3.1).
		w.Header().Set("WWW-Authenticate", `Bearer realm="userinfo"`)
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusUnauthorized)
		return nil
	}
	claims, err := o.Apps.UserInfo(r.Context(), secret.NewString(token))
	if err != nil {
		return bearerError(w, err)
	}
	return writeJSON(w, http.StatusOK, claims)
}

// bearer reads the token from the header or from a posted form (RFC 6750 sections 2.1 and 2.2), never from the address.
func bearer(r *http.Request) (string, error) {
	token := ""
	if header := r.Header.Values("Authorization"); len(header) > 0 {
		scheme, rest, _ := strings.Cut(header[0], " ")
		if len(header) > 1 || !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(rest) == "" {
			return "", invalidRequest("The Authorization header is not one Bearer token.")
		}
		token = strings.TrimSpace(rest)
	}
	if r.Method != http.MethodPost || r.ContentLength == 0 || r.Header.Get("Content-Type") == "" {
		return token, nil
	}
	f, err := readForm(r)
	if err != nil {
		return "", err
	}
	posted := f.get("access_token")
	if posted != "" && token != "" {
		return "", invalidRequest("The token is given twice.")
	}
	return token + posted, nil
}

// bearerError answers as RFC 6750 section 3 says.
func bearerError(w http.ResponseWriter, err error) error {
	f, code, ok := protocolCode(err)
	if !ok || f.Kind == fault.Internal || f.Kind == fault.Busy {
		return err
	}
	status := http.StatusBadRequest
	switch code {
	case "invalid_token":
		status = http.StatusUnauthorized
	case "insufficient_scope":
		status = http.StatusForbidden
	}
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="userinfo", error="%s", error_description="%s"`, code, f.Public))
	return writeJSON(w, status, errorReply{code, f.Public})
}
