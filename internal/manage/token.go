package manage

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// MaxTokenLife is the longest an API token may live.
const MaxTokenLife = 366 * 24 * time.Hour

// TokenPrefix lets secret scanners recognise a token that was published by mistake.
const TokenPrefix = "gha_"

var (
	errToken         = fault.New(fault.Unauthenticated, "manage.token", "Send a live administration token as \"Authorization: Bearer …\".")
	errTokenScope    = fault.New(fault.BadInput, "manage.token_scope", "A token may be given scopes that its maker holds, and no others.")
	errTokenOutlives = fault.New(fault.BadInput, "manage.token_outlives", "A token may not outlive the one that makes it. Ask for fewer days, or make it on the command line.")
	errTokenLife     = fault.New(fault.BadInput, "manage.token_life", "A token lives between a minute and 366 days.")
)

// AddToken makes a token with some of by's own scopes; its value is returned once.
func (f *Flow) AddToken(ctx context.Context, by By, name string, granted []Scope, life time.Duration) (apps.APIToken, secret.String, error) {
	now := f.Now()
	t := apps.APIToken{Name: name, Created: now, Expires: now.Add(life)}
	for _, s := range granted {
		t.Scopes = append(t.Scopes, string(s))
	}
	if by.Has(TokensWrite) {
		if name == "" || !plain(name, 60) {
			return t, secret.String{}, errText.With("text", printable(name))
		}
		if life < time.Minute || life > MaxTokenLife {
			return t, secret.String{}, errTokenLife
		}
		if !by.Expires.IsZero() && t.Expires.After(by.Expires) {
			return t, secret.String{}, errTokenOutlives
		}
		for _, s := range granted {
			if !slices.Contains(scopes[:], s) || !by.Has(s) {
				return t, secret.String{}, errTokenScope.With("scope", printable(string(s)))
			}
		}
	}
	made := secret.NewString(TokenPrefix + secret.Token(32).Reveal())
	t.Hash = secret.Hash(made.Reveal())
	err := f.do(ctx, by, TokensWrite, "token.added", "", t.Name, func(s Store, e *audit.Entry) error {
		e.Detail = map[string]string{"scopes": strings.Join(t.Scopes, " ")}
		return s.AddToken(ctx, t)
	})
	if err != nil {
		return apps.APIToken{}, secret.String{}, err
	}
	t.Hash = nil
	return t, made, nil
}

// RemoveToken ends a token at once, by name.
func (f *Flow) RemoveToken(ctx context.Context, by By, name string) error {
	return f.do(ctx, by, TokensWrite, "token.removed", "", printable(name), func(s Store, _ *audit.Entry) error {
		ok, err := s.RemoveToken(ctx, name)
		if err == nil && !ok {
			err = fault.New(fault.NotFound, "manage.no_token", "There is no such token.")
		}
		return err
	})
}

// Tokens lists them without their hashes.
func (f *Flow) Tokens(ctx context.Context, by By) (list []apps.APIToken, err error) {
	err = f.see(ctx, by, TokensRead, func(s Store) (err error) {
		list, err = s.Tokens(ctx)
		for i := range list {
			list[i].Hash = nil
		}
		return err
	})
	return list, err
}

// WhoIs tells whose token this is; fault Unauthenticated for none, an unknown or an expired one, all alike.
func (f *Flow) WhoIs(ctx context.Context, bearer secret.String) (By, error) {
	if bearer.Empty() {
		return By{}, errToken
	}
	var t apps.APIToken
	err := f.View(ctx, func(s Store) (err error) {
		t, err = s.TokenByHash(ctx, secret.Hash(bearer.Reveal()))
		return err
	})
	if fault.IsKind(err, fault.NotFound) || err == nil && !t.Expires.IsZero() && !f.Now().Before(t.Expires) {
		return By{}, errToken
	}
	if err != nil {
		return By{}, err
	}
	by := By{Actor: "token:" + t.Name, Door: "admin", Expires: t.Expires}
	for _, s := range t.Scopes {
		by.Scopes = append(by.Scopes, Scope(s))
	}
	return by, nil
}
