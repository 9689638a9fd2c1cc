// Command screenshots draws the pictures of the documentation from the storybook: the same pages that the tests look
// at, in light and dark, on a phone and on a desktop.
//
//	web.WriteStories ─► a local server ─► e2e/browser ─► docs/screenshots/NAME-DEVICE-SCHEME.png
//
// Run it in the root of the repository (`make screenshots`). Pictures change only where pages do.
package main

import (
	"context"
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
	{"security", "security-usual"},
}

var devices = []struct {
	name          string
	width, height int
	phone         bool
}{{"phone", 390, 780, true}, {"desktop", 1280, 800, false}}

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
	for _, device := range devices {
		for _, scheme := range []string{"light", "dark"} {
			tab, err := b.Tab()
			if err != nil {
				return err
			}
			if err := tab.Size(device.width, device.height, device.phone); err != nil {
				return err
			}
			if err := tab.Prefer("prefers-color-scheme", scheme); err != nil {
				return err
			}
			for _, p := range pictures {
				if err := picture(tab, "http://"+l.Addr().String()+"/"+p.story+".html", fmt.Sprintf("%s-%s-%s.png", p.name, device.name, scheme)); err != nil {
					return fmt.Errorf("%s: %w", p.name, err)
				}
			}
			tab.Close()
		}
	}
	return nil
}

func picture(tab *browser.Tab, address, name string) error {
	if err := tab.Open(address); err != nil {
		return err
	}
	// The caret of a focused field blinks: a picture must not depend on the moment.
	if _, err := browser.Eval[string](tab, "document.documentElement.style.caretColor = 'transparent'"); err != nil {
		return err
	}
	png, err := tab.Screenshot()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, name), png, 0o644)
}
