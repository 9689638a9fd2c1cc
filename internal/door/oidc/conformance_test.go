package oidc_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/apps"
)

// modules are those of the basic, config and rp-logout plans (the form-post plan repeats the basic one); from
// openid-certification/conformance-suite 12f2a4dac (MIT).
const modules = `oidcc-server
oidcc-response-type-missing
oidcc-idtoken-signature
oidcc-idtoken-unsigned
oidcc-userinfo-get
oidcc-userinfo-post-header
oidcc-userinfo-post-body
oidcc-ensure-request-without-nonce-succeeds-for-code-flow
oidcc-scope-profile
oidcc-scope-email
oidcc-scope-address
oidcc-scope-phone
oidcc-scope-all
oidcc-alternate-happy-flow
oidcc-display-page
oidcc-display-popup
oidcc-prompt-login
oidcc-prompt-none-not-logged-in
oidcc-prompt-none-logged-in
oidcc-max-age-1
oidcc-max-age-10000
oidcc-ensure-request-with-unknown-parameter-succeeds
oidcc-id-token-hint
oidcc-login-hint
oidcc-ui-locales
oidcc-claims-locales
oidcc-ensure-request-with-acr-values-succeeds
oidcc-codereuse
oidcc-codereuse-30seconds
oidcc-ensure-registered-redirect-uri
oidcc-ensure-post-request-succeeds
oidcc-server-client-secret-post
oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported
oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported
oidcc-claims-essential
oidcc-ensure-request-object-with-redirect-uri
oidcc-refresh-token
oidcc-ensure-request-with-valid-pkce-succeeds
oidcc-discovery-endpoint-verification
oidcc-rp-initiated-logout-discovery-endpoint-verification
oidcc-rp-initiated-logout
oidcc-rp-initiated-logout-bad-post-logout-redirect-uri
oidcc-rp-initiated-logout-modified-id-token-hint
oidcc-rp-initiated-logout-no-id-token-hint
oidcc-rp-initiated-logout-no-params
oidcc-rp-initiated-logout-no-post-logout-redirect-uri
oidcc-rp-initiated-logout-no-state
oidcc-rp-initiated-logout-only-state
oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri
oidcc-rp-initiated-logout-bad-id-token-hint`

// TestConformanceTable holds docs/oidc-conformance.md to the plans on one side and to the tests of this package on the
// other.
func TestConformanceTable(t *testing.T) {
	page, err := os.ReadFile("../../../docs/oidc-conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				tests[f.Name.Name] = true
			}
		}
	}
	for _, name := range regexp.MustCompile(`Test[A-Z]\w+`).FindAllString(string(page), -1) {
		if !tests[name] {
			t.Errorf("the page names %s, which is no test", name)
		}
	}
	rows := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^\| (oidcc-\S+) \| Test\w+ \|`).FindAllStringSubmatch(string(page), -1) {
		rows[m[1]]++
	}
	want := strings.Fields(modules)
	for _, m := range want {
		if rows[m] != 1 {
			t.Errorf("%s stands %d times in the table with a test", m, rows[m])
		}
	}
	if len(rows) != len(want) {
		t.Errorf("%d rows for %d modules", len(rows), len(want))
	}
}

func TestUnsignedIDTokensAreNotOffered(t *testing.T) {
	for _, alg := range []string{"none", "HS256", "es256", "PS256"} {
		a := apps.Application{Name: "x", OIDC: apps.OIDC{ClientID: "x", RedirectURIs: []string{callback}, IDTokenAlg: alg}}
		if apps.Check(a) == nil {
			t.Errorf("%s can be registered", alg)
		}
	}
	for _, offered := range newHouse(t).browser().get("/.well-known/openid-configuration").json(t)["id_token_signing_alg_values_supported"].([]any) {
		if offered != "ES256" && offered != "RS256" {
			t.Errorf("%v is offered", offered)
		}
	}
}
