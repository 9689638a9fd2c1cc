package main

import (
	"context"
	"html"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

// helpTopic gives the text of one topic of the help page as this browser sees it.
func (b *siteBrowser) helpTopic(id string) string {
	b.s.t.Helper()
	w := b.get("/help")
	_, rest, ok := strings.Cut(w.Body.String(), `<section class="help-entry stack" id="`+id+`">`)
	if !ok {
		b.s.t.Fatalf("no topic %s: %d %s", id, w.Code, w.Body)
	}
	topic, _, _ := strings.Cut(rest, "</section>")
	return html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(topic, " "))
}

// changed puts a changed policy in force.
func (s *openedSite) changed(change func(*policy.Policy)) {
	s.t.Helper()
	p, err := s.h.manage.Policy(context.Background(), demoBy)
	s.must(err)
	change(&p)
	_, err = s.h.manage.SetPolicy(context.Background(), demoBy, p, nil, "a test of the help page")
	s.must(err)
}

// TestHelp_FollowsThePolicyInForce (ALL-02): change the policy, and the answer changes.
func TestHelp_FollowsThePolicyInForce(t *testing.T) {
	onBoth(t, func(t *testing.T, s *openedSite) {
		s.application("Library")
		b := s.browser()
		has := func(topic string, wanted ...string) {
			t.Helper()
			text := b.helpTopic(topic)
			for _, w := range wanted {
				if !strings.Contains(text, w) {
					t.Errorf("%s does not say %q: %s", topic, w, text)
				}
			}
		}
		has("often", "once in 30 days", "Library")
		has("remember", "for 30 days", "Library")
		has("length", "At least 15 characters")
		has("needs-passkey", "None of the applications")

		s.changed(func(p *policy.Policy) { p.Rules[0].Grant.Remember = 7 * 24 * time.Hour })
		has("often", "once in 7 days", "Library")
		has("remember", "for 7 days")
		has("privacy", "up to 7 days")

		s.changed(func(p *policy.Policy) {
			p.Rules[0].Grant.Remember, p.SessionMax, p.SessionIdle = 0, 4*time.Hour, time.Hour
		})
		has("remember", "do not offer this")
		has("length", "At least 8 characters")
		has("session", "At most 4 hours", "for 1 hour")

		s.changed(func(p *policy.Policy) {
			p.Rules = append(p.Rules, policy.Rule{Name: "the library asks every time", State: policy.RuleOn, Applications: policy.Match{Names: []string{"Library"}},
				Grant: policy.Grant{Strength: policy.StrengthPhishingResistant, Freshness: policy.Freshness{EveryTime: true}}})
		})
		has("often", "Every time you open it", "Library")
		has("needs-passkey", "All of them", "Library")
	})
}

// TestHelp_IsForWhoReads: applications for one audience are no stranger's business, and a member reads what holds for
// their groups.
func TestHelp_IsForWhoReads(t *testing.T) {
	s := openSite(t)
	s.application("Library")
	if _, _, err := s.h.manage.AddApplication(t.Context(), demoBy, apps.Application{Name: "Payroll", Audience: "staff",
		OIDC: apps.OIDC{RedirectURIs: []string{"https://payroll.example.ac.uk/callback"}, GrantTypes: []string{"authorization_code"},
			Scopes: []string{"openid"}}}, true); err != nil {
		t.Fatal(err)
	}
	s.changed(func(p *policy.Policy) {
		p.Rules = append(p.Rules, policy.Rule{Name: "staff every time", State: policy.RuleOn, People: policy.Match{Groups: []string{"staff"}},
			Grant: policy.Grant{Freshness: policy.Freshness{EveryTime: true}}})
	})
	m := s.member("ada", method.Passkey)
	s.must(s.h.db.InTx(t.Context(), func(tx *store.Tx) error {
		p, err := tx.PersonByID(t.Context(), m.ID)
		if err == nil {
			p.Groups = []string{"staff"}
			err = tx.UpdatePerson(t.Context(), p)
		}
		return err
	}))
	b := s.browser()
	if text := b.helpTopic("often"); !strings.Contains(text, "Library") || strings.Contains(text, "Payroll") || strings.Contains(text, "Every time") {
		t.Errorf("a stranger reads: %s", text)
	}
	w := b.prove(b.get("/help?mine=yes"), m)
	if !b.signedIn() || !strings.Contains(w.Body.String(), "as they stand for you") {
		t.Fatalf("signing in from the help led to %d %s", w.Code, w.Body)
	}
	if text := b.helpTopic("often"); !strings.Contains(text, "Payroll") || !strings.Contains(text, "Every time") || strings.Contains(text, "30 days") {
		t.Errorf("a member reads: %s", text)
	}
}
