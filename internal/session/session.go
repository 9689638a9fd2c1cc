// Package session is the signed-in browser and what it remembers.
//
//	attempt (proofs so far) ──policy allows──► Session (evidence log, append-only)
//	                                             │ step-up appends evidence and changes the token
//	                                             └ ends: sign-out, idle, absolute end, person's epoch, stolen copy
//	Browser: remembered for a person; its token rotates at each use. A token that was already
//	         rotated away is a stolen copy: the family and every session born from it end.
//
// The room reads no clock and no database: all functions are pure.
package session

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// Session is a signed-in browser.
type Session struct {
	ID        string // public; in lists and in tokens' sid
	TokenHash []byte // secret.Hash of the cookie
	Person    string // people.ID
	// Browser is secret.Hash of the browser cookie: a session belongs to one browser.
	Browser  []byte
	Evidence []method.Evidence
	// Family is the remembered browser through which this session was born, or "".
	Family   string
	Created  time.Time
	LastSeen time.Time // saved at most once in SeenEvery
	Expires  time.Time // absolute; nothing extends it
	// Address and Agent are for the member's own list: where it was begun.
	Address string
	Agent   string
	Version int64
}

// Browser is a remembered browser of one person ("don't ask again"). It is no factor.
type Browser struct {
	Family     string
	Person     string
	TokenHash  []byte // the present token
	PrevHash   []byte // the one before, accepted for a short overlap only (lost answers)
	Rotated    time.Time
	Created    time.Time
	Expires    time.Time // absolute: rotation does not extend it
	LastUsed   time.Time
	ProvenAt   time.Time // when the skipped proof was last given
	BrowserID  []byte    // secret.Hash of the browser cookie
	Agent      string
	Address    string
	Generation int64
}

// Store is what the room needs kept.
type Store interface {
	// SessionByToken finds by secret.Hash(cookie); fault NotFound.
	SessionByToken(ctx context.Context, tokenHash []byte) (Session, error)
	SessionByID(ctx context.Context, id string) (Session, error)
	SessionsOf(ctx context.Context, person string) ([]Session, error)
	AddSession(ctx context.Context, s Session) error
	// UpdateSession saves token, evidence, last seen and expiry where Version matches and raises it; fault Conflict.
	UpdateSession(ctx context.Context, s Session) error
	// TouchSession saves LastSeen alone, without a version.
	TouchSession(ctx context.Context, id string, seen time.Time) error
	// EndSession removes one; it reports whether there was one.
	EndSession(ctx context.Context, id string) (bool, error)
	// EndSessionsOf removes all of a person but `except` ("" for none), with their sign-ins that are half done, and
	// returns the ids.
	EndSessionsOf(ctx context.Context, person, except string) ([]string, error)
	// EndSessionsOfFamily removes all born from a remembered browser and returns the ids.
	EndSessionsOfFamily(ctx context.Context, family string) ([]string, error)

	// BrowserByFamily finds a remembered browser; fault NotFound.
	BrowserByFamily(ctx context.Context, family string) (Browser, error)
	BrowsersOf(ctx context.Context, person string) ([]Browser, error)
	AddBrowser(ctx context.Context, b Browser) error
	// RotateBrowser saves the new token where Generation still matches and raises it; fault Conflict.
	RotateBrowser(ctx context.Context, b Browser) error
	ForgetBrowser(ctx context.Context, family string) (bool, error)
	ForgetBrowsersOf(ctx context.Context, person string) (int, error)

	// KnownBrowser reports whether this browser cookie has signed this person in before (separate guess budget).
	KnownBrowser(ctx context.Context, person string, browser []byte) (bool, error)
	RememberKnownBrowser(ctx context.Context, person string, browser []byte, at time.Time) error
	ForgetKnownBrowsersOf(ctx context.Context, person string) error
}
