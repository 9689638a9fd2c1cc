package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/e2e/visitor"
	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
)

// toLoopback reaches every name at this machine, as a browser does for names under .localhost.
func toLoopback(t *testing.T) *http.Client {
	t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		return dial(ctx, network, "127.0.0.1:"+port)
	}
	return &http.Client{Transport: transport}
}

func TestTheDemoHasAPhoneBesideIt(t *testing.T) {
	f, _ := liveDemo(t, demoOptions{})
	if !strings.HasPrefix(f.AppURL, "http://app.localhost:") || f.AppURL == f.BaseURL {
		t.Fatalf("the app is at %q", f.AppURL)
	}
	house, err := softphone.New(f.AppURL, toLoopback(t)).House(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(house)
	if err != nil || !strings.Contains(string(text), "Imperial College London") || !strings.Contains(string(text), f.BaseURL) {
		t.Errorf("%s %v", text, err)
	}
	p := open(t, visitor.New(), f.BaseURL+"/demo")
	says(t, p, "Open the authenticator app", f.AppURL, "No incident is open")
	says(t, open(t, visitor.New(), f.BaseURL+"/demo"), "gatehouse dev phone")
}
