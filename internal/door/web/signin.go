package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// maxRef is the longest attempt that goes through an address; longer ones stay in hidden fields.
const maxRef = 3000

func (s *Web) showSignIn(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	ref := r.URL.Query().Get("attempt")
	if ref == "" {
		return s.begin(w, r, c)
	}
	step, err := s.SignIn.Show(r.Context(), c, ref)
	return s.step(w, r, c, step, err)
}

// begin starts at the front door: my applications.
func (s *Web) begin(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	ref, err := s.SignIn.Open(c, signin.Target{Act: policy.ActSignIn, Return: "/apps"})
	if err != nil {
		return err
	}
	step, err := s.SignIn.Show(r.Context(), c, ref)
	return s.step(w, r, c, step, err)
}

func (s *Web) identify(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	form, err := httpdoor.Form(r)
	if err != nil {
		return err
	}
	step, err := s.SignIn.Identify(r.Context(), c, form.Get("attempt"), form.Get("name"))
	return s.onward(w, r, c, step, err)
}

// otherName shows the first page again for the same target: "not you?". Somebody who is signed in gets an attempt that
// leaves their session alone until another person has proven who they are.
func (s *Web) otherName(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	step, err := s.SignIn.Show(r.Context(), c, r.URL.Query().Get("attempt"))
	if err == nil && step.Known && !namesAct(step) {
		step.Target.Another = !c.Session.Empty()
		return s.enter(w, c, step.Target)
	}
	if err == nil && step.Kind == signin.StepProve && !namesAct(step) {
		step.Kind, step.Name, step.Problem = signin.StepIdentify, "", nil
	}
	return s.step(w, r, c, step, err)
}

func (s *Web) choose(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	form, err := httpdoor.Form(r)
	if err != nil {
		return err
	}
	step, err := s.SignIn.Choose(r.Context(), c, form.Get("attempt"), method.Kind(form.Get("kind")))
	return s.onward(w, r, c, step, err)
}

func (s *Web) answer(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	form, err := httpdoor.Form(r)
	if err != nil {
		return err
	}
	kind := method.Kind(r.PathValue("method"))
	if kind != method.Passkey && strings.TrimSpace(form.Get("answer")) == "" {
		return s.unanswered(w, r, c, form.Get("attempt"))
	}
	step, err := s.SignIn.Answer(r.Context(), c, form.Get("attempt"), kind, answerOf(kind, form), form.Get("remember") == "yes")
	return s.onward(w, r, c, step, err)
}

// unanswered asks again: an empty field is no guess.
func (s *Web) unanswered(w http.ResponseWriter, r *http.Request, c signin.Caller, ref string) error {
	step, err := s.SignIn.Show(r.Context(), c, ref)
	if err == nil && step.Kind == signin.StepProve {
		step.Problem = fault.New(fault.BadInput, "signin.answer_missing", "The field is empty. Fill it in.")
	}
	return s.step(w, r, c, step, err)
}

// onward leads to the next question at an address of its own, so that a reload or the back button asks it again
// instead of sending the last answer a second time.
func (s *Web) onward(w http.ResponseWriter, r *http.Request, c signin.Caller, step signin.Step, err error) error {
	if err == nil && step.Problem == nil && step.Kind == signin.StepProve && len(step.Attempt) <= maxRef {
		s.cookies(w, step)
		path := "/signin?attempt=" + url.QueryEscape(step.Attempt)
		if outOfHand(step.Method) && remembers(r) {
			path += "&remember=yes"
		}
		return httpdoor.SeeOther(w, path)
	}
	return s.step(w, r, c, step, err)
}

// answerOf reads an answer: WebAuthn's is JSON, the others are typed.
func answerOf(kind method.Kind, form url.Values) method.Answer {
	text := form.Get("answer")
	if kind == method.Passkey {
		if !json.Valid([]byte(text)) {
			return method.Answer{}
		}
		return method.Answer{JSON: json.RawMessage(text)}
	}
	return method.Answer{Text: text}
}

// cookies writes what a step says about the browser.
func (s *Web) cookies(w http.ResponseWriter, step signin.Step) {
	if step.SetSession != nil {
		httpdoor.SetSession(w, *step.SetSession)
	}
	if step.SetRemembered != nil {
		httpdoor.SetRemembered(w, step.SetRemembered)
	}
}

// step shows what stands next: the one place where a Step becomes a page.
func (s *Web) step(w http.ResponseWriter, r *http.Request, c signin.Caller, step signin.Step, err error) error {
	if err != nil {
		return err
	}
	s.cookies(w, step)
	if step.Kind == signin.StepDone {
		return httpdoor.SeeOther(w, step.Return)
	}
	httpdoor.AllowFormTo(w, step.Target.ActionOrigin)
	a := s.ask(r, c, step)
	switch step.Kind {
	case signin.StepIdentify:
		return s.Pages.render(w, statusOf(step), s.identifyPage(c, step, a))
	case signin.StepProve:
		p, err := s.provePage(r, c, step, a)
		if err != nil {
			return err
		}
		if p.Over != nil {
			return s.Pages.render(w, http.StatusOK, p) // nothing was wrong with what this browser sent
		}
		return s.Pages.render(w, statusOf(step), p)
	case signin.StepFirstMethod, signin.StepNewPassword:
		return s.Pages.render(w, statusOf(step), s.duePage(c, step, a))
	case signin.StepRefused:
		p, err := s.refusedPage(c, step, a)
		if err != nil {
			return err
		}
		return s.Pages.render(w, http.StatusForbidden, p)
	}
	p := &expiredPage{ask: a}
	p.Title, p.Help = s.text(c, "expired.title"), "expired"
	if step.Problem != nil && step.Problem.Code == "signin.app_reported" { // not time has ended it
		p.Title, p.Over, p.Help = s.text(c, "app.over.reported"), s.texts.Fault(c.Locale, step.Problem), anchor(step.Problem.Code)
	}
	p.Problem = nil
	return s.Pages.render(w, http.StatusOK, p)
}

// provePage asks for a proof of one kind.
func (s *Web) provePage(r *http.Request, c signin.Caller, step signin.Step, a ask) (*provePage, error) {
	p := &provePage{ask: a, Kind: step.Method}
	if !s.Pages.has(p.name()) {
		return nil, fault.New(fault.Internal, "internal", "This way of signing in has no page yet.")
	}
	p.Title = s.text(c, "method."+string(step.Method)+".prove")
	p.Topic = string(step.Method)
	switch {
	case step.Method == method.Passkey:
		p.Passkey = string(step.Prompt.Public)
	case outOfHand(step.Method):
		if err := s.fillSending(r, c, step, p); err != nil {
			return nil, err
		}
	}
	p.Passkeys = p.Passkey != ""
	return p, nil
}

// refusedPage leads to the method that would lift the refusal, and from there back to where the person was going.
func (s *Web) refusedPage(c signin.Caller, step signin.Step, a ask) (*refusedPage, error) {
	p := &refusedPage{ask: a, Add: step.Remedy.Kind, Invited: step.Remedy.Invited}
	p.Title, p.Help = s.text(c, "refused.title"), "refused"
	if p.Add == "" {
		return p, nil
	}
	p.Title, p.AddName = s.text(c, "refused.missing_title"), s.text(c, "method."+string(p.Add)+".add")
	if p.Invited {
		return p, nil
	}
	then, err := s.SignIn.Open(c, step.Target)
	if err != nil {
		return nil, err
	}
	if p.AddURL = addPath(p.Add, then); a.Session && !step.Target.Another {
		return p, nil
	}
	// The session is not theirs, or there is none: they prove everything afresh, and the name stands there already.
	ref, err := s.SignIn.Open(c, signin.Target{Act: policy.ActMethodAdd, Object: string(p.Add), Return: p.AddURL, Hint: step.Name,
		Another: step.Target.Another})
	p.AddURL = "/signin?attempt=" + url.QueryEscape(ref)
	return p, err
}

func (s *Web) identifyPage(c signin.Caller, step signin.Step, a ask) *identifyPage {
	p := &identifyPage{ask: a, Name: step.Name}
	p.Title, p.Help = s.text(c, "signin.title"), "signin"
	p.Passkeys = p.Passkey != ""
	p.FocusName = true
	if p.Problem != nil && !p.PasskeyUnknown && step.Problem.Code == "signin.name_missing" {
		p.Problem.Field = "name"
	}
	p.WayOut = s.Pages.campus.HomeURL
	return p
}

// statusOf keeps a wrong answer apart from a page for caches, monitors and tests, not for people.
func statusOf(step signin.Step) int {
	if step.Problem == nil {
		return http.StatusOK
	}
	if step.Problem.Kind == fault.TooMany {
		return http.StatusTooManyRequests
	}
	return http.StatusUnprocessableEntity
}

// ask fills what the pages of a sign-in share.
func (s *Web) ask(r *http.Request, c signin.Caller, step signin.Step) ask {
	a := ask{Attempt: step.Attempt, App: step.ApplicationName, Who: step.Name,
		Session: step.Known && !c.Session.Empty(), Topic: "signin"}
	a.Lang = c.Locale
	if r.Method == http.MethodPost && step.Attempt != "" && len(step.Attempt) <= maxRef {
		a.Here = "/signin?attempt=" + url.QueryEscape(step.Attempt)
	}
	if step.Kind == signin.StepProve {
		a.Problem = s.Pages.problem(c.Locale, step.Problem, "answer")
	} else {
		a.Problem = s.Pages.problem(c.Locale, step.Problem, "")
	}
	if step.Problem != nil && strings.HasPrefix(step.Problem.Code, "signin.passkey_") || step.Method == method.Passkey && a.Problem != nil {
		a.Problem.Field = ""
	}
	if key := "method." + string(step.Method) + ".wrong"; a.Problem != nil && step.Problem.Code == "signin.wrong" && s.texts.Has(key) {
		a.Problem.Text = s.text(c, key)
	}
	a.PasskeyUnknown = step.Problem != nil && step.Problem.Code == "signin.passkey_unknown"
	a.Help = s.helpFor(step)
	for _, k := range step.Others {
		a.Others = append(a.Others, s.choice(c, k))
	}
	for _, reason := range step.Reasons {
		a.Why = append(a.Why, s.texts.Reason(c.Locale, reason))
	}
	if step.Passkey != nil {
		a.Passkey = string(step.Passkey.Public)
	}
	a.RememberDays, a.Remembered = int(step.RememberFor.Hours()/24), remembers(r)
	a.Restart = restartAt + url.QueryEscape(step.Attempt)
	a.WayOut = a.Restart
	if a.Session {
		a.WayOut = "/apps"
	}
	if namesAct(step) {
		a.Act = s.actSentence(r, c, step.Target)
		if a.Session {
			a.WayOut = securityPath
		}
	}
	return a
}

// namesAct reports whether the proof is for an act of its own: then nobody else can give it.
func namesAct(step signin.Step) bool {
	return step.Target.Act != "" && step.Target.Act != policy.ActSignIn
}

func (s *Web) helpFor(step signin.Step) string {
	if step.Problem != nil {
		return anchor(step.Problem.Code)
	}
	if step.Method != "" {
		return string(step.Method)
	}
	return "signin"
}

func (s *Web) choice(c signin.Caller, k method.Kind) Choice {
	key := "method." + string(k)
	return Choice{Kind: k, Name: s.text(c, key+".name"), Short: s.text(c, key+".short"), Long: s.text(c, key+".long")}
}

// actSentence names the act that the proof is for: "To remove “Blue phone”, confirm it is you."
func (s *Web) actSentence(r *http.Request, c signin.Caller, t signin.Target) string {
	key := "act." + string(t.Act)
	switch t.Act {
	case policy.ActMethodAdd:
		return s.text(c, key, "Method", s.text(c, "method."+t.Object+".name"))
	case policy.ActMethodRemove, policy.ActMethodRename:
		label := s.text(c, "act.this_method")
		if o, err := s.Security.Overview(r.Context(), c); err == nil {
			for _, m := range o.Methods {
				if m.ID == t.Object && m.Name != "" {
					label = m.Name
				}
			}
		}
		return s.text(c, key, "Name", label)
	}
	if !s.texts.Has(key) {
		return s.text(c, "act.other")
	}
	return s.text(c, key)
}
