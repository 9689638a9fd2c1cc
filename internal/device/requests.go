package device

import (
	"context"
	"crypto/ecdh"
	"encoding/base64"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/app"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

func thumbprint(handle []byte) string { return base64.RawURLEncoding.EncodeToString(handle) }

// maxAgent is how much of a browser's own description a phone is given, in characters.
const maxAgent = 200

// Account gives what the app shows.
func (f *Flow) Account(ctx context.Context, p Phone) (Account, error) {
	var out Account
	err := f.View(ctx, func(s Store) error {
		person, c, err := p.standing(ctx, s)
		if err != nil {
			return err
		}
		endpoints, err := s.EndpointsOf(ctx, c.Person)
		out = Account{Account: c.Person, Username: enrol.Line(person.Username, enrol.MaxName), Name: enrol.Line(person.DisplayName, enrol.MaxName),
			DeviceName: enrol.Label(c.Name, ""), Unlock: app.Unlocks(c),
			Push: slices.ContainsFunc(endpoints, func(e Endpoint) bool { return e.Credential == c.ID })}
		return err
	})
	return out, err
}

// Requests gives what waits, and the topic to wait on; it marks what it gives as shown.
func (f *Flow) Requests(ctx context.Context, p Phone) (list []Request, topic string, err error) {
	var unseen []string
	err = f.View(ctx, func(s Store) error {
		list, unseen = nil, nil
		_, c, err := p.standing(ctx, s)
		if err != nil {
			return err
		}
		topic = signin.RequestsTopic(c.Person)
		open, err := s.OpenChallenges(ctx, c.Person, f.Now())
		if err != nil {
			return err
		}
		for _, one := range open {
			if !sentTo(one, c.ID) {
				continue
			}
			list = append(list, shown(one))
			seen, err := s.DeliveriesOf(ctx, one.ID)
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(seen, func(d signin.Delivery) bool { return d.Credential == c.ID && d.State >= signin.Shown }) {
				unseen = append(unseen, one.ID)
			}
		}
		return nil
	})
	if err != nil || len(unseen) == 0 {
		return list, topic, err
	}
	return list, topic, f.InTx(ctx, func(s Store) error {
		for _, id := range unseen {
			d := signin.Delivery{Challenge: id, Credential: p.Credential, State: signin.Shown, At: f.Now()}
			if err := s.SaveDelivery(ctx, d); err != nil {
				return err
			}
			s.Wake(signin.ChallengeTopic(id))
		}
		return nil
	})
}

// sentTo says whether a challenge is a request that went to this phone.
func sentTo(c signin.Challenge, credential string) bool {
	return c.Kind == method.App && slices.Contains(c.Sent, credential)
}

// shown is what a phone learns of a challenge: not its number, and no text in which a stranger could hide lines or turn
// the direction of writing.
func shown(c signin.Challenge) Request {
	return Request{
		ID: c.ID, Account: c.Person, Digits: len(c.Number), Application: enrol.Label(c.Application, ""), Country: enrol.Line(c.Country, 2),
		Address: enrol.Line(c.Address, 45), Agent: enrol.Line(c.Agent, maxAgent), Known: c.Known, Created: c.Created, Expires: c.Expires,
		CanExtend: c.Expires.Before(c.Ends),
	}
}

// Extend gives a request another signin.ChallengeFor, up to its end; fault Conflict "request.over", and
// "request.no_more_time" at the end.
func (f *Flow) Extend(ctx context.Context, p Phone, id string) (expires time.Time, err error) {
	err = f.InTx(ctx, func(s Store) error {
		now := f.Now()
		person, cred, err := f.changing(ctx, s, p, now)
		if err != nil {
			return err
		}
		c, err := openRequest(ctx, s, id, cred, now)
		if err != nil {
			return err
		}
		c, ok := c.Extended(now)
		if !ok {
			return fault.New(fault.Conflict, "request.no_more_time", "This request has had all its time. Start again in the browser.")
		}
		expires = c.Expires
		if err := s.UpdateChallenge(ctx, c); err != nil {
			return over(err)
		}
		s.Wake(signin.ChallengeTopic(c.ID))
		s.Wake(signin.RequestsTopic(c.Person))
		e := p.entry(now, person, "challenge.extended", audit.Done)
		e.Object, e.Detail["method"] = c.ID, string(c.Kind)
		return s.Record(ctx, e)
	})
	return expires, err
}

// Subscribe says where pushes go. Of e, URL, P256DH and Auth are read. fault BadInput "push.endpoint" for one elsewhere
// than at the listed push services, "push.key" for keys that are none.
func (f *Flow) Subscribe(ctx context.Context, p Phone, e Endpoint) error {
	if !f.PushAllowed(e.URL) {
		return fault.New(fault.BadInput, "push.endpoint", "Pushes are not sent to this browser's push service. The open app finds requests by itself.")
	}
	if _, err := ecdh.P256().NewPublicKey(e.P256DH); err != nil || len(e.Auth) != 16 {
		return fault.New(fault.BadInput, "push.key", "The keys for pushes are not valid. Switch pushes off and on again.")
	}
	return f.InTx(ctx, func(s Store) error {
		now := f.Now()
		_, c, err := f.changing(ctx, s, p, now)
		if err != nil {
			return err
		}
		return s.SaveEndpoint(ctx, Endpoint{Credential: c.ID, Person: c.Person, URL: e.URL, P256DH: e.P256DH, Auth: e.Auth, Created: now})
	})
}

// Unsubscribe removes the endpoint; none is no error.
func (f *Flow) Unsubscribe(ctx context.Context, p Phone) error {
	return f.InTx(ctx, func(s Store) error {
		_, c, err := f.changing(ctx, s, p, f.Now())
		if err == nil {
			_, err = s.RemoveEndpoint(ctx, c.ID)
		}
		return err
	})
}
