package oidc

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/fault"
)

// Limits of an authorization request. It travels sealed in an address, so it must be short.
const (
	// maxRequest bounds all parameters together, in bytes.
	maxRequest = 6 << 10
	// maxClaims bounds the claims parameter, in bytes.
	maxClaims = 4 << 10
	// maxACR bounds how many names of assurance may be asked for.
	maxACR = 10
	// maxAge bounds max_age: ten years in seconds. Longer is as good as that.
	maxAge = 10 * 366 * 86400
)

// authorizeParams are the parameters that mean something here; all others are ignored (RFC 6749 section 3.1).
var authorizeParams = []string{"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce",
	"code_challenge", "code_challenge_method", "prompt", "max_age", "acr_values", "login_hint", "id_token_hint", "claims",
	"request", "request_uri", "registration"}

var errRequest = fault.New(fault.BadInput, "oauth.request_invalid",
	"The application that sent you here asked in a way we cannot read. Go back and tell its operators.")

func invalidRequest(text string) *fault.Error {
	return fault.New(fault.BadInput, "oauth.invalid_request", text)
}

// parseAuthorize reads an authorization request. The error is for our own page: then it is not even certain who asks,
// or where to answer. What is wrong beyond that lies in Request.Problem.
func parseAuthorize(v url.Values) (apps.Request, error) {
	size := 0
	for name, values := range v {
		for _, value := range values {
			size += len(name) + len(value)
		}
	}
	if size > maxRequest {
		return apps.Request{}, errRequest
	}
	for _, name := range []string{"client_id", "redirect_uri"} {
		if len(v[name]) != 1 || v.Get(name) == "" || !plain(v.Get(name)) {
			return apps.Request{}, errRequest
		}
	}
	req := apps.Request{ClientID: v.Get("client_id"), RedirectURI: v.Get("redirect_uri"), ResponseMode: v.Get("response_mode")}
	for _, name := range authorizeParams {
		if len(v[name]) > 1 {
			req.Problem = invalidRequest(name + " is given twice.")
			return req, nil
		}
		if !plain(v.Get(name)) {
			req.Problem = invalidRequest(name + " is not printable text.")
			return req, nil
		}
	}
	req.State = v.Get("state")
	req.ResponseType, req.Scope, req.Nonce = v.Get("response_type"), v.Get("scope"), v.Get("nonce")
	req.Challenge, req.ChallengeMethod = v.Get("code_challenge"), v.Get("code_challenge_method")
	req.Prompt = strings.Fields(v.Get("prompt"))
	req.IDTokenHint = v.Get("id_token_hint")
	if hint := v.Get("login_hint"); len(hint) <= 254 {
		req.LoginHint = hint
	}
	req.Problem = parseRest(v, &req)
	return req, nil
}

// parseRest reads the parameters that have a form of their own.
func parseRest(v url.Values, req *apps.Request) *fault.Error {
	switch {
	case v.Get("request") != "":
		return fault.New(fault.BadInput, "oauth.request_not_supported", "Request objects are not offered.")
	case v.Get("request_uri") != "":
		return fault.New(fault.BadInput, "oauth.request_uri_not_supported", "Request objects by reference are not offered.")
	case v.Get("registration") != "":
		return fault.New(fault.BadInput, "oauth.registration_not_supported", "Registration within a request is not offered.")
	}
	if text := v.Get("max_age"); text != "" {
		age, err := strconv.ParseUint(text, 10, 63)
		if err != nil {
			return invalidRequest("max_age is a number of seconds.")
		}
		req.MaxAge, req.MaxAgeSet = int64(min(age, maxAge)), true
	}
	req.ACR = strings.Fields(v.Get("acr_values"))
	if len(req.ACR) > maxACR {
		return invalidRequest("acr_values names too many values.")
	}
	if text := v.Get("claims"); text != "" {
		wanted, ok := parseClaims(text)
		if !ok {
			return invalidRequest("claims is not a claims request.")
		}
		req.Claims = wanted
	}
	return nil
}

// plain refuses what no parameter needs and no database takes: bad UTF-8 and control characters.
func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// claimWish is one member of a claims request (OpenID Connect Core section 5.5.1).
type claimWish struct {
	Essential bool              `json:"essential"`
	Value     json.RawMessage   `json:"value"`
	Values    []json.RawMessage `json:"values"`
}

// parseClaims reads the claims parameter. Claims that this house does not know are ignored, as the standard asks.
func parseClaims(text string) (apps.Wanted, bool) {
	if len(text) > maxClaims {
		return apps.Wanted{}, false
	}
	var wish struct {
		UserInfo map[string]*claimWish `json:"userinfo"`
		IDToken  map[string]*claimWish `json:"id_token"`
	}
	if json.Unmarshal([]byte(text), &wish) != nil {
		return apps.Wanted{}, false
	}
	var out apps.Wanted
	for _, name := range apps.Claims() {
		if _, ok := wish.UserInfo[name]; ok {
			out.UserInfo = append(out.UserInfo, name)
		}
		if _, ok := wish.IDToken[name]; ok {
			out.IDToken = append(out.IDToken, name)
		}
	}
	if acr := wish.IDToken["acr"]; acr != nil {
		values, ok := acr.strings()
		if !ok || len(values) > maxACR {
			return apps.Wanted{}, false
		}
		out.ACR, out.Essential = values, acr.Essential && len(values) > 0
	}
	for _, sub := range []*claimWish{wish.IDToken["sub"], wish.UserInfo["sub"]} {
		if sub == nil {
			continue
		}
		values, ok := sub.strings()
		if !ok || len(values) > 1 || len(values) == 1 && out.Subject != "" && out.Subject != values[0] {
			return apps.Wanted{}, false
		}
		if len(values) == 1 {
			out.Subject = values[0]
		}
	}
	return out, true
}

// strings gives value or values as text.
func (c *claimWish) strings() ([]string, bool) {
	raw := slices.Clone(c.Values)
	if len(c.Value) > 0 && string(c.Value) != "null" {
		raw = append(raw, c.Value)
	}
	var out []string
	for _, r := range raw {
		var s string
		if json.Unmarshal(r, &s) != nil || !plain(s) || s == "" {
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}
