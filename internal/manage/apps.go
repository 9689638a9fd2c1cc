package manage

import (
	"context"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

var errNoApp = fault.New(fault.NotFound, "manage.no_application", "There is no such application.")

// AddApplication registers one; the client secret is returned once ("" where it is not confidential).
func (f *Flow) AddApplication(ctx context.Context, by By, a apps.Application, confidential bool) (apps.Application, secret.String, error) {
	if !by.Has(AppsWrite) {
		return apps.Application{}, secret.String{}, f.refuse(ctx, by, AppsWrite, "app.registered", "", "")
	}
	for _, text := range []string{a.Name, a.Category, a.Audience} {
		if !plain(text, 100) {
			return apps.Application{}, secret.String{}, errText.With("text", printable(text))
		}
	}
	a, made, err := f.Apps.Register(ctx, by.Actor, a, confidential)
	return shown(a), made, err
}

// RotateSecret gives an application (by id or client id) a new secret. The present one goes on working beside it
// until the next change, so that an application can be moved over; atOnce makes the new one the only one.
func (f *Flow) RotateSecret(ctx context.Context, by By, id string, atOnce bool) (secret.String, error) {
	a, err := f.application(ctx, by, AppsWrite, "app.secret_changed", id)
	if err != nil {
		return secret.String{}, err
	}
	return f.Apps.RotateSecret(ctx, by.Actor, a.OIDC.ClientID, !atOnce)
}

// SetClosed closes an application (by id or client id) or opens it again. While closed nothing is issued and its tokens
// are worth nothing.
func (f *Flow) SetClosed(ctx context.Context, by By, id string, closed bool) error {
	act := "app.opened"
	if closed {
		act = "app.closed"
	}
	a, err := f.application(ctx, by, AppsWrite, act, id)
	if err != nil {
		return err
	}
	return f.Apps.SetClosed(ctx, by.Actor, a.OIDC.ClientID, closed)
}

// RemoveApplication deletes an application (by id or client id) for good; what it was issued is worth nothing any more.
func (f *Flow) RemoveApplication(ctx context.Context, by By, id string) error {
	a, err := f.application(ctx, by, AppsWrite, "app.removed", id)
	if err != nil {
		return err
	}
	return f.Apps.Remove(ctx, by.Actor, a.OIDC.ClientID)
}

// Applications lists all, without anything that proves an application.
func (f *Flow) Applications(ctx context.Context, by By) ([]apps.Application, error) {
	if !by.Has(AppsRead) {
		return nil, f.refuse(ctx, by, AppsRead, "manage.read", "", "")
	}
	all, err := f.Apps.List(ctx)
	for i := range all {
		all[i] = shown(all[i])
	}
	return all, err
}

// Application finds by id, else by client id.
func (f *Flow) Application(ctx context.Context, by By, id string) (apps.Application, error) {
	return f.application(ctx, by, AppsRead, "manage.read", id)
}

func (f *Flow) application(ctx context.Context, by By, scope Scope, act, id string) (apps.Application, error) {
	if !by.Has(scope) {
		return apps.Application{}, f.refuse(ctx, by, scope, act, "", "")
	}
	all, err := f.Apps.List(ctx)
	if err != nil {
		return apps.Application{}, err
	}
	for _, a := range all {
		if a.ID == id || a.OIDC.ClientID == id {
			return shown(a), nil
		}
	}
	return apps.Application{}, errNoApp
}

// shown is a without its secrets' hashes (attack G107). What a proof rests on stays visible: TokenAuth.
func shown(a apps.Application) apps.Application {
	if len(a.OIDC.SecretHashes) > 0 && a.OIDC.TokenAuth == "" {
		a.OIDC.TokenAuth = apps.AuthBasic
	}
	a.OIDC.SecretHashes = nil
	return a
}
