package httpdoor

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// lines is a log that is written while it is read.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() { l.more <- struct{}{} }()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

const writeTimeout = 20 * time.Millisecond

// streaming serves one stream whose events come from a channel; closing it ends the stream.
func streaming(t *testing.T, h2 bool) (get func(context.Context) *http.Response, events chan<- string, log *lines) {
	t.Helper()
	log = &lines{more: make(chan struct{}, 10)}
	from := make(chan string)
	hs := build(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(log, nil)) })
	mux := http.NewServeMux()
	hs.door.Handle(mux, Page, "GET /events", func(w http.ResponseWriter, r *http.Request) error {
		SetSession(w, secret.Token(32))
		return ServeStream(w, r, time.Minute, func(ctx context.Context, s Stream) {
			for {
				select {
				case <-ctx.Done():
					return
				case e, open := <-from:
					if !open || s.Send("state", e) != nil {
						return
					}
				}
			}
		})
	})
	srv := httptest.NewUnstartedServer(hs.door.Wrap(mux))
	srv.Config.WriteTimeout = writeTimeout // for a whole answer; a stream is none
	p := new(http.Protocols)
	p.SetHTTP1(!h2)
	p.SetUnencryptedHTTP2(h2)
	srv.Config.Protocols = p
	srv.Start()
	t.Cleanup(srv.Close)
	client := &http.Client{Transport: &http.Transport{Protocols: p}}
	return func(ctx context.Context) *http.Response {
		r, err := http.NewRequestWithContext(ctx, "GET", srv.URL+"/events?attempt=SECRET", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "signin.example.ac.uk"
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}, from, log
}

func TestStream(t *testing.T) {
	for name, h2 := range map[string]bool{"HTTP/1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			get, events, log := streaming(t, h2)
			resp := get(t.Context())
			h := resp.Header
			if (resp.ProtoMajor == 2) != h2 || resp.StatusCode != 200 || h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-store" ||
				h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || len(resp.Cookies()) != 1 {
				t.Fatalf("%s %d %v", resp.Proto, resp.StatusCode, h)
			}
			in := bufio.NewScanner(resp.Body)
			want := func(line string) {
				t.Helper()
				for in.Scan() {
					if in.Text() == line {
						return
					}
				}
				t.Fatalf("never came: %q (%v)", line, in.Err())
			}
			for range 2 {
				time.Sleep(2 * writeTimeout)
				events <- `{"standing":"open"}`
				want("event: state")
				want(`data: {"standing":"open"}`)
			}
			if log.String() != "" {
				t.Errorf("logged before it ended: %s", log)
			}
			close(events)
			if rest, err := io.ReadAll(resp.Body); err != nil {
				t.Errorf("%v after %q", err, rest)
			}
			<-log.more
			if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `route="GET /events"`) || !strings.Contains(got, "status=200") || strings.Contains(got, "SECRET") {
				t.Errorf("logged: %s", got)
			}
		})
	}
}

// TestStreamIsNoAnswerToHEAD: bytes after the head would be taken for the next answer by whoever stands between.
func TestStreamIsNoAnswerToHEAD(t *testing.T) {
	hs := build(t, nil)
	mux := http.NewServeMux()
	hs.door.Handle(mux, Page, "GET /events", func(w http.ResponseWriter, r *http.Request) error {
		return ServeStream(w, r, time.Minute, func(context.Context, Stream) { t.Error("events to nobody") })
	})
	srv := httptest.NewServer(hs.door.Wrap(mux))
	defer srv.Close()
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "HEAD /events HTTP/1.1\r\nHost: signin.example.ac.uk\r\nConnection: close\r\n\r\n")
	got, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200 OK\r\n") || !strings.HasSuffix(string(got), "\r\n\r\n") || strings.Contains(string(got), "\n:\n") {
		t.Errorf("%v %q", err, got)
	}
}

// TestStreamWithoutReader: who has gone is found out by the next write, and the stream ends.
func TestStreamWithoutReader(t *testing.T) {
	get, events, log := streaming(t, false)
	ctx, leave := context.WithCancel(t.Context())
	resp := get(ctx)
	events <- "1"
	leave()
	resp.Body.Close()
	for ended := false; !ended; {
		select {
		case events <- "2": // the first writes still fit into what the network holds
		case <-log.more:
			ended = true
		}
	}
	if !strings.Contains(log.String(), "status=200") {
		t.Error(log)
	}
}
