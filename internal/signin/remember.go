package signin

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/session"
)

// MaxRemembered bounds the remembered-browser tokens in one cookie: one per person, the newest first.
const MaxRemembered = 5

// rememberedBrowser is this browser's family for one person, as its cookie shows it.
type rememberedBrowser struct {
	browser session.Browser
	token   string // "family.secret" as presented
	found   bool
	stolen  bool
}

// standing is what policy may count on: nothing where the family is stolen or absent.
func (r rememberedBrowser) standing() *policy.Remembered {
	if !r.found || r.stolen {
		return nil
	}
	return &policy.Remembered{Since: r.browser.Created, ProvenAt: r.browser.ProvenAt}
}

// findRemembered looks for the person's family among the browser's tokens. A token that was rotated away, or that
// comes from another browser than the one that was remembered, is a stolen copy.
func findRemembered(ctx context.Context, s Store, caller Caller, browser []byte, p people.Person, now time.Time) (rememberedBrowser, error) {
	for i, token := range caller.Remembered {
		family, _, ok := strings.Cut(token.Reveal(), ".")
		if !ok || i >= MaxRemembered {
			continue
		}
		b, err := s.BrowserByFamily(ctx, family)
		if fault.IsKind(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return rememberedBrowser{}, err
		}
		if b.Person != string(p.ID) || !now.Before(b.Expires) {
			continue
		}
		return rememberedBrowser{
			browser: b, token: token.Reveal(), found: true,
			stolen: !freshToken(b, token.Reveal(), now) || !bytes.Equal(b.BrowserID, browser),
		}, nil
	}
	return rememberedBrowser{}, nil
}
