package web

import (
	"net/http"
	"net/url"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// welcome asks for the code of an invitation. The code is typed and POSTed; it never stands in an address.
func (s *Web) welcome(w http.ResponseWriter, _ *http.Request, c signin.Caller) error {
	return s.welcomePage(w, c, nil)
}

func (s *Web) welcomePage(w http.ResponseWriter, c signin.Caller, problem *fault.Error) error {
	p := &welcomePage{}
	p.Lang, p.Title, p.Help = c.Locale, s.text(c, "welcome.title"), "welcome"
	status := http.StatusOK
	if problem != nil {
		p.Problem, status, p.Here = s.Pages.problem(c.Locale, problem, "code"), httpdoor.Status(problem), "/welcome"
	}
	return s.Pages.render(w, status, p)
}

func (s *Web) openInvitation(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	form, err := httpdoor.Form(r)
	if err != nil {
		return err
	}
	wel, err := s.Security.OpenInvitation(r.Context(), c, form.Get("code"))
	if f := fault.Of(err); f != nil {
		if f.Kind == fault.Internal || f.Kind == fault.Busy {
			return err
		}
		return s.welcomePage(w, c, f)
	}
	return s.chooseFirst(w, c, wel, "")
}

// chooseFirst offers what an open invitation registers: at first, after the password that it set, and after a wizard
// that was left.
func (s *Web) chooseFirst(w http.ResponseWriter, c signin.Caller, wel enrol.Welcome, attempt string) error {
	p := &addPage{Ref: wel.Ref, Attempt: attempt, WayOut: "/welcome", Lead: s.text(c, "welcome.choose_lead")}
	for _, k := range wel.Kinds {
		p.Kinds = append(p.Kinds, s.choice(c, k))
	}
	name := wel.Person.DisplayName
	if name == "" {
		name = wel.Person.Username
	}
	p.Lang, p.Title, p.Help, p.Here = c.Locale, s.text(c, "welcome.choose", "Name", name), "welcome", "/welcome"
	if wel.Second {
		p.Title, p.Lead, p.Help = s.text(c, "welcome.second"), s.text(c, "welcome.second_lead"), "choosing"
	}
	return s.Pages.render(w, http.StatusOK, p)
}

func (s *Web) offerFirst(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	form, err := httpdoor.Form(r)
	if err != nil {
		return err
	}
	ref, attempt, kind := form.Get("ref"), form.Get("attempt"), method.Kind(form.Get("kind"))
	if kind == method.App {
		return s.startPairing(w, r, c, pairingForm{base: "/welcome/pairing", ref: ref, attempt: attempt})
	}
	return s.firstWizard(w, r, c, ref, kind, url.Values{"attempt": {attempt}}, nil)
}

// firstWizard shows a wizard; before is the form that was answered wrongly, nil at first.
func (s *Web) firstWizard(w http.ResponseWriter, r *http.Request, c signin.Caller, ref string, kind method.Kind, before url.Values, problem *fault.Error) error {
	if !s.Pages.has("enrol-" + string(kind)) {
		return errNoMethod
	}
	offer, err := s.Security.OfferFirstAgain(r.Context(), c, ref, kind, before.Get("sealed"))
	if err != nil {
		return err
	}
	p, err := s.enrolPage(c, offer)
	if err != nil {
		return err
	}
	s.first(p, ref, before.Get("attempt"))
	p.Typed = before.Get("number")
	if name := before.Get("name"); name != "" {
		p.Name = name
	}
	status := http.StatusOK
	if problem != nil {
		p.Problem, status = s.Pages.problem(c.Locale, problem, fieldOf(kind)), http.StatusUnprocessableEntity
	}
	return s.Pages.render(w, status, p)
}

// first makes a wizard one of an invitation's, or of a sign-in that goes on afterwards.
func (s *Web) first(p *enrolPage, ref, attempt string) {
	p.Ref, p.Attempt, p.Action, p.WayOut, p.Here = ref, attempt, "/welcome/finish", "/welcome", "/welcome"
	if attempt != "" {
		p.WayOut = "/signin?attempt=" + url.QueryEscape(attempt)
		p.Here = p.WayOut
	}
}

// firstTo sends a code to what was typed within an invitation.
func (s *Web) firstTo(w http.ResponseWriter, r *http.Request, c signin.Caller, kind method.Kind, form url.Values) error {
	ref := form.Get("ref")
	offer, err := s.Security.OfferFirstTo(r.Context(), c, ref, kind, form.Get("typed"), form.Get("via"))
	problem := fault.Of(err)
	if mendable(problem) {
		offer, err = s.Security.OfferFirst(r.Context(), c, ref, kind)
	}
	if err != nil {
		return err
	}
	p, err := s.enrolPage(c, offer)
	if err != nil {
		return err
	}
	s.first(p, ref, form.Get("attempt"))
	return s.renderTyped(w, c, p, form, problem)
}

// secondStep follows a password that an invitation set: it is half, and the same invitation makes the other.
func (s *Web) secondStep(w http.ResponseWriter, r *http.Request, c signin.Caller, ref, attempt string) error {
	if s.AppURL == "" {
		return s.firstWizard(w, r, c, ref, method.TOTP, url.Values{"attempt": {attempt}}, nil)
	}
	wel, err := s.Security.ResumeInvitation(r.Context(), c, ref)
	if err != nil {
		return err
	}
	return s.chooseFirst(w, c, wel, attempt)
}

func (s *Web) finishFirst(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	form, err := httpdoor.Form(r)
	if err != nil {
		return err
	}
	ref, kind := form.Get("ref"), method.Kind(form.Get("kind"))
	if form.Has("typed") {
		return s.firstTo(w, r, c, kind, form)
	}
	d, err := s.Security.FinishFirst(r.Context(), c, ref, kind, form.Get("sealed"), form.Get("name"), answerOf(kind, form))
	if fault.IsKind(err, fault.BadInput) {
		return s.firstWizard(w, r, c, ref, kind, form, fault.Of(err))
	}
	if err != nil {
		return err
	}
	if kind == method.Password {
		err := s.secondStep(w, r, c, ref, form.Get("attempt"))
		if !fault.IsKind(err, fault.BadInput) {
			return err
		} // the invitation is used up already: the app was there first
	}
	return s.ready(w, c, d, kind, form.Get("attempt"))
}

// ready ends the invitation: the person signs in with what was just made, or goes on with the sign-in they came from.
func (s *Web) ready(w http.ResponseWriter, c signin.Caller, d enrol.Done, kind method.Kind, attempt string) error {
	carry(w, d)
	if attempt != "" && len(attempt) <= maxRef {
		return httpdoor.SeeOther(w, "/signin?attempt="+url.QueryEscape(attempt))
	}
	p := &messagePage{Lines: []string{s.text(c, "welcome.ready."+string(kind)), s.text(c, "welcome.ready_next")},
		Next: "/signin", NextText: s.text(c, "welcome.signin")}
	p.Lang, p.Title, p.Help, p.Here = c.Locale, s.text(c, "welcome.ready"), "welcome", "/signin"
	return s.Pages.render(w, http.StatusOK, p)
}
