package softphone_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/courier/webpush"
	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
)

// house answers as the protocol does, with the answers that a test gives it, and keeps what it was sent.
type house struct {
	*httptest.Server
	answers map[string]string // "POST /app/v1/…" ─► body; "204" for none, "401 {…}" with a status
	sent    map[string]string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{answers: map[string]string{}, sent: map[string]string{}}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route := r.Method + " " + r.URL.Path
		body := new(strings.Builder)
		if _, err := readInto(body, r); err != nil {
			t.Error(err)
		}
		h.sent[route] = body.String()
		answer, ok := h.answers[route]
		switch {
		case !ok:
			t.Errorf("%s was called", route)
			w.WriteHeader(http.StatusNotFound)
		case answer == "204":
			w.WriteHeader(http.StatusNoContent)
		case strings.HasPrefix(answer, "429 "):
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
			w.Write([]byte(answer[4:]))
		default:
			w.Write([]byte(answer))
		}
	}))
	t.Cleanup(h.Close)
	h.answers["GET /app/v1/house"] = `{"protocol":1,"server":"https://signin.example.ac.uk","origin":"` + h.URL + `","unlock":"optional","push":"","more":"ignored"}`
	h.answers["POST /app/v1/pairings/open"] = `{"pairing":"p1","expires":1,"state":"s1","unlock":{"required":false,"options":null}}`
	return h
}

func readInto(to *strings.Builder, r *http.Request) (int64, error) {
	var raw json.RawMessage
	if r.ContentLength == 0 {
		return 0, nil
	}
	if err := json.NewDecoder(r.Body).Decode(&raw); err != nil {
		return 0, err
	}
	n, err := to.Write(raw)
	return int64(n), err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// claimed is a phone that a house has taken.
func claimed(t *testing.T, h *house) *softphone.Phone {
	t.Helper()
	p := softphone.New(h.URL, h.Client())
	p.NoUnlock = true
	must(t, p.OpenPairing(t.Context(), "ABCD-EFGH"))
	if h.sent["POST /app/v1/pairings/open"] != `{"code":"ABCD-EFGH"}` {
		t.Errorf("opened with %s", h.sent["POST /app/v1/pairings/open"])
	}
	// The house names the phone as the phone names itself: by the key that it has just made.
	p.Alter = func(string, map[string]any) {
		h.answers["POST /app/v1/pairings/claim"] = `{"device":"` + p.Device() + `","account":"a1","code":"123456",
			"passcode":{"secret":"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ","algorithm":"SHA1","digits":8,"period":30},"expires":1}`
	}
	code, err := p.Claim(t.Context(), "Test")
	if err != nil || code != "123456" {
		t.Fatalf("%q, %v", code, err)
	}
	p.Alter = nil
	return p
}

func TestAPhoneIsKeptInAFile(t *testing.T) {
	h := newHouse(t)
	p := claimed(t, h)
	h.answers["PUT /app/v1/push"] = "204"
	must(t, p.Subscribe(t.Context(), "https://push.example/1"))
	path := filepath.Join(t.TempDir(), "phone.json")
	must(t, p.Save(path))
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	back, err := softphone.Load(path, h.Client())
	must(t, err)
	if back.Device() != p.Device() || back.Account() != "a1" || !back.Key().Equal(p.Key()) || back.Origin() != h.URL || back.Pairing() != "p1" {
		t.Errorf("%s %s %s", back.Device(), back.Account(), back.Pairing())
	}
	// RFC 6238 appendix B, at 59 seconds.
	if code, err := back.Passcode(time.Unix(59, 0)); err != nil || code != "94287082" {
		t.Errorf("%q, %v", code, err)
	}
	var sub struct{ P256DH, Auth string }
	must(t, json.Unmarshal([]byte(h.sent["PUT /app/v1/push"]), &sub))
	key, err1 := base64.RawURLEncoding.DecodeString(sub.P256DH)
	auth, err2 := base64.RawURLEncoding.DecodeString(sub.Auth)
	body, err3 := webpush.Encrypt([]byte(webpush.Payload), key, auth, 64)
	for _, err := range []error{err1, err2, err3} {
		must(t, err)
	}
	if text, err := back.ReadPush(body); err != nil || text != `{"waiting":true}` {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := softphone.Load(filepath.Join(t.TempDir(), "none"), h.Client()); !os.IsNotExist(err) {
		t.Error(err)
	}
	for _, junk := range []string{"", "{", "[]", `{"key":"AAAA"}`, `{"passkeys":[{"key":"AA"}]}`, `{"push_key":"AA"}`} {
		must(t, os.WriteFile(path, []byte(junk), 0o600))
		if _, err := softphone.Load(path, h.Client()); err == nil {
			t.Errorf("%q is a phone", junk)
		}
	}
}

func TestAPhoneTrustsTheHouseThatItStandsAt(t *testing.T) {
	h := newHouse(t)
	p := softphone.New(h.URL, h.Client())
	for name, answer := range map[string]string{
		"another origin": `{"protocol":1,"origin":"https://evil.example"}`, "another protocol": `{"protocol":2,"origin":"` + h.URL + `"}`,
		"a captive portal": `<html>Welcome</html>`, "nothing": ``,
	} {
		h.answers["GET /app/v1/house"] = answer
		if err := p.OpenPairing(t.Context(), "ABCD-EFGH"); err == nil || h.sent["POST /app/v1/pairings/open"] != "" {
			t.Errorf("%s: %v, sent %q", name, err, h.sent["POST /app/v1/pairings/open"])
		}
	}
	h = newHouse(t)
	p = softphone.New(h.URL, h.Client())
	must(t, p.OpenPairing(t.Context(), "AAAAAAAAAAAAAAAAAAAAAA"))
	h.answers["POST /app/v1/pairings/claim"] = `{"device":"another","account":"a1","code":"123456"}`
	if _, err := p.Claim(t.Context(), "Test"); err == nil {
		t.Error("the house took another key, and the phone is content")
	}
}

func TestErrorsAreRead(t *testing.T) {
	h := newHouse(t)
	p := claimed(t, h)
	h.answers["GET /app/v1/requests"] = `429 {"error":"request.flood","message":"Wait.","left":2}`
	_, err := p.Requests(t.Context(), 0)
	e, ok := err.(*softphone.Error)
	if !ok || e.Status != 429 || e.Code != "request.flood" || e.RetryAfter != 7*time.Second || e.Left != 2 || softphone.Code(err) != "request.flood" {
		t.Errorf("%#v", err)
	}
	h.answers["GET /app/v1/requests"] = `429 nonsense`
	if _, err := p.Requests(t.Context(), 0); softphone.Code(err) != "broken" {
		t.Error(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := p.Requests(ctx, 0); err == nil || softphone.Code(err) != "" {
		t.Error(err)
	}
	if _, err := softphone.New(h.URL, h.Client()).Requests(t.Context(), 0); err == nil {
		t.Error("a phone without a key has called")
	}
}

func TestParseLink(t *testing.T) {
	origin, token, err := softphone.ParseLink(" https://phone.example.ac.uk/#pair=abc\n")
	if err != nil || origin != "https://phone.example.ac.uk" || token != "abc" {
		t.Errorf("%q %q %v", origin, token, err)
	}
	for _, s := range []string{"", "ABCD-EFGH", "https://phone.example.ac.uk/", "https://phone.example.ac.uk/#pair=", "https://phone.example.ac.uk/?pair=x", "ftp://x/#pair=x", "https:///#pair=x", "javascript://x/#pair=x"} {
		if _, _, err := softphone.ParseLink(s); err == nil {
			t.Errorf("%q is a link", s)
		}
	}
}
