package signin

import (
	"bytes"
	"context"
	"encoding/hex"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/session"
)

// situation is everything the dispatcher decides from: the page, what is stored for it, and policy.
type situation struct {
	caller  Caller
	browser []byte
	page    page
	now     time.Time

	app    policy.Application
	policy policy.Policy

	// live is the browser's session, nil where there is none; livePerson is its person.
	live       *session.Session
	livePerson people.Person
	// row is the attempt after its first proof; gone: the page speaks of one that ended.
	row  *Attempt
	gone bool
	// proven: an own act that this session has just proven.
	proven bool

	// person is who signs in. known: they are proven, by the session that is stepped up or by the row; else
	// person is who the typed name means, and no page may show a difference.
	person people.Person
	known  bool
	owned  []method.Credential
	// remembered is this browser's own family for the person.
	remembered rememberedBrowser
	// challenge is the attempt's newest, with how far it came; loaded where an outbound kind is asked for.
	challenge *Challenge
	furthest  DeliveryState
	// mayFirst: nothing but a password, and policy lets a first method be registered with it.
	mayFirst bool
	// decision is what policy says of this very situation, where it was asked already.
	decision *policy.Decision
	// knownBrowser: this browser has signed this person in before. Loaded when an answer is judged.
	knownBrowser bool
}

// stranger is a situation in which nothing is known.
func (f *Flow) stranger(caller Caller, p page) (*situation, error) {
	browser, err := browserHash(caller)
	return &situation{caller: caller, browser: browser, page: p, now: f.Now()}, err
}

// load reads what the page rests on. It makes no difference for what a typed name means: nobody looks it up here.
func (f *Flow) load(ctx context.Context, s Store, caller Caller, p page) (*situation, error) {
	sit, err := f.stranger(caller, p)
	if err != nil {
		return nil, err
	}
	if sit.policy, err = s.PolicyInForce(ctx); err != nil {
		return nil, err
	}
	if p.Target.Application != "" {
		if sit.app, err = s.PolicyApplication(ctx, p.Target.Application); err != nil {
			return nil, err
		}
	}
	if err := f.loadLive(ctx, s, sit); err != nil {
		return nil, err
	}
	if err := f.loadRow(ctx, s, sit); err != nil {
		return nil, err
	}
	if sit.gone && sit.live != nil { // fallBack goes by what the session has now
		sit.person, sit.known = sit.livePerson, true
	}
	if sit.known {
		return sit, f.loadOwned(ctx, s, sit)
	}
	return sit, nil
}

// readsNothing: such a page rests on nothing that is stored, and showing it costs no look into the store.
func readsNothing(caller Caller, p page) bool {
	return caller.Session.Empty() && p.Row == "" && p.Session == "" && p.Target.Application == ""
}

// loadLive finds the browser's session, and whether this attempt steps it up: it does unless another account was
// asked for or a name of somebody else was typed.
func (f *Flow) loadLive(ctx context.Context, s Store, sit *situation) error {
	live, person, err := f.session(ctx, s, sit.caller, sit.policy, sit.now)
	if fault.IsKind(err, fault.Unauthenticated) {
		sit.gone = sit.page.Session != ""
		return nil
	}
	if err != nil {
		return err
	}
	sit.live, sit.livePerson = &live, person
	if sit.page.Session != "" && sit.page.Session != live.ID {
		sit.gone = true
		return nil
	}
	if !sit.page.Target.Another && (sit.page.Name == "" || isNamed(person, sit.page.Name)) {
		sit.person, sit.known, sit.page.Session = person, true, live.ID
	}
	if ownAct(sit.page.Target.Act) && sit.known {
		sit.proven, err = s.HasProof(ctx, live.ID, sit.page.Target.Act, sit.page.Target.Object, sit.page.Target.Started)
	}
	return err
}

// loadRow finds the attempt that the page speaks of. It belongs to one browser; loadLive has seen to the session. One
// that began without a session may go on beside the one that another tab opened meanwhile.
func (f *Flow) loadRow(ctx context.Context, s Store, sit *situation) error {
	if sit.page.Row == "" {
		return nil
	}
	row, err := s.AttemptByID(ctx, sit.page.Row)
	if fault.IsKind(err, fault.NotFound) {
		sit.gone = true
		return nil
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(row.Browser, sit.browser) || !sit.now.Before(row.Expires) {
		sit.gone = true
		return nil
	}
	if len(row.Evidence) == 0 && (sit.live == nil || row.Session != sit.live.ID || row.Person != sit.live.Person) {
		sit.gone = true // without the session that it steps up it proves nobody
		return nil
	}
	sit.row = &row
	if string(sit.person.ID) != row.Person {
		if sit.person, err = s.PersonByID(ctx, people.ID(row.Person)); err != nil {
			return err
		}
		sit.proven = false
	}
	sit.known = true
	return nil
}

// loadOwned reads the person's credentials and this browser's remembered family for them.
func (f *Flow) loadOwned(ctx context.Context, s Store, sit *situation) error {
	all, err := s.CredentialsOf(ctx, string(sit.person.ID))
	if err != nil {
		return err
	}
	sit.owned = usable(all)
	sit.remembered, err = findRemembered(ctx, s, sit.caller, sit.browser, sit.person, sit.now)
	return err
}

func usable(all []method.Credential) []method.Credential {
	return slices.DeleteFunc(slices.Clone(all), func(c method.Credential) bool { return c.Pending })
}

func ofKind(all []method.Credential, kind method.Kind) []method.Credential {
	return slices.DeleteFunc(slices.Clone(all), func(c method.Credential) bool { return c.Kind != kind })
}

// isNamed reports whether typed means p.
func isNamed(p people.Person, typed string) bool {
	n := people.Normalise(typed)
	return n != "" && (n == people.Normalise(p.Username) || p.Email != "" && n == people.Normalise(p.Email))
}

// nobody stands in for a name that means no one: an ID that no person has and that is the same for the same name on
// every node. Everything then goes the way it goes for a person, with no credentials (attack rule 4).
func (f *Flow) nobody(typed string) people.Person {
	id := "?" + hex.EncodeToString(f.Keyring.Pseudonym("signin.unknown", people.Normalise(typed)))
	return people.Person{ID: people.ID(id)}
}

func isNobody(p people.Person) bool { return len(p.ID) > 0 && p.ID[0] == '?' }

// ownAct reports whether act needs a proof that names it.
func ownAct(act policy.Act) bool {
	switch act {
	case "", policy.ActSignIn, policy.ActRefreshSignIn, policy.ActSecurityPage:
		return false
	}
	return true
}

// evidence is what this attempt may rest on: the session's log and the attempt's own.
//
// An act of its own counts fresh proofs only from its own attempt: a proof given meanwhile for another act names
// that other act. "Refresh my sign-in" counts nothing of the session that it is to replace.
func (sit *situation) evidence() []method.Evidence {
	var log []method.Evidence
	target := sit.page.Target
	if sit.live != nil && sit.person.ID == sit.livePerson.ID {
		for _, e := range sit.live.Evidence {
			switch {
			case target.Act == policy.ActRefreshSignIn && sit.live.Created.Before(target.Started):
			case ownAct(target.Act) && !e.At.Before(target.Started):
			default:
				log = append(log, e)
			}
		}
	}
	if sit.row != nil {
		log = append(log, sit.row.Evidence...)
	}
	return log
}

// decided is what policy says of sit; it is asked once.
func (f *Flow) decided(sit *situation) policy.Decision {
	if sit.decision != nil {
		return *sit.decision
	}
	return f.decide(sit)
}

// decide asks policy.
func (f *Flow) decide(sit *situation) policy.Decision {
	target := sit.page.Target
	demand := target.Demand
	if (ownAct(target.Act) || target.Act == policy.ActRefreshSignIn) && demand.FreshSince.Before(target.Started) {
		demand.FreshSince, demand.Began = target.Started, target.Started
	}
	in := f.input(sit.person, sit.app, target.Act, demand, sit.now)
	in.Evidence, in.Owned = standing(sit.evidence(), sit.owned), sit.owned
	if target.Act == policy.ActSignIn {
		in.Remembered = sit.remembered.forPolicy()
	}
	d := policy.Decide(sit.policy, in)
	if ownAct(target.Act) && d.Verdict == policy.Allow && !sit.proven && (sit.row == nil || len(sit.row.Evidence) == 0) {
		// A session alone never proves an act of its own, whatever the rules say.
		d.Verdict, d.Ask = policy.Deny, nil
		d.Reasons = append(d.Reasons, policy.Reason{Rule: "<act>", Code: "act.proof"})
	}
	return d
}
