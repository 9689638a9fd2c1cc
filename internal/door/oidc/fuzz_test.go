package oidc

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/apps"
)

// FuzzAuthorizeRequest holds the parser to what the flow relies on: a request that parses names one client and one
// address, and survives the way through the sign-in page unchanged.
func FuzzAuthorizeRequest(f *testing.F) {
	for _, seed := range []string{
		"client_id=library&redirect_uri=https%3A%2F%2Fa.example%2Fcb&response_type=code&scope=openid&state=s&code_challenge=x&code_challenge_method=S256",
		"client_id=a&client_id=b&redirect_uri=x", "client_id=a&redirect_uri=x&redirect_uri=y", "client_id=a&redirect_uri=x&max_age=-1",
		"client_id=a&redirect_uri=x&claims=%7B%22id_token%22%3A%7B%22acr%22%3A%7B%22values%22%3A%5B%22phr%22%5D%2C%22essential%22%3Atrue%7D%7D%7D",
		"client_id=a&redirect_uri=x&state=%00", "client_id=a&redirect_uri=x&prompt=none+login&acr_values=a+b", "%zz", "client_id=%ff&redirect_uri=x",
		"client_id=a&redirect_uri=x&request=e30.e30.", "client_id=a&redirect_uri=x&max_age=99999999999999999999",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		values, err := query(&http.Request{URL: &url.URL{RawQuery: raw}})
		if err != nil {
			return
		}
		req, err := parseAuthorize(values)
		if err != nil {
			if req.ClientID != "" {
				t.Error("half a request came back with an error")
			}
			return
		}
		if req.ClientID == "" || req.RedirectURI == "" || len(values["client_id"]) != 1 || len(values["redirect_uri"]) != 1 {
			t.Errorf("ambiguous request accepted: %q", raw)
		}
		if req.MaxAge < 0 || req.MaxAge > maxAge || len(req.ACR) > maxACR && req.Problem == nil {
			t.Errorf("out of bounds: %+v", req)
		}
		if req.Problem != nil {
			return
		}
		packed, err := json.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		var back apps.Request
		if err := json.Unmarshal(packed, &back); err != nil {
			t.Fatal(err)
		}
		again, _ := json.Marshal(back)
		if string(again) != string(packed) {
			t.Errorf("changed on the way: %s, then %s", packed, again)
		}
		if to := withParams(req.RedirectURI, map[string]string{"state": req.State}); !strings.HasPrefix(to, req.RedirectURI) || strings.Count(to, "state=") < 1 {
			t.Errorf("answer goes to %q", to)
		}
	})
}

func FuzzClaimsParameter(f *testing.F) {
	for _, seed := range []string{`{}`, `{"userinfo":{"name":null,"email":{"essential":true}}}`, `{"id_token":{"acr":{"value":"phr"}}}`,
		`{"id_token":{"sub":{"value":"x"}},"userinfo":{"sub":{"value":"y"}}}`, `[`, `{"id_token":{"acr":{"values":[1]}}}`,
		strings.Repeat(`{"a":`, 300), `{"userinfo":{"name":null},"userinfo":{"email":null}}`, `null`, `{"id_token":null}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w, ok := parseClaims(text)
		if !ok {
			if len(w.UserInfo)+len(w.IDToken)+len(w.ACR) > 0 || w.Subject != "" || w.Essential {
				t.Errorf("a refused request leaves something behind: %+v", w)
			}
			return
		}
		for _, name := range append(slices.Clone(w.UserInfo), w.IDToken...) {
			if !slices.Contains(apps.Claims(), name) {
				t.Errorf("unknown claim %q", name)
			}
		}
		if w.Essential && len(w.ACR) == 0 || len(w.ACR) > maxACR {
			t.Errorf("%+v", w)
		}
	})
}

// FuzzTokenRequest holds the parser of token requests to: one value a parameter, one proof a client, never from the
// address.
func FuzzTokenRequest(f *testing.F) {
	f.Add("grant_type=authorization_code&code=x&redirect_uri=y&client_id=a&client_secret=b", "")
	f.Add("grant_type=refresh_token&refresh_token=x", "Basic bGlicmFyeTpzZWNyZXQ=")
	f.Add("client_id=&client_secret=&token=x", "Basic bGlicmFyeTpzZWNyZXQ=")
	f.Add("client_id=a&client_id=b", "")
	f.Add("a=%zz", "Basic !!")
	f.Add("client_id=a&client_secret=b", "Basic YTpi")
	f.Add("client_assertion=x", "Bearer x")
	f.Add("x=1", "Basic JTAwOiUwMA==")
	f.Fuzz(func(t *testing.T, body, header string) {
		r := httptest.NewRequest("POST", "/oauth2/token?client_id=address&client_secret=address&token=address", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		form, err := readForm(r)
		if err != nil {
			return
		}
		for name, value := range form {
			if value == "" || len(r.PostForm[name]) != 1 {
				t.Errorf("%q = %q of %q", name, value, r.PostForm[name])
			}
		}
		proof, err := clientProof(r, form)
		if err != nil {
			if proof.ID != "" {
				t.Error("a refused proof names a client")
			}
			return
		}
		switch {
		case proof.ID == "":
			t.Error("a proof of nobody")
		case proof.Method == apps.AuthNone != proof.Secret.Empty():
			t.Errorf("%+v", proof)
		case header != "" && proof.Method != apps.AuthBasic, header == "" && proof.Method == apps.AuthBasic:
			t.Errorf("%s by header %q", proof.Method, header)
		case proof.Method == apps.AuthBasic && form.get("client_secret") != "":
			t.Error("two proofs at once")
		}
	})
}
