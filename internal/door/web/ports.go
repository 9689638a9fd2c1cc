// Package web is the pages people see.
//
//	request ─► httpdoor (limits, cookies, cross-site check) ─► handler ─► flow ─► Step or data ─► one struct a page ─► template
//
// Handlers translate and nothing more; the flows decide. Every page is a struct in pages.go and stands in the
// storybook in each of its states.
package web

import (
	"context"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/help"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// SignIn is the sign-in flow as the pages need it.
type SignIn interface {
	// Open seals a new attempt for a target; nothing is stored.
	Open(caller signin.Caller, target signin.Target) (ref string, err error)
	// Show says which page stands next.
	Show(ctx context.Context, caller signin.Caller, ref string) (signin.Step, error)
	// Identify takes the typed name and answers alike for every name.
	Identify(ctx context.Context, caller signin.Caller, ref, name string) (signin.Step, error)
	// Choose asks to prove with another kind.
	Choose(ctx context.Context, caller signin.Caller, ref string, kind method.Kind) (signin.Step, error)
	// Answer judges an answer. remember: "don't ask again on this browser".
	Answer(ctx context.Context, caller signin.Caller, ref string, kind method.Kind, answer method.Answer, remember bool) (signin.Step, error)
	// Send starts a challenge, or sends it again; Extend gives it more time; Waiting looks without changing anything.
	Send(ctx context.Context, caller signin.Caller, ref string, kind method.Kind, via string) (signin.Step, error)
	Extend(ctx context.Context, caller signin.Caller, ref string) (signin.Step, error)
	Waiting(ctx context.Context, caller signin.Caller, ref string) (signin.Waiting, error)
	// NewPassword answers signin.StepNewPassword.
	NewPassword(ctx context.Context, caller signin.Caller, ref, password string) (signin.Step, error)
	// Who gives the live session and its person; fault Unauthenticated.
	Who(ctx context.Context, caller signin.Caller) (session.Session, people.Person, error)
	// SignOut ends the caller's session (everywhere: all sessions, grants and remembered browsers of the person).
	SignOut(ctx context.Context, caller signin.Caller, everywhere bool) error
}

// Security is the member's own page.
type Security interface {
	Overview(ctx context.Context, caller signin.Caller) (enrol.Overview, error)
	// Needs says whether act still needs its proof: nil when it is in hand.
	Needs(ctx context.Context, caller signin.Caller, act enrol.Act) (*enrol.Needed, error)
	// OfferMethod begins adding; the proof for (method.add, kind) must be in hand (not consumed yet).
	OfferMethod(ctx context.Context, caller signin.Caller, kind method.Kind) (enrol.Offer, error)
	// OfferMethodAgain offers once more after a wrong answer to sealed: what the person's app holds already stays good.
	OfferMethodAgain(ctx context.Context, caller signin.Caller, kind method.Kind, sealed string) (enrol.Offer, error)
	// AddMethod finishes; the proof is consumed with the change.
	AddMethod(ctx context.Context, caller signin.Caller, kind method.Kind, sealed, name string, answer method.Answer) (enrol.Done, error)
	// OfferMethodTo answers an offer that first needed something typed: a phone number; via "text" or "voice".
	OfferMethodTo(ctx context.Context, caller signin.Caller, kind method.Kind, typed, via string) (enrol.Offer, error)
	OfferFirstTo(ctx context.Context, caller signin.Caller, ref string, kind method.Kind, typed, via string) (enrol.Offer, error)
	// The pairing of a phone, in place of OfferMethod and AddMethod for method.App; see enrol.Pairing.
	StartPairing(ctx context.Context, caller signin.Caller) (enrol.PairingView, error)
	StartFirstPairing(ctx context.Context, caller signin.Caller, ref string) (enrol.PairingView, error)
	ShowPairing(ctx context.Context, caller signin.Caller, sealed string) (enrol.PairingView, error)
	ConfirmPairing(ctx context.Context, caller signin.Caller, sealed, code, name string) (enrol.Done, error)
	CancelPairing(ctx context.Context, caller signin.Caller, sealed string) error
	// FirstByAttempt goes on from signin.StepFirstMethod.
	FirstByAttempt(ctx context.Context, caller signin.Caller, attempt string) (enrol.Welcome, error)
	RenameMethod(ctx context.Context, caller signin.Caller, credential, name string) (enrol.Done, error)
	RemoveMethod(ctx context.Context, caller signin.Caller, credential string) (enrol.Done, error)
	// SetLead chooses who is asked first; kind "" means the strongest.
	SetLead(ctx context.Context, caller signin.Caller, kind method.Kind) (enrol.Done, error)
	ChangePassword(ctx context.Context, caller signin.Caller, password string) (enrol.Done, error)
	EndSession(ctx context.Context, caller signin.Caller, id string) (enrol.Done, error)
	ForgetBrowser(ctx context.Context, caller signin.Caller, family string) (enrol.Done, error)
	// ReportSignIn is "this wasn't me": ends what that sign-in opened, opens an incident in the trail, tells the member.
	ReportSignIn(ctx context.Context, caller signin.Caller, recent string) (enrol.Done, error)

	// OpenInvitation takes the typed secret (POST) and binds it to this browser.
	OpenInvitation(ctx context.Context, caller signin.Caller, typed string) (enrol.Welcome, error)
	// ResumeInvitation is one that is open in this browser, by its Welcome.Ref.
	ResumeInvitation(ctx context.Context, caller signin.Caller, ref string) (enrol.Welcome, error)
	OfferFirst(ctx context.Context, caller signin.Caller, ref string, kind method.Kind) (enrol.Offer, error)
	// OfferFirstAgain is OfferFirst after a wrong answer to sealed.
	OfferFirstAgain(ctx context.Context, caller signin.Caller, ref string, kind method.Kind, sealed string) (enrol.Offer, error)
	// FinishFirst registers and uses the invitation up. The person then signs in with it.
	// A password is set before or after a TOTP by the same call with kind password; the invitation is used up by
	// the first kind that satisfies "more than a password" (passkey, totp).
	FinishFirst(ctx context.Context, caller signin.Caller, ref string, kind method.Kind, sealed, name string, answer method.Answer) (enrol.Done, error)
}

// Tile is one application on the landing page.
type Tile = apps.Tile

// Catalogue is the landing page's port.
type Catalogue interface {
	Tiles(ctx context.Context, person people.Person) ([]Tile, error)
}

// Answers is the help page's port: what follows from the policy in force. The zero person is a stranger.
type Answers interface {
	Answers(ctx context.Context, person people.Person) ([]help.Answer, error)
}
