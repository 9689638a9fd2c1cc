package web

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/help"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// helpTopics are the anchors of the help page, in order; each has "help.<id>.title". Where the policy in force has an
// answer of that anchor, it stands there; elsewhere the lines ".1", ".2", … do, and a topic without any is left out.
var helpTopics = []string{"signin", "often", "ways", "choosing", "needs-passkey", "passkey", "app", "totp", "phone", "recovery", "password", "length", "mistake",
	"new-phone", "lost", "forgot", "abroad", "remember", "refresh", "session", "why", "refused", "expired", "signout", "apps",
	"welcome", "unexpected", "not-me", "privacy"}

// manyNames is how many applications a list may have before it is folded.
const manyNames = 12

// help answers for the person who is signed in, else for a member without groups. It answers in any case: where the
// policy cannot be read it says so and gives what never changes.
func (s *Web) help(w http.ResponseWriter, r *http.Request, c signin.Caller) error {
	person, signedIn := s.reader(r.Context(), c)
	if !signedIn && r.URL.Query().Get("mine") != "" {
		return s.enter(w, c, signin.Target{Act: policy.ActSignIn, Return: "/help"})
	}
	var found []help.Answer
	if s.Answers != nil {
		var err error
		if found, err = s.Answers.Answers(r.Context(), person); err != nil {
			s.Log.Error("the help's answers", "error", err)
			found = nil
		}
	}
	return s.Pages.render(w, http.StatusOK, s.Pages.helpPage(c.Locale, signedIn, found))
}

// reader is who reads, the zero person where nobody is signed in or it cannot be told.
func (s *Web) reader(ctx context.Context, c signin.Caller) (people.Person, bool) {
	if c.Session.Empty() {
		return people.Person{}, false
	}
	_, person, err := s.SignIn.Who(ctx, c)
	if err != nil && !fault.IsKind(err, fault.Unauthenticated) {
		s.Log.Error("the help's reader", "error", err)
	}
	return person, err == nil
}

func (p *Pages) helpPage(lang string, signedIn bool, found []help.Answer) *helpPage {
	h := &helpPage{InForce: len(found) > 0}
	h.Lang, h.Title, h.Wide, h.SignedIn = lang, p.Texts.Text(lang, "help.title", nil), true, signedIn
	for _, id := range helpTopics {
		t := helpTopic{ID: id, Title: p.Texts.Text(lang, "help."+id+".title", nil)}
		for _, point := range p.helpPoints(id, found) {
			t.Points = append(t.Points, p.helpPoint(lang, point))
		}
		if len(t.Points) > 0 {
			h.Topics = append(h.Topics, t)
		}
	}
	for _, key := range p.Texts.Keys("error.") {
		code := strings.TrimPrefix(key, "error.")
		h.Messages = append(h.Messages, helpMessage{ID: anchor(code), Code: code, Text: p.Texts.Text(lang, key, nil)})
	}
	return h
}

// helpPoints are the answer that was found for a topic, else its lines that never change.
func (p *Pages) helpPoints(id string, found []help.Answer) (points []help.Point) {
	for _, a := range found {
		if a.Anchor == id {
			return a.Points
		}
	}
	for _, n := range []string{"1", "2", "3", "4"} {
		if key := "help." + id + "." + n; p.Texts.Has(key) {
			points = append(points, help.Point{Key: key})
		}
	}
	return points
}

func (p *Pages) helpPoint(lang string, in help.Point) helpPoint {
	params := map[string]any{"Desk": p.campus.HelpName, "Campus": p.campus.Name}
	for name, v := range in.Params {
		if d, ok := v.(time.Duration); ok {
			v = p.Texts.age(lang, int(d/time.Minute))
		}
		params[name] = v
	}
	out := helpPoint{Text: p.Texts.Text(lang, in.Key, params), Kind: in.Kind, Names: in.Names}
	if in.Detail != "" {
		out.Detail = p.Texts.Text(lang, in.Detail, params)
	}
	if in.Kind != "" {
		out.KindName = p.Texts.Text(lang, "method."+string(in.Kind)+".name", nil)
	}
	if len(in.Names) > manyNames {
		out.More = p.Texts.Count(lang, "help.applications", len(in.Names))
	}
	return out
}
