package gateway_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/courier"
	"github.com/gatehouse-id/gatehouse/internal/courier/gateway"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

const (
	ada     = "+12025550123"
	nasty   = "Your \"code\" is 123456\nto=+15550000000&text=x {{.To}} \\ \u20ac </Say>\u202e"
	nastyIn = "Your \"code\" is 123456\nto=+15550000000&text=x {{.To}} \\ \u20ac </Say>" // without the mark that turns writing round
)

// got is a request as it arrived.
type got struct {
	method, uri, body string
	header            http.Header
}

// server is a gateway that remembers, and answers with status.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	seen   []got
	status int
	answer string
	header map[string]string
}

func newServer(t *testing.T, status int) *server {
	t.Helper()
	s := &server{status: status}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seen = append(s.seen, got{r.Method, r.RequestURI, string(body), r.Header.Clone()})
		for k, v := range s.header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(s.status)
		fmt.Fprint(w, s.answer)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) only(t *testing.T) got {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) != 1 {
		t.Fatalf("%d requests", len(s.seen))
	}
	return s.seen[0]
}

func channel(t *testing.T, h gateway.HTTP) courier.Channel {
	t.Helper()
	c, err := gateway.NewHTTP(h)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestJSONIsSentAsDescribed(t *testing.T) {
	s := newServer(t, 202)
	c := channel(t, gateway.HTTP{URL: s.URL + "/send?v=2", Headers: map[string]string{"X-Tenant": "example"}, SecretHeader: "Authorization",
		Secret: secret.NewString("Bearer s3cret"), From: "Campus", Body: `{"from":"{{.From}}","messages":[{"to":["{{.To}}"],"digits":"{{ .Digits }}","text":"{{.Text}}"}]}`})
	if err := c.Send(t.Context(), courier.Letter{ID: "m", To: ada, Body: nasty}); err != nil {
		t.Fatal(err)
	}
	r := s.only(t)
	if r.method != "POST" || r.uri != "/send?v=2" || r.header.Get("Content-Type") != gateway.JSON || r.header.Get("X-Tenant") != "example" || r.header.Get("Authorization") != "Bearer s3cret" {
		t.Errorf("%+v", r)
	}
	var doc struct {
		From     string
		Messages []struct {
			To           []string
			Digits, Text string
		}
	}
	if err := json.Unmarshal([]byte(r.body), &doc); err != nil {
		t.Fatal(err, r.body)
	}
	m := doc.Messages[0]
	if doc.From != "Campus" || len(doc.Messages) != 1 || len(m.To) != 1 || m.To[0] != ada || m.Digits != ada[1:] || m.Text != nastyIn {
		t.Errorf("%+v", doc)
	}
}

func TestFormsAreSentAsDescribed(t *testing.T) {
	for _, verb := range []string{"POST", "PUT", "GET"} {
		s := newServer(t, 200)
		c := channel(t, gateway.HTTP{URL: s.URL + "/sms", Method: verb, ContentType: gateway.Form, Body: "to={{.Digits}}&text={{.Text}}&flash=0"})
		if err := c.Send(t.Context(), courier.Letter{To: ada, Body: nasty}); err != nil {
			t.Fatal(err)
		}
		r := s.only(t)
		raw := r.body
		if verb == "GET" {
			_, raw, _ = strings.Cut(r.uri, "?")
			if r.body != "" {
				t.Errorf("a GET with a body: %q", r.body)
			}
		} else if r.header.Get("Content-Type") != gateway.Form {
			t.Errorf("%v", r.header)
		}
		form, err := url.ParseQuery(raw)
		if err != nil || r.method != verb || len(form) != 3 || len(form["to"]) != 1 || form.Get("to") != ada[1:] || form.Get("text") != nastyIn || form.Get("flash") != "0" {
			t.Errorf("%s: %v %v", verb, form, err)
		}
	}
}

func TestWhatAnswersMean(t *testing.T) {
	h := gateway.HTTP{ContentType: gateway.Form, Body: "to={{.To}}&text={{.Text}}", Now: func() time.Time { return time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC) }}
	for _, tc := range []struct {
		status int
		header map[string]string
		ok     bool
		final  bool
		after  time.Duration
	}{
		{status: 200, ok: true}, {status: 202, ok: true}, {status: 404, final: true}, {status: 422, final: true},
		{status: 400}, {status: 401}, {status: 403}, {status: 500}, {status: 503, header: map[string]string{"Retry-After": "90"}, after: 90 * time.Second},
		{status: 429, header: map[string]string{"Retry-After": "Mon, 02 Nov 2026 09:02:00 GMT"}, after: 2 * time.Minute},
		{status: 429, header: map[string]string{"Retry-After": "soon"}}, {status: 503, header: map[string]string{"Retry-After": "-5"}},
		{status: 302, header: map[string]string{"Location": "http://127.0.0.1:1/elsewhere"}}, {status: 206},
	} {
		s := newServer(t, tc.status)
		s.header, s.answer = tc.header, "you sent 123456 to "+ada
		h.URL = s.URL
		err := channel(t, h).Send(t.Context(), courier.Letter{To: ada, Body: "123456"})
		var later *courier.Later
		after := time.Duration(0)
		if errors.As(err, &later) {
			after = later.After
		}
		if (err == nil) != tc.ok || errors.Is(err, courier.ErrRefused) != tc.final || after != tc.after {
			t.Errorf("%d: %v, after %v", tc.status, err, after)
		}
		if err != nil && (strings.Contains(err.Error(), "123456") || strings.Contains(err.Error(), "5550123")) {
			t.Errorf("%d: the error says what was sent: %v", tc.status, err)
		}
		s.only(t) // a redirect is not followed
	}
}

func TestAnUnreachableGatewayIsTriedAgainAndNamesNobody(t *testing.T) {
	s := newServer(t, 200)
	s.Close()
	err := channel(t, gateway.HTTP{URL: s.URL, Method: "GET", ContentType: gateway.Form, Body: "to={{.To}}&text={{.Text}}"}).Send(t.Context(), courier.Letter{To: ada, Body: "123456"})
	if err == nil || errors.Is(err, courier.ErrRefused) || strings.Contains(err.Error(), "5550123") || strings.Contains(err.Error(), "123456") {
		t.Error(err)
	}
}

func TestWhatIsNoNumberIsNotSent(t *testing.T) {
	s := newServer(t, 200)
	c := channel(t, gateway.HTTP{URL: s.URL, Body: `{"to":"{{.To}}","text":"{{.Text}}"}`})
	for _, to := range []string{"", "112", "12025550123", "+0123456789", ada + "\r\nX: y", "+1202555012a", "+1234567890123456"} {
		if err := c.Send(t.Context(), courier.Letter{To: to, Body: "x"}); !errors.Is(err, courier.ErrRefused) {
			t.Errorf("%q: %v", to, err)
		}
	}
	if len(s.seen) != 0 {
		t.Error("something was sent")
	}
}

func TestDescriptionsAreChecked(t *testing.T) {
	good := gateway.HTTP{URL: "https://sms.example.ac.uk/send", Body: `{"to":"{{.To}}","text":"{{.Text}}"}`}
	if p := good.Check(); len(p) != 0 {
		t.Fatal(p)
	}
	for name, tc := range map[string]struct {
		change func(*gateway.HTTP)
		field  string
	}{
		"no address":          {func(h *gateway.HTTP) { h.URL = "" }, "url"},
		"in clear":            {func(h *gateway.HTTP) { h.URL = "http://sms.example.ac.uk/" }, "url"},
		"almost loopback":     {func(h *gateway.HTTP) { h.URL = "http://127.0.0.1.example.ac.uk/" }, "url"},
		"a password in it":    {func(h *gateway.HTTP) { h.URL = "https://u:p@sms.example.ac.uk/" }, "url"},
		"a fragment":          {func(h *gateway.HTTP) { h.URL += "#x" }, "url"},
		"another scheme":      {func(h *gateway.HTTP) { h.URL = "ftp://sms.example.ac.uk/" }, "url"},
		"a method":            {func(h *gateway.HTTP) { h.Method = "DELETE" }, "method"},
		"a type":              {func(h *gateway.HTTP) { h.ContentType = "text/xml" }, "content_type"},
		"a GET with JSON":     {func(h *gateway.HTTP) { h.Method = "GET" }, "content_type"},
		"nobody":              {func(h *gateway.HTTP) { h.Body = `{"text":"{{.Text}}"}` }, "body"},
		"nothing":             {func(h *gateway.HTTP) { h.Body = `{"to":"{{.To}}"}` }, "body"},
		"unknown place":       {func(h *gateway.HTTP) { h.Body = `{"to":"{{.To}}","text":"{{.Body}}"}` }, "body"},
		"a program":           {func(h *gateway.HTTP) { h.Body = `{"to":"{{.To}}","text":"{{.Text}}{{printf 1}}"}` }, "body"},
		"out of quotes":       {func(h *gateway.HTTP) { h.Body = `{"to":{{.To}},"text":"{{.Text}}"}` }, "body"},
		"as a key":            {func(h *gateway.HTTP) { h.Body = `{"{{.To}}":1,"text":"{{.Text}}"}` }, "body"},
		"a form in JSON":      {func(h *gateway.HTTP) { h.Body = `to={{.To}}&text={{.Text}}` }, "body"},
		"JSON in a form":      {func(h *gateway.HTTP) { h.ContentType = gateway.Form }, "body"},
		"no sender":           {func(h *gateway.HTTP) { h.Body = `{"to":"{{.To}}","text":"{{.Text}}","from":"{{.From}}"}` }, "from"},
		"a header":            {func(h *gateway.HTTP) { h.Headers = map[string]string{"A B": "c"} }, "headers.A B"},
		"a broken header":     {func(h *gateway.HTTP) { h.Headers = map[string]string{"A": "c\r\nX: y"} }, "headers.A"},
		"our header":          {func(h *gateway.HTTP) { h.Headers = map[string]string{"content-type": "x"} }, "headers.content-type"},
		"a secret nowhere":    {func(h *gateway.HTTP) { h.Secret = secret.NewString("x") }, "secret_header"},
		"a header for none":   {func(h *gateway.HTTP) { h.SecretHeader = "Authorization" }, "secret_file"},
		"a secret of 2 lines": {func(h *gateway.HTTP) { h.SecretHeader, h.Secret = "Authorization", secret.NewString("a\nb") }, "secret_file"},
		"success":             {func(h *gateway.HTTP) { h.Success = []int{302} }, "success"},
		"refused":             {func(h *gateway.HTTP) { h.Refused = []int{200} }, "refused"},
	} {
		h := good
		tc.change(&h)
		p := h.Check()
		if len(p) == 0 || p[0].Field != tc.field || p[0].Say == "" {
			t.Errorf("%s: %v, want %s", name, p, tc.field)
		}
		if c, err := gateway.NewHTTP(h); err == nil || c != nil {
			t.Errorf("%s was taken", name)
		}
		if s := fmt.Sprint(p); strings.Contains(s, "u:p@") {
			t.Errorf("%s: the answer says a password: %s", name, s)
		}
	}
}

const (
	account = "AC00000000000000000000000000000001"
	service = "MG00000000000000000000000000000001"
)

func TestTwilioTextsAndCalls(t *testing.T) {
	for _, from := range []string{"+12025550100", service, "Campus"} {
		s := newServer(t, 201)
		c, err := gateway.NewTwilioText(gateway.Twilio{URL: s.URL, Account: account, Token: secret.NewString("t0ken"), From: from})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Send(t.Context(), courier.Letter{To: ada, Body: nasty}); err != nil {
			t.Fatal(err)
		}
		r := s.only(t)
		form, err := url.ParseQuery(r.body)
		if err != nil || r.method != "POST" || r.uri != "/2010-04-01/Accounts/"+account+"/Messages.json" || form.Get("To") != ada || form.Get("Body") != nastyIn || len(form) != 3 ||
			form.Get("From") != from && form.Get("MessagingServiceSid") != from {
			t.Errorf("%s %s %v %v", r.method, r.uri, form, err)
		}
		if r.header.Get("Authorization") != "Basic "+"QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMTp0MGtlbg==" {
			t.Errorf("signed in as %s", r.header.Get("Authorization"))
		}
	}
	s := newServer(t, 201)
	c, err := gateway.NewTwilioVoice(gateway.Twilio{URL: s.URL + "/", Account: account, Token: secret.NewString("t"), From: "+12025550100"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Send(t.Context(), courier.Letter{To: ada, Body: "Code: 4, 7, 1\n</Say><Dial>+1</Dial>", Locale: "nl-BE"}); err != nil {
		t.Fatal(err)
	}
	r := s.only(t)
	form, _ := url.ParseQuery(r.body)
	if r.uri != "/2010-04-01/Accounts/"+account+"/Calls.json" || form.Get("To") != ada || form.Get("From") != "+12025550100" {
		t.Errorf("%s %v", r.uri, form)
	}
	var doc struct {
		XMLName xml.Name `xml:"Response"`
		Say     []struct {
			Language string `xml:"language,attr"`
			Text     string `xml:",chardata"`
		}
		Dial []string
	}
	if err := xml.Unmarshal([]byte(form.Get("Twiml")), &doc); err != nil {
		t.Fatal(err, form.Get("Twiml"))
	}
	if len(doc.Say) != 2 || doc.Say[0] != doc.Say[1] || doc.Say[0].Language != "nl-NL" || !strings.HasPrefix(doc.Say[0].Text, "Code: 4, 7, 1 </Say><Dial>") || len(doc.Dial) != 0 {
		t.Errorf("%+v", doc)
	}
}

func TestTwilioErrors(t *testing.T) {
	for _, tc := range []struct {
		status int
		answer string
		final  bool
	}{
		{400, `{"code":21211,"message":"'To' +12025550123 is not a valid phone number"}`, true}, {400, `{"code":21610}`, true},
		{400, `{"code":21606,"message":"From is not yours"}`, false}, {401, `{"code":20003}`, false}, {429, `{"code":20429}`, false},
		{503, `<html>`, false}, {400, `[`, false}, {500, `{"code":21211}`, false},
	} {
		s := newServer(t, tc.status)
		s.answer = tc.answer
		c, err := gateway.NewTwilioText(gateway.Twilio{URL: s.URL, Account: account, Token: secret.NewString("t"), From: service})
		if err != nil {
			t.Fatal(err)
		}
		err = c.Send(t.Context(), courier.Letter{To: ada, Body: "123456"})
		if err == nil || errors.Is(err, courier.ErrRefused) != tc.final || strings.Contains(err.Error(), "5550123") {
			t.Errorf("%d %s: %v", tc.status, tc.answer, err)
		}
	}
}

func TestTwilioSettingsAreChecked(t *testing.T) {
	good := gateway.Twilio{Account: account, Token: secret.NewString("t"), From: "+12025550100"}
	if p := append(good.Check(false), good.Check(true)...); len(p) != 0 {
		t.Fatal(p)
	}
	for field, change := range map[string]func(*gateway.Twilio){
		"url":        func(s *gateway.Twilio) { s.URL = "http://api.example.com" },
		"account":    func(s *gateway.Twilio) { s.Account = "AC1/../Accounts" },
		"key":        func(s *gateway.Twilio) { s.Key = "x" },
		"token_file": func(s *gateway.Twilio) { s.Token = secret.String{} },
		"from":       func(s *gateway.Twilio) { s.From = service }, // cannot call
	} {
		s := good
		change(&s)
		if p := s.Check(true); len(p) != 1 || p[0].Field != field {
			t.Errorf("%s: %v", field, p)
		}
	}
}
