package main

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// silentFor is how long, at the end, a connection may stay open on which nothing was ever asked. Browsers open such
// ones ahead of need, and net/http would wait five seconds for each.
const silentFor = time.Second

// silent holds a server's connections on which no request has begun. Its zero value is ready.
type silent struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// note is an http.Server's ConnState.
func (s *silent) note(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state != http.StateNew {
		delete(s.conns, c)
		return
	}
	if s.conns == nil {
		s.conns = map[net.Conn]struct{}{}
	}
	s.conns[c] = struct{}{}
}

func (s *silent) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

// stopServers lets requests under way finish until grace ends, all servers at once.
func stopServers(grace context.Context, servers []served) {
	var all sync.WaitGroup
	for i := range servers {
		s := &servers[i]
		all.Go(func() {
			cut := time.AfterFunc(silentFor, s.silent.close)
			defer cut.Stop()
			if s.server.Shutdown(grace) != nil {
				s.server.Close()
			}
		})
	}
	all.Wait()
}
