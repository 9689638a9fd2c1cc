package webpush

import (
	"context"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// memory is a Store of one person; every transaction is one at a time.
type memory struct {
	mu         sync.Mutex
	endpoints  []device.Endpoint
	challenge  signin.Challenge
	deliveries []signin.Delivery
	saved      func() // called after each one, where set
}

func (m *memory) tx(_ context.Context, f func(Store) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return f(m)
}

func (m *memory) EndpointsOf(_ context.Context, person string) (out []device.Endpoint, _ error) {
	for _, e := range m.endpoints {
		if e.Person == person {
			out = append(out, e)
		}
	}
	return out, nil
}

func (m *memory) RemoveEndpoint(_ context.Context, credential string) (bool, error) {
	for i, e := range m.endpoints {
		if e.Credential == credential {
			m.endpoints = append(m.endpoints[:i:i], m.endpoints[i+1:]...)
			return true, nil
		}
	}
	return false, nil
}

func (m *memory) ChallengeByID(_ context.Context, id string) (signin.Challenge, error) {
	if m.challenge.ID != id {
		return signin.Challenge{}, fault.New(fault.NotFound, "challenge", "")
	}
	return m.challenge, nil
}

func (m *memory) SaveDelivery(_ context.Context, d signin.Delivery) error {
	m.deliveries = append(m.deliveries, d)
	if m.saved != nil {
		m.saved()
	}
	return nil
}

// states gives what was recorded for a credential, in order.
func (m *memory) states(credential string) (out []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	words := map[signin.DeliveryState]string{signin.Sent: "sent", signin.Accepted: "accepted", signin.Failed: "failed", signin.Gone: "gone"}
	for _, d := range m.deliveries {
		if d.Credential == credential && d.Challenge == m.challenge.ID {
			out = append(out, words[d.State]+" "+d.Detail)
		}
	}
	return out
}

// house is a courier with its store, a clock that tries again at once, and a push service.
type house struct {
	*memory
	*Courier
	phone   receiver
	service *httptest.Server
	now     atomic.Int64
	waits   chan time.Duration
}

func newHouse(t *testing.T, serve http.HandlerFunc) *house {
	t.Helper()
	h := &house{memory: &memory{}, phone: newReceiver(t), waits: make(chan time.Duration, 100)}
	h.now.Store(1_800_000_000)
	h.service = httptest.NewUnstartedServer(serve)
	h.service.EnableHTTP2 = true
	h.service.StartTLS()
	t.Cleanup(h.service.Close)
	roots := x509.NewCertPool()
	roots.AddCert(h.service.Certificate())
	hosts, err := NewHosts([]string{strings.TrimPrefix(h.service.URL, "https://")})
	if err != nil {
		t.Fatal(err)
	}
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	h.Courier, err = New(Courier{InTx: h.tx, View: h.tx, Key: key, Hosts: hosts, Subject: "mailto:post@example.ac.uk", Roots: roots,
		Now: func() time.Time { return time.Unix(h.now.Load(), 0) }})
	if err != nil {
		t.Fatal(err)
	}
	h.after = func(d time.Duration) <-chan time.Time {
		h.waits <- d
		h.now.Add(int64(d / time.Second))
		c := make(chan time.Time, 1)
		c <- time.Time{}
		return c
	}
	h.challenge = signin.Challenge{ID: "c1", Person: "ada", Via: "push", Sent: []string{"phone"}, Standing: signin.Open, Expires: h.Now().Add(signin.ChallengeFor)}
	h.add("phone", h.service.URL+"/push/1")
	return h
}

func (h *house) add(credential, url string) {
	h.endpoints = append(h.endpoints, device.Endpoint{Credential: credential, Person: "ada", URL: url, P256DH: h.phone.key.PublicKey().Bytes(), Auth: h.phone.auth})
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("recorded %q, want %q", got, want)
	}
}

func TestAPushSaysThatSomethingWaitsAndNoMore(t *testing.T) {
	var h *house
	var calls atomic.Int32
	h = newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		plain, _, err := h.phone.decrypt(body)
		if err != nil || string(plain) != `{"waiting":true}` {
			t.Errorf("the phone reads %q: %v", plain, err)
		}
		if claims := vapid(t, r.Header.Get("Authorization")); claims["aud"] != h.service.URL {
			t.Errorf("signed for %v", claims["aud"])
		}
		for name, want := range map[string]string{"Ttl": "300", "Urgency": "high", "Content-Encoding": "aes128gcm", "Topic": "waiting", "User-Agent": "Gatehouse"} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		w.WriteHeader(http.StatusCreated)
	})
	h.add("other", h.service.URL+"/push/2") // of a phone that the challenge did not go to
	h.carry(t.Context(), h.challenge)
	expect(t, h.states("phone"), "accepted 201")
	if calls.Load() != 1 {
		t.Errorf("%d calls", calls.Load())
	}
}

func TestGoneEndpointsAreForgotten(t *testing.T) {
	for _, status := range []int{http.StatusNotFound, http.StatusGone} {
		h := newHouse(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		h.carry(t.Context(), h.challenge)
		if len(h.endpoints) != 0 || !strings.HasPrefix(h.states("phone")[0], "gone 4") {
			t.Errorf("%d: %v remain, %v", status, h.endpoints, h.states("phone"))
		}
	}
	var h *house
	h = newHouse(t, func(w http.ResponseWriter, _ *http.Request) {
		h.mu.Lock()
		h.endpoints[0].URL += "-new" // the phone subscribes again while the old endpoint is called
		h.mu.Unlock()
		w.WriteHeader(http.StatusGone)
	})
	h.carry(t.Context(), h.challenge)
	if len(h.endpoints) != 1 {
		t.Error("the old endpoint's end took the new one with it")
	}
}

func TestBusyServicesAreAskedAgainWhileSomebodyWaits(t *testing.T) {
	answers := make(chan int, 10)
	h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		status := <-answers
		if status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "40")
		}
		w.WriteHeader(status)
	})
	answers <- 503
	answers <- 429
	answers <- 201
	h.carry(t.Context(), h.challenge)
	expect(t, h.states("phone"), "sent 503", "sent 429", "accepted 201")
	if a, b := <-h.waits, <-h.waits; a != 2*time.Second || b != 40*time.Second {
		t.Errorf("waited %v and %v", a, b)
	}

	h.deliveries = nil
	h.challenge.Expires = h.Now().Add(30 * time.Second) // less than the service asks to wait
	answers <- 429
	h.carry(t.Context(), h.challenge)
	expect(t, h.states("phone"), "failed 429")

	h.deliveries = nil
	h.challenge.Expires = h.Now().Add(30 * time.Minute)
	for range Tries {
		answers <- 500
	}
	h.carry(t.Context(), h.challenge)
	expect(t, h.states("phone"), "sent 500", "sent 500", "sent 500", "sent 500", "failed 500")
}

func TestNobodyIsWokenForWhatIsOver(t *testing.T) {
	var calls atomic.Int32
	var h *house
	h = newHouse(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		h.mu.Lock()
		h.challenge.Standing = signin.Taken // approved by another phone meanwhile
		h.mu.Unlock()
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	h.carry(t.Context(), h.challenge)
	if calls.Load() != 1 {
		t.Errorf("%d calls for an answered challenge", calls.Load())
	}
	over := h.challenge // somebody else's
	h.carry(t.Context(), over)
	over.Standing, over.Expires = signin.Open, h.Now()
	h.carry(t.Context(), over)
	if calls.Load() != 1 {
		t.Error("a challenge that is over was sent")
	}
}

// TestPushDoesNotFollow: redirects, refusals and answers without end are results, not orders.
func TestPushDoesNotFollow(t *testing.T) {
	var inside atomic.Int32
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { inside.Add(1) }))
	defer target.Close()
	for status, want := range map[int]string{301: "failed 301", 302: "failed 302", 307: "failed 307", 308: "failed 308", 400: "failed 400", 403: "failed 403", 413: "failed 413"} {
		h := newHouse(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", target.URL)
			w.WriteHeader(status)
			w.Write(make([]byte, 1<<20))
		})
		h.carry(t.Context(), h.challenge)
		expect(t, h.states("phone"), want)
	}
	if inside.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestPushRefusesAtTheDoor(t *testing.T) {
	var called atomic.Int32
	h := newHouse(t, func(http.ResponseWriter, *http.Request) { called.Add(1) })
	// A name that was public when the phone named it, and leads home now.
	home := netip.MustParseAddrPort(strings.TrimPrefix(h.service.URL, "https://")).Addr()
	h.Hosts.resolve = func(context.Context, string) ([]netip.Addr, error) { return []netip.Addr{home}, nil }
	for url, want := range map[string]string{
		"https://fcm.googleapis.com/x":         "failed address",
		"https://evil.example/x":               "failed endpoint",
		"http://" + h.service.URL[8:] + "/x":   "failed endpoint",
		"https://u@" + h.service.URL[8:] + "/": "failed endpoint",
	} {
		h.deliveries, h.endpoints = nil, nil
		h.add("phone", url)
		h.carry(t.Context(), h.challenge)
		expect(t, h.states("phone"), want)
	}
	h.deliveries, h.endpoints = nil, nil
	h.add("phone", h.service.URL+"/x")
	h.endpoints[0].Auth = nil
	h.carry(t.Context(), h.challenge)
	expect(t, h.states("phone"), "failed keys")
	if called.Load() != 0 {
		t.Error("something was called")
	}
}

func TestProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("ALL_PROXY", "http://127.0.0.1:1")
	h := newHouse(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201) })
	if h.client.Transport.(*http.Transport).Proxy != nil {
		t.Error("the transport asks somebody for a proxy")
	}
	h.carry(t.Context(), h.challenge)
	expect(t, h.states("phone"), "accepted 201")
}

func TestCertificatesCount(t *testing.T) {
	h := newHouse(t, func(http.ResponseWriter, *http.Request) { t.Error("called without trust") })
	h.client = newClient(h.Hosts, x509.NewCertPool())
	h.carry(t.Context(), h.challenge)
	expect(t, h.states("phone"), "failed certificate")
}

func TestSilentServiceIsTriedAgain(t *testing.T) {
	h := newHouse(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	h.carry(t.Context(), h.challenge)
	expect(t, h.states("phone"), "sent connection", "sent connection", "sent connection", "sent connection", "failed connection")
}

func TestAFloodIsBounded(t *testing.T) {
	var now, most atomic.Int32
	release := make(chan struct{})
	h := newHouse(t, func(w http.ResponseWriter, _ *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		<-release
		w.WriteHeader(201)
	})
	for range 3 * Queue { // without Run nobody takes them out: Push must return all the same
		h.Push(h.challenge)
	}
	if len(h.queue) != Queue {
		t.Errorf("%d wait", len(h.queue))
	}
	for len(h.queue) > 200 {
		<-h.queue
	}
	for len(h.dropped) > 0 {
		<-h.dropped
	}
	ctx, stop := context.WithCancel(t.Context())
	var sent sync.WaitGroup
	sent.Add(200)
	h.saved = sent.Done
	done := make(chan struct{})
	go func() { h.Run(ctx); close(done) }()
	close(release)
	sent.Wait()
	stop()
	<-done
	if most.Load() > Parallel {
		t.Errorf("%d at once", most.Load())
	}
}

// TestARemovedPhoneIsPushedToNoMore, though a push to it failed and was to be tried again; one that has named another
// endpoint is reached there.
func TestARemovedPhoneIsPushedToNoMore(t *testing.T) {
	var h *house
	asked := make(chan string, 10)
	h = newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		h.mu.Lock()
		defer h.mu.Unlock()
		switch len(asked) {
		case 1:
			h.memory.endpoints[0].URL = h.service.URL + "/elsewhere"
		case 2:
			h.memory.endpoints = nil
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	h.memory.endpoints = h.memory.endpoints[:1]
	h.carry(t.Context(), h.challenge)
	close(asked)
	var paths []string
	for p := range asked {
		paths = append(paths, p)
	}
	if len(paths) != 2 || paths[1] != "/elsewhere" {
		t.Errorf("pushed to %v", paths)
	}
}

// TestWhatFoundTheQueueFullIsKnownToTheDesk, and so is its reason.
func TestWhatFoundTheQueueFullIsKnownToTheDesk(t *testing.T) {
	h := newHouse(t, func(w http.ResponseWriter, _ *http.Request) { t.Error("a dropped push was sent") })
	over := h.challenge // somebody else's
	over.ID = "over"
	for range Queue {
		h.Push(over)
	}
	h.Push(h.challenge)
	for len(h.queue) > 0 {
		<-h.queue
	}
	ctx, stop := context.WithCancel(t.Context())
	kept := make(chan struct{}, 10)
	h.saved = func() { kept <- struct{}{} }
	done := make(chan struct{})
	go func() { h.Run(ctx); close(done) }()
	<-kept
	stop()
	<-done
	if got := h.states(h.challenge.Sent[0]); len(got) != 1 || got[0] != "failed busy" {
		t.Errorf("%v", got)
	}
}
