package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/courier"
	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
)

// How often the house looks after itself.
const (
	firstRound      = 2 * time.Second // after the start, so that the first answer waits for nothing
	keysEvery       = 10 * time.Minute
	sweepEvery      = 10 * time.Minute
	checkpointEvery = time.Hour
)

// background are the tasks of a serving node: letters, keys, sweeping, checkpoints.
func (h *house) background(d *doors, channels map[string]courier.Channel, checkpoints string) []func(context.Context) {
	tasks := []func(context.Context){
		// First of all when the house is told to stop: pages and phones that wait are let go, or each would hold it up.
		func(ctx context.Context) { <-ctx.Done(); h.hub.Close() },
		h.every("keys", keysEvery, func(ctx context.Context) error {
			_, err := h.keys.Turn(ctx)
			return err
		}),
		h.every("sweep", sweepEvery, func(ctx context.Context) error {
			_, err := h.db.Sweep(ctx, h.Now())
			return err
		}),
		h.every("checkpoint", checkpointEvery, func(ctx context.Context) error { return h.checkpoint(ctx, checkpoints) }),
	}
	for _, c := range h.couriers(d.pages.Texts, channels) { // without a channel notices wait in the outbox until one is configured
		tasks = append(tasks, c.Run)
	}
	if p := h.pusher.Load(); p != nil {
		tasks = append(tasks, p.Run)
	}
	return tasks
}

// every does work soon after the start and then regularly; a failure is logged and tried again in its turn.
func (h *house) every(name string, interval time.Duration, work func(context.Context) error) func(context.Context) {
	return func(ctx context.Context) {
		wait := time.NewTimer(firstRound)
		defer wait.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-wait.C:
			}
			if err := work(ctx); err != nil && ctx.Err() == nil {
				h.Log.Error("housekeeping", "task", name, "error", err)
			}
			wait.Reset(interval)
		}
	}
}

// checkpoint signs the heads of all audit chains and appends the line to the file, which lies outside the database.
func (h *house) checkpoint(ctx context.Context, file string) error {
	c, err := h.db.Checkpoint(ctx)
	if err != nil || file == "" {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(c.Line() + "\n")
	return errors.Join(err, f.Sync(), f.Close())
}

// probes are for the machine room: alive, and ready (the database answers).
func (h *house) probes(d *doors) {
	d.door.Handle(d.mux, httpdoor.Probe, "GET /healthz", func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Cache-Control", "no-store")
		httpdoor.WriteJSON(w, http.StatusOK, map[string]string{"status": "ok"})
		return nil
	})
	d.door.Handle(d.mux, httpdoor.Probe, "GET /readyz", func(w http.ResponseWriter, r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		status, text := http.StatusOK, "ready"
		if err := h.db.Ping(ctx); err != nil {
			h.Log.Error("not ready", "error", err)
			status, text = http.StatusServiceUnavailable, "the database does not answer"
		}
		w.Header().Set("Cache-Control", "no-store")
		httpdoor.WriteJSON(w, status, map[string]string{"status": text})
		return nil
	})
}
