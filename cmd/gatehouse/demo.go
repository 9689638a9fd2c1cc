package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/campus"
	"github.com/gatehouse-id/gatehouse/internal/courier"
	"github.com/gatehouse-id/gatehouse/internal/demo"
	"github.com/gatehouse-id/gatehouse/internal/notice"
)

// demoFile is where a demonstration writes what it offers; its presence also tells serve whose data this is.
const demoFile = "demo.json"

// demoPort is asked for first, so that bookmarks go on working from run to run.
const demoPort = 8480

type demoOptions struct {
	listen, baseURL, appURL, cert, key, data, campus string
	json                                             bool
}

func newDemoCommand() *cobra.Command {
	var o demoOptions
	c := &cobra.Command{Use: "demo", Short: "Start a living campus on this machine", Args: takes(0, ""),
		Long: "The demo needs nothing set up: invented people whose passwords it prints, two applications that really sign in, a page with\n" +
			"everybody's passcode and mail, and a clock that can be moved forward. It is reachable from this machine only, unless it is given\n" +
			"an address of its own and a certificate (for trying with a real phone).",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDemo(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		}}
	f := c.Flags()
	f.StringVar(&o.listen, "listen", "", fmt.Sprintf("host:port to listen at (default 127.0.0.1:%d, or a free port)", demoPort))
	f.StringVar(&o.baseURL, "base-url", "", "the https address that browsers use, with --tls-cert and --tls-key")
	f.StringVar(&o.appURL, "app-url", "", "with --base-url: the https address of the authenticator app (default: the same host on another port)")
	f.StringVar(&o.cert, "tls-cert", "", "certificate file (PEM)")
	f.StringVar(&o.key, "tls-key", "", "its key file (PEM)")
	f.StringVar(&o.data, "data", "", "keep the campus in this folder (default: a temporary one)")
	f.StringVar(&o.campus, "campus", "imperial", "one of "+strings.Join(campus.Names(), ", "))
	f.BoolVar(&o.json, "json", false, "print the facts as one JSON object when ready")
	return c
}

// stage is a demonstration being set up.
type stage struct {
	demoOptions
	dir    string
	campus campus.Campus
	facts  demo.Facts
	clock  *demo.Clock
	log    *slog.Logger
	base   *url.URL
	app    *url.URL          // the authenticator app's
	files  *certificateFiles // nil without TLS
	client *http.Client      // how the samples reach the house
	house  net.Listener
	phones net.Listener // the app's own; nil: it shares the house's
	kept   *kept
	// samples are the sample applications' listeners, in the campus file's order.
	samples []net.Listener
	urls    []string
}

func runDemo(ctx context.Context, o demoOptions, out, stderr io.Writer) error {
	boundMemory()
	s, err := newStage(o, stderr)
	if err != nil {
		return err
	}
	if o.data == "" {
		defer os.RemoveAll(s.dir)
	}
	if err := s.open(); err != nil {
		return err
	}
	h, err := s.build(ctx)
	if err != nil {
		s.closeListeners()
		return err
	}
	defer h.close()
	servers, tasks, err := s.doors(h)
	if err != nil {
		s.closeListeners()
		return err
	}
	tasks = append(tasks, func(context.Context) { s.announce(out) })
	return runUntil(ctx, s.log, servers, tasks)
}

// newStage checks the options and reads what a kept folder holds.
func newStage(o demoOptions, stderr io.Writer) (*stage, error) {
	s := &stage{demoOptions: o, dir: o.data, kept: &kept{}, log: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	var err error
	if s.campus, err = campus.Builtin(o.campus); err != nil {
		return nil, usageError{err}
	}
	s.campus.Policy.FirstEnrolment = nearby(s.campus.Policy.FirstEnrolment)
	if err := s.checkExposure(); err != nil {
		return nil, err
	}
	if s.dir == "" {
		s.dir, err = os.MkdirTemp("", "gatehouse-demo-")
	} else {
		err = os.MkdirAll(s.dir, 0o700)
	}
	if err != nil {
		return nil, err
	}
	if s.facts, err = demo.ReadFacts(filepath.Join(s.dir, demoFile)); err != nil {
		return nil, err
	}
	if s.clock, err = demo.OpenClock(s.dir); err != nil {
		return nil, err
	}
	if o.data != "" && s.facts.BaseURL == "" {
		if entries, err := os.ReadDir(s.dir); err != nil || len(entries) > 0 {
			return nil, usagef("%s is not empty and holds no demonstration: give an empty or a new folder", o.data)
		}
	}
	return s, nil
}

// checkExposure: the demo's passwords are public, so it leaves this machine only on purpose, and never without TLS.
func (s *stage) checkExposure() error {
	if s.listen != "" {
		host, _, ok := hostPort(s.listen)
		if !ok {
			return usagef("--listen wants host:port, like 127.0.0.1:8080")
		}
		if !loopback(host) && s.baseURL == "" {
			return usagef("the demo listens on this machine only; to try it from a phone give --base-url https://…, --tls-cert and --tls-key too")
		}
	}
	if s.baseURL == "" {
		if s.appURL != "" {
			return usagef("--app-url needs --base-url: on this machine the app is at http://app.localhost")
		}
		if s.cert != "" || s.key != "" {
			return usagef("--tls-cert and --tls-key need --base-url: the https address that the certificate names")
		}
		return nil
	}
	u, err := url.Parse(s.baseURL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" || net.ParseIP(u.Hostname()) != nil {
		return usagef("--base-url wants https:// and a host name alone, like https://demo.example.org:8443 (passkeys are bound to a name)")
	}
	if s.cert == "" || s.key == "" {
		return usagef("--base-url needs --tls-cert and --tls-key: elsewhere than on this machine browsers want a certificate")
	}
	s.base = &url.URL{Scheme: "https", Host: u.Host}
	if err := s.checkAppURL(); err != nil {
		return err
	}
	s.files = &certificateFiles{cert: s.cert, key: s.key, log: s.log}
	return s.files.read()
}

// open takes the ports: the ones of the last run where the folder was kept.
func (s *stage) open() (err error) {
	defer func() {
		if err != nil {
			s.closeListeners()
		}
	}()
	if s.house, err = s.listenHouse(); err != nil {
		return err
	}
	port := s.house.Addr().(*net.TCPAddr).Port
	if s.base == nil {
		s.base = &url.URL{Scheme: "http", Host: "localhost:" + strconv.Itoa(port)}
	}
	host, _, _ := net.SplitHostPort(s.house.Addr().String())
	for i := range s.campus.Demo.Samples {
		l, err := s.listenSample(host, i, port+1+i)
		if err != nil {
			return err
		}
		s.samples = append(s.samples, l)
		s.urls = append(s.urls, s.sampleURL(l))
	}
	if err = s.listenPhones(host, port+1+len(s.samples)); err != nil {
		return err
	}
	s.client, err = s.httpClient()
	return err
}

func (s *stage) listenHouse() (net.Listener, error) {
	if s.listen != "" {
		return listenAt(s.listen)
	}
	if s.facts.BaseURL != "" && s.baseURL == "" {
		u, err := url.Parse(s.facts.BaseURL)
		if err != nil {
			return nil, err
		}
		return listenAt("127.0.0.1:" + u.Port())
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(demoPort))
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	return l, err
}

func listenAt(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen at %s (%w): end what is listening there, or choose another port with --listen", addr, err)
	}
	return l, nil
}

// listenSample: the samples live on 127.0.0.1 while signing in lives on localhost, for a browser sends a host's
// cookies to each of its ports.
func (s *stage) listenSample(host string, i, preferred int) (net.Listener, error) {
	for _, a := range s.facts.Applications {
		if a.ClientID == s.clientID(s.campus.Demo.Samples[i]) && a.URL != "" {
			u, err := url.Parse(a.URL)
			if err != nil {
				return nil, err
			}
			if l, err := net.Listen("tcp", net.JoinHostPort(host, u.Port())); err == nil {
				return l, nil
			}
		}
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(preferred)))
	if err != nil {
		l, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
	}
	return l, err
}

func (s *stage) clientID(id string) string {
	for _, a := range s.campus.Applications {
		if a.ID == id {
			return a.OIDC.ClientID
		}
	}
	return ""
}

func (s *stage) sampleURL(l net.Listener) string {
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	if s.files != nil {
		return "https://" + net.JoinHostPort(s.base.Hostname(), port)
	}
	return "http://" + net.JoinHostPort("127.0.0.1", port)
}

// httpClient reaches the house at its listener, whatever its name resolves to here.
func (s *stage) httpClient() (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	addr := s.house.Addr().String()
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, addr)
	}
	if s.files != nil {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		pem, err := os.ReadFile(s.cert)
		if err != nil {
			return nil, err
		}
		roots.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: transport, Timeout: 15 * time.Second}, nil
}

func (s *stage) closeListeners() {
	for _, l := range append([]net.Listener{s.house, s.phones}, s.samples...) {
		if l != nil {
			l.Close()
		}
	}
}

func (s *stage) secure(l net.Listener) net.Listener {
	if s.files == nil {
		return l
	}
	return tls.NewListener(l, s.files.config())
}

// doors builds the house's HTTP side with the demo's pages on it, and the samples.
func (s *stage) doors(h *house) ([]served, []func(context.Context), error) {
	d, err := h.openDoors(nil)
	if err != nil {
		return nil, nil, err
	}
	h.probes(d)
	notes := map[string]string{}
	for _, p := range s.campus.Demo.People {
		notes[p.Username] = p.Note
	}
	pages := &demo.Pages{Facts: func() demo.Facts { return s.facts }, Notes: notes, Clock: s.clock, Texts: d.pages.Texts, Frame: d.pages,
		Static: d.pages.Static, Door: d.door, Outbox: s.outbox(h), Incidents: incidentsOf(h)}
	if err := pages.Routes(d.mux); err != nil {
		return nil, nil, err
	}
	servers := []served{{server: d.door.Server(d.handler()), listener: s.secure(s.house)}}
	if s.phones != nil {
		servers = append(servers, served{server: d.app.Server(d.handler()), listener: s.secure(s.phones)})
	}
	for i, id := range s.campus.Demo.Samples {
		site, err := s.sample(i, id)
		if err != nil {
			return nil, nil, err
		}
		servers = append(servers, served{server: d.door.Server(site), listener: s.secure(s.samples[i])})
	}
	tasks := h.background(d, map[string]courier.Channel{notice.Mail: s.kept, notice.Text: s.kept, notice.Voice: s.kept}, "")
	return servers, tasks, nil
}

func (s *stage) sample(i int, id string) (http.Handler, error) {
	kinds := []string{"library", "records"}
	sample := &demo.Sample{Kind: kinds[i%len(kinds)], Issuer: s.facts.Issuer, URL: s.urls[i], DemoURL: s.facts.BaseURL + "/demo",
		Now: s.clock.Now, HTTP: s.client, Log: s.log}
	for _, a := range s.facts.Applications {
		if a.ClientID == s.clientID(id) {
			sample.Name, sample.ClientID, sample.Secret = a.Name, a.ClientID, a.ClientSecret
		}
	}
	return sample.Handler()
}

// announce tells the person at the terminal where to click, or a program everything.
func (s *stage) announce(out io.Writer) {
	if s.json {
		_ = json.NewEncoder(out).Encode(s.facts)
		return
	}
	fmt.Fprint(out, s.welcome())
}

func (s *stage) welcome() string {
	var b strings.Builder
	now := s.clock.Now()
	fmt.Fprintf(&b, "\n%s, a demonstration: nobody here is real.\n\n", s.campus.Name)
	fmt.Fprintf(&b, "  Start here      %s/demo\n  Sign in         %s\n", s.facts.BaseURL, s.facts.BaseURL)
	for i, id := range s.campus.Demo.Samples {
		for _, a := range s.facts.Applications {
			if a.ClientID == s.clientID(id) {
				fmt.Fprintf(&b, "  %-15s %s\n", a.Name, s.urls[i])
			}
		}
	}
	fmt.Fprintf(&b, "  %-15s %s\n", "Authenticator", s.facts.AppURL)
	fmt.Fprintf(&b, "\n  Try the phone: sign in, choose Security page > Add > Authenticator app, and open the link in a second browser profile:\n"+
		"  that profile is the phone. Without one: gatehouse dev phone --help%s\n", s.besides())
	b.WriteString("\n  Who can sign in, and with what (the demo page shows each passcode, with the seconds left):\n\n")
	for _, p := range s.facts.People {
		how := "password  " + p.Password
		if code, left := demo.Passcode(p.TOTPSecret, now); code != "" {
			how += fmt.Sprintf("   passcode now  %s (%d s left)", code, left)
		}
		if p.Invitation != "" {
			how = "invited: type  " + p.Invitation + "  at " + s.facts.BaseURL + "/welcome"
		}
		fmt.Fprintf(&b, "  %-18s %s\n", p.Username, how)
	}
	if ahead := s.clock.Ahead(); ahead > 0 {
		fmt.Fprintf(&b, "\n  The demo's clock stands %s ahead of yours.\n", ahead)
	}
	where := "gone when it stops; --data FOLDER keeps it"
	if s.data != "" {
		where = "kept in " + s.data
	}
	fmt.Fprintf(&b, "\n  Everything is %s. The same facts for programs: %s\n  Stop with Ctrl-C.\n\n", where, filepath.Join(s.dir, demoFile))
	return b.String()
}

var errDemoCampus = errors.New("this folder holds another campus' demonstration: choose another folder with --data")
