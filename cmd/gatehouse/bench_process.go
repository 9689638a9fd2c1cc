package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/bench"
)

// benchProcess is a server under measurement, on a core of its own.
type benchProcess struct {
	name  string
	base  string
	cmd   *exec.Cmd
	log   string        // what it writes, as on any machine: into a file
	first time.Duration // from its start to its first answer
	ended func() error
}

// complaint is the end of what the process wrote, for when it fails.
func (p *benchProcess) complaint() error {
	text, err := os.ReadFile(p.log)
	if err != nil || len(text) == 0 {
		return err
	}
	return fmt.Errorf("%s wrote: %s", p.name, text[max(0, len(text)-2048):])
}

// stop ends the process as an operator would, and waits.
func (p *benchProcess) stop() error { return p.ended() }

func (b *benchRun) startHouse(ctx context.Context, s *benchSeed) (*benchProcess, error) {
	return b.startNode(ctx, s, s.config, s.base+"/.well-known/openid-configuration")
}

// startNode starts one node of a house; it is ready when it answers at ready.
func (b *benchRun) startNode(ctx context.Context, s *benchSeed, config, ready string) (*benchProcess, error) {
	args := []string{"serve", "--config", config}
	if b.profile != "" || s.light {
		args = append([]string{"bench"}, args...)
	}
	if b.profile != "" {
		args = append(args, "--profile", b.profile)
	}
	if s.light {
		args = append(args, "--light-hash")
	}
	return b.start(ctx, "gatehouse:", s.dir, s.base, ready, args...)
}

func (b *benchRun) startNull(ctx context.Context, s *benchSeed) (*benchProcess, error) {
	public, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "people.pub"), public, 0o600); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	return b.start(ctx, "null server:", s.dir, fmt.Sprintf("http://localhost:%d", port), fmt.Sprintf("http://localhost:%d/empty", port),
		"bench", "null", "--dir", s.dir, "--listen", fmt.Sprintf("127.0.0.1:%d", port))
}

// start runs this program again on the server's core with one scheduler thread, and waits for its first answer.
func (b *benchRun) start(ctx context.Context, name, dir, base, ready string, args ...string) (*benchProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.CreateTemp(dir, "log-")
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has it open by then
	p := &benchProcess{name: name, base: base, log: log.Name()}
	p.cmd = exec.CommandContext(ctx, self, args...)
	p.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 10 * time.Second
	began := time.Now()
	if err := bench.StartOn(b.core, p.cmd); err != nil {
		return nil, err
	}
	gone := make(chan struct{})
	var ended error
	go func() { ended = p.cmd.Wait(); close(gone) }()
	p.ended = sync.OnceValue(func() error {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		<-gone
		if ended != nil {
			return errors.Join(fmt.Errorf("%s %w", name, ended), p.complaint())
		}
		return nil
	})
	return p, p.ready(ready, began, gone)
}

// ready asks until there is an answer.
func (p *benchProcess) ready(address string, began time.Time, gone <-chan struct{}) error {
	asking := http.Client{Timeout: time.Second, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	for {
		if resp, err := asking.Get(address); err == nil {
			p.first = time.Since(began)
			return resp.Body.Close()
		}
		select {
		case <-gone:
			return p.stop()
		case <-time.After(500 * time.Microsecond):
		}
		if time.Since(began) > 30*time.Second {
			return errors.Join(fmt.Errorf("%s no answer within 30 seconds", p.name), p.stop())
		}
	}
}

// settle waits until a fresh process has done what it does after its start.
func (p *benchProcess) settle(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newBenchServeCommand is serve with what serve itself has no way to do: a CPU profile, and passwords hashed so lightly
// that the rest of a sign-in can be seen.
func newBenchServeCommand() *cobra.Command {
	var profile string
	var light bool
	c := withConfig(&cobra.Command{Use: "serve", Short: "Serve with a CPU profile", Hidden: true, Args: takes(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := configOf(cmd)
			if err != nil {
				return err
			}
			if light {
				c.Argon2 = lightHash
			}
			if profile == "" {
				return serve(cmd.Context(), c, cmd.ErrOrStderr())
			}
			f, err := os.Create(profile)
			if err != nil {
				return err
			}
			if err := pprof.StartCPUProfile(f); err != nil {
				return errors.Join(err, f.Close())
			}
			err = serve(cmd.Context(), c, cmd.ErrOrStderr())
			pprof.StopCPUProfile()
			return errors.Join(err, f.Close())
		}})
	c.Flags().StringVar(&profile, "profile", "", "the file to write")
	c.Flags().BoolVar(&light, "light-hash", false, "hash passwords with next to nothing: for invented people only")
	return c
}

func newBenchNullCommand() *cobra.Command {
	var dir, listen string
	c := &cobra.Command{Use: "null", Short: "Run the null server", Hidden: true, Args: takes(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return serveNull(cmd.Context(), dir, listen) }}
	c.Flags().StringVar(&dir, "dir", "", "folder with people.pub")
	c.Flags().StringVar(&listen, "listen", "", "host:port")
	return c
}

func serveNull(ctx context.Context, dir, listen string) error {
	der, err := os.ReadFile(filepath.Join(dir, "people.pub"))
	if err != nil {
		return err
	}
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return err
	}
	key, ok := public.(*ecdsa.PublicKey)
	if !ok {
		return errors.New("people.pub is no ECDSA key")
	}
	null, err := bench.NewNull(filepath.Join(dir, "null.db"), key)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return errors.Join(err, null.Close())
	}
	server := &http.Server{Handler: null.Handler(), ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		err = server.Close()
	}
	return errors.Join(err, null.Close())
}
