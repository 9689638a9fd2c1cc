package policy

import (
	"context"
	"time"
)

// Record is one version of the policy as it was put in force.
type Record struct {
	Policy Policy // Policy.Version is the record's
	Source []byte // the text it was written in
	By     string // as audit.Entry.Actor
	Why    string
	At     time.Time
}

// Records is the port for those who change the policy.
type Records interface {
	// PolicyInForce gives the newest version's policy.
	PolicyInForce(ctx context.Context) (Policy, error)
	// SavePolicy puts a further version in force. p.Version 0 replaces whatever stands; otherwise it must be the
	// version that p was made from, or fault Conflict "policy.changed".
	SavePolicy(ctx context.Context, p Policy, source []byte, by, why string) error
	// PolicyHistory gives the newest first; limit 1 to 1000.
	PolicyHistory(ctx context.Context, limit int) ([]Record, error)
}
