package web

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
)

// What follows are the pages that a protocol door asks for. Doors do not meet: the door declares a port, and *Pages
// fits it.

// FormPost carries fields to action by a form that sends itself (OAuth 2.0 Form Post Response Mode), with a button
// for browsers without JavaScript.
func (p *Pages) FormPost(w http.ResponseWriter, r *http.Request, action string, fields url.Values) error {
	u, err := url.Parse(action)
	if err != nil || !mayLeadTo(u) {
		return errBadAction
	}
	pageType(w)
	origin := u.Scheme + ":" // a native application's own scheme has no authority
	if u.Host != "" {
		origin += "//" + u.Host
	}
	httpdoor.AllowFormTo(w, origin)
	pg := &formPostPage{Action: template.URL(action), Fields: sorted(fields)} // registered, and checked above
	pg.Lang = p.Texts.Locale(r.Header.Get("Accept-Language"))
	pg.Title = p.Texts.Text(pg.Lang, "formpost.title", nil)
	return p.render(w, http.StatusOK, pg)
}

// LogoutConfirm asks whether to sign out. The form POSTs fields to action, with answer "yes" or "no"; application
// may be "".
func (p *Pages) LogoutConfirm(w http.ResponseWriter, r *http.Request, application, action string, fields url.Values) error {
	pageType(w)
	pg := &logoutPage{App: application, Action: action, Fields: sorted(fields)}
	pg.Lang = p.Texts.Locale(r.Header.Get("Accept-Language"))
	pg.Title, pg.Help = p.Texts.Text(pg.Lang, "logout.title", nil), "signout"
	return p.render(w, http.StatusOK, pg)
}

// LoggedOut says that it is done. back is where the application asked to go on ("" for nowhere); it must have been
// checked against the application's registration.
func (p *Pages) LoggedOut(w http.ResponseWriter, r *http.Request, application, back string) error {
	pageType(w)
	lang := p.Texts.Locale(r.Header.Get("Accept-Language"))
	pg := &messagePage{Lines: []string{p.Texts.Text(lang, "signout.done", nil), p.Texts.Text(lang, "signout.done_apps", nil)},
		Next: "/signin", NextText: p.Texts.Text(lang, "signout.again", nil)}
	if u, err := url.Parse(back); back != "" && err == nil && mayLeadTo(u) {
		pg.Next, pg.NextText = template.URL(back), p.Texts.Text(lang, "logout.back", map[string]any{"Application": application})
	}
	pg.Lang, pg.Title, pg.Help = lang, p.Texts.Text(lang, "signout.done_title", nil), "signout"
	return p.render(w, http.StatusOK, pg)
}

// mayLeadTo accepts absolute addresses that a browser does not run: what was registered is a web address or a native
// application's own scheme (RFC 8252 section 7.1).
func mayLeadTo(u *url.URL) bool {
	switch strings.ToLower(u.Scheme) {
	case "", "javascript", "data", "vbscript", "blob", "file":
		return false
	}
	return true
}

func sorted(v url.Values) []field {
	names := make([]string, 0, len(v))
	for k := range v {
		names = append(names, k)
	}
	slices.Sort(names)
	var out []field
	for _, k := range names {
		for _, value := range v[k] {
			out = append(out, field{k, value})
		}
	}
	return out
}
