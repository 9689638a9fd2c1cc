package gateway

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/courier"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// TwilioURL is where Twilio itself stands.
const TwilioURL = "https://api.twilio.com"

// Twilio describes an account with Twilio or a service that speaks its API (version 2010-04-01).
type Twilio struct {
	URL     string        // "" for TwilioURL
	Account string        // the account's SID, "AC…"
	Token   secret.String // the auth token, or an API key's secret
	Key     string        // the API key's SID, "SK…"; "": the account itself signs in
	From    string        // a number in E.164, or for texts a sender name or a messaging service ("MG…")
	Roots   *x509.CertPool
	Now     func() time.Time // nil: time.Now
}

var (
	accountSID = regexp.MustCompile(`^AC[0-9A-Za-z]{32}$`)
	keySID     = regexp.MustCompile(`^SK[0-9A-Za-z]{32}$`)
	serviceSID = regexp.MustCompile(`^MG[0-9A-Za-z]{32}$`)
	senderName = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z +_&-]{0,10}$`)
)

// Check says all that is wrong with the description; voice: it is to make calls too. Nothing is sent.
func (t Twilio) Check(voice bool) []Problem {
	var out []Problem
	if t.URL != "" {
		out = checkURL(t.URL)
		if u, err := url.Parse(t.URL); err == nil && (u.RawQuery != "" || u.Path != "" && u.Path != "/") {
			out = append(out, Problem{"url", "write scheme and host alone"})
		}
	}
	if !accountSID.MatchString(t.Account) {
		out = append(out, Problem{"account", "write the account's SID: AC and 32 characters"})
	}
	if t.Key != "" && !keySID.MatchString(t.Key) {
		out = append(out, Problem{"key", "write the API key's SID: SK and 32 characters; leave it out to use the account's own token"})
	}
	if t.Token.Empty() || strings.ContainsAny(t.Token.Reveal(), "\r\n\x00") {
		out = append(out, Problem{"token_file", "must hold one line: the auth token"})
	}
	switch {
	case number.MatchString(t.From):
	case voice:
		out = append(out, Problem{"from", "write the number that calls, in the form +441632960001"})
	case !serviceSID.MatchString(t.From) && !senderName.MatchString(t.From):
		out = append(out, Problem{"from", "write a number (+441632960001), a messaging service (MG…) or a name of up to 11 letters"})
	}
	return out
}

// NewTwilioText makes the channel for texts; it connects to nothing.
func NewTwilioText(t Twilio) (courier.Channel, error) { return newTwilio(t, false) }

// NewTwilioVoice makes the channel for calls; it connects to nothing.
func NewTwilioVoice(t Twilio) (courier.Channel, error) { return newTwilio(t, true) }

func newTwilio(t Twilio, voice bool) (courier.Channel, error) {
	if problems := t.Check(voice); len(problems) > 0 {
		return nil, join(problems)
	}
	if t.URL == "" {
		t.URL = TwilioURL
	}
	if t.Key == "" {
		t.Key = t.Account
	}
	if t.Now == nil {
		t.Now = time.Now
	}
	t.URL = strings.TrimSuffix(t.URL, "/")
	return &twilio{Twilio: t, voice: voice, client: client(t.Roots)}, nil
}

type twilio struct {
	Twilio
	voice  bool
	client *http.Client
}

// badNumber are Twilio's error codes that say that this number cannot be reached, now or later.
var badNumber = []int{
	13223, 13224, 13225, // a call's number: format, invalid, forbidden
	21211, 21214, 21217, // not a number, not reachable, not validated
	21215, 21216, 21408, // the account may not reach this country or number
	21610, 21612, 21614, // unsubscribed, no route, no mobile number
}

// Send implements courier.Channel.
func (t *twilio) Send(ctx context.Context, l courier.Letter) error {
	if !number.MatchString(l.To) {
		return errNumber
	}
	form, what := url.Values{"To": {l.To}}, "Messages.json"
	switch {
	case t.voice:
		what = "Calls.json"
		form.Set("From", t.From)
		form.Set("Twiml", twiml(plain(l.Body), l.Locale))
	case serviceSID.MatchString(t.From):
		form.Set("MessagingServiceSid", t.From)
		form.Set("Body", plain(l.Body))
	default:
		form.Set("From", t.From)
		form.Set("Body", plain(l.Body))
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL+"/2010-04-01/Accounts/"+t.Account+"/"+what, strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("%w: the request cannot be built", courier.ErrRefused)
	}
	r.Header.Set("Content-Type", Form)
	r.SetBasicAuth(t.Key, t.Token.Reveal())
	a, err := exchange(ctx, t.client, t.Now, r)
	if err != nil {
		return err
	}
	if a.status == http.StatusOK || a.status == http.StatusCreated {
		return nil
	}
	var said struct {
		Code int `json:"code"`
	}
	_ = json.Unmarshal(a.body, &said) // without a code the status says enough
	code := fmt.Sprintf(" (code %d)", said.Code)
	if a.status >= 400 && a.status < 500 && slices.Contains(badNumber, said.Code) {
		return refused(a, code)
	}
	return a.failed(code)
}

// twiml reads the text out twice: whoever picks up late hears the code all the same.
func twiml(text, locale string) string {
	var said bytes.Buffer
	_ = xml.EscapeText(&said, []byte(strings.ReplaceAll(text, "\n", " "))) // a buffer takes everything
	language := ""
	if l, ok := languages[strings.ToLower(strings.SplitN(locale, "-", 2)[0])]; ok {
		language = ` language="` + l + `"`
	}
	say := "<Say" + language + ">" + said.String() + "</Say>"
	return `<?xml version="1.0" encoding="UTF-8"?><Response><Pause length="1"/>` + say + `<Pause length="2"/>` + say + `</Response>`
}

// languages that a call is read in, as Twilio names them; any other is read in the account's own.
var languages = map[string]string{"de": "de-DE", "en": "en-GB", "es": "es-ES", "fr": "fr-FR", "it": "it-IT", "ja": "ja-JP", "nl": "nl-NL", "zh": "zh-CN"}
