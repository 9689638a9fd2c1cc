// Command screenshots draws the pictures of the documentation: pages from the storybook, the same that the tests look at,
// in light and dark, on a phone and on a desktop; and the authenticator app itself, on a phone.
//
//	web.WriteStories ─► a local server ────────────────────────┬► e2e/browser ─► docs/screenshots/NAME-DEVICE-SCHEME.png
//	authenticator.Files, answers of the protocol (stage) ──────┘
//
// Run it in the root of the repository (`make screenshots`). Pictures change only where pages do.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/gatehouse-id/gatehouse/e2e/browser"
	"github.com/gatehouse-id/gatehouse/internal/door/web"
)

const folder = "docs/screenshots"

// pictures are the stories that are drawn, by the picture's name.
var pictures = []struct{ name, story string }{
	{"signin", "identify-application"},
	{"passcode", "passcode-first"},
	{"refused", "refused-application"},
	{"apps", "apps-usual"},
	{"waiting", "app-sent"},
	{"pairing", "add-app-first"},
	{"security", "security-phones"},
}

type device struct {
	name          string
	width, height int
	phone         bool
}

// devices that pages are drawn on; the first is what the app is drawn on.
var devices = []device{{"phone", 390, 780, true}, {"desktop", 1280, 800, false}}

func main() {
	if err := draw(); err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

func draw() error {
	dir, err := os.MkdirTemp("", "stories-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := web.WriteStories(dir); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	server := &http.Server{Handler: http.FileServer(http.Dir(dir)), ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(l) // ends with the listener
	b, err := browser.Start(context.Background())
	if err != nil {
		return err
	}
	defer b.Close()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, scheme := range []string{"light", "dark"} {
		for _, d := range devices {
			if err := drawStories(b, "http://"+l.Addr().String(), d, scheme); err != nil {
				return err
			}
		}
		if err := drawApp(b, scheme); err != nil {
			return fmt.Errorf("the app: %w", err)
		}
	}
	return nil
}

func newTab(b *browser.Browser, d device, scheme string) (*browser.Tab, error) {
	tab, err := b.Tab()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(tab.Size(d.width, d.height, d.phone), tab.Prefer("prefers-color-scheme", scheme)); err != nil {
		tab.Close()
		return nil, err
	}
	return tab, nil
}

func drawStories(b *browser.Browser, base string, d device, scheme string) error {
	tab, err := newTab(b, d, scheme)
	if err != nil {
		return err
	}
	defer tab.Close()
	for _, p := range pictures {
		if err := tab.Open(base + "/" + p.story + ".html"); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if err := save(tab, fmt.Sprintf("%s-%s-%s.png", p.name, d.name, scheme)); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// save takes the picture of what a tab shows.
func save(tab *browser.Tab, name string) error {
	// The caret of a focused field blinks and signs of life pulse: a picture must not depend on the moment.
	const still = "document.getAnimations().forEach((a) => a.cancel()), document.documentElement.style.caretColor = 'transparent'"
	if _, err := browser.Eval[string](tab, still); err != nil {
		return err
	}
	png, err := tab.Screenshot()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, name), png, 0o644)
}
