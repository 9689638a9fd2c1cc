package oidc_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

// endings are the ways in which a grant comes to be worth nothing.
func endings() map[string]func(h *house, m *member) {
	return map[string]func(h *house, m *member){
		"person suspended": func(h *house, m *member) {
			h.tx(func(ctx context.Context, s apps.FlowStore) error {
				p, err := s.PersonByID(ctx, m.ID)
				p.State = people.Suspended
				if err != nil {
					return err
				}
				return s.UpdatePerson(ctx, p)
			})
		},
		"group removed": func(h *house, m *member) {
			h.tx(func(ctx context.Context, s apps.FlowStore) error {
				p, err := s.PersonByID(ctx, m.ID)
				p.Groups = nil
				if err != nil {
					return err
				}
				return s.UpdatePerson(ctx, p)
			})
		},
		"passkey deleted": func(h *house, m *member) {
			defer h.addPasskey(m) // another one is left, that proved nothing
			h.tx(func(ctx context.Context, s apps.FlowStore) error {
				owned, err := s.CredentialsOf(ctx, string(m.ID))
				if err != nil {
					return err
				}
				_, err = s.RemoveCredential(ctx, string(m.ID), owned[0].ID)
				return err
			})
		},
		"policy raised": func(h *house, m *member) { h.savePolicy(staffOnly(policy.StrengthHardware)) },
		"application closed": func(h *house, m *member) {
			if err := h.apps.SetClosed(context.Background(), "cli:test", "library", true); err != nil {
				h.t.Fatal(err)
			}
		},
		"grants revoked": func(h *house, m *member) {
			h.tx(func(ctx context.Context, s apps.FlowStore) error {
				_, err := s.RevokeGrantsOf(ctx, string(m.ID), "")
				return err
			})
		},
	}
}

func TestG99_RefreshAsksAgain(t *testing.T) {
	for name, act := range endings() {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.savePolicy(staffOnly(policy.StrengthMFA))
			c, ada, api := h.client("library", nil), h.member("ada", "staff"), h.client("api", nil)
			got := h.redeem(c, h.browser().code(c, ada, "scope", "openid offline_access")).tokens(t)
			got = h.refresh(c, got.Refresh).tokens(t)
			if !h.active(c, got.Access) {
				t.Fatal("inactive before")
			}
			act(h, ada)
			h.userinfo(got.Access).wantOAuth(t, 401, "invalid_token")
			if name == "application closed" {
				h.refresh(c, got.Refresh).wantOAuth(t, 401, "invalid_client")
				if h.active(api, got.Access) {
					t.Error("active")
				}
				return
			}
			if h.active(c, got.Access) || h.active(c, got.Refresh) {
				t.Error("introspection still says active")
			}
			h.refresh(c, got.Refresh).wantOAuth(t, 400, "invalid_grant")
			refused := false
			for _, r := range h.reasons(ada) {
				refused = refused || strings.HasPrefix(r, "app.refreshed refused ")
			}
			if !refused && name != "grants revoked" { // that was written down by who did it
				t.Errorf("the trail does not say why: %q", h.reasons(ada))
			}
		})
	}
}

// staffOnly lets staff in with a strength, and nobody else.
func staffOnly(s policy.Strength) policy.Policy {
	p := policy.Default()
	p.Rules = []policy.Rule{
		{Name: "others", State: policy.RuleOn, People: policy.Match{ExceptGroups: []string{"staff"}}, Grant: policy.Grant{Block: true}},
		{Name: "staff", State: policy.RuleOn, Grant: policy.Grant{Strength: s}},
	}
	return p
}

func (h *house) savePolicy(p policy.Policy) {
	h.t.Helper()
	inTx, _ := store.Bind[policy.Records](h.db)
	ctx := context.Background()
	if err := inTx(ctx, func(s policy.Records) error { return s.SavePolicy(ctx, p, nil, "cli:test", "test") }); err != nil {
		h.t.Fatal(err)
	}
}

func TestG99_RedeemAfterSuspension(t *testing.T) {
	h := newHouse(t)
	c, ada, b := h.client("library", nil), h.member("ada"), h.browser()
	code := b.code(c, ada)
	h.tx(func(ctx context.Context, s apps.FlowStore) error {
		p, err := s.PersonByID(ctx, ada.ID)
		if err != nil {
			return err
		}
		p.State = people.Suspended
		return s.UpdatePerson(ctx, p)
	})
	h.redeem(c, code).wantOAuth(t, 400, "invalid_grant")
	b.get(c.authorizeURL("prompt", "none")).wantError(t, "login_required")
	h.wantReason(ada, "app.code_redeemed refused person.inactive")
}

func TestG99_FreshnessHoldsAtRefresh(t *testing.T) {
	h := newHouse(t)
	p := policy.Default()
	p.Rules = append(p.Rules, policy.Rule{Name: "hourly", State: policy.RuleOn, Grant: policy.Grant{Freshness: policy.Freshness{MaxAge: time.Hour}}})
	h.savePolicy(p)
	c := h.client("records", nil)
	got := h.redeem(c, h.browser().code(c, h.member("ada"), "scope", "openid offline_access")).tokens(t)
	h.clock.add(59 * time.Minute)
	got = h.refresh(c, got.Refresh).tokens(t)
	h.clock.add(2 * time.Minute)
	h.refresh(c, got.Refresh).wantOAuth(t, 400, "invalid_grant")
}

func TestG100_RefreshReuse(t *testing.T) {
	start := func(t *testing.T) (*house, *client, *member, string) {
		h := newHouse(t)
		c, ada := h.client("library", nil), h.member("ada")
		return h, c, ada, h.redeem(c, h.browser().code(c, ada)).tokens(t).Refresh
	}
	dead := func(t *testing.T, h *house, c *client, ada *member, all ...tokens) {
		t.Helper()
		for _, x := range all {
			h.refresh(c, x.Refresh).wantOAuth(t, 400, "invalid_grant")
			if h.active(c, x.Access) {
				t.Error("an access token of a dead family is active")
			}
		}
		h.wantReason(ada, "app.refreshed failed refresh.reused")
	}
	t.Run("after the grace", func(t *testing.T) {
		h, c, ada, r1 := start(t)
		r2 := h.refresh(c, r1).tokens(t)
		h.clock.add(apps.RefreshGrace)
		h.refresh(c, r1).wantOAuth(t, 400, "invalid_grant")
		dead(t, h, c, ada, r2)
	})
	t.Run("once the successor was seen", func(t *testing.T) {
		h, c, ada, r1 := start(t)
		r2 := h.refresh(c, r1).tokens(t)
		r3 := h.refresh(c, r2.Refresh).tokens(t)
		h.refresh(c, r1).wantOAuth(t, 400, "invalid_grant") // no grace for a grandparent
		dead(t, h, c, ada, r2, r3)
	})
	t.Run("twenty at once", func(t *testing.T) {
		h, c, _, r1 := start(t)
		won, lost := together(20, func() answer { return h.refresh(c, r1) })
		successors := map[string]bool{}
		for _, w := range won {
			successors[w.tokens(t).Refresh] = true
		}
		for _, l := range lost {
			t.Errorf("a lost answer is refused: %d %s", l.StatusCode, l.body)
		}
		if len(successors) != 1 {
			t.Fatalf("%d successors of one token", len(successors))
		}
		for r2 := range successors {
			h.refresh(c, r2).tokens(t)
		}
	})
	t.Run("forged marks", func(t *testing.T) {
		h, c, _, r1 := start(t)
		parts := strings.Split(r1, ".")
		for _, forged := range []string{parts[0] + ".1." + strings.Repeat("A", 55), parts[0] + ".0." + parts[2], "x." + parts[1] + "." + parts[2], parts[0] + ".." + parts[2]} {
			h.refresh(c, forged).wantOAuth(t, 400, "invalid_grant")
		}
		h.refresh(c, r1).tokens(t) // nobody kills a family by guessing at its tokens
	})
}

func TestG100_RotationDoesNotExtendTheEnd(t *testing.T) {
	h := newHouse(t)
	c := h.client("library", func(a *apps.Application) { a.OIDC.RefreshMax = 3600 })
	got := h.redeem(c, h.browser().code(c, h.member("ada"), "scope", "openid offline_access")).tokens(t)
	for range 5 {
		h.clock.add(10 * time.Minute)
		got = h.refresh(c, got.Refresh).tokens(t)
	}
	h.clock.add(9 * time.Minute)
	got = h.refresh(c, got.Refresh).tokens(t)
	if got.Expires > 60 {
		t.Errorf("an access token lives %d s, past its grant's end", got.Expires)
	}
	h.clock.add(time.Minute)
	h.refresh(c, got.Refresh).wantOAuth(t, 400, "invalid_grant")
}

// Codes and refresh tokens name their grant openly, so naming one must prove nothing and end nothing.
func TestG40_NamingAGrantProvesNothing(t *testing.T) {
	h := newHouse(t)
	c, b, ada := h.client("library", nil), h.browser(), h.member("ada")
	code := b.code(c, ada)
	id, _, _ := strings.Cut(code, ".")
	guesses := []string{id, id + ".", id + "." + strings.Repeat("A", 43), strings.ToUpper(id) + code[len(id):], code + "A", " " + code}
	for _, guess := range guesses {
		h.redeem(c, guess).wantOAuth(t, 400, "invalid_grant")
	}
	h.refresh(c, code).wantOAuth(t, 400, "invalid_grant")
	got := h.redeem(c, code).tokens(t)
	h.redeem(c, got.Refresh).wantOAuth(t, 400, "invalid_grant")
	for _, guess := range append(guesses, code) {
		if a := h.post("/oauth2/revoke", c, "token", guess); a.StatusCode != 200 {
			t.Errorf("revoking a guess: %d %s", a.StatusCode, a.body)
		}
		if h.active(c, guess) {
			t.Errorf("%q is active", guess)
		}
	}
	h.refresh(c, got.Refresh).tokens(t)
}
