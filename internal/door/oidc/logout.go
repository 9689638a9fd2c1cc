package oidc

import (
	"net/http"
	"net/url"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// logout answers an application's wish to sign its member out (OpenID Connect RP-Initiated Logout 1.0).
func (o *OIDC) logout(w http.ResponseWriter, r *http.Request) error {
	values, err := query(r)
	if err != nil {
		return err
	}
	req, err := parseLogout(values)
	if err != nil {
		return err
	}
	caller := o.Door.Caller(w, r, "oidc")
	plan, err := o.Apps.EndSession(r.Context(), caller, req)
	if err != nil {
		return err
	}
	if plan.Ask != "" {
		httpdoor.AllowFormTo(w, plan.Origin)
		return o.Pages.LogoutConfirm(w, r, plan.Application, pathConfirm, url.Values{"confirm": {plan.Ask}})
	}
	return o.end(w, r, caller, plan)
}

// parseLogout reads the parameters; each may come once. logout_hint and ui_locales are not needed: the browser's own
// session says who it is.
func parseLogout(v url.Values) (apps.LogoutRequest, error) {
	f, err := oneEach(url.Values{"id_token_hint": v["id_token_hint"], "client_id": v["client_id"],
		"post_logout_redirect_uri": v["post_logout_redirect_uri"], "state": v["state"]})
	if err != nil {
		return apps.LogoutRequest{}, errRequest.Because(err)
	}
	return apps.LogoutRequest{IDTokenHint: f.get("id_token_hint"), ClientID: f.get("client_id"),
		Redirect: f.get("post_logout_redirect_uri"), State: f.get("state")}, nil
}

// logoutPost turns a posted request into the same by GET, as authorizePost does and for the same reason.
func (o *OIDC) logoutPost(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return errRequest.Because(err)
	}
	if _, err := parseLogout(r.PostForm); err != nil {
		return err
	}
	return seeOther(w, pathLogout+"?"+r.PostForm.Encode())
}

// logoutConfirm takes the answer of our own page.
func (o *OIDC) logoutConfirm(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return errRequest.Because(err)
	}
	if r.PostForm.Get("answer") == "no" {
		return httpdoor.SeeOther(w, "/apps")
	}
	caller := o.Door.Caller(w, r, "oidc")
	plan, err := o.Apps.Confirm(r.Context(), caller, r.PostForm.Get("confirm"))
	if err != nil {
		return err
	}
	return o.end(w, r, caller, plan)
}

// end signs out where that was decided, and goes where the application is registered to be told.
func (o *OIDC) end(w http.ResponseWriter, r *http.Request, caller signin.Caller, plan apps.Logout) error {
	if plan.SignOut {
		if err := o.SignIn.SignOut(r.Context(), caller, false); err != nil {
			return err
		}
		httpdoor.SetSession(w, secret.String{})
	}
	if plan.Redirect == "" {
		return o.Pages.LoggedOut(w, r, plan.Application, "")
	}
	fields := map[string]string{}
	if plan.State != "" {
		fields["state"] = plan.State
	}
	if len(fields) == 0 {
		return seeOther(w, plan.Redirect)
	}
	return seeOther(w, withParams(plan.Redirect, fields))
}
