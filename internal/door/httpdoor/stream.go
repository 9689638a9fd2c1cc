package httpdoor

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// streamGrace is how long one write to a stream may take, in place of the server's WriteTimeout for a whole answer.
const streamGrace = 30 * time.Second

// eventType is the media type of server-sent events (WHATWG HTML section 9.2).
var eventType = []string{"text/event-stream"}

// Stream is an answer that goes on: server-sent events. It keeps no buffer; each Send is one write.
type Stream struct {
	to    io.Writer
	until func(time.Time) error // sets the deadline of the next write
	flush func() error
	every time.Duration
}

// ServeStream answers with what serve sends, until serve returns; then the access line is written.
//
//	HTTP/1:   the connection is taken from net/http, whose request, buffers (8 KiB) and two goroutines go; serve has one of its own
//	HTTP/2 …: serve runs within the handler
//
// So a page that waits costs little more than its connection. The handler returns right after ServeStream and touches
// neither w nor its request any more; serve should not hold them either. every is the longest time between two writes:
// on HTTP/2 a deadline that passes ends the stream, and where the connection was taken, only a write finds out that the
// reader has gone. ctx ends with the reader as far as that is known.
func ServeStream(w http.ResponseWriter, r *http.Request, every time.Duration, serve func(ctx context.Context, s Stream)) error {
	h := w.Header()
	h["Content-Type"] = eventType
	h["Cache-Control"] = noStore
	h["Content-Security-Policy"] = policyNone
	h["X-Accel-Buffering"] = []string{"no"} // nginx passes events on as they come
	if r.Method == http.MethodHead {        // what follows the head of this answer would be taken for the next one (RFC 9110 section 9.3.2)
		w.WriteHeader(http.StatusOK)
		return nil
	}
	control := http.NewResponseController(w)
	if x, ok := w.(*exchange); ok && r.ProtoMajor == 1 {
		if conn, _, err := control.Hijack(); err == nil {
			x.detached = true
			go x.serve(conn, headOf(h), every, serve, &http.Request{Method: r.Method, Pattern: r.Pattern})
			return nil
		}
	}
	w.WriteHeader(http.StatusOK)
	s := Stream{to: w, until: control.SetWriteDeadline, flush: control.Flush, every: every}
	if s.Beat() == nil {
		serve(r.Context(), s)
	}
	return nil
}

// headOf is the head of the answer. It ends with its connection, so it names no length.
func headOf(h http.Header) []byte {
	var head bytes.Buffer
	head.WriteString("HTTP/1.1 200 OK\r\nConnection: close\r\nDate: " + time.Now().UTC().Format(http.TimeFormat) + "\r\n")
	_ = h.Write(&head) // a buffer takes everything
	head.WriteString("\r\n:\n\n")
	return head.Bytes()
}

// serve goes on with a connection that was taken. x is the exchange that the handler has left.
func (x *exchange) serve(conn net.Conn, head []byte, every time.Duration, serve func(context.Context, Stream), r *http.Request) {
	y := &exchange{door: x.door, started: x.started, address: x.address, id: x.id, status: http.StatusOK}
	defer y.door.finish(y, r)
	defer y.door.recovered(y, r)
	defer conn.Close()
	s := Stream{to: conn, until: conn.SetWriteDeadline, flush: func() error { return nil }, every: every}
	_ = conn.SetReadDeadline(time.Time{}) // nothing is read any more
	if s.write(head) == nil {
		head = nil
		serve(context.Background(), s)
	}
}

// Send writes one event. data holds no line break; it is JSON.
func (s Stream) Send(event, data string) error {
	return s.write([]byte("event: " + event + "\ndata: " + data + "\n\n"))
}

// Beat writes a comment, so that nobody on the way takes the connection for dead, and so that a reader who has gone is noticed.
func (s Stream) Beat() error { return s.write([]byte(":\n\n")) }

func (s Stream) write(text []byte) error {
	_ = s.until(time.Now().Add(s.every + streamGrace)) // what has no deadline needs none extended
	if _, err := s.to.Write(text); err != nil {
		return err
	}
	return s.flush()
}
