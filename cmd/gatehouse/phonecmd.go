package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
)

// phoneCommand is `gatehouse dev phone`: a phone on a command line. Its keys lie in a file, unprotected.
type phoneCommand struct{ state, ca string }

// phoneWait is the longest that one question waits for an answer.
const phoneWait = 25 * time.Second

func newPhoneCommand() *cobra.Command {
	p := &phoneCommand{}
	var app, name, request string
	var without bool
	pair := &cobra.Command{Use: "pair LINK|CODE", Short: "Become the phone of an account: LINK, or CODE with --app", Args: takes(1, "the pairing link, or the code with --app"),
		RunE: func(cmd *cobra.Command, args []string) error { return p.pair(cmd, args[0], app, name, without) }}
	pair.Flags().StringVar(&app, "app", "", "the app's address, like https://phone.example.ac.uk (a link names it)")
	pair.Flags().StringVar(&name, "name", "Command line", "what the phone is called")
	pair.Flags().BoolVar(&without, "without-unlock", false, "have no fingerprint, face or PIN")

	watch := &cobra.Command{Use: "watch", Short: "Show requests as they come; type the number, \"no\" or \"report\"", Args: takes(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return p.with(cmd, p.watch) }}
	answer := func(use, short, decision string, n int, what string) *cobra.Command {
		c := &cobra.Command{Use: use, Short: short, Args: takes(n, what), RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd, func(cmd *cobra.Command, s *softphone.Phone) error {
				return p.answer(cmd, s, request, decision, strings.Join(args, ""))
			})
		}}
		c.Flags().StringVar(&request, "request", "", "which one, where several wait")
		return c
	}
	simple := func(use, short string, do func(*cobra.Command, *softphone.Phone) error) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: takes(0, ""), RunE: func(cmd *cobra.Command, _ []string) error { return p.with(cmd, do) }}
	}
	c := group("phone", "A phone with the authenticator app, on the command line (docs/authenticator-protocol.md)", pair, watch,
		answer("approve NUMBER", "Approve the request that waits, with the number that the sign-in page shows", "approve", 1, "the number that the sign-in page shows"),
		answer("deny", "Say no to the request that waits", "deny", 0, ""), answer("report", "Say \"No, it's not me\" to the request that waits", "report", 0, ""),
		simple("passcode", "Print the passcode of now", p.passcode), simple("move", "Hand the account over to another phone", p.move),
		simple("restore", "Come back after the storage was lost, by the platform passkey", p.restore), simple("leave", "Give the phone up", p.leave))
	c.PersistentFlags().StringVar(&p.state, "state", "gatehouse-phone.json", "the file that is the phone; its keys lie in it in the clear")
	c.PersistentFlags().StringVar(&p.ca, "ca", "", "certificates to trust besides the system's, as PEM")
	return c
}

// client calls names under .localhost on this machine, as browsers do.
func (p *phoneCommand) client() (*http.Client, error) {
	roots, err := rootsFrom("--ca", p.ca)
	if err != nil {
		return nil, usageError{err}
	}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err == nil && localName(host) {
			address = net.JoinHostPort("127.0.0.1", port)
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	return &http.Client{Timeout: 2 * phoneWait, Transport: &http.Transport{DialContext: dial, Proxy: http.ProxyFromEnvironment,
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}}, nil
}

func localName(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// with loads the phone, and keeps what it has learned. After a refusal the file is left as it was: what was begun (a
// restoring above all) came to nothing.
func (p *phoneCommand) with(cmd *cobra.Command, do func(*cobra.Command, *softphone.Phone) error) error {
	client, err := p.client()
	if err != nil {
		return err
	}
	s, err := softphone.Load(p.state, client)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not there: begin with \"gatehouse dev phone pair\"", p.state)
	}
	if err != nil {
		return err
	}
	if err := do(cmd, s); err != nil {
		return p.told(err)
	}
	if s.Device() == "" {
		return os.Remove(p.state)
	}
	return s.Save(p.state)
}

// told adds what the person can do about a refusal.
func (p *phoneCommand) told(err error) error {
	var e *softphone.Error
	if !errors.As(err, &e) {
		return err
	}
	text := e.Message
	if e.Left > 0 {
		text += fmt.Sprintf(" Tries left: %d.", e.Left)
	}
	if e.RetryAfter > 0 {
		text += fmt.Sprintf(" Try again in %s.", e.RetryAfter)
	}
	if e.Code == "device.unknown" {
		text += fmt.Sprintf(" (Remove %s first.)", p.state)
	}
	return fmt.Errorf("%s (%s)", text, e.Code)
}

func (p *phoneCommand) pair(cmd *cobra.Command, by, app, name string, without bool) error {
	if _, err := os.Stat(p.state); err == nil {
		return usagef("%s is a phone already; give it up with \"leave\", or name another file with --state", p.state)
	}
	origin, token := app, strings.TrimSpace(by)
	if strings.Contains(token, "://") {
		var err error
		if origin, token, err = softphone.ParseLink(token); err != nil {
			return usageError{err}
		}
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || (u.Scheme != "https" && (u.Scheme != "http" || !localName(u.Hostname()))) {
		return usagef("with a code, --app says where the app is, like https://phone.example.ac.uk (http:// only for names under localhost)")
	}
	client, err := p.client()
	if err != nil {
		return err
	}
	s := softphone.New(u.Scheme+"://"+u.Host, client)
	s.NoUnlock = without
	if err := s.OpenPairing(cmd.Context(), token); err != nil {
		return p.told(err)
	}
	code, err := s.Claim(cmd.Context(), name)
	if err != nil {
		return p.told(err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "Type this code where you began: %s\n", code)
	id := s.Pairing()
	if err := s.WaitPaired(cmd.Context()); err != nil {
		if cmd.Context().Err() == nil {
			return p.told(err)
		}
		ctx, done := context.WithTimeout(context.WithoutCancel(cmd.Context()), 5*time.Second)
		defer done()
		return errors.Join(errors.New("stopped; the pairing is cancelled"), p.told(s.CancelPairing(ctx, id)))
	}
	if err := s.Save(p.state); err != nil {
		return err
	}
	a, err := s.Show(cmd.Context())
	if err != nil {
		return p.told(err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "Paired with %s. The phone is %s.\n", a.Username, p.state)
	return nil
}

// describe shows a request as the app does.
func describe(cmd *cobra.Command, r softphone.Request) {
	browser := "a browser that is new to the account"
	if r.Known {
		browser = "a browser that was used before"
	}
	application := r.Application
	if application == "" {
		application = "the account itself"
	}
	fmt.Fprintf(cmd.OutOrStdout(), "Sign-in to %s\n  %s (%s), %s: %s\n  asked at %s, waits until %s   request %s\n", application, r.Place, r.Address, r.Agent, browser,
		clock(r.Created), clock(r.Expires), r.ID)
}

func clock(seconds int64) string { return time.Unix(seconds, 0).Format(time.TimeOnly) }

// one gives the request to answer: the one that was named, or the only one there is; it waits for it to come.
func (p *phoneCommand) one(cmd *cobra.Command, s *softphone.Phone, id string) (softphone.Request, error) {
	list, err := s.Requests(cmd.Context(), phoneWait)
	if err != nil {
		return softphone.Request{}, err
	}
	var found []softphone.Request
	for _, r := range list {
		if id == "" || r.ID == id {
			found = append(found, r)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case id != "":
		return softphone.Request{}, fmt.Errorf("request %s does not wait (any more)", id)
	case len(found) == 0:
		return softphone.Request{}, fmt.Errorf("nothing waits for an answer")
	}
	for _, r := range found {
		describe(cmd, r)
	}
	return softphone.Request{}, fmt.Errorf("%d requests wait: say which with --request", len(found))
}

func (p *phoneCommand) answer(cmd *cobra.Command, s *softphone.Phone, id, decision, number string) error {
	r, err := p.one(cmd, s, id)
	if err != nil {
		return err
	}
	describe(cmd, r)
	standing, err := s.Answer(cmd.Context(), r, decision, number)
	if err == nil {
		fmt.Fprintf(cmd.OutOrStdout(), "Answered: %s.\n", standing)
	}
	return err
}

// typedLines reads what is typed; the channel closes at its end.
func typedLines(cmd *cobra.Command) <-chan string {
	out := make(chan string)
	go func() {
		defer close(out)
		for in := bufio.NewScanner(cmd.InOrStdin()); in.Scan(); {
			select {
			case out <- strings.TrimSpace(in.Text()):
			case <-cmd.Context().Done():
				return
			}
		}
	}()
	return out
}

func (p *phoneCommand) watch(cmd *cobra.Command, s *softphone.Phone) error {
	fmt.Fprintln(cmd.OutOrStdout(), "Waiting for requests. Stop with Ctrl-C.")
	typed := typedLines(cmd)
	for cmd.Context().Err() == nil {
		list, err := s.Requests(cmd.Context(), phoneWait)
		if cmd.Context().Err() != nil {
			break
		}
		if err != nil {
			return err
		}
		if len(list) == 0 {
			continue
		}
		describe(cmd, list[0])
		if ended, err := p.ask(cmd, s, list[0], typed); ended || err != nil {
			return err
		}
	}
	return nil
}

// ask takes what is typed for one request until it is over; ended: nobody types any more.
func (p *phoneCommand) ask(cmd *cobra.Command, s *softphone.Phone, r softphone.Request, typed <-chan string) (ended bool, err error) {
	fmt.Fprintf(cmd.OutOrStdout(), "Type the number that the sign-in page shows (%d digits), \"no\" or \"report\": ", r.Digits)
	look := time.NewTicker(2 * time.Second)
	defer look.Stop()
	for {
		select {
		case <-cmd.Context().Done():
			return true, nil
		case text, open := <-typed:
			if !open {
				return true, nil
			}
			decision, number := "approve", text
			switch strings.ToLower(text) {
			case "":
				continue
			case "no":
				decision, number = "deny", ""
			case "report":
				decision, number = "report", ""
			}
			standing, err := s.Answer(cmd.Context(), r, decision, number)
			if err != nil {
				standing = p.told(err).Error()
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Answered: %s\n", standing)
			return false, nil
		case <-look.C:
			list, err := s.Requests(cmd.Context(), 0)
			if err != nil {
				return false, err
			}
			if !waits(list, r.ID) {
				fmt.Fprintln(cmd.OutOrStdout(), "\nThe request is over.")
				return false, nil
			}
		}
	}
}

func waits(list []softphone.Request, id string) bool {
	for _, r := range list {
		if r.ID == id {
			return true
		}
	}
	return false
}

func (p *phoneCommand) passcode(cmd *cobra.Command, s *softphone.Phone) error {
	code, err := s.Passcode(time.Now())
	if err == nil {
		fmt.Fprintln(cmd.OutOrStdout(), code)
	}
	return err
}

func (p *phoneCommand) move(cmd *cobra.Command, s *softphone.Phone) error {
	m, err := s.Move(cmd.Context())
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "On the new phone, open %s\nor type %s in the app, before %s.\nThen type the code that it shows: ", m.Link, m.Code, clock(m.Expires))
	typed := typedLines(cmd)
	for {
		select {
		case <-cmd.Context().Done():
		case code, open := <-typed:
			if !open {
				break
			}
			var e *softphone.Error
			err := s.ConfirmMove(cmd.Context(), m.Pairing, code)
			if errors.As(err, &e) && e.Left > 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "%s\nThe code: ", p.told(err))
				continue
			}
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "The account is on the new phone now; this one is a method no more.")
			s.LoseStorage()
			return nil
		}
		ctx, done := context.WithTimeout(context.WithoutCancel(cmd.Context()), 5*time.Second)
		defer done()
		return errors.Join(errors.New("stopped; the move is cancelled"), s.CancelPairing(ctx, m.Pairing))
	}
}

func (p *phoneCommand) restore(cmd *cobra.Command, s *softphone.Phone) error {
	s.LoseStorage()
	if err := s.Restore(cmd.Context(), "Command line"); err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), "The phone is back, with a new key and new passcodes.")
	return nil
}

func (p *phoneCommand) leave(cmd *cobra.Command, s *softphone.Phone) error {
	if err := s.Leave(cmd.Context()); err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), "The phone is given up.")
	s.LoseStorage()
	return nil
}
