package httpdoor

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// flood bounds requests per address (an IPv6 caller is its /64) by the generic cell rate algorithm. It keeps one
// busy machine from eating the house; guessing is bounded elsewhere, by account (see throttle). A listener of this
// machine itself is not bounded.
type flood struct {
	interval time.Duration // between requests at the sustained rate
	credit   time.Duration // burst × interval
	seed     maphash.Seed
	shards   [floodShards]floodShard
}

type floodShard struct {
	mu  sync.Mutex
	tat map[netip.Addr]int64 // theoretical arrival time, unix nanoseconds
}

const (
	floodShards = 64
	// floodPerShard addresses at most: 64 × 2,048 is about 6 MiB when full.
	floodPerShard = 2048
)

func newFlood(rate, burst int) *flood {
	f := &flood{interval: time.Second / time.Duration(rate), seed: maphash.MakeSeed()}
	f.credit = time.Duration(burst) * f.interval
	for i := range f.shards {
		f.shards[i].tat = make(map[netip.Addr]int64)
	}
	return f
}

// take counts one request; a positive answer is how long to wait.
func (f *flood) take(a netip.Addr, now time.Time) time.Duration {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			a = p.Addr()
		}
	}
	s := &f.shards[maphash.Comparable(f.seed, a)%floodShards]
	at := now.UnixNano()
	s.mu.Lock()
	defer s.mu.Unlock()
	tat, ok := s.tat[a]
	if !ok && len(s.tat) >= floodPerShard {
		s.sweep(at)
	}
	tat = max(tat, at) + int64(f.interval)
	if over := tat - at - int64(f.credit); over > 0 {
		return time.Duration(over)
	}
	s.tat[a] = tat
	return 0
}

// sweep forgets addresses that are quiet again; where none is, all of them, so that memory stays bounded.
func (s *floodShard) sweep(at int64) {
	for a, tat := range s.tat {
		if tat <= at {
			delete(s.tat, a)
		}
	}
	if len(s.tat) >= floodPerShard {
		clear(s.tat)
	}
}
