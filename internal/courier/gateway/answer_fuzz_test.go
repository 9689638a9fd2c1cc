package gateway

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/courier"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// answers is a gateway that answers what it is told, without a network.
type answers func(*http.Request) *http.Response

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

// Whatever a gateway answers, even what it was sent, no number, code or secret gets into an error, and a time to come back
// is one.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "", `{"sid":"SM1"}`, true)
	f.Add(400, "", `{"code":21211,"message":"+441632960001 is not valid"}`, true)
	f.Add(429, "30", "", true)
	f.Add(503, "Mon, 01 Jan 2035 00:00:00 GMT", strings.Repeat("[", 9000), false)
	f.Add(422, "-1", `{"code":1e999}`, true)
	f.Add(302, "99999999999999999999", "\x00", false)
	f.Add(500, "9223372036854775807", `{"code":{}}`, true)
	now := time.Date(2026, 10, 5, 9, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, status int, after, body string, likeTwilio bool) {
		said := answers(func(r *http.Request) *http.Response {
			h := http.Header{"Retry-After": {after}, "Location": {"https://elsewhere.example/" + r.Header.Get("Authorization")}}
			return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}
		})
		client := &http.Client{Transport: said, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		clock := func() time.Time { return now }
		var channel courier.Channel = &sender{client: client, HTTP: HTTP{URL: "https://sms.example.ac.uk/send", Body: `{"to":"{{.To}}","text":"{{.Text}}"}`,
			SecretHeader: "Authorization", Secret: secret.NewString("Bearer canary-secret"), Now: clock}.defaults()}
		if likeTwilio {
			channel = &twilio{client: client, Twilio: Twilio{URL: TwilioURL, Account: "AC" + strings.Repeat("0", 32), Key: "AC" + strings.Repeat("0", 32),
				Token: secret.NewString("canary-secret"), From: "+12025550100", Now: clock}}
		}
		err := channel.Send(t.Context(), courier.Letter{To: "+441632960001", Body: "Your code is 739184"})
		if err == nil {
			if status < 200 || status > 299 {
				t.Fatalf("%d was taken for a yes", status)
			}
			return
		}
		for _, told := range []string{"441632960001", "739184", "canary-secret", "sms.example"} {
			if strings.Contains(err.Error(), told) {
				t.Fatalf("the error says %s: %v", told, err)
			}
		}
		if later := (*courier.Later)(nil); errors.As(err, &later) && later.After <= 0 {
			t.Fatalf("come back after %s", later.After)
		}
	})
}
