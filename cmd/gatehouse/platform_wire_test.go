package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/method"
)

func TestG79_NothingBesideTheInventory(t *testing.T) {
	s := openSite(t)
	m := s.member("ada", method.Passkey)
	known := s.browser()
	known.signIn(m)
	token := s.token("all", manage.Scopes()...)
	for _, path := range []string{"/demo", "/demo/", "/demo/outbox", "/demo/clock", "/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/metrics", "/dev", "/dev/pages", "/storybook", "/swagger", "/docs", "/openapi.json",
		"/admin", "/admin/", "/admin/api", "/admin/api/v1/docs", "/admin/api/v1/openapi.yaml", "/admin/api/v1/schemas", "/admin/api/v1/schemas/Person.json", "/admin/api/v2/people", "/.env", "/.git/config", "/config", "/gatehouse.db", "/master.key",
		"/static/", "/static/../master.key", "/static/..%2fmaster.key", "/static/%2e%2e/x", "/q/webauthn", "/webauthn/login", "/webauthn/callback", "/server-status", "/actuator/env", "/api", "/graphql", "/register", "/signup", "/reset", "/login", "/phpinfo.php",
		"/.well-known/webauthn/x", "/oauth2", "/oauth2/device", "/oauth2/register", "/saml/sso", "/cas/login", "/scim/v2/Users"} {
		for _, verb := range []string{"GET", "POST"} {
			form := url.Values(nil)
			if verb == "POST" {
				form = url.Values{}
			}
			for _, w := range []int{s.browser().send(verb, path, form).Code, known.send(verb, path, form).Code, s.api(verb, path, token, "").Code} {
				if w != http.StatusNotFound && w != http.StatusUnauthorized && w != http.StatusMovedPermanently && w != http.StatusTemporaryRedirect && w != http.StatusMethodNotAllowed && w != http.StatusForbidden && w != http.StatusUnsupportedMediaType {
					t.Errorf("%s %s: %d", verb, path, w)
				}
			}
		}
	}
	// The ways of signing in are the named ones, whatever else is compiled in: without an app's address and a gateway, no
	// app and no telephone numbers.
	var kinds []string
	for kind := range s.h.methods {
		kinds = append(kinds, string(kind))
	}
	slices.Sort(kinds)
	if have := strings.Join(kinds, " "); have != "passkey password recovery totp" {
		t.Errorf("methods: %s", have)
	}
	// A method override and TRACE are not followed.
	if w := known.send("POST", "/security/lead", url.Values{"_method": {"DELETE"}, "kind": {""}}, "X-HTTP-Method-Override", "DELETE"); w.Code >= 500 {
		t.Errorf("override: %d", w.Code)
	}
	if w := known.send("TRACE", "/signin", nil, "X-Canary", "canary"); strings.Contains(w.Body.String(), "canary") || w.Code != http.StatusMethodNotAllowed {
		t.Errorf("TRACE: %d %s", w.Code, w.Body)
	}
}

// TestRawRequests: what no client library sends, over a real connection.
func TestRawRequests(t *testing.T) {
	s := openSite(t)
	at := s.listening()
	host := "Host: localhost:8080\r\nConnection: close\r\n"
	long := strings.Repeat("a", 128<<10)
	for request, want := range map[string]string{
		"GET /" + long + " HTTP/1.1\r\n" + host:                                                 "HTTP/1.1 431",
		"GET / HTTP/1.1\r\n" + host + "X: " + long + "\r\n":                                     "HTTP/1.1 431",
		"GET / HTTP/1.1\r\n" + host + strings.Repeat("X: y\r\n", 20000):                         "HTTP/1.1 431",
		"GET /signin HTTP/1.1\r\n" + host + "Cookie: " + strings.Repeat("a=b; ", 9000) + "\r\n": "HTTP/1.1 ",
		"GET  /signin HTTP/1.1\r\n" + host:                                                      "HTTP/1.1 400",
		"GET /signin HTTP/3.0\r\n" + host:                                                       "HTTP/1.1 505",
		"get /signin HTTP/1.1\r\n" + host:                                                       "HTTP/1.1 4",
		"G\x00T /signin HTTP/1.1\r\n" + host:                                                    "HTTP/1.1 400",
		"GET /\x01 HTTP/1.1\r\n" + host:                                                         "HTTP/1.1 400",
		"GET /%zz HTTP/1.1\r\n" + host:                                                          "HTTP/1.1 400",
		"GET /signin HTTP/1.1\r\n" + host + "X\x00: y\r\n":                                      "HTTP/1.1 400",
		"GET /signin HTTP/1.1\r\n" + host + "X: a\x00b\r\n":                                     "HTTP/1.1 400",
		"POST /signin HTTP/1.1\r\n" + host + "Content-Length: -1\r\n":                           "HTTP/1.1 400",
		"POST /signin HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n":       "HTTP/1.1 400",
		"POST /signin HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n":                      "HTTP/1.1 501",
		"POST /oauth2/token HTTP/1.1\r\n" + host + "Content-Length: 99999999999\r\n":            "HTTP/1.1 413",
		"POST /oauth2/token HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nZZ\r\n":   "HTTP/1.1 4",
	} {
		got := wire(t, at, request+"\r\n")
		if !strings.HasPrefix(got, want) || strings.HasPrefix(got, "HTTP/1.1 500") {
			t.Errorf("%.80q: %.80q, want %s", request, got, want)
		}
	}
	s.refuseLog()
}

// TestTheServerWaitsForNobody: each phase of a request has its end.
func TestTheServerWaitsForNobody(t *testing.T) {
	s := openSite(t)
	server := s.d.door.Server(s.handler)
	for what, d := range map[string]time.Duration{"headers": server.ReadHeaderTimeout, "the request": server.ReadTimeout, "the answer": server.WriteTimeout, "the next request": server.IdleTimeout} {
		if d <= 0 || d > 5*time.Minute {
			t.Errorf("%s may take %s", what, d)
		}
	}
	if server.MaxHeaderBytes <= 0 || server.MaxHeaderBytes > 1<<20 {
		t.Errorf("headers of %d bytes", server.MaxHeaderBytes)
	}
	// A body that stops in the middle is given up, and the house serves on.
	server.ReadTimeout, server.ReadHeaderTimeout, server.IdleTimeout = 200*time.Millisecond, 200*time.Millisecond, 200*time.Millisecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	for _, unfinished := range []string{"POST /oauth2/token HTTP/1.1\r\nHost: localhost:8080\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 30\r\n\r\ngrant_type=",
		"POST /signin HTTP/1.1\r\nHost: localhost:8080\r\nOrigin: http://localhost:8080\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nname=",
		"POST /admin/api/v1/people HTTP/1.1\r\nHost: localhost:8080\r\nAuthorization: Bearer wrong\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\r\n{",
		"GET /signin HTTP/1.1\r\nHost: local"} {
		got := wire(t, l.Addr().String(), unfinished)
		if strings.HasPrefix(got, "HTTP/1.1 5") {
			t.Errorf("%.60q: %.100q", unfinished, got)
		}
	}
	s.refuseLog()
}

func TestTLSListener(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	selfSigned(t, cert, key)
	c := config{Listen: "127.0.0.1:0", TLSCert: cert, TLSKey: key}
	s := openSite(t)
	l, _, err := c.listen(s.h.Log)
	s.must(err)
	server := s.d.door.Server(s.handler)
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	for version, ok := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
		if (err == nil) != ok {
			t.Errorf("TLS %s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			if suite := tls.CipherSuiteName(conn.ConnectionState().CipherSuite); strings.Contains(suite, "CBC") || strings.Contains(suite, "RC4") || strings.Contains(suite, "3DES") {
				t.Errorf("suite %s", suite)
			}
			conn.Close()
		}
	}
	for _, suite := range tls.InsecureCipherSuites() {
		if conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite.ID}}); err == nil {
			t.Errorf("%s is agreed to", suite.Name)
			conn.Close()
		}
	}
	// Plain HTTP on that port gets no page.
	if got := wire(t, l.Addr().String(), "GET /signin HTTP/1.1\r\nHost: localhost:8080\r\n\r\n"); strings.Contains(got, "<form") {
		t.Error("a page over clear text")
	}
}

// TestFilesAreTheirOwnersAlone: what init and serve write is their owner's alone, whatever the umask.
func TestFilesAreTheirOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "house.yaml")
	if err := os.WriteFile(file, []byte("base_url: http://localhost:8080\nlisten: 127.0.0.1:8080\ndatabase: data/gatehouse.db\nkey_file: keys/master.key\naudit: {checkpoints: data/checkpoints.txt}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code := run([]string{"init", "--config", file}, strings.NewReader(""), io.Discard, os.Stderr); code != 0 {
		t.Fatal(code)
	}
	c, err := loadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	set, err := c.house("test", nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := openHouse(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	if err := h.checkpoint(t.Context(), c.Checkpoints); err != nil {
		t.Fatal(err)
	}
	seen := 0
	err = filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if path == dir || path == file {
			return err
		}
		seen++
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %04o", path, info.Mode().Perm())
		}
		return err
	})
	if err != nil || seen < 5 {
		t.Errorf("%d files, %v", seen, err)
	}
	// A key file is never written through a link that somebody put in its place.
	target := filepath.Join(dir, "elsewhere")
	if err := os.Symlink(target, filepath.Join(dir, "planted.key")); err != nil {
		t.Fatal(err)
	}
	if err := makeKeyFile(filepath.Join(dir, "planted.key")); err == nil {
		t.Error("a key was written through a link")
	}
	if _, err := os.Stat(target); err == nil {
		t.Error("the link's target was made")
	}
}

// TestInvitationGuesses: wrong codes are bounded in the trail and told to wait; the right one always opens.
func TestInvitationGuesses(t *testing.T) {
	s := openSite(t)
	p, err := s.h.manage.AddPerson(t.Context(), demoBy, manage.Details{Username: "ada"})
	s.must(err)
	typed, _, err := s.h.manage.Invite(t.Context(), demoBy, p.ID, "invitation", manage.InviteFor)
	s.must(err)
	told := 0
	for i := range 300 {
		b := s.browser()
		b.get("/welcome")
		w := b.post("/welcome", "code", fmt.Sprintf("aaaaa-bbbbb-ccccc-ddddd-%06d", i))
		if w.Code == http.StatusTooManyRequests {
			told++
		} else if w.Code != http.StatusBadRequest {
			t.Fatalf("guess %d: %d", i, w.Code)
		}
	}
	if told < 200 {
		t.Errorf("only %d of 300 guesses were told to wait", told)
	}
	rows := 0
	s.must(s.h.manage.EachAuditRow(t.Context(), demoBy, func(r audit.Row) error {
		if r.Act == "invitation.opened" {
			rows++
		}
		return nil
	}))
	if rows == 0 || rows > 60 {
		t.Errorf("300 guesses left %d lines in the trail", rows)
	}
	b := s.browser()
	b.get("/welcome")
	if w := b.post("/welcome", "code", typed.Reveal()); w.Code != 200 || hidden(w)["ref"] == "" {
		t.Errorf("the right code: %d", w.Code)
	}
	thief := s.browser()
	thief.get("/welcome")
	if w := thief.post("/welcome", "code", typed.Reveal()); w.Code == 200 {
		t.Error("a second browser opens the invitation")
	}
}

// selfSigned writes a certificate for localhost.
func selfSigned(t *testing.T, cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
