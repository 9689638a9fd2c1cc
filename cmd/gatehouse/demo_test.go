package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/e2e/visitor"
	"github.com/gatehouse-id/gatehouse/internal/campus"
	"github.com/gatehouse-id/gatehouse/internal/demo"
)

// liveDemo runs the demonstration on free ports until the test ends.
func liveDemo(t *testing.T, o demoOptions) (demo.Facts, func()) {
	t.Helper()
	if o.campus == "" {
		o.campus = "imperial"
	}
	if o.listen == "" && o.data == "" {
		o.listen = "127.0.0.1:0"
	}
	o.json = true
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := runDemo(ctx, o, w, t.Output())
		w.CloseWithError(io.EOF)
		done <- err
	}()
	var f demo.Facts
	line, err := bufio.NewReader(r).ReadBytes('\n')
	if err != nil {
		t.Fatalf("the demo did not start: %v", <-done)
	}
	if err := json.Unmarshal(line, &f); err != nil {
		t.Fatal(err)
	}
	stopped := false
	end := func() {
		if stopped {
			return
		}
		stopped = true
		stop()
		if err := <-done; err != nil {
			t.Errorf("the demo ended with %v", err)
		}
	}
	t.Cleanup(end)
	return f, end
}

func person(t *testing.T, f demo.Facts, username string) demo.Person {
	t.Helper()
	for _, p := range f.People {
		if p.Username == username {
			return p
		}
	}
	t.Fatalf("no %s in the demo", username)
	return demo.Person{}
}

func site(t *testing.T, f demo.Facts, name string) string {
	t.Helper()
	for _, a := range f.Applications {
		if a.Name == name {
			return a.URL
		}
	}
	t.Fatalf("no application %s", name)
	return ""
}

// signIn walks from an application's login to its callback with password and passcode.
func signIn(t *testing.T, v *visitor.Visitor, f demo.Facts, at string, p demo.Person, now time.Time, remember bool) *visitor.Page {
	t.Helper()
	page := open(t, v, at)
	page = press(t, page, "Continue", visitor.Fields{"name": p.Username})
	page = press(t, page, "Continue", visitor.Fields{"password": p.Password})
	if p.TOTPSecret == "" || !page.Says("Enter your passcode") {
		return page
	}
	code, _ := demo.Passcode(p.TOTPSecret, now)
	fields := visitor.Fields{"Passcode": code}
	if remember {
		fields["remember"] = "yes"
	}
	return press(t, page, "Sign in", fields)
}

func open(t *testing.T, v *visitor.Visitor, at string) *visitor.Page {
	t.Helper()
	p, err := v.Open(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	if p.Status >= 500 {
		t.Fatalf("%s: %d", p.URL, p.Status)
	}
	return p
}

func press(t *testing.T, p *visitor.Page, name string, fields visitor.Fields) *visitor.Page {
	t.Helper()
	next, err := p.Press(t.Context(), name, fields)
	if err != nil {
		t.Fatal(err)
	}
	if next.Status >= 500 {
		t.Fatalf("%s: %d %s", next.URL, next.Status, next.Text())
	}
	return next
}

func says(t *testing.T, p *visitor.Page, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !p.Says(text) {
			t.Errorf("%s does not say %q: %s", p.URL.Path, text, p.Text())
		}
	}
}

func TestDemoSignsInToTheLibraryAndNotToPatientRecords(t *testing.T) {
	f, _ := liveDemo(t, demoOptions{})
	ada, v := person(t, f, "ada.sample"), visitor.New()
	p := signIn(t, v, f, site(t, f, "Library")+"login", ada, time.Now(), false)
	says(t, p, "Welcome to your library, Ada Sample", "two different proofs", "a password, a passcode", "https://refeds.org/profile/mfa", "just now")
	p = open(t, v, site(t, f, "Patient records")+"login")
	says(t, p, "Patient records asks for a way of signing in", "Clinical applications ask every time")
	p = open(t, v, site(t, f, "Patient records"))
	says(t, p, "Sign in with your campus account")

	// Signed out at the library is signed out at the house.
	p = press(t, open(t, v, site(t, f, "Library")), "Sign out", nil)
	says(t, p, "Sign in with your campus account")
	if p = open(t, v, f.BaseURL+"/security"); p.Says("Ada Sample") {
		t.Error("signing out at the library left the session at the house")
	}

	// Only a password: policy refuses and says why.
	p = signIn(t, visitor.New(), f, site(t, f, "Library")+"login", person(t, f, "ella.nobody"), time.Now(), false)
	says(t, p, "invitation code", "MFA for everybody")
}

func TestDemoClockForgetsARememberedBrowser(t *testing.T) {
	f, _ := liveDemo(t, demoOptions{})
	ben, v := person(t, f, "ben.placeholder"), visitor.New()
	says(t, signIn(t, v, f, site(t, f, "Library")+"login", ben, time.Now(), true), "Welcome to your library, Ben Placeholder")

	later := func(by string) {
		p := open(t, v, f.BaseURL+"/demo")
		says(t, press(t, p, by+" later", nil), "ahead of your clock")
	}
	later("1 day")
	later("1 hour") // past the session's absolute end
	p := open(t, v, site(t, f, "Library")+"login")
	p = press(t, p, "Continue", visitor.Fields{"name": ben.Username})
	p = press(t, p, "Continue", visitor.Fields{"password": ben.Password})
	says(t, p, "Welcome to your library", "one proof only") // a remembered browser is no proof

	later("31 days")
	p = open(t, v, site(t, f, "Library")+"login")
	p = press(t, p, "Continue", visitor.Fields{"name": ben.Username})
	p = press(t, p, "Continue", visitor.Fields{"password": ben.Password})
	says(t, p, "Enter your passcode")
	code, _ := demo.Passcode(ben.TOTPSecret, time.Now().Add(32*24*time.Hour+time.Hour))
	says(t, press(t, p, "Sign in", visitor.Fields{"Passcode": code}), "Welcome to your library")
}

func TestDemoIsKeptInItsFolderAndNowhereElse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "campus")
	f, stop := liveDemo(t, demoOptions{data: dir})
	v := visitor.New()
	press(t, open(t, v, f.BaseURL+"/demo"), "1 hour later", nil)
	stop()
	again, stop := liveDemo(t, demoOptions{data: dir})
	defer stop()
	same := func(f demo.Facts) string {
		for i := range f.People {
			f.People[i].Invitation = ""
		}
		raw, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	if same(f) != same(again) {
		t.Errorf("a second run changed the facts:\n%s\n%s", same(f), same(again))
	}
	written, err := demo.ReadFacts(filepath.Join(dir, demoFile))
	if err != nil || same(written) != same(again) {
		t.Errorf("demo.json says something else: %v", err)
	}
	ada := person(t, again, "ada.sample")
	p := signIn(t, visitor.New(), again, site(t, again, "Library")+"login", ada, time.Now().Add(time.Hour), false)
	says(t, p, "Welcome to your library, Ada Sample")

	stop()
	if err := runDemo(t.Context(), demoOptions{data: dir, campus: "nhs"}, io.Discard, io.Discard); err == nil {
		t.Error("another campus was started in the same folder")
	}
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := runDemo(t.Context(), demoOptions{data: full, campus: "imperial"}, io.Discard, io.Discard); err == nil {
		t.Error("a folder with something else in it was taken")
	}
}

func TestEveryCampusCanBeShown(t *testing.T) {
	for _, name := range campus.Names() {
		t.Run(name, func(t *testing.T) {
			f, _ := liveDemo(t, demoOptions{campus: name})
			if len(f.People) < 2 || len(f.Applications) < 2 || f.AdminToken == "" || f.OutboxURL == "" || f.Issuer != f.BaseURL {
				t.Fatalf("facts %+v", f)
			}
			v := visitor.New()
			for _, at := range []string{"/demo", "/signin", "/welcome", "/help"} {
				if p := open(t, v, f.BaseURL+at); p.Status != 200 {
					t.Errorf("%s: %d", at, p.Status)
				}
			}
			sites := 0
			for _, a := range f.Applications {
				if a.URL != "" {
					sites++
					says(t, open(t, v, a.URL), "demonstration", a.Name)
				}
			}
			if sites != 2 {
				t.Errorf("%d sample applications, want 2", sites)
			}
			resp, err := http.Get(f.OutboxURL)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var mails []any
			if err := json.NewDecoder(resp.Body).Decode(&mails); err != nil {
				t.Error(err)
			}
		})
	}
}
