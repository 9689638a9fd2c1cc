package oidc

import (
	"encoding/base64"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// form is the body of a token request or of one of its kin: each parameter once, none without a value.
type form map[string]string

// get gives a parameter, "" where there is none.
func (f form) get(name string) string { return f[name] }

// readForm reads a body of form parameters. The address counts for nothing: secrets do not belong there. A parameter
// without a value is as if it had been left out (RFC 6749 section 3.1): Dovecot sends an empty client_id and
// client_secret beside HTTP Basic.
func readForm(r *http.Request) (form, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return nil, invalidRequest("The body must be application/x-www-form-urlencoded.")
	}
	if err := r.ParseForm(); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, err
		}
		return nil, invalidRequest("The body cannot be read.").Because(err)
	}
	return oneEach(r.PostForm)
}

// oneEach refuses repeated parameters (RFC 6749 section 3.2).
func oneEach(values url.Values) (form, error) {
	out := form{}
	for name, given := range values {
		switch {
		case len(given) == 0:
		case len(given) > 1:
			return nil, invalidRequest("A parameter is given twice.")
		case !plain(given[0]):
			return nil, invalidRequest("A parameter is not printable text.")
		case given[0] != "":
			out[name] = given[0]
		}
	}
	return out, nil
}

var errClient = fault.New(fault.Unauthenticated, "oauth.invalid_client", "The client could not be authenticated.")

// clientProof reads how the client proves itself (RFC 6749 section 2.3.1): once, in one way.
func clientProof(r *http.Request, f form) (apps.ClientProof, error) {
	id, key := f.get("client_id"), f.get("client_secret")
	if f.get("client_assertion") != "" || f.get("client_assertion_type") != "" {
		return apps.ClientProof{}, errClient
	}
	header := r.Header.Values("Authorization")
	if len(header) == 0 {
		switch {
		case id == "":
			return apps.ClientProof{}, errClient
		case key == "":
			return apps.ClientProof{ID: id, Method: apps.AuthNone}, nil
		}
		return apps.ClientProof{ID: id, Secret: secret.NewString(key), Method: apps.AuthPost}, nil
	}
	basicID, basicKey, ok := readBasic(header)
	if !ok {
		return apps.ClientProof{}, errClient
	}
	if key != "" || id != "" && id != basicID {
		return apps.ClientProof{}, invalidRequest("The client proves itself in two ways at once.")
	}
	return apps.ClientProof{ID: basicID, Secret: secret.NewString(basicKey), Method: apps.AuthBasic}, nil
}

// readBasic reads HTTP Basic (RFC 7617) whose two parts are form-encoded (RFC 6749 section 2.3.1).
func readBasic(header []string) (id, key string, ok bool) {
	if len(header) != 1 || len(header[0]) > 1024 {
		return "", "", false
	}
	scheme, encoded, _ := strings.Cut(header[0], " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", "", false
	}
	left, right, found := strings.Cut(string(raw), ":")
	if !found {
		return "", "", false
	}
	id, err1 := url.QueryUnescape(left)
	key, err2 := url.QueryUnescape(right)
	return id, key, err1 == nil && err2 == nil && plain(id) && plain(key) && id != "" && key != ""
}
