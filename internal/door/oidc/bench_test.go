package oidc_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// What an operation costs without a network: `go test -bench . ./internal/door/oidc`. The bench of the whole program
// with its ratios is `gatehouse bench`.
func BenchmarkDoor(b *testing.B) {
	h := newHouse(b)
	c, ada, br := h.client("library", nil), h.member("ada", "staff"), h.browser()
	got := h.redeem(c, br.code(c, ada)).tokens(b)
	form := url.Values{"token": {got.Access}}.Encode()
	run := func(name, method, target, body string, header ...string) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(method, target, strings.NewReader(body))
				r.Host = "localhost:9000"
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				for i := 0; i+1 < len(header); i += 2 {
					r.Header.Set(header[i], header[i+1])
				}
				w := httptest.NewRecorder()
				h.door.ServeHTTP(w, r)
				if w.Code >= 400 {
					b.Fatal(w.Code, w.Body.String())
				}
			}
		})
	}
	run("discovery", "GET", "/.well-known/openid-configuration", "")
	run("userinfo", "GET", "/oauth2/userinfo", "", "Authorization", "Bearer "+got.Access)
	run("introspect", "POST", "/oauth2/introspect", form, "Authorization", basic("library", c.secret))
	b.Run("code and tokens", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.redeem(c, br.code(c, ada)).tokens(b)
		}
	})
	b.Run("refresh", func(b *testing.B) {
		b.ReportAllocs()
		last := h.redeem(c, br.code(c, ada)).tokens(b).Refresh
		for b.Loop() {
			last = h.refresh(c, last).tokens(b).Refresh
		}
	})
}
