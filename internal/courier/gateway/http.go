package gateway

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/courier"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// The content types of a body.
const (
	JSON = "application/json"
	Form = "application/x-www-form-urlencoded"
)

// HTTP describes a gateway. It carries texts, or reads them out where the gateway is one for calls.
type HTTP struct {
	URL    string // https, or http on this machine
	Method string // "" or POST, PUT, or GET, whose Body is the address' query
	// Headers beside Content-Type. SecretHeader is one more, with the value of a file: "Authorization", "Bearer …".
	Headers      map[string]string
	SecretHeader string
	Secret       secret.String
	ContentType  string // "" or JSON, or Form
	// Body with {{.To}} (E.164, with its +), {{.Digits}} (without), {{.Text}}, {{.From}}. In JSON a place stands within
	// quotes, in a form it is a value: {"to":"{{.To}}","text":"{{.Text}}"}, to={{.To}}&text={{.Text}}.
	Body string
	From string
	// Success are the statuses that mean accepted; empty: 200, 201, 202, 204. Refused those that mean that this number can
	// never be reached; empty: 404, 410, 422. Any other is tried again while the message is worth it.
	Success, Refused []int
	Roots            *x509.CertPool   // nil: the system's
	Now              func() time.Time // nil: time.Now
}

var (
	place      = regexp.MustCompile(`\{\{\s*\.([A-Za-z]+)\s*\}\}`)
	headerName = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+.^_|~-]+$`)
)

// hostile is what Check sends through a body: every character that could end a value.
const hostile = "a\"b'\\c\n}{d&e=f%g+h;i<j> \u00e9\u20ac"

// values are what the places stand for.
type values struct{ to, text, from string }

// fill puts values into a body, encoded for its content type.
func (h HTTP) fill(v values) string {
	return place.ReplaceAllStringFunc(h.Body, func(at string) string {
		value := map[string]string{"To": v.to, "Digits": strings.TrimPrefix(v.to, "+"), "Text": v.text, "From": v.from}[place.FindStringSubmatch(at)[1]]
		if h.ContentType == Form {
			return url.QueryEscape(value)
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(value) // a string always encodes
		return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(b.String()), `"`), `"`)
	})
}

func (h HTTP) defaults() HTTP {
	if h.Method == "" {
		h.Method = http.MethodPost
	}
	if h.ContentType == "" {
		h.ContentType = JSON
	}
	if len(h.Success) == 0 {
		h.Success = []int{200, 201, 202, 204}
	}
	if len(h.Refused) == 0 {
		h.Refused = []int{404, 410, 422}
	}
	if h.Now == nil {
		h.Now = time.Now
	}
	return h
}

// Check says all that is wrong with the description; nothing is sent.
func (h HTTP) Check() []Problem {
	h = h.defaults()
	out := checkURL(h.URL)
	if !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodGet}, h.Method) {
		out = append(out, Problem{"method", "write POST, PUT or GET"})
	}
	if h.ContentType != JSON && h.ContentType != Form {
		out = append(out, Problem{"content_type", "write " + JSON + " or " + Form})
	}
	if h.Method == http.MethodGet {
		if h.ContentType != Form {
			out = append(out, Problem{"content_type", "write " + Form + ": a GET has its values in the address"})
		}
		if u, err := url.Parse(h.URL); err == nil && u.RawQuery != "" {
			out = append(out, Problem{"url", "write what follows the ? as body"})
		}
	}
	out = append(out, h.checkHeaders()...)
	for field, list := range map[string][]int{"success": h.Success, "refused": h.Refused} {
		for _, s := range list {
			if s < 200 || s > 599 || field == "success" && s > 299 || field == "refused" && s < 400 {
				out = append(out, Problem{field, fmt.Sprintf("%d is not such a status", s)})
			}
		}
	}
	return append(out, h.checkBody()...)
}

func (h HTTP) checkHeaders() []Problem {
	var out []Problem
	for _, name := range slices.Sorted(maps.Keys(h.Headers)) {
		switch textproto.CanonicalMIMEHeaderKey(name) {
		case "Content-Type", "Content-Length", "Host", "Transfer-Encoding", "Connection":
			out = append(out, Problem{"headers." + name, "leave it out; it is set by itself"})
			continue
		}
		if !headerName.MatchString(name) || strings.ContainsAny(h.Headers[name], "\r\n\x00") {
			out = append(out, Problem{"headers." + name, "is no header"})
		}
	}
	switch {
	case h.SecretHeader == "" && !h.Secret.Empty():
		out = append(out, Problem{"secret_header", "write which header the secret belongs into, like Authorization"})
	case h.SecretHeader != "" && !headerName.MatchString(h.SecretHeader):
		out = append(out, Problem{"secret_header", "is no header"})
	case h.SecretHeader != "" && (h.Secret.Empty() || strings.ContainsAny(h.Secret.Reveal(), "\r\n\x00")):
		out = append(out, Problem{"secret_file", "must hold one line: the header's value, like Bearer … or Basic …"})
	}
	return out
}

// checkBody sends hostile values through the body and looks for them on the other side.
func (h HTTP) checkBody() []Problem {
	var seen []string
	for _, m := range place.FindAllStringSubmatch(h.Body, -1) {
		if !slices.Contains([]string{"To", "Digits", "Text", "From"}, m[1]) {
			return []Problem{{"body", "{{." + m[1] + "}} is none of {{.To}}, {{.Digits}}, {{.Text}}, {{.From}}"}}
		}
		seen = append(seen, m[1])
	}
	rest := place.ReplaceAllString(h.Body, "")
	switch {
	case strings.Contains(rest, "{{"):
		return []Problem{{"body", "write places as {{.To}} and {{.Text}}"}}
	case !slices.Contains(seen, "To") && !slices.Contains(seen, "Digits"):
		return []Problem{{"body", "says to nobody: write {{.To}} where the number belongs"}}
	case !slices.Contains(seen, "Text"):
		return []Problem{{"body", "says nothing: write {{.Text}} where the text belongs"}}
	case slices.Contains(seen, "From") && h.From == "":
		return []Problem{{"from", "write the sender that the body speaks of"}}
	}
	filled := h.fill(values{to: "+1" + hostile, text: "2" + hostile, from: "3" + hostile})
	found := map[string]bool{}
	if h.ContentType == Form {
		form, err := url.ParseQuery(filled)
		if err != nil {
			return []Problem{{"body", "is no form: write to={{.To}}&text={{.Text}}"}}
		}
		for _, list := range form {
			for _, v := range list {
				found[v] = true
			}
		}
	} else {
		var doc any
		if json.Unmarshal([]byte(filled), &doc) != nil {
			return []Problem{{"body", `is no JSON: write {"to":"{{.To}}","text":"{{.Text}}"}, each place within quotes`}}
		}
		stringsOf(doc, found)
	}
	for _, name := range seen {
		want := map[string]string{"To": "+1" + hostile, "Digits": "1" + hostile, "Text": "2" + hostile, "From": "3" + hostile}[name]
		if !slices.ContainsFunc(slices.Collect(maps.Keys(found)), func(v string) bool { return strings.Contains(v, want) }) {
			return []Problem{{"body", "{{." + name + "}} must stand where a value stands"}}
		}
	}
	return nil
}

// stringsOf collects the values, not the names, of a JSON document.
func stringsOf(doc any, into map[string]bool) {
	switch v := doc.(type) {
	case string:
		into[v] = true
	case []any:
		for _, one := range v {
			stringsOf(one, into)
		}
	case map[string]any:
		for _, one := range v {
			stringsOf(one, into)
		}
	}
}

// NewHTTP makes the channel; it connects to nothing.
func NewHTTP(h HTTP) (courier.Channel, error) {
	if problems := h.Check(); len(problems) > 0 {
		return nil, join(problems)
	}
	return &sender{HTTP: h.defaults(), client: client(h.Roots)}, nil
}

type sender struct {
	HTTP
	client *http.Client
}

// Send implements courier.Channel.
func (s *sender) Send(ctx context.Context, l courier.Letter) error {
	text := plain(l.Body)
	if !number.MatchString(l.To) {
		return errNumber
	}
	body, address := s.fill(values{to: l.To, text: text, from: s.From}), s.URL
	if s.Method == http.MethodGet {
		address, body = address+"?"+body, ""
	}
	r, err := http.NewRequestWithContext(ctx, s.Method, address, strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: the request cannot be built", courier.ErrRefused)
	}
	for name, value := range s.Headers {
		r.Header.Set(name, value)
	}
	if s.Method != http.MethodGet {
		r.Header.Set("Content-Type", s.ContentType)
	}
	if s.SecretHeader != "" {
		r.Header.Set(s.SecretHeader, s.Secret.Reveal())
	}
	a, err := exchange(ctx, s.client, s.Now, r)
	switch {
	case err != nil:
		return err
	case slices.Contains(s.Success, a.status):
		return nil
	case slices.Contains(s.Refused, a.status):
		return refused(a, "")
	}
	return a.failed("")
}
