// Package bench measures a running server: closed loops of workers with software authenticators on one side, what the
// server's process spends on the other.
//
//	Loop(workers) ─► worker: Prepare, then again and again Do ─► wire (one connection a worker) ─► server, on one core
//	      │                                                                                           │
//	      ├─ rate, p50, p99 ◄── time of each Do                                                       │
//	      └─ CPU per operation ◄── the kernel's CPU clock of that process, before and after ◄─────────┘
//
// Null is the least that any server must do for the same requests: the same HTTP, the same signature checks and
// signatures, one grouped durable commit, nothing else. Measured in the same run, it makes the figures of two machines
// comparable: what is reported is the ratio. Nothing here asserts a time; the figures go into docs/performance.md.
package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Operation is one thing a member or an application does.
type Operation struct {
	Name string
	// Prepare is done once a worker before the clock starts (sign in, fetch tokens); nil: nothing.
	Prepare func(ctx context.Context, w *Worker) error
	// Do is what is measured, from the first byte sent to the last byte read.
	Do func(ctx context.Context, w *Worker) error
}

// Result is one operation under one number of workers.
type Result struct {
	Operation string        `json:"operation"`
	Workers   int           `json:"workers"`
	Count     int           `json:"count"`
	CPU       time.Duration `json:"cpu_ns"` // of the server, per operation
	Rate      float64       `json:"per_second"`
	P50       time.Duration `json:"p50_ns"`
	P99       time.Duration `json:"p99_ns"`
}

// Settings of a loop.
type Settings struct {
	Workers int
	For     time.Duration
	// PID is the server's process, whose CPU is counted.
	PID int
	// NewWorker makes worker number n (from 0).
	NewWorker func(n int) (*Worker, error)
}

// Loop runs op in a closed loop: each worker begins anew when its last one is answered. The first failure ends it.
func Loop(ctx context.Context, op Operation, s Settings) (Result, error) {
	workers := make([]*Worker, s.Workers)
	for i := range workers {
		w, err := s.NewWorker(i)
		if err != nil {
			return Result{}, err
		}
		defer w.Close()
		workers[i] = w
	}
	if op.Prepare != nil {
		if err := each(workers, func(w *Worker) error { return op.Prepare(ctx, w) }); err != nil {
			return Result{}, fmt.Errorf("%s: preparing: %w", op.Name, err)
		}
	}
	// One round that is not counted: caches, connections, code that was never run.
	if err := each(workers, func(w *Worker) error { return op.Do(ctx, w) }); err != nil {
		return Result{}, fmt.Errorf("%s: %w", op.Name, err)
	}
	cpu, err := ProcessCPU(s.PID)
	if err != nil {
		return Result{}, err
	}
	var stop atomic.Bool
	began := time.Now()
	timer := time.AfterFunc(s.For, func() { stop.Store(true) })
	defer timer.Stop()
	err = each(workers, func(w *Worker) error { return w.repeat(ctx, op, &stop) })
	took := time.Since(began)
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", op.Name, err)
	}
	after, err := ProcessCPU(s.PID)
	if err != nil {
		return Result{}, err
	}
	return summarise(op.Name, workers, after-cpu, took), nil
}

func summarise(name string, workers []*Worker, cpu, took time.Duration) Result {
	var all []time.Duration
	for _, w := range workers {
		all = append(all, w.times...)
	}
	slices.Sort(all)
	r := Result{Operation: name, Workers: len(workers), Count: len(all)}
	if len(all) > 0 {
		r.CPU = cpu / time.Duration(len(all))
		r.Rate = float64(len(all)) / took.Seconds()
		r.P50, r.P99 = percentile(all, 50), percentile(all, 99)
	}
	return r
}

// percentile is the nearest rank in sorted times.
func percentile(sorted []time.Duration, p int) time.Duration {
	rank := (len(sorted)*p + 99) / 100
	return sorted[max(rank, 1)-1]
}

// each runs do for every worker at once and gives the first error.
func each(workers []*Worker, do func(*Worker) error) error {
	errs := make([]error, len(workers))
	var wg sync.WaitGroup
	for i, w := range workers {
		wg.Go(func() { errs[i] = do(w) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
