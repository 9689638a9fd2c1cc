package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/campus"
	"github.com/gatehouse-id/gatehouse/internal/courier"
	"github.com/gatehouse-id/gatehouse/internal/courier/smtp"
	"github.com/gatehouse-id/gatehouse/internal/method/password"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/place"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// defaultConfig is read where --config says nothing else.
const defaultConfig = "/etc/gatehouse/gatehouse.yaml"

// withConfig adds --config to a command.
func withConfig(c *cobra.Command) *cobra.Command {
	c.PersistentFlags().String("config", defaultConfig, "the configuration file")
	return c
}

func configOf(cmd *cobra.Command) (config, error) {
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return config{}, err
	}
	c, err := loadConfig(path)
	if errors.Is(err, os.ErrNotExist) {
		return c, usagef("there is no configuration file %s: name yours with --config FILE (docs/configuration.md explains it; \"gatehouse demo\" needs none)", path)
	}
	if err != nil {
		return c, usageError{err}
	}
	return c, nil
}

func newServeCommand() *cobra.Command {
	return withConfig(&cobra.Command{Use: "serve", Short: "Serve sign-ins", Args: takes(0, ""),
		Long: "Serve answers until it is told to stop (Ctrl-C, SIGTERM). It expects a database that \"gatehouse init\" set up.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := configOf(cmd)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), c, cmd.ErrOrStderr())
		}})
}

// campusOf reads the campus file that the configuration names; without one the house is called Gatehouse.
func (c config) campusOf() (campus.Campus, error) {
	if c.Campus == "" {
		return campus.Campus{ID: "gatehouse", Name: "Gatehouse"}, nil
	}
	return readCampus(c.Campus)
}

func readCampus(path string) (campus.Campus, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return campus.Campus{}, fmt.Errorf("the campus file cannot be read: %w", err)
	}
	out, err := campus.Parse(path, src)
	if err != nil {
		return out, usageError{err}
	}
	return out, nil
}

// house turns a configuration into what a house is built from.
func (c config) house(node string, log *slog.Logger) (houseConfig, error) {
	ring, _, err := readKeyFile(c.KeyFile)
	if err != nil {
		return houseConfig{}, err
	}
	place, err := c.campusOf()
	if err != nil {
		return houseConfig{}, err
	}
	out := houseConfig{Base: c.BaseURL, DSN: c.Database.Reveal(), Node: node, Keyring: ring, Campus: place, Now: time.Now, Log: log,
		Proxies: c.Proxies}
	if err := c.phones(&out); err != nil {
		return out, err
	}
	a := c.Argon2
	out.Passwords = password.Settings{Workers: a.Workers, Queue: a.Queue,
		Params: password.Params{Memory: uint32(a.MemoryKiB), Time: uint32(a.Passes), Threads: uint8(a.Lanes)}}
	if c.Breached != "" {
		f, err := os.Open(c.Breached)
		if err != nil {
			return out, fmt.Errorf("the breached_list cannot be read: %w", err)
		}
		defer f.Close()
		if out.Passwords.Breached, err = password.NewList(f); err != nil {
			return out, fmt.Errorf("%s: %w", c.Breached, err)
		}
	}
	return out, nil
}

// channels are the ways out for notices: mail, where a relay is configured, and text messages and calls, where a
// gateway is.
func (c config) channels() (map[string]courier.Channel, error) {
	out := map[string]courier.Channel{}
	if c.Text != nil {
		for name, carrier := range c.Text.Carriers {
			channel, err := carrier.open(name)
			if err != nil {
				return nil, fmt.Errorf("text: %w", err)
			}
			out[name] = channel
		}
	}
	if c.SMTP == nil {
		return out, nil
	}
	set := smtp.Settings{Host: c.SMTP.Host, Port: c.SMTP.Port, Security: smtp.Security(c.SMTP.Security), Username: c.SMTP.User,
		From: c.SMTP.From, FromName: c.SMTP.FromName}
	if c.SMTP.PasswordFile != "" {
		raw, err := os.ReadFile(c.SMTP.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("the mail relay's password cannot be read: %w", err)
		}
		set.Password = secret.NewString(strings.TrimRight(string(raw), "\r\n"))
	}
	sender, err := smtp.New(set)
	if err != nil {
		return nil, err
	}
	out[notice.Mail] = sender
	return out, nil
}

func (c config) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // loadConfig admits only names of levels
	options := &slog.HandlerOptions{Level: level}
	if c.LogJSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// refuseDemo looks for the demonstration's mark: in the database and beside its file.
func refuseDemo(ctx context.Context, c config, h *house) error {
	if !c.Postgres {
		if _, err := os.Stat(filepath.Join(filepath.Dir(c.Database.Reveal()), demoFile)); err == nil {
			return errDemoData
		}
	}
	mark, err := h.setting(ctx, demoMark)
	if err != nil {
		return err
	}
	if mark != nil {
		return errDemoData
	}
	return nil
}

// serve runs a node until ctx ends.
func serve(ctx context.Context, c config, logTo io.Writer) error {
	boundMemory()
	log := c.logger(logTo)
	set, err := c.house(c.Node, log)
	if err != nil {
		return err
	}
	channels, err := c.channels()
	if err != nil {
		return err
	}
	if c.Places != "" {
		places, err := place.OpenFile(c.Places)
		if err != nil {
			return err
		}
		set.Country = places.Country
	}
	h, err := openHouse(ctx, set)
	if err != nil {
		return err
	}
	defer h.close()
	if err := h.db.CheckSchema(ctx); err != nil {
		return err
	}
	if err := refuseDemo(ctx, c, h); err != nil {
		return err
	}
	if err := h.openPush(ctx); err != nil {
		return err
	}
	m := newMetrics(h)
	d, err := h.openDoors(m)
	if err != nil {
		return err
	}
	h.probes(d)
	listener, reload, err := c.listen(log)
	if err != nil {
		return err
	}
	log.Info("serving", "base_url", c.BaseURL.String(), "listen", listener.Addr().String(), "node", c.Node, "version", version())
	tasks := h.background(d, channels, c.Checkpoints)
	if reload != nil {
		tasks = append(tasks, reload)
	}
	servers := []served{{server: d.door.Server(d.handler()), listener: listener}}
	if c.Metrics != "" {
		l, err := net.Listen("tcp", c.Metrics)
		if err != nil {
			listener.Close()
			return fmt.Errorf("metrics: %w", err)
		}
		servers = append(servers, served{server: d.door.Server(m.handler()), listener: l})
	}
	return runUntil(ctx, log, servers, tasks)
}

// served is an HTTP server with its listener.
type served struct {
	server   *http.Server
	listener net.Listener
	silent   silent
}

// stopWithin is how long requests under way may take to finish once the house is told to stop.
const stopWithin = 5 * time.Second

// runUntil serves and does the background tasks until ctx ends or a server fails; then it lets requests finish.
func runUntil(ctx context.Context, log *slog.Logger, servers []served, tasks []func(context.Context)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, len(servers))
	for i := range servers {
		s := &servers[i]
		s.server.ConnState = s.silent.note
		go func() {
			if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		}()
	}
	done := make(chan struct{}, len(tasks))
	for _, task := range tasks {
		go func() {
			task(ctx)
			done <- struct{}{}
		}()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	cancel()
	grace, stop := context.WithTimeout(context.Background(), stopWithin)
	defer stop()
	stopServers(grace, servers)
	for range tasks {
		select {
		case <-done:
		case <-grace.Done():
			log.Warn("stopped while something in the background was still busy")
			return err
		}
	}
	log.Info("stopped")
	return err
}
