package httpdoor

import (
	"crypto/rand"
	"encoding/base32"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
)

// exchange is one request and its answer as the access log sees them. It is also the ResponseWriter.
type exchange struct {
	http.ResponseWriter
	door    *Door
	started time.Time
	address netip.Addr
	id      uint64
	status  int
	fault   *fault.Error
	gone    bool
	// detached: the answer goes on without its handler; whoever serves it writes the access line.
	detached bool
}

// WriteHeader remembers the status.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 && status >= 200 {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write remembers that an answer began.
func (x *exchange) Write(b []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	return x.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// ID is the request's name in log and error pages.
func (x *exchange) ID() string { return x.door.ids.text(x.id) }

// Address is the caller's network address as Wrap found it; the zero Addr outside Wrap.
func Address(w http.ResponseWriter) netip.Addr {
	if x, ok := w.(*exchange); ok {
		return x.address
	}
	return netip.Addr{}
}

// requestIDs numbers requests: a random word per process, then a counter. They name, they never authorise.
type requestIDs struct {
	prefix string
	count  *atomic.Uint64
}

func newRequestIDs() requestIDs {
	var b [5]byte
	rand.Read(b[:])
	return requestIDs{strings.ToLower(base32.StdEncoding.EncodeToString(b[:])), new(atomic.Uint64)}
}

func (r requestIDs) next() uint64 { return r.count.Add(1) }

func (r requestIDs) text(n uint64) string {
	buf := make([]byte, 0, 24)
	buf = append(buf, r.prefix...)
	buf = append(buf, '-')
	return string(strconv.AppendUint(buf, n, 36))
}
