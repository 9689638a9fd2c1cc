package apps

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// Continue is the local path to which the sign-in page returns; the flow adds "?attempt=".
const Continue = "/oauth2/authorize/continue"

// Outcome of an authorization request. The zero value refuses.
type Outcome uint8

const (
	// Refused: Problem goes to the application, or Target shows the member the reasons where it is set.
	Refused Outcome = iota
	// NeedsSignIn: the sign-in page is next, for Target.
	NeedsSignIn
	// Issued: Code goes to the application.
	Issued
)

// Admission is the answer to an authorization request whose client and redirect URI are right.
type Admission struct {
	Outcome Outcome
	Reply   Reply
	Code    secret.String
	Target  signin.Target
	Problem *fault.Error
	Reasons []policy.Reason
}

// hint is a verified ID token that came back (id_token_hint).
type hint struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Session  string `json:"sid"`
	Expires  int64  `json:"exp"`
}

// asked is what the grant remembers in Grant.Claims.
type asked struct {
	UserInfo  []string `json:"u,omitempty"`
	IDToken   []string `json:"i,omitempty"`
	ACR       []string `json:"acr,omitempty"`
	Essential bool     `json:"e,omitempty"`
	// Policy and Person are the versions that the last decision was made on: while both stand, an access token
	// needs no decision of its own.
	Policy int64 `json:"pv"`
	Person int64 `json:"uv"`
}

// seen is what an authorization request was judged on.
type seen struct {
	app      Application
	problem  *fault.Error
	signedIn bool
	session  session.Session
	person   people.Person
	decision policy.Decision
	family   string // of the remembered browser that the decision rests on
}

// Admit answers an authorization request: one reading and, where something is issued or refused, one writing
// transaction. An unknown client or an unregistered redirect URI is returned as an error, for our own page: there is
// nobody to redirect to. All else is an Admission.
func (f *Flow) Admit(ctx context.Context, caller signin.Caller, req Request) (Admission, error) {
	now := f.Now()
	if req.Started.IsZero() {
		req.Started = now
	}
	if floor := now.Add(-signin.PageFor); req.Started.Before(floor) {
		req.Started = floor // an old page must not make an old proof one that was given since the request began
	}
	hinted, hintProblem := f.readHint(ctx, req)
	var at seen
	err := f.View(ctx, func(s FlowStore) (err error) {
		at, err = f.look(ctx, s, caller, req)
		return err
	})
	if err != nil {
		return Admission{}, err
	}
	if at.problem == nil {
		at.problem = hintProblem
	}
	a := Admission{Reply: req.reply(), Problem: at.problem}
	if a.Problem == nil {
		a.Problem = f.wrongPerson(at, req, hinted)
	}
	switch {
	case a.Problem != nil:
		return a, nil
	case at.signedIn && at.decision.Verdict == policy.Allow && !(another(req) && req.Round == 0):
		return f.issue(ctx, caller, req, at, a)
	case at.signedIn && at.decision.Verdict == policy.Deny:
		return f.refuse(ctx, caller, req, at, a)
	}
	return f.ask(req, at, a)
}

func another(req Request) bool { return slices.Contains(req.Prompt, "select_account") }

// readHint verifies an id_token_hint. One that is not ours is the application's mistake.
func (f *Flow) readHint(ctx context.Context, req Request) (hint, *fault.Error) {
	if req.IDTokenHint == "" {
		return hint{}, nil
	}
	h, err := f.verifyHint(ctx, req.IDTokenHint)
	if err != nil || h.Audience != req.ClientID {
		return hint{}, badRequest("id_token_hint is not an ID token of ours for this client.")
	}
	return h, nil
}

// look loads what the request is judged on, and judges it.
func (f *Flow) look(ctx context.Context, s FlowStore, caller signin.Caller, req Request) (seen, error) {
	var at seen
	var err error
	at.app, err = s.ApplicationByClientID(ctx, req.ClientID)
	switch {
	case fault.IsKind(err, fault.NotFound):
		return at, errClientUnknown
	case err != nil:
		return at, err
	case !redirectRegistered(at.app.OIDC, req.RedirectURI):
		return at, errRedirect
	case at.app.Closed:
		return at, errClientClosed
	}
	if at.problem = req.check(at.app); at.problem != nil {
		return at, nil
	}
	at.session, at.person, err = f.SignIn.Session(ctx, s, caller)
	if fault.IsKind(err, fault.Unauthenticated) {
		return at, nil
	}
	if err != nil {
		return at, err
	}
	at.signedIn = true
	remembered, err := f.SignIn.Remembered(ctx, s, caller, at.person)
	if err != nil {
		return at, err
	}
	at.decision, err = f.SignIn.Judge(ctx, s, at.session, at.person, at.app.policyApplication(), policy.ActSignIn, req.demand(), remembered)
	if err == nil && at.decision.UsedRemembered {
		at.family, err = familyOf(ctx, s, caller, at.person)
	}
	return at, err
}

// familyOf names the remembered browser that the decision rests on: the grant dies with it.
func familyOf(ctx context.Context, s FlowStore, caller signin.Caller, person people.Person) (string, error) {
	for _, token := range caller.Remembered[:min(len(caller.Remembered), session.MaxRemembered)] {
		family, _, ok := session.ParseToken(token)
		if !ok {
			continue
		}
		b, err := s.BrowserByFamily(ctx, family)
		if err == nil && b.Person == string(person.ID) {
			return family, nil
		}
		if err != nil && !fault.IsKind(err, fault.NotFound) {
			return "", err
		}
	}
	return "", nil
}

// wrongPerson answers where the application named who must answer (id_token_hint, the sub claim) and somebody else is
// signed in (OpenID Connect Core sections 3.1.2.1 and 5.5.1). Before anybody is, the sign-in page is shown.
func (f *Flow) wrongPerson(at seen, req Request, h hint) *fault.Error {
	if !at.signedIn {
		return nil
	}
	sub := f.subject(at.app, at.person.ID)
	for _, want := range []string{h.Subject, req.Claims.Subject} {
		if want != "" && want != sub {
			return oauth(fault.Unauthenticated, "login_required", "Another person is signed in.")
		}
	}
	return nil
}

// ask sends to the sign-in page, or says why it may not.
func (f *Flow) ask(req Request, at seen, a Admission) (Admission, error) {
	if req.silent() || req.Round >= MaxRounds {
		a.Problem = oauth(fault.Unauthenticated, "login_required", "Nobody is signed in, or not recently enough.")
		if at.signedIn && at.decision.Verdict == policy.Ask && !aboutTime(at.decision.Reasons) {
			a.Problem = oauth(fault.Unauthenticated, "interaction_required", "A further proof is needed.")
		}
		return a, nil
	}
	target, err := f.target(req, at)
	a.Outcome, a.Target, a.Reasons = NeedsSignIn, target, at.decision.Reasons
	return a, err
}

func (f *Flow) target(req Request, at seen) (signin.Target, error) {
	back := req
	back.Round++
	state, err := json.Marshal(back)
	return signin.Target{
		Application: at.app.ID, Act: policy.ActSignIn, Demand: req.demand(), Return: Continue, State: state,
		Hint: req.LoginHint, ActionOrigin: origin(req.RedirectURI), Another: another(req) && req.Round == 0,
	}, err
}

// aboutTime reports whether all that is missing is a newer proof.
func aboutTime(reasons []policy.Reason) bool {
	for _, r := range reasons {
		if !strings.HasPrefix(r.Code, "freshness") && r.Code != "demand.max_age" && r.Code != "demand.login" {
			return false
		}
	}
	return true
}

// refuse records policy's refusal. What the application demands and nobody can meet is told to the application; for the
// rest the member is shown the reasons on the sign-in page, except where no page may be shown.
func (f *Flow) refuse(ctx context.Context, caller signin.Caller, req Request, at seen, a Admission) (Admission, error) {
	a.Reasons = at.decision.Reasons
	first := policy.Reason{Code: "policy"}
	if len(a.Reasons) > 0 {
		first = a.Reasons[0]
	}
	switch {
	case first.Code == "demand.acr":
		a.Problem = oauth(fault.Forbidden, "unmet_authentication_requirements", "The authentication that was asked for cannot be met.")
	case req.silent() || req.Round >= MaxRounds:
		a.Problem = oauth(fault.Forbidden, "access_denied", "Policy does not let this person in.")
	default:
		var err error
		if a.Target, err = f.target(req, at); err != nil {
			return a, err
		}
	}
	err := f.InTx(ctx, func(s FlowStore) error {
		entry := signin.Entry(caller, f.Now(), at.person, "app.admitted", audit.Refused)
		entry.Object, entry.Reason = at.app.ID, first.Code
		entry.Detail["rule"], entry.Detail["application"] = first.Rule, at.app.Name
		return s.Record(ctx, entry)
	})
	return a, err
}

// issue makes the grant and its code, with the audit entry, in one transaction. The session is looked at again in it:
// signing out at the same moment wins.
func (f *Flow) issue(ctx context.Context, caller signin.Caller, req Request, at seen, a Admission) (Admission, error) {
	g, code, err := f.newGrant(req, at)
	if err != nil {
		return a, err
	}
	entry := signin.Entry(caller, g.Created, at.person, "app.admitted", audit.Done)
	entry.Object = at.app.ID
	entry.Detail = map[string]string{"application": at.app.Name, "grant": g.ID, "scope": g.Scope, "acr": g.ACR, "session": g.Session}
	ended := false
	err = f.InTx(ctx, func(s FlowStore) error {
		ended = false
		live, err := s.SessionByID(ctx, g.Session)
		if fault.IsKind(err, fault.NotFound) {
			ended = true
			return nil
		}
		if err != nil {
			return err
		}
		if session.NeedsTouch(live, g.Created) {
			if err := s.TouchSession(ctx, live.ID, g.Created); err != nil {
				return err
			}
		}
		if err := s.AddGrant(ctx, g); err != nil {
			return err
		}
		return s.Record(ctx, entry)
	})
	if err != nil {
		return a, err
	}
	if ended {
		at.signedIn = false
		return f.ask(req, at, a)
	}
	a.Outcome, a.Code, a.Reasons = Issued, code, at.decision.Reasons
	return a, nil
}

// newGrant is the right that an allowed request gives, and its code.
func (f *Flow) newGrant(req Request, at seen) (Grant, secret.String, error) {
	now := f.Now()
	id := secret.NewID(now)
	code := secret.NewString(id + "." + secret.Token(32).Reveal())
	scopes := grantedScopes(at.app.OIDC, req.Scope)
	claims, err := json.Marshal(asked{UserInfo: req.Claims.UserInfo, IDToken: req.Claims.IDToken, ACR: req.Claims.ACR,
		Essential: req.Claims.Essential, Policy: at.decision.Version, Person: at.person.Version})
	if err != nil {
		return Grant{}, code, err
	}
	g := Grant{
		ID: id, Application: at.app.ID, Person: string(at.person.ID), Session: at.session.ID,
		Offline: slices.Contains(scopes, ScopeOffline), Scope: strings.Join(scopes, " "), Nonce: req.Nonce,
		RedirectURI: req.RedirectURI, Challenge: req.Challenge, Claims: claims,
		ACR: at.decision.ACR, AuthTime: at.decision.AuthTime, AMR: at.decision.AMR, Evidence: at.session.Evidence,
		CodeHash: secret.Hash(code.Reveal()), CodeExpires: now.Add(CodeFor), Created: now,
		Expires: earlier(at.session.Expires, now.Add(at.app.OIDC.refreshFor())),
	}
	if g.Offline {
		g.Expires = now.Add(at.app.OIDC.refreshFor())
	}
	if at.decision.UsedRemembered {
		g.Family = at.family
	}
	return g, code, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
