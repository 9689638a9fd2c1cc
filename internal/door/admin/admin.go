// Package admin is the administration API: JSON over HTTP under /admin/api/v1, described by its own OpenAPI 3.1
// document (docs/openapi.json is the committed copy).
//
//	request ─► httpdoor (host, flood, body size) ─► bearer token ─► manage.By ─► parse, strict ─► manage.Flow ─► JSON
//	                                                     └ none, unknown or expired: 401, all alike
//
// Every route asks for a token but the description itself. What a token may do is the flow's decision, which writes
// refusals into the trail. Cookies are never read here. Unknown fields and unknown query parameters are refused.
package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
)

// Prefix is where the API lives.
const Prefix = "/admin/api/v1"

// Management is the flow as this door needs it.
type Management interface {
	WhoIs(ctx context.Context, bearer secret.String) (manage.By, error)

	AddPerson(ctx context.Context, by manage.By, d manage.Details) (people.Person, error)
	ChangePerson(ctx context.Context, by manage.By, id people.ID, version int64, d manage.Details) (people.Person, bool, error)
	SuspendPerson(ctx context.Context, by manage.By, id people.ID, why string) error
	RestorePerson(ctx context.Context, by manage.By, id people.ID, why string) error
	Invite(ctx context.Context, by manage.By, id people.ID, purpose string, open time.Duration) (secret.String, time.Time, error)
	InviteByMail(ctx context.Context, by manage.By, id people.ID) (time.Time, error)
	Reset(ctx context.Context, by manage.By, id people.ID, why string) (secret.String, time.Time, error)
	EndSessions(ctx context.Context, by manage.By, id people.ID, one string) (int, error)
	People(ctx context.Context, by manage.By, after string, limit int) ([]people.Person, error)
	Person(ctx context.Context, by manage.By, idOrName string) (people.Person, error)
	Sessions(ctx context.Context, by manage.By, id people.ID) ([]session.Session, error)
	Requests(ctx context.Context, by manage.By, id people.ID, limit int) ([]manage.Request, error)

	Incidents(ctx context.Context, by manage.By, person people.ID, all bool, limit int) ([]manage.Incident, error)
	CloseIncident(ctx context.Context, by manage.By, id, why string) error

	AddApplication(ctx context.Context, by manage.By, a apps.Application, confidential bool) (apps.Application, secret.String, error)
	RotateSecret(ctx context.Context, by manage.By, id string, atOnce bool) (secret.String, error)
	SetClosed(ctx context.Context, by manage.By, id string, closed bool) error
	Applications(ctx context.Context, by manage.By) ([]apps.Application, error)
	Application(ctx context.Context, by manage.By, id string) (apps.Application, error)

	Policy(ctx context.Context, by manage.By) (policy.Policy, error)
	PolicyHistory(ctx context.Context, by manage.By, limit int) ([]policy.Record, error)
	SetPolicy(ctx context.Context, by manage.By, p policy.Policy, source []byte, why string) (int64, error)

	AddToken(ctx context.Context, by manage.By, name string, granted []manage.Scope, life time.Duration) (apps.APIToken, secret.String, error)
	RemoveToken(ctx context.Context, by manage.By, name string) error
	Tokens(ctx context.Context, by manage.By) ([]apps.APIToken, error)

	Audit(ctx context.Context, by manage.By, at manage.AuditPosition, limit int) ([]audit.Row, manage.AuditPosition, error)
	Stats(ctx context.Context, by manage.By) (manage.Stats, error)
}

// Config is what the door needs. All fields are.
type Config struct {
	Flow Management
	Door *httpdoor.Door
	// Box seals cursors: a page token that was not made here, or for another question, is refused (attack G133).
	Box *secret.Box
	Now func() time.Time
	Log *slog.Logger
}

// API serves.
type API struct {
	Config
	api huma.API
}

// Register puts the routes on mux.
func Register(mux *http.ServeMux, c Config) *API {
	a := &API{Config: c}
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{Title: "Gatehouse administration", Version: "1",
				Description: "People, applications, policy and the audit trail. Every change and its audit entry are one transaction."},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token": {Type: "http", Scheme: "bearer", Description: "An administration token with the scope that the route names."}},
			},
			Security: []map[string][]string{{"token": {}}},
		},
		Formats:       map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat: "application/json", RejectUnknownQueryParameters: true,
	}
	a.api = humago.New(surrounded{c.Door, mux}, config)
	a.api.UseMiddleware(a.authenticate)
	a.people()
	a.applications()
	a.policies()
	a.tokens()
	a.trail()
	a.incidents()
	c.Door.Handle(mux, httpdoor.API, "GET "+Prefix+"/openapi.json", a.description())
	c.Door.Handle(mux, httpdoor.API, Prefix+"/", a.stray)
	return a
}

// OpenAPI is the API's description as JSON, indented, the same bytes for the same routes.
func (a *API) OpenAPI() ([]byte, error) { return describe(a.api.OpenAPI()) }

// surrounded lets huma register its routes inside httpdoor's checks.
type surrounded struct {
	door *httpdoor.Door
	mux  *http.ServeMux
}

func (s surrounded) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	s.door.Handle(s.mux, httpdoor.API, pattern, func(w http.ResponseWriter, r *http.Request) error {
		if err := onceEach(r.URL.RawQuery); err != nil {
			return err
		}
		h(w, r)
		return nil
	})
}

var errQuery = fault.New(fault.BadInput, "admin.query", "A parameter of the address is given twice or cannot be read.")

// onceEach refuses a query of which a parser would take the first or last of two, or drop a part (attack G133).
func onceEach(raw string) error {
	if raw == "" {
		return nil
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return errQuery.Because(err)
	}
	for _, given := range values {
		if len(given) > 1 {
			return errQuery
		}
	}
	return nil
}

func (s surrounded) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// stray answers what is under the prefix and no route: a stranger is not told which routes there are.
func (a *API) stray(w http.ResponseWriter, r *http.Request) error {
	if _, err := a.WhoIs(r.Context(), r.Header.Get("Authorization")); err != nil {
		w.Header().Set("WWW-Authenticate", `Bearer realm="gatehouse"`)
		return err
	}
	return fault.New(fault.NotFound, "request.not_found", "There is no such route or method.")
}

// WhoIs reads the Authorization header (RFC 6750 section 2.1); a token in a query or form is never read.
func (a *API) WhoIs(ctx context.Context, header string) (manage.By, error) {
	scheme, value, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") || len(value) > 200 {
		value = ""
	}
	return a.Flow.WhoIs(ctx, secret.NewString(value))
}

type callerKey struct{}

func (a *API) authenticate(ctx huma.Context, next func(huma.Context)) {
	by, err := a.WhoIs(ctx.Context(), ctx.Header("Authorization"))
	if err != nil {
		p := a.problem(err)
		if p.Status == http.StatusUnauthorized {
			ctx.SetHeader("WWW-Authenticate", `Bearer realm="gatehouse"`)
		}
		ctx.SetHeader("Content-Type", "application/problem+json")
		ctx.SetStatus(p.Status)
		a.write(ctx, p)
		return
	}
	r, w := humago.Unwrap(ctx)
	by.Address, by.Agent = httpdoor.Address(w).String(), httpdoor.CleanAgent(r.Header.Get("User-Agent"))
	next(huma.WithValue(ctx, callerKey{}, by))
}

func (a *API) write(ctx huma.Context, v any) {
	if err := huma.DefaultJSONFormat.Marshal(ctx.BodyWriter(), v); err != nil {
		a.Log.Warn("answer not written", "error", err)
	}
}

// problem is an error as RFC 9457 problem details. What is internal stays in the log.
func (a *API) problem(err error) *huma.ErrorModel {
	f := fault.Of(err)
	if f.Kind == fault.Internal {
		a.Log.Error("administration", "cause", err)
	}
	p := &huma.ErrorModel{Type: "urn:gatehouse:error:" + f.Code, Status: httpdoor.Status(f), Detail: f.Public}
	p.Title = http.StatusText(p.Status)
	for name, value := range f.Params {
		p.Errors = append(p.Errors, &huma.ErrorDetail{Message: f.Public, Location: name, Value: value})
	}
	return p
}

// route registers one operation. scope is documented here and enforced by the flow.
func route[I, O any](a *API, method, path, id, summary string, scope manage.Scope, h func(context.Context, manage.By, *I) (*O, error)) {
	op := huma.Operation{OperationID: id, Method: method, Path: Prefix + path, Summary: summary,
		Description: "Scope: `" + string(scope) + "`.", Tags: []string{strings.SplitN(strings.Trim(path, "/"), "/", 2)[0]},
		Security: []map[string][]string{{"token": {string(scope)}}}, MaxBodyBytes: httpdoor.MaxBodyBytes,
		Errors: []int{400, 401, 403, 404, 409}}
	if method == http.MethodPost && strings.HasPrefix(id, "create-") {
		op.DefaultStatus = http.StatusCreated
	}
	huma.Register(a.api, op, func(ctx context.Context, in *I) (*O, error) {
		by, _ := ctx.Value(callerKey{}).(manage.By) // the zero value may do nothing
		out, err := h(ctx, by, in)
		if err != nil {
			var already huma.StatusError
			if errors.As(err, &already) {
				return nil, err
			}
			return nil, a.problem(err)
		}
		return out, nil
	})
}
