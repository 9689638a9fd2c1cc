package httpdoor

import (
	"io"
	"net/http"
	"time"
)

// streamGrace is how long one write to a stream may take, in place of the server's WriteTimeout for a whole answer.
const streamGrace = 30 * time.Second

// eventType is the media type of server-sent events (WHATWG HTML section 9.2).
var eventType = []string{"text/event-stream"}

// Stream is an answer that goes on: server-sent events. It keeps no buffer of its own; each Send is one write and one flush.
//
//	OpenStream ─► Send | Beat, each with time of its own ─► the handler returns: the answer ends, and its line is logged
//
// A handler that waits holds Stream and little else: whatever it needed to find out what to wait for should be out of
// reach by then.
type Stream struct {
	w      http.ResponseWriter
	within *http.ResponseController
	every  time.Duration
}

// OpenStream begins the answer. every is the longest time between two writes: on HTTP/2 a deadline that passes ends the
// stream even while nothing is written.
func OpenStream(w http.ResponseWriter, every time.Duration) (Stream, error) {
	s := Stream{w: w, within: http.NewResponseController(w), every: every}
	h := w.Header()
	h["Content-Type"] = eventType
	h["Cache-Control"] = noStore
	h["Content-Security-Policy"] = policyNone
	h["X-Accel-Buffering"] = []string{"no"} // nginx passes events on as they come
	w.WriteHeader(http.StatusOK)
	return s, s.flush(":\n\n")
}

// Send writes one event. data holds no line break; it is JSON.
func (s Stream) Send(event, data string) error {
	return s.flush("event: " + event + "\ndata: " + data + "\n\n")
}

// Beat writes a comment, so that nobody on the way takes the connection for dead, and so that a reader who has gone is noticed.
func (s Stream) Beat() error { return s.flush(":\n\n") }

func (s Stream) flush(text string) error {
	// A connection without deadlines (a recorder in a test, an old proxy's pipe) has none to extend.
	_ = s.within.SetWriteDeadline(time.Now().Add(s.every + streamGrace))
	if _, err := io.WriteString(s.w, text); err != nil {
		return err
	}
	return s.within.Flush()
}
