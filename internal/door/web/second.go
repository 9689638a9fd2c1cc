package web

import (
	"net/http"
	"net/url"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// secondView is what would keep a member in who loses their one device: another one, or recovery codes in hand. It stands at
// the end of a wizard, and stays on the security page and among the applications until it is done.
type secondView struct {
	// Codes and Device are the wizards that would do, "" where one is not to be had.
	Codes, Device string
	// Few: there are codes, but hardly any.
	Few  bool
	Left int
}

// fewCodes is how many are left when new ones are due.
const fewCodes = 2

// secondView is nil where nothing is missing.
func (s *Web) secondView(c signin.Caller, o enrol.Overview) *secondView {
	few := false
	var v secondView
	for _, m := range o.Methods {
		if m.Kind == method.Recovery && !m.Pending && o.RecoveryLeft <= fewCodes {
			few = true
		}
	}
	if !o.OneDevice && !few {
		return nil
	}
	v.Few, v.Left = few && !o.OneDevice, o.RecoveryLeft
	for _, a := range o.Addable {
		switch {
		case a.Reason != "":
		case a.Kind == method.Recovery:
			v.Codes = addPath(method.Recovery, "")
		case !a.Kind.Fallback() && a.Kind != method.Password:
			v.Device = "/security/add"
		}
	}
	return &v
}

// secondPage is "one more thing": the end of a wizard where one loss would lock the member out.
type secondPage struct {
	Shell
	secondView
	Skip string
	// PasskeysLeft is as on the security page.
	PasskeysLeft string
}

func (*secondPage) name() string { return "second" }

func (s *Web) second(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	o, err := s.Security.Overview(r.Context(), c)
	if err != nil {
		return s.lookOrProve(w, r, c, err)
	}
	then := r.URL.Query().Get("then")
	p := &secondPage{Skip: securityPath}
	if then != "" {
		p.Skip = "/signin?attempt=" + url.QueryEscape(then)
	}
	p.Flash, p.PasskeysLeft = s.told(r, c)
	p.Passkeys = p.PasskeysLeft != ""
	view := s.secondView(c, o)
	if view == nil {
		return httpdoor.SeeOther(w, p.Skip)
	}
	p.secondView = *view
	if p.Codes != "" {
		p.Codes = addPath(method.Recovery, then)
	}
	p.Lang, p.SignedIn, p.Title, p.Help = c.Locale, true, s.text(c, "second.title"), "lost"
	return s.Pages.render(w, http.StatusOK, p)
}
