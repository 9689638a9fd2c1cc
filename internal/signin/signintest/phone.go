package signintest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/app"
	"github.com/gatehouse-id/gatehouse/internal/method/phone"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// AppOrigin is where the authenticator app stands.
const AppOrigin = "https://phone.example.ac.uk"

// Caps are wide enough for a test that is not about them.
func Caps() signin.SendingCaps {
	wide := throttle.Limit{Burst: 1000, Refill: time.Second}
	return signin.SendingCaps{Number: wide, Prefix: wide, Account: wide, Address: wide, Total: wide, Countries: []string{"BE", "US"}}
}

// phones is what the house knows of its people's phones.
type phones struct {
	mu      sync.Mutex
	pushes  []signin.Challenge
	numbers int
}

// outbound are the house's methods that send something.
func (h *House) outbound() (method.Method, method.Method) {
	h.T.Helper()
	a, err := app.New(app.Settings{Server: Origin, Origin: AppOrigin, RPID: "phone.example.ac.uk", Name: "Example"})
	h.must(err)
	p, err := phone.New(phone.Settings{Country: "BE", Countries: []string{"BE", "US"}, Channels: []string{notice.Text, notice.Voice}})
	h.must(err)
	return a, p
}

// pushed notes a push, which Flow hands over after the commit.
func (h *House) pushed(c signin.Challenge) {
	h.phones.mu.Lock()
	defer h.phones.mu.Unlock()
	h.phones.pushes = append(h.phones.pushes, c)
}

// Pushed are the requests that were pushed so far, oldest first.
func (h *House) Pushed() []signin.Challenge {
	h.phones.mu.Lock()
	defer h.phones.mu.Unlock()
	return slices.Clone(h.phones.pushes)
}

// pair gives a person a phone with the app, without the pages of pairing.
func (h *House) pair(p *Person, now time.Time) method.Credential {
	h.T.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	h.must(err)
	point, err := key.PublicKey.Bytes()
	h.must(err)
	b64 := base64.RawURLEncoding.EncodeToString
	public, err := app.ParseKey(fmt.Appendf(nil, `{"kty":"EC","crv":"P-256","x":"%s","y":"%s"}`, b64(point[1:33]), b64(point[33:])))
	h.must(err)
	state, err := h.Methods[method.App].(*app.Method).Pair(public, app.UserHandle(string(p.ID), "pairing"), nil, nil, now)
	h.must(err)
	return method.Credential{Kind: method.App, Name: "Pixel", Handle: public.Thumbprint(), State: state}
}

// number gives a person a telephone number of their own: by the code that is sent to it.
func (h *House) number(subject method.Subject, now time.Time) method.Credential {
	h.T.Helper()
	h.phones.numbers++
	m := h.Methods[method.Phone]
	typed := method.Answer{Text: fmt.Sprintf("+324701%05d", h.phones.numbers)}
	offer, err := m.Offer(method.OfferInput{Subject: subject, Answer: typed, Now: now})
	h.must(err)
	c, err := m.Enrol(method.EnrolInput{Subject: subject, State: offer.State, Answer: method.Answer{Text: offer.Send[0].Code}, Now: now})
	h.must(err)
	return c
}

// Requests are what waits on a person's phones.
func (h *House) Requests(p *Person) (open []signin.Challenge) {
	h.T.Helper()
	h.must(h.View(context.Background(), func(s signin.Store) (err error) {
		open, err = s.OpenChallenges(context.Background(), string(p.ID), h.Clock.Now())
		return err
	}))
	return open
}

// Challenge is one as stored.
func (h *House) Challenge(id string) (c signin.Challenge) {
	h.T.Helper()
	h.must(h.View(context.Background(), func(s signin.Store) (err error) {
		c, err = s.ChallengeByID(context.Background(), id)
		return err
	}))
	return c
}

// Respond answers a request as the person's phone does once its signature was judged: number "" only where standing is
// no approval. A wrong number ends it. It reports what became of it.
func (h *House) Respond(p *Person, id, number string, standing signin.Standing) (signin.Standing, error) {
	var came signin.Standing
	err := h.InTx(context.Background(), func(s signin.Store) error {
		ctx, now := context.Background(), h.Clock.Now()
		c, err := s.ChallengeByID(ctx, id)
		if err != nil || !c.Live(now) {
			came = c.Standing
			return err
		}
		c.Standing, c.AnsweredBy, c.Answered = standing, p.Creds[method.App], now
		if standing == signin.Approved {
			proof := app.Evidence(c.AnsweredBy, true, now)
			c.Proof = &proof
			if !app.SameNumber(number, c.Number) {
				c.Standing, c.Proof = signin.WrongNumber, nil
			}
		}
		came = c.Standing
		s.Wake(signin.ChallengeTopic(c.ID))
		return s.UpdateChallenge(ctx, c)
	})
	return came, err
}

// Approve types the number that a page shows into the phone.
func (h *House) Approve(p *Person, s signin.Step) {
	h.T.Helper()
	if s.Sending == nil {
		h.T.Fatalf("the page shows no request: %+v", s)
	}
	came, err := h.Respond(p, s.Sending.ID, s.Sending.Number, signin.Approved)
	h.must(err)
	if came != signin.Approved {
		h.T.Fatalf("not approved: %d", came)
	}
}

// Codes are the codes that were put into the outbox for a person, oldest first.
func (h *House) Codes(p *Person) (codes []notice.Message) {
	h.T.Helper()
	h.must(h.DB.View(context.Background(), func(tx *store.Tx) error {
		all, err := tx.RecentMessages(context.Background(), 1000)
		slices.Reverse(all)
		for _, m := range all {
			if m.Person == string(p.ID) && !m.Code.Empty() {
				codes = append(codes, m)
			}
		}
		return err
	}))
	return codes
}

// Next is what a waiting page does once it was woken.
func (b *Browser) Next(ref string) signin.Step {
	b.h.T.Helper()
	return b.Answer(ref, method.App, method.Answer{}, false)
}

// Send presses "send again", or "send" where nothing was sent yet.
func (b *Browser) Send(ref string, kind method.Kind, via string) signin.Step {
	b.h.T.Helper()
	return b.step(b.h.Flow.Send(context.Background(), b.Caller, ref, kind, via))
}

// KnownTo makes the browser one that has signed p in before.
func (b *Browser) KnownTo(p *Person) *Browser {
	b.h.T.Helper()
	b.h.must(b.h.InTx(context.Background(), func(s signin.Store) error {
		return s.RememberKnownBrowser(context.Background(), string(p.ID), secret.Hash(b.Browser.Reveal()), b.h.Clock.Now())
	}))
	return b
}
