package main

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"

	server "github.com/emersion/go-smtp"

	"github.com/gatehouse-id/gatehouse/internal/manage"
)

// postbox is a relay that hands over what it accepted.
type postbox chan string

func (p postbox) NewSession(*server.Conn) (server.Session, error) { return p, nil }
func (p postbox) Reset()                                          {}
func (p postbox) Logout() error                                   { return nil }
func (p postbox) Mail(string, *server.MailOptions) error          { return nil }
func (p postbox) Rcpt(string, *server.RcptOptions) error          { return nil }
func (p postbox) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	p <- string(raw)
	return err
}

// A reset is told to the member by real SMTP: from the act's transaction through outbox, courier and channel.
func TestAResetReachesTheMember(t *testing.T) {
	mails := make(postbox, 10)
	relay := server.NewServer(mails)
	relay.Domain = "relay.example.org"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go relay.Serve(l)
	defer relay.Close()

	h, d := realHouse(t)
	c := config{SMTP: &smtpConfig{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, From: "signin@example.ac.uk", Security: "none"}}
	channels, err := c.channels()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { h.couriers(d.pages.Texts, channels)[0].Run(ctx); close(done) }()
	defer func() { stop(); <-done }()

	by := manage.CommandLine("tester")
	p, err := h.manage.AddPerson(ctx, by, manage.Details{Username: "ada", Email: "ada@example.ac.uk", DisplayName: "Ada Sample"})
	if err != nil {
		t.Fatal(err)
	}
	typed, _, err := h.manage.Reset(ctx, by, p.ID, "lost everything")
	if err != nil {
		t.Fatal(err)
	}
	mail := <-mails
	for _, want := range []string{"To: <ada@example.ac.uk>", "Subject: Your account was reset", "Hello Ada Sample", "tell your service desk at once"} {
		if !strings.Contains(mail, want) {
			t.Errorf("the mail does not say %q:\n%s", want, mail)
		}
	}
	if strings.Contains(mail, typed.Reveal()) {
		t.Error("the mail holds the secret")
	}
}
