package phone_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
	"github.com/gatehouse-id/gatehouse/internal/door/phone"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/wake"
)

// hand is a clock that a test turns: of each wait it says how long it is, and ends it when it is told to.
type hand struct{ asked chan wait }

type wait struct {
	long time.Duration
	end  chan time.Time
}

func (h *house) byHand() hand {
	c := hand{make(chan wait, 1000)}
	h.phone.After(func(d time.Duration) <-chan time.Time {
		w := wait{d, make(chan time.Time, 1)}
		c.asked <- w
		return w.end
	})
	return c
}

// next waits until a call has looked and waits, and gives the wait until it looks again.
func (c hand) next() wait {
	for w := range c.asked {
		if w.long < phone.MaxWait {
			return w
		}
	}
	panic("closed")
}

type polled struct {
	list []softphone.Request
	err  error
}

// poll begins a call that waits.
func poll(ctx context.Context, s *softphone.Phone) <-chan polled {
	out := make(chan polled, 1)
	go func() {
		list, err := s.Requests(ctx, phone.MaxWait)
		out <- polled{list, err}
	}()
	return out
}

// TestAWaitingPhoneIsWoken by the request itself, and sees one that it was not woken for when it looks by itself.
func TestAWaitingPhoneIsWoken(t *testing.T) {
	h := newHouse(t)
	ada := h.Person("ada")
	s := h.paired(ada)
	h.Clock.Add(time.Minute)
	hand := h.byHand()
	got := poll(t.Context(), s)
	hand.next()
	h.asked(ada)
	if p := <-got; p.err != nil || len(p.list) != 1 {
		t.Fatalf("%+v", p)
	}
	must(t, s.Deny(t.Context(), (<-poll(t.Context(), s)).list[0]))

	h.Clock.Add(10 * time.Minute)
	h.phone.Hub = &wake.Hub{} // what the browser's node says does not reach this one any more
	got = poll(t.Context(), s)
	hand.next().end <- time.Time{}
	last := hand.next() // it looked again, found nothing and waits on
	if last.long > 5*time.Second {
		t.Errorf("it looks again after %v", last.long)
	}
	h.asked(ada)
	last.end <- time.Time{}
	if p := <-got; p.err != nil || len(p.list) != 1 {
		t.Errorf("a request that it was not woken for: %+v", p)
	}
}

// TestAWaitEnds when its time is over, when the house stops, and when the phone goes away.
func TestAWaitEnds(t *testing.T) {
	h := newHouse(t)
	s := h.paired(h.Person("ada"))
	clock := make(chan wait, 1000)
	h.phone.After(func(d time.Duration) <-chan time.Time {
		w := wait{d, make(chan time.Time, 1)}
		clock <- w
		return w.end
	})
	got := poll(t.Context(), s)
	w := <-clock
	if w.long != phone.MaxWait {
		t.Errorf("it waits %v", w.long)
	}
	w.end <- time.Time{}
	if p := <-got; p.err != nil || p.list == nil || len(p.list) != 0 {
		t.Errorf("at the end of its time: %+v", p)
	}

	ctx, gone := context.WithCancel(t.Context())
	got = poll(ctx, s)
	<-clock
	<-clock
	gone()
	if p := <-got; !errors.Is(p.err, context.Canceled) {
		t.Errorf("%+v", p)
	}

	got = poll(t.Context(), s)
	for w := range clock {
		if w.long < phone.MaxWait {
			break
		}
	}
	h.hub.Close()
	if p := <-got; p.err != nil || len(p.list) != 0 {
		t.Errorf("when the house stops: %+v", p)
	}
	if p := <-poll(t.Context(), s); p.err != nil || len(p.list) != 0 {
		t.Errorf("after the house stopped: %+v", p)
	}
}

// TestG8_ARemovedPhoneStopsWaiting at once: its standing is looked at, its signature is not asked for again.
func TestG8_ARemovedPhoneStopsWaiting(t *testing.T) {
	h := newHouse(t)
	ada := h.Person("ada", method.TOTP)
	s := h.paired(ada)
	hand := h.byHand()
	got := poll(t.Context(), s)
	hand.next()
	must(t, s.Leave(t.Context()))
	if p := <-got; softphone.Code(p.err) != "device.unknown" {
		t.Errorf("%+v", p)
	}
}

// TestWaitingIsBounded: one phone cannot make the house wait as often as it likes, and gets its places back.
func TestWaitingIsBounded(t *testing.T) {
	h := newHouse(t)
	ada := h.Person("ada")
	s := h.paired(ada)
	hand := h.byHand()
	ctx, leave := context.WithCancel(t.Context())
	var waiting []<-chan polled
	for range phone.MaxPolls {
		waiting = append(waiting, poll(ctx, s))
	}
	for range phone.MaxPolls {
		hand.next()
	}
	_, err := s.Requests(t.Context(), phone.MaxWait)
	var e *softphone.Error
	if !errors.As(err, &e) || e.Status != http.StatusTooManyRequests || e.RetryAfter == 0 {
		t.Errorf("one more is answered %v", err)
	}
	if _, err := s.Requests(t.Context(), 0); err != nil {
		t.Errorf("looking without waiting: %v", err)
	}
	other := poll(ctx, h.paired(h.Person("eve")))
	hand.next()
	leave()
	for _, w := range append(waiting, other) {
		<-w
	}
	h.hub.Close()
	for h.phone.Waits() > 0 { // each call leaves by itself, after its client
		h.hub.Close()
	}
	if p := <-poll(t.Context(), s); p.err != nil {
		t.Errorf("the places were not given back: %v", p.err)
	}
}

// TestAPairingIsWaitedFor by the phone that claimed it and the old one that began it.
func TestAPairingIsWaitedFor(t *testing.T) {
	h := newHouse(t)
	ada := h.Person("ada")
	s, ctx := h.handset(), t.Context()
	id, token, _ := h.begin(ada)
	must(t, s.OpenPairing(ctx, token))
	shown, err := s.Claim(ctx, "Phone")
	must(t, err)
	hand := h.byHand()
	done := make(chan error, 1)
	go func() { done <- s.WaitPaired(ctx) }()
	hand.next()
	h.confirm(ada, id, shown)
	must(t, <-done)

	h.Clock.Add(time.Minute)
	m, err := s.Move(ctx)
	must(t, err)
	standing := make(chan string, 1)
	go func() {
		got, err := s.PairingState(ctx, m.Pairing, phone.MaxWait)
		if err != nil {
			got = err.Error()
		}
		standing <- got
	}()
	hand.next()
	next := h.handset()
	_, token, err = softphone.ParseLink(m.Link)
	must(t, err)
	must(t, next.OpenPairing(ctx, token))
	_, err = next.Claim(ctx, "Next")
	must(t, err)
	if got := <-standing; got != "claimed" {
		t.Errorf("the old phone learns %q", got)
	}
}

// TestWaitsAreWrittenPlainly: seconds from 0 to 25 and nothing beside.
func TestWaitsAreWrittenPlainly(t *testing.T) {
	h := newHouse(t)
	s := h.paired(h.Person("ada"))
	for _, q := range []string{"?wait=26", "?wait=-1", "?wait=", "?wait=1.5", "?wait=999", "?wait=1&wait=2", "?wait=1&x=2", "?x=1", "?wait=+1", "?", "?wait=0x1", "?wait=%31"} {
		code(t, s.Call(t.Context(), "GET", "/app/v1/requests"+q, nil, nil), "request.form")
	}
	for _, path := range []string{"/app/v1/account?x=1", "/app/v1/house?x=1", "/app/v1/account?"} {
		code(t, s.Call(t.Context(), "GET", path, nil, nil), "request.form")
	}
}
