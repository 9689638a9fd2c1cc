package main

import (
	"context"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/app"
	"github.com/gatehouse-id/gatehouse/internal/method/oath"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey"
	"github.com/gatehouse-id/gatehouse/internal/method/password"
	"github.com/gatehouse-id/gatehouse/internal/method/phone"
	"github.com/gatehouse-id/gatehouse/internal/method/recovery"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

// newMethods makes the ways of proving that this house offers.
func (h *house) newMethods() (map[method.Kind]method.Method, error) {
	c := h.houseConfig
	pk, err := passkey.New(passkey.Settings{RPID: c.Base.Hostname(), RPName: c.Campus.Name, Origins: []string{c.issuer()}})
	if err != nil {
		return nil, err
	}
	settings := c.Passwords
	settings.Context = []string{c.Campus.Name, c.Campus.ID}
	settings.MinLength = h.leastPassword
	pw, err := password.New(settings)
	if err != nil {
		return nil, err
	}
	codes, err := oath.New(oath.Settings{Issuer: c.Campus.Name})
	if err != nil {
		return nil, err
	}
	list := []method.Method{pk, pw, codes, recovery.Method{}}
	if c.AppBase != nil {
		requests, err := app.New(app.Settings{Server: c.issuer(), Origin: c.appOrigin(), RPID: c.AppBase.Hostname(), Name: c.Campus.Name})
		if err != nil {
			return nil, err
		}
		list = append(list, requests)
	}
	if t := c.Text; t != nil {
		numbers, err := phone.New(phone.Settings{Country: t.Country, Countries: t.Caps.Countries, Channels: t.Channels})
		if err != nil {
			return nil, err
		}
		list = append(list, numbers)
	}
	out := map[method.Kind]method.Method{}
	for _, m := range list {
		out[m.Traits().Kind] = m
	}
	return out, nil
}

// leastPassword is how long a person's password must be under the policy in force. Where that cannot be read, a
// password is taken to be the only proof.
func (h *house) leastPassword(s method.Subject) int {
	least := password.AloneChars
	_, view := store.Bind[signin.Store](h.db)
	ctx := context.Background()
	err := view(ctx, func(st signin.Store) error {
		inForce, err := st.PolicyInForce(ctx)
		if err != nil {
			return err
		}
		p, err := st.PersonByID(ctx, people.ID(s.ID))
		if err == nil && !inForce.PasswordMayStandAlone(signin.PolicyPerson(p)) {
			least = password.MinChars
		}
		return err
	})
	if err != nil && !fault.IsKind(err, fault.NotFound) {
		h.Log.Error("the policy for a password's length could not be read", "err", err)
	}
	return least
}

// limited is m with the campus' own limit of credentials per person, where it set one.
func (c houseConfig) limited(m method.Method) method.Method {
	n := c.Campus.Limits[m.Traits().Kind]
	if n == 0 || m.Traits().Replaced { // of a set there is one
		return m
	}
	l := limited{m, n}
	if h, ok := m.(method.Handled); ok {
		return limitedHandled{l, h}
	}
	if o, ok := m.(method.Outbound); ok {
		if told, ok := m.(method.Told); ok {
			return limitedTold{limitedOutbound{l, o}, told}
		}
		return limitedOutbound{l, o}
	}
	return l
}

type limited struct {
	method.Method
	limit int
}

func (l limited) Traits() method.Traits {
	t := l.Method.Traits()
	t.Limit = l.limit
	return t
}

type limitedHandled struct {
	limited
	method.Handled
}

type limitedOutbound struct {
	limited
	method.Outbound
}

type limitedTold struct {
	limitedOutbound
	method.Told
}
