package bench

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Waiters are many browsers, each with an attempt and a request of its own, that wait on one node:
//
//	NewWaiters ─► each signs in as far as the page with its number ─► (the server starts anew) ─► Listen ─► Wake
type Waiters struct {
	house *House
	all   []*Waiter
}

// atOnce is how many of them do something at the same time.
const atOnce = 8

// NewWaiters brings the first n members' browsers to their waiting pages. newWorker makes browser i.
func (h *House) NewWaiters(ctx context.Context, n int, newWorker func(i int) (*Worker, error)) (*Waiters, error) {
	w := &Waiters{h, make([]*Waiter, min(n, len(h.Members)))}
	return w, w.each(func(i int) (err error) {
		x := &Waiter{member: h.Members[i]}
		w.all[i] = x
		if x.browser, err = newWorker(i); err != nil {
			return err
		}
		defer x.browser.Close()
		x.attempt, x.number, err = h.ask(ctx, x.browser, x.member)
		return err
	})
}

// Len is how many there are.
func (w *Waiters) Len() int { return len(w.all) }

// each does something for all of them, a few at a time, and gives the first error.
func (w *Waiters) each(do func(i int) error) error {
	var next atomic.Int64
	return each(make([]*Worker, atOnce), func(*Worker) error {
		for i := int(next.Add(1)) - 1; i < len(w.all); i = int(next.Add(1)) - 1 {
			if err := do(i); err != nil {
				return err
			}
		}
		return nil
	})
}

// Listen opens everybody's stream.
func (w *Waiters) Listen(ctx context.Context) error {
	return w.each(func(i int) (err error) {
		w.all[i].browser.Close()
		w.all[i].stream, err = w.all[i].browser.Listen(ctx, w.all[i].attempt)
		return err
	})
}

// Close ends what is open.
func (w *Waiters) Close() {
	for _, x := range w.all {
		if x != nil && x.stream != nil {
			x.stream.Close()
		}
	}
}

// Wake lets every phone approve and every browser that hears of it go on. moved is how many arrived; p50 and p99 are the
// times from an answer being sent to its page having heard of it.
func (w *Waiters) Wake(ctx context.Context) (moved int, p50, p99 time.Duration, err error) {
	var heard sync.WaitGroup
	errs := make([]error, len(w.all))
	for i, x := range w.all {
		heard.Go(func() {
			errs[i] = x.stream.Await("approved")
			x.heard = time.Now()
		})
	}
	err = w.each(func(i int) error {
		x := w.all[i]
		r, err := x.member.fetch(ctx)
		if err != nil {
			return err
		}
		d, err := x.member.Phone.Decide(r, "approve", x.number)
		if err != nil {
			return err
		}
		x.left = time.Now()
		_, err = x.member.Phone.SendDecision(ctx, r.ID, d)
		return err
	})
	if err != nil {
		w.Close() // whoever listens stops
	}
	heard.Wait()
	if err != nil {
		return 0, 0, 0, err
	}
	var times []time.Duration
	var arrived atomic.Int64
	err = w.each(func(i int) error {
		x := w.all[i]
		defer x.browser.Close()
		if errs[i] == nil && w.house.goOn(ctx, x.browser, x.attempt) == nil {
			arrived.Add(1)
		}
		return nil
	})
	for i, x := range w.all {
		if errs[i] == nil {
			times = append(times, x.heard.Sub(x.left))
		}
	}
	slices.Sort(times)
	if len(times) > 0 {
		p50, p99 = percentile(times, 50), percentile(times, 99)
	}
	return int(arrived.Load()), p50, p99, err
}
