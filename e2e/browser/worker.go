package browser

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/serviceworker"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
)

// networkConditions are the parameters of Network.emulateNetworkConditions, which Debian's Chromium has and the
// generated types have no more.
type networkConditions struct {
	Offline  bool    `json:"offline"`
	Latency  float64 `json:"latency"`
	Download float64 `json:"downloadThroughput"`
	Upload   float64 `json:"uploadThroughput"`
}

// Offline takes the network away from the page, or gives it back.
func (t *Tab) Offline(yes bool) error {
	if _, err := chromedp.Call(t.ctx, network.Enable, network.EnableParams{}); err != nil {
		return err
	}
	_, err := chromedp.Call(t.ctx, cdp.Command[networkConditions, cdp.Empty]{Method: "Network.emulateNetworkConditions"},
		networkConditions{Offline: yes, Download: -1, Upload: -1})
	return err
}

// Wipe takes away all that an origin has stored: databases, caches, workers, cookies.
func (t *Tab) Wipe(origin string) error {
	_, err := chromedp.Call(t.ctx, storage.ClearDataForOrigin, storage.ClearDataForOriginParams{Origin: origin, StorageTypes: "all"})
	return err
}

// Allow presses "Allow" beforehand for what an origin may ask for: "notifications", "clipboard-write".
func (t *Tab) Allow(origin, what string) error {
	_, err := chromedp.Call(t.ctx, browser.SetPermission, browser.SetPermissionParams{
		Permission: &browser.PermissionDescriptor{Name: what}, Setting: browser.PermissionSettingGranted, Origin: origin,
		BrowserContextID: chromedp.FromContext(t.ctx).BrowserContextID,
	})
	return err
}

// Push has a push message arrive at the service worker of an origin, as if its push service had sent it.
func (t *Tab) Push(origin, payload string) error {
	found := make(chan serviceworker.RegistrationID, 1)
	ctx, cancel := context.WithTimeout(t.ctx, Patience)
	defer cancel()
	err := chromedp.Listen(ctx, func(ev any) {
		updated, ok := ev.(*serviceworker.EventWorkerRegistrationUpdated)
		if !ok {
			return
		}
		for _, r := range updated.Registrations {
			if !r.IsDeleted && strings.HasPrefix(r.ScopeURL, origin+"/") {
				select {
				case found <- r.RegistrationID:
				default:
				}
			}
		}
	})
	if err != nil {
		return err
	}
	if _, err := chromedp.Call(ctx, serviceworker.Enable, cdp.Empty{}); err != nil {
		return err
	}
	select {
	case id := <-found:
		_, err = chromedp.Call(ctx, serviceworker.DeliverPushMessage, serviceworker.DeliverPushMessageParams{Origin: origin, RegistrationID: id, Data: payload})
		return err
	case <-ctx.Done():
		return errors.New("browser: no service worker is registered for " + origin)
	}
}

// Sent is one request that a page has made.
type Sent struct{ Method, URL, Headers, Body string }

// Traffic is what a page has sent since it was listened to.
type Traffic struct {
	mu   sync.Mutex
	sent []Sent
}

// All is what was sent so far, in order.
func (tr *Traffic) All() []Sent {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return slices.Clone(tr.sent)
}

// Listen writes down every request that the page makes from now on.
func (t *Tab) Listen() (*Traffic, error) {
	tr := &Traffic{}
	err := chromedp.Listen(t.ctx, func(ev any) {
		will, ok := ev.(*network.EventRequestWillBeSent)
		if !ok {
			return
		}
		s := Sent{Method: will.Request.Method, URL: will.Request.URL + will.Request.URLFragment}
		for name, value := range will.Request.Headers {
			if text, ok := value.(string); ok {
				s.Headers += name + ": " + text + "\n"
			}
		}
		for _, part := range will.Request.PostDataEntries {
			s.Body += string(part.Bytes)
		}
		tr.mu.Lock()
		tr.sent = append(tr.sent, s)
		tr.mu.Unlock()
	})
	if err != nil {
		return nil, err
	}
	_, err = chromedp.Call(t.ctx, network.Enable, network.EnableParams{})
	return tr, err
}

// NotInstallable is what keeps the page from being installed as an app; nothing where it can be.
func (t *Tab) NotInstallable() ([]string, error) {
	got, err := chromedp.Call(t.ctx, page.GetInstallabilityErrors, cdp.Empty{})
	var ids []string
	for _, e := range got.InstallabilityErrors {
		ids = append(ids, e.ErrorID)
	}
	return ids, err
}

// StopClock has the clock of the pages that are opened from now on stand at a moment, in UTC: what they draw does not depend
// on when and where it is drawn.
func (t *Tab) StopClock(at time.Time) error {
	_, err := chromedp.Call(t.ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "UTC"})
	if err != nil {
		return err
	}
	_, err = chromedp.Call(t.ctx, page.AddScriptToEvaluateOnNewDocument,
		page.AddScriptToEvaluateOnNewDocumentParams{Source: fmt.Sprintf("Date.now = () => %d", at.UnixMilli())})
	return err
}

// Agent has the tab call itself another browser.
func (t *Tab) Agent(name string) error {
	_, err := chromedp.Call(t.ctx, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: name})
	return err
}
