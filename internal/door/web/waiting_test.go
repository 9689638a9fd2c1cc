package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/wake"
)

// heard is what a page was sent so far; the handler writes on while the test reads.
type heard struct {
	*httptest.ResponseRecorder
	mu sync.Mutex
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ResponseRecorder.Write(p)
}

func (h *heard) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.Body.String()
}

// stream is one page that listens; its time is the bubble's.
type stream struct {
	t     *testing.T
	b     *browser
	hub   *wake.Hub
	w     *heard
	leave context.CancelFunc
	ended bool
	read  int
}

func listen(t *testing.T, path string, prepare func(*flows)) *stream {
	t.Helper()
	s := &stream{t: t, hub: new(wake.Hub), w: &heard{ResponseRecorder: httptest.NewRecorder()}}
	s.b = newBrowserWith(t, func(d *Deps) { d.Hub, d.Now = s.hub, time.Now })
	s.b.f.waiting = signin.Waiting{Topic: "challenge:c1", Standing: signin.Open, Expires: time.Now().Add(5 * time.Minute), Furthest: signin.Sent}
	s.b.f.pairing = enrol.PairingView{ID: "p1", Standing: enrol.PairingWaiting, Expires: time.Now().Add(10 * time.Minute)}
	if prepare != nil {
		prepare(s.b.f)
	}
	ctx, leave := context.WithCancel(t.Context())
	s.leave = leave
	r := httptest.NewRequestWithContext(ctx, "GET", path, nil)
	r.Host, r.RemoteAddr = "signin.example.ac.uk", "198.51.100.7:1"
	go func() { s.b.h.ServeHTTP(s.w, r); s.ended = true }()
	synctest.Wait()
	return s
}

// tells gives what came since the last call.
func (s *stream) tells() string {
	synctest.Wait()
	all := s.w.text()
	defer func() { s.read = len(all) }()
	return all[s.read:]
}

func (s *stream) set(topic string, change func(*flows)) {
	s.b.f.mu.Lock()
	change(s.b.f)
	s.b.f.mu.Unlock()
	if topic != "" {
		s.hub.Wake(topic)
	}
}

func TestWaitingPageIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := listen(t, "/signin/events?attempt=A", nil)
		if got := s.tells(); s.w.Header().Get("Content-Type") != "text/event-stream" || s.w.Header().Get("Cache-Control") != "no-store" ||
			!strings.Contains(got, "event: state\ndata: {\"standing\":\"open\",\"delivery\":\"sent\",\"left\":300}\n\n") {
			t.Errorf("%v\n%s", s.w.Header(), got)
		}
		s.set("challenge:other", func(*flows) {})
		s.set("challenge:c1", func(*flows) {})
		if got := s.tells(); got != "" {
			t.Errorf("nothing changed, and the page is told %q", got)
		}
		s.set("challenge:c1", func(f *flows) { f.waiting.Furthest = signin.Shown })
		if got := s.tells(); !strings.Contains(got, `"delivery":"shown"`) {
			t.Errorf("shown: %q", got)
		}
		time.Sleep(3 * lookAgain)
		if got := s.tells(); got != ":\n\n" {
			t.Errorf("a quiet quarter of a minute gives %q", got)
		}
		// Where the wake is lost, the next look finds it.
		s.set("", func(f *flows) { f.waiting.Standing = signin.Approved })
		time.Sleep(lookAgain)
		if got := s.tells(); !strings.Contains(got, `"standing":"approved"`) || !s.ended {
			t.Errorf("approved: %q, ended %v", got, s.ended)
		}
		if s.hub.Waiting() != 0 {
			t.Error("a subscription stays")
		}
	})
}

func TestWaitingEnds(t *testing.T) {
	over := func(f *flows) { f.waiting.Standing = signin.Denied }
	for name, c := range map[string]struct {
		prepare func(*flows)
		then    func(*stream)
		says    string
	}{
		"over before":      {over, func(*stream) {}, `"standing":"over"`},
		"denied":           {nil, func(s *stream) { s.set("challenge:c1", over) }, `"standing":"over"`},
		"out of time":      {nil, func(*stream) { time.Sleep(5*time.Minute + lookAgain) }, `"standing":"over"`},
		"the reader left":  {nil, func(s *stream) { s.leave() }, ""},
		"the server stops": {nil, func(s *stream) { s.hub.Close() }, ""},
		"the attempt is gone": {nil, func(s *stream) {
			s.set("challenge:c1", func(f *flows) { f.failing = fault.New(fault.Expired, "signin.expired", "") })
		}, `"standing":"over"`},
		"nobody is signed in any more": {nil, func(s *stream) {
			s.set("challenge:c1", func(f *flows) { f.failing = fault.New(fault.Unauthenticated, "session.none", "") })
		}, `"standing":"over"`},
		"ten minutes": {func(f *flows) { f.waiting.Expires = time.Now().Add(time.Hour) }, func(*stream) { time.Sleep(waitLooks * lookAgain) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := listen(t, "/signin/events?attempt=A", c.prepare)
				c.then(s)
				if got := s.tells(); !s.ended || !strings.Contains(got, c.says) || s.hub.Waiting() != 0 {
					t.Errorf("ended %v, %d wait, told %q", s.ended, s.hub.Waiting(), got)
				}
			})
		})
	}
}

// TestWaitingSurvivesABadMoment: a database that is away for a look ends no page.
func TestWaitingSurvivesABadMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := listen(t, "/signin/events?attempt=A", nil)
		s.tells()
		s.set("challenge:c1", func(f *flows) { f.failing = errors.New("no database") })
		if got := s.tells(); got != "" || s.ended {
			t.Fatalf("ended %v, told %q", s.ended, got)
		}
		s.set("challenge:c1", func(f *flows) { f.failing, f.waiting.Standing = nil, signin.Approved })
		if got := s.tells(); !strings.Contains(got, `"standing":"approved"`) {
			t.Error(got)
		}
	})
	b := newBrowser(t)
	b.f.failing = fault.New(fault.Expired, "signin.expired", "")
	if resp := b.get("/signin/events?attempt=FOREIGN"); resp.StatusCode != http.StatusGone || resp.Header.Get("Content-Type") == "text/event-stream" {
		t.Errorf("a foreign attempt: %d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
}

// TestG8_OneSignInHoldsNotEveryConnection: however many pages wait for one thing, the house has connections for others,
// and each that leaves makes room.
func TestG8_OneSignInHoldsNotEveryConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := listen(t, "/signin/events?attempt=A", nil)
		open := func() (*httptest.ResponseRecorder, context.CancelFunc) {
			ctx, leave := context.WithCancel(t.Context())
			r, w := httptest.NewRequestWithContext(ctx, "GET", "/signin/events?attempt=A", nil), httptest.NewRecorder()
			r.Host, r.RemoteAddr = "signin.example.ac.uk", "198.51.100.7:1"
			go s.b.h.ServeHTTP(w, r)
			return w, leave
		}
		var leaving []context.CancelFunc
		for range 200 { // all in one moment
			_, leave := open()
			leaving = append(leaving, leave)
		}
		synctest.Wait()
		if n := s.hub.Waiting(); n == 0 || n > maxWatching {
			t.Errorf("%d wait", n)
		}
		for range maxWatching {
			_, leave := open()
			leaving = append(leaving, leave)
			synctest.Wait()
		}
		if w, _ := open(); true {
			synctest.Wait()
			if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" || s.hub.Waiting() != maxWatching {
				t.Errorf("one more: %d, %d wait", w.Code, s.hub.Waiting())
			}
		}
		for _, leave := range leaving {
			leave()
		}
		synctest.Wait()
		if w, leave := open(); true {
			synctest.Wait()
			if !strings.Contains(w.Body.String(), `"standing":"open"`) {
				t.Errorf("afterwards: %d %s", w.Code, w.Body)
			}
			leave()
		}
		s.leave()
	})
}

func TestPairingPageIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := listen(t, "/security/pairing/events?sealed=S&standing=waiting", func(f *flows) { f.person = &people.Person{Username: "ada"} })
		if got := s.tells(); !strings.Contains(got, `"standing":"open"`) || !strings.Contains(got, `"left":600`) {
			t.Error(got)
		}
		s.set("pairing:p1", func(f *flows) { f.pairing.Standing = enrol.PairingClaimed })
		if got := s.tells(); !strings.Contains(got, `"standing":"claimed"`) || !s.ended {
			t.Errorf("ended %v: %s", s.ended, got)
		}
		// The page that asks for the code waits on: until it is paired or over.
		s = listen(t, "/welcome/pairing/events?sealed=S&standing=claimed", func(f *flows) { f.pairing.Standing = enrol.PairingClaimed })
		if got := s.tells(); !strings.Contains(got, `"standing":"open"`) || s.ended {
			t.Error(got)
		}
		s.set("pairing:p1", func(f *flows) { f.pairing.Standing = enrol.PairingEnded })
		if got := s.tells(); !strings.Contains(got, `"standing":"ended"`) || !s.ended {
			t.Error(got)
		}
	})
	b := newBrowser(t)
	if resp := b.get("/security/pairing/events?sealed=S"); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a stranger hears of a pairing: %d", resp.StatusCode)
	}
}

// BenchmarkWaiting says what one waiting page costs, the client's end of its connection included.
func BenchmarkWaiting(b *testing.B) {
	const pages = 2000
	for b.Loop() {
		hub := new(wake.Hub)
		f := &flows{t: &testing.T{}, waiting: signin.Waiting{Topic: "challenge:c1", Standing: signin.Open, Expires: time.Now().Add(time.Hour)}, quiet: true}
		h, door := handlerFor(b, f, func(d *Deps) { d.Hub, d.Now = hub, time.Now })
		srv := door.Server(h)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		go srv.Serve(l)
		before := inUse()
		var all []net.Conn
		for i := range pages {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			fmt.Fprintf(c, "GET /signin/events?attempt=%s HTTP/1.1\r\nHost: signin.example.ac.uk\r\nAccept: text/event-stream\r\nCookie: __Host-gatehouse-browser=%s\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\r\n",
				fmt.Sprintf("%0700d", i), strings.Repeat("b", 43))
			all = append(all, c)
		}
		for hub.Waiting() < pages {
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(200 * time.Millisecond)
		b.ReportMetric(float64(inUse()-before)/pages/1024, "KiB/page")
		hub.Close()
		for _, c := range all {
			c.Close()
		}
		srv.Close()
	}
}

func inUse() int64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
