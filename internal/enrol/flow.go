package enrol

import (
	"context"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// OfferFor is how long an open registration may be answered: a wizard with an app to install takes its time.
const OfferFor = 30 * time.Minute

// MaxName is the longest label of a method, in characters.
const MaxName = 60

// Deps are what the flow needs. All fields but AppOrigin and Log are required.
type Deps struct {
	InTx, View func(context.Context, func(Store) error) error
	SignIn     *signin.Flow
	Methods    map[method.Kind]method.Method
	Box        *secret.Box
	// AppOrigin is the authenticator app's own ("https://phone.example.ac.uk"), "" where it is not offered.
	AppOrigin string
	Now       func() time.Time
	Log       *slog.Logger
}

// Flow is what members do with their own methods. It holds settings only and is safe for concurrent use.
type Flow struct{ Deps }

// New makes the flow.
func New(d Deps) *Flow {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Flow{d}
}

var (
	errProof = fault.New(fault.Forbidden, "enrol.proof_needed",
		"Prove that it is you before changing this.")
	errMethodGone = fault.New(fault.NotFound, "enrol.method_gone",
		"This sign-in method is not there any more.")
	// ErrLast keeps people from locking themselves out.
	ErrLast = fault.New(fault.Conflict, "method.last",
		"You could not sign in any more without this. Add another method first.")
	errOffer = fault.New(fault.Expired, "enrol.offer_expired",
		"This page waited too long or was answered before. Start again.")
)

// member is who acts, in the session they act in.
type member struct {
	caller signin.Caller
	live   session.Session
	person people.Person
	now    time.Time
}

// enter loads the caller's live session; fault Unauthenticated.
func (f *Flow) enter(ctx context.Context, s Store, caller signin.Caller) (member, error) {
	live, person, err := f.SignIn.Session(ctx, s, caller)
	return member{caller: caller, live: live, person: person, now: f.Now()}, err
}

// onPage enters where the security page's own short session still holds: policy says so, and fault Forbidden
// "enrol.proof_needed" otherwise.
func (f *Flow) onPage(ctx context.Context, s Store, caller signin.Caller) (member, error) {
	m, err := f.enter(ctx, s, caller)
	if err != nil {
		return m, err
	}
	d, err := f.SignIn.Judge(ctx, s, m.live, m.person, policy.Application{}, policy.ActSecurityPage, policy.Demand{}, nil)
	if err == nil && d.Verdict != policy.Allow {
		err = errProof
	}
	return m, err
}

// take consumes the proof that names the act, in the transaction of the act (attacks G73, G75).
func (f *Flow) take(ctx context.Context, s Store, m member, act policy.Act, object string) error {
	ok, err := s.TakeProof(ctx, m.live.ID, act, object, m.now.Add(-ProofFor))
	if err == nil && !ok {
		err = errProof
	}
	return err
}

// Needs says whether act still needs its proof: nil when it is in hand. A caller without a session needs it too: the
// target signs them in. Acts and their objects are
//
//	method.add       the kind            method.remove    the credential's ID
//	method.rename    the credential's ID  method.lead      the kind, "" for the strongest
//	password.change  ""                  browser.forget   the family
//	signin.refresh   ""                  security.page    ""
func (f *Flow) Needs(ctx context.Context, caller signin.Caller, act Act) (*Needed, error) {
	needed := &Needed{Target: signin.Target{Act: act.Act, Object: act.Object, Return: act.Return}}
	inHand := false
	err := f.View(ctx, func(s Store) error {
		m, err := f.enter(ctx, s, caller)
		if fault.IsKind(err, fault.Unauthenticated) {
			return nil
		}
		if err != nil {
			return err
		}
		switch act.Act {
		case policy.ActSecurityPage, policy.ActSignIn, "":
			d, err := f.SignIn.Judge(ctx, s, m.live, m.person, policy.Application{}, act.Act, policy.Demand{}, nil)
			inHand = d.Verdict == policy.Allow
			return err
		case policy.ActRefreshSignIn:
			return nil // asked for is asked for: prove anew
		}
		inHand, err = s.HasProof(ctx, m.live.ID, act.Act, act.Object, m.now.Add(-ProofFor))
		return err
	})
	if err != nil {
		return nil, err
	}
	if inHand {
		return nil, nil
	}
	return needed, nil
}

// change runs one act of a member: enter, take the proof, do, record, tell. do fills the entry's object and detail
// and says what the notice needs to know.
func (f *Flow) change(ctx context.Context, caller signin.Caller, act policy.Act, object, recorded string,
	do func(ctx context.Context, s Store, m member, e *audit.Entry, done *Done) (map[string]string, error)) (Done, error) {
	var done Done
	err := f.InTx(ctx, func(s Store) error {
		done = Done{}
		m, err := f.enter(ctx, s, caller)
		if err != nil {
			return err
		}
		if err := f.take(ctx, s, m, act, object); err != nil {
			return err
		}
		entry := signin.Entry(caller, m.now, m.person, recorded, audit.Done)
		entry.Object = object
		params, err := do(ctx, s, m, &entry, &done)
		if err != nil {
			return err
		}
		if err := s.Record(ctx, entry); err != nil {
			return err
		}
		return signin.Tell(ctx, s, caller, m.now, m.person, recorded, params)
	})
	if err != nil {
		return Done{}, err
	}
	return done, nil
}

// owned gives one of the member's credentials, or errMethodGone also for anybody else's.
func owned(all []method.Credential, id string) (method.Credential, error) {
	for _, c := range all {
		if c.ID == id {
			return c, nil
		}
	}
	return method.Credential{}, errMethodGone
}

func ofKind(all []method.Credential, kind method.Kind) []method.Credential {
	var out []method.Credential
	for _, c := range all {
		if c.Kind == kind {
			out = append(out, c)
		}
	}
	return out
}

func subject(p people.Person) method.Subject {
	return method.Subject{ID: string(p.ID), Username: p.Username, DisplayName: p.DisplayName, Email: p.Email}
}

// Label is Line for the names of methods, phones and applications, at most MaxName characters long; nothing is refused but
// emptiness, which takes the fallback.
func Label(name, fallback string) string {
	if name = Line(name, MaxName); name == "" {
		return fallback
	}
	return name
}

// Line is text as it can be shown anywhere: in one line, without control characters or marks that turn the direction of
// writing, at most so many characters.
func Line(text string, most int) string {
	text = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)), " ")
	if runes := []rune(text); len(runes) > most {
		text = strings.TrimSpace(string(runes[:most]))
	}
	return text
}

func (f *Flow) method(kind method.Kind) (method.Method, error) {
	m, ok := f.Methods[kind]
	if !ok {
		return nil, fault.New(fault.BadInput, "enrol.method_unknown", "This sign-in method is not offered here.")
	}
	return m, nil
}
