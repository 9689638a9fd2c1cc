package signin

import (
	"context"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
)

// rememberedBrowser is this browser's family for one person, as its cookie shows it, with what using it would make.
type rememberedBrowser struct {
	browser  session.Browser // as stored
	standing session.Standing
	next     session.Browser // rotated, where standing is Fresh
	token    secret.String   // for the cookie, where standing is Fresh
}

func (r rememberedBrowser) found() bool  { return r.browser.Family != "" }
func (r rememberedBrowser) stolen() bool { return r.standing == session.Stolen && r.found() }

// forPolicy is what policy may count on: nothing where the family is absent, over or stolen.
func (r rememberedBrowser) forPolicy() *policy.Remembered {
	if !r.found() || !r.standing.Counts() {
		return nil
	}
	return &policy.Remembered{Since: r.browser.Created, ProvenAt: r.browser.ProvenAt}
}

// findRemembered looks for the person's family among the browser's tokens. The cookie alone gives nothing: it is
// looked at for a person who is proven, or whose proof is about to be judged.
func findRemembered(ctx context.Context, s Store, caller Caller, browser []byte, p people.Person, now time.Time) (rememberedBrowser, error) {
	for _, token := range caller.Remembered[:min(len(caller.Remembered), session.MaxRemembered)] {
		family, presented, ok := session.ParseToken(token)
		if !ok {
			continue
		}
		b, err := s.BrowserByFamily(ctx, family)
		if fault.IsKind(err, fault.NotFound) || err == nil && b.Person != string(p.ID) {
			continue
		}
		if err != nil {
			return rememberedBrowser{}, err
		}
		r := rememberedBrowser{browser: b}
		r.next, r.token, r.standing = session.Rotate(b, presented, browser, now)
		return r, nil
	}
	return rememberedBrowser{}, nil
}

// WithoutFamily gives the cookie's tokens without one family's.
func WithoutFamily(tokens []secret.String, family string) []secret.String {
	out := slices.DeleteFunc(slices.Clone(tokens), func(t secret.String) bool {
		f, _, ok := session.ParseToken(t)
		return !ok || f == family
	})
	if out == nil {
		return []secret.String{} // "remove", not "unchanged"
	}
	return out
}
