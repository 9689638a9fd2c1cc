package web

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/wake"
)

// A page that waits for a phone:
//
//	page ─► GET …/events ─► look ─► state ─► wait: hub, 5 s, gone ─► look ─► … ─► over: the stream ends
//	  └── over ─► GET /signin/next (a pairing: POST …/pairing) ─► the flow says what stands next
//	page without JavaScript ─► the same address every few seconds, by a refresh in its head
//
// Thousands wait at once, so one of them is its connection, a subscription and a timer.
const (
	// lookAgain is how often a waiting page looks without having been woken.
	lookAgain = 5 * time.Second
	// waitLooks ends a stream after ten minutes; the browser opens another by itself while its page is there.
	waitLooks = 120
	// maxWatching is how many pages may wait for one thing at once: a browser has a few tabs, and a network that drops
	// connections leaves some behind. Without it one sign-in could hold every connection that the house has.
	maxWatching = 16
	// beatLooks is after how many quiet looks something is written all the same.
	beatLooks = 3
)

var errWatched = fault.New(fault.TooMany, "request.flood", "Too many requests are coming from your network.").After(lookAgain)

// sight is what a look at the thing that is waited for gave.
type sight struct {
	Standing string `json:"standing"` // "open" while there is anything to wait for
	Delivery string `json:"delivery,omitempty"`
	// Left are whole seconds; the browser's clock may be wrong, so it is told no time of day.
	Left int `json:"left"`

	expires time.Time
	topic   string
}

// same reports whether there is nothing new to tell.
func (s sight) same(o sight) bool {
	return s.Standing == o.Standing && s.Delivery == o.Delivery && s.expires.Equal(o.expires)
}

const standsOpen = "open"

// follow answers with the events of whatever look sees.
func (s *Web) follow(w http.ResponseWriter, r *http.Request, look func(context.Context) (sight, error)) error {
	now, err := s.look(r.Context(), look)
	if err != nil {
		return err
	}
	topic := now.topic
	if now.Standing != standsOpen {
		return httpdoor.ServeStream(w, r, lookAgain, func(_ context.Context, stream httpdoor.Stream) {
			_ = s.show(stream, now) // a reader who has gone needs no word
		})
	}
	if s.Hub.WaitingFor(topic) >= maxWatching {
		return errWatched
	}
	return httpdoor.ServeStream(w, r, beatLooks*lookAgain, func(ctx context.Context, stream httpdoor.Stream) {
		woken := s.Hub.Subscribe(topic)
		if s.Hub.WaitingFor(topic) > maxWatching { // many came in the same moment
			woken.Close()
			return
		}
		s.wait(ctx, stream, woken, look)
	})
}

// wait tells what changes until it is over. It is shallow, for as long as it runs its stack stays small.
func (s *Web) wait(ctx context.Context, stream httpdoor.Stream, woken *wake.Waiter, look func(context.Context) (sight, error)) {
	defer woken.Close()
	timer := time.NewTicker(lookAgain)
	defer timer.Stop()
	var told sight
	looks, quiet := 0, 0
	for {
		// Subscribed first, looked then: what changes in between is seen.
		now, err := s.look(ctx, look)
		if fault.IsKind(err, fault.Expired) || fault.IsKind(err, fault.Unauthenticated) || fault.IsKind(err, fault.Forbidden) {
			now, err = sight{Standing: "over"}, nil // the page asks for what stands next, and is told
		}
		switch quiet++; {
		case err == nil && !now.same(told):
			told, quiet = now, 0
			err = s.show(stream, now)
		case quiet >= beatLooks:
			quiet, err = 0, stream.Beat()
		default:
			err = nil // a look that failed tells nothing; the next one may
		}
		if err != nil || told.Standing != "" && told.Standing != standsOpen {
			return
		}
		select {
		case <-ctx.Done():
			return
		case _, open := <-woken.C:
			if !open {
				return // the server stops; the browser finds another
			}
		case <-timer.C:
			if looks++; looks >= waitLooks {
				return
			}
		}
	}
}

// look looks on a stack of its own: a database is many calls deep, and a stack that grew for it once stays large for as
// long as its goroutine waits.
func (s *Web) look(ctx context.Context, look func(context.Context) (sight, error)) (sight, error) {
	type seen struct {
		sight
		err error
	}
	back := make(chan seen, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				s.Log.Error("a look panicked", "panic", p)
				back <- seen{err: fault.New(fault.Internal, "internal", "Something on our side is not working.")}
			}
		}()
		v, err := look(ctx)
		if left := v.expires.Sub(s.Now()); left > 0 {
			v.Left = int(left / time.Second)
		} else if v.Standing == standsOpen {
			v.Standing = "over"
		}
		back <- seen{v, err}
	}()
	got := <-back
	return got.sight, got.err
}

func (s *Web) show(stream httpdoor.Stream, v sight) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return stream.Send("state", string(data))
}

// signInEvents is what the page of a sign-in waits on. It changes nothing.
func (s *Web) signInEvents(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	ref := r.URL.Query().Get("attempt")
	return s.follow(w, r, func(ctx context.Context) (sight, error) {
		v, err := s.SignIn.Waiting(ctx, c, ref)
		return sight{Standing: standing(v.Standing), Delivery: delivery(v.Furthest), expires: v.Expires, topic: v.Topic}, err
	})
}

func standing(v signin.Standing) string {
	switch v {
	case signin.Open:
		return standsOpen
	case signin.Approved:
		return "approved"
	}
	return "over"
}

// delivery names how far a request came, as the page says it (catalogue keys "app.delivery.…").
func delivery(v signin.DeliveryState) string {
	switch v {
	case signin.Sent, signin.Accepted:
		return "sent"
	case signin.Failed, signin.Gone:
		return "failed"
	case signin.Shown, signin.Responded:
		return "shown"
	}
	return "waiting"
}

// next takes what the phone answered, if it has, and follows the step. It is safe to GET: the attempt is sealed to this
// browser, a challenge is taken once, and one that still waits is left alone.
func (s *Web) next(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	step, err := s.SignIn.Answer(r.Context(), c, r.URL.Query().Get("attempt"), method.App, method.Answer{}, remembers(r))
	return s.step(w, r, c, step, err)
}

// remembers reports whether "don't ask again" was ticked. A page that waits carries it along until it is over.
func remembers(r *http.Request) bool {
	asked := strings.Contains(r.URL.RawQuery, "remember=") // an address is mostly a long attempt, and seldom more
	return asked && r.URL.Query().Get("remember") == "yes" || r.PostForm.Get("remember") == "yes"
}

// send starts a challenge or sends it again; via is "", "text" or "voice".
func (s *Web) send(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	form, err := httpdoor.Form(r)
	if err != nil {
		return err
	}
	step, err := s.SignIn.Send(r.Context(), c, form.Get("attempt"), method.Kind(r.PathValue("method")), form.Get("via"))
	return s.onward(w, r, c, step, err)
}

// extend gives the open challenge more time.
func (s *Web) extend(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	form, err := httpdoor.Form(r)
	if err != nil {
		return err
	}
	step, err := s.SignIn.Extend(r.Context(), c, form.Get("attempt"))
	return s.onward(w, r, c, step, err)
}

// pairingEvents is what the page of a pairing waits on.
func (s *Web) pairingEvents(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	if err := s.mayPair(r, c); err != nil {
		return err
	}
	sealed, before := r.URL.Query().Get("sealed"), r.URL.Query().Get("standing")
	return s.follow(w, r, func(ctx context.Context) (sight, error) {
		v, err := s.Security.ShowPairing(ctx, c, sealed)
		now := sight{Standing: standsOpen, expires: v.Expires, topic: enrol.PairingTopic(v.ID)}
		if name := pairingStanding(v.Standing); name != before {
			now.Standing = name
		}
		return now, err
	})
}

func pairingStanding(v enrol.PairingStanding) string {
	switch v {
	case enrol.PairingWaiting:
		return "waiting"
	case enrol.PairingClaimed:
		return "claimed"
	case enrol.Paired:
		return "paired"
	}
	return "ended"
}

// eventsURL is where a page listens, "" where the reference is too long for an address.
func eventsURL(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if len(pairs[i+1]) > maxRef {
			return ""
		}
		q.Set(pairs[i], pairs[i+1])
	}
	return path + "?" + q.Encode()
}
