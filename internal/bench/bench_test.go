package bench

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
)

// nullServer starts the floor with one authenticator that everybody uses.
func nullServer(t *testing.T) (base string, key *softkey.Authenticator) {
	t.Helper()
	key = softkey.New("http://localhost")
	if _, err := key.Create([]byte(`{"challenge":"AAAA","rp":{"id":"localhost"},"user":{"id":"AAAA"}}`)); err != nil {
		t.Fatal(err)
	}
	null, err := NewNull(filepath.Join(t.TempDir(), "null.db"), &key.Credentials()[0].Key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(null.Handler())
	t.Cleanup(func() {
		server.Close()
		if err := null.Close(); err != nil {
			t.Error(err)
		}
	})
	return server.URL, key
}

func settings(base string, workers int) Settings {
	return Settings{Workers: workers, For: 50 * time.Millisecond, PID: os.Getpid(),
		NewWorker: func(n int) (*Worker, error) { return NewWorker(n, base) }}
}

func TestNullOperationsRun(t *testing.T) {
	base, key := nullServer(t)
	for _, op := range NullOperations(key.Get) {
		r, err := Loop(context.Background(), op, settings(base, 3))
		if err != nil {
			t.Errorf("%s: %v", op.Name, err)
			continue
		}
		if r.Count < 3 || r.Workers != 3 || r.CPU <= 0 || r.Rate <= 0 || r.P50 > r.P99 || r.P50 <= 0 {
			t.Errorf("%s: %+v", op.Name, r)
		}
	}
}

// nullPhone is a phone of the null server whose key and whose passkey's key may be somebody else's.
func nullPhone(t *testing.T, base string, key, passkey *softkey.Authenticator) *softphone.Phone {
	t.Helper()
	c := passkey.Credentials()[0]
	p, err := softphone.Paired(base, base, "everybody", key.Credentials()[0].Key, softkey.Credential{ID: c.ID, RPID: "127.0.0.1", Key: c.Key}, http.DefaultClient)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestNullPhoneOperationsRun(t *testing.T) {
	base, key := nullServer(t)
	for _, op := range NullPhoneOperations(nullPhone(t, base, key, key)) {
		if r, err := Loop(context.Background(), op, settings(base, 3)); err != nil || r.Count < 3 {
			t.Errorf("%s: %+v, %v", op.Name, r, err)
		}
	}
}

func TestNullRefusesAPhonesWrongSignatures(t *testing.T) {
	base, key := nullServer(t)
	other := softkey.New("http://localhost")
	if _, err := other.Create([]byte(`{"challenge":"AAAA","rp":{"id":"localhost"},"user":{"id":"AAAA"}}`)); err != nil {
		t.Fatal(err)
	}
	for name, phone := range map[string]*softphone.Phone{"key": nullPhone(t, base, other, key), "passkey": nullPhone(t, base, key, other)} {
		if err := phone.Approve(context.Background(), softphone.Request{ID: "x"}, "47"); err == nil {
			t.Errorf("another's %s is taken", name)
		}
	}
}

func TestStreamIsReadToItsStanding(t *testing.T) {
	for said, want := range map[string]string{
		"event: state\ndata: {\"standing\":\"open\"}\n\n:\n\nevent: state\ndata: {\"standing\":\"open\",\"delivery\":\"shown\"}\n\nevent: state\ndata: {\"standing\":\"approved\"}\n\n": "",
		"event: state\ndata: {\"standing\":\"open\"}\n\nevent: state\ndata: {\"standing\":\"over\"}\n\n":                                                                                `the stream says "over" instead of "approved"`,
		"event: state\ndata: {\"standing\":\"open\"}\n\n": `the stream ended before it said "approved": EOF`,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("attempt") != "a" || r.Header.Get("Cookie") != "b=1" {
				t.Errorf("asked for %s with %q", r.URL, r.Header.Get("Cookie"))
			}
			w.Header().Set("Connection", "close")
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"+said)
		}))
		w, err := NewWorker(0, server.URL)
		if err != nil {
			t.Fatal(err)
		}
		w.cookies = []cookie{{"b", "1"}}
		s, err := w.Listen(context.Background(), "a")
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := s.Await("approved"); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, wanted %q", said, got, want)
		}
		s.Close()
		server.Close()
	}
}

func TestNumberOnAPage(t *testing.T) {
	for page, want := range map[string]string{
		`<p class="number number-6"><span aria-hidden="true"><span>482</span><span>719</span></span><span class="hide">4 8 2 7 1 9</span></p>`: "482719",
		`<p class="number"><span aria-hidden="true"><span>47</span></span><span class="hide">4 7</span></p>`:                                   "47",
		`<p class="number-less">12</p>`: "",
		"":                              "",
	} {
		if got := numberOn([]byte(page)); got != want {
			t.Errorf("%s: %q", page, got)
		}
	}
}

func TestFirstLoadCountsEachFileOnce(t *testing.T) {
	files := map[string]string{
		"/":       `<link href="/a.css"><script src="/a.js"></script>`,
		"/sw.js":  `const files = ["/", "/a.js",` + "\n" + `"/b.js"];`,
		"/a.css":  "12345",
		"/a.js":   strings.Repeat("x", 1000),
		"/b.js":   "1234567",
		"/unused": "never fetched",
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := files[r.URL.Path]
		if !ok || body == "never fetched" {
			t.Errorf("fetched %s", r.URL.Path)
		}
		delete(files, r.URL.Path)
		if len(body) < 1000 {
			io.WriteString(w, body)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, body)
		z.Close()
	}))
	defer server.Close()
	plain := int64(0)
	for name, body := range files {
		if name != "/unused" {
			plain += int64(len(body))
		}
	}
	got, err := FirstLoad(server.Client(), server.URL)
	if err != nil || got.Files != 5 || got.Plain != plain || got.Sent >= plain-900 || got.Sent < 80 {
		t.Errorf("%+v of %d bytes, %v", got, plain, err)
	}
}

func TestNullRefusesAWrongSignature(t *testing.T) {
	base, key := nullServer(t)
	other := softkey.New("http://localhost")
	if _, err := other.Create([]byte(`{"challenge":"AAAA","rp":{"id":"localhost"},"user":{"id":"AAAA"}}`)); err != nil {
		t.Fatal(err)
	}
	for name, signer := range map[string]struct {
		key  *softkey.Authenticator
		want int
	}{"right": {key, http.StatusSeeOther}, "another's": {other, http.StatusBadRequest}} {
		answer, err := signer.key.Get([]byte(`{"challenge":"AAAA","rpId":"localhost"}`))
		if err != nil {
			t.Fatal(err)
		}
		w, err := NewWorker(0, base)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		got, err := w.Do(context.Background(), Request{Method: http.MethodPost, Path: "/assertion", Form: url.Values{"answer": {string(answer)}}})
		if err != nil || got.Status != signer.want {
			t.Errorf("%s: status %d, wanted %d, %v", name, got.Status, signer.want, err)
		}
	}
}

func TestLoopEndsWithTheFirstFailure(t *testing.T) {
	var calls atomic.Int32
	wrong := errors.New("no")
	_, err := Loop(context.Background(), Operation{Name: "failing", Do: func(context.Context, *Worker) error {
		if calls.Add(1) > 5 {
			return wrong
		}
		return nil
	}}, settings("http://localhost:1", 1))
	if !errors.Is(err, wrong) {
		t.Errorf("error %v", err)
	}
}

func TestWorkerKeepsCookiesAsABrowserDoes(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/set":
			http.SetCookie(w, &http.Cookie{Name: "__Host-a", Value: "1", Secure: true, Path: "/"})
			http.SetCookie(w, &http.Cookie{Name: "b", Value: "2"})
		case "/change":
			http.SetCookie(w, &http.Cookie{Name: "__Host-a", Value: "3", Secure: true, Path: "/"})
			http.SetCookie(w, &http.Cookie{Name: "b", Value: "", MaxAge: -1})
		}
		fmt.Fprint(w, r.Header.Get("Cookie"))
	}))
	defer server.Close()
	w, err := NewWorker(0, server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, step := range []struct{ path, want string }{{"/set", ""}, {"/", "__Host-a=1; b=2"}, {"/change", "__Host-a=1; b=2"}, {"/", "__Host-a=3"}} {
		a, err := w.Expect(context.Background(), http.StatusOK, Request{Method: http.MethodGet, Path: step.path, Page: true})
		if err != nil || string(a.Body) != step.want {
			t.Errorf("%s: sent %q, wanted %q, %v", step.path, a.Body, step.want, err)
		}
	}
	w.Forget()
	if a, err := w.Do(context.Background(), Request{Method: http.MethodGet, Path: "/", Page: true}); err != nil || len(a.Body) > 0 {
		t.Errorf("after Forget it sent %q, %v", a.Body, err)
	}
}

func TestPercentileIsTheNearestRank(t *testing.T) {
	var times []time.Duration
	for i := range 200 {
		times = append(times, time.Duration(i+1))
	}
	slices.Sort(times)
	if percentile(times, 50) != 100 || percentile(times, 99) != 198 || percentile(times[:1], 99) != 1 {
		t.Errorf("%d %d %d", percentile(times, 50), percentile(times, 99), percentile(times[:1], 99))
	}
}

func TestFieldReadsAPagesInputs(t *testing.T) {
	page := []byte(`<form><input type="hidden" name="attempt" value="a&#43;b&amp;c"><input value="x" name="other"></form>`)
	// The value may stand after the name or before it.
	if got := Field(page, "attempt"); got != "a+b&c" {
		t.Errorf("attempt: %q", got)
	}
	if got := Field(page, "other"); got != "x" {
		t.Errorf("other: %q", got)
	}
	if got := Field(page, "missing"); got != "" {
		t.Errorf("missing: %q", got)
	}
}
