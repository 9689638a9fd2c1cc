// Package smtp is the mail channel of the courier: RFC 5321 through github.com/wneessen/go-mail.
//
//	courier.Letter ─► one plain-text message (RFC 5322) ─► dial, TLS as set, AUTH where set ─► accepted | 4xx | 5xx
//
// Nothing of a letter reaches a header unencoded: line breaks and controls are refused before a message is built
// (attack G134), whatever the catalogue or a person's name contains.
package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/wneessen/go-mail"

	"github.com/gatehouse-id/gatehouse/internal/courier"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// Security is how the connection is protected.
type Security string

// The securities. The zero value is StartTLS.
const (
	// StartTLS upgrades and refuses to go on where the server cannot (RFC 3207).
	StartTLS Security = "starttls"
	// TLS from the first byte (RFC 8314), usually on port 465.
	TLS Security = "tls"
	// None is for a relay on the same machine or a closed network.
	None Security = "none"
)

// Settings are what the operator writes about the mail relay.
type Settings struct {
	Host     string
	Port     int // 0: 587 with STARTTLS, 465 with TLS, 25 without
	Security Security
	Username string // "" : no authentication
	Password secret.String
	From     string // one address; bounces go there
	FromName string
	// Hello is the name this host gives itself; "" the domain of From.
	Hello string
	// Roots and server name for TLS; nil: the system's roots and Host.
	TLS     *tls.Config
	Timeout time.Duration // of a whole exchange; 0: courier.Timeout
}

// Sender is a courier.Channel. It opens one connection a letter: notices are few, and a relay that restarts
// leaves no half-dead connection behind.
type Sender struct {
	client   *mail.Client
	settings Settings
}

// New checks the settings; it connects to nothing.
func New(s Settings) (*Sender, error) {
	if err := people.CheckEmail(s.From); err != nil {
		return nil, fmt.Errorf("smtp: sender %q: %w", s.From, err)
	}
	if clean(s.FromName) != s.FromName {
		return nil, errors.New("smtp: the sender's name holds a control character")
	}
	if s.Timeout == 0 {
		s.Timeout = courier.Timeout
	}
	if s.Hello == "" {
		_, s.Hello, _ = strings.Cut(s.From, "@")
	}
	options := []mail.Option{mail.WithTimeout(s.Timeout), mail.WithHELO(s.Hello)}
	if s.TLS != nil {
		options = append(options, mail.WithTLSConfig(s.TLS))
	}
	switch s.Security {
	case StartTLS, "":
		options = append(options, mail.WithTLSPortPolicy(mail.TLSMandatory))
	case TLS:
		options = append(options, mail.WithSSLPort(false))
	case None:
		options = append(options, mail.WithTLSPortPolicy(mail.NoTLS))
	default:
		return nil, fmt.Errorf("smtp: security %q is not one of starttls, tls, none", s.Security)
	}
	if s.Port != 0 {
		options = append(options, mail.WithPort(s.Port))
	}
	if s.Username != "" {
		if s.Security == None {
			return nil, errors.New("smtp: a password would travel in clear: set security to starttls or tls")
		}
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover),
			mail.WithUsername(s.Username), mail.WithPassword(s.Password.Reveal()))
	}
	client, err := mail.NewClient(s.Host, options...)
	if err != nil {
		return nil, fmt.Errorf("smtp: %w", err)
	}
	return &Sender{client: client, settings: s}, nil
}

// Send carries one letter. An answer of the 5xx class to the recipient or the content is courier.ErrRefused.
func (s *Sender) Send(ctx context.Context, l courier.Letter) error {
	m, err := s.compose(l)
	if err != nil {
		return fmt.Errorf("%w: %w", courier.ErrRefused, err)
	}
	// A cancelled context does not interrupt a go-mail exchange under way; its own timeout bounds it.
	if err := s.client.DialAndSendWithContext(ctx, m); err != nil {
		// What the library adds after the relay's answer names the recipient, which no log needs.
		said, _, _ := strings.Cut(clean(err.Error()), ", affected recipient")
		if final(err) {
			return fmt.Errorf("%w: %s", courier.ErrRefused, said)
		}
		return errors.New(said)
	}
	return nil
}

// compose builds the message or says why the letter cannot be one.
func (s *Sender) compose(l courier.Letter) (*mail.Msg, error) {
	if err := people.CheckEmail(l.To); err != nil {
		return nil, fmt.Errorf("recipient: %w", err)
	}
	subject := strings.TrimSpace(clean(l.Subject))
	if subject == "" || len(subject) > 200 {
		return nil, fmt.Errorf("a subject of %d bytes", len(subject))
	}
	m := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := m.FromFormat(s.settings.FromName, s.settings.From); err != nil {
		return nil, err
	}
	if err := m.To(l.To); err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(s.settings.From, "@")
	m.SetMessageIDWithValue(clean(l.ID) + "@" + domain)
	m.SetDateWithValue(l.At)
	m.Subject(subject)
	// Nobody's absence notice answers a notice (RFC 3834 section 5).
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	if l.Locale != "" {
		m.SetGenHeader("Content-Language", clean(l.Locale))
	}
	m.SetBodyString(mail.TypeTextPlain, strings.ReplaceAll(cleanBody(l.Body), "\n", "\r\n"))
	return m, nil
}

// clean turns every control and format character into a space, so that one line stays one line.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// cleanBody does the same but leaves the line breaks of the text.
func cleanBody(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	return strings.Join(lines, "\n")
}

// final tells a permanent answer about this letter from a relay in trouble. A failed login or TLS handshake is the
// operator's to mend, so the letter waits.
func final(err error) bool {
	var send *mail.SendError
	if !errors.As(err, &send) {
		return false
	}
	switch send.Reason {
	case mail.ErrSMTPRcptTo, mail.ErrSMTPData, mail.ErrSMTPDataClose:
		return send.ErrorCode() >= 500
	}
	return false
}
