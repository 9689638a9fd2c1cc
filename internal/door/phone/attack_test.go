package phone_test

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
	"github.com/gatehouse-id/gatehouse/internal/method"
)

// answered is what came back.
type answered struct {
	status int
	header http.Header
	body   string
}

// ask calls by hand.
func (h *house) ask(method, path, authorization, body string) answered {
	h.T.Helper()
	r, err := http.NewRequestWithContext(h.T.Context(), method, origin+path, strings.NewReader(body))
	must(h.T, err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return h.do(r)
}

func (h *house) do(r *http.Request) answered {
	h.T.Helper()
	a, err := h.client.Do(r)
	must(h.T, err)
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	must(h.T, err)
	// The request's name differs from answer to answer.
	_, after, found := strings.Cut(string(text), `"request_id":"`)
	if found {
		id, _, _ := strings.Cut(after, `"`)
		text = bytes.Replace(text, []byte(id), nil, 1)
	}
	return answered{a.StatusCode, a.Header, string(text)}
}

// open are the routes that need no signature; every other one does.
func open() []string {
	return []string{"GET /app/v1/house", "POST /app/v1/pairings/open", "POST /app/v1/pairings/claim", "POST /app/v1/restore/open", "POST /app/v1/restore"}
}

// calls are all routes of the protocol that need a signature, as they were registered.
func (h *house) calls() (out [][2]string) {
	for _, route := range h.door.Routes() {
		pattern, ok := strings.CutPrefix(route, "api ")
		if !ok {
			h.T.Errorf("%s is no route for programs", route)
		}
		method, path, _ := strings.Cut(pattern, " ")
		if strings.HasPrefix(path, "/app/") && !slices.Contains(open(), pattern) {
			out = append(out, [2]string{method, strings.Replace(path, "{id}", "AAAAAAAAAAAAAAAAAAAAAA", 1)})
		}
	}
	return out
}

// TestG128_EveryCallWantsItsOwnSignature: without one, with somebody else's, for another call, body, house or time.
func TestG128_EveryCallWantsItsOwnSignature(t *testing.T) {
	h := newHouse(t)
	s := h.paired(h.Person("ada"))
	if n := len(h.calls()); n != 11 {
		t.Errorf("%d calls want a signature", n)
	}
	id := "AAAAAAAAAAAAAAAAAAAAAA"
	for _, c := range h.calls() {
		method, path := c[0], c[1]
		claims := func(change map[string]any) string {
			all := map[string]any{"aud": origin, "htm": method, "htp": path, "iat": h.Clock.Now().Unix(), "jti": id}
			maps.Copy(all, change)
			maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
			token, err := s.Sign("gatehouse-device+jwt", all)
			must(t, err)
			return token
		}
		good := claims(nil)
		answer, err := s.Sign("gatehouse-answer+jwt", map[string]any{"aud": origin, "htm": method, "htp": path, "iat": h.Clock.Now().Unix(), "jti": id})
		must(t, err)
		none := strings.Replace(good, good[:strings.IndexByte(good, '.')], "eyJhbGciOiJub25lIn0", 1)
		for name, authorization := range map[string]string{
			"none": "", "empty": "Device ", "another scheme": "Bearer " + good, "two words": "Device " + good + " " + good, "no token": "Device x.y.z",
			"not signed": "Device " + none, "cut": "Device " + good[:len(good)-4], "another type": "Device " + answer,
			"another method": "Device " + claims(map[string]any{"htm": "PATCH"}), "another path": "Device " + claims(map[string]any{"htp": "/app/v1/house"}),
			"another query": "Device " + claims(map[string]any{"htp": path + "?wait=1"}), "another house": "Device " + claims(map[string]any{"aud": "https://evil.example"}),
			"a body that is not there": "Device " + claims(map[string]any{"bh": id}), "no path": "Device " + claims(map[string]any{"htp": nil}),
			"a word more": "Device " + claims(map[string]any{"admin": "yes"}), "yesterday": "Device " + claims(map[string]any{"iat": h.Clock.Now().Unix() - 86400}),
			"tomorrow": "Device " + claims(map[string]any{"iat": h.Clock.Now().Unix() + 86400}), "no time": "Device " + claims(map[string]any{"iat": nil}),
			"huge": "Device " + strings.Repeat("a", 8<<10),
		} {
			a := h.ask(method, path, authorization, "")
			pairing := strings.Contains(path, "/pairings/") && a.status == http.StatusGone && strings.Contains(a.body, "pairing.ended") // no such pairing
			if !pairing && (a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") != "Device") {
				t.Errorf("%s %s with %s: %d %s", method, path, name, a.status, a.body)
			}
		}
		if path != "/app/v1/move" { // whose body is made over the signature
			if a := h.ask(method, path, "Device "+claims(nil), `{"more":"than was signed"}`); a.status != http.StatusUnauthorized && a.status != http.StatusGone {
				t.Errorf("%s %s with a body that was not signed: %d %s", method, path, a.status, a.body)
			}
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", origin+"/app/v1/account", nil)
	must(t, err)
	r.Header["Authorization"] = []string{"Device a.b.c", "Device a.b.c"}
	if a := h.do(r); a.status != http.StatusUnauthorized {
		t.Errorf("two headers: %d", a.status)
	}
}

// TestChangingCallsHappenOnce: the very same call heard again is refused.
func TestChangingCallsHappenOnce(t *testing.T) {
	h := newHouse(t)
	s := h.paired(h.Person("ada", method.TOTP))
	token, err := s.Sign("gatehouse-device+jwt", map[string]any{"aud": origin, "htm": "DELETE", "htp": "/app/v1/push", "iat": h.Clock.Now().Unix(), "jti": "AAAAAAAAAAAAAAAAAAAAAA"})
	must(t, err)
	if a := h.ask("DELETE", "/app/v1/push", "Device "+token, ""); a.status != http.StatusNoContent {
		t.Errorf("first: %d %s", a.status, a.body)
	}
	if a := h.ask("DELETE", "/app/v1/push", "Device "+token, ""); a.status != http.StatusUnauthorized {
		t.Errorf("again: %d %s", a.status, a.body)
	}
}

// TestUnknownAndForeignAreAlike: a phone learns nothing of what is not its own.
func TestUnknownAndForeignAreAlike(t *testing.T) {
	h := newHouse(t)
	ada, eve := h.Person("ada"), h.Person("eve")
	hers, s, ctx := h.paired(ada), h.paired(eve), t.Context()
	h.Clock.Add(time.Minute)
	_, step := h.asked(ada)
	list, err := hers.Requests(ctx, 0)
	must(t, err)
	pairing, token, _ := h.begin(ada)
	other := h.handset()
	must(t, other.OpenPairing(ctx, token))
	_, err = other.Claim(ctx, "Ada's next")
	must(t, err)

	refusal := func(err error) softphone.Error {
		t.Helper()
		e, ok := err.(*softphone.Error)
		if !ok {
			t.Fatalf("allowed: %v", err)
		}
		return *e
	}
	unknown, foreign := list[0], list[0]
	unknown.ID = "AAAAAAAAAAAAAAAAAAAAAA"
	for name, act := range map[string]func(softphone.Request) error{
		"approve": func(r softphone.Request) error { return s.Approve(ctx, r, step.Sending.Number) },
		"deny":    func(r softphone.Request) error { return s.Deny(ctx, r) },
		"report":  func(r softphone.Request) error { return s.Report(ctx, r) },
		"extend":  func(r softphone.Request) error { _, err := s.Extend(ctx, r.ID); return err },
	} {
		if a, b := refusal(act(foreign)), refusal(act(unknown)); a != b {
			t.Errorf("%s: somebody else's %+v, nobody's %+v", name, a, b)
		}
	}
	for name, act := range map[string]func(string) error{
		"look":   func(id string) error { _, err := s.PairingState(ctx, id, 0); return err },
		"cancel": func(id string) error { return s.CancelPairing(ctx, id) },
		"move":   func(id string) error { return s.ConfirmMove(ctx, id, "123456") },
	} {
		if a, b := refusal(act(pairing)), refusal(act(unknown.ID)); a != b {
			t.Errorf("%s: somebody else's pairing %+v, nobody's %+v", name, a, b)
		}
	}
	if mine, err := s.Requests(ctx, 0); err != nil || len(mine) != 0 {
		t.Errorf("eve sees %+v, %v", mine, err)
	}
	if err := hers.Approve(ctx, list[0], step.Sending.Number); err != nil {
		t.Errorf("what eve did touched ada's request: %v", err)
	}
}

// TestOneAnswerCounts of many that come at once.
func TestOneAnswerCounts(t *testing.T) {
	h := newHouse(t)
	ada := h.Person("ada")
	s, ctx := h.paired(ada), t.Context()
	h.Clock.Add(time.Minute)
	_, step := h.asked(ada)
	list, err := s.Requests(ctx, 0)
	must(t, err)
	var all sync.WaitGroup
	var mu sync.Mutex
	got := map[string]int{}
	for i := range 20 {
		all.Go(func() {
			decision, number := "approve", step.Sending.Number
			if i%2 == 0 {
				decision, number = "deny", ""
			}
			standing, err := s.Answer(ctx, list[0], decision, number)
			mu.Lock()
			defer mu.Unlock()
			got[standing+softphone.Code(err)]++
		})
	}
	all.Wait()
	if got["approved"]+got["denied"] != 1 || got["request.over"] != 19 {
		t.Errorf("%v", got)
	}
}

// TestAPhoneIsBelievedWordForWord: a decision that says something else than what was asked, or that another key signed,
// changes nothing.
func TestAPhoneIsBelievedWordForWord(t *testing.T) {
	h := newHouse(t)
	ada := h.Person("ada")
	s, ctx := h.paired(ada), t.Context()
	h.Clock.Add(time.Minute)
	_, step := h.asked(ada)
	list, err := s.Requests(ctx, 0)
	must(t, err)
	for name, change := range map[string]func(map[string]any){
		"another request": func(c map[string]any) { c["request"] = "AAAAAAAAAAAAAAAAAAAAAA" },
		"another account": func(c map[string]any) { c["account"] = "x" },
		"another server":  func(c map[string]any) { c["server"] = "https://evil.example" },
		"another time":    func(c map[string]any) { c["time"] = h.Clock.Now().Unix() - 3600 },
		"a word more":     func(c map[string]any) { c["admin"] = true },
		"a word less":     func(c map[string]any) { delete(c, "time") },
		"no decision":     func(c map[string]any) { c["decision"] = "maybe" },
	} {
		s.Alter = func(typ string, claims map[string]any) {
			if typ == "gatehouse-answer+jwt" {
				change(claims)
			}
		}
		if err := s.Approve(ctx, list[0], step.Sending.Number); softphone.Code(err) != "request.answer" {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.Alter = nil
	s.NoUnlock = true
	code(t, s.Approve(ctx, list[0], step.Sending.Number), "request.unlock")
	s.NoUnlock = false
	s.Platform.NotVerified = true
	code(t, s.Approve(ctx, list[0], step.Sending.Number), "request.answer")
	s.Platform.NotVerified, s.Platform.Origin = false, "https://evil.example"
	code(t, s.Approve(ctx, list[0], step.Sending.Number), "request.answer")
	s.Platform.Origin = origin
	must(t, s.Approve(ctx, list[0], step.Sending.Number))
}

// TestCookiesAreNeitherReadNorSet on the app's origin.
func TestCookiesAreNeitherReadNorSet(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{"/", "/app/v1/house", "/app/v1/account", "/nowhere"} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", origin+path, nil)
		must(t, err)
		r.Header.Set("Cookie", "__Host-gatehouse=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA; __Host-gatehouse-browser=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
		r.Header.Set("Origin", "https://evil.example")
		a := h.do(r)
		for _, name := range []string{"Set-Cookie", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"} {
			if a.header.Get(name) != "" {
				t.Errorf("%s answers %s: %s", path, name, a.header.Get(name))
			}
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), "OPTIONS", origin+"/app/v1/account", nil)
	must(t, err)
	r.Header.Set("Origin", "https://evil.example")
	r.Header.Set("Access-Control-Request-Method", "GET")
	r.Header.Set("Access-Control-Request-Headers", "authorization")
	if a := h.do(r); a.status != http.StatusMethodNotAllowed || a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a preflight is answered %d %v", a.status, a.header)
	}
}
