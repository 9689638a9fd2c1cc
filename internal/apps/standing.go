package apps

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// standing is what a grant is worth right now: the grant as stored and everything it rests on as it is today.
type standing struct {
	app    Application
	grant  Grant
	asked  asked
	person people.Person // zero for client credentials
	// inForce is the policy of now.
	inForce policy.Policy
	// Reason is why the grant is worth nothing, as a stable code; "" where it stands.
	reason string
	// rests is the grant's own evidence, as a session that policy can judge: without the proofs whose credential has
	// been removed since.
	rests session.Session
	// shrunk: some of them are gone.
	shrunk bool
}

// stand looks at everything a grant rests on: itself, the application, the person, the session it ends with, and the
// credentials that were proven. Whatever ended takes the grant with it, with no cleaner running.
func (f *Flow) stand(ctx context.Context, s FlowStore, app Application, g Grant) (standing, error) {
	st := standing{app: app, grant: g}
	if err := json.Unmarshal(orEmpty(g.Claims), &st.asked); err != nil {
		return st, err
	}
	now := f.Now()
	switch {
	case g.Revoked:
		st.reason = "grant.revoked"
	case !now.Before(g.Expires):
		st.reason = "grant.expired"
	case app.Closed:
		st.reason = "app.closed"
	}
	if st.reason != "" || g.Person == "" {
		return st, nil
	}
	err := f.standPerson(ctx, s, &st)
	return st, err
}

func orEmpty(b []byte) []byte {
	if len(b) == 0 {
		return []byte("{}")
	}
	return b
}

func (f *Flow) standPerson(ctx context.Context, s FlowStore, st *standing) error {
	g := st.grant
	var err error
	if st.inForce, err = s.PolicyInForce(ctx); err != nil {
		return err
	}
	st.person, err = s.PersonByID(ctx, people.ID(g.Person))
	if fault.IsKind(err, fault.NotFound) {
		st.reason = "person.gone"
		return nil
	}
	if err != nil {
		return err
	}
	if st.person.State != people.Active {
		st.reason = "person.inactive"
		return nil
	}
	if !g.Offline {
		sess, err := s.SessionByID(ctx, g.Session)
		if err != nil && !fault.IsKind(err, fault.NotFound) {
			return err
		}
		if err != nil || session.Live(sess, st.person, signin.Limits(st.inForce), f.Now()) != nil {
			st.reason = "session.ended"
			return nil
		}
	}
	return f.standEvidence(ctx, s, st)
}

// standEvidence keeps the proofs whose credential still exists: a passkey that was reported lost proves nothing.
func (f *Flow) standEvidence(ctx context.Context, s FlowStore, st *standing) error {
	g := st.grant
	owned, err := s.CredentialsOf(ctx, g.Person)
	if err != nil {
		return err
	}
	st.rests = session.Session{ID: g.Session, Person: g.Person, Family: g.Family, Created: g.Created, Expires: g.Expires}
	for _, e := range g.Evidence {
		if slices.ContainsFunc(owned, func(c method.Credential) bool { return c.ID == e.Credential && !c.Pending }) {
			st.rests.Evidence = append(st.rests.Evidence, e)
		}
	}
	st.shrunk = len(st.rests.Evidence) < len(g.Evidence)
	if len(st.rests.Evidence) == 0 {
		st.reason = "evidence.gone"
	}
	return nil
}

// remembered is the standing of the remembered browser that a grant rests on, nil where it has ended.
func (f *Flow) remembered(ctx context.Context, s FlowStore, family, person string) (*policy.Remembered, error) {
	if family == "" {
		return nil, nil
	}
	b, err := s.BrowserByFamily(ctx, family)
	if fault.IsKind(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil || b.Person != person || !f.Now().Before(b.Expires) {
		return nil, err
	}
	return &policy.Remembered{Since: b.Created, ProvenAt: b.ProvenAt}, nil
}

// judge asks policy again, about the evidence the grant rests on, for the person, groups and rules of now. It sets
// reason where the answer is not Allow.
func (f *Flow) judge(ctx context.Context, s FlowStore, st *standing) (policy.Decision, error) {
	remembered, err := f.remembered(ctx, s, st.grant.Family, st.grant.Person)
	if err != nil {
		return policy.Decision{}, err
	}
	demand := policy.Demand{}
	if st.asked.Essential {
		demand.ACR, demand.Essential = st.asked.ACR, true
	}
	d, err := f.SignIn.Judge(ctx, s, st.rests, st.person, st.app.policyApplication(), policy.ActSignIn, demand, remembered)
	if err != nil {
		return d, err
	}
	if d.Verdict != policy.Allow {
		st.reason = "policy"
		if len(d.Reasons) > 0 {
			st.reason = "policy." + d.Reasons[0].Code
		}
	}
	return d, nil
}

// judgeIfChanged spares the decision while neither policy nor the person has changed since the last one, so that
// introspection is cheap: what could have changed by itself, freshness, is bounded by the token's ten minutes.
func (f *Flow) judgeIfChanged(ctx context.Context, s FlowStore, st *standing) error {
	if st.reason != "" || st.grant.Person == "" {
		return nil
	}
	if !st.shrunk && st.inForce.Version == st.asked.Policy && st.person.Version == st.asked.Person {
		return nil
	}
	_, err := f.judge(ctx, s, st)
	return err
}
