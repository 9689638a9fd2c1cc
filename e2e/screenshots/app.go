package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/authenticator"
	"github.com/gatehouse-id/gatehouse/e2e/browser"
)

// moment is when the app's pictures are drawn: its clock stands, so that its passcode and its times stay the same.
var moment = time.Date(2026, 10, 5, 9, 30, 7, 0, time.UTC)

// stage plays the house for the app: the answers of docs/authenticator-protocol.md, always the same ones, to whoever asks.
type stage struct{ asking atomic.Bool }

// answers by method and path; a pairing's code was typed before the phone asks.
func (s *stage) answer(call string) any {
	const at = "https://signin.example.ac.uk"
	now := moment.Unix()
	switch call {
	case "GET /app/v1/house":
		return map[string]any{"protocol": 1, "institution": "University of Example", "accent": "#1c5d99", "server": at, "origin": "",
			"unlock": "optional", "push": "", "help": map[string]string{"mail": "desk@example.ac.uk"}, "now": now}
	case "POST /app/v1/pairings/open":
		return map[string]any{"pairing": "p", "expires": now + 600, "state": "s", "unlock": map[string]any{"required": false, "options": nil}}
	case "POST /app/v1/pairings/claim":
		return map[string]any{"device": "d", "account": "a", "code": "482719", "expires": now + 600,
			"passcode": map[string]any{"secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "algorithm": "SHA1", "digits": 6, "period": 30}}
	case "GET /app/v1/pairings/p":
		return map[string]any{"standing": "paired"}
	case "GET /app/v1/account":
		return map[string]any{"account": "a", "username": "ada.example", "name": "Ada Example", "device_name": "Pixel 9", "push": false, "unlock": false,
			"passkey_url": at + "/security/add/passkey", "security_url": at + "/security"}
	case "GET /app/v1/requests":
		list := []any{}
		if s.asking.Load() {
			list = append(list, map[string]any{"id": "r", "account": "a", "digits": 2, "application": "Library", "country": "GB",
				"place": "United Kingdom, roughly", "address": "203.0.113.7", "agent": "Firefox on Windows", "known": true, "created": now - 20, "expires": now + 280, "extend": true})
		}
		return map[string]any{"now": now, "requests": list}
	}
	return nil
}

// serve answers the app's calls, and everything else with its files.
func (s *stage) serve(files fs.FS) http.Handler {
	static := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/app/v1/") {
			static.ServeHTTP(w, r)
			return
		}
		a := s.answer(r.Method + " " + r.URL.Path)
		if a == nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(a) // a browser that has gone draws no picture
	})
}

// drawApp draws the app on a phone: it is paired as its member does it, then looked at, then asked.
func drawApp(b *browser.Browser, scheme string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	s := &stage{}
	go http.Serve(l, s.serve(authenticator.Files)) // ends with the listener
	tab, err := newTab(b, devices[0], scheme)
	if err != nil {
		return err
	}
	defer tab.Close()
	if err := tab.StopClock(moment); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return err
	}
	if err := tab.Open("http://app.localhost:" + port + "/#pair=AAAAAAAAAAAAAAAAAAAAAA"); err != nil {
		return err
	}
	for _, step := range []struct{ says, press string }{
		{"Set up this phone for", "Continue"}, {"This phone is ready", "Done"}, {"Ready. A sign-in request shows here", "Ada Example"}, {"Move to a new phone", ""},
	} {
		if err := tab.Wait(step.says); err != nil {
			return err
		}
		if step.press == "" {
			continue
		}
		if err := tab.Click(step.press); err != nil {
			return err
		}
	}
	if err := save(tab, fmt.Sprintf("app-account-phone-%s.png", scheme)); err != nil {
		return err
	}
	s.asking.Store(true)
	if err := tab.Wait("Is this you signing in?"); err != nil {
		return err
	}
	return save(tab, fmt.Sprintf("app-request-phone-%s.png", scheme))
}
