package store

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/session"
)

const browserColumns = `family, person, token_hash, prev_hash, rotated, created, expires, last_used, proven_at, browser_id,
	agent, address, generation`

func browserFields(b *session.Browser) []any {
	return []any{&b.Family, &b.Person, &b.TokenHash, &b.PrevHash, timeTo{&b.Rotated}, timeTo{&b.Created},
		timeTo{&b.Expires}, timeTo{&b.LastUsed}, timeTo{&b.ProvenAt}, &b.BrowserID, &b.Agent, &b.Address, &b.Generation}
}

// BrowserByFamily implements session.Store.
func (t *Tx) BrowserByFamily(ctx context.Context, family string) (b session.Browser, err error) {
	found, err := t.one("SELECT "+browserColumns+" FROM remembered_browsers WHERE family = $1", []any{family}, browserFields(&b)...)
	if err == nil && !found {
		err = notFound("browser")
	}
	return b, err
}

// BrowsersOf implements session.Store, newest first.
func (t *Tx) BrowsersOf(ctx context.Context, person string) (list []session.Browser, err error) {
	err = t.each("SELECT "+browserColumns+" FROM remembered_browsers WHERE person = $1 ORDER BY created DESC, family DESC",
		[]any{person}, func(scan func(...any) error) error {
			var b session.Browser
			err := scan(browserFields(&b)...)
			list = append(list, b)
			return err
		})
	return list, err
}

// AddBrowser implements session.Store.
func (t *Tx) AddBrowser(ctx context.Context, b session.Browser) error {
	n, err := t.exec(`INSERT INTO remembered_browsers (`+browserColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING`,
		b.Family, b.Person, b.TokenHash, b.PrevHash, b.Rotated, b.Created, b.Expires, b.LastUsed, b.ProvenAt, b.BrowserID,
		b.Agent, b.Address, b.Generation)
	return atMostOne(n, err, taken("browser"))
}

// RotateBrowser implements session.Store. Created and Expires are left alone: rotation extends nothing.
func (t *Tx) RotateBrowser(ctx context.Context, b session.Browser) error {
	n, err := t.exec(`UPDATE remembered_browsers SET token_hash = $1, prev_hash = $2, rotated = $3, last_used = $4, proven_at = $5,
		agent = $6, address = $7, generation = generation + 1 WHERE family = $8 AND generation = $9`,
		b.TokenHash, b.PrevHash, b.Rotated, b.LastUsed, b.ProvenAt, b.Agent, b.Address, b.Family, b.Generation)
	return atMostOne(n, err, changed("browser"))
}

// ForgetBrowser implements session.Store.
func (t *Tx) ForgetBrowser(ctx context.Context, family string) (bool, error) {
	return did(t.exec("DELETE FROM remembered_browsers WHERE family = $1", family))
}

// ForgetBrowsersOf implements session.Store.
func (t *Tx) ForgetBrowsersOf(ctx context.Context, person string) (int, error) {
	n, err := t.exec("DELETE FROM remembered_browsers WHERE person = $1", person)
	return int(n), err
}

// KnownBrowser implements session.Store.
func (t *Tx) KnownBrowser(ctx context.Context, person string, browser []byte) (bool, error) {
	var one int64
	return t.one("SELECT 1 FROM known_browsers WHERE person = $1 AND browser = $2", []any{person, browser}, &one)
}

const (
	// knownRefresh is how stale the date of a known browser may grow before it is written again: it only serves to
	// forget browsers that were not seen for a year.
	knownRefresh = 24 * time.Hour
	// keepKnownBrowsers is after what time an unseen browser is a stranger's again.
	keepKnownBrowsers = 400 * 24 * time.Hour
)

// RememberKnownBrowser implements session.Store. A person's old ones go when a new one comes, in the same place of the
// table: so they need neither sweeping nor an index by time.
func (t *Tx) RememberKnownBrowser(ctx context.Context, person string, browser []byte, at time.Time) error {
	_, err := t.exec(`INSERT INTO known_browsers (person, browser, at) VALUES ($1, $2, $3)
		ON CONFLICT (person, browser) DO UPDATE SET at = $3 WHERE known_browsers.at < $4`,
		person, browser, at, at.Add(-knownRefresh))
	if err == nil {
		_, err = t.exec("DELETE FROM known_browsers WHERE person = $1 AND at < $2", person, at.Add(-keepKnownBrowsers))
	}
	return err
}

// ForgetKnownBrowsersOf implements session.Store.
func (t *Tx) ForgetKnownBrowsersOf(ctx context.Context, person string) error {
	_, err := t.exec("DELETE FROM known_browsers WHERE person = $1", person)
	return err
}
