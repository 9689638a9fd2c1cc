package main

import (
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// pushService is a push service that is not ours: TLS under an authority of its own, and the answers that it is told to give.
type pushService struct {
	*httptest.Server
	answer atomic.Int64
	bodies chan []byte
	heads  chan http.Header
}

func newPushService(t *testing.T) *pushService {
	s := &pushService{bodies: make(chan []byte, 8), heads: make(chan http.Header, 8)}
	s.answer.Store(http.StatusCreated)
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.heads <- r.Header.Clone()
		s.bodies <- body
		w.WriteHeader(int(s.answer.Load()))
	}))
	t.Cleanup(s.Close)
	return s
}

// settled waits until the desk is told how the newest request fared.
func (x *target) settled(m *member, state string) {
	x.t.Helper()
	for range 3000 {
		if told := x.admin("GET", "/people/"+string(m.id)+"/challenges", "").body; strings.Contains(told, `"state":"`+state+`"`) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	x.t.Fatalf("the desk does not hear %q: %s", state, x.admin("GET", "/people/"+string(m.id)+"/challenges", "").body)
}

// A house that is wired as serve wires it pushes to the service that a phone named, which learns nothing but that
// something waits; the desk reads how far it came, and an endpoint that is no more is forgotten.
func TestHKU11_APushAndItsFate(t *testing.T) {
	service := newPushService(t)
	at, err := url.Parse(service.URL)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(service.Certificate())
	x := newTargetWith(t, "", 1, func(c *houseConfig) {
		c.Push = &pushSettings{Contact: "mailto:signin@example.ac.uk", Services: []string{at.Host}, Roots: roots}
	})
	go x.nodes[0].pusher.Load().Run(t.Context())
	ada, phone := x.withPhone("ada")
	x.must(phone.Subscribe(t.Context(), service.URL+"/push/of-her-phone"))

	r := x.browser().ask(ada, "/apps")
	head, body := <-service.heads, <-service.bodies
	text, err := phone.ReadPush(body)
	if err != nil || strings.TrimRight(text, "\x00") != `{"waiting":true}` {
		t.Errorf("the push says %q, %v", text, err)
	}
	if head.Get("Content-Encoding") != "aes128gcm" || !strings.HasPrefix(head.Get("Authorization"), "vapid t=") || head.Get("TTL") == "" || head.Get("Urgency") != "high" {
		t.Errorf("its head is %v", head)
	}
	for name, values := range head {
		for _, v := range values {
			if strings.Contains(v, "ada") || r.number() != "" && v == r.number() {
				t.Errorf("%s tells %q", name, v)
			}
		}
	}
	x.settled(ada, "accepted")
	x.must(phone.Deny(t.Context(), x.one(phone)))
	x.settled(ada, "answered")

	// The service says that this phone is no more: the endpoint is forgotten, the open app finds requests all the same.
	service.answer.Store(http.StatusGone)
	x.clock.Add(time.Hour)
	x.browser().ask(ada, "/apps")
	<-service.bodies
	x.settled(ada, "gone")
	if account, err := phone.Show(t.Context()); err != nil || account.Push {
		t.Errorf("the endpoint is kept: %+v, %v", account, err)
	}
	x.one(phone)
}
