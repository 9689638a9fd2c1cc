package phone

import (
	"context"
	"encoding/base64"
	"encoding/json"

	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// maxShown bounds a line that the phone shows, in characters.
const maxShown = 120

// houseAnswer is GET /app/v1/house.
type houseAnswer struct {
	Protocol    int    `json:"protocol"`
	Institution string `json:"institution"`
	Accent      string `json:"accent"`
	Server      string `json:"server"`
	Origin      string `json:"origin"`
	Unlock      string `json:"unlock"`
	Push        string `json:"push"`
	Help        help   `json:"help"`
	Now         int64  `json:"now"`
}

type help struct {
	URL   string `json:"url"`
	Phone string `json:"phone"`
	Mail  string `json:"mail"`
}

func (p *Phone) house(c *call) error {
	if err := c.bare(); err != nil {
		return err
	}
	h, err := p.House(c.r.Context())
	if err != nil {
		return err
	}
	unlock := "optional"
	if h.UnlockRequired {
		unlock = "required"
	}
	return c.json(houseAnswer{Protocol: Protocol, Institution: h.Institution, Accent: h.Accent, Server: h.Server, Origin: p.Door.Origin(),
		Unlock: unlock, Push: h.Push, Help: help{h.HelpURL, h.HelpPhone, h.HelpMail}, Now: p.Now().Unix()})
}

// accountAnswer is GET /app/v1/account.
type accountAnswer struct {
	Account     string `json:"account"`
	Username    string `json:"username"`
	Name        string `json:"name"`
	DeviceName  string `json:"device_name"`
	Push        bool   `json:"push"`
	Unlock      bool   `json:"unlock"`
	PasskeyURL  string `json:"passkey_url"`
	SecurityURL string `json:"security_url"`
}

func (p *Phone) account(c *call) error {
	if err := c.bare(); err != nil {
		return err
	}
	a, err := p.Flow.Account(c.r.Context(), c.phone)
	if err != nil {
		return err
	}
	h, err := p.House(c.r.Context())
	if err != nil {
		return err
	}
	return c.json(accountAnswer{Account: a.Account, Username: a.Username, Name: enrol.Line(a.Name, maxShown), DeviceName: enrol.Line(a.DeviceName, maxShown),
		Push: a.Push, Unlock: a.Unlock, PasskeyURL: h.Server + "/security/add/passkey", SecurityURL: h.Server + "/security"})
}

// requestsAnswer is GET /app/v1/requests. The number to be typed is in no field of it (attack G47).
type requestsAnswer struct {
	Now      int64           `json:"now"`
	Requests []requestAnswer `json:"requests"`
}

type requestAnswer struct {
	ID          string `json:"id"`
	Account     string `json:"account"`
	Digits      int    `json:"digits"`
	Application string `json:"application"`
	Country     string `json:"country"`
	Place       string `json:"place"`
	Address     string `json:"address"`
	Agent       string `json:"agent"`
	Known       bool   `json:"known"`
	Created     int64  `json:"created"`
	Expires     int64  `json:"expires"`
	Extend      bool   `json:"extend"`
}

func (p *Phone) requests(c *call) error {
	wait, err := c.wait()
	if err != nil {
		return err
	}
	var list []device.Request
	err = p.hold(c, signin.RequestsTopic(c.phone.Person), wait, func(ctx context.Context) (bool, error) {
		var err error
		list, _, err = p.Flow.Requests(ctx, c.phone)
		return len(list) > 0, err
	})
	if err != nil {
		return err
	}
	out := requestsAnswer{Now: p.Now().Unix(), Requests: make([]requestAnswer, len(list))}
	for i, r := range list {
		agent, _ := p.Texts.Agent(c.caller.Locale, r.Agent)
		out.Requests[i] = requestAnswer{ID: r.ID, Account: r.Account, Digits: r.Digits, Application: enrol.Line(r.Application, maxShown),
			Country: r.Country, Place: p.Texts.Place(c.caller.Locale, r.Country), Address: r.Address, Agent: enrol.Line(agent, maxShown),
			Known: r.Known, Created: r.Created.Unix(), Expires: r.Expires.Unix(), Extend: r.CanExtend}
	}
	return c.json(out)
}

// standingAnswer says how a request or a pairing stands.
type standingAnswer struct {
	Standing string `json:"standing"`
}

func (p *Phone) answer(c *call) error {
	var a device.Answer
	if err := c.fields(map[string]any{"answer": &a.JWS, "unlock": &a.Unlock}); err != nil {
		return err
	}
	standing, err := p.Flow.Answer(c.r.Context(), c.phone, c.r.PathValue("id"), a)
	if err != nil {
		return err
	}
	return c.json(standingAnswer{standing})
}

// expiresAnswer says when a request ends now.
type expiresAnswer struct {
	Expires int64 `json:"expires"`
}

func (p *Phone) extend(c *call) error {
	if err := c.bare(); err != nil {
		return err
	}
	expires, err := p.Flow.Extend(c.r.Context(), c.phone, c.r.PathValue("id"))
	if err != nil {
		return err
	}
	return c.json(expiresAnswer{expires.Unix()})
}

func (p *Phone) subscribe(c *call) error {
	var e device.Endpoint
	var key, auth string
	if err := c.fields(map[string]any{"endpoint": &e.URL, "p256dh": &key, "auth": &auth}); err != nil {
		return err
	}
	// What does not read is no key, and the flow says so.
	e.P256DH, _ = base64.RawURLEncoding.Strict().DecodeString(key)
	e.Auth, _ = base64.RawURLEncoding.Strict().DecodeString(auth)
	if err := p.Flow.Subscribe(c.r.Context(), c.phone, e); err != nil {
		return err
	}
	return c.done()
}

func (p *Phone) unsubscribe(c *call) error {
	if err := c.bare(); err != nil {
		return err
	}
	if err := p.Flow.Unsubscribe(c.r.Context(), c.phone); err != nil {
		return err
	}
	return c.done()
}

func (p *Phone) leave(c *call) error {
	if err := c.bare(); err != nil {
		return err
	}
	if err := p.Flow.Leave(c.r.Context(), c.phone); err != nil {
		return err
	}
	return c.done()
}

// orNull is null where there are no WebAuthn options.
func orNull(m json.RawMessage) json.RawMessage {
	if len(m) == 0 {
		return json.RawMessage("null")
	}
	return m
}
