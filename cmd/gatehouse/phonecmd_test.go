package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/campus"
	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/app"
	"github.com/gatehouse-id/gatehouse/internal/method/password"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
)

// phoneSite is a house on a port of this machine, with the app beside it.
type phoneSite struct {
	*openedSite
	app   string
	state string // the file that is the phone
	inTx  func(context.Context, func(device.Store) error) error
}

func openPhoneSite(t *testing.T) *phoneSite {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	clock := &siteClock{at: time.Date(2026, 10, 5, 9, 0, 10, 0, time.UTC)}
	s := &phoneSite{openedSite: &openedSite{t: t, clock: clock, log: &siteLog{}}, app: "http://app.localhost:" + port, state: filepath.Join(t.TempDir(), "phone.json")}
	s.h, err = openHouse(t.Context(), houseConfig{Base: &url.URL{Scheme: "http", Host: "localhost:" + port}, AppBase: &url.URL{Scheme: "http", Host: "app.localhost:" + port},
		DSN: filepath.Join(t.TempDir(), "gatehouse.db"), Node: "test", Keyring: storetest.Keyring(t), Campus: campus.Campus{ID: "test", Name: "Test"}, Now: clock.now,
		Log: slog.New(slog.NewJSONHandler(s.log, nil)), Passwords: password.Settings{Params: password.Params{Memory: 64, Time: 1, Threads: 1}, Workers: 2, Queue: 1000}})
	s.must(err)
	t.Cleanup(func() { s.h.close() })
	s.must(s.h.db.Migrate(t.Context()))
	if _, err := s.h.keys.Turn(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.d, err = s.h.openDoors(newMetrics(s.h))
	s.must(err)
	s.inTx, _ = store.Bind[device.Store](s.h.db)
	server := &http.Server{Handler: s.d.handler()}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return s
}

// began is a pairing that a member's browser began.
type began struct{ id, link, code string }

func (s *phoneSite) began(m *siteMember) began {
	s.t.Helper()
	p, token, code := enrol.NewPairing(s.clock.now(), m.Person)
	s.must(s.inTx(s.t.Context(), func(st device.Store) error { return st.AddPairing(s.t.Context(), p) }))
	return began{p.ID, enrol.PairingLink(s.app, token), code}
}

// typed confirms a pairing with the code that the phone shows.
func (s *phoneSite) typed(m *siteMember, id, code string) {
	s.t.Helper()
	ctx := s.t.Context()
	s.must(s.inTx(ctx, func(st device.Store) error {
		p, err := st.PairingByID(ctx, id)
		if err != nil {
			return err
		}
		b, refused, err := enrol.TryPairing(ctx, st, p, code, s.clock.now(), audit.Entry{At: s.clock.now(), Act: "method.added", Outcome: audit.Done})
		if err = errors.Join(err, refused); err != nil {
			return err
		}
		c := method.Credential{ID: p.Credential, Person: string(m.ID), Name: b.Label, Created: s.clock.now()}
		if err := enrol.AddPhone(ctx, st, b, c, app.Limit); err != nil {
			return err
		}
		return enrol.FinishPairing(ctx, st, p)
	}))
}

// asked signs in with the password, in a new browser, and gives the number that its page shows.
func (s *phoneSite) asked(m *siteMember) string {
	s.t.Helper()
	ctx := s.t.Context()
	s.clock.add(10 * time.Minute)
	b := signin.Caller{Browser: secret.Token(32), Address: netip.MustParseAddr("192.0.2.7"), Agent: "Test/1.0", Door: "web"}
	ref, err := s.h.signin.Open(b, signin.Target{Return: "/apps"})
	s.must(err)
	step, err := s.h.signin.Identify(ctx, b, ref, m.Username)
	s.must(err)
	step, err = s.h.signin.Answer(ctx, b, step.Attempt, method.Password, method.Answer{Text: sitePassword}, false)
	s.must(err)
	if step.Sending == nil {
		s.t.Fatalf("the phone is not asked: %+v", step)
	}
	return step.Sending.Number
}

// typing is a command under way, with a terminal that can be read while it runs.
type typing struct {
	t    *testing.T
	in   *io.PipeWriter
	mu   sync.Mutex
	more *sync.Cond
	out  bytes.Buffer
	over bool
	code int
}

func (c *typing) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.more.Broadcast()
	return c.out.Write(b)
}

// phone starts `gatehouse dev phone …`.
func (s *phoneSite) phone(args ...string) *typing {
	in, out := io.Pipe()
	c := &typing{t: s.t.(*testing.T), in: out}
	c.more = sync.NewCond(&c.mu)
	go func() {
		code := run(append([]string{"dev", "phone", "--state", s.state}, args...), in, c, c)
		in.Close()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.over, c.code = true, code
		c.more.Broadcast()
	}()
	return c
}

// typingPatience bounds a test that fails, and nothing else.
const typingPatience = time.Minute

// wait waits for more of what the command does; with the lock held. It fails the test where nothing more comes.
func (c *typing) wait(forWhat string) {
	c.t.Helper()
	late := false
	end := time.AfterFunc(typingPatience, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		late = true
		c.more.Broadcast()
	})
	defer end.Stop()
	if c.more.Wait(); late {
		c.t.Fatalf("it waits, and not for %s: %s", forWhat, c.out.String())
	}
}

// says waits until the terminal shows something and gives what its first group matches.
func (c *typing) says(pattern string) string {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if m := regexp.MustCompile(pattern).FindStringSubmatch(c.out.String()); m != nil {
			c.out.Next(strings.Index(c.out.String(), m[0]) + len(m[0]))
			return m[len(m)-1]
		}
		if c.over {
			c.t.Fatalf("it ended with %d and never said %q: %s", c.code, pattern, c.out.String())
		}
		c.wait(pattern)
	}
}

func (c *typing) types(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

// ends waits for the end.
func (c *typing) ends(code int) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.over {
		c.wait("its end")
	}
	if c.code != code {
		c.t.Fatalf("it ended with %d: %s", c.code, c.out.String())
	}
}

func TestPhoneOnTheCommandLine(t *testing.T) {
	s := openPhoneSite(t)
	m := s.member("ada", method.Password, method.TOTP)
	p := s.began(m)
	pair := s.phone("pair", p.link)
	s.typed(m, p.id, pair.says(`you began: (\d{6})`))
	pair.says(`Paired with ada`)
	pair.ends(0)
	if info, err := os.Stat(s.state); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	again := s.phone("pair", s.began(m).link)
	again.says(`is a phone already`)
	again.ends(exitUsage)

	number := s.asked(m)
	approve := s.phone("approve", number)
	approve.says(`Sign-in to .*\n.*192\.0\.2\.7`)
	approve.says(`Answered: approved`)
	approve.ends(0)

	watch := s.phone("watch")
	watch.says(`Waiting for requests`)
	number = s.asked(m)
	watch.says(`Type the number .*\(2 digits\)`)
	watch.types("")
	watch.types(map[bool]string{true: "11", false: "10"}[number == "10"])
	watch.says(`request\.wrong_number`)
	s.asked(m)
	watch.says(`Type the number`)
	watch.types("no")
	watch.says(`Answered: denied`)
	s.asked(m)
	watch.says(`Type the number`)
	watch.in.Close()
	watch.ends(0)
	deny := s.phone("deny")
	deny.says(`Answered: denied`)
	deny.ends(0)

	passcode := s.phone("passcode")
	passcode.says(`^\d{6}\n`)
	passcode.ends(0)
	restore := s.phone("restore")
	restore.says(`is back`)
	restore.ends(0)
	s.asked(m)
	report := s.phone("report")
	report.says(`Answered: reported`)
	report.ends(0)
	leave := s.phone("leave")
	leave.says(`given up`)
	leave.ends(0)
	if _, err := os.Stat(s.state); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}

func TestPhoneMovesOnTheCommandLine(t *testing.T) {
	s := openPhoneSite(t)
	m := s.member("ada", method.Password)
	p := s.began(m)
	pair := s.phone("pair", p.code, "--app", s.app, "--name", "Old")
	s.typed(m, p.id, pair.says(`you began: (\d{6})`))
	pair.ends(0)
	old := s.state
	move := s.phone("move")
	link := move.says(`open (\S+)\n`)
	move.says(`the code that it shows: `)
	s.state += "-new"
	next := s.phone("pair", link)
	shown := next.says(`you began: (\d{6})`)
	move.types("x")
	move.says(`Tries left: 2`)
	move.types(shown)
	move.says(`on the new phone now`)
	move.ends(0)
	next.ends(0)
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old phone is still there: %v", err)
	}
	stopped := s.phone("move")
	stopped.says(`the code that it shows: `)
	stopped.in.Close()
	stopped.says(`the move is cancelled`)
	stopped.ends(exitFailed)
	last := s.phone("leave")
	last.says(`method\.last`)
	last.ends(exitFailed)
}

func TestPhoneSaysWhatIsWrong(t *testing.T) {
	s := openPhoneSite(t)
	junk := filepath.Join(t.TempDir(), "junk")
	if err := os.WriteFile(junk, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"pair"}, "wants the pairing link", exitUsage},
		{[]string{"pair", "ABCD-EFGH"}, "--app says where", exitUsage},
		{[]string{"pair", "ABCD-EFGH", "--app", "http://phone.example.ac.uk"}, "--app says where", exitUsage},
		{[]string{"pair", "ABCD-EFGH", "--app", s.app}, `pairing\.invalid`, exitFailed},
		{[]string{"pair", s.app + "/"}, "has no", exitUsage},
		{[]string{"pair", s.app + "/#pair=AAAAAAAAAAAAAAAAAAAAAA"}, `pairing\.invalid`, exitFailed},
		{[]string{"pair", "http://app.localhost:1/#pair=AAAAAAAAAAAAAAAAAAAAAA"}, "does not answer", exitFailed},
		{[]string{"pair", "--ca", junk, s.app + "/#pair=AAAA"}, "no certificate", exitUsage},
		{[]string{"approve", "12"}, "begin with", exitFailed},
		{[]string{"approve"}, "the number that", exitUsage},
		{[]string{"--state", junk, "passcode"}, "is no phone", exitFailed},
		{[]string{"dance"}, "no command", exitUsage},
	} {
		p := s.phone(c.args...)
		p.says(c.want)
		p.ends(c.code)
	}
}
