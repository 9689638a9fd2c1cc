package web

import (
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// The pairing of a phone, from the security page or within an invitation:
//
//	GET /security/add/app, POST /welcome/offer ─► QR code, link, short code ─► (events, or "I have scanned it")
//	POST …/pairing ─► "type the code that your phone shows" ─► POST …/pairing/confirm ─► done
//	             POST …/pairing/cancel: nothing of it stays; an invitation offers its methods again

// pairingFrom is which of the two a request belongs to, by its address.
func pairingFrom(r *http.Request) string {
	if strings.HasPrefix(r.URL.Path, "/welcome/") {
		return "/welcome/pairing"
	}
	return "/security/pairing"
}

// pairingForm is what travels through the pages of a pairing.
type pairingForm struct{ base, sealed, ref, attempt, then, name string }

func readPairing(r *http.Request, form url.Values) pairingForm {
	return pairingForm{base: pairingFrom(r), sealed: form.Get("sealed"), ref: form.Get("ref"), attempt: form.Get("attempt"),
		then: form.Get("then"), name: form.Get("name")}
}

// mayPair keeps strangers away from the half that belongs to a session.
func (s *Web) mayPair(r *http.Request, c signin.Caller) error {
	if pairingFrom(r) == "/welcome/pairing" {
		return nil // the sealed pairing is bound to the invitation's browser
	}
	_, _, err := s.SignIn.Who(r.Context(), c)
	return err
}

// pairingOf reads the form of a pairing page.
func (s *Web) pairingOf(r *http.Request, c signin.Caller) (pairingForm, error) {
	form, err := httpdoor.Form(r)
	if err != nil {
		return pairingForm{}, err
	}
	return readPairing(r, form), s.mayPair(r, c)
}

// lookPairing shows how a pairing stands: what the page that waits comes to, and what "I have scanned it" does.
func (s *Web) lookPairing(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	in, err := s.pairingOf(r, c)
	if err != nil {
		return s.orEnter(w, c, err, addPath(method.App, in.then))
	}
	v, err := s.Security.ShowPairing(r.Context(), c, in.sealed)
	if err != nil {
		return s.pairingLost(w, r, c, in, err)
	}
	switch v.Standing {
	case enrol.PairingWaiting:
		return s.pairingPage(w, c, in, v, errNoPhoneYet)
	case enrol.Paired: // its code was typed a moment ago, by a press that this one overtook
		return s.pairedUp(w, r, c, in, enrol.Done{CredentialID: v.Credential})
	}
	return s.pairingPage(w, c, in, v, nil)
}

var errNoPhoneYet = fault.New(fault.Conflict, "pairing.waiting", "No phone has scanned this yet. Scan it, wait until the phone shows a code, then press again.")

func (s *Web) confirmPairing(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	in, err := s.pairingOf(r, c)
	if err != nil {
		return s.orEnter(w, c, err, addPath(method.App, in.then))
	}
	code := strings.Join(strings.Fields(r.PostForm.Get("answer")), "")
	if code == "" {
		err = fault.New(fault.BadInput, "signin.answer_missing", "The field is empty. Fill it in.")
	} else {
		var d enrol.Done
		if d, err = s.Security.ConfirmPairing(r.Context(), c, in.sealed, code, in.name); err == nil {
			return s.pairedUp(w, r, c, in, d)
		}
	}
	problem := fault.Of(err)
	if problem.Kind != fault.BadInput {
		return s.pairingLost(w, r, c, in, err)
	}
	v, err := s.Security.ShowPairing(r.Context(), c, in.sealed)
	if err != nil {
		return s.pairingLost(w, r, c, in, err)
	}
	return s.pairingPage(w, c, in, v, problem)
}

// pairedUp leads on: within an invitation to signing in, within a sign-in back to it, else to what makes it complete.
func (s *Web) pairedUp(w http.ResponseWriter, r *http.Request, c signin.Caller, in pairingForm, d enrol.Done) error {
	if in.base == "/welcome/pairing" {
		return s.ready(w, c, d, method.App, in.attempt)
	}
	return s.added(w, r, c, d, method.App, in.name, in.then)
}

func (s *Web) cancelPairing(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	in, err := s.pairingOf(r, c)
	if err != nil {
		return s.orEnter(w, c, err, securityPath)
	}
	if err := s.Security.CancelPairing(r.Context(), c, in.sealed); err != nil && !fault.IsKind(err, fault.Expired) && !fault.IsKind(err, fault.NotFound) {
		return err
	}
	switch {
	case in.attempt != "":
		return httpdoor.SeeOther(w, "/signin?attempt="+url.QueryEscape(in.attempt))
	case in.base == "/welcome/pairing":
		wel, err := s.Security.ResumeInvitation(r.Context(), c, in.ref)
		if fault.IsKind(err, fault.BadInput) { // it is over meanwhile
			return httpdoor.SeeOther(w, "/welcome")
		}
		if err != nil {
			return err
		}
		return s.chooseFirst(w, c, wel, "")
	}
	return s.tell(w, c, securityPath, flash{Key: "done.pairing_cancelled"})
}

// pairingLost says that a pairing is over and offers another.
func (s *Web) pairingLost(w http.ResponseWriter, r *http.Request, c signin.Caller, in pairingForm, err error) error {
	if fault.IsKind(err, fault.Forbidden) || fault.IsKind(err, fault.Unauthenticated) {
		return s.again(w, r, c, err, addAct(method.App, in.then))
	}
	if !fault.IsKind(err, fault.Expired) && !fault.IsKind(err, fault.NotFound) && !fault.IsKind(err, fault.BadInput) && !fault.IsKind(err, fault.Conflict) {
		return err
	}
	return s.pairingPage(w, c, in, enrol.PairingView{Standing: enrol.PairingEnded}, fault.Of(err))
}

// pairingPage is a page of the pairing wizard; its template is "enrol-app".
type pairingPage struct {
	Shell
	// Base is where the forms go; Sealed, Ref, Attempt and Then travel along.
	Base, Sealed, Ref, Attempt, Then string
	// One of the stages: a phone is awaited, its code is awaited, it is over.
	Waiting, Claimed, Ended bool
	Link                    template.URL // ours: the app's origin
	QRPath, Code            string
	QRSize                  int
	Phone, Name             string
	Until                   When
	Left                    int
	Events                  string
	SmallScreen             bool
	// Kind and Restart begin another one.
	Kind    method.Kind
	Restart string
}

func (*pairingPage) name() string { return "enrol-app" }

// startPairing shows the first page of the wizard.
func (s *Web) startPairing(w http.ResponseWriter, r *http.Request, c signin.Caller, in pairingForm) error {
	var v enrol.PairingView
	var err error
	if in.ref != "" {
		v, err = s.Security.StartFirstPairing(r.Context(), c, in.ref)
	} else {
		v, err = s.Security.StartPairing(r.Context(), c)
	}
	if err != nil {
		return err
	}
	in.sealed = v.Sealed
	return s.pairingPage(w, c, in, v, nil)
}

func (s *Web) pairingPage(w http.ResponseWriter, c signin.Caller, in pairingForm, v enrol.PairingView, problem *fault.Error) error {
	p := &pairingPage{Base: in.base, Sealed: in.sealed, Ref: in.ref, Attempt: in.attempt, Then: in.then, Kind: method.App,
		QRPath: v.QRPath, QRSize: v.QRSize, Code: v.Code, Phone: v.Phone, Name: in.name, Until: when(v.Expires),
		Left: max(0, int(v.Expires.Sub(s.Now())/time.Second)), Restart: addPath(method.App, in.then)}
	p.Lang, p.SignedIn, p.Help, p.Title = c.Locale, in.base != "/welcome/pairing", "app", s.text(c, "method.app.add")
	if s.AppURL != "" && strings.HasPrefix(v.Link, s.AppURL) {
		p.Link = template.URL(v.Link) // the app's own origin, from configuration
	}
	_, p.SmallScreen = s.texts.Agent(c.Locale, c.Agent)
	field := ""
	switch v.Standing {
	case enrol.PairingWaiting:
		p.Waiting, p.Waits = true, true
	case enrol.PairingClaimed:
		p.Claimed, p.Waits, field = true, true, "answer"
		p.Title = s.text(c, "pairing.type_title")
		if p.Name == "" {
			p.Name = v.Phone
		}
	default:
		p.Ended, p.Title = true, s.text(c, "pairing.over")
	}
	if !p.Ended {
		p.Events = eventsURL(in.base+"/events", "sealed", in.sealed, "standing", pairingStanding(v.Standing))
	}
	status := http.StatusOK
	if problem != nil {
		p.Problem, status = s.Pages.problem(c.Locale, problem, field), http.StatusUnprocessableEntity
	}
	p.Here = p.Restart
	if in.base == "/welcome/pairing" {
		p.Here = "/welcome"
	}
	return s.Pages.render(w, status, p)
}
