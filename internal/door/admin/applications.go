package admin

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/manage"
)

// Application is a registration as the API shows it: its secret is kept as a hash and never shown.
type Application struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Category string    `json:"category,omitempty"`
	Audience string    `json:"audience,omitempty"`
	URL      string    `json:"url,omitempty"`
	Closed   bool      `json:"closed"`
	Created  time.Time `json:"created"`
	Client   Client    `json:"client"`
}

// Client is the OpenID Connect part (names as in OpenID Connect Registration 1.0).
type Client struct {
	ClientID               string   `json:"client_id" readOnly:"true"`
	Public                 bool     `json:"public,omitempty" doc:"No secret; PKCE only."`
	RedirectURIs           []string `json:"redirect_uris,omitempty" maxItems:"50"`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty" maxItems:"50"`
	GrantTypes             []string `json:"grant_types,omitempty" maxItems:"3" doc:"authorization_code, refresh_token, client_credentials"`
	Scopes                 []string `json:"scopes,omitempty" maxItems:"50"`
	WithoutPKCE            bool     `json:"without_pkce,omitempty"`
	IDTokenAlg             string   `json:"id_token_alg,omitempty" enum:"ES256,RS256"`
	OpaqueAccessToken      bool     `json:"opaque_access_token,omitempty"`
	TokenAudience          string   `json:"token_audience,omitempty" maxLength:"400"`
	TokenAuth              string   `json:"token_auth,omitempty" enum:"client_secret_basic,client_secret_post,none"`
	RefreshMaxSeconds      int64    `json:"refresh_max_seconds,omitempty" minimum:"0" maximum:"31622400"`
	Pairwise               bool     `json:"pairwise,omitempty"`
}

type (
	AppPath struct {
		ID string `path:"id" maxLength:"64"`
	}
	appsOut struct {
		Body struct {
			Applications []Application `json:"applications"`
		}
	}
	appOut   struct{ Body Application }
	addAppIn struct {
		Body struct {
			Name     string    `json:"name" minLength:"1" maxLength:"80"`
			Category string    `json:"category,omitempty" maxLength:"80"`
			Audience string    `json:"audience,omitempty" maxLength:"80"`
			URL      string    `json:"url,omitempty" maxLength:"2000"`
			Client   NewClient `json:"client"`
		}
	}
	addAppOut struct {
		Body struct {
			Application  Application `json:"application"`
			ClientSecret string      `json:"client_secret,omitempty" doc:"Shown this once."`
		}
	}
	rotateIn struct {
		AppPath
		Body struct {
			AtOnce bool `json:"at_once,omitempty" doc:"The present secret stops working now; otherwise at the next change."`
		}
	}
	secretOut struct {
		Body struct {
			ClientSecret string `json:"client_secret" doc:"Shown this once."`
		}
	}
)

// NewClient is a Client as it is registered: its id is made by the house.
type NewClient struct {
	Public                 bool     `json:"public,omitempty" doc:"No secret; PKCE only."`
	RedirectURIs           []string `json:"redirect_uris,omitempty" maxItems:"50"`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty" maxItems:"50"`
	GrantTypes             []string `json:"grant_types,omitempty" maxItems:"3" doc:"authorization_code, refresh_token, client_credentials"`
	Scopes                 []string `json:"scopes,omitempty" maxItems:"50"`
	WithoutPKCE            bool     `json:"without_pkce,omitempty"`
	IDTokenAlg             string   `json:"id_token_alg,omitempty" enum:"ES256,RS256"`
	OpaqueAccessToken      bool     `json:"opaque_access_token,omitempty"`
	TokenAudience          string   `json:"token_audience,omitempty" maxLength:"400"`
	TokenAuth              string   `json:"token_auth,omitempty" enum:"client_secret_basic,client_secret_post"`
	RefreshMaxSeconds      int64    `json:"refresh_max_seconds,omitempty" minimum:"0" maximum:"31622400"`
	Pairwise               bool     `json:"pairwise,omitempty"`
}

func (a *API) applications() {
	route(a, "GET", "/applications", "list-applications", "All applications", manage.AppsRead,
		func(ctx context.Context, by manage.By, _ *struct{}) (*appsOut, error) {
			all, err := a.Flow.Applications(ctx, by)
			out := &appsOut{}
			out.Body.Applications = []Application{}
			for _, app := range all {
				out.Body.Applications = append(out.Body.Applications, shownApp(app))
			}
			return out, err
		})
	route(a, "POST", "/applications", "create-application", "Register an application", manage.AppsWrite, a.addApplication)
	route(a, "GET", "/applications/{id}", "get-application", "One application, by id or client id", manage.AppsRead,
		func(ctx context.Context, by manage.By, in *AppPath) (*appOut, error) {
			app, err := a.Flow.Application(ctx, by, in.ID)
			return &appOut{shownApp(app)}, err
		})
	route(a, "POST", "/applications/{id}/secret", "rotate-secret", "Give an application a new secret", manage.AppsWrite,
		func(ctx context.Context, by manage.By, in *rotateIn) (*secretOut, error) {
			made, err := a.Flow.RotateSecret(ctx, by, in.ID, in.Body.AtOnce)
			out := &secretOut{}
			out.Body.ClientSecret = made.Reveal()
			return out, err
		})
	route(a, "POST", "/applications/{id}/close", "close-application", "Close an application: its tokens are worth nothing from now on", manage.AppsWrite,
		func(ctx context.Context, by manage.By, in *AppPath) (*doneOut, error) {
			return &doneOut{}, a.Flow.SetClosed(ctx, by, in.ID, true)
		})
	route(a, "POST", "/applications/{id}/open", "open-application", "Open a closed application again", manage.AppsWrite,
		func(ctx context.Context, by manage.By, in *AppPath) (*doneOut, error) {
			return &doneOut{}, a.Flow.SetClosed(ctx, by, in.ID, false)
		})
}

func (a *API) addApplication(ctx context.Context, by manage.By, in *addAppIn) (*addAppOut, error) {
	c := in.Body.Client
	app := apps.Application{Name: in.Body.Name, Category: in.Body.Category, Audience: in.Body.Audience, URL: in.Body.URL,
		OIDC: apps.OIDC{RedirectURIs: c.RedirectURIs, PostLogoutRedirectURIs: c.PostLogoutRedirectURIs, GrantTypes: c.GrantTypes,
			Scopes: c.Scopes, WithoutPKCE: c.WithoutPKCE, IDTokenAlg: c.IDTokenAlg, OpaqueAccessToken: c.OpaqueAccessToken,
			Audience: c.TokenAudience, TokenAuth: c.TokenAuth, RefreshMax: c.RefreshMaxSeconds, PairwiseSubject: c.Pairwise}}
	if c.Public {
		app.OIDC.TokenAuth = apps.AuthNone
	}
	app, made, err := a.Flow.AddApplication(ctx, by, app, !c.Public)
	if err != nil {
		return nil, err
	}
	out := &addAppOut{}
	out.Body.Application, out.Body.ClientSecret = shownApp(app), made.Reveal()
	return out, nil
}

func shownApp(a apps.Application) Application {
	o := a.OIDC
	return Application{ID: a.ID, Name: a.Name, Category: a.Category, Audience: a.Audience, URL: a.URL, Closed: a.Closed, Created: a.Created,
		Client: Client{ClientID: o.ClientID, Public: o.TokenAuth == apps.AuthNone, RedirectURIs: o.RedirectURIs,
			PostLogoutRedirectURIs: o.PostLogoutRedirectURIs, GrantTypes: o.GrantTypes, Scopes: o.Scopes, WithoutPKCE: o.WithoutPKCE,
			IDTokenAlg: o.IDTokenAlg, OpaqueAccessToken: o.OpaqueAccessToken, TokenAudience: o.Audience, TokenAuth: o.TokenAuth,
			RefreshMaxSeconds: o.RefreshMax, Pairwise: o.PairwiseSubject}}
}
