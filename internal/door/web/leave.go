package web

import (
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// askSignOut asks; a link alone signs nobody out.
func (s *Web) askSignOut(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	p := &signOutPage{Everywhere: r.URL.Query().Get("everywhere") != ""}
	p.Lang, p.Help = c.Locale, "signout"
	p.Title, p.Button = s.text(c, "signout.title"), s.text(c, "signout.button")
	if p.Everywhere {
		p.Title, p.Button = s.text(c, "signout.title_everywhere"), s.text(c, "signout.button_everywhere")
	}
	return s.Pages.render(w, http.StatusOK, p)
}

func (s *Web) signOut(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	form, err := httpdoor.Form(r)
	if err != nil {
		return err
	}
	everywhere := form.Get("everywhere") == "yes"
	err = s.SignIn.SignOut(r.Context(), c, everywhere)
	if err != nil && !fault.IsKind(err, fault.Unauthenticated) {
		return err
	}
	if err != nil && everywhere { // the session ended meanwhile: signing out everywhere needs to know who asks
		return s.orEnter(w, c, err, "/signout?everywhere=yes")
	}
	httpdoor.SetSession(w, secret.String{})
	return httpdoor.SeeOther(w, "/signed-out")
}

func (s *Web) signedOut(w http.ResponseWriter, _ *http.Request, c signin.Caller) error {
	p := &messagePage{Lines: []string{s.text(c, "signout.done"), s.text(c, "signout.done_apps")},
		Next: "/signin", NextText: s.text(c, "signout.again")}
	p.Lang, p.Title, p.Help = c.Locale, s.text(c, "signout.done_title"), "signout"
	return s.Pages.render(w, http.StatusOK, p)
}

// apps is the landing page: tiles by category, found by a plain GET.
func (s *Web) apps(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	_, person, err := s.SignIn.Who(r.Context(), c)
	if err != nil {
		return s.orEnter(w, c, err, "/apps")
	}
	tiles, err := s.Catalogue.Tiles(r.Context(), person)
	if err != nil {
		return err
	}
	query := r.URL.Query().Get("q")
	if len(query) > 100 || !utf8.ValidString(query) {
		query = ""
	}
	p := &appsPage{Query: strings.TrimSpace(query), Groups: s.groups(c, tiles, query)}
	p.Lang, p.Title, p.SignedIn, p.Wide, p.Help = c.Locale, s.text(c, "apps.title"), true, true, "apps"
	p.Flash, _ = s.told(r, c)
	return s.Pages.render(w, http.StatusOK, p)
}

func (s *Web) groups(c signin.Caller, tiles []Tile, query string) []appGroup {
	wanted := strings.ToLower(strings.TrimSpace(query))
	byName := map[string][]appTile{}
	for _, t := range tiles {
		if wanted != "" && !strings.Contains(strings.ToLower(t.Name+" "+t.Category), wanted) {
			continue
		}
		name := t.Category
		if name == "" {
			name = s.text(c, "apps.other")
		}
		byName[name] = append(byName[name], appTile{Name: t.Name, URL: t.URL, Asks: s.text(c, t.Asks), Initial: initial(t.Name)})
	}
	var out []appGroup
	for name, list := range byName {
		slices.SortFunc(list, func(a, b appTile) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
		out = append(out, appGroup{Name: capital(name), Tiles: list})
	}
	slices.SortFunc(out, func(a, b appGroup) int { return strings.Compare(a.Name, b.Name) })
	for i := range out {
		out[i].ID = "group-" + string(rune('a'+i%26)) + strings.Repeat("x", i/26)
	}
	return out
}

func initial(name string) string {
	for _, r := range name {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return string(unicode.ToUpper(r))
		}
	}
	return "•"
}

func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// helpTopics are the anchors of the help page, in order; each has "help.<id>.title" and lines ".1", ".2", ….
var helpTopics = []string{"signin", "choosing", "passkey", "totp", "password", "new-phone", "lost", "abroad", "remember",
	"refresh", "why", "refused", "expired", "signout", "apps", "welcome", "not-me", "privacy"}

// help answers without asking who is there.
func (s *Web) help(w http.ResponseWriter, _ *http.Request, c signin.Caller) error {
	return s.Pages.render(w, http.StatusOK, s.Pages.helpPage(c.Locale))
}

func (p *Pages) helpPage(lang string) *helpPage {
	h := &helpPage{}
	h.Lang, h.Title, h.Wide = lang, p.Texts.Text(lang, "help.title", nil), true
	params := map[string]any{"Desk": p.campus.HelpName, "Campus": p.campus.Name}
	for _, id := range helpTopics {
		t := helpTopic{ID: id, Title: p.Texts.Text(lang, "help."+id+".title", nil)}
		for _, n := range []string{"1", "2", "3", "4"} {
			if key := "help." + id + "." + n; p.Texts.Has(key) {
				t.Lines = append(t.Lines, p.Texts.Text(lang, key, params))
			}
		}
		h.Topics = append(h.Topics, t)
	}
	for _, key := range p.Texts.Keys("error.") {
		code := strings.TrimPrefix(key, "error.")
		h.Messages = append(h.Messages, helpMessage{ID: anchor(code), Code: code, Text: p.Texts.Text(lang, key, nil)})
	}
	return h
}
