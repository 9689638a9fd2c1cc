// Package webpush wakes members' phones: it tells their browsers' push services that something waits, and no more.
//
//	signin commits a challenge ─► Push (never blocks) ─► queue ─► Run
//	    endpoints of the credentials that it went to ─► {"waiting":true}, padded, encrypted to the browser (RFC 8291, 8188)
//	                                                     signed for the push service (VAPID, RFC 8292)
//	    2xx ─► Accepted    404, 410 ─► Gone, endpoint removed    429, 5xx, no answer ─► again, while the challenge lives
//	    anything else ─► Failed                                  no endpoint ─► nothing (NotSent): the open app finds it
//
// A push is a convenience: nothing depends on its arrival, so the queue lives in memory and a full one drops, which the
// desk reads as Failed "busy". Where pushes may go is decided by Hosts, twice: when a phone names its endpoint, and at
// every connection.
package webpush

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// The bounds; see docs/limits.md.
const (
	// Queue is how many challenges may wait to be sent.
	Queue = 4096
	// UnderWay is how many are being carried at once, those that wait for another try included.
	UnderWay = 4096
	// Parallel is how many exchanges with push services go on at once.
	Parallel = 32
	// Tries is how often one push is tried.
	Tries = 5
)

// Store is what the courier needs in one transaction.
type Store interface {
	EndpointsOf(ctx context.Context, person string) ([]device.Endpoint, error)
	RemoveEndpoint(ctx context.Context, credential string) (bool, error)
	ChallengeByID(ctx context.Context, id string) (signin.Challenge, error)
	SaveDelivery(ctx context.Context, d signin.Delivery) error
}

// Courier sends. Roots and Log may be nil, every other field is needed.
type Courier struct {
	InTx, View func(ctx context.Context, f func(Store) error) error
	Key        *Key
	Hosts      *Hosts
	// Subject is where push services reach the operator: mailto: or https:.
	Subject string
	// Roots are the authorities that push services' certificates may come from; nil: the system's.
	Roots *x509.CertPool
	Now   func() time.Time
	Log   *slog.Logger

	queue chan signin.Challenge
	// dropped are those that found the queue full, until that is kept.
	dropped chan signin.Challenge
	slots   chan struct{}
	client  *http.Client
	// after is the clock that waits for another try.
	after func(time.Duration) <-chan time.Time
}

// New checks the settings; it connects to nothing.
func New(c Courier) (*Courier, error) {
	if c.InTx == nil || c.View == nil || c.Key == nil || c.Hosts == nil || c.Now == nil {
		return nil, errors.New("webpush: a store, a key, hosts and a clock are required")
	}
	if err := CheckSubject(c.Subject); err != nil {
		return nil, err
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.queue, c.dropped = make(chan signin.Challenge, Queue), make(chan signin.Challenge, Queue)
	c.slots = make(chan struct{}, Parallel)
	c.client = newClient(c.Hosts, c.Roots)
	c.after = time.After
	return &c, nil
}

// Push says that a challenge waits. It never blocks; where the queue is full the phone has to look by itself.
func (c *Courier) Push(ch signin.Challenge) {
	select {
	case c.queue <- ch:
	default:
		c.Log.Warn("push queue full", "challenge", ch.ID)
		select {
		case c.dropped <- ch:
		default: // the log says it
		}
	}
}

// drop keeps for the desk what never went out, one after the other: it is the courier that is busy, not the database.
func (c *Courier) drop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case ch := <-c.dropped:
			for _, e := range c.goesTo(ctx, ch) {
				c.record(ctx, ch, e, outcome{state: signin.Failed, detail: "busy"})
			}
		}
	}
}

// Run carries until ctx ends, and returns when nothing is under way any more.
func (c *Courier) Run(ctx context.Context) {
	var carrying sync.WaitGroup
	defer c.client.CloseIdleConnections()
	defer carrying.Wait()
	carrying.Go(func() { c.drop(ctx) })
	room := make(chan struct{}, UnderWay)
	for {
		select {
		case <-ctx.Done():
			return
		case ch := <-c.queue:
			select {
			case <-ctx.Done():
				return
			case room <- struct{}{}:
			}
			carrying.Go(func() {
				defer func() { <-room }()
				c.carry(ctx, ch)
			})
		}
	}
}

// carry sends one challenge to every phone that it is for.
func (c *Courier) carry(ctx context.Context, ch signin.Challenge) {
	if ch.Standing != signin.Open || !ch.Live(c.Now()) {
		return
	}
	var sending sync.WaitGroup
	for _, e := range c.goesTo(ctx, ch) {
		sending.Go(func() { c.deliver(ctx, ch, e) })
	}
	sending.Wait()
}

// goesTo gives the endpoints of the phones that a challenge is for.
func (c *Courier) goesTo(ctx context.Context, ch signin.Challenge) (list []device.Endpoint) {
	err := c.View(ctx, func(s Store) (err error) {
		list, err = s.EndpointsOf(ctx, ch.Person)
		return err
	})
	if err != nil && ctx.Err() == nil {
		c.Log.Error("push cannot read the endpoints", "challenge", ch.ID, "error", err)
	}
	return slices.DeleteFunc(list, func(e device.Endpoint) bool { return !slices.Contains(ch.Sent, e.Credential) })
}

// deliver tries until the push service has taken it, refused it, or nobody waits for it any more.
func (c *Courier) deliver(ctx context.Context, ch signin.Challenge, e device.Endpoint) {
	for try := 1; ; try++ {
		out, ok := c.try(ctx, ch, e)
		if !ok {
			return
		}
		pause := max(out.wait, backoff(try))
		over := !out.again || try == Tries || !c.Now().Add(pause).Before(ch.Expires)
		if !over {
			out.state = signin.Sent // what becomes of it is still open
		}
		c.record(ctx, ch, e, out)
		if over {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-c.after(pause):
		}
		if !c.reload(ctx, &ch) {
			return
		}
		// The phone may have left the account meanwhile, or named another endpoint.
		now := c.goesTo(ctx, ch)
		i := slices.IndexFunc(now, func(n device.Endpoint) bool { return n.Credential == e.Credential })
		if i < 0 {
			return
		}
		e = now[i]
	}
}

// try sends once, as soon as one of the Parallel places is free; ok is false where it was not tried.
func (c *Courier) try(ctx context.Context, ch signin.Challenge, e device.Endpoint) (out outcome, ok bool) {
	select {
	case <-ctx.Done():
		return outcome{}, false
	case c.slots <- struct{}{}:
	}
	defer func() { <-c.slots }()
	life := ch.Expires.Sub(c.Now())
	if life < time.Second {
		return outcome{}, false
	}
	out = c.send(ctx, e, life)
	return out, ctx.Err() == nil
}

// reload reads the challenge again and reports whether somebody still waits for its answer.
func (c *Courier) reload(ctx context.Context, ch *signin.Challenge) bool {
	err := c.View(ctx, func(s Store) (err error) {
		*ch, err = s.ChallengeByID(ctx, ch.ID)
		return err
	})
	return err == nil && ch.Live(c.Now())
}

// record keeps how far the push came; a push service's word that the endpoint is no more removes it, unless the phone
// has named another one meanwhile.
func (c *Courier) record(ctx context.Context, ch signin.Challenge, e device.Endpoint, out outcome) {
	d := signin.Delivery{Challenge: ch.ID, Credential: e.Credential, State: out.state, At: c.Now(), Detail: out.detail}
	err := c.InTx(ctx, func(s Store) error {
		if out.state == signin.Gone {
			if err := forget(ctx, s, e); err != nil {
				return err
			}
		}
		return s.SaveDelivery(ctx, d)
	})
	if err != nil && ctx.Err() == nil {
		c.Log.Error("push state not kept", "challenge", ch.ID, "error", err)
	}
	if out.state == signin.Failed {
		c.Log.Warn("push not delivered", "challenge", ch.ID, "detail", out.detail)
	}
}

func forget(ctx context.Context, s Store, e device.Endpoint) error {
	now, err := s.EndpointsOf(ctx, e.Person)
	if err != nil {
		return err
	}
	for _, n := range now {
		if n.Credential == e.Credential && n.URL == e.URL {
			_, err = s.RemoveEndpoint(ctx, e.Credential)
			return err
		}
	}
	return nil
}

// backoff is the wait after the n-th failed try (n from 1): 2, 8, 32, 60 seconds.
func backoff(n int) time.Duration {
	d := 2 * time.Second
	for ; n > 1 && d < time.Minute; n-- {
		d *= 4
	}
	return min(d, time.Minute)
}
