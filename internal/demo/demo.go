// Package demo is what only `gatehouse demo` has: sample applications that really sign in, a page that shows the
// outbox and everybody's passcode, and a clock that can be moved forward. Nothing here is reachable in `serve`.
//
//	browser ─► Sample (127.0.0.1:PORT2) ──OpenID Connect, as anybody's application──► the house (localhost:PORT)
//	browser ─► /demo on the house ─► outbox, passcodes, Clock.Move ─► the whole house's Now
package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Facts are what a run of the demo offers: the content of demo.json.
type Facts struct {
	BaseURL      string        `json:"base_url"`
	Issuer       string        `json:"issuer"`
	AppURL       string        `json:"app_url"` // the authenticator app's origin
	People       []Person      `json:"people"`
	Applications []Application `json:"applications"`
	AdminToken   string        `json:"admin_token"`
	OutboxURL    string        `json:"outbox_url"`
}

// Person is a fictional person. Password and secret are public by design.
type Person struct {
	Username   string   `json:"username"`
	Email      string   `json:"email"`
	Password   string   `json:"password"`
	TOTPSecret string   `json:"totp_secret"` // base32, "" where there is none
	Groups     []string `json:"groups"`
	// Invitation is typed at /welcome by a person who has no method yet.
	Invitation string `json:"invitation,omitempty"`
}

// Application is a registered application and what proves it.
type Application struct {
	Name         string   `json:"name"`
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret"` // "" for a public client
	RedirectURIs []string `json:"redirect_uris"`
	URL          string   `json:"url"`
}

// ReadFacts reads demo.json; a file that is not there gives the zero Facts.
func ReadFacts(file string) (f Facts, err error) {
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &f)
	}
	if err != nil {
		return f, fmt.Errorf("%s: %w", file, err)
	}
	return f, nil
}

// Write saves the facts, whole or not at all, for the owner alone.
func (f Facts) Write(file string) error {
	raw, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return replace(file, append(raw, '\n'))
}

func replace(file string, content []byte) error {
	next := file + ".new"
	if err := os.WriteFile(next, content, 0o600); err != nil {
		return err
	}
	return os.Rename(next, file)
}

// MaxAhead is how far the clock may be moved in all: keys and sessions of years from now prove nothing more.
const MaxAhead = 3 * 366 * 24 * time.Hour

// Clock is the demo's own: the real time and how far it was moved forward. It is kept between runs, for a house
// whose time goes backwards would refuse its own passcodes.
type Clock struct {
	file  string
	ahead atomic.Int64 // nanoseconds
}

// OpenClock reads how far the clock in dir stands ahead.
func OpenClock(dir string) (*Clock, error) {
	c := &Clock{file: filepath.Join(dir, "clock")}
	raw, err := os.ReadFile(c.file)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	ns, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
	if err != nil || ns < 0 || ns > int64(MaxAhead) {
		return nil, fmt.Errorf("%s does not hold a number of nanoseconds", c.file)
	}
	c.ahead.Store(ns)
	return c, nil
}

// Now is the demo's time.
func (c *Clock) Now() time.Time { return time.Now().Add(c.Ahead()) }

// Ahead is how far the clock was moved.
func (c *Clock) Ahead() time.Duration { return time.Duration(c.ahead.Load()) }

// Move moves the clock forward, never back.
func (c *Clock) Move(by time.Duration) error {
	if by <= 0 || c.Ahead()+by > MaxAhead {
		return fmt.Errorf("demo: the clock moves forward, at most %d days in all", int(MaxAhead.Hours()/24))
	}
	ahead := c.ahead.Add(int64(by))
	return replace(c.file, fmt.Appendln(nil, ahead))
}
