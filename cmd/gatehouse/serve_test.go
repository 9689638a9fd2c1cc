package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/e2e/visitor"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
)

// serving runs serve with a configuration until the test ends; wait waits for its stop.
func serving(t *testing.T, c config) (wait func() error) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, c, io.Discard) }()
	wait = func() error { stop(); return <-done }
	for range 400 {
		if resp, err := http.Get("http://" + c.Listen + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return wait
			}
		}
		select {
		case err := <-done:
			t.Fatalf("serve ended: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Fatal("serve is not ready")
	return nil
}

func aPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// The real thing on both engines: init prints a secret, serve opens it at /welcome, once and in one browser, and only
// a passkey can come of it.
func TestFirstAdministratorOnBothEngines(t *testing.T) {
	for engine, dsn := range map[string]func(t *testing.T) string{
		"sqlite":   func(*testing.T) string { return "gatehouse.db" },
		"postgres": func(t *testing.T) string { return storetest.PostgresDSN(t) },
	} {
		t.Run(engine, func(t *testing.T) {
			dir, port := t.TempDir(), aPort(t)
			file := filepath.Join(dir, "house.yaml")
			text := fmt.Sprintf("base_url: http://localhost:%d\nlisten: 127.0.0.1:%d\ndatabase: %q\nkey_file: master.key\nlog: {level: error}\naudit: {checkpoints: heads.jsonl}\n",
				port, port, dsn(t))
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := loadConfig(file)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			root := manage.Details{Username: "root", Email: "root@example.org", Roles: []people.Role{people.RoleAdministrator}}
			if err := initialise(t.Context(), c, root, &out, io.Discard); err != nil {
				t.Fatal(err)
			}
			typed := regexp.MustCompile(`(?m)^ {4}([a-z0-9-]{30})$`).FindStringSubmatch(out.String())
			if typed == nil {
				t.Fatalf("no secret in %s", out.String())
			}
			wait := serving(t, c)
			at := c.BaseURL.String() + "/welcome"
			first, second := visitor.New(), visitor.New()
			p := press(t, open(t, first, at), "Continue", visitor.Fields{"code": strings.ToUpper(strings.ReplaceAll(typed[1], "-", " "))})
			says(t, p, "passkey")
			if p.Says("authenticator app") {
				t.Errorf("the first administrator may do with less than a passkey: %s", p.Text())
			}
			p = press(t, open(t, second, at), "Continue", visitor.Fields{"code": typed[1]})
			says(t, p, "not valid")
			if err := wait(); err != nil {
				t.Fatalf("serve ended with %v", err)
			}
		})
	}
}
