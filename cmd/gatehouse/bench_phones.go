package main

import (
	"context"
	"errors"
	"net"
	"net/url"
	"path/filepath"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/bench"
	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
)

// benchWaiting is what thousands of browsers that wait on one node cost. Times are nanoseconds.
type benchWaiting struct {
	Browsers int `json:"browsers"`
	// Files is how many files and connections a process could have.
	Files int `json:"open_files"`
	// Each is the process' own memory that came with them, divided by them, and Resident the same of all that is resident:
	// with the pages of the database's file that their looks have mapped, which the kernel takes back at need.
	Each     int64 `json:"bytes_each"`
	Resident int64 `json:"resident_bytes_each"`
	// Rest is the server's CPU time for each second in which nothing happens.
	Rest time.Duration `json:"cpu_ns_per_second"`
	// Moved is how many went on when their phones had answered; P50 and P99 are until the page had heard of it.
	Moved int           `json:"moved"`
	P50   time.Duration `json:"p50_ns"`
	P99   time.Duration `json:"p99_ns"`
}

// waitingName is what --only calls them.
const waitingName = "waiting browsers"

// phones measures what has to do with phones, in a house whose passwords are hashed lightly.
func (b *benchRun) phones(ctx context.Context) error {
	if len(b.some((&bench.House{}).PhoneOperations())) == 0 && !b.wants(bench.MovedOn) && !b.wants(waitingName) {
		return nil
	}
	files, err := bench.OpenFiles()
	if err != nil {
		return err
	}
	waiting := min(b.waiting, files-256) // the server's own files, and the driver's other connections
	if waiting < b.waiting {
		b.note("only %d files may be open: %d browsers wait instead of %d", files, waiting, b.waiting)
	}
	b.note("seeding %d people with phones", b.waiting)
	s, err := seedBench(ctx, filepath.Join(b.dir, "phones"), benchPlan{members: b.waiting, coders: 2 * b.waiting, light: true})
	if err != nil {
		return err
	}
	if err := b.house(ctx, s, s.house.PhoneOperations(), s.nullPhone); err != nil {
		return err
	}
	b.profile = ""
	if b.wants(bench.MovedOn) {
		if err := b.movedOn(ctx, s); err != nil {
			return err
		}
	}
	if b.wants(waitingName) {
		if b.report.Waiting, err = b.wait(ctx, s, waiting); err != nil {
			return err
		}
		b.report.Waiting.Files = files
	}
	if b.wants(bench.MovedOn) {
		return b.twoNodes(ctx)
	}
	return nil
}

// nullPhone are the floors: a phone of the null server, with everybody's key.
func (s *benchSeed) nullPhone(null *benchProcess) ([]bench.Operation, error) {
	at, err := url.Parse(null.base)
	if err != nil {
		return nil, err
	}
	origin := "http://app." + at.Host
	passkey := softkey.Credential{ID: []byte("everybody's"), RPID: "app.localhost", UserHandle: []byte("everybody"), Key: s.key}
	phone, err := softphone.Paired(origin, null.base, "everybody", s.key, passkey, phoneClient(net.JoinHostPort("127.0.0.1", at.Port())))
	if err != nil {
		return nil, err
	}
	return bench.NullPhoneOperations(phone), nil
}

// movedOn measures on one node how soon a browser goes on, and what the app's first load is.
func (b *benchRun) movedOn(ctx context.Context, s *benchSeed) error {
	p, err := b.startHouse(ctx, s)
	if err != nil {
		return err
	}
	defer p.stop()
	for _, workers := range []int{1, 8} {
		r, err := b.loop(ctx, p, s.house.MovedOn(), workers)
		if err != nil {
			return err
		}
		b.report.Moved = append(b.report.Moved, r)
	}
	if b.report.Load, err = bench.FirstLoad(s.phones, s.app); err != nil {
		return err
	}
	return p.stop()
}

// twoNodes is movedOn with the browser at one node and the phone at the other.
func (b *benchRun) twoNodes(ctx context.Context) error {
	if b.dsn == "" {
		b.note("not measured: two nodes on PostgreSQL (no --postgres)")
		return nil
	}
	b.note("seeding two nodes")
	s, err := seedBench(ctx, filepath.Join(b.dir, "nodes"), benchPlan{members: 64, light: true, postgres: b.dsn})
	if err != nil {
		return err
	}
	first, err := b.startHouse(ctx, s)
	if err != nil {
		return err
	}
	defer first.stop()
	second, err := b.startNode(ctx, s, s.second, "http://"+s.secondAddr+"/healthz")
	if err != nil {
		return err
	}
	defer second.stop()
	s.call(s.secondAddr)
	for _, workers := range []int{1, 8} {
		r, err := b.loop(ctx, first, s.house.MovedOn(), workers)
		if err != nil {
			return errors.Join(err, second.complaint())
		}
		b.report.TwoNodes = append(b.report.TwoNodes, r)
	}
	return errors.Join(first.stop(), second.stop())
}

// wait lets n browsers wait on one node. They sign in at one process and wait at a fresh one, so that what the sign-ins
// left in its memory hides nothing.
func (b *benchRun) wait(ctx context.Context, s *benchSeed, n int) (out benchWaiting, err error) {
	b.note("gatehouse: %d browsers wait", n)
	p, err := b.startHouse(ctx, s)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	all, err := s.house.NewWaiters(ctx, n, func(i int) (*bench.Worker, error) { return bench.NewWorker(i, s.base) })
	if err != nil {
		return out, errors.Join(err, p.complaint())
	}
	defer all.Close()
	s.phones.CloseIdleConnections()
	if err := p.stop(); err != nil {
		return out, err
	}
	if p, err = b.startHouse(ctx, s); err != nil {
		return out, err
	}
	pid := p.cmd.Process.Pid
	if err := p.settle(ctx, 2*time.Second); err != nil {
		return out, err
	}
	before, err := bench.Memory(pid)
	if err != nil {
		return out, err
	}
	if err := all.Listen(ctx); err != nil {
		return out, errors.Join(err, p.complaint())
	}
	if err := p.settle(ctx, 2*time.Second); err != nil {
		return out, err
	}
	if out.Rest, err = b.atRest(ctx, p); err != nil {
		return out, err
	}
	now, err := bench.Memory(pid)
	if err != nil {
		return out, err
	}
	out.Browsers = all.Len()
	out.Each, out.Resident = (now.Own-before.Own)/int64(out.Browsers), (now.All-before.All)/int64(out.Browsers)
	out.Moved, out.P50, out.P99, err = all.Wake(ctx)
	return out, err
}

// atRest is the CPU time that a process uses in a second, while nothing happens.
func (b *benchRun) atRest(ctx context.Context, p *benchProcess) (time.Duration, error) {
	pid := p.cmd.Process.Pid
	before, err := bench.ProcessCPU(pid)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := p.settle(ctx, b.rest); err != nil {
		return 0, err
	}
	after, err := bench.ProcessCPU(pid)
	return time.Duration(float64(after-before) / time.Since(began).Seconds()), err
}
