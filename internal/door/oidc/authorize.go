package oidc

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// authorize answers an authorization request (RFC 6749 section 4.1.1).
func (o *OIDC) authorize(w http.ResponseWriter, r *http.Request) error {
	values, err := query(r)
	if err != nil {
		return err
	}
	req, err := parseAuthorize(values)
	if err != nil {
		return err
	}
	return o.admit(w, r, o.Door.Caller(w, r, "oidc"), req)
}

// query reads the parameters of the address; what cannot be read is no request.
func query(r *http.Request) (url.Values, error) {
	if len(r.URL.RawQuery) > 4*maxRequest {
		return nil, errRequest
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, errRequest.Because(err)
	}
	return values, nil
}

// authorizePost turns a posted request (OpenID Connect Core section 3.1.2.1) into the same request by GET: a browser
// that comes from another site by POST leaves our cookies at home (SameSite=Lax), by GET it brings them.
func (o *OIDC) authorizePost(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return errRequest.Because(err)
	}
	if _, err := parseAuthorize(r.PostForm); err != nil {
		return err
	}
	return seeOther(w, pathAuthorize+"?"+r.PostForm.Encode())
}

// authorizeContinue goes on after the sign-in page with the request as it was.
func (o *OIDC) authorizeContinue(w http.ResponseWriter, r *http.Request) error {
	caller := o.Door.Caller(w, r, "oidc")
	target, err := o.SignIn.ReadTarget(r.Context(), caller, r.URL.Query().Get("attempt"))
	if err != nil {
		return err
	}
	var req apps.Request
	if target.Return != apps.Continue || json.Unmarshal(target.State, &req) != nil {
		return errRequest
	}
	return o.admit(w, r, caller, req)
}

func (o *OIDC) admit(w http.ResponseWriter, r *http.Request, caller signin.Caller, req apps.Request) error {
	a, err := o.Apps.Admit(r.Context(), caller, req)
	if err != nil {
		return err
	}
	switch {
	case a.Outcome == apps.Issued:
		return o.reply(w, r, a.Reply, map[string]string{"code": a.Code.Reveal()})
	case a.Problem != nil:
		_, code, ok := protocolCode(a.Problem)
		if !ok {
			return a.Problem
		}
		return o.reply(w, r, a.Reply, map[string]string{"error": code, "error_description": a.Problem.Public})
	case a.Target.Return == "":
		return fault.New(fault.Forbidden, "oauth.refused", "You cannot open this application.")
	}
	ref, err := o.SignIn.Open(caller, a.Target)
	if err != nil {
		return err
	}
	return seeOther(w, "/signin?attempt="+url.QueryEscape(ref))
}

// reply sends the answer to the application, with the issuer beside it (RFC 9207) and the state it came with.
func (o *OIDC) reply(w http.ResponseWriter, r *http.Request, to apps.Reply, fields map[string]string) error {
	fields["iss"] = o.Issuer
	if to.State != "" {
		fields["state"] = to.State
	}
	if to.Mode == apps.ModeFormPost {
		posted := url.Values{}
		for k, v := range fields {
			posted.Set(k, v)
		}
		return o.Pages.FormPost(w, r, to.RedirectURI, posted)
	}
	return seeOther(w, withParams(to.RedirectURI, fields))
}

// withParams adds parameters to a registered address without parsing it: nothing of it changes.
func withParams(uri string, fields map[string]string) string {
	q := url.Values{}
	for k, v := range fields {
		q.Set(k, v)
	}
	separator := "?"
	if strings.Contains(uri, "?") {
		separator = "&"
	}
	return uri + separator + q.Encode()
}

// seeOther redirects with 303, after which no browser repeats a posted password (RFC 9700 section 4.12).
func seeOther(w http.ResponseWriter, to string) error {
	h := w.Header()
	h.Del("Content-Type")
	h.Set("Cache-Control", "no-store")
	h.Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}
