package main

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/courier/webpush"
)

// appConfig is the authenticator app's.
type appConfig struct {
	BaseURL *url.URL // scheme and host alone; never base_url's host
	Push    *pushConfig
}

// pushConfig is how phones are woken; without it the open app finds a request by itself.
type pushConfig struct {
	Contact string // mailto: or https:, for the push services
	// Services are hosts that phones may be reached at beside the browsers' own push services.
	Services []string
	CAFile   string // PEM; "" the system's authorities
}

type configApp struct {
	BaseURL string      `yaml:"base_url,required"`
	Push    *configPush `yaml:"push"`
}

type configPush struct {
	Contact  string   `yaml:"contact,required"`
	Services []string `yaml:"services"`
	CAFile   string   `yaml:"ca_file"`
}

// app reads the authenticator app's origin. It is another host than base_url, for a browser sends a host's cookies to
// each of its ports, and what runs on one origin must not reach the other.
func (r configReader) app(c *config, w *configApp) {
	if w == nil {
		return
	}
	const at = "app.base_url"
	out := &appConfig{}
	u, err := url.Parse(w.BaseURL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		r.file.At(at, "write the address that members' phones open, like https://phone.example.ac.uk")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(w.BaseURL, "#") || u.User != nil:
		r.file.At(at, "write scheme and host alone: %s://%s (the app has a host name of its own, not a path)", u.Scheme, u.Host)
	case u.Host != strings.ToLower(u.Host):
		r.file.At(at, "write the host in lower case: %s://%s", u.Scheme, strings.ToLower(u.Host))
	case net.ParseIP(u.Hostname()) != nil || strings.HasSuffix(u.Hostname(), "."):
		r.file.At(at, "write a host name: the phone's own lock is bound to a name, not to %s", u.Hostname())
	case u.Scheme == "http" && !strings.HasSuffix(u.Hostname(), ".localhost"):
		r.file.At(at, "write https:// (plain http only for trying on one machine: http://app.localhost:8080)")
	case c.BaseURL == nil: // said already
	case u.Hostname() == c.BaseURL.Hostname():
		r.file.At(at, "write another host than base_url has: on one host the app and the sign-in pages would share cookies, and a fault in one would open the other")
	case u.Scheme != c.BaseURL.Scheme:
		r.file.At(at, "write %s://%s, as base_url: one listener serves both", c.BaseURL.Scheme, u.Host)
	default:
		u.Path = ""
		out.BaseURL = u
	}
	if w.Push != nil {
		out.Push = r.push(*w.Push)
	}
	c.App = out
}

func (r configReader) push(w configPush) *pushConfig {
	if webpush.CheckSubject(w.Contact) != nil || strings.HasSuffix(w.Contact, "@localhost") {
		r.file.At("app.push.contact", "write where push services reach you, like mailto:signin@example.ac.uk; some refuse a push without it")
	}
	for i, s := range w.Services {
		if _, err := webpush.NewHosts([]string{s}); err != nil {
			r.file.At(fmt.Sprintf("app.push.services[%d]", i), "write the host of a push service, like push.example.ac.uk, *.push.example.ac.uk or push.example.ac.uk:8443")
		}
	}
	return &pushConfig{Contact: w.Contact, Services: w.Services, CAFile: r.path(w.CAFile)}
}

// rootsFrom adds a file's certificates to the system's authorities; nil: the system's alone. what names the file.
func rootsFrom(what, file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", what, err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: %s holds no certificate in PEM form", what, file)
	}
	return pool, nil
}

// phones puts the app's and the gateway's settings into a house's.
func (c config) phones(out *houseConfig) error {
	if c.Text != nil {
		out.Text = &c.Text.textSettings
	}
	if c.App == nil {
		return nil
	}
	out.AppBase = c.App.BaseURL
	if p := c.App.Push; p != nil {
		roots, err := rootsFrom("app.push.ca_file", p.CAFile)
		if err != nil {
			return err
		}
		out.Push = &pushSettings{Contact: p.Contact, Services: p.Services, Roots: roots}
	}
	return nil
}
