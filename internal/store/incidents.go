package store

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/incident"
)

const incidentColumns = "id, kind, person, object, detail, sealed, opened, closed, closed_by, why, count, version"

func incidentPlace(id string) string { return "incidents/sealed/" + id }

// AddIncident implements incident.Store. Two at once are one with a count of two: the index of open ones decides.
func (t *Tx) AddIncident(ctx context.Context, i incident.Incident) error {
	detail, err := toJSON(i.Detail)
	if err != nil {
		return err
	}
	sealed, err := t.toSealed(incidentPlace(i.ID), i.Personal)
	if err != nil {
		return err
	}
	n, err := t.exec(`INSERT INTO incidents (`+incidentColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT (kind, person, object) WHERE closed = 0 DO UPDATE SET count = incidents.count + 1, version = incidents.version + 1`,
		i.ID, i.Kind, i.Person, i.Object, detail, sealed, i.Opened, i.Closed, i.ClosedBy, i.Why, max(1, i.Count), i.Version)
	return atMostOne(n, err, taken("incident"))
}

func (t *Tx) incidents(rest string, args ...any) (list []incident.Incident, err error) {
	err = t.each("SELECT "+incidentColumns+" FROM incidents "+rest, args, func(scan func(...any) error) error {
		var i incident.Incident
		var sealed []byte
		err := scan(&i.ID, &i.Kind, &i.Person, &i.Object, jsonTo{&i.Detail}, &sealed, timeTo{&i.Opened}, timeTo{&i.Closed},
			&i.ClosedBy, &i.Why, &i.Count, &i.Version)
		if err != nil {
			return err
		}
		if err := t.fromSealed(incidentPlace(i.ID), sealed, &i.Personal); err != nil {
			return err
		}
		list = append(list, i)
		return nil
	})
	return list, err
}

// IncidentByID implements incident.Store.
func (t *Tx) IncidentByID(ctx context.Context, id string) (incident.Incident, error) {
	list, err := t.incidents("WHERE id = $1", id)
	if err != nil {
		return incident.Incident{}, err
	}
	if len(list) == 0 {
		return incident.Incident{}, notFound("incident")
	}
	return list[0], nil
}

// Incidents implements incident.Store.
func (t *Tx) Incidents(ctx context.Context, person string, all bool, limit int) ([]incident.Incident, error) {
	if person == "" {
		return t.incidents("WHERE closed = 0 OR $1 ORDER BY opened DESC, id DESC LIMIT $2", all, page(limit))
	}
	return t.incidents("WHERE person = $1 AND (closed = 0 OR $2) ORDER BY opened DESC, id DESC LIMIT $3", person, all, page(limit))
}

// CloseIncident implements incident.Store.
func (t *Tx) CloseIncident(ctx context.Context, id, by, why string, at time.Time) (bool, error) {
	return did(t.exec("UPDATE incidents SET closed = $1, closed_by = $2, why = $3, version = version + 1 WHERE id = $4 AND closed = 0",
		at, by, why, id))
}
