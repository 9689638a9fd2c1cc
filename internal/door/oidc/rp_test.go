package oidc_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	rp "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/gatehouse-id/gatehouse/internal/apps"
)

// RoundTrip lets a relying party's HTTP client talk to the house without a network.
func (h *house) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if r.URL.Host != "localhost:9000" {
		return nil, errors.New("a relying party was led to " + r.URL.Host)
	}
	in := r.Clone(r.Context())
	in.Host, in.RemoteAddr, in.URL.Scheme, in.URL.Host = r.URL.Host, "192.0.2.7:1234", "", ""
	if in.Body == nil {
		in.Body = http.NoBody
	}
	h.door.ServeHTTP(w, in)
	return w.Result(), nil
}

// TestRelyingPartyOfGoOIDC signs in to an application written with coreos/go-oidc and golang.org/x/oauth2.
func TestRelyingPartyOfGoOIDC(t *testing.T) {
	for _, alg := range []string{"ES256", "RS256"} {
		for name, style := range map[string]oauth2.AuthStyle{"header": oauth2.AuthStyleInHeader, "params": oauth2.AuthStyleInParams} {
			t.Run(alg+", secret in "+name, func(t *testing.T) { relyingParty(t, alg, style) })
		}
	}
}

func relyingParty(t *testing.T, alg string, style oauth2.AuthStyle) {
	h := newHouse(t)
	c := h.client("library", func(a *apps.Application) { a.OIDC.IDTokenAlg = alg })
	ada, b := h.member("ada", "staff"), h.browser()
	ctx := rp.ClientContext(context.Background(), &http.Client{Transport: h})
	provider, err := rp.NewProvider(ctx, issuer)
	if err != nil {
		t.Fatal(err)
	}
	endpoint := provider.Endpoint()
	endpoint.AuthStyle = style
	app := oauth2.Config{ClientID: "library", ClientSecret: c.secret, RedirectURL: callback, Endpoint: endpoint,
		Scopes: []string{rp.ScopeOpenID, "profile", "email", "groups", rp.ScopeOfflineAccess}}
	pkce := oauth2.GenerateVerifier()
	a := b.get(app.AuthCodeURL("state-1", rp.Nonce("nonce-1"), oauth2.S256ChallengeOption(pkce)))
	q := b.get(b.signIn(a, ada)).reply(t)
	if q.Get("state") != "state-1" {
		t.Errorf("state %q", q.Get("state"))
	}
	token, err := app.Exchange(ctx, q.Get("code"), oauth2.VerifierOption(pkce))
	if err != nil {
		t.Fatal(err)
	}
	verifier := provider.Verifier(&rp.Config{ClientID: "library", SupportedSigningAlgs: []string{alg}, Now: h.clock.Now})
	raw, _ := token.Extra("id_token").(string)
	id, err := verifier.Verify(ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	if id.Nonce != "nonce-1" || id.Subject != string(ada.ID) || id.VerifyAccessToken(token.AccessToken) != nil {
		t.Errorf("ID token %+v", id)
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil || info.Subject != id.Subject || info.Email != "ada@example.ac.uk" || !info.EmailVerified {
		t.Errorf("userinfo %+v, %v", info, err)
	}
	var claims struct {
		Name   string   `json:"name"`
		Groups []string `json:"groups"`
	}
	if err := info.Claims(&claims); err != nil || claims.Name != "Ada Example" || len(claims.Groups) != 1 {
		t.Errorf("claims %+v, %v", claims, err)
	}
	h.clock.add(11 * time.Minute)
	next, err := app.TokenSource(ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	if err != nil || next.RefreshToken == token.RefreshToken {
		t.Fatalf("refresh: %v", err)
	}
	if _, err := app.TokenSource(ctx, &oauth2.Token{RefreshToken: token.RefreshToken + "x"}).Token(); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("a made-up refresh token: %v", err)
	}
}
