package smtp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"mime"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	server "github.com/emersion/go-smtp"

	"github.com/gatehouse-id/gatehouse/internal/courier"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// relay is a real SMTP server on a free port that keeps what it accepted.
type relay struct {
	mu     sync.Mutex
	mails  []received
	answer map[string]*server.SMTPError // by recipient
	auth   string                       // user:password it insists on
	addr   *net.TCPAddr
	roots  *x509.CertPool
}

type received struct {
	from, to, tls string
	raw           string
	msg           *mail.Message
}

type conversation struct {
	r        *relay
	c        *server.Conn
	from, to string
	authed   bool
}

func (s *conversation) AuthMechanisms() []string { return []string{sasl.Plain} }
func (s *conversation) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user+":"+password != s.r.auth {
			return server.ErrAuthFailed
		}
		s.authed = true
		return nil
	}), nil
}
func (s *conversation) Reset()        {}
func (s *conversation) Logout() error { return nil }
func (s *conversation) Mail(from string, _ *server.MailOptions) error {
	if s.r.auth != "" && !s.authed {
		return server.ErrAuthRequired
	}
	s.from = from
	return nil
}
func (s *conversation) Rcpt(to string, _ *server.RcptOptions) error {
	if e := s.r.answer[to]; e != nil {
		return e
	}
	s.to = to
	return nil
}
func (s *conversation) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	msg, err := mail.ReadMessage(strings.NewReader(string(raw)))
	if err != nil {
		return err
	}
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	got := received{from: s.from, to: s.to, raw: string(raw), msg: msg}
	if _, ok := s.c.TLSConnectionState(); ok {
		got.tls = "tls"
	}
	s.r.mails = append(s.r.mails, got)
	return nil
}

func listen(t *testing.T, security Security, auth string) *relay {
	t.Helper()
	r := &relay{answer: map[string]*server.SMTPError{}, auth: auth, roots: x509.NewCertPool()}
	s := server.NewServer(server.BackendFunc(func(c *server.Conn) (server.Session, error) {
		return &conversation{r: r, c: c}, nil
	}))
	s.Domain = "relay.example.org"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().(*net.TCPAddr)
	cert := certificate(t, r.roots)
	switch security {
	case StartTLS:
		s.TLSConfig = cert
	case TLS:
		l = tls.NewListener(l, cert)
	}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return r
}

func certificate(t *testing.T, roots *x509.CertPool) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "relay"}, IsCA: true,
		BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{{127, 0, 0, 1}}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func (r *relay) sender(t *testing.T, security Security, change func(*Settings)) *Sender {
	t.Helper()
	set := Settings{Host: "127.0.0.1", Port: r.addr.Port, Security: security, From: "signin@example.ac.uk",
		FromName: "Example Sign-in", TLS: &tls.Config{RootCAs: r.roots, ServerName: "127.0.0.1"}}
	if change != nil {
		change(&set)
	}
	s, err := New(set)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var letter = courier.Letter{ID: "m1", To: "ada@example.ac.uk", Subject: "A passkey was added", Locale: "en",
	Body: "Hello Zoë,\n.\nA passkey was added.\n", At: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}

func TestARealExchangeUnderEachSecurity(t *testing.T) {
	for _, security := range []Security{None, StartTLS, TLS} {
		t.Run(string(security), func(t *testing.T) {
			r := listen(t, security, "")
			if err := r.sender(t, security, nil).Send(t.Context(), letter); err != nil {
				t.Fatal(err)
			}
			if len(r.mails) != 1 {
				t.Fatalf("%d mails", len(r.mails))
			}
			got := r.mails[0]
			if got.from != "signin@example.ac.uk" || got.to != letter.To || (got.tls == "tls") != (security != None) {
				t.Fatalf("envelope %+v", got)
			}
			h := got.msg.Header
			if h.Get("Subject") != letter.Subject || h.Get("Message-ID") != "<m1@example.ac.uk>" ||
				h.Get("Auto-Submitted") != "auto-generated" || !strings.HasPrefix(h.Get("Content-Type"), "text/plain; charset=UTF-8") {
				t.Fatalf("headers %v", h)
			}
			if !strings.Contains(got.raw, "Zo=C3=AB") || !strings.Contains(got.raw, "A passkey was added.") {
				t.Fatalf("body:\n%s", got.raw)
			}
		})
	}
}

func TestSignsInToTheRelayOnlyUnderTLS(t *testing.T) {
	r := listen(t, StartTLS, "house:s3cret")
	ok := r.sender(t, StartTLS, func(s *Settings) { s.Username, s.Password = "house", secret.NewString("s3cret") })
	if err := ok.Send(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	bad := r.sender(t, StartTLS, func(s *Settings) { s.Username, s.Password = "house", secret.NewString("wrong") })
	err := bad.Send(t.Context(), letter)
	if err == nil || errors.Is(err, courier.ErrRefused) {
		t.Fatalf("wrong password: %v, want an error that is tried again", err)
	}
	if _, err := New(Settings{Host: "h", Security: None, From: "a@b.org", Username: "u"}); err == nil {
		t.Fatal("a password in clear was accepted")
	}
}

func TestNeverFallsBackToClearText(t *testing.T) {
	plain := listen(t, None, "")
	if err := plain.sender(t, StartTLS, nil).Send(t.Context(), letter); err == nil || len(plain.mails) != 0 {
		t.Fatalf("%v, %d mails: sent in clear though STARTTLS was asked for", err, len(plain.mails))
	}
	other := listen(t, StartTLS, "")
	stranger := other.sender(t, StartTLS, func(s *Settings) { s.TLS = &tls.Config{RootCAs: x509.NewCertPool()} })
	if err := stranger.Send(t.Context(), letter); err == nil || len(other.mails) != 0 {
		t.Fatalf("%v: sent to a relay whose certificate nobody vouches for", err)
	}
}

func TestTellsRefusedFromLater(t *testing.T) {
	r := listen(t, None, "")
	r.answer["gone@example.ac.uk"] = &server.SMTPError{Code: 550, EnhancedCode: server.EnhancedCode{5, 1, 1}, Message: "no such box"}
	r.answer["full@example.ac.uk"] = &server.SMTPError{Code: 450, EnhancedCode: server.EnhancedCode{4, 2, 2}, Message: "later"}
	s := r.sender(t, None, nil)
	l := letter
	l.To = "gone@example.ac.uk"
	if err := s.Send(t.Context(), l); !errors.Is(err, courier.ErrRefused) || strings.Contains(err.Error(), "gone@") {
		t.Errorf("550: %v", err)
	}
	l.To = "full@example.ac.uk"
	if err := s.Send(t.Context(), l); err == nil || errors.Is(err, courier.ErrRefused) {
		t.Errorf("450: %v", err)
	}
	down := r.sender(t, None, func(s *Settings) { s.Port = 1 })
	if err := down.Send(t.Context(), letter); err == nil || errors.Is(err, courier.ErrRefused) {
		t.Errorf("no relay: %v", err)
	}
}

func TestG134_MailHeadersStayIntact(t *testing.T) {
	r := listen(t, None, "")
	s := r.sender(t, None, nil)
	for _, evil := range []string{
		"Hello\r\nBcc: all@example.ac.uk", "Hello\nX-Evil: 1", "Hello\rX-Evil: 1", "Hello\r\n\r\n<b>body</b>",
		"Hello\x00there", "Hello\u2028X-Evil: 1", "\x1b[31mred", "=?utf-8?q?=0D=0AX-Evil:_1?=", strings.Repeat("é", 99),
	} {
		before := len(r.mails)
		l := letter
		l.Subject = evil
		l.ID = "m" + evil[:5]
		if err := s.Send(t.Context(), l); err != nil {
			t.Fatalf("%q: %v", evil, err)
		}
		got := r.mails[before]
		for name := range got.msg.Header {
			switch name {
			case "Subject", "From", "To", "Date", "Message-Id", "Mime-Version", "Content-Type", "Content-Transfer-Encoding",
				"Auto-Submitted", "Content-Language":
			default:
				t.Errorf("%q: a header of its own: %s", evil, name)
			}
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(got.msg.Header.Get("Subject"))
		if err != nil || strings.ContainsAny(subject, "\x00\x1b") || got.to != letter.To {
			t.Errorf("%q: subject %q to %q, %v", evil, subject, got.to, err)
		}
	}
	for _, to := range []string{"a@b.org\r\nBcc: c@d.org", "a@b.org, c@d.org", "<a@b.org> c@d.org", `"a@b"@evil.org`, ""} {
		l := letter
		l.To = to
		before := len(r.mails)
		if err := s.Send(t.Context(), l); !errors.Is(err, courier.ErrRefused) || len(r.mails) != before {
			t.Errorf("recipient %q: %v", to, err)
		}
	}
}
