package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"
)

// boundMemory trades memory for speed within a bound: the live heap is a few MiB, so that a collection at three times its
// size instead of twice saves a tenth of the CPU of a sign-in, and above the soft limit the collector works harder. What
// the operator set in the environment wins.
func boundMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(256 << 20)
	}
}

// listen opens the address. With TLS files, reload is a task that reads them again when they change or on SIGHUP.
func (c config) listen(log *slog.Logger) (l net.Listener, reload func(context.Context), err error) {
	l, err = net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot listen at %s: %w", c.Listen, err)
	}
	if c.TLSCert == "" {
		return l, nil, nil
	}
	files := &certificateFiles{cert: c.TLSCert, key: c.TLSKey, log: log}
	if err := files.read(); err != nil {
		l.Close()
		return nil, nil, fmt.Errorf("tls: %w", err)
	}
	return tls.NewListener(l, files.config()), files.watch, nil
}

// certificateFiles is a certificate that can be replaced while serving.
type certificateFiles struct {
	cert, key string
	log       *slog.Logger
	held      atomic.Pointer[tls.Certificate]
	seen      time.Time // of the newer file
}

func (f *certificateFiles) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.held.Load(), nil }}
}

// read puts the files' certificate in use; on an error the one before stays.
func (f *certificateFiles) read() error {
	f.seen = f.changed()
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return err
	}
	f.held.Store(&pair)
	return nil
}

func (f *certificateFiles) changed() (newest time.Time) {
	for _, name := range []string{f.cert, f.key} {
		if info, err := os.Stat(name); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	return newest
}

// watch looks every half minute, and at once on SIGHUP. A pair that does not fit (one file is written before the
// other) is tried again at the next look.
func (f *certificateFiles) watch(ctx context.Context) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
		case <-tick.C:
			if f.changed().Equal(f.seen) {
				continue
			}
		}
		if err := f.read(); err != nil {
			f.log.Error("the TLS files cannot be used; the certificate before them stays", "error", err)
			f.seen = time.Time{}
		}
	}
}
