package store

import (
	"context"

	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/method"
)

// endpointSealed is what credentials.endpoint keeps sealed.
type endpointSealed struct {
	URL          string
	P256DH, Auth []byte
	Created      int64
}

func endpointPlace(credential string) string { return "credentials/endpoint/" + credential }

// SaveEndpoint implements device.Store; fault NotFound where the person has no such App credential: a phone that was
// removed meanwhile is told so.
func (t *Tx) SaveEndpoint(ctx context.Context, e device.Endpoint) error {
	sealed, err := t.toSealed(endpointPlace(e.Credential), endpointSealed{e.URL, e.P256DH, e.Auth, micros(e.Created)})
	if err != nil {
		return err
	}
	n, err := t.exec("UPDATE credentials SET endpoint = $1 WHERE id = $2 AND person = $3 AND kind = $4",
		sealed, e.Credential, e.Person, string(method.App))
	return atMostOne(n, err, notFound("credential"))
}

// EndpointsOf implements device.Store.
func (t *Tx) EndpointsOf(ctx context.Context, person string) (list []device.Endpoint, err error) {
	err = t.each(`SELECT id, endpoint FROM credentials WHERE person = $1 AND endpoint IS NOT NULL AND NOT pending ORDER BY created, id`,
		[]any{person}, func(scan func(...any) error) error {
			e := device.Endpoint{Person: person}
			var sealed []byte
			if err := scan(&e.Credential, &sealed); err != nil {
				return err
			}
			var in endpointSealed
			if err := t.fromSealed(endpointPlace(e.Credential), sealed, &in); err != nil {
				return err
			}
			e.URL, e.P256DH, e.Auth, e.Created = in.URL, in.P256DH, in.Auth, fromMicros(in.Created)
			list = append(list, e)
			return nil
		})
	return list, err
}

// RemoveEndpoint implements device.Store.
func (t *Tx) RemoveEndpoint(ctx context.Context, credential string) (bool, error) {
	return did(t.exec("UPDATE credentials SET endpoint = NULL WHERE id = $1 AND endpoint IS NOT NULL", credential))
}
