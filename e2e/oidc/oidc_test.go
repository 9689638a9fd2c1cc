// Package oidc shows the running program to relying parties that others wrote.
//
//	go build ─► gatehouse demo --json ─► rp.mjs (npm openid-client) ─► "visit URL" ─► visitor signs in ─► callback ─► rp.mjs
package oidc

import (
	"bufio"
	"context"
	"encoding/base32"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/e2e/visitor"
	"github.com/gatehouse-id/gatehouse/internal/method/oath"
)

// facts are what the demonstration says when it is ready.
type facts struct {
	BaseURL string `json:"base_url"`
	Issuer  string `json:"issuer"`
	People  []struct {
		Username string `json:"username"`
		Password string `json:"password"`
		TOTP     string `json:"totp_secret"`
	} `json:"people"`
	Applications []struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	} `json:"applications"`
}

// demo starts the program; it is interrupted at the test's end.
func demo(t *testing.T) facts {
	t.Helper()
	program := filepath.Join(t.TempDir(), "gatehouse")
	if out, err := exec.Command("go", "build", "-o", program, "../../cmd/gatehouse").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	cmd := exec.Command(program, "demo", "--json", "--data", t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGINT)
		cmd.Wait()
	})
	var f facts
	if err := json.NewDecoder(out).Decode(&f); err != nil {
		t.Fatalf("the demonstration did not say what it offers: %v", err)
	}
	return f
}

// callback listens as a native application does, and gives the last address at which the browser came back.
func callback(t *testing.T) (redirect string, came chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	redirect = "http://" + l.Addr().String() + "/callback"
	came = make(chan string, 10)
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/callback" {
			came <- "http://" + r.Host + r.URL.String()
		}
		io.WriteString(w, "<!doctype html><title>back</title><p>back at the application</p>")
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return redirect, came
}

// person signs in by the pages, as often as they are shown.
type person struct {
	t                    *testing.T
	v                    *visitor.Visitor
	name, password, totp string
}

// visit opens an address and does what the pages ask.
func (p person) visit(ctx context.Context, address string) *visitor.Page {
	p.t.Helper()
	page, err := p.v.Open(ctx, address)
	for range 6 {
		if err != nil {
			p.t.Fatal(err)
		}
		switch {
		case page.Says("Username or email address"):
			page, err = page.Press(ctx, "Continue", visitor.Fields{"Username or email address": p.name})
		case page.Says("Enter your password"):
			page, err = page.Press(ctx, "Continue", visitor.Fields{"Password": p.password})
		case page.Says("Enter your passcode"):
			page, err = page.Press(ctx, "Sign in", visitor.Fields{"Passcode": p.code()})
		default:
			return page
		}
	}
	p.t.Fatalf("the pages go on asking: %s", page.Text())
	return nil
}

func (p person) code() string {
	p.t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(p.totp)
	if err != nil {
		p.t.Fatal(err)
	}
	return oath.Code(key, oath.SHA1, 6, 30*time.Second, time.Now())
}

// learned is what the relying party knows in the end.
type learned struct {
	Issuer       string         `json:"issuer"`
	Claims       map[string]any `json:"claims"`
	Silent       map[string]any `json:"silent"`
	Expires      float64        `json:"expires"`
	Info         map[string]any `json:"info"`
	Introspected map[string]any `json:"introspected"`
	Revoked      string         `json:"revoked"`
	Afterwards   string         `json:"afterwards"`
}

func TestOpenIDClient(t *testing.T) {
	ctx, f := t.Context(), demo(t)
	redirect, came := callback(t)
	who := person{t: t, v: visitor.New(), name: f.People[0].Username, password: f.People[0].Password, totp: f.People[0].TOTP}
	settings, err := json.Marshal(map[string]any{"issuer": f.Issuer, "client_id": "research-cluster", "redirect_uri": redirect,
		"other": map[string]string{"client_id": f.Applications[0].ID, "client_secret": f.Applications[0].Secret}})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "node", "rp.mjs", string(settings))
	var complaints strings.Builder
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("node: %v", err)
	}
	var got learned
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var said struct {
			Visit   string   `json:"visit"`
			Learned *learned `json:"learned"`
		}
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		if said.Learned != nil {
			got = *said.Learned
			break
		}
		page := who.visit(ctx, said.Visit)
		back := page.URL.String()
		select {
		case back = <-came:
		default:
		}
		if _, err := io.WriteString(in, back+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the relying party failed: %v\n%s", err, complaints.String())
	}
	check(t, f, got)
}

func check(t *testing.T, f facts, got learned) {
	t.Helper()
	if got.Issuer != f.Issuer || got.Claims["aud"] != "research-cluster" || got.Claims["iss"] != f.Issuer || got.Expires < 590 {
		t.Errorf("%+v", got)
	}
	if got.Claims["acr"] != "https://refeds.org/profile/mfa" {
		t.Errorf("password and passcode are told as %v", got.Claims["acr"])
	}
	if got.Info["sub"] != got.Claims["sub"] || got.Info["preferred_username"] != f.People[0].Username {
		t.Errorf("userinfo %v", got.Info)
	}
	if got.Silent["sub"] != got.Claims["sub"] || got.Silent["auth_time"] != got.Claims["auth_time"] || got.Silent["sid"] != got.Claims["sid"] {
		t.Errorf("prompt=none: %v after %v", got.Silent, got.Claims)
	}
	if len(got.Introspected) != 1 || got.Introspected["active"] != false {
		t.Errorf("another client reads the token: %v", got.Introspected)
	}
	if got.Revoked != "invalid_token" {
		t.Errorf("a revoked token: %s", got.Revoked)
	}
	if got.Afterwards != "login_required" {
		t.Errorf("after signing out: %s", got.Afterwards)
	}
}
