package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Worker is one browser or application: one connection, its cookies, and what its operation keeps.
type Worker struct {
	// N is the worker's number, from 0.
	N int
	// Keep is the operation's own: the person, a token.
	Keep any

	addr, host, origin string
	conn               net.Conn
	in                 *bufio.Reader
	out                []byte
	cookies            []cookie
	times              []time.Duration
	took               time.Duration // what the operation says that it took, where that is not all of it
}

type cookie struct{ name, value string }

// NewWorker is worker n for the server at base, such as http://localhost:8080. The connection goes to the loopback
// address itself, so that no resolver is measured.
func NewWorker(n int, base string) (*Worker, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	return &Worker{N: n, host: u.Host, origin: base, addr: net.JoinHostPort("127.0.0.1", u.Port())}, nil
}

// Close ends the connection; the next request opens another.
func (w *Worker) Close() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}

// repeat does op until stop.
func (w *Worker) repeat(ctx context.Context, op Operation, stop *atomic.Bool) error {
	w.times = slices.Grow(w.times, 1<<14)
	for !stop.Load() {
		if err := ctx.Err(); err != nil {
			return err
		}
		began := time.Now()
		if err := op.Do(ctx, w); err != nil {
			return err
		}
		took := time.Since(began)
		if w.took > 0 {
			took, w.took = w.took, 0
		}
		w.times = append(w.times, took)
	}
	return nil
}

// Answer is what came back.
type Answer struct {
	Status   int
	Location string // as sent; local paths without the origin
	Body     []byte
}

// Request is what is sent. Form and Bearer are optional.
type Request struct {
	Method, Path string
	Form         url.Values
	// Basic is user and password, for applications; Bearer an access token.
	Basic  [2]string
	Bearer string
	// Page sends what a browser sends with a navigation, and the cookies.
	Page bool
}

// Do sends one request on the worker's own connection and reads the whole answer. It is written by hand because the
// driver must cost less than what it measures: a connection pool, its goroutines and its header maps do not.
func (w *Worker) Do(ctx context.Context, r Request) (Answer, error) {
	if w.conn == nil {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", w.addr)
		if err != nil {
			return Answer{}, err
		}
		w.conn, w.in = conn, bufio.NewReaderSize(conn, 32<<10)
	}
	w.encode(r)
	if _, err := w.conn.Write(w.out); err != nil {
		return Answer{}, err
	}
	resp, err := http.ReadResponse(w.in, nil)
	if err != nil {
		return Answer{}, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return Answer{}, err
	}
	if resp.Close {
		w.conn.Close()
		w.conn = nil
	}
	if r.Page {
		w.keep(resp)
	}
	return Answer{resp.StatusCode, strings.TrimPrefix(resp.Header.Get("Location"), w.origin), body}, nil
}

// Expect is Do, and an error where the status is another.
func (w *Worker) Expect(ctx context.Context, status int, r Request) (Answer, error) {
	a, err := w.Do(ctx, r)
	if err == nil && a.Status != status {
		path, _, _ := strings.Cut(r.Path, "?")
		err = fmt.Errorf("%s %s: status %d, wanted %d: %s", r.Method, path, a.Status, status, firstText(a.Body))
	}
	return a, err
}

// firstText is the beginning of what a page says, tags aside.
func firstText(body []byte) string {
	if i := bytes.Index(body, []byte("<main")); i >= 0 {
		body = body[i:]
	}
	var out []byte
	tag := false
	for _, b := range body {
		switch {
		case b == '<':
			tag = true
		case b == '>':
			tag = false
			out = append(out, ' ')
		case !tag:
			out = append(out, b)
		}
	}
	text := strings.Join(strings.Fields(string(out)), " ")
	return text[:min(len(text), 300)]
}

func (w *Worker) encode(r Request) {
	b := append(w.out[:0], r.Method...)
	b = append(append(append(b, ' '), r.Path...), " HTTP/1.1\r\nHost: "...)
	b = append(append(b, w.host...), "\r\nUser-Agent: gatehouse-bench\r\n"...)
	if r.Page {
		b = append(b, "Accept: text/html\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\n"...)
		if r.Method == http.MethodPost {
			b = append(append(append(b, "Origin: "...), w.origin...), "\r\n"...)
		}
		for i, c := range w.cookies {
			if i == 0 {
				b = append(b, "Cookie: "...)
			} else {
				b = append(b, "; "...)
			}
			b = append(append(append(b, c.name...), '='), c.value...)
		}
		if len(w.cookies) > 0 {
			b = append(b, "\r\n"...)
		}
	}
	if r.Bearer != "" {
		b = append(append(append(b, "Authorization: Bearer "...), r.Bearer...), "\r\n"...)
	}
	if r.Basic[0] != "" {
		probe := http.Request{Header: http.Header{}}
		probe.SetBasicAuth(url.QueryEscape(r.Basic[0]), url.QueryEscape(r.Basic[1]))
		b = append(append(append(b, "Authorization: "...), probe.Header.Get("Authorization")...), "\r\n"...)
	}
	var form string
	if r.Method == http.MethodPost {
		form = r.Form.Encode()
		b = append(b, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "...)
		b = append(strconv.AppendInt(b, int64(len(form)), 10), "\r\n"...)
	}
	w.out = append(append(b, "\r\n"...), form...)
}

// keep does what a browser does with Set-Cookie for one host. Secure cookies are kept: localhost counts as secure.
func (w *Worker) keep(resp *http.Response) {
	if len(resp.Header["Set-Cookie"]) == 0 {
		return
	}
	for _, c := range resp.Cookies() {
		w.cookies = slices.DeleteFunc(w.cookies, func(have cookie) bool { return have.name == c.Name })
		if c.MaxAge >= 0 && c.Value != "" {
			w.cookies = append(w.cookies, cookie{c.Name, c.Value})
		}
	}
}

// Forget drops all cookies: the next request is a stranger's.
func (w *Worker) Forget() { w.cookies = w.cookies[:0] }

// Field gives the value of the first input named name in a page: enough for pages of our own.
func Field(page []byte, name string) string {
	at := bytes.Index(page, []byte(`name="`+name+`"`))
	if at < 0 {
		return ""
	}
	from := bytes.LastIndexByte(page[:at], '<')
	to := bytes.IndexByte(page[at:], '>')
	if from < 0 || to < 0 {
		return ""
	}
	return attribute(page[from:at+to+1], "value")
}

// Attribute gives the value of the first attribute of that name in a page.
func Attribute(page []byte, name string) string { return attribute(page, name) }

func attribute(tag []byte, name string) string {
	_, rest, ok := bytes.Cut(tag, []byte(" "+name+`="`))
	if !ok {
		return ""
	}
	value, _, _ := bytes.Cut(rest, []byte(`"`))
	return unescape.Replace(string(value))
}

var unescape = strings.NewReplacer("&#34;", `"`, "&quot;", `"`, "&#39;", "'", "&#43;", "+", "&lt;", "<", "&gt;", ">", "&amp;", "&")
