package web

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

const securityPath = "/security"

func (s *Web) security(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	o, err := s.Security.Overview(r.Context(), c)
	if err != nil {
		return s.lookOrProve(w, r, c, err)
	}
	p := s.securityPage(c, o)
	p.Flash, p.PasskeysLeft = s.told(r, c)
	p.Passkeys = p.PasskeysLeft != ""
	return s.Pages.render(w, http.StatusOK, p)
}

// lookOrProve sends somebody who may not see the page yet to the proof that it wants: signing in, or, where the
// page's own fifteen minutes are over, a step-up.
func (s *Web) lookOrProve(w http.ResponseWriter, r *http.Request, c signin.Caller, err error) error {
	if !fault.IsKind(err, fault.Unauthenticated) && !fault.IsKind(err, fault.Forbidden) {
		return err
	}
	gone, nerr := s.proven(w, r, c, enrol.Act{Act: policy.ActSecurityPage, Return: securityPath})
	if nerr != nil || gone {
		return nerr
	}
	return err
}

// proven sends the browser to prove act where that is still owed; gone says that it did.
func (s *Web) proven(w http.ResponseWriter, r *http.Request, c signin.Caller, act enrol.Act) (gone bool, err error) {
	needed, err := s.Security.Needs(r.Context(), c, act)
	if fault.IsKind(err, fault.Unauthenticated) {
		back := act.Return
		if act.Act == policy.ActSecurityPage {
			return true, s.enter(w, c, signin.Target{Act: policy.ActSecurityPage, Return: back})
		}
		return true, s.orEnter(w, c, err, back)
	}
	if err != nil {
		return false, err
	}
	if needed == nil {
		return false, nil
	}
	return true, s.enter(w, c, needed.Target)
}

// carry sets what a change says about cookies.
func carry(w http.ResponseWriter, d enrol.Done) {
	if d.SetSession != nil {
		httpdoor.SetSession(w, *d.SetSession)
	}
	if d.SetRemembered != nil {
		httpdoor.SetRemembered(w, d.SetRemembered)
	}
}

// done sets cookies and redirects with words.
func (s *Web) done(w http.ResponseWriter, c signin.Caller, d enrol.Done, f flash) error {
	carry(w, d)
	f.Left = s.left(d)
	return s.tell(w, c, securityPath, f)
}

// left is the argument of PublicKeyCredential.signalAllAcceptedCredentials (WebAuthn Level 3, section 5.1.10), "" where
// passkeys did not change.
func (s *Web) left(d enrol.Done) string {
	if d.AcceptedPasskeys == nil || len(d.UserHandle) == 0 {
		return ""
	}
	ids := make([]string, 0, len(d.AcceptedPasskeys))
	for _, id := range d.AcceptedPasskeys {
		ids = append(ids, base64.RawURLEncoding.EncodeToString(id))
	}
	raw, err := json.Marshal(map[string]any{"rpId": s.RPID, "userId": base64.RawURLEncoding.EncodeToString(d.UserHandle),
		"allAcceptedCredentialIds": ids})
	if err != nil {
		return ""
	}
	return string(raw)
}

func (s *Web) securityPage(c signin.Caller, o enrol.Overview) *securityPage {
	p := &securityPage{Name: o.Person.DisplayName}
	if p.Name == "" {
		p.Name = o.Person.Username
	}
	p.Lang, p.Title, p.SignedIn, p.Wide, p.Help = c.Locale, s.text(c, "security.title"), true, true, "choosing"
	s.fillMethods(c, o, p)
	p.Second = s.secondView(c, o)
	if !o.RefreshedAt.IsZero() {
		at := when(o.RefreshedAt)
		p.RefreshedAt = &at
	}
	s.fillBrowsers(c, o, p)
	for _, e := range o.Recent {
		p.Recent = append(p.Recent, s.recentRow(c, e))
	}
	return p
}

// fillMethods lists the methods, each device with what is on it.
func (s *Web) fillMethods(c signin.Caller, o enrol.Overview, p *securityPage) {
	kinds, at := map[method.Kind]bool{}, map[string]int{}
	var on []method.Credential
	for _, m := range o.Methods {
		if m.Pending {
			continue
		}
		if m.Device != "" {
			on = append(on, m)
			continue
		}
		row := s.methodRow(c, m)
		row.Leads = m.Kind == o.LeadNow && !kinds[m.Kind]
		if m.Kind == method.Recovery {
			row.Left = &o.RecoveryLeft
		}
		kinds[m.Kind] = true
		at[m.ID] = len(p.Methods)
		p.Methods = append(p.Methods, row)
	}
	for _, m := range on {
		row := s.methodRow(c, m)
		row.Leads = m.Kind == o.LeadNow && !kinds[m.Kind]
		kinds[m.Kind] = true
		if i, ok := at[m.Device]; ok {
			if row.Name == p.Methods[i].Name { // both are called after the phone
				row.Name = row.KindName
			}
			row.Inner = true
			p.Methods[i].On = append(p.Methods[i].On, row)
		} else {
			p.Methods = append(p.Methods, row) // its device is pending, or was removed this moment
		}
	}
	choices := 0
	for k := range kinds {
		if !k.Fallback() {
			choices++
		}
	}
	p.CanLead = choices > 1
}

func (s *Web) methodRow(c signin.Caller, m method.Credential) methodRow {
	row := methodRow{ID: m.ID, Name: m.Name, Kind: m.Kind, KindName: s.text(c, "method."+string(m.Kind)+".name"),
		Password: m.Kind == method.Password, Removable: m.Kind != method.Password, Added: day(m.Created)}
	if m.Device != "" {
		row.KindName = s.text(c, "security.passcodes")
	}
	if row.Name == "" || row.Name == string(m.Kind) { // nobody gave it one
		row.Name = row.KindName
	}
	if !m.LastUsed.IsZero() {
		used := when(m.LastUsed)
		row.Used = &used
	}
	if s.Now().Before(m.HeldUntil) {
		held := day(m.HeldUntil)
		row.Held = &held
	}
	return row
}

func (s *Web) fillBrowsers(c signin.Caller, o enrol.Overview, p *securityPage) {
	for _, x := range o.Sessions {
		label, small := s.texts.Agent(c.Locale, x.Agent)
		row := sessionRow{ID: x.ID, Agent: label, Icon: "computer", Address: x.Address, Here: x.ID == o.Here, Since: when(x.Created)}
		if small {
			row.Icon = "mobile"
		}
		p.Sessions = append(p.Sessions, row)
	}
	for _, b := range o.Browsers {
		label, _ := s.texts.Agent(c.Locale, b.Agent)
		p.Browsers = append(p.Browsers, browserRow{ID: b.Family, Agent: label, Here: b.Family == o.HereFamily, Until: day(b.Expires)})
	}
}

func (s *Web) recentRow(c signin.Caller, e enrol.Recent) recentRow {
	key := "recent." + e.Act
	if !s.texts.Has(key) {
		key = "recent.other"
	}
	label, where := "", "" // what the desk does has neither
	if e.Agent != "" || e.Address != "" {
		label, _ = s.texts.Agent(c.Locale, e.Agent)
		where = label
	}
	if e.Address != "" {
		where = s.text(c, "recent.where", "Agent", label, "Address", e.Address)
	}
	row := recentRow{ID: url.PathEscape(e.ID), What: s.text(c, key), Bad: e.Outcome != audit.Done, Where: where, At: when(e.At),
		Outcome: s.text(c, "recent.outcome."+string(e.Outcome))}
	exact := key + "." + string(e.Outcome) + "." + string(e.Method) // "Wrong password" needs no outcome beside it
	switch {
	case s.texts.Has(exact):
		row.What, row.Outcome = s.text(c, exact), ""
	case e.App != "" && s.texts.Has(key+"."+string(e.Outcome)+".app"):
		row.What, row.Outcome = s.text(c, key+"."+string(e.Outcome)+".app", "Application", e.App), ""
	case e.App != "" && s.texts.Has(key+".app"):
		row.What = s.text(c, key+".app", "Application", e.App)
	case e.Method != "" && s.texts.Has(key+".kind"):
		row.What = s.text(c, key+".kind", "Method", s.text(c, "method."+string(e.Method)+".name"))
	}
	return row
}

// refresh is "refresh my sign-in now": prove once more, and nothing asks until the full window has passed.
func (s *Web) refresh(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	if _, _, err := s.SignIn.Who(r.Context(), c); err != nil {
		return s.orEnter(w, c, err, securityPath)
	}
	t := signin.Target{Act: policy.ActRefreshSignIn, Return: securityPath}
	t.Demand.FreshSince = s.Now().Truncate(time.Microsecond)
	return s.enter(w, c, t)
}

func (s *Web) endSession(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	d, err := s.Security.EndSession(r.Context(), c, r.PathValue("id"))
	if err != nil {
		return s.lookOrProve(w, r, c, err)
	}
	return s.done(w, c, d, flash{Key: "done.session_ended"})
}

// askForget, askReport and askRemove come after their proof: the page says what will happen, one press does it.
func (s *Web) askForget(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	path := r.URL.EscapedPath()
	gone, err := s.proven(w, r, c, enrol.Act{Act: policy.ActBrowserForget, Object: r.PathValue("id"), Return: path})
	if err != nil || gone {
		return err
	}
	p := &confirmPage{Icon: "remember", Action: path, Button: s.text(c, "forget.button"), Lines: []string{s.text(c, "forget.lead")}}
	p.Lang, p.Title, p.SignedIn, p.Help = c.Locale, s.text(c, "forget.title"), true, "remember"
	return s.Pages.render(w, http.StatusOK, p)
}

func (s *Web) forget(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	d, err := s.Security.ForgetBrowser(r.Context(), c, r.PathValue("id"))
	if err != nil {
		return s.again(w, r, c, err, enrol.Act{Act: policy.ActBrowserForget, Object: r.PathValue("id"), Return: r.URL.EscapedPath()})
	}
	return s.done(w, c, d, flash{Key: "done.browser_forgotten"})
}

func (s *Web) askReport(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	if _, _, err := s.SignIn.Who(r.Context(), c); err != nil {
		return s.orEnter(w, c, err, r.URL.EscapedPath())
	}
	p := &confirmPage{Icon: "alert", Action: r.URL.EscapedPath(), Button: s.text(c, "report.button"), Danger: true,
		Lines: []string{s.text(c, "report.lead"), s.text(c, "report.then")}}
	p.Lang, p.Title, p.SignedIn, p.Help = c.Locale, s.text(c, "report.title"), true, "not-me"
	return s.Pages.render(w, http.StatusOK, p)
}

func (s *Web) report(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	d, err := s.Security.ReportSignIn(r.Context(), c, r.PathValue("id"))
	if err != nil {
		return s.lookOrProve(w, r, c, err)
	}
	return s.done(w, c, d, flash{Key: "done.reported"})
}

// again leads back to the proof where it ran out between the page and the press. What cannot be done is said on the
// security page, beside what can.
func (s *Web) again(w http.ResponseWriter, r *http.Request, c signin.Caller, err error, act enrol.Act) error {
	if fault.IsKind(err, fault.Conflict) || fault.IsKind(err, fault.NotFound) || fault.IsKind(err, fault.BadInput) {
		o, oerr := s.Security.Overview(r.Context(), c)
		if oerr != nil {
			return err
		}
		p := s.securityPage(c, o)
		p.Problem, p.Here = s.Pages.problem(c.Locale, fault.Of(err), ""), securityPath
		return s.Pages.render(w, httpdoor.Status(fault.Of(err)), p)
	}
	if !fault.IsKind(err, fault.Forbidden) && !fault.IsKind(err, fault.Unauthenticated) {
		return err
	}
	gone, nerr := s.proven(w, r, c, act)
	if nerr != nil || gone {
		return nerr
	}
	return err
}
