package web

import (
	"context"
	"encoding/json"
	"net/netip"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

var (
	errSignedOut = fault.New(fault.Unauthenticated, "signin.no_session", "")
	errUnproven  = fault.New(fault.Forbidden, "enrol.proof_needed", "")
)

// flows are the ports as the pages meet them: scripted answers, and a record of what was asked. Whatever is asked with
// a Caller checks that the door filled it.
type flows struct {
	t        *testing.T
	step     signin.Step
	person   *people.Person // nil: nobody is signed in
	proven   bool
	overview enrol.Overview
	refuse   error // of the next change
	calls    []string
	target   signin.Target
	answer   method.Answer
	remember bool

	mu      sync.Mutex // of what streams ask while a test changes it
	waiting signin.Waiting
	pairing enrol.PairingView
	failing error // of the next look
	quiet   bool  // keeps no record
	offers  map[method.Kind]string
}

func (f *flows) saw(c signin.Caller, call string) {
	if f.quiet {
		return
	}
	f.t.Helper()
	if c.Browser.Empty() || c.Address != netip.MustParseAddr("198.51.100.7") || c.Door != "web" || c.Locale != "en" {
		f.t.Errorf("%s: caller %+v", call, c)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
}

func (f *flows) Open(c signin.Caller, t signin.Target) (string, error) {
	f.saw(c, "open "+string(t.Act))
	f.target = t
	return "REF", nil
}
func (f *flows) Show(_ context.Context, c signin.Caller, ref string) (signin.Step, error) {
	f.saw(c, "show "+ref)
	return f.step, nil
}
func (f *flows) Identify(_ context.Context, c signin.Caller, ref, name string) (signin.Step, error) {
	f.saw(c, "identify "+ref+" "+name)
	return f.step, nil
}
func (f *flows) Choose(_ context.Context, c signin.Caller, ref string, k method.Kind) (signin.Step, error) {
	f.saw(c, "choose "+ref+" "+string(k))
	return f.step, nil
}
func (f *flows) Answer(_ context.Context, c signin.Caller, ref string, k method.Kind, a method.Answer, remember bool) (signin.Step, error) {
	f.saw(c, "answer "+ref+" "+string(k))
	f.answer, f.remember = a, remember
	return f.step, nil
}
func (f *flows) Who(_ context.Context, c signin.Caller) (session.Session, people.Person, error) {
	f.saw(c, "who")
	if f.person == nil {
		return session.Session{}, people.Person{}, errSignedOut
	}
	return session.Session{ID: "s1"}, *f.person, nil
}
func (f *flows) SignOut(_ context.Context, c signin.Caller, everywhere bool) error {
	f.saw(c, map[bool]string{true: "signout everywhere", false: "signout"}[everywhere])
	if f.person == nil {
		return errSignedOut
	}
	return nil
}
func (f *flows) Overview(_ context.Context, c signin.Caller) (enrol.Overview, error) {
	f.saw(c, "overview")
	if f.person == nil {
		return enrol.Overview{}, errSignedOut
	}
	return f.overview, nil
}
func (f *flows) Needs(_ context.Context, c signin.Caller, a enrol.Act) (*enrol.Needed, error) {
	f.saw(c, "needs "+string(a.Act)+" "+a.Object)
	if f.proven && f.person != nil {
		return nil, nil
	}
	return &enrol.Needed{Target: signin.Target{Act: a.Act, Object: a.Object, Return: a.Return}}, nil
}
func (f *flows) change(c signin.Caller, call string) (enrol.Done, error) {
	f.saw(c, call)
	if f.person == nil {
		return enrol.Done{}, errSignedOut
	}
	if !f.proven {
		return enrol.Done{}, errUnproven
	}
	return enrol.Done{UserHandle: []byte("person"), AcceptedPasskeys: [][]byte{{1, 2}}}, f.refuse
}
func (f *flows) OfferMethodAgain(ctx context.Context, c signin.Caller, k method.Kind, _ string) (enrol.Offer, error) {
	return f.OfferMethod(ctx, c, k)
}

func (f *flows) OfferMethod(_ context.Context, c signin.Caller, k method.Kind) (enrol.Offer, error) {
	_, err := f.change(c, "offer "+string(k))
	if err != nil && err != f.refuse {
		return enrol.Offer{}, err
	}
	if public, ok := f.offers[k]; ok {
		return enrol.Offer{Kind: k, Sealed: "SEALED", Public: json.RawMessage(public)}, nil
	}
	return enrol.Offer{Kind: k, Sealed: "SEALED", Name: "2", Public: json.RawMessage(`{"secret_base32":"ABCD EFGH","uri":"otpauth://totp/x","qr_path":"M0 0h1v1h-1z","qr_size":9}`)}, nil
}
func (f *flows) AddMethod(_ context.Context, c signin.Caller, k method.Kind, sealed, name string, a method.Answer) (enrol.Done, error) {
	f.answer = a
	return f.change(c, "add "+string(k)+" "+sealed+" "+name)
}
func (f *flows) RenameMethod(_ context.Context, c signin.Caller, id, name string) (enrol.Done, error) {
	return f.change(c, "rename "+id+" "+name)
}
func (f *flows) RemoveMethod(_ context.Context, c signin.Caller, id string) (enrol.Done, error) {
	return f.change(c, "remove "+id)
}
func (f *flows) SetLead(_ context.Context, c signin.Caller, k method.Kind) (enrol.Done, error) {
	return f.change(c, "lead "+string(k))
}
func (f *flows) ChangePassword(_ context.Context, c signin.Caller, p string) (enrol.Done, error) {
	return f.change(c, "password "+p)
}
func (f *flows) EndSession(_ context.Context, c signin.Caller, id string) (enrol.Done, error) {
	return f.change(c, "end "+id)
}
func (f *flows) ForgetBrowser(_ context.Context, c signin.Caller, id string) (enrol.Done, error) {
	return f.change(c, "forget "+id)
}
func (f *flows) ReportSignIn(_ context.Context, c signin.Caller, id string) (enrol.Done, error) {
	return f.change(c, "report "+id)
}
func (f *flows) OpenInvitation(_ context.Context, c signin.Caller, typed string) (enrol.Welcome, error) {
	f.saw(c, "invitation")
	if typed != "right-code" {
		return enrol.Welcome{}, fault.New(fault.BadInput, "invitation.invalid", "")
	}
	return enrol.Welcome{Person: people.Person{DisplayName: "Ada Example"}, Ref: "WREF", Kinds: []method.Kind{method.Passkey, method.Password}}, nil
}
func (f *flows) ResumeInvitation(_ context.Context, c signin.Caller, ref string) (enrol.Welcome, error) {
	f.saw(c, "resume "+ref)
	if ref != "WREF" {
		return enrol.Welcome{}, fault.New(fault.BadInput, "invitation.invalid", "")
	}
	return enrol.Welcome{Ref: "WREF", Kinds: []method.Kind{method.Passkey, method.App, method.TOTP}, Second: true}, nil
}
func (f *flows) OfferFirstAgain(ctx context.Context, c signin.Caller, ref string, k method.Kind, _ string) (enrol.Offer, error) {
	return f.OfferFirst(ctx, c, ref, k)
}

func (f *flows) OfferFirst(_ context.Context, c signin.Caller, ref string, k method.Kind) (enrol.Offer, error) {
	f.saw(c, "offer first "+ref+" "+string(k))
	return enrol.Offer{Kind: k, Sealed: "SEALED", Public: json.RawMessage(`{"min":15}`)}, nil
}
func (f *flows) FinishFirst(_ context.Context, c signin.Caller, ref string, k method.Kind, sealed, name string, a method.Answer) (enrol.Done, error) {
	f.saw(c, "finish first "+ref+" "+string(k))
	return enrol.Done{}, f.refuse
}
func (f *flows) Tiles(context.Context, people.Person) ([]Tile, error) {
	return []Tile{{Name: "Library", Category: "teaching", URL: "https://library.example.ac.uk", Asks: "asks.usual"},
		{Name: "Patient records", Category: "clinical", URL: "https://records.example.ac.uk", Asks: "asks.every_time"}}, nil
}

func (f *flows) Send(_ context.Context, c signin.Caller, ref string, k method.Kind, via string) (signin.Step, error) {
	f.saw(c, "send "+ref+" "+string(k)+" "+via)
	return f.step, nil
}
func (f *flows) Extend(_ context.Context, c signin.Caller, ref string) (signin.Step, error) {
	f.saw(c, "extend "+ref)
	return f.step, nil
}
func (f *flows) Waiting(_ context.Context, c signin.Caller, ref string) (signin.Waiting, error) {
	f.saw(c, "waiting "+ref)
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.waiting
	if f.quiet {
		w.Topic += ref // each page of the benchmark waits for its own
	}
	return w, f.failing
}
func (f *flows) NewPassword(_ context.Context, c signin.Caller, ref, password string) (signin.Step, error) {
	f.saw(c, "new password "+ref+" "+password)
	return f.step, nil
}
func (f *flows) OfferMethodTo(_ context.Context, c signin.Caller, k method.Kind, typed, via string) (enrol.Offer, error) {
	if _, err := f.change(c, "offer to "+string(k)+" "+typed+" "+via); err != nil {
		return enrol.Offer{}, err
	}
	return f.codeOffer(k), nil
}
func (f *flows) OfferFirstTo(_ context.Context, c signin.Caller, ref string, k method.Kind, typed, via string) (enrol.Offer, error) {
	f.saw(c, "offer first to "+ref+" "+string(k)+" "+typed+" "+via)
	return f.codeOffer(k), f.refuse
}
func (f *flows) codeOffer(k method.Kind) enrol.Offer {
	return enrol.Offer{Kind: k, Sealed: "SENT", Public: json.RawMessage(`{"ask":"code","channels":["text","voice"],"to":"•••• 123","via":"text","digits":6}`)}
}
func (f *flows) StartPairing(_ context.Context, c signin.Caller) (enrol.PairingView, error) {
	_, err := f.change(c, "pair")
	return f.pairing, err
}
func (f *flows) StartFirstPairing(_ context.Context, c signin.Caller, ref string) (enrol.PairingView, error) {
	f.saw(c, "pair first "+ref)
	return f.pairing, nil
}
func (f *flows) ShowPairing(_ context.Context, c signin.Caller, sealed string) (enrol.PairingView, error) {
	f.saw(c, "pairing "+sealed)
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pairing, f.failing
}
func (f *flows) ConfirmPairing(_ context.Context, c signin.Caller, sealed, code, name string) (enrol.Done, error) {
	f.saw(c, "confirm "+sealed+" "+code+" "+name)
	return enrol.Done{CredentialID: "new"}, f.refuse
}
func (f *flows) CancelPairing(_ context.Context, c signin.Caller, sealed string) error {
	f.saw(c, "cancel "+sealed)
	return f.refuse
}
func (f *flows) FirstByAttempt(_ context.Context, c signin.Caller, attempt string) (enrol.Welcome, error) {
	f.saw(c, "first by "+attempt)
	return enrol.Welcome{Ref: "WREF", Kinds: []method.Kind{method.Passkey, method.App, method.TOTP, method.Password}}, f.refuse
}
