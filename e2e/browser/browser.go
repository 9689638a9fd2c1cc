// Package browser drives Chromium as a person would: by what a page says, with a real mouse and keyboard, and with
// authenticators that only Chromium's developer tools can plug in.
//
//	Start ─► Browser ─► Tab (own cookies) ─► Open, Click("Continue"), Fill("Password", …), Wait("Signed in")
//	                      ├─ Authenticator: a passkey on this device, or a security key
//	                      ├─ Problems: what the console said (errors, blocked by the content security policy)
//	                      └─ Axe, Screenshot
//
// Elements are found by the text that people see and that screen readers speak, never by class or id, so that what the
// tests do is what people can do.
package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Patience is how long a page may take to show what is waited for. It bounds a failing test and nothing else.
const Patience = 45 * time.Second

// Browser is one Chromium with a fresh profile.
type Browser struct {
	ctx    context.Context
	cancel context.CancelFunc
}

// Start starts Chromium without a window. It is found as chromium, chromium-browser or google-chrome.
func Start(parent context.Context) (*Browser, error) {
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		return nil, errors.New("browser: Chromium is not installed; `make needs` installs it")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("hide-scrollbars", true),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // its sandbox refuses to run as root
	}
	allocator, stop := chromedp.NewExecAllocator(parent, options...)
	ctx, cancel := chromedp.NewContext(allocator)
	b := &Browser{ctx, func() { cancel(); stop() }}
	if err := chromedp.Do(ctx); err != nil {
		b.cancel()
		return nil, fmt.Errorf("browser: %w", err)
	}
	return b, nil
}

// Close ends Chromium and removes its profile.
func (b *Browser) Close() { b.cancel() }

// Tab is a page with cookies of its own, as on a computer that was never used before.
type Tab struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu       sync.Mutex
	problems []string
}

// Tab opens an empty tab of a fresh visitor.
func (b *Browser) Tab() (*Tab, error) { return b.tab(chromedp.WithNewBrowserContext()) }

// Another opens a second tab of the same visitor: same cookies.
func (t *Tab) Another() (*Tab, error) { return (&Browser{ctx: t.ctx}).tab() }

func (b *Browser) tab(options ...chromedp.ContextOption) (*Tab, error) {
	ctx, cancel := chromedp.NewContext(b.ctx, options...)
	t := &Tab{ctx: ctx, cancel: cancel}
	if err := chromedp.Listen(ctx, t.listen); err != nil {
		cancel()
		return nil, err
	}
	if err := t.Size(1280, 900, false); err != nil {
		cancel()
		return nil, err
	}
	return t, nil
}

// Close closes the tab.
func (t *Tab) Close() { t.cancel() }

func (t *Tab) listen(ev any) {
	var text string
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		text = ev.ExceptionDetails.Text
		if ev.ExceptionDetails.Exception != nil {
			text += " " + ev.ExceptionDetails.Exception.Description
		}
	case *log.EventEntryAdded:
		if ev.Entry.Level == log.EntryLevelError {
			text = ev.Entry.Text + " " + ev.Entry.URL
		}
	}
	if text != "" {
		t.mu.Lock()
		t.problems = append(t.problems, text)
		t.mu.Unlock()
	}
}

// Problems are the errors that the console has shown so far: exceptions, what the content security policy blocked,
// requests that failed. Reading forgets them.
func (t *Tab) Problems() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := t.problems
	t.problems = nil
	return out
}

// Size sets the window in CSS pixels; a phone also gets its viewport rules.
func (t *Tab) Size(width, height int, phone bool) error {
	p := emulation.SetDeviceMetricsOverrideParams{Width: int64(width), Height: int64(height), DeviceScaleFactor: 1, Mobile: phone}
	if phone {
		p.DeviceScaleFactor = 2
	}
	_, err := chromedp.Call(t.ctx, emulation.SetDeviceMetricsOverride, p)
	return err
}

// Prefer sets a media feature, such as "prefers-color-scheme" to "dark".
func (t *Tab) Prefer(name, value string) error {
	_, err := chromedp.Call(t.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: name, Value: value}}})
	return err
}

// Open goes to an address, as if typed.
func (t *Tab) Open(url string) error {
	ctx, cancel := context.WithTimeout(t.ctx, Patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		return fmt.Errorf("open %s: %w", url, err)
	}
	return nil
}

// Back presses the browser's back button. A page kept in memory comes back without loading, so that there is nothing to
// wait for but what it says.
func (t *Tab) Back() error {
	return chromedp.Do(t.ctx, chromedp.Evaluate[chromedp.Void]("history.back()"))
}

// Reload presses the browser's reload button.
func (t *Tab) Reload() error {
	ctx, cancel := context.WithTimeout(t.ctx, Patience)
	defer cancel()
	return chromedp.Do(ctx, chromedp.Reload())
}

// URL is the address bar.
func (t *Tab) URL() (string, error) { return chromedp.Run(t.ctx, chromedp.Location()) }

// Text is what the page says, as a person reads it.
func (t *Tab) Text() (string, error) {
	return Eval[string](t, "document.body ? document.body.innerText : ''")
}

// Eval runs JavaScript in the page; a promise is awaited.
func Eval[T any](t *Tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(t.ctx, Patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// until asks the page again and again; navigations in between are errors of the moment.
func (t *Tab) until(what string, done func() (bool, error)) error {
	deadline := time.Now().Add(Patience)
	for {
		ok, err := done()
		if ok && err == nil {
			return nil
		}
		if time.Now().After(deadline) || t.ctx.Err() != nil {
			text, _ := t.Text()
			url, _ := t.URL()
			return fmt.Errorf("%s: not seen at %s (%v); the page says: %s", what, url, err, strings.Join(strings.Fields(text), " "))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Wait waits until the page says one of the texts (letter case and line breaks aside).
func (t *Tab) Wait(texts ...string) error {
	return t.until(fmt.Sprintf("text %q", texts), func() (bool, error) {
		have, err := t.Text()
		for _, text := range texts {
			if strings.Contains(fold(have), fold(text)) {
				return true, err
			}
		}
		return false, err
	})
}

// Gone waits until the page does not say text any more.
func (t *Tab) Gone(text string) error {
	return t.until(fmt.Sprintf("a page without %q", text), func() (bool, error) {
		have, err := t.Text()
		return have != "" && !strings.Contains(fold(have), fold(text)), err
	})
}

// WaitURL waits until the address contains one of the parts and the page is there.
func (t *Tab) WaitURL(parts ...string) error {
	return t.until(fmt.Sprintf("address with %q", parts), func() (bool, error) {
		url, err := t.URL()
		if err != nil || !slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(url, part) }) {
			return false, err
		}
		state, err := Eval[string](t, "document.readyState")
		return state == "complete", err
	})
}

func fold(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }
