package manage

import (
	"context"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/incident"
	"github.com/gatehouse-id/gatehouse/internal/people"
)

// Incident is a case with the name of whom it is about, "" for the whole house or somebody who was erased.
type Incident struct {
	incident.Incident
	Username string
}

var (
	errIncidentWhy    = fault.New(fault.BadInput, "manage.incident_why", "Say in up to 200 characters what was found and done.")
	errIncidentClosed = fault.New(fault.Conflict, "manage.incident_closed", "This incident was closed already.")
)

// Incidents gives the newest first: the open ones, or all; of one person where given. limit is 1 to 200.
func (f *Flow) Incidents(ctx context.Context, by By, person people.ID, all bool, limit int) (list []Incident, err error) {
	err = f.see(ctx, by, IncidentsRead, func(s Store) error {
		found, err := s.Incidents(ctx, string(person), all, limit)
		if err != nil {
			return err
		}
		names := map[string]string{}
		list = make([]Incident, len(found))
		for i, one := range found {
			name, known := names[one.Person]
			if !known && one.Person != "" {
				p, err := s.PersonByID(ctx, people.ID(one.Person))
				if err != nil && !fault.IsKind(err, fault.NotFound) {
					return err
				}
				name = p.Username
				names[one.Person] = name
			}
			list[i] = Incident{one, name}
		}
		return nil
	})
	return list, err
}

// CloseIncident says that an incident was looked at. It undoes nothing: a blocked source stays blocked for its time.
func (f *Flow) CloseIncident(ctx context.Context, by By, id, why string) error {
	if by.Has(IncidentsWrite) && (why == "" || !plain(why, 200)) {
		return errIncidentWhy
	}
	return f.do(ctx, by, IncidentsWrite, "incident.closed", "", id, func(s Store, e *audit.Entry) error {
		i, err := s.IncidentByID(ctx, id)
		if err != nil {
			return err
		}
		closed, err := s.CloseIncident(ctx, id, by.Actor, why, f.Now())
		if err != nil {
			return err
		}
		if !closed {
			return errIncidentClosed
		}
		e.Subject, e.Reason = i.Person, why
		e.Detail = map[string]string{"kind": i.Kind}
		return nil
	})
}
