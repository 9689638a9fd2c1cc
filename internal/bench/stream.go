package bench

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Stream is a page's connection for server-sent events, a second one beside the worker's own.
type Stream struct {
	conn net.Conn
	in   *bufio.Reader
}

// streamBuffer is how much is read at once: thousands of streams are held by one driver.
const streamBuffer = 512

// Listen opens the stream of an attempt's page and reads as far as its first event, which must say that it waits.
func (w *Worker) Listen(ctx context.Context, attempt string) (*Stream, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", w.addr)
	if err != nil {
		return nil, err
	}
	w.encode(Request{Method: http.MethodGet, Path: "/signin/events?attempt=" + url.QueryEscape(attempt), Page: true})
	s := &Stream{conn, bufio.NewReaderSize(conn, streamBuffer)}
	if _, err = conn.Write(w.out); err == nil {
		err = s.head()
	}
	if err == nil {
		err = s.Await("open")
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

// head reads the status line and the headers; a stream has no length and is not chunked.
func (s *Stream) head() error {
	for n := 0; ; n++ {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return err
		}
		if n == 0 && !strings.HasPrefix(line, "HTTP/1.1 200") {
			return fmt.Errorf("no stream: %s", strings.TrimSpace(line))
		}
		if line == "\r\n" {
			return nil
		}
	}
}

// Await reads until an event with that standing.
func (s *Stream) Await(standing string) error {
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return fmt.Errorf("the stream ended before it said %q: %w", standing, err)
		}
		switch now := standingIn(line); now {
		case standing:
			return nil
		case "", "open":
		default:
			return fmt.Errorf("the stream says %q instead of %q", now, standing)
		}
	}
}

// Close ends it.
func (s *Stream) Close() { s.conn.Close() }

// Waiter is a browser whose page waits for a phone.
type Waiter struct {
	member  Member
	browser *Worker
	attempt string
	number  string
	stream  *Stream
	left    time.Time // when its phone's answer was sent
	heard   time.Time // when its page heard of it
}
