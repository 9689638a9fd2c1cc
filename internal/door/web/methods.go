package web

import (
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

var (
	errBadAction = errors.New("web: the form's destination is no address")
	errNoMethod  = fault.New(fault.NotFound, "method.not_found", "There is no such method on your account (any more).")
)

// usualLeast is the length shown where the house's own is not at hand: the one for a password that stands alone.
const usualLeast = 15

func (s *Web) least(person people.ID) int {
	if s.PasswordLeast == nil {
		return usualLeast
	}
	return s.PasswordLeast(person)
}

func pageType(w http.ResponseWriter) { w.Header().Set("Content-Type", "text/html; charset=utf-8") }

func (s *Web) addList(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	o, err := s.Security.Overview(r.Context(), c)
	if err != nil {
		return s.lookOrProve(w, r, c, err)
	}
	p := &addPage{Lead: s.text(c, "add.lead"), WayOut: securityPath}
	for _, a := range o.Addable {
		choice := s.choice(c, a.Kind)
		if a.Reason != "" {
			choice.Refused = s.whyNot(c, a.Reason)
		}
		p.Kinds = append(p.Kinds, choice)
	}
	p.Lang, p.Title, p.SignedIn, p.Help = c.Locale, s.text(c, "add.title"), true, "choosing"
	return s.Pages.render(w, http.StatusOK, p)
}

// whyNot gives the words of a reason that may be an error's code or a policy's.
func (s *Web) whyNot(c signin.Caller, code string) string {
	for _, key := range []string{"error." + code, "reason." + code} {
		if s.texts.Has(key) {
			return s.text(c, key)
		}
	}
	return s.text(c, "add.not_now")
}

// addPath is a wizard's address. then is the attempt that goes on afterwards, or "".
func addPath(kind method.Kind, then string) string {
	path := "/security/add/" + url.PathEscape(string(kind))
	if then == "" || len(then) > maxRef {
		return path
	}
	return path + "?then=" + url.QueryEscape(then)
}

func addAct(kind method.Kind, then string) enrol.Act {
	return enrol.Act{Act: policy.ActMethodAdd, Object: string(kind), Return: addPath(kind, then)}
}

func (s *Web) offer(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	kind := method.Kind(r.PathValue("kind"))
	if !s.Pages.has("enrol-" + string(kind)) {
		return errNoMethod
	}
	then := r.URL.Query().Get("then")
	gone, err := s.proven(w, r, c, addAct(kind, then))
	if err != nil || gone {
		return err
	}
	if kind == method.App {
		if err = s.startPairing(w, r, c, pairingForm{base: "/security/pairing", then: then}); err != nil {
			return s.again(w, r, c, err, addAct(kind, then))
		}
		return nil
	}
	offer, err := s.Security.OfferMethod(r.Context(), c, kind)
	if err != nil {
		return s.again(w, r, c, err, addAct(kind, then))
	}
	p, err := s.enrolPage(c, offer)
	if err != nil {
		return err
	}
	p.Action, p.WayOut, p.SignedIn = addPath(kind, then), "/security/add", true
	return s.Pages.render(w, http.StatusOK, p)
}

// enrolPage makes a wizard of an offer.
func (s *Web) enrolPage(c signin.Caller, o enrol.Offer) (*enrolPage, error) {
	p := &enrolPage{Kind: o.Kind, Sealed: o.Sealed}
	p.Lang, p.Title, p.Help = c.Locale, s.text(c, "method."+string(o.Kind)+".add"), string(o.Kind)
	p.Waits = o.Kind == method.Recovery // its script copies and prints
	switch number, suggested := o.Name, s.suggest(c, o.Kind); number {
	case "":
		p.Name = suggested
	default: // the flow numbers a further one; the words are ours
		p.Name = s.text(c, "method.numbered", "Name", suggested, "Number", number)
	}
	var public struct {
		Secret string `json:"secret_base32"`
		URI    string `json:"uri"`
		QRPath string `json:"qr_path"`
		QRSize int    `json:"qr_size"`
		Min    int    `json:"min"`
		phoneOffer
		Codes []string `json:"codes"`
	}
	switch o.Kind {
	case method.Passkey:
		p.Options, p.Passkeys = string(o.Public), true
	default:
		if len(o.Public) > 0 {
			if err := json.Unmarshal(o.Public, &public); err != nil {
				return nil, err
			}
		}
		if strings.HasPrefix(public.URI, "otpauth://") {
			p.URI = template.URL(public.URI) // our own, and no scheme that a browser would run
		}
		p.QRPath, p.QRSize, p.Key, p.Least = public.QRPath, public.QRSize, public.Secret, public.Min
		p.Codes = public.Codes
		s.fillNumber(c, p, public.phoneOffer)
		if p.Least == 0 {
			p.Least = usualLeast
		}
	}
	return p, nil
}

// suggest names a new method after the device in hand.
func (s *Web) suggest(c signin.Caller, kind method.Kind) string {
	if kind == method.Passkey {
		if label, _ := s.texts.Agent(c.Locale, c.Agent); label != "" {
			return label
		}
	}
	return s.text(c, "method."+string(kind)+".name")
}

func (s *Web) add(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	form, err := httpdoor.Form(r)
	if err != nil {
		return err
	}
	kind := method.Kind(r.PathValue("kind"))
	if form.Has("typed") {
		return s.offerTo(w, r, c, kind, form)
	}
	d, err := s.Security.AddMethod(r.Context(), c, kind, form.Get("sealed"), form.Get("name"), answerOf(kind, form))
	if err != nil {
		return s.addAgain(w, r, c, kind, form, err)
	}
	return s.added(w, r, c, d, kind, form.Get("name"), r.URL.Query().Get("then"))
}

// offerTo sends a code to what was typed and asks for it.
func (s *Web) offerTo(w http.ResponseWriter, r *http.Request, c signin.Caller, kind method.Kind, form url.Values) error {
	then := r.URL.Query().Get("then")
	offer, err := s.Security.OfferMethodTo(r.Context(), c, kind, form.Get("typed"), form.Get("via"))
	problem := fault.Of(err)
	switch {
	case mendable(problem):
		offer, err = s.Security.OfferMethod(r.Context(), c, kind)
		if err != nil {
			return s.again(w, r, c, err, addAct(kind, then))
		}
	case err != nil:
		return s.again(w, r, c, err, addAct(kind, then))
	}
	p, err := s.enrolPage(c, offer)
	if err != nil {
		return err
	}
	p.Action, p.WayOut, p.SignedIn, p.Here = addPath(kind, then), "/security/add", true, addPath(kind, then)
	return s.renderTyped(w, c, p, form, problem)
}

// mendable reports whether something else may be typed into the same field.
func mendable(f *fault.Error) bool {
	return f != nil && (f.Kind == fault.BadInput || f.Kind == fault.TooMany || f.Kind == fault.Busy)
}

// renderTyped shows a wizard that was given something to send to, with what was wrong about it.
func (s *Web) renderTyped(w http.ResponseWriter, c signin.Caller, p *enrolPage, form url.Values, problem *fault.Error) error {
	p.Typed = form.Get("typed")
	if form.Get("name") != "" {
		p.Name = form.Get("name")
	}
	if problem == nil {
		return s.Pages.render(w, http.StatusOK, p)
	}
	p.Problem = s.Pages.problem(c.Locale, problem, "typed")
	return s.Pages.render(w, httpdoor.Status(problem), p)
}

// added ends a wizard: with what else keeps the member in, where one loss would lock them out; else on the security page,
// or back to what was refused for want of the method.
func (s *Web) added(w http.ResponseWriter, r *http.Request, c signin.Caller, d enrol.Done, kind method.Kind, name, then string) error {
	if name == "" {
		name = s.text(c, "method."+string(kind)+".name")
	}
	if d.SetSession != nil { // what comes next is asked with the session as it is now
		c.Session = *d.SetSession
	}
	said := flash{Key: "done.added." + string(kind), Params: map[string]any{"Name": name}, Left: s.left(d)}
	carry(w, d)
	if o, err := s.Security.Overview(r.Context(), c); err == nil && o.OneDevice {
		path := "/security/second"
		if then != "" && len(then) <= maxRef {
			return httpdoor.SeeOther(w, path+"?then="+url.QueryEscape(then))
		}
		return s.tell(w, c, path, said)
	}
	if then != "" { // what was refused for want of it is asked again
		return httpdoor.SeeOther(w, "/signin?attempt="+url.QueryEscape(then))
	}
	return s.tell(w, c, securityPath, said)
}

// addAgain shows the wizard afresh with what was wrong. The proof is still in hand: a wrong answer uses none up.
func (s *Web) addAgain(w http.ResponseWriter, r *http.Request, c signin.Caller, kind method.Kind, form url.Values, cause error) error {
	then := r.URL.Query().Get("then")
	if !fault.IsKind(cause, fault.BadInput) && !fault.IsKind(cause, fault.Expired) {
		return s.again(w, r, c, cause, addAct(kind, then))
	}
	offer, err := s.Security.OfferMethodAgain(r.Context(), c, kind, form.Get("sealed"))
	if err != nil {
		return s.again(w, r, c, err, addAct(kind, then))
	}
	p, err := s.enrolPage(c, offer)
	if err != nil {
		return err
	}
	p.Action, p.WayOut, p.SignedIn, p.Typed = addPath(kind, then), "/security/add", true, form.Get("number")
	if name := form.Get("name"); name != "" {
		p.Name = name
	}
	p.Problem, p.Here = s.Pages.problem(c.Locale, fault.Of(cause), fieldOf(kind)), p.Action
	return s.Pages.render(w, http.StatusUnprocessableEntity, p)
}

// fieldOf is the id of the field that a wrong answer of that kind was typed into.
func fieldOf(kind method.Kind) string {
	if kind == method.Passkey {
		return ""
	}
	return "answer"
}

var passwordAct = enrol.Act{Act: policy.ActPasswordChange, Return: "/security/password"}

func (s *Web) newPassword(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	gone, err := s.proven(w, r, c, passwordAct)
	if err != nil || gone {
		return err
	}
	return s.passwordPage(w, r, c, nil)
}

func (s *Web) passwordPage(w http.ResponseWriter, r *http.Request, c signin.Caller, problem *fault.Error) error {
	_, person, err := s.SignIn.Who(r.Context(), c)
	if err != nil {
		return s.orEnter(w, c, err, passwordAct.Return)
	}
	p := &enrolPage{Kind: method.Password, Action: "/security/password", WayOut: securityPath, Username: person.Username, Least: s.least(person.ID)}
	p.Lang, p.Title, p.SignedIn, p.Help = c.Locale, s.text(c, "newpassword.title"), true, "password"
	status := http.StatusOK
	if problem != nil {
		p.Problem, status = s.Pages.problem(c.Locale, problem, "answer"), http.StatusUnprocessableEntity
		p.Here = p.Action
	}
	return s.Pages.render(w, status, p)
}

func (s *Web) changePassword(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	form, err := httpdoor.Form(r)
	if err != nil {
		return err
	}
	d, err := s.Security.ChangePassword(r.Context(), c, form.Get("answer"))
	switch {
	case fault.IsKind(err, fault.BadInput):
		return s.passwordPage(w, r, c, fault.Of(err))
	case err != nil:
		return s.again(w, r, c, err, passwordAct)
	}
	return s.done(w, c, d, flash{Key: "done.password"})
}

// mine finds one of the member's methods.
func (s *Web) mine(r *http.Request, c signin.Caller, id string) (method.Credential, error) {
	o, err := s.Security.Overview(r.Context(), c)
	if err != nil {
		return method.Credential{}, err
	}
	for _, m := range o.Methods {
		if m.ID == id {
			if m.Name == "" || m.Name == string(m.Kind) {
				m.Name = s.text(c, "method."+string(m.Kind)+".name")
			}
			return m, nil
		}
	}
	return method.Credential{}, errNoMethod
}

func (s *Web) askRemove(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	id, path := r.PathValue("id"), r.URL.EscapedPath()
	gone, err := s.proven(w, r, c, enrol.Act{Act: policy.ActMethodRemove, Object: id, Return: path})
	if err != nil || gone {
		return err
	}
	m, err := s.mine(r, c, id)
	if err != nil {
		return err
	}
	p := &confirmPage{Icon: string(m.Kind), Action: path, Danger: true, Button: s.text(c, "remove.button"),
		Lines: []string{s.text(c, "remove."+string(m.Kind)), s.text(c, "remove.sessions")}}
	if m.Device != "" {
		p.Lines[0] = s.text(c, "remove.of_app")
	}
	p.Lang, p.Title, p.SignedIn, p.Help = c.Locale, s.text(c, "remove.title", "Name", m.Name), true, "lost"
	return s.Pages.render(w, http.StatusOK, p)
}

func (s *Web) remove(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	id := r.PathValue("id")
	d, err := s.Security.RemoveMethod(r.Context(), c, id)
	if err != nil {
		return s.again(w, r, c, err, enrol.Act{Act: policy.ActMethodRemove, Object: id, Return: r.URL.EscapedPath()})
	}
	return s.done(w, c, d, flash{Key: "done.removed"})
}

func renameAct(r *http.Request) enrol.Act {
	return enrol.Act{Act: policy.ActMethodRename, Object: r.PathValue("id"), Return: r.URL.EscapedPath()}
}

func (s *Web) askRename(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	gone, err := s.proven(w, r, c, renameAct(r))
	if err != nil || gone {
		return err
	}
	return s.renamePage(w, r, c, nil)
}

func (s *Web) renamePage(w http.ResponseWriter, r *http.Request, c signin.Caller, problem *fault.Error) error {
	m, err := s.mine(r, c, r.PathValue("id"))
	if err != nil {
		return err
	}
	p := &renamePage{Kind: m.Kind, Action: r.URL.EscapedPath(), Name: m.Name}
	p.Lang, p.Title, p.SignedIn, p.Help = c.Locale, s.text(c, "rename.title", "Name", m.Name), true, "choosing"
	status := http.StatusOK
	if problem != nil {
		p.Problem, status = s.Pages.problem(c.Locale, problem, "name"), http.StatusUnprocessableEntity
		p.Here = p.Action
	}
	return s.Pages.render(w, status, p)
}

func (s *Web) rename(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	form, err := httpdoor.Form(r)
	if err != nil {
		return err
	}
	d, err := s.Security.RenameMethod(r.Context(), c, r.PathValue("id"), form.Get("name"))
	switch {
	case fault.IsKind(err, fault.BadInput):
		return s.renamePage(w, r, c, fault.Of(err))
	case err != nil:
		return s.again(w, r, c, err, renameAct(r))
	}
	return s.done(w, c, d, flash{Key: "done.renamed", Params: map[string]any{"Name": form.Get("name")}})
}

// leadAct is proven for the very kind that was chosen; the choice comes back with the proof.
func leadAct(kind method.Kind) enrol.Act {
	return enrol.Act{Act: policy.ActMethodLead, Object: string(kind), Return: "/security/lead?kind=" + url.QueryEscape(string(kind))}
}

func (s *Web) askLead(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	o, err := s.Security.Overview(r.Context(), c)
	if err != nil {
		return s.lookOrProve(w, r, c, err)
	}
	p := &leadPage{Chosen: o.Lead}
	if r.URL.Query().Has("kind") { // back from the proof: the choice is made, and one press saves it
		p.Chosen = method.Kind(r.URL.Query().Get("kind"))
		if needed, err := s.Security.Needs(r.Context(), c, leadAct(p.Chosen)); err != nil {
			return err
		} else if needed == nil {
			p.Flash = s.text(c, "lead.confirmed")
		}
	}
	seen := map[method.Kind]bool{}
	for _, m := range o.Methods {
		if !seen[m.Kind] && !m.Pending && !m.Kind.Fallback() {
			seen[m.Kind] = true
			p.Kinds = append(p.Kinds, s.choice(c, m.Kind))
		}
	}
	p.Lang, p.Title, p.SignedIn, p.Help = c.Locale, s.text(c, "lead.title"), true, "choosing"
	return s.Pages.render(w, http.StatusOK, p)
}

func (s *Web) lead(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	form, err := httpdoor.Form(r)
	if err != nil {
		return err
	}
	kind := method.Kind(form.Get("kind"))
	if kind != "" && !s.Pages.has("enrol-"+string(kind)) {
		return errNoMethod // before a proof is asked for what is nothing
	}
	d, err := s.Security.SetLead(r.Context(), c, kind)
	if err != nil {
		return s.again(w, r, c, err, leadAct(kind))
	}
	return s.done(w, c, d, flash{Key: "done.lead"})
}
