package main

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/manage"
)

// FuzzPeopleFile: whatever stands in a people file, each row is taken, named or left out, and the report is plain text.
func FuzzPeopleFile(f *testing.F) {
	for _, seed := range []string{"", "username\nada\n", "\ufeffusername,email,groups\nada,a@example.org,\"a;b\"\n", "username,username\na,b\n", "username\n\"unclosed\n", "username,roles\nx,king\n", "USERNAME , Email\n a , \n",
		"username\n\x00\n\x1b[2J\n", "username,email\nx,a@evil@corp.org\n", "username,display_name\nx,=cmd|\n", "username\r\na\r\nA\r\n\uff41\r\n", "a,b,c", ",,,\n,,,", "username\n" + strings.Repeat("x,", 1000)} {
		f.Add([]byte(seed))
	}
	s := openSite(f)
	f.Fuzz(func(t *testing.T, file []byte) {
		var report bytes.Buffer
		out := terminal{&report}
		r, err := s.h.importPeople(t.Context(), demoBy, "people.csv", bytes.NewReader(file), true, out)
		if err == nil && r.refused > 0 && report.Len() == 0 {
			t.Fatal("a refused row is not named")
		}
		if strings.ContainsAny(report.String(), "\x00\x1b\r") {
			t.Fatalf("the report orders the terminal about: %q", &report)
		}
		if err != nil && strings.ContainsAny(explain(err), "\x00\x1b") {
			t.Fatalf("%q", explain(err))
		}
	})
}

// FuzzKeyFile: a key file is read whole or refused.
func FuzzKeyFile(f *testing.F) {
	for _, seed := range []string{"", keyFileHead, "1 AAAA", keyLine(1), keyLine(1) + keyLine(1), keyLine(4294967295), "0 " + keyLine(1)[2:], "# only\n", "\x00", "1", strings.Repeat("1 ", 40000)} {
		f.Add([]byte(seed))
	}
	name := filepath.Join(f.TempDir(), "key")
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		ring, keys, err := readKeyFile(name)
		if err != nil {
			if ring != nil {
				t.Fatal("a refused file gives a key")
			}
			return
		}
		for id, key := range keys {
			if id == 0 || len(key) != 32 {
				t.Fatalf("key %d of %d bytes", id, len(key))
			}
		}
		if got, err := ring.Open("x", ring.Seal("x", []byte("y"))); err != nil || string(got) != "y" {
			t.Fatal("the keys do not seal")
		}
	})
}

// FuzzAdministration: no body, path or query that a token's holder sends breaks the house.
func FuzzAdministration(f *testing.F) {
	for _, seed := range [][3]string{{"POST", "/people", `{"username":"x"}`}, {"POST", "/people", `{"username":"x","roles":["king"],"groups":[null]}`}, {"PUT", "/people/x", `{"username":"x","version":1}`}, {"GET", "/people?cursor=AAAA&limit=2", ""},
		{"PUT", "/policy", `{"policy":{"version":0,"rules":[{"name":"a","then":{"strength":"mfa"}}]},"why":"x"}`}, {"POST", "/applications", `{"name":"x","client":{"redirect_uris":["https://a/"]}}`}, {"POST", "/tokens", `{"name":"x","scopes":["people:read"],"days":1}`},
		{"DELETE", "/tokens/%00", ""}, {"GET", "/audit?limit=1e9", ""}, {"POST", "/people/x/suspend", `{"why":"\u0000"}`}, {"PATCH", "/x", "["}, {"POST", "/people", "\xff"}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	s := openSite(f)
	token := s.token("all", manage.Scopes()...)
	f.Fuzz(func(t *testing.T, verb, path, body string) {
		switch verb {
		case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		default:
			return
		}
		at := "/admin/api/v1" + path
		if _, err := url.ParseRequestURI(at); err != nil {
			return
		}
		if w := s.api(verb, at, token, body); w.Code >= 500 {
			t.Fatalf("%s %s %q: %d %s", verb, at, body, w.Code, w.Body)
		}
	})
}
