// Package wake tells those who wait that something has changed.
//
//	page or phone ─► Subscribe(topic) ─► look at what is stored ─► wait on C ─► look again ─► … ─► Close
//	commit ─► store ─► Hub.Wake(topic) here, and on PostgreSQL NOTIFY ─► Hub.Wake(topic) on every node that waits
//
// A wake carries nothing: whoever is woken reads what is stored. It may come too often and, where a node was cut off,
// too late; waiters therefore look again by themselves every few seconds.
package wake

import "sync"

// Hub knows who waits on this node. The zero value is ready; it is safe for concurrent use.
type Hub struct {
	mu      sync.Mutex
	waiters map[string]map[*Waiter]struct{}
	n       int
	// changed is called with the lock held when the first waiter comes (true) or the last one goes (false).
	changed func(waiting bool)
	closed  bool
}

// Waiter is one subscription.
type Waiter struct {
	// C receives after each wake; wakes that were not taken yet count as one. It is closed when the hub closes.
	C     <-chan struct{}
	c     chan struct{}
	hub   *Hub
	topic string
}

// Subscribe begins to wait for topic; Close ends it. Subscribe first and look then, or a change between is missed.
func (h *Hub) Subscribe(topic string) *Waiter {
	c := make(chan struct{}, 1)
	w := &Waiter{C: c, c: c, hub: h, topic: topic}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		close(c)
		return w
	}
	if h.waiters == nil {
		h.waiters = map[string]map[*Waiter]struct{}{}
	}
	if h.waiters[topic] == nil {
		h.waiters[topic] = map[*Waiter]struct{}{}
	}
	h.waiters[topic][w] = struct{}{}
	h.n++
	if h.n == 1 && h.changed != nil {
		h.changed(true)
	}
	return w
}

// Close ends the waiting. It may be called more than once.
func (w *Waiter) Close() {
	h := w.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, there := h.waiters[w.topic][w]; !there {
		return
	}
	delete(h.waiters[w.topic], w)
	if len(h.waiters[w.topic]) == 0 {
		delete(h.waiters, w.topic)
	}
	h.n--
	if h.n == 0 && h.changed != nil {
		h.changed(false)
	}
}

// Wake wakes those who wait for topic. It never blocks.
func (h *Hub) Wake(topic string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.waiters[topic] {
		w.wake()
	}
}

// WaitingFor is how many wait for topic on this node.
func (h *Hub) WaitingFor(topic string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.waiters[topic])
}

// WakeAll wakes everybody: after a connection was lost, nobody knows what was missed.
func (h *Hub) WakeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ws := range h.waiters {
		for w := range ws {
			w.wake()
		}
	}
}

func (w *Waiter) wake() {
	select {
	case w.c <- struct{}{}:
	default:
	}
}

// Waiting is how many wait.
func (h *Hub) Waiting() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.n
}

// OnChange sets what is called when the first waiter comes and when the last one goes, and calls it at once where
// somebody waits. It must neither block nor call the hub.
func (h *Hub) OnChange(f func(waiting bool)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changed = f
	if h.n > 0 && f != nil {
		f(true)
	}
}

// Close lets every waiter go: the server is stopping.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.closed = true
	for _, ws := range h.waiters {
		for w := range ws {
			close(w.c)
		}
	}
	h.waiters, h.n = nil, 0
}
