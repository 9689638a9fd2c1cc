package signin

import (
	"net/url"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

// next is the one dispatcher: it says what stands next from what is stored, and nothing else.
func (f *Flow) next(sit *situation, problem *fault.Error) (Step, error) {
	step := Step{Target: sit.page.Target, ApplicationName: sit.app.Name, Problem: problem}
	if sit.gone {
		// The attempt ended meanwhile, perhaps in another tab or by a second press: what the session has now decides.
		return f.fallBack(sit, problem)
	}
	if !sit.known {
		return f.askStranger(sit, step)
	}
	step.Known, step.Name = true, sit.person.Username
	if sit.proven {
		return f.done(sit, step)
	}
	d := f.decided(sit)
	step.Reasons, step.RememberFor = d.Reasons, d.RememberFor
	switch d.Verdict {
	case policy.Allow:
		if f.owesPassword(sit) {
			return f.askPassword(sit, step)
		}
		return f.done(sit, step)
	case policy.Ask:
		return f.ask(sit, step, d.Ask)
	default:
		step.Kind = StepRefused
		if d.Reasons[0].Rule != policy.RuleHold { // a further method would be on hold like the first
			step.Remedy = f.remedy(sit)
		}
		if sit.mayFirst && step.Remedy.Kind != "" {
			step.Kind = StepFirstMethod
		}
		ref, err := f.seal(sit.caller, sit.page)
		step.Attempt = ref
		return step, err
	}
}

// fallBack shows the same target afresh where the page's attempt has ended: done where the live session satisfies
// policy by itself, expired with a new ref otherwise.
func (f *Flow) fallBack(sit *situation, problem *fault.Error) (Step, error) {
	if sit.live != nil && !sit.page.Target.Another {
		again := *sit
		again.gone, again.row = false, nil
		again.person, again.known = sit.livePerson, true
		if again.proven || !ownAct(sit.page.Target.Act) && f.decide(&again).Verdict == policy.Allow {
			again.page.Session, again.page.Row = sit.live.ID, ""
			return f.next(&again, nil)
		}
	}
	step, err := f.expired(sit.caller, sit.page)
	step.ApplicationName, step.Problem = sit.app.Name, problem
	return step, err
}

// done goes on to the target.
func (f *Flow) done(sit *situation, step Step) (Step, error) {
	step.Kind, step.Problem, step.RememberFor = StepDone, nil, 0
	step.Return = sit.page.Target.Return
	if sit.live != nil {
		step.SessionID = sit.live.ID
	}
	if sit.page.Target.State == nil {
		return step, nil
	}
	ref, err := f.seal(sit.caller, page{Target: sit.page.Target})
	if err != nil {
		return Step{}, err
	}
	step.Attempt = ref
	sep := "?"
	if strings.Contains(step.Return, "?") {
		sep = "&"
	}
	step.Return += sep + "attempt=" + url.QueryEscape(ref)
	return step, nil
}

// askStranger asks somebody unproven: for a name, then for a first proof. It looks at the name's presence only.
func (f *Flow) askStranger(sit *situation, step Step) (Step, error) {
	sit.page.Prompts = map[method.Kind][]byte{}
	step.Kind, step.Name = StepIdentify, sit.page.Name
	if sit.page.Name == "" {
		step.Name = cleanName(sit.page.Target.Hint)
	} else {
		step.Kind, step.Method = StepProve, f.firstKind(sit.page.Chosen)
		if err := f.prompt(sit, step.Method, &step.Prompt); err != nil {
			return Step{}, err
		}
		for _, kind := range f.firstKinds() {
			if kind != step.Method {
				step.Others = append(step.Others, kind)
			}
		}
	}
	if err := f.offerPasskey(sit, &step); err != nil {
		return Step{}, err
	}
	ref, err := f.seal(sit.caller, sit.page)
	step.Attempt = ref
	return step, err
}

// offerPasskey adds the autofill prompt. It names no credentials and no person (attack G77).
func (f *Flow) offerPasskey(sit *situation, step *Step) error {
	if !f.traits[method.Passkey].First {
		return nil
	}
	if step.Method == method.Passkey {
		step.Passkey = &method.Prompt{Public: step.Prompt.Public}
		return nil
	}
	step.Passkey = &method.Prompt{}
	return f.prompt(sit, method.Passkey, step.Passkey)
}

// firstKinds are the kinds that may open an attempt, the weakest first: the password page is the usual one and
// passkeys stand beside it.
func (f *Flow) firstKinds() []method.Kind {
	var kinds []method.Kind
	for kind, t := range f.traits {
		if t.First {
			kinds = append(kinds, kind)
		}
	}
	slices.SortFunc(kinds, func(a, b method.Kind) int {
		if d := f.traits[a].Strength - f.traits[b].Strength; d != 0 {
			return d
		}
		return strings.Compare(string(a), string(b))
	})
	return kinds
}

func (f *Flow) firstKind(chosen method.Kind) method.Kind {
	kinds := f.firstKinds()
	if slices.Contains(kinds, chosen) {
		return chosen
	}
	if len(kinds) == 0 {
		return ""
	}
	return kinds[0]
}

// standingKind is the kind that the page asks for: the one that was chosen where it helps, else the one that leads.
func standingKind(sit *situation, kinds []method.Kind) method.Kind {
	if slices.Contains(kinds, sit.page.Chosen) {
		return sit.page.Chosen
	}
	return kinds[0]
}

// ask asks a known person for one of the kinds that would help.
func (f *Flow) ask(sit *situation, step Step, kinds []method.Kind) (Step, error) {
	step.Kind, step.Method = StepProve, standingKind(sit, kinds)
	if f.outbound(step.Method) {
		var over *fault.Error
		if step.Sending, over = f.sent(sit, step.Method); step.Problem == nil {
			step.Problem = over
		}
	}
	for _, kind := range kinds {
		if kind != step.Method {
			step.Others = append(step.Others, kind)
		}
	}
	sit.page.Prompts = map[method.Kind][]byte{}
	if err := f.prompt(sit, step.Method, &step.Prompt); err != nil {
		return Step{}, err
	}
	ref, err := f.seal(sit.caller, sit.page)
	step.Attempt = ref
	return step, err
}

// prompt begins kind for the situation: the state goes into the page's seal, the public part to the browser.
func (f *Flow) prompt(sit *situation, kind method.Kind, into *method.Prompt) error {
	m, err := f.method(kind)
	if err != nil {
		return err
	}
	in := method.BeginInput{Now: sit.now}
	if sit.known {
		in.Subject, in.Credentials = subject(sit.person), ofKind(sit.owned, kind)
	}
	p, err := m.Begin(in)
	if err != nil {
		return err
	}
	sit.page.Prompts[kind] = p.State
	into.Public = p.Public
	return nil
}

func subject(p people.Person) method.Subject {
	return method.Subject{ID: string(p.ID), Username: p.Username, DisplayName: p.DisplayName, Email: p.Email}
}
