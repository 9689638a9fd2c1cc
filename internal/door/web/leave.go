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
	// The overview is for those who have just proven themselves, as after signing in; for others the page does without.
	if o, err := s.Security.Overview(r.Context(), c); err == nil {
		p.Second = s.secondView(c, o)
	}
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
