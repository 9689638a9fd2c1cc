package wake_test

import (
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/wake"
)

func woken(w *wake.Waiter) bool {
	select {
	case <-w.C:
		return true
	default:
		return false
	}
}

func TestWakeReachesItsTopicOnly(t *testing.T) {
	var h wake.Hub
	a, b, other := h.Subscribe("a"), h.Subscribe("a"), h.Subscribe("b")
	h.Wake("a")
	h.Wake("a")
	if !woken(a) || !woken(b) || woken(a) || woken(other) {
		t.Error("two wakes of one topic are one for each of its waiters, and none for others")
	}
	a.Close()
	a.Close()
	h.WakeAll()
	if woken(a) || !woken(b) || !woken(other) || h.Waiting() != 2 || h.WaitingFor("a") != 1 || h.WaitingFor("c") != 0 {
		t.Error("a closed waiter waits, or an open one was left out")
	}
	h.Close()
	if _, open := <-b.C; open {
		t.Error("the hub closed and its waiters wait on")
	}
	b.Close()
	if _, open := <-h.Subscribe("late").C; open {
		t.Error("a closed hub keeps somebody waiting")
	}
}

func TestOnChangeSeesFirstAndLast(t *testing.T) {
	var h wake.Hub
	early := h.Subscribe("x")
	var seen []bool
	h.OnChange(func(waiting bool) { seen = append(seen, waiting) })
	early.Close()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			w := h.Subscribe("x")
			h.Wake("x")
			<-w.C
			w.Close()
		})
	}
	all.Wait()
	if h.Waiting() != 0 || len(seen) < 4 || len(seen)%2 != 0 || !seen[0] || seen[1] || seen[len(seen)-1] {
		t.Errorf("%d wait; seen %v", h.Waiting(), seen)
	}
}
