package gateway

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

// A body that Check let pass keeps its shape whatever a text holds.
func FuzzBody(f *testing.F) {
	f.Add(`{"to":"{{.To}}","text":"{{.Text}}"}`, `"},{"to":"+15550000000`, false)
	f.Add(`to={{.To}}&text={{.Text}}`, "a&to=+15550000000", true)
	f.Add(`{"a":"{{.To}}{{.Text}}\u0041"}`, "\x00\xff\\", false)
	f.Add(`["{{.To}}",["{{.Text}}"]]`, "{{.To}}", false)
	f.Fuzz(func(t *testing.T, body, text string, form bool) {
		h := HTTP{URL: "https://sms.example.ac.uk", Body: body, From: "x", ContentType: JSON}
		if form {
			h.ContentType = Form
		}
		if len(h.Check()) > 0 {
			return
		}
		text = strings.ToValidUTF8(text, "?")
		plainly, filled := h.fill(values{"+12025550123", "a", "x"}), h.fill(values{"+12025550123", text, "x"})
		if form {
			want, err1 := url.ParseQuery(plainly)
			got, err2 := url.ParseQuery(filled)
			if err1 != nil || err2 != nil || len(want) != len(got) {
				t.Fatalf("%q: %v %v", filled, err1, err2)
			}
			return
		}
		var want, got any
		if json.Unmarshal([]byte(plainly), &want) != nil || json.Unmarshal([]byte(filled), &got) != nil || shape(want) != shape(got) {
			t.Fatalf("%q changed its shape: %q", plainly, filled)
		}
	})
}

// shape is a document without its texts.
func shape(doc any) string {
	switch v := doc.(type) {
	case string:
		return "s"
	case []any:
		var all []string
		for _, one := range v {
			all = append(all, shape(one))
		}
		return "[" + strings.Join(all, ",") + "]"
	case map[string]any:
		n := map[string]string{}
		for k, one := range v {
			n[k] = shape(one)
		}
		b, _ := json.Marshal(n) // sorted by key
		return string(b)
	}
	return "v"
}
