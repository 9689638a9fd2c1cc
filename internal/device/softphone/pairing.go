package softphone

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-id/gatehouse/internal/method/oath"
)

// thumbprintHash is that of a phone's name (RFC 7638 section 3).
const thumbprintHash = crypto.SHA256

// poll is the longest that one call waits.
const poll = 25 * time.Second

// opening is what a pairing or a restoring began with.
type opening struct {
	Pairing string `json:"pairing"`
	Expires int64  `json:"expires"`
	State   string `json:"state"`
	Unlock  struct {
		Required bool            `json:"required"`
		Options  json.RawMessage `json:"options"`
	} `json:"unlock"`
}

type passcode struct {
	Secret    string `json:"secret"`
	Algorithm string `json:"algorithm"`
	Digits    int    `json:"digits"`
	Period    int    `json:"period"`
}

type claimed struct {
	Device   string   `json:"device"`
	Account  string   `json:"account"`
	Code     string   `json:"code"`
	Passcode passcode `json:"passcode"`
	Expires  int64    `json:"expires"`
}

// claim is the body of a claim, and of a restoring with Assertion in Unlock's place.
type claim struct {
	State     string           `json:"state"`
	Key       *jose.JSONWebKey `json:"key"`
	Unlock    json.RawMessage  `json:"unlock,omitempty"`
	Assertion json.RawMessage  `json:"assertion,omitempty"`
	Name      string           `json:"name"`
	Proof     string           `json:"proof"`
}

// ParseLink takes a pairing link apart: the app's origin, and the token behind "#pair=".
func ParseLink(link string) (origin, token string, err error) {
	u, err := url.Parse(strings.TrimSpace(link))
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return "", "", fmt.Errorf("%q is no pairing link: it looks like https://phone.example.ac.uk/#pair=…", link)
	}
	token, ok := strings.CutPrefix(u.Fragment, "pair=")
	if !ok || token == "" {
		return "", "", errors.New("the link has no \"#pair=…\": copy all of it")
	}
	return u.Scheme + "://" + u.Host, token, nil
}

// OpenPairing looks at a pairing by its token or its short code ("ABCD-EFGH"). Nothing is changed yet.
func (p *Phone) OpenPairing(ctx context.Context, tokenOrCode string) error {
	h, err := p.House(ctx)
	if err != nil {
		return err
	}
	if h.Protocol != 1 {
		return fmt.Errorf("softphone: protocol %d is not known here", h.Protocol)
	}
	if h.Origin != p.origin {
		return fmt.Errorf("softphone: the app lives at %s, not at %s", h.Origin, p.origin)
	}
	body := map[string]string{"token": tokenOrCode}
	if len(tokenOrCode) <= 12 {
		body = map[string]string{"code": tokenOrCode}
	}
	var o opening
	if err := p.Ask(ctx, http.MethodPost, "/app/v1/pairings/open", body, &o); err != nil {
		return err
	}
	p.server, p.opening, p.pairing = h.Server, o, o.Pairing
	return nil
}

// Claim makes the phone's key and its unlocking passkey and brings them to the pairing that was opened. The code is to be
// typed where the pairing began.
func (p *Phone) Claim(ctx context.Context, name string) (code string, err error) {
	if p.opening.State == "" {
		return "", errors.New("softphone: no pairing was opened")
	}
	if err := p.makeKey(); err != nil {
		return "", err
	}
	unlock := json.RawMessage("null")
	p.unlocks = !p.NoUnlock && len(p.opening.Unlock.Options) > 0
	if p.unlocks {
		if unlock, err = p.Platform.Create(p.opening.Unlock.Options); err != nil {
			return "", err
		}
	}
	var c claimed
	err = p.withClock(func() error {
		proof, err := p.Sign("gatehouse-pairing+jwt", map[string]any{"pairing": p.pairing, "aud": p.origin, "iat": p.time()})
		if err != nil {
			return err
		}
		return p.Ask(ctx, http.MethodPost, "/app/v1/pairings/claim",
			claim{State: p.opening.State, Key: p.jwk(), Unlock: unlock, Name: name, Proof: proof}, &c)
	})
	if err != nil {
		return "", err
	}
	return c.Code, p.take(c)
}

func (p *Phone) take(c claimed) error {
	if c.Device != p.device {
		return errors.New("softphone: the house took another key than this phone's")
	}
	p.account, p.secret, p.opening = c.Account, c.Passcode, opening{}
	return nil
}

// PairingState is "claimed", "paired" or "ended" ("waiting" for the phone that began a move). It answers when that
// changes, after wait at the latest.
func (p *Phone) PairingState(ctx context.Context, pairing string, wait time.Duration) (standing string, err error) {
	var s struct {
		Standing string `json:"standing"`
	}
	err = p.Call(ctx, http.MethodGet, fmt.Sprintf("/app/v1/pairings/%s?wait=%d", url.PathEscape(pairing), seconds(wait)), nil, &s)
	return s.Standing, err
}

func seconds(d time.Duration) int { return int(min(d, poll) / time.Second) }

// Pairing is the pairing that was opened last.
func (p *Phone) Pairing() string { return p.pairing }

// WaitPaired waits until the code was typed; an error says that the pairing ended otherwise.
func (p *Phone) WaitPaired(ctx context.Context) error {
	for {
		standing, err := p.PairingState(ctx, p.pairing, poll)
		switch {
		case err != nil:
			return err
		case standing == "paired":
			p.pairing = ""
			return nil
		case standing != "claimed":
			return errors.New("the pairing has ended: begin again where it began")
		}
	}
}

// CancelPairing ends a pairing.
func (p *Phone) CancelPairing(ctx context.Context, pairing string) error {
	return p.Call(ctx, http.MethodDelete, "/app/v1/pairings/"+url.PathEscape(pairing), nil, nil)
}

// Moving is a pairing for another phone.
type Moving struct {
	Pairing string `json:"pairing"`
	Link    string `json:"link"`
	Code    string `json:"code"`
	Expires int64  `json:"expires"`
}

// Move begins a pairing for the phone that takes this one's place. The call's own signature is what is unlocked.
func (p *Phone) Move(ctx context.Context) (m Moving, err error) {
	const path = "/app/v1/move"
	err = p.withClock(func() error {
		token, err := p.authorization(http.MethodPost, path, nil)
		if err != nil {
			return err
		}
		unlock, err := p.unlock(token)
		if err != nil {
			return err
		}
		body, err := encode(map[string]json.RawMessage{"unlock": unlock})
		if err != nil {
			return err
		}
		return p.send(ctx, http.MethodPost, path, token, body, &m)
	})
	return m, err
}

// ConfirmMove takes the code that the new phone shows; this one is a method no more.
func (p *Phone) ConfirmMove(ctx context.Context, pairing, code string) error {
	return p.Call(ctx, http.MethodPost, "/app/v1/move/confirm", map[string]string{"pairing": pairing, "code": code}, nil)
}

// LoseStorage is what Safari does to a site that was not used for a week: everything is gone but the platform's passkey.
func (p *Phone) LoseStorage() { p.kept = kept{origin: p.origin} }

// Restore gives a phone that lost its storage a new key, by its unlocking passkey.
func (p *Phone) Restore(ctx context.Context, name string) error {
	h, err := p.House(ctx)
	if err != nil {
		return err
	}
	var o struct {
		State   string          `json:"state"`
		Options json.RawMessage `json:"options"`
	}
	if err := p.Ask(ctx, http.MethodPost, "/app/v1/restore/open", map[string]string{}, &o); err != nil {
		return err
	}
	assertion, err := p.Platform.Get(o.Options)
	if err != nil {
		return err
	}
	if err := p.makeKey(); err != nil {
		return err
	}
	p.server, p.unlocks = h.Server, true
	sum := sha256.Sum256([]byte(o.State))
	var c claimed
	err = p.withClock(func() error {
		proof, err := p.Sign("gatehouse-restore+jwt", map[string]any{"state": b64(sum[:]), "aud": p.origin, "iat": p.time()})
		if err != nil {
			return err
		}
		return p.Ask(ctx, http.MethodPost, "/app/v1/restore",
			claim{State: o.State, Key: p.jwk(), Assertion: assertion, Name: name, Proof: proof}, &c)
	})
	if err != nil {
		return err
	}
	return p.take(c)
}

// Passcode is the code of now (RFC 6238), as the phone shows it without a network.
func (p *Phone) Passcode(now time.Time) (string, error) {
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(p.secret.Secret, "="))
	if err != nil || len(secret) == 0 || p.secret.Period <= 0 || p.secret.Digits <= 0 {
		return "", errors.New("this phone has no passcodes: pair it first")
	}
	return oath.Code(secret, oath.Algorithm(p.secret.Algorithm), p.secret.Digits, time.Duration(p.secret.Period)*time.Second, now), nil
}
