package manage

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// Request is what was sent to a person so that they can prove, and how far it came: what the desk reads to a member
// who says "nothing arrives". Neither its number nor a code is in it.
type Request struct {
	ID       string
	Kind     string // "app", "phone"
	Via      string // "push", "text", "voice"
	Standing string // see standing
	// Known: started from a browser that had signed this person in before.
	Known                                bool
	Application, Address, Agent, Country string
	Created, Expires, Answered           time.Time // Answered zero: not
	Deliveries                           []RequestDelivery
}

// RequestDelivery is one device or number.
type RequestDelivery struct {
	Credential string
	Name       string // the member's own label; "" where it was removed since
	State      string // see deliveryStates
	Detail     string // a status code or stable reason
	At         time.Time
}

// standing is how a challenge stands, as the desk reads it.
func standing(c signin.Challenge, now time.Time) string {
	switch c.Standing {
	case signin.Open:
		if !c.Live(now) {
			return "expired"
		}
		return "open"
	case signin.Approved:
		return "approved"
	case signin.Denied:
		return "denied"
	case signin.Reported:
		return "reported"
	case signin.WrongNumber:
		return "wrong_number"
	case signin.Taken:
		return "signed_in"
	}
	return "ended"
}

// deliveryStates are signin's by name.
var deliveryStates = [...]string{signin.NotSent: "not_sent", signin.Sent: "sent", signin.Accepted: "accepted", signin.Failed: "failed",
	signin.Gone: "gone", signin.Shown: "shown", signin.Responded: "answered"}

// Requests gives what was sent to a person lately, newest first; limit is 1 to 100.
func (f *Flow) Requests(ctx context.Context, by By, id people.ID, limit int) (list []Request, err error) {
	err = f.see(ctx, by, PeopleRead, func(s Store) error {
		if _, err := s.PersonByID(ctx, id); err != nil {
			return err
		}
		owned, err := s.CredentialsOf(ctx, string(id))
		if err != nil {
			return err
		}
		names := map[string]string{}
		for _, c := range owned {
			names[c.ID] = c.Name
		}
		recent, err := s.RecentChallenges(ctx, string(id), limit)
		if err != nil {
			return err
		}
		list = make([]Request, 0, len(recent))
		for _, c := range recent {
			r := Request{ID: c.ID, Kind: string(c.Kind), Via: c.Via, Standing: standing(c, f.Now()), Known: c.Known, Application: c.Application,
				Address: c.Address, Agent: c.Agent, Country: c.Country, Created: c.Created, Expires: c.Expires, Answered: c.Answered}
			deliveries, err := s.DeliveriesOf(ctx, c.ID)
			if err != nil {
				return err
			}
			for _, d := range deliveries {
				r.Deliveries = append(r.Deliveries, RequestDelivery{d.Credential, names[d.Credential], deliveryStates[d.State], d.Detail, d.At})
			}
			list = append(list, r)
		}
		return nil
	})
	return list, err
}
