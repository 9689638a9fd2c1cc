package oidc

import (
	"encoding/base64"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzBasic: what counts as a client's proof is printable, whole and what was sent.
func FuzzBasic(f *testing.F) {
	b64 := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, seed := range []string{"", "Basic", "Basic !", b64("a:b"), b64("a"), b64(":"), b64("a%3Ab:c%20d"), b64("a:b:c"), b64("\x00:x"), b64("\xff:x"), b64("a%:b"), "bearer x", "basic  " + base64.StdEncoding.EncodeToString([]byte("a:b")),
		b64(strings.Repeat("a", 900) + ":b")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		id, key, ok := readBasic([]string{header})
		if ok && (id == "" || key == "" || !plain(id) || !plain(key)) {
			t.Fatalf("%q: %q %q", header, id, key)
		}
		if _, _, twice := readBasic([]string{header, header}); twice {
			t.Fatal("two headers are one too many")
		}
	})
}

// FuzzBearer: a token that is read is the one that was sent, from one place.
func FuzzBearer(f *testing.F) {
	for _, seed := range []string{"", "Bearer", "Bearer x", "bearer a.b.c", "Bearer  x", "Basic x", "Bearer \x00", "Bearer a b", strings.Repeat("Bearer ", 500)} {
		f.Add(seed, "")
		f.Add("", seed)
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, header, field string) {
		r := httptest.NewRequest("POST", "/oauth2/userinfo?access_token=address", strings.NewReader(url.Values{"access_token": {field}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if header != "" {
			r.Header["Authorization"] = []string{header}
		}
		token, err := bearer(r)
		if err != nil || token == "" {
			return
		}
		if token == "address" && field != "address" && !strings.Contains(header, "address") {
			t.Fatal("a token was read from the address")
		}
		if token != field && !strings.Contains(header, token) {
			t.Fatalf("%q %q: %q", header, field, token)
		}
	})
}

// FuzzLogoutRequest: a parameter counts once, as text.
func FuzzLogoutRequest(f *testing.F) {
	for _, seed := range []string{"", "client_id=a&post_logout_redirect_uri=https%3A%2F%2Fa%2F&state=x", "state=%00", "state=%ff", "state=1&state=2", "id_token_hint=a.b.c", "unknown=1&unknown=2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		values, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		req, err := parseLogout(values)
		if err != nil {
			return
		}
		for _, text := range []string{req.ClientID, req.IDTokenHint, req.Redirect, req.State} {
			if !plain(text) {
				t.Fatalf("%q: %+v", raw, req)
			}
		}
		if req.State != values.Get("state") || len(values["state"]) > 1 {
			t.Fatalf("%q: state %q", raw, req.State)
		}
	})
}
