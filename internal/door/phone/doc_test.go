package phone_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/app"
)

func document(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/authenticator-protocol.md")
	must(t, err)
	return string(text)
}

// example is one call as the document shows it: its JSON, "" for none.
type example struct{ request, answer string }

// examples are the calls of the document by their pattern, like "GET /app/v1/pairings/{id}".
func examples(t *testing.T) map[string]example {
	out := map[string]example{}
	for _, part := range strings.Split(document(t), "\n### ")[1:] {
		heading, rest, _ := strings.Cut(part, "\n")
		pattern, _, _ := strings.Cut(heading, "?")
		rest, _, _ = strings.Cut(rest, "\n## ")
		var e example
		for _, m := range regexp.MustCompile("(?s)```json (request|answer)\n(.*?)```").FindAllStringSubmatch(rest, -1) {
			if m[1] == "request" {
				e.request = m[2]
			} else {
				e.answer = m[2]
			}
		}
		out[pattern] = e
	}
	return out
}

// recorder writes down what goes over the wire.
type recorder struct {
	next  http.RoundTripper
	calls map[string]example
}

var ids = regexp.MustCompile(`^/app/v1/(pairings|requests)/[A-Za-z0-9_-]{20,}`)

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	var sent []byte
	if request.Body != nil {
		var err error
		if sent, err = io.ReadAll(request.Body); err != nil {
			return nil, err
		}
		request.Body = io.NopCloser(bytes.NewReader(sent))
	}
	answer, err := r.next.RoundTrip(request)
	if err != nil || answer.StatusCode >= 400 {
		return answer, err
	}
	text, err := io.ReadAll(answer.Body)
	answer.Body = io.NopCloser(bytes.NewReader(text))
	r.calls[request.Method+" "+ids.ReplaceAllString(request.URL.Path, "/app/v1/$1/{id}")] = example{string(sent), string(text)}
	return answer, err
}

// everything that a phone does in its life.
func everything(t *testing.T, h *house) {
	ctx := t.Context()
	ada := h.Person("ada", method.TOTP)
	s := h.handset()
	id, token, _ := h.begin(ada)
	must(t, s.OpenPairing(ctx, token))
	shown, err := s.Claim(ctx, "Pixel 9")
	must(t, err)
	must(t, errOf(s.PairingState(ctx, id, 0)))
	h.confirm(ada, id, shown)
	must(t, errOf(s.Show(ctx)))
	must(t, s.Subscribe(ctx, "https://push.example/1"))
	must(t, s.Unsubscribe(ctx))
	h.Clock.Add(time.Minute)
	_, step := h.asked(ada)
	list, err := s.Requests(ctx, 0)
	must(t, err)
	must(t, errOf(s.Extend(ctx, list[0].ID)))
	must(t, s.Approve(ctx, list[0], step.Sending.Number))
	m, err := s.Move(ctx)
	must(t, err)
	must(t, s.CancelPairing(ctx, m.Pairing))
	m, err = s.Move(ctx)
	must(t, err)
	next := h.handset()
	_, token, err = softphone.ParseLink(m.Link)
	must(t, err)
	must(t, next.OpenPairing(ctx, token))
	shown, err = next.Claim(ctx, "Pixel 10")
	must(t, err)
	must(t, s.ConfirmMove(ctx, m.Pairing, shown))
	next.LoseStorage()
	must(t, next.Restore(ctx, "Pixel 10"))
	must(t, next.Leave(ctx))
}

func errOf[T any](_ T, err error) error { return err }

// names lists the members of a JSON value with their types; what WebAuthn defines is not ours to list.
func names(t *testing.T, text string) (out []string) {
	t.Helper()
	if strings.TrimSpace(text) == "" {
		return nil
	}
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			foreign := strings.HasSuffix(path, ".options") || path == ".unlock" && v["required"] == nil || path == ".assertion"
			if foreign {
				out = append(out, path+" WebAuthn")
				return
			}
			for name, member := range v {
				walk(path+"."+name, member)
			}
		case []any:
			for _, member := range v {
				walk(path+"[]", member)
			}
		default:
			out = append(out, fmt.Sprintf("%s %T", path, v))
		}
	}
	walk("", value)
	slices.Sort(out)
	return slices.Compact(out)
}

// TestTheDocumentShowsEveryCall, with the members that really go over the wire.
func TestTheDocumentShowsEveryCall(t *testing.T) {
	h := newHouse(t)
	wire := &recorder{h.client.Transport, map[string]example{}}
	h.client.Transport = wire
	everything(t, h)
	written := examples(t)
	for _, route := range h.door.Routes() {
		pattern := strings.TrimPrefix(route, "api ")
		if !strings.Contains(pattern, " /app/v1/") {
			continue
		}
		doc, ok := written[pattern]
		real, called := wire.calls[pattern]
		if !ok || !called {
			t.Errorf("%s: written %v, called %v", pattern, ok, called)
			continue
		}
		delete(written, pattern)
		if a, b := names(t, doc.request), names(t, real.request); !slices.Equal(a, b) {
			t.Errorf("%s is written with %v and sent with %v", pattern, a, b)
		}
		if a, b := names(t, doc.answer), names(t, real.answer); !slices.Equal(a, b) {
			t.Errorf("%s is written to answer %v and answers %v", pattern, a, b)
		}
	}
	if len(written) > 0 {
		t.Errorf("written but not there: %v", slices.Collect(maps.Keys(written)))
	}
}

// TestTheDocumentsSignatureHolds, so that it can be tested against.
func TestTheDocumentsSignatureHolds(t *testing.T) {
	text := document(t)
	block := func(kind string) string {
		m := regexp.MustCompile("(?s)```" + kind + "\n(.*?)\n```").FindStringSubmatch(text)
		if m == nil {
			t.Fatal(kind)
		}
		return m[1]
	}
	key, err := app.ParseKey([]byte(block("json key")))
	must(t, err)
	name := base64.RawURLEncoding.EncodeToString(key.Thumbprint())
	jws, ok := app.ReadJWS(block("jws"), "gatehouse-device+jwt")
	if _, verified := jws.Verify(key); !ok || !verified || jws.KeyID() != name || !strings.Contains(text, "`"+name+"`") {
		t.Errorf("%v %v %s", ok, verified, name)
	}
}

// TestTheDocumentListsEveryError that the phone's flow and door give, with its status.
func TestTheDocumentListsEveryError(t *testing.T) {
	written := map[string]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| (\d{3}) \| (.*?) \|`).FindAllStringSubmatch(document(t), -1) {
		for _, code := range regexp.MustCompile("`([a-z_.]+)`").FindAllStringSubmatch(row[2], -1) {
			written[code[1]] = row[1]
		}
	}
	kinds := map[string]fault.Kind{"BadInput": fault.BadInput, "Unauthenticated": fault.Unauthenticated, "Forbidden": fault.Forbidden, "NotFound": fault.NotFound,
		"Conflict": fault.Conflict, "Expired": fault.Expired, "TooMany": fault.TooMany, "TooLarge": fault.TooLarge, "Misdirected": fault.Misdirected}
	given := map[string]bool{"internal": true, "enrol.method_unknown": true} // the latter only where the app is not offered
	use := regexp.MustCompile(`fault\.New\(fault\.(\w+),\s*"([a-z_.]+)"`)
	for _, folder := range []string{"../../device", ".", "../../enrol", "../httpdoor"} {
		files, err := filepath.Glob(folder + "/*.go")
		must(t, err)
		for _, name := range files {
			text, err := os.ReadFile(name)
			must(t, err)
			for _, m := range use.FindAllStringSubmatch(string(text), -1) {
				code, status := m[2], fmt.Sprint(httpdoor.Status(fault.New(kinds[m[1]], m[2], "")))
				have, ok := written[code]
				ours := folder == "../../device" || folder == "."
				if ours && !ok && !given[code] || ok && have != status {
					t.Errorf("%s (%s) is written as %q", code, status, have)
				}
				given[code] = true
			}
		}
	}
	for code := range written {
		if !given[code] {
			t.Errorf("%s is written and nobody gives it", code)
		}
	}
}
