package main

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/courier"
	"github.com/gatehouse-id/gatehouse/internal/demo"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// checkAppURL judges --app-url; without it the app is on base-url's host, on a port of its own.
func (s *stage) checkAppURL() error {
	if s.appURL == "" {
		return nil
	}
	u, err := url.Parse(s.appURL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" || net.ParseIP(u.Hostname()) != nil {
		return usagef("--app-url wants https:// and a host name alone, like https://phone.example.org:8443")
	}
	if u.Host == s.base.Host {
		return usagef("--app-url is another address than --base-url: a host of its own, or at least another port")
	}
	s.app = &url.URL{Scheme: "https", Host: u.Host}
	return nil
}

// listenPhones gives the app its address. On this machine it is told apart by its name and shares the house's listener,
// and so does a name of its own on base-url's port; another port has a listener of its own.
func (s *stage) listenPhones(host string, preferred int) (err error) {
	port := strconv.Itoa(s.house.Addr().(*net.TCPAddr).Port)
	switch {
	case s.files == nil:
		s.app = &url.URL{Scheme: "http", Host: "app.localhost:" + port}
		return nil
	case s.app != nil && s.app.Port() == s.base.Port():
		return nil
	case s.app != nil:
		s.phones, err = listenAt(net.JoinHostPort(host, portOf(s.app)))
		return err
	}
	// The address of the last run, because phones were paired at it.
	if u, err := url.Parse(s.facts.AppURL); err == nil && u.Scheme == "https" && u.Hostname() == s.base.Hostname() {
		if s.phones, err = net.Listen("tcp", net.JoinHostPort(host, portOf(u))); err != nil {
			s.phones = nil
		}
	}
	if s.phones == nil {
		s.phones, err = net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(preferred)))
	}
	if err != nil {
		s.phones, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return err
	}
	s.app = &url.URL{Scheme: "https", Host: net.JoinHostPort(s.base.Hostname(), strconv.Itoa(s.phones.Addr().(*net.TCPAddr).Port))}
	return nil
}

func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return "443"
}

// besides says what a demonstration does that a real house does not.
func (s *stage) besides() string {
	if s.phones == nil || s.appURL != "" {
		return ""
	}
	return "\n  (Here the app is on another port of the same host; in earnest it has a host name of its own: --app-url.)"
}

// contact is what push services are told; one that does not resolve is refused by some.
func (s *stage) contact() string {
	if s.files != nil {
		return s.base.String()
	}
	return "mailto:" + s.campus.Help.Mail
}

// texts are the demo's bounds for codes by message: it sends none, so anybody's country will do.
func (s *stage) texts() *textSettings {
	countries := []string{"AU", "BE", "CA", "CH", "CN", "DE", "ES", "FR", "GB", "HK", "IE", "IN", "IT", "JP", "NL", "NZ", "SE", "SG", "TW", "US"}
	return &textSettings{Country: s.campus.Demo.Country, Channels: []string{notice.Text, notice.Voice}, Caps: signin.SendingCaps{
		Number: throttle.Limit{Burst: 5, Refill: 10 * time.Minute}, Prefix: throttle.Limit{Burst: 50, Refill: time.Minute},
		Account: throttle.Limit{Burst: 5, Refill: 10 * time.Minute}, Address: throttle.Limit{Burst: 50, Refill: time.Minute},
		Total: throttle.Limit{Burst: 200, Refill: 10 * time.Second}, Countries: countries}}
}

// nearby lets a first method be registered from this machine and its network, as if they were the campus' own.
func nearby(f policy.FirstEnrolment) policy.FirstEnrolment {
	if !f.PasswordOnly {
		return f
	}
	f.Networks = append([]netip.Prefix(nil), f.Networks...)
	for _, n := range []string{"127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8"} {
		f.Networks = append(f.Networks, netip.MustParsePrefix(n))
	}
	return f
}

// kept is the demo's relay and gateway: everything is accepted, and what was said stays readable for a while, codes
// included. The house itself forgets a code once it is on its way.
type kept struct {
	mu    sync.Mutex
	order []string
	said  map[string]demo.Said // by the message's ID
}

// keptMost bounds what is remembered.
const keptMost = 500

// Send implements courier.Channel.
func (k *kept) Send(_ context.Context, l courier.Letter) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.said == nil {
		k.said = map[string]demo.Said{}
	}
	if _, again := k.said[l.ID]; !again {
		k.order = append(k.order, l.ID)
	}
	k.said[l.ID] = demo.Said{Subject: l.Subject, Body: l.Body}
	if len(k.order) > keptMost {
		delete(k.said, k.order[0])
		k.order = k.order[1:]
	}
	return nil
}

func (k *kept) of(id string) (demo.Said, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, ok := k.said[id]
	return s, ok
}

// outbox gives what was written lately, newest first, with the words as they were sent where they have been.
func (s *stage) outbox(h *house) func(context.Context, int) ([]demo.Message, error) {
	_, view := store.Bind[notice.Queue](h.db)
	return func(ctx context.Context, limit int) (out []demo.Message, err error) {
		var list []notice.Message
		err = view(ctx, func(q notice.Queue) (err error) {
			list, err = q.RecentMessages(ctx, limit)
			return err
		})
		for _, m := range list {
			said, _ := s.kept.of(m.ID)
			out = append(out, demo.Message{Message: m, Said: said})
		}
		return out, err
	}
}

// incidentsOf gives the open incidents.
func incidentsOf(h *house) func(context.Context) ([]manage.Incident, error) {
	return func(ctx context.Context) ([]manage.Incident, error) {
		return h.manage.Incidents(ctx, demoBy, "", false, 50)
	}
}
