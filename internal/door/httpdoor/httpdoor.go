// Package httpdoor is what surrounds every HTTP handler of the house.
//
//	bytes ─► Server (header size, timeouts)
//	      ─► Wrap: address ─► Host ─► flood bound ─► security headers ─► mux ─► access log, metrics, panics
//	      ─► Handle: body size, framing, cross-site check, content type ─► Handler ─► error
//	                                                                                   │
//	         status ◄── one place answers: page through ErrorPages, or JSON ◄──────────┘
//
// Handlers return an error and never write one themselves. The base URL is configuration: nothing in a request
// changes it (attacks G91, G129). Limits and their reasons are in docs/limits.md.
package httpdoor

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
)

// Handler serves one request. A returned error is answered in one place; after a nil error the handler has
// answered by itself.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Kind says who calls a route, and so which checks stand before it and how errors look.
type Kind uint8

const (
	// Page is for people: cookies count, a POST must come from our own pages as a form, errors are pages.
	Page Kind = iota
	// Entry is a page that other sites lead to, by GET or POST (authorize, logout): as Page, without the
	// cross-site check. Its handler changes nothing on the strength of a cookie alone.
	Entry
	// API is for programs: errors are JSON, cookies are never read.
	API
	// Probe is for the machine room (health, metrics): any Host, no flood bound, no access log line.
	Probe
)

// The default limits.
const (
	// MaxHeaderBytes bounds the request line and headers together.
	MaxHeaderBytes = 64 << 10
	// MaxBodyBytes bounds a request's body where a route says nothing else.
	MaxBodyBytes = 64 << 10
	// DefaultFloodRate is how many requests per second one address may go on making: 5,000 people behind one
	// address who all sign in within the same minute make about 850 a second.
	DefaultFloodRate = 2000
	// DefaultFloodBurst is how many it may make at once.
	DefaultFloodBurst = 20000
)

// ErrorPages renders an error for a person; Gatehouse's pages implement it.
type ErrorPages interface {
	// ErrorPage writes the status and the page. requestID is shown so that the desk can find the log line.
	ErrorPage(w http.ResponseWriter, r *http.Request, status int, f *fault.Error, requestID string)
}

// Metrics counts answers. pattern is the route's pattern, never a URL.
type Metrics interface {
	Observe(pattern, method string, status int, took time.Duration)
}

// Config is what the door needs. Only Base is required.
type Config struct {
	// Base is the one scheme, host and port that this house answers for, like https://signin.example.ac.uk.
	Base *url.URL
	// TrustedProxies are the networks whose X-Forwarded-For counts.
	TrustedProxies []netip.Prefix
	// FloodRate (requests per second and address) and FloodBurst; 0: the defaults, negative rate: no bound.
	FloodRate, FloodBurst int
	// Errors renders pages; nil: plain text.
	Errors ErrorPages
	// Problem gives what an API's error answers as JSON; nil: {error, message, request_id}.
	Problem func(r *http.Request, f *fault.Error, requestID string) any
	Metrics Metrics
	// Log gets one line a request; nil: discarded.
	Log *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Locale chooses a language by the Accept-Language header; nil: "en".
	Locale func(acceptLanguage string) string
}

// Door surrounds handlers. It is safe for concurrent use.
type Door struct {
	base    *url.URL
	host    string // as browsers write it: lower case, without the default port
	origin  string // scheme://host as browsers write it in Origin
	proxies []netip.Prefix
	flood   *flood
	errors  ErrorPages
	problem func(*http.Request, *fault.Error, string) any
	metrics Metrics
	log     *slog.Logger
	now     func() time.Time
	locale  func(string) string
	ids     requestIDs
	cross   *http.CrossOriginProtection
	hsts    bool
	routes  []string
}

// New checks the configuration.
func New(c Config) (*Door, error) {
	if c.Base == nil || c.Base.Host == "" || (c.Base.Scheme != "https" && c.Base.Scheme != "http") ||
		(c.Base.Path != "" && c.Base.Path != "/") || c.Base.RawQuery != "" || c.Base.User != nil {
		return nil, errors.New("httpdoor: the base URL is scheme, host and port alone, like https://signin.example.ac.uk")
	}
	d := &Door{
		base: c.Base, proxies: c.TrustedProxies, errors: c.Errors, problem: c.Problem, metrics: c.Metrics,
		log: c.Log, now: c.Now, locale: c.Locale, ids: newRequestIDs(),
		cross: http.NewCrossOriginProtection(), hsts: c.Base.Scheme == "https",
	}
	d.host = canonicalHost(c.Base.Scheme, c.Base.Host)
	d.origin = c.Base.Scheme + "://" + d.host
	if err := d.cross.AddTrustedOrigin(d.origin); err != nil {
		return nil, err
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if d.now == nil {
		d.now = time.Now
	}
	if d.locale == nil {
		d.locale = func(string) string { return "en" }
	}
	rate, burst := c.FloodRate, c.FloodBurst
	if rate == 0 {
		rate = DefaultFloodRate
	}
	if burst <= 0 {
		burst = DefaultFloodBurst
	}
	if rate > 0 {
		d.flood = newFlood(rate, burst)
	}
	return d, nil
}

// Origin is the configured origin, like "https://signin.example.ac.uk".
func (d *Door) Origin() string { return d.origin }

// URL gives an absolute address under the configured base. path begins with "/".
func (d *Door) URL(path string) string { return d.origin + path }

// Server is an http.Server with this house's limits. Handler is usually Wrap's.
func (d *Door) Server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    MaxHeaderBytes - 4096, // net/http adds 4096 of slack
		// "OPTIONS *" goes through Wrap like everything else.
		DisableGeneralOptionsHandler: true,

		ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
	}
}

// Handle registers h with the checks of its kind and the default body limit.
func (d *Door) Handle(mux *http.ServeMux, kind Kind, pattern string, h Handler) {
	d.HandleSized(mux, kind, pattern, MaxBodyBytes, h)
}

// HandleSized is Handle with another body limit in bytes.
func (d *Door) HandleSized(mux *http.ServeMux, kind Kind, pattern string, maxBody int64, h Handler) {
	d.routes = append(d.routes, kind.String()+" "+pattern)
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			if r.ContentLength > maxBody {
				d.Answer(w, r, kind, errTooLarge)
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		}
		if err := d.check(kind, r); err != nil {
			d.Answer(w, r, kind, err)
			return
		}
		if kind == Page || kind == Entry {
			pageHeaders(w.Header())
		}
		if err := h(w, r); err != nil {
			d.Answer(w, r, kind, err)
		}
	})
}

// Routes is the inventory: "KIND PATTERN" of everything that was registered through this door, sorted (attack G79).
func (d *Door) Routes() []string { return slices.Sorted(slices.Values(d.routes)) }

// String is the kind's name in the inventory.
func (k Kind) String() string {
	switch k {
	case Page:
		return "page"
	case Entry:
		return "entry"
	case API:
		return "api"
	case Probe:
		return "probe"
	}
	return "unknown"
}

// Fallback registers "/" on mux: 405 with Allow where another method would do, else 404.
func (d *Door) Fallback(mux *http.ServeMux) { d.FallbackAs(mux, Entry) }

// FallbackAs is Fallback with the errors of another kind.
func (d *Door) FallbackAs(mux *http.ServeMux, kind Kind) {
	d.Handle(mux, kind, "/", func(w http.ResponseWriter, r *http.Request) error {
		var allow []string
		probe := *r
		for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
			probe.Method = m
			if _, pattern := mux.Handler(&probe); pattern != "/" && pattern != "" {
				allow = append(allow, m)
			}
		}
		if len(allow) > 0 {
			w.Header().Set("Allow", strings.Join(allow, ", "))
			return errMethod
		}
		return errNotFound
	})
}

// Wrap stands around the whole mux.
func (d *Door) Wrap(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{ResponseWriter: w, door: d, id: d.ids.next()}
		if isProbe(r.URL.Path) {
			defer d.recovered(x, r)
			baseHeaders(x.Header(), d.hsts)
			mux.ServeHTTP(x, r)
			return
		}
		x.started = time.Now()
		x.address = d.address(r)
		defer d.finish(x, r)
		defer d.recovered(x, r)
		baseHeaders(x.Header(), d.hsts)
		if !d.hostAllowed(r) {
			d.Answer(x, r, kindOf(r), errMisdirected)
			return
		}
		if d.flood != nil && !x.address.IsLoopback() {
			if wait := d.flood.take(x.address, x.started); wait > 0 {
				d.Answer(x, r, kindOf(r), errFlood.After(wait))
				return
			}
		}
		mux.ServeHTTP(x, r)
	})
}

// isProbe names the routes of the machine room; they are asked by address, not by name.
func isProbe(path string) bool {
	return path == "/healthz" || path == "/readyz" || path == "/metrics"
}

// kindOf guesses the kind before a route is known: only how the error looks depends on it.
func kindOf(r *http.Request) Kind {
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		return Entry
	}
	return API
}
