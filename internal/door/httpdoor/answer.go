package httpdoor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
)

// Status is the HTTP status of a fault.
func Status(f *fault.Error) int {
	switch f.Code {
	case errMethod.Code:
		return http.StatusMethodNotAllowed
	case errContentType.Code:
		return http.StatusUnsupportedMediaType
	}
	switch f.Kind {
	case fault.BadInput:
		return http.StatusBadRequest
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.Expired:
		return http.StatusGone
	case fault.TooMany:
		return http.StatusTooManyRequests
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.Busy:
		return http.StatusServiceUnavailable
	case fault.Misdirected:
		return http.StatusMisdirectedRequest
	}
	return http.StatusInternalServerError
}

// Answer is the one place where an error becomes an answer. After a handler has begun its own answer it only logs.
func (d *Door) Answer(w http.ResponseWriter, r *http.Request, kind Kind, err error) {
	f := asFault(err)
	status := Status(f)
	id := ""
	if x, ok := w.(*exchange); ok {
		x.fault = f
		id = x.ID()
		if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
			x.gone = true // nobody is there to read an answer
			return
		}
		if x.status != 0 {
			return
		}
	}
	h := w.Header()
	if id != "" {
		h.Set("X-Request-Id", id)
	}
	if f.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((f.RetryAfter+time.Second-1)/time.Second), 10))
	}
	if kind == Page || kind == Entry {
		pageHeaders(h)
		if d.errors != nil {
			d.errors.ErrorPage(w, r, status, f, id)
			return
		}
		h.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprintln(w, f.Public)
		return
	}
	h.Set("Cache-Control", "no-store")
	if d.problem != nil {
		WriteJSON(w, status, d.problem(r, f, id))
		return
	}
	WriteJSON(w, status, map[string]string{"error": f.Code, "message": f.Public, "request_id": id})
}

func asFault(err error) *fault.Error {
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		return errTooLarge.Because(err)
	}
	return fault.Of(err)
}

// WriteJSON answers with value as JSON.
func WriteJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"internal"}`)
	}
	h := w.Header()
	h["Content-Type"] = jsonType
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}

// recovered turns a panic into a 500 and a log line with its stack.
func (d *Door) recovered(x *exchange, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	d.log.LogAttrs(context.Background(), slog.LevelError, "panic",
		slog.String("request_id", x.ID()), slog.String("route", r.Pattern),
		slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
	d.Answer(x, r, kindOf(r), fault.Of(fmt.Errorf("panic: %v", p)))
}

// finish writes the access line: the route's pattern instead of the URL, so that no reference or name gets into
// the log, and no personal data but the address.
func (d *Door) finish(x *exchange, r *http.Request) {
	if x.detached {
		return
	}
	took := time.Since(x.started)
	status := x.status
	if x.gone {
		status = 499 // as nginx writes "the client went away"
	} else if status == 0 {
		status = http.StatusOK
	}
	route := r.Pattern
	if route == "" {
		route = "(none)"
	}
	if d.metrics != nil {
		d.metrics.Observe(route, r.Method, status, took)
	}
	level := slog.LevelInfo
	if status >= 500 {
		level = slog.LevelError
	}
	ctx := context.Background()
	if !d.log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 9)
	attrs = append(attrs,
		slog.String("request_id", x.ID()), slog.String("method", cleanMethod(r.Method)), slog.String("route", route),
		slog.Int("status", status), slog.Int64("micros", took.Microseconds()), slog.String("address", x.address.String()))
	if x.fault != nil {
		attrs = append(attrs, slog.String("code", x.fault.Code))
		if x.fault.Kind == fault.Internal {
			attrs = append(attrs, slog.String("cause", x.fault.Error()))
		}
	}
	d.log.LogAttrs(ctx, level, "request", attrs...)
}

// cleanMethod keeps invented methods out of the log.
func cleanMethod(m string) string {
	switch m {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return m
	}
	return "OTHER"
}
