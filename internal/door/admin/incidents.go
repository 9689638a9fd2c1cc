package admin

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/people"
)

// Incident is a case that an administrator must look at.
type Incident struct {
	ID       string            `json:"id"`
	Kind     string            `json:"kind" enum:"reported,flood,cap"`
	Person   string            `json:"person,omitempty" doc:"The person's id; absent where it is about the whole house."`
	Username string            `json:"username,omitempty"`
	Object   string            `json:"object,omitempty" doc:"The request, session or budget that it is about."`
	Count    int               `json:"count" doc:"How often the same happened while it was open."`
	Detail   map[string]string `json:"detail,omitempty"`
	Personal map[string]string `json:"personal,omitempty"`
	Opened   time.Time         `json:"opened"`
	Closed   *time.Time        `json:"closed,omitempty"`
	ClosedBy string            `json:"closed_by,omitempty"`
	Why      string            `json:"why,omitempty"`
}

// Request is what was sent to a person so that they can prove. Its number or code is never in it.
type Request struct {
	ID          string     `json:"id"`
	Kind        string     `json:"kind" enum:"app,phone"`
	Via         string     `json:"via" enum:"push,text,voice"`
	Standing    string     `json:"standing" enum:"open,expired,ended,approved,denied,reported,wrong_number,signed_in"`
	Known       bool       `json:"known" doc:"Started from a browser that had signed this person in before."`
	Application string     `json:"application,omitempty"`
	Country     string     `json:"country,omitempty" doc:"ISO 3166-1; absent where it is unknown."`
	Address     string     `json:"address,omitempty"`
	Agent       string     `json:"agent,omitempty"`
	Created     time.Time  `json:"created"`
	Expires     time.Time  `json:"expires"`
	Answered    *time.Time `json:"answered,omitempty"`
	Deliveries  []Delivery `json:"deliveries" doc:"How far it came, one line a device or number."`
}

// Delivery is how far a request came on its way to one device or number.
type Delivery struct {
	Credential string    `json:"credential"`
	Name       string    `json:"name,omitempty" doc:"The member's own label; absent where the method was removed since."`
	State      string    `json:"state" enum:"not_sent,sent,accepted,failed,gone,shown,answered"`
	Detail     string    `json:"detail,omitempty"`
	At         time.Time `json:"at"`
}

type (
	incidentsIn struct {
		State  string `query:"state" doc:"open (the default) or all."`
		Person string `query:"person" maxLength:"254" doc:"Only those about this person's id."`
		Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}
	incidentsOut struct {
		Body struct {
			Incidents []Incident `json:"incidents"`
		}
	}
	closeIncidentIn struct {
		ID   string `path:"id" maxLength:"64" doc:"The incident's id."`
		Body WhyBody
	}
	requestsIn struct {
		PersonPath
		Limit int `query:"limit" minimum:"1" maximum:"100" default:"20"`
	}
	requestsOut struct {
		Body struct {
			Requests []Request `json:"requests"`
		}
	}
)

// Resolve refuses what is no state.
func (in *incidentsIn) Resolve(huma.Context) []error {
	if in.State != "" && in.State != "open" && in.State != "all" {
		return []error{huma.Error400BadRequest("state is open or all")}
	}
	return nil
}

func (a *API) incidents() {
	route(a, "GET", "/incidents", "list-incidents", "What members reported, and floods, newest first", manage.IncidentsRead,
		func(ctx context.Context, by manage.By, in *incidentsIn) (*incidentsOut, error) {
			list, err := a.Flow.Incidents(ctx, by, people.ID(in.Person), in.State == "all", in.Limit)
			out := &incidentsOut{}
			out.Body.Incidents = make([]Incident, len(list))
			for i, one := range list {
				out.Body.Incidents[i] = Incident{ID: one.ID, Kind: one.Kind, Person: one.Person, Username: one.Username, Object: one.Object,
					Count: one.Count, Detail: one.Detail, Personal: one.Personal, Opened: one.Opened, Closed: moment(one.Closed),
					ClosedBy: one.ClosedBy, Why: one.Why}
			}
			return out, err
		})
	route(a, "POST", "/incidents/{id}/close", "close-incident", "Close an incident, saying why", manage.IncidentsWrite,
		func(ctx context.Context, by manage.By, in *closeIncidentIn) (*doneOut, error) {
			return &doneOut{}, a.Flow.CloseIncident(ctx, by, in.ID, in.Body.Why)
		})
	route(a, "GET", "/people/{id}/challenges", "list-challenges", "Requests and codes sent to a person lately, and how far they came", manage.PeopleRead,
		func(ctx context.Context, by manage.By, in *requestsIn) (*requestsOut, error) {
			list, err := a.Flow.Requests(ctx, by, people.ID(in.ID), in.Limit)
			out := &requestsOut{}
			out.Body.Requests = make([]Request, len(list))
			for i, r := range list {
				out.Body.Requests[i] = shownRequest(r)
			}
			return out, err
		})
}

func shownRequest(r manage.Request) Request {
	out := Request{ID: r.ID, Kind: r.Kind, Via: r.Via, Standing: r.Standing, Known: r.Known, Application: r.Application, Country: r.Country,
		Address: r.Address, Agent: r.Agent, Created: r.Created, Expires: r.Expires, Answered: moment(r.Answered), Deliveries: []Delivery{}}
	for _, d := range r.Deliveries {
		out.Deliveries = append(out.Deliveries, Delivery(d))
	}
	return out
}

// moment is nil for what has not happened.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
