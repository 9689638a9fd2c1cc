package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/e2e/browser"
	"github.com/gatehouse-id/gatehouse/e2e/visitor"
	"github.com/gatehouse-id/gatehouse/internal/demo"
)

// campus is a running demonstration.
type campus struct {
	demo.Facts
	t     *testing.T
	cmd   *exec.Cmd
	gone  chan struct{}
	ended error
	said  bytes.Buffer

	mu    sync.Mutex
	ahead time.Duration
	used  map[string]int64 // the last step of each person's passcodes
}

// newCampus starts the demonstration in a folder of its own, or again in dir.
func newCampus(t *testing.T, dir string) *campus {
	t.Helper()
	program, err := built()
	must(t, err)
	c := &campus{t: t, gone: make(chan struct{}), used: map[string]int64{}}
	args := []string{"demo", "--json", "--data", dir}
	c.cmd = exec.Command(program, args...)
	c.cmd.Stderr = &c.said
	out, err := c.cmd.StdoutPipe()
	must(t, err)
	must(t, c.cmd.Start())
	t.Cleanup(c.stop)
	read := make(chan error, 1)
	go func() {
		read <- json.NewDecoder(out).Decode(&c.Facts)
	}()
	select {
	case err = <-read:
	case <-time.After(browser.Patience):
		c.cmd.Process.Kill()
		err = <-read
	}
	go func() { c.ended = c.cmd.Wait(); close(c.gone) }()
	if err != nil {
		<-c.gone
		t.Fatalf("the demonstration did not say what it offers: %v: %s", err, c.said.String())
	}
	return c
}

// stop presses Ctrl-C; the demonstration must end by itself and without a complaint.
func (c *campus) stop() {
	if c.cmd.Process.Signal(syscall.SIGINT) != nil {
		return // it has ended
	}
	<-c.gone
	if c.ended != nil || c.said.Len() > 0 {
		c.t.Errorf("the demonstration ended with %v and said: %s", c.ended, c.said.String())
	}
}

func (c *campus) person(name string) demo.Person {
	c.t.Helper()
	for _, p := range c.People {
		if p.Username == name {
			return p
		}
	}
	c.t.Fatalf("nobody is called %s", name)
	return demo.Person{}
}

func (c *campus) app(name string) string {
	c.t.Helper()
	for _, a := range c.Applications {
		if a.Name == name {
			return a.URL
		}
	}
	c.t.Fatalf("no application is called %s", name)
	return ""
}

// later moves the demonstration's clock by "1 hour", "1 day" or "31 days", by its page.
func (c *campus) later(by string) {
	c.t.Helper()
	span := map[string]time.Duration{"1 hour": time.Hour, "1 day": 24 * time.Hour, "31 days": 31 * 24 * time.Hour}[by]
	if span == 0 {
		c.t.Fatalf("the page has no button for %s", by)
	}
	ctx := context.Background()
	page, err := visitor.New().Open(ctx, c.BaseURL+"/demo")
	must(c.t, err)
	page, err = page.Press(ctx, by+" later", nil)
	must(c.t, err)
	if page.Status != 200 || !page.Says("ahead of your clock") {
		c.t.Fatalf("the clock did not move: %s", page.Text())
	}
	c.mu.Lock()
	c.ahead += span
	c.mu.Unlock()
}

// code is the person's next passcode. Each works once: where the present one is used, the next is taken, which is
// within the drift that is accepted; where that is used too, an hour goes by.
func (c *campus) code(p demo.Person) string {
	c.t.Helper()
	for range 3 {
		c.mu.Lock()
		now := time.Now().Add(c.ahead)
		for _, at := range []time.Time{now, now.Add(30 * time.Second)} {
			if step := at.Unix() / 30; step > c.used[p.Username] {
				c.used[p.Username] = step
				code, _ := demo.Passcode(p.TOTPSecret, at)
				c.mu.Unlock()
				return code
			}
		}
		c.mu.Unlock()
		c.later("1 hour")
	}
	c.t.Fatal("no passcode is left")
	return ""
}

// outbox is the mail that people were sent, newest first.
func (c *campus) outbox() []struct{ To, Subject, Body string } {
	c.t.Helper()
	page, err := visitor.New().Open(context.Background(), c.OutboxURL)
	must(c.t, err)
	var mails []struct{ To, Subject, Body string }
	must(c.t, json.Unmarshal([]byte(page.Body), &mails))
	return mails
}

// password signs p in at the page that tab is on, up to the question after the password.
func (c *campus) password(tab *browser.Tab, p demo.Person) {
	c.t.Helper()
	must(c.t, tab.Fill("Username or email address", p.Username))
	must(c.t, tab.Click("Continue"))
	must(c.t, tab.Wait("Enter your password"))
	must(c.t, tab.Fill("Password", p.Password))
	must(c.t, tab.Click("Continue"))
}

// passcode answers the question for a passcode.
func (c *campus) passcode(tab *browser.Tab, p demo.Person) {
	c.t.Helper()
	must(c.t, tab.Wait("Enter your passcode"))
	must(c.t, tab.Fill("Passcode", c.code(p)))
	must(c.t, tab.Press("Enter")) // the button says "Sign in", or "Continue" where a change is confirmed
}

// prove answers whatever is asked, passcode or password, until the page says done.
func (c *campus) prove(tab *browser.Tab, p demo.Person, done string) {
	c.t.Helper()
	for range 4 {
		must(c.t, tab.Wait(done, "Enter your passcode", "Enter your password"))
		text, err := tab.Text()
		must(c.t, err)
		switch {
		case strings.Contains(text, "Enter your passcode"):
			c.passcode(tab, p)
			must(c.t, tab.Gone("Enter your passcode"))
		case strings.Contains(text, "Enter your password"):
			must(c.t, tab.Fill("Password", p.Password))
			must(c.t, tab.Click("Continue"))
			must(c.t, tab.Gone("Enter your password"))
		default:
			return
		}
	}
	c.t.Fatalf("after four proofs the page still does not say %q", done)
}

// finish is prove where the page may also have been too old: then it goes on from there.
func (c *campus) finish(tab *browser.Tab, p demo.Person, done string) {
	c.t.Helper()
	must(c.t, tab.Wait(done, "Enter your passcode", "Enter your password", "This page waited too long"))
	text, err := tab.Text()
	must(c.t, err)
	if strings.Contains(text, "This page waited too long") {
		must(c.t, tab.Click("Go on"))
	}
	c.prove(tab, p, done)
}

// signIn signs p in with password and passcode at Gatehouse's own pages.
func (c *campus) signIn(tab *browser.Tab, p demo.Person) {
	c.t.Helper()
	must(c.t, tab.Open(c.BaseURL+"/signin"))
	c.password(tab, p)
	c.passcode(tab, p)
	must(c.t, tab.WaitURL("/apps"))
}

// says fails where the page does not say text.
func says(t *testing.T, tab *browser.Tab, texts ...string) {
	t.Helper()
	for _, text := range texts {
		must(t, tab.Wait(text))
	}
}

// silent fails where the page says text.
func silent(t *testing.T, tab *browser.Tab, text string) {
	t.Helper()
	have, err := tab.Text()
	must(t, err)
	if strings.Contains(strings.ToLower(have), strings.ToLower(text)) {
		t.Errorf("the page says %q: %s", text, have)
	}
}
