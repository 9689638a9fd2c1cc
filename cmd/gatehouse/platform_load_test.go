package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/method"
)

// counted is a method that counts how often it is asked to judge.
type counted struct {
	method.Method
	judged atomic.Int64
}

func (c *counted) Verify(in method.VerifyInput) (method.Verdict, error) {
	c.judged.Add(1)
	return c.Method.Verify(in)
}

// raw is one raw POST to a house, outside any browser.
func (s *openedSite) raw(path, kind, body string, cookies map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", siteOrigin+path, strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Origin", siteOrigin)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Accept", "text/html")
	for name, value := range cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

func TestG138_AFloodOfPasswords(t *testing.T) {
	s := openSite(t)
	ada := s.member("ada", method.Passkey, method.Password, method.TOTP)
	c := &counted{Method: s.h.methods[method.Password]}
	s.h.methods[method.Password] = c
	s.h.flows() // with the counting method
	var err error
	s.d, err = s.h.openDoors(s.m)
	s.must(err)
	s.handler = s.d.door.Wrap(s.d.mux)
	b := s.browser()
	attempt := func() string {
		w := b.follow(b.post("/signin", "attempt", hidden(b.get("/signin"))["attempt"], "name", "ada"))
		return hidden(w)["attempt"]
	}
	const form = "application/x-www-form-urlencoded"
	// A megabyte each: refused by its size, nothing is hashed.
	ref := attempt()
	body := "attempt=" + ref + "&answer=" + strings.Repeat("a", 1<<20)
	statuses := sync.Map{}
	var crowd sync.WaitGroup
	for range 40 {
		crowd.Go(func() {
			for range 50 {
				w := s.raw("/signin/password", form, body, b.cookies)
				n, _ := statuses.LoadOrStore(w.Code, new(atomic.Int64))
				n.(*atomic.Int64).Add(1)
			}
		})
	}
	// Beside them a passkey signs in.
	for range 5 {
		s.browser().signIn(ada)
	}
	crowd.Wait()
	statuses.Range(func(code, n any) bool {
		if code != http.StatusRequestEntityTooLarge || n.(*atomic.Int64).Load() != 2000 {
			t.Errorf("%d answers with %d", n.(*atomic.Int64).Load(), code)
		}
		return true
	})
	if n := c.judged.Load(); n != 0 {
		t.Errorf("%d passwords of a megabyte were judged", n)
	}
	// Five kilobytes fit into the body and are no password: no try is hashed, and the answer is no other.
	ref = attempt()
	long := s.raw("/signin/password", form, "attempt="+ref+"&answer="+strings.Repeat("a", 5000), b.cookies)
	short := s.raw("/signin/password", form, "attempt="+ref+"&answer=wrong", b.cookies)
	if long.Code != short.Code {
		t.Errorf("too long: %d, wrong: %d", long.Code, short.Code)
	}
}

// TestG138_TheQueueIsBounded: what does not fit into workers and queue is told to come back, and hashes nothing.
func TestG138_TheQueueIsBounded(t *testing.T) {
	s := openSite(t)
	ada := s.member("ada", method.Passkey, method.Password)
	small := &s.h.Passwords
	small.Params.Memory, small.Params.Time = 64<<10, 4 // slow enough to fill the queue
	small.Workers, small.Queue = 1, 1
	ways, err := s.h.newMethods()
	s.must(err)
	s.h.methods[method.Password] = ways[method.Password]
	s.h.flows()
	s.d, err = s.h.openDoors(s.m)
	s.must(err)
	s.handler = s.d.door.Wrap(s.d.mux)
	type ask struct {
		ref     string
		cookies map[string]string
	}
	asks := make([]ask, 24)
	for i := range asks {
		b := s.browser()
		w := b.follow(b.post("/signin", "attempt", hidden(b.get("/signin"))["attempt"], "name", "nobody"+strconv.Itoa(i)))
		asks[i] = ask{hidden(w)["attempt"], b.cookies}
	}
	var busy, judged, other atomic.Int64
	var crowd sync.WaitGroup
	for _, a := range asks {
		crowd.Go(func() {
			w := s.raw("/signin/password", "application/x-www-form-urlencoded", url.Values{"attempt": {a.ref}, "answer": {"some wrong password"}}.Encode(), a.cookies)
			switch {
			case w.Code == http.StatusServiceUnavailable:
				busy.Add(1)
				if n, err := strconv.Atoi(w.Header().Get("Retry-After")); err != nil || n < 1 {
					t.Errorf("503 with Retry-After %q", w.Header().Get("Retry-After"))
				}
			case w.Code < 500:
				judged.Add(1)
			default:
				other.Add(1)
			}
		})
	}
	s.browser().signIn(ada)
	crowd.Wait()
	if busy.Load() == 0 || judged.Load() == 0 || other.Load() != 0 {
		t.Errorf("%d judged, %d told to come back, %d others", judged.Load(), busy.Load(), other.Load())
	}
}

// orders are what a log, a spreadsheet, a mail or a terminal could take for an order.
var orders = []string{"x\r\nINJECTED second record", "\x1b[2J\x1b]0;INJECTED\x07", "=cmd|'/C INJECTED'!A0", "+INJECTED()", "@INJECTED", "-2+3+INJECTED", "a\x00INJECTED", "{\"level\":\"INJECTED\"}\n", "\u2028INJECTED\u202e",
	"INJECTED" + strings.Repeat("A", 1<<20)}

func TestG134_OneEncodedRecord(t *testing.T) {
	s := openSite(t)
	m := s.member("ada", method.Passkey, method.Password, method.TOTP)
	token := s.token("all", manage.Scopes()...)
	for _, order := range orders {
		before := strings.Count(s.log.String(), "\n")
		b := s.browser()
		b.headers["User-Agent"], b.headers["Accept-Language"], b.headers["X-Request-Id"], b.headers["Referer"] = order, order, order, order
		b.signIn(m)
		b.get("/oauth2/authorize?response_type=code&client_id=" + url.QueryEscape(cut(order, 5000)) + "&redirect_uri=" + url.QueryEscape(siteCallback))
		b.send("POST", "/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {cut(order, 9000)}, "client_secret": {cut(order, 5000)}, "code": {cut(order, 1000)}, "redirect_uri": {cut(order, 1000)}})
		wrong := s.browser()
		wrong.headers["User-Agent"] = order
		page := wrong.follow(wrong.post("/signin", "attempt", hidden(wrong.get("/signin"))["attempt"], "name", cut(order, 250)))
		wrong.post("/signin/password", "attempt", hidden(page)["attempt"], "answer", "wrong")
		s.api("GET", "/admin/api/v1/policy", s.token("weak"+strconv.Itoa(before), manage.PeopleRead), "", "User-Agent", order)
		for n, line := range strings.Split(strings.TrimSpace(s.log.String()), "\n")[before:] {
			var record map[string]any
			if err := json.Unmarshal([]byte(line), &record); err != nil || record["level"] == "INJECTED" {
				t.Fatalf("log line %d after %.30q is no record of ours: %.200q", n, order, line)
			}
			if strings.ContainsAny(line, "\x00\x1b\r\u2028\u202e") || len(line) > 4096 {
				t.Fatalf("log line after %.30q: %.200q", order, line)
			}
		}
		for _, body := range []string{`{"username":"x","display_name":` + jsonText(order) + `}`, `{"username":"x","groups":[` + jsonText(order) + `]}`, `{"username":` + jsonText(order) + `}`} {
			if w := s.api("POST", "/admin/api/v1/people", token, body); w.Code < 400 || w.Code >= 500 {
				t.Errorf("a person may be called %.30q: %d", order, w.Code)
			}
		}
		w := s.api("POST", "/admin/api/v1/people/"+string(m.ID)+"/invite", token, `{"why":`+jsonText(order)+`}`)
		if w.Code >= 500 {
			t.Errorf("%d", w.Code)
		}
	}
	s.exportsAreEncoded(m)
}

// exportsAreEncoded: one record a line, nothing in it that a terminal or a spreadsheet obeys.
func (s *openedSite) exportsAreEncoded(m *siteMember) {
	for _, args := range [][]string{{"audit", "export"}, {"people", "list", "--json"}, {"people", "list"}, {"apps", "list"}, {"tokens", "list"}} {
		code, out, _ := s.command(args...)
		if code != 0 {
			s.t.Errorf("%v: %d", args, code)
		}
		if i := strings.IndexFunc(out, func(r rune) bool {
			return r != '\n' && (r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x202e)
		}); i >= 0 {
			s.t.Errorf("%v writes %.60q", args, out[max(0, i-20):])
		}
		if args[0] != "audit" && args[len(args)-1] != "--json" {
			continue
		}
		for _, line := range bytes.Split(bytes.TrimSpace([]byte(out)), []byte("\n")) {
			if !json.Valid(line) {
				s.t.Errorf("%v writes a line that is no record: %.200q", args, line)
			}
		}
	}
	w := s.browser()
	w.signIn(m)
	if page := w.get("/security").Body.String(); strings.ContainsAny(page, "\x00\x1b\r\u2028\u202e") {
		s.t.Error("the member's page repeats an order")
	}
}
