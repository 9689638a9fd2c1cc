package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// A browser's spare connections do not hold up the end, and a request under way is still answered.
func TestStopWaitsForRequestsAndForNothingElse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	begun, answer := make(chan struct{}), make(chan struct{})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-answer
		io.WriteString(w, "answered")
	})}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- runUntil(ctx, slog.New(slog.DiscardHandler), []served{{server: server, listener: l}}, nil)
	}()

	spare, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer spare.Close()
	got := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			got <- err.Error()
			return
		}
		defer resp.Body.Close()
		raw, _ := io.ReadAll(resp.Body)
		got <- string(raw)
	}()
	<-begun
	stop()
	// The spare connection is cut while the request is still under way: net/http alone would wait for it.
	spare.SetReadDeadline(time.Now().Add(4 * time.Second))
	if _, err := spare.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a connection on which nothing was asked: %v", err)
	}
	close(answer)
	if text := <-got; text != "answered" {
		t.Errorf("the request under way: %s", text)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
