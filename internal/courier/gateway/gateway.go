// Package gateway is the text and voice channels of the courier: any HTTP gateway that configuration describes, and
// Twilio's API, which others speak too.
//
//	courier.Letter ─► number and text checked ─► one request (POST, JSON or form) ─► accepted
//	                                                                             ├► courier.ErrRefused: the number is bad
//	                                                                             └► tried again, as Retry-After says
//
// Nothing of a letter changes the shape of a request: values are encoded for the content type, and Check sends quotes,
// line breaks and ampersands through the template before anybody's number does. Requests go to the configured address
// over https (plain http on loopback alone), follow no redirect, and read a bounded answer. No error says a number, a
// text or a secret.
package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/gatehouse-id/gatehouse/internal/courier"
)

const (
	// Timeout bounds a whole exchange.
	Timeout = 10 * time.Second
	// MaxText is the longest text that is sent, in characters; the rest is cut (Twilio's limit).
	MaxText = 1600
	// maxAnswer is how much of an answer is read.
	maxAnswer = 64 << 10
)

// Problem is one thing to correct in settings: Field is its key as it is written in the configuration.
type Problem struct {
	Field string
	Say   string
}

func (p Problem) Error() string { return p.Field + ": " + p.Say }

func join(problems []Problem) error {
	var all []error
	for _, p := range problems {
		all = append(all, p)
	}
	return errors.Join(all...)
}

// checkURL says what is wrong with a gateway's address.
func checkURL(raw string) []Problem {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return []Problem{{"url", "write the gateway's address, like https://sms.example.ac.uk/send"}}
	case u.User != nil:
		return []Problem{{"url", "write no user name or password into the address; a secret belongs into its file"}}
	case u.Fragment != "":
		return []Problem{{"url", "leave out what follows the #"}}
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return []Problem{{"url", "write https: codes and numbers would travel in clear (plain http only to this machine)"}}
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// client makes one that does what the package comment promises.
func client(roots *x509.CertPool) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	t.MaxResponseHeaderBytes = maxAnswer
	t.ResponseHeaderTimeout = Timeout
	return &http.Client{Transport: t, Timeout: Timeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a secret never follows a changed destination
	}}
}

// answer is what a gateway said.
type answer struct {
	status int
	after  time.Duration
	body   []byte
}

// exchange sends one request and reads its bounded answer.
func exchange(ctx context.Context, c *http.Client, now func() time.Time, r *http.Request) (answer, error) {
	resp, err := c.Do(r.WithContext(ctx))
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // without the address, which may hold a number
		}
		return answer{}, fmt.Errorf("the gateway does not answer: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, errors.New("the gateway's answer broke off")
	}
	return answer{status: resp.StatusCode, after: courier.RetryAfter(resp.Header.Get("Retry-After"), now()), body: body}, nil
}

// failed is a failure that is tried again.
func (a answer) failed(what string) error {
	err := fmt.Errorf("the gateway answered %d%s", a.status, what)
	if a.after > 0 {
		return &courier.Later{After: a.after, Err: err}
	}
	return err
}

func refused(a answer, what string) error {
	return fmt.Errorf("%w: the gateway answered %d%s", courier.ErrRefused, a.status, what)
}

// number is E.164: the flows send no other.
var number = regexp.MustCompile(`^\+[1-9][0-9]{5,14}$`)

var errNumber = fmt.Errorf("%w: the recipient is no E.164 number", courier.ErrRefused)

// plain is a letter's body as one text: line breaks stay, other controls and invisible marks go.
func plain(body string) string {
	text := strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t' || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(strings.ReplaceAll(body, "\r\n", "\n"), ""))
	text = strings.TrimSpace(text)
	if runes := []rune(text); len(runes) > MaxText {
		text = string(runes[:MaxText])
	}
	return text
}
