package signin

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// Lifetimes of what travels through a browser. A page left open longer starts again for the same target.
const (
	// PageFor is how long a page may be answered.
	PageFor = time.Hour
	// PromptFor is how long a challenge may be answered (attack G72).
	PromptFor = 10 * time.Minute
	// AttemptFor is how long a first proof waits for the next: nothing ends sooner than a person with a screen
	// reader can answer.
	AttemptFor = 30 * time.Minute
)

// Deps are what the flow needs. All fields but Log are required.
type Deps struct {
	// InTx runs a function in one durable transaction, perhaps twice; View in a read-only one.
	InTx, View func(context.Context, func(Store) error) error
	// Methods are the ways of proving that this house offers.
	Methods map[method.Kind]method.Method
	Box     *secret.Box
	Keyring *secret.Keyring
	Now     func() time.Time
	// Limits gives the guess budget of a kind for strangers' or known browsers.
	Limits func(method.Kind, throttle.Audience) throttle.Limit
	// Push is called with each new challenge that goes to apps, after its commit; nil: nothing is pushed, the open app
	// finds it by itself. It must not block.
	Push func(Challenge)
	// Country says where an address is as far as that is known (ISO 3166-1 alpha-2, "" unknown); nil: unknown.
	Country func(netip.Addr) string
	// Gateway limits what text messages and calls cost; zero: none can be sent.
	Gateway SendingCaps
	Log     *slog.Logger
}

// SendingCaps bound text messages and calls (attack G53): how many of each there may be at once and how soon another.
type SendingCaps struct {
	Number, Prefix, Account, Address, Total throttle.Limit
	// Countries are the calling countries that may be sent to (ISO 3166-1); empty: none.
	Countries []string
}

// Flow signs people in. It holds settings only and is safe for concurrent use.
type Flow struct {
	Deps
	traits map[method.Kind]method.Traits
}

// New makes the flow.
func New(d Deps) *Flow {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	f := &Flow{Deps: d, traits: make(map[method.Kind]method.Traits, len(d.Methods))}
	for kind, m := range d.Methods {
		f.traits[kind] = m.Traits()
	}
	return f
}

// Traits gives the traits of every kind that this house offers. The map must not be changed.
func (f *Flow) Traits() map[method.Kind]method.Traits { return f.traits }

// page is what a ref holds, sealed for one browser. The prompts inside are bound to the target (act and object),
// to the session that is stepped up and to their kind by lying in the same seal; ID makes each answerable once.
type page struct {
	ID      string                 `json:"i"`
	Target  Target                 `json:"t"`
	Name    string                 `json:"n,omitempty"` // as typed
	Session string                 `json:"s,omitempty"` // the session it steps up
	Row     string                 `json:"r,omitempty"` // the attempt after its first proof
	Chosen  method.Kind            `json:"k,omitempty"` // "sign in another way"
	Prompts map[method.Kind][]byte `json:"p,omitempty"`
	// Tries are this attempt's wrong guesses, to be given back with the right one.
	Tries map[method.Kind]int `json:"w,omitempty"`
	Asked time.Time           `json:"a"`
}

// errNoBrowser: a browser that keeps no cookies cannot be told from its neighbour.
var errNoBrowser = fault.New(fault.BadInput, "signin.no_cookies",
	"Your browser did not send our cookie. Allow cookies for this site and try again.")

func browserHash(c Caller) ([]byte, error) {
	if c.Browser.Empty() {
		return nil, errNoBrowser
	}
	return secret.Hash(c.Browser.Reveal()), nil
}

// Open seals a new attempt for target; nothing is stored. Target.Started is set to now.
func (f *Flow) Open(caller Caller, target Target) (string, error) {
	if err := checkReturn(target.Return); err != nil {
		return "", err
	}
	target.Started = f.Now()
	if target.Act == "" {
		target.Act = policy.ActSignIn
	}
	return f.seal(caller, page{Target: target})
}

// checkReturn holds Return to a path of our own: never another origin, whatever a door passes on.
func checkReturn(path string) error {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsFunc(path, func(r rune) bool {
		return r == '\\' || unicode.IsControl(r)
	}) {
		return fault.New(fault.BadInput, "signin.return_invalid", "The page to return to is not one of ours.")
	}
	return nil
}

// seal gives p a fresh identity and packs it for the caller's browser.
func (f *Flow) seal(caller Caller, p page) (string, error) {
	browser, err := browserHash(caller)
	if err != nil {
		return "", err
	}
	now := f.Now()
	p.ID, p.Asked = secret.Token(16).Reveal(), now
	return f.Box.Pack("attempt", hex.EncodeToString(browser), p, now.Add(PageFor))
}

// unseal opens a ref. Expired refs give the page and errExpired; foreign or damaged ones only errExpired.
func (f *Flow) unseal(caller Caller, ref string) (page, error) {
	var p page
	browser, err := browserHash(caller)
	if err != nil {
		return p, err
	}
	switch err := f.Box.Unpack("attempt", hex.EncodeToString(browser), ref, f.Now(), &p); {
	case errors.Is(err, secret.ErrExpired):
		return p, errExpired
	case err != nil:
		return page{}, errExpired
	}
	return p, nil
}

// errExpired never leaves the flow: it becomes StepExpired.
var errExpired = errors.New("signin: this page can no longer be answered")

// ReadTarget gives what an attempt was for, to the browser it belongs to; fault Expired for anything else. A page
// that is merely old is still read, so that the door can go on with its own request.
func (f *Flow) ReadTarget(_ context.Context, caller Caller, ref string) (Target, error) {
	p, err := f.unseal(caller, ref)
	if err != nil && (!errors.Is(err, errExpired) || p.ID == "") {
		if errors.Is(err, errExpired) {
			return Target{}, fault.New(fault.Expired, "signin.expired", "This sign-in took too long or belongs to another browser. Start again.")
		}
		return Target{}, err
	}
	return p.Target, nil
}

// expired is the step for a page that can no longer be answered, with a fresh ref where the target could be read.
func (f *Flow) expired(caller Caller, p page) (Step, error) {
	step := Step{Kind: StepExpired, Target: p.Target}
	if p.ID == "" {
		return step, nil
	}
	target := p.Target
	if !target.Demand.FreshSince.IsZero() {
		// Started and the demand move together: "since this request" means since it was started again.
		target.Demand.FreshSince = f.Now()
		target.Demand.Began = target.Demand.FreshSince
	}
	ref, err := f.Open(caller, target)
	step.Attempt = ref
	return step, err
}

// Show says which page stands next.
func (f *Flow) Show(ctx context.Context, caller Caller, ref string) (Step, error) {
	return f.turn(ctx, caller, ref, func(*page) *fault.Error { return nil })
}

// Identify takes the typed name and answers alike for every name: nothing about it is looked up here. What an attempt
// that is left by it has under way ends.
func (f *Flow) Identify(ctx context.Context, caller Caller, ref, name string) (Step, error) {
	if p, err := f.unseal(caller, ref); err == nil && p.Row != "" {
		if err := f.leave(ctx, caller, p); err != nil {
			return Step{}, err
		}
	}
	return f.turn(ctx, caller, ref, func(p *page) *fault.Error {
		p.Row, p.Session, p.Chosen, p.Tries = "", "", "", nil
		p.Name = cleanName(name)
		if p.Name == "" {
			return fault.New(fault.BadInput, "signin.name_missing", "Type your username or e-mail address.")
		}
		return nil
	})
}

// turn loads what is stored, changes the page and says what stands next.
func (f *Flow) turn(ctx context.Context, caller Caller, ref string, change func(*page) *fault.Error) (Step, error) {
	p, err := f.unseal(caller, ref)
	if errors.Is(err, errExpired) {
		return f.expired(caller, p)
	}
	if err != nil {
		return Step{}, err
	}
	problem := change(&p)
	return f.show(ctx, caller, p, problem)
}

// show says what stands next on p. It sends nothing.
func (f *Flow) show(ctx context.Context, caller Caller, p page, problem *fault.Error) (Step, error) {
	sit, err := f.stranger(caller, p)
	if err == nil && !readsNothing(caller, p) {
		err = f.View(ctx, func(s Store) (err error) {
			if sit, err = f.load(ctx, s, caller, p); err != nil || !sit.known || sit.row == nil || sit.gone {
				return err
			}
			d := f.decide(sit)
			sit.decision = &d
			if d.Verdict == policy.Ask && f.outbound(standingKind(sit, d.Ask)) {
				return f.loadChallenge(ctx, s, sit)
			}
			return f.loadFirst(ctx, s, sit)
		})
	}
	if err != nil {
		return Step{}, err
	}
	return f.next(sit, problem)
}

// cleanName keeps what can be shown again on the page: at most people.MaxNameBytes of printable text.
func cleanName(name string) string {
	name = strings.TrimSpace(name)
	if len(name) > people.MaxNameBytes {
		name = name[:people.MaxNameBytes]
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name)
}

func (f *Flow) method(kind method.Kind) (method.Method, error) {
	m, ok := f.Methods[kind]
	if !ok {
		return nil, fault.New(fault.BadInput, "signin.method_unknown", "This way of signing in is not offered here.").
			Because(fmt.Errorf("kind %q", kind))
	}
	return m, nil
}
