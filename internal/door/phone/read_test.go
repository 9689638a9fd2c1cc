package phone_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/door/phone"
)

func TestBodiesAreReadInOneWayOnly(t *testing.T) {
	for body, good := range map[string]bool{
		`{"text":"a"}`: true, ` {"text":"a","object":{"x":[1,{"y":2}]}} ` + "\r\n\t": true, `{"text":"a","object":null}`: true, `{"text":"\u00e9"}`: true,
		``: false, `null`: false, `[]`: false, `"a"`: false, `{}`: false, `{"object":{}}`: false,
		`{"text":"a","text":"b"}`: false, `{"text":"a","TEXT":"b"}`: false, `{"Text":"a"}`: false, `{"text":"a","more":1}`: false,
		`{"text":"a"}{}`: false, `{"text":"a"} x`: false, `{"text":"a"`: false, `{"text":1}`: false, `{"text":null}`: false, `{"text":["a"]}`: false,
		`{"text":"a","object":"b"}`: false, `{"text":"a","object":[]}`: false, `{"text":"a","object":1}`: false, `{"text":"a","object":true}`: false,
		`{"text":"a","object":{"x":1,"x":2}}`: false, `{"text":"a","object":{"x":{"y":1,"y":2}}}`: false, `{"text":"a","object":{"x":1,"\u0078":2}}`: false,
		"{\"text\":\"\xff\"}": false, `{"text":"a\u0000b"}`: false, `{"text":"a\nb"}`: false, "{\"text\":\"a\",}": false, `{text:"a"}`: false, "\ufeff{\"text\":\"a\"}": false,
		`{"text":"a","object":` + strings.Repeat(`{"x":`, 7) + `1` + strings.Repeat(`}`, 8):           true,
		`{"text":"a","object":` + strings.Repeat(`{"x":`, 8) + `1` + strings.Repeat(`}`, 9):           false,
		`{"text":"a","object":{"x":` + strings.Repeat(`[`, 10000) + strings.Repeat(`]`, 10000) + `}}`: false,
	} {
		var text string
		var object json.RawMessage
		if got := phone.ReadObject([]byte(body), map[string]any{"text": &text, "object": &object}); got != good {
			t.Errorf("%.80s: %v", body, got)
		}
	}
}

// FuzzReadObject: whatever it accepts, the standard library reads the same words in, and everything is named once.
func FuzzReadObject(f *testing.F) {
	for _, s := range []string{`{"text":"a"}`, `{"text":"a","object":{"x":[1,2]}}`, `{"text":"a","text":"b"}`, `{"text":"a","object":null} `, `{"Text":"a"}`, `{"text":"\ud800"}`, `[]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var text string
		var object json.RawMessage
		if !phone.ReadObject(body, map[string]any{"text": &text, "object": &object}) {
			return
		}
		var again map[string]json.RawMessage
		if err := json.Unmarshal(body, &again); err != nil {
			t.Fatal(err)
		}
		var word string
		if err := json.Unmarshal(again["text"], &word); err != nil || word != text || strings.ContainsAny(text, "\x00\r\n\t\x7f") {
			t.Errorf("%q, %q: %v", text, word, err)
		}
		for name, value := range again {
			if name != "text" && name != "object" || name == "object" && object != nil && string(value) != string(object) {
				t.Errorf("%q was let through", name)
			}
		}
	})
}

// TestStrangersBodies brings what is no body of the protocol to every call that anybody may make: none is a fault of ours.
func TestStrangersBodies(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{"/app/v1/pairings/open", "/app/v1/pairings/claim", "/app/v1/restore/open", "/app/v1/restore"} {
		for _, body := range []string{``, `x`, `{"token":"x","code":"y"}`, `{"token":""}`, `{"code":"` + strings.Repeat("A", 9999) + `"}`, `{"token":"x"}`, `{"code":"ABCD-EFGH"}`,
			`{"state":"x","key":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},"unlock":null,"name":"x","proof":"x.y.z"}`,
			`{"state":"x","key":null,"unlock":null,"name":"x","proof":""}`, `{"state":"x","assertion":{"id":"x","response":{}},"key":{},"name":"x","proof":"x"}`,
			`{"state":"x","assertion":null,"key":{"d":"AA"},"name":"x","proof":"x"}`, `{"more":1}`} {
			if a := h.ask("POST", path, "", body); a.status < 400 || a.status >= 500 {
				t.Errorf("%s with %.60s: %d %s", path, body, a.status, a.body)
			}
		}
		if a := h.ask("POST", path, "", `{"token":"`+strings.Repeat("a", phone.MaxBody)+`"}`); a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s with too much: %d", path, a.status)
		}
		r, err := http.NewRequestWithContext(t.Context(), "POST", origin+path, strings.NewReader(`{"token":"x"}`))
		must(t, err)
		r.Header.Set("Content-Type", "text/plain") // what a form on a stranger's page can send
		if a := h.do(r); a.status != http.StatusUnsupportedMediaType {
			t.Errorf("%s as text: %d", path, a.status)
		}
	}
}
