package web

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/help"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

// TestHelpTexts: what the help room says has a text, and what has a text is said; so for the topics.
func TestHelpTexts(t *testing.T) {
	x := texts(t)
	room, pages := sources(t, "../../help"), sources(t, ".")
	for _, m := range regexp.MustCompile(`"(help\.[a-z_.0-9-]+)"`).FindAllStringSubmatch(room, -1) {
		if !x.Has(m[1]) && m[1] != "help." {
			t.Errorf("missing: %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`Anchor: "([a-z-]+)"`).FindAllStringSubmatch(room, -1) {
		if !strings.Contains(strings.Join(helpTopics, " "), m[1]) {
			t.Errorf("%s is no topic", m[1])
		}
	}
	line := regexp.MustCompile(`^help\.([a-z-]+)\.(title|[1-4])$`)
	for _, key := range x.Keys("help.") {
		if m := line.FindStringSubmatch(key); m != nil {
			if !strings.Contains(pages, `"`+m[1]+`"`) {
				t.Errorf("unused: %s", key)
			}
		} else if !strings.Contains(room, `"`+key+`"`) && !strings.Contains(pages, `"`+key+`"`) {
			t.Errorf("unused: %s", key)
		}
	}
}

// answering is the help's port: it says for whom it was asked, or fails.
type answering struct {
	asked []people.Person
	fails error
}

func (a *answering) Answers(_ context.Context, p people.Person) ([]help.Answer, error) {
	a.asked = append(a.asked, p)
	return storyAnswers(policy.Person{ID: string(p.ID), Groups: p.Groups}, 0), a.fails
}

func TestHelpIsForWhoReads(t *testing.T) {
	from := &answering{}
	b := newBrowserWith(t, func(d *Deps) { d.Answers = from })
	page := body(b.get("/help"))
	if !strings.Contains(page, "for a member without special duties") || !strings.Contains(page, "The second step once in 30 days") || from.asked[0].ID != "" {
		t.Errorf("a stranger reads as %+v:\n%s", from.asked, page)
	}
	b.lands(b.get("/help?mine=yes"), "/signin?attempt=")
	if b.f.target.Return != "/help" {
		t.Errorf("signing in there leads to %+v", b.f.target)
	}

	b.f.person = &people.Person{ID: "7", Username: "dev", Groups: []string{"it-administrators"}}
	b.cookies["__Host-gatehouse"] = strings.Repeat("s", 43)
	page = body(b.get("/help?mine=yes"))
	if !strings.Contains(page, "as they stand for you") || !strings.Contains(page, `href="/signout"`) || strings.Contains(page, "The second step once in") ||
		!strings.Contains(page, "All of them do.") || from.asked[1].ID != "7" {
		t.Errorf("a member reads as %+v:\n%s", from.asked, page)
	}
}

// TestHelpWithoutRules: it still helps, and says what is missing.
func TestHelpWithoutRules(t *testing.T) {
	b := newBrowserWith(t, func(d *Deps) { d.Answers = &answering{fails: errors.New("no database")} })
	resp := b.get("/help")
	page := body(resp)
	if resp.StatusCode != 200 || !strings.Contains(page, "cannot be shown just now") || !strings.Contains(page, `id="lost"`) || strings.Contains(page, `id="often"`) ||
		strings.Contains(page, "no database") {
		t.Errorf("%d\n%s", resp.StatusCode, page)
	}
}

// TestHelpAnchors: every link of a page into the help leads somewhere, with the rules and without.
func TestHelpAnchors(t *testing.T) {
	p, err := NewPages(storyCampus, nil)
	if err != nil {
		t.Fatal(err)
	}
	wanted := regexp.MustCompile(`href="/help#([^"]+)"`)
	for _, found := range [][]help.Answer{nil, storyAnswers(policy.Person{}, 0)} {
		there := map[string]bool{}
		h := p.helpPage("en", false, found)
		for _, topic := range h.Topics {
			there[topic.ID] = true
		}
		for _, m := range h.Messages {
			there[m.ID] = true
		}
		for _, s := range Stories() {
			page, err := s.Render(p)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range wanted.FindAllSubmatch(page, -1) {
				if !there[string(m[1])] {
					t.Errorf("%s links to /help#%s, which is not there (with rules: %v)", s.Name(), m[1], found != nil)
				}
			}
		}
	}
}
