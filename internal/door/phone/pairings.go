package phone

import (
	"context"
	"encoding/json"

	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// openAnswer is POST /app/v1/pairings/open.
type openAnswer struct {
	Pairing string       `json:"pairing"`
	Expires int64        `json:"expires"`
	State   string       `json:"state"`
	Unlock  unlockAnswer `json:"unlock"`
}

type unlockAnswer struct {
	Required bool            `json:"required"`
	Options  json.RawMessage `json:"options"`
}

func (p *Phone) openPairing(c *call) error {
	var token, code string
	if err := c.fields(map[string]any{"token": &token}); err != nil {
		if c.fields(map[string]any{"code": &code}) != nil {
			return err
		}
	}
	o, err := p.Flow.Open(c.r.Context(), c.caller, token, code)
	if err != nil {
		return err
	}
	return c.json(openAnswer{o.Pairing, o.Expires.Unix(), o.State, unlockAnswer{o.Unlock.Required, orNull(o.Unlock.Options)}})
}

// claimedAnswer is POST /app/v1/pairings/claim and POST /app/v1/restore.
type claimedAnswer struct {
	Device   string          `json:"device"`
	Account  string          `json:"account"`
	Code     string          `json:"code,omitempty"`
	Passcode *passcodeAnswer `json:"passcode"` // null where the house has no passcodes
	Expires  int64           `json:"expires,omitempty"`
}

type passcodeAnswer struct {
	Secret    string `json:"secret"`
	Algorithm string `json:"algorithm"`
	Digits    int    `json:"digits"`
	Period    int    `json:"period"`
}

func (p *Phone) claim(c *call) error {
	var in device.Claim
	err := c.fields(map[string]any{"state": &in.State, "key": &in.Key, "unlock": &in.Unlock, "name": &in.Name, "proof": &in.Proof})
	if err != nil {
		return err
	}
	out, err := p.Flow.Claim(c.r.Context(), c.caller, in)
	if err != nil {
		return err
	}
	return c.json(claimed(out))
}

func claimed(d device.Claimed) claimedAnswer {
	out := claimedAnswer{Device: d.Device, Account: d.Account, Code: d.Code}
	if !d.Expires.IsZero() {
		out.Expires = d.Expires.Unix()
	}
	if !d.Passcode.Secret.Empty() {
		// The one place where this secret leaves the house: the phone that it was made for asks once (rule 11).
		out.Passcode = &passcodeAnswer{d.Passcode.Secret.Reveal(), d.Passcode.Algorithm, d.Passcode.Digits, d.Passcode.Period}
	}
	return out
}

// pairing waits until the standing is another one than at first, or one that changes no more.
func (p *Phone) pairing(c *call) error {
	wait, err := c.wait()
	if err != nil {
		return err
	}
	id, first, standing := c.r.PathValue("id"), "", ""
	err = p.hold(c, enrol.PairingTopic(id), wait, func(ctx context.Context) (bool, error) {
		var err error
		standing, _, err = p.Flow.Pairing(ctx, c.phone, id)
		if first == "" {
			first = standing
		}
		return standing != first || standing == "paired" || standing == "ended", err
	})
	if err != nil {
		return err
	}
	return c.json(standingAnswer{standing})
}

func (p *Phone) cancelPairing(c *call) error {
	if err := c.bare(); err != nil {
		return err
	}
	if err := p.Flow.CancelPairing(c.r.Context(), c.phone, c.r.PathValue("id")); err != nil {
		return err
	}
	return c.done()
}

// movingAnswer is POST /app/v1/move.
type movingAnswer struct {
	Pairing string `json:"pairing"`
	Link    string `json:"link"`
	Code    string `json:"code"`
	Expires int64  `json:"expires"`
}

func (p *Phone) move(c *call) error {
	var unlock json.RawMessage
	if err := c.fields(map[string]any{"unlock": &unlock}); err != nil {
		return err
	}
	m, err := p.Flow.Move(c.r.Context(), c.phone, unlock)
	if err != nil {
		return err
	}
	return c.json(movingAnswer{m.Pairing, enrol.PairingLink(p.Door.Origin(), secret.NewString(m.Token)), m.Code, m.Expires.Unix()})
}

func (p *Phone) confirmMove(c *call) error {
	var pairing, code string
	if err := c.fields(map[string]any{"pairing": &pairing, "code": &code}); err != nil {
		return err
	}
	if err := p.Flow.ConfirmMove(c.r.Context(), c.phone, pairing, code); err != nil {
		return err
	}
	return c.done()
}

// openRestoreAnswer is POST /app/v1/restore/open.
type openRestoreAnswer struct {
	State   string          `json:"state"`
	Options json.RawMessage `json:"options"`
}

func (p *Phone) openRestore(c *call) error {
	if err := c.fields(map[string]any{}); err != nil {
		return err
	}
	o, err := p.Flow.OpenRestore(c.r.Context(), c.caller)
	if err != nil {
		return err
	}
	return c.json(openRestoreAnswer{o.State, orNull(o.Unlock.Options)})
}

func (p *Phone) restore(c *call) error {
	var in device.Claim
	err := c.fields(map[string]any{"state": &in.State, "key": &in.Key, "assertion": &in.Unlock, "name": &in.Name, "proof": &in.Proof})
	if err != nil {
		return err
	}
	out, err := p.Flow.Restore(c.r.Context(), c.caller, in)
	if err != nil {
		return err
	}
	return c.json(claimed(out))
}
