package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/bench"
)

// benchRun is one run of the bench: where its files lie and how long it looks.
type benchRun struct {
	dir     string
	core    int // the server's own
	window  time.Duration
	workers []int
	few     int // people in the small house
	many    int // people in the large one
	waiting int // browsers that wait for a phone
	rest    time.Duration
	dsn     string // an empty PostgreSQL database, "" for none
	only    string // operations whose name contains it, and nothing else
	profile string // file for the server's CPU profile
	note    func(format string, args ...any)
	report  benchReport
}

func newBenchCommand() *cobra.Command {
	var asJSON, quick bool
	var dir, only, profile, postgres string
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure every operation against a null server",
		Long: "Starts a server of its own on one processor core and drives it from another: closed loops of 1, 8 and 32 workers with\n" +
			"software authenticators, on a fresh SQLite database with synchronous=FULL, policy, audit and throttling on. What is\n" +
			"reported is the server's CPU time for each operation, and its ratio to a null server measured in the same run: the same\n" +
			"requests, signature checks and signatures, and one grouped durable commit. Then phones: how soon a browser moves on, and what\n" +
			"thousands that wait cost. docs/performance.md explains the figures.",
		Args: takes(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := &benchRun{dir: dir, only: only, profile: profile, window: 4 * time.Second, workers: []int{8, 1, 32}, few: 1_000, many: 100_000,
				waiting: 5_000, rest: 10 * time.Second, dsn: postgres}
			if quick {
				b.window, b.many, b.waiting, b.rest = 700*time.Millisecond, 20_000, 1_000, 5*time.Second
			}
			b.note = func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...) }
			if b.dir == "" {
				temp, err := os.MkdirTemp("", "gatehouse-bench-")
				if err != nil {
					return err
				}
				defer os.RemoveAll(temp)
				b.dir = temp
			}
			if err := b.run(cmd.Context()); err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(b.report)
			}
			return b.report.table(cmd.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object instead of tables")
	c.Flags().BoolVar(&quick, "quick", false, "look for a shorter time at fewer people: rough figures")
	c.Flags().StringVar(&dir, "dir", "", "keep the databases in this folder, on the disk that is to be measured (default: a temporary one)")
	c.Flags().StringVar(&postgres, "postgres", "", "the DSN of an empty PostgreSQL database: measures two nodes on it as well")
	c.Flags().StringVar(&only, "only", "", "measure the operations whose name contains this, and nothing else")
	c.Flags().StringVar(&profile, "profile", "", "write a CPU profile of the server into this file (with --only: of those operations)")
	c.AddCommand(newBenchNullCommand(), newBenchServeCommand())
	return c
}

func (b *benchRun) run(ctx context.Context) error {
	cores, err := bench.Cores()
	if err != nil {
		return err
	}
	b.core = cores[0]
	b.report.Cores = len(cores)
	if len(cores) < 2 {
		b.note("one core only: server and driver share it, so rates and times are the two together; CPU per operation holds")
	}
	if err := bench.KeepOff(b.core); err != nil {
		return err
	}
	if err := b.plain(ctx); err != nil {
		return err
	}
	if err := b.phones(ctx); err != nil {
		return err
	}
	b.report.judge()
	if len(b.report.Goals) == 0 {
		return usagef("nothing that is measured is called %q", b.only)
	}
	return nil
}

// wants reports whether --only admits a name.
func (b *benchRun) wants(name string) bool { return strings.Contains(name, b.only) }

// some are those of the operations that --only admits.
func (b *benchRun) some(all []bench.Operation) []bench.Operation {
	return slices.DeleteFunc(all, func(op bench.Operation) bool { return !b.wants(op.Name) })
}

// plain measures what needs no phone, and what a process needs.
func (b *benchRun) plain(ctx context.Context) error {
	if len(b.some((&bench.House{}).Operations())) == 0 {
		return nil
	}
	b.note("seeding %d people", b.few)
	small, err := seedBench(ctx, filepath.Join(b.dir, "small"), benchPlan{people: b.few})
	if err != nil {
		return err
	}
	floors := func(*benchProcess) ([]bench.Operation, error) {
		return bench.NullOperations(func(options []byte) (json.RawMessage, error) { return small.sign(0, options) }), nil
	}
	if err := b.house(ctx, small, small.house.Operations(), floors); err != nil || b.only != "" {
		return err
	}
	if err := b.startAndMemory(ctx, small); err != nil {
		return err
	}
	b.note("seeding %d people", b.many)
	large, err := seedBench(ctx, filepath.Join(b.dir, "large"), benchPlan{people: b.many})
	if err != nil {
		return err
	}
	return b.large(ctx, large)
}

// house measures Gatehouse, operation by operation, each right after its floor: what else the machine does then weighs on
// both alike. The two servers share the core; the one that is not asked spends nothing.
func (b *benchRun) house(ctx context.Context, s *benchSeed, ops []bench.Operation, floorsOf func(*benchProcess) ([]bench.Operation, error)) error {
	if ops = b.some(ops); len(ops) == 0 {
		return nil
	}
	null, err := b.startNull(ctx, s)
	if err != nil {
		return err
	}
	defer null.stop()
	p, err := b.startHouse(ctx, s)
	if err != nil {
		return err
	}
	defer p.stop()
	floors, err := floorsOf(null)
	if err != nil {
		return err
	}
	for _, op := range ops {
		for _, floor := range floors {
			if floor.Name != op.Name {
				continue
			}
			r, err := b.loop(ctx, null, floor, 8)
			if err != nil {
				return err
			}
			b.report.Null = append(b.report.Null, r)
		}
		for _, workers := range b.workers {
			r, err := b.loop(ctx, p, op, workers)
			if err != nil {
				return err
			}
			b.report.House = append(b.report.House, r)
		}
		// Eight come first, right after the floor; the report counts up.
		slices.SortFunc(b.report.House[len(b.report.House)-len(b.workers):], func(x, y bench.Result) int { return x.Workers - y.Workers })
	}
	return errors.Join(null.stop(), p.stop())
}

// startAndMemory measures what a fresh process on existing data needs: time to its first answer, and memory at rest and
// under 32 people who type passwords at once.
func (b *benchRun) startAndMemory(ctx context.Context, s *benchSeed) error {
	b.profile = "" // this is no operation
	for range 5 {
		p, err := b.startHouse(ctx, s)
		if err != nil {
			return err
		}
		if b.report.Start == 0 || p.first < b.report.Start {
			b.report.Start = p.first
		}
		if err := p.stop(); err != nil {
			return err
		}
	}
	p, err := b.startHouse(ctx, s)
	if err != nil {
		return err
	}
	defer p.stop()
	if err := p.settle(ctx, 2*time.Second); err != nil {
		return err
	}
	memory, err := bench.Memory(p.cmd.Process.Pid)
	if err != nil {
		return err
	}
	b.report.IdleBytes, b.report.IdleOwnBytes = memory.All, memory.Own
	for _, op := range s.house.Operations() {
		if op.Name != bench.PasswordSignIn {
			continue
		}
		if _, err := b.loop(ctx, p, op, 32); err != nil {
			return err
		}
	}
	if memory, err = bench.Memory(p.cmd.Process.Pid); err != nil {
		return err
	}
	b.report.PasswordBytes = memory.Highest
	return p.stop()
}

// large measures the sign-in again, among many people.
func (b *benchRun) large(ctx context.Context, s *benchSeed) error {
	p, err := b.startHouse(ctx, s)
	if err != nil {
		return err
	}
	defer p.stop()
	b.report.People = [2]int{b.few, b.many}
	if b.report.Large, err = b.loop(ctx, p, s.house.Operations()[0], 8); err != nil {
		return err
	}
	return p.stop()
}

func (b *benchRun) loop(ctx context.Context, p *benchProcess, op bench.Operation, workers int) (bench.Result, error) {
	b.note("%s %s, %d workers", p.name, op.Name, workers)
	window := b.window
	if op.Name == bench.PasswordSignIn && workers > 1 {
		window = max(window, 3*time.Second) // 32 workers and 25 ms each: a second is one round
	}
	r, err := bench.Loop(ctx, op, bench.Settings{Workers: workers, For: window, PID: p.cmd.Process.Pid,
		NewWorker: func(n int) (*bench.Worker, error) { return bench.NewWorker(n, p.base) }})
	if err != nil {
		return r, errors.Join(err, p.complaint())
	}
	return r, nil
}
