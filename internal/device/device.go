// Package device is what a member's phone does: it is paired, fetches the requests that wait, and answers them.
//
//	phone ─► door/phone (JSON; docs/authenticator-protocol.md)
//	          ├─ Open, Claim, State: a pairing that a browser, an invitation or the old phone began (enrol.Pairing)
//	          ├─ Requests (waits), Answer, Extend: signed by the phone's key ─► signin.Challenge, Wake
//	          │       "No, it's not me" ─► block, incident, sessions, password, notice: one transaction
//	          ├─ Subscribe: where pushes go
//	          └─ Move, Restore, Leave
//
// Every call but Open, Claim, OpenRestore and Restore is signed by the phone's own key: Enter judges that once and gives a
// Phone, whose standing each call looks at again. The key is a software key, so an approval is never
// called device-bound or phishing-resistant. The phone learns nothing that it does not show.
package device

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/enrol"
)

// Endpoint is where pushes for one App credential go (Web Push, RFC 8030). It goes with its credential.
type Endpoint struct {
	Credential string
	Person     string
	URL        string // sealed at rest
	P256DH     []byte // the phone's public key for RFC 8291, 65 bytes; sealed at rest
	Auth       []byte // 16 bytes; sealed at rest
	Created    time.Time
}

// Store is what the flow needs in one transaction.
type Store interface {
	enrol.Store
	// SaveEndpoint adds or replaces the endpoint of a credential.
	SaveEndpoint(ctx context.Context, e Endpoint) error
	// EndpointsOf gives those of a person's usable App credentials.
	EndpointsOf(ctx context.Context, person string) ([]Endpoint, error)
	RemoveEndpoint(ctx context.Context, credential string) (bool, error)
}
