package webpush

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/courier"
	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

const (
	// Payload is all that a push ever says. What waits is fetched, signed, by the phone.
	Payload = `{"waiting":true}`
	// padded is the size that the payload is filled up to.
	padded = 64
	// topic makes a push service that could not deliver yet keep the newest only (RFC 8030 section 5.4).
	topic = "waiting"

	timeout   = 15 * time.Second // of one exchange, connecting included
	maxAnswer = 4 << 10          // bytes of an answer that are read
	maxHeader = 16 << 10
)

// outcome is what came of one try.
type outcome struct {
	state  signin.DeliveryState
	detail string
	// again: worth another try after wait at the earliest (0: as the courier likes).
	again bool
	wait  time.Duration
}

// newClient calls listed hosts only: each connection goes to an address that was judged, never through a proxy of the
// environment, and a redirect is an answer like any other.
func newClient(hosts *Hosts, roots *x509.CertPool) *http.Client {
	dialer := &net.Dialer{Timeout: timeout}
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				host, port, err := net.SplitHostPort(address)
				if err != nil {
					return nil, err
				}
				found, err := hosts.addresses(ctx, host, port)
				if err != nil {
					return nil, err
				}
				return dialOne(ctx, dialer, found, port)
			},
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    timeout,
			ResponseHeaderTimeout:  timeout,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    4,
			MaxConnsPerHost:        Parallel,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: maxHeader,
			DisableCompression:     true,
		},
	}
}

// dialOne tries the addresses in turn.
func dialOne(ctx context.Context, dialer *net.Dialer, found []netip.Addr, port string) (conn net.Conn, err error) {
	for _, a := range found[:min(len(found), 4)] {
		if conn, err = dialer.DialContext(ctx, "tcp", net.JoinHostPort(a.String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// send tries once. It never returns an error: whatever happened is a delivery state with a word that tells the desk.
func (c *Courier) send(ctx context.Context, e device.Endpoint, life time.Duration) outcome {
	u, err := c.Hosts.parse(e.URL)
	if err != nil {
		return outcome{state: signin.Failed, detail: "endpoint"}
	}
	request, err := c.request(ctx, u, e, life)
	if err != nil {
		return outcome{state: signin.Failed, detail: "keys"}
	}
	answer, err := c.client.Do(request)
	if err != nil {
		return broken(err)
	}
	defer answer.Body.Close()
	io.CopyN(io.Discard, answer.Body, maxAnswer)
	return judge(answer, c.Now())
}

func (c *Courier) request(ctx context.Context, u *url.URL, e device.Endpoint, life time.Duration) (*http.Request, error) {
	body, err := Encrypt([]byte(Payload), e.P256DH, e.Auth, padded)
	if err != nil {
		return nil, err
	}
	authorization, err := c.Key.authorization("https://"+strings.TrimSuffix(u.Host, ":443"), c.Subject, c.Now())
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", authorization)
	r.Header.Set("Content-Type", "application/octet-stream")
	r.Header.Set("Content-Encoding", "aes128gcm")
	r.Header.Set("TTL", strconv.Itoa(int(life/time.Second)))
	r.Header.Set("Urgency", "high")
	r.Header.Set("Topic", topic)
	r.Header.Set("User-Agent", "Gatehouse")
	return r, nil
}

// judge reads a push service's answer (RFC 8030 sections 5 and 7.3).
func judge(answer *http.Response, now time.Time) outcome {
	status := answer.StatusCode
	out := outcome{state: signin.Failed, detail: strconv.Itoa(status)}
	switch {
	case status >= 200 && status < 300:
		out.state = signin.Accepted
	case status == http.StatusNotFound || status == http.StatusGone:
		out.state = signin.Gone
	case status == http.StatusTooManyRequests || status >= 500:
		out.again, out.wait = true, courier.RetryAfter(answer.Header.Get("Retry-After"), now)
	}
	return out
}

// broken is an exchange without an answer. What the operator forbade is final; a network may come back.
func broken(err error) outcome {
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	var late net.Error
	switch {
	case errors.Is(err, errAddress), errors.Is(err, errEndpoint):
		return outcome{state: signin.Failed, detail: "address"}
	case errors.As(err, &certificate):
		return outcome{state: signin.Failed, detail: "certificate"}
	case errors.As(err, &name):
		return outcome{state: signin.Failed, detail: "name", again: true}
	case errors.As(err, &late) && late.Timeout():
		return outcome{state: signin.Failed, detail: "timeout", again: true}
	}
	return outcome{state: signin.Failed, detail: "connection", again: true}
}
