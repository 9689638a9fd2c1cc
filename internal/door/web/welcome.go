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
	p := &addPage{Ref: wel.Ref, WayOut: "/welcome", Lead: s.text(c, "welcome.choose_lead")}
	for _, k := range wel.Kinds {
		p.Kinds = append(p.Kinds, s.choice(c, k))
	}
	name := wel.Person.DisplayName
	if name == "" {
		name = wel.Person.Username
	}
	p.Lang, p.Title, p.Help, p.Here = c.Locale, s.text(c, "welcome.choose", "Name", name), "welcome", "/welcome"
	return s.Pages.render(w, http.StatusOK, p)
}

func (s *Web) offerFirst(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	form, err := httpdoor.Form(r)
	if err != nil {
		return err
	}
	return s.firstWizard(w, r, c, form.Get("ref"), method.Kind(form.Get("kind")), nil, nil)
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
	p.Ref, p.Action, p.WayOut, p.Here = ref, "/welcome/finish", "/welcome", "/welcome"
	if name := before.Get("name"); name != "" {
		p.Name = name
	}
	status := http.StatusOK
	if problem != nil {
		p.Problem, status = s.Pages.problem(c.Locale, problem, fieldOf(kind)), http.StatusUnprocessableEntity
	}
	return s.Pages.render(w, status, p)
}

func (s *Web) finishFirst(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	form, err := httpdoor.Form(r)
	if err != nil {
		return err
	}
	ref, kind := form.Get("ref"), method.Kind(form.Get("kind"))
	d, err := s.Security.FinishFirst(r.Context(), c, ref, kind, form.Get("sealed"), form.Get("name"), answerOf(kind, form))
	if fault.IsKind(err, fault.BadInput) {
		return s.firstWizard(w, r, c, ref, kind, form, fault.Of(err))
	}
	if err != nil {
		return err
	}
	if kind == method.Password { // a password is half: the passcode app follows with the same invitation
		err := s.firstWizard(w, r, c, ref, method.TOTP, nil, nil)
		if !fault.IsKind(err, fault.BadInput) {
			return err
		} // the invitation is used up already: the app was there first
	}
	return s.ready(w, c, d, kind)
}

// ready ends the invitation: the person signs in with what was just made.
func (s *Web) ready(w http.ResponseWriter, c signin.Caller, d enrol.Done, kind method.Kind) error {
	if d.SetSession != nil {
		httpdoor.SetSession(w, *d.SetSession)
	}
	p := &messagePage{Lines: []string{s.text(c, "welcome.ready."+string(kind)), s.text(c, "welcome.ready_next")},
		Next: "/signin", NextText: s.text(c, "welcome.signin")}
	p.Lang, p.Title, p.Help, p.Here = c.Locale, s.text(c, "welcome.ready"), "welcome", "/signin"
	return s.Pages.render(w, http.StatusOK, p)
}
