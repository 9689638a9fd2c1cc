package admin

import (
	"context"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/people"
)

// Person is an account as the API shows it.
type Person struct {
	ID          string    `json:"id"`
	Username    string    `json:"username"`
	Email       string    `json:"email,omitempty"`
	DisplayName string    `json:"display_name"`
	GivenName   string    `json:"given_name,omitempty"`
	FamilyName  string    `json:"family_name,omitempty"`
	Locale      string    `json:"locale,omitempty"`
	Groups      []string  `json:"groups"`
	Roles       []string  `json:"roles"`
	State       string    `json:"state" enum:"invited,active,suspended,left"`
	Created     time.Time `json:"created"`
	Updated     time.Time `json:"updated"`
	Version     int64     `json:"version" doc:"Send it back with a change, so that nobody else's is overwritten."`
}

// Details are what may be written about a person.
type Details struct {
	Username    string   `json:"username" minLength:"1" maxLength:"64"`
	Email       string   `json:"email,omitempty" maxLength:"254"`
	DisplayName string   `json:"display_name,omitempty" maxLength:"120"`
	GivenName   string   `json:"given_name,omitempty" maxLength:"120"`
	FamilyName  string   `json:"family_name,omitempty" maxLength:"120"`
	Locale      string   `json:"locale,omitempty" maxLength:"35"`
	Groups      []string `json:"groups,omitempty" maxItems:"200"`
	Roles       []string `json:"roles,omitempty" maxItems:"4" enum:"desk,application-owner,auditor,administrator"`
}

// Session is a signed-in browser, without anything that would let somebody take it over.
type Session struct {
	ID       string    `json:"id"`
	Created  time.Time `json:"created"`
	LastSeen time.Time `json:"last_seen"`
	Expires  time.Time `json:"expires"`
	Methods  []string  `json:"methods" doc:"Kinds of the proofs given, in order."`
	Address  string    `json:"address,omitempty"`
	Agent    string    `json:"agent,omitempty"`
}

type (
	peopleIn struct {
		Page
		State string `query:"state" doc:"Only accounts in this state: invited, active, suspended, left."`
		Sort  string `query:"sort" doc:"username (the default and, so far, the only order)."`
	}
	PersonPath struct {
		ID string `path:"id" maxLength:"254" doc:"The person's id."`
	}
	WhyBody struct {
		Why string `json:"why" minLength:"1" maxLength:"200" doc:"Goes into the audit trail."`
	}
	peopleOut struct {
		Body struct {
			People []Person `json:"people"`
			Next   string   `json:"next,omitempty"`
		}
	}
	personOut struct{ Body Person }
	addIn     struct{ Body Details }
	changeIn  struct {
		PersonPath
		Body struct {
			Details
			Version int64 `json:"version" minimum:"1"`
		}
	}
	whyIn struct {
		PersonPath
		Body WhyBody
	}
	issuedOut struct {
		Body struct {
			Secret  string    `json:"secret" doc:"Shown this once. The member types it at /welcome."`
			Expires time.Time `json:"expires"`
		}
	}
	mailedOut struct {
		Body struct {
			Expires time.Time `json:"expires"`
		}
	}
	sessionsOut struct {
		Body struct {
			Sessions []Session `json:"sessions"`
		}
	}
	oneSession struct {
		PersonPath
		Session string `path:"session" maxLength:"64"`
	}
	endedOut struct {
		Body struct {
			Ended int `json:"ended"`
		}
	}
	doneOut struct{}
)

// Resolve refuses what is no filter or order.
func (p *peopleIn) Resolve(ctx huma.Context) []error {
	if p.State != "" && stateNamed(p.State) == 0 {
		return []error{huma.Error400BadRequest("state is invited, active, suspended or left")}
	}
	if p.Sort != "" && p.Sort != "username" {
		return []error{huma.Error400BadRequest("sort is username")}
	}
	return p.Page.Resolve(ctx)
}

func (a *API) people() {
	route(a, "GET", "/people", "list-people", "List people by username", manage.PeopleRead, a.listPeople)
	route(a, "POST", "/people", "create-person", "Add a person, who is then invited", manage.PeopleWrite,
		func(ctx context.Context, by manage.By, in *addIn) (*personOut, error) {
			p, err := a.Flow.AddPerson(ctx, by, in.Body.flow())
			return &personOut{shownPerson(p)}, err
		})
	route(a, "GET", "/people/{id}", "get-person", "One person", manage.PeopleRead,
		func(ctx context.Context, by manage.By, in *PersonPath) (*personOut, error) {
			p, err := a.Flow.Person(ctx, by, in.ID)
			return &personOut{shownPerson(p)}, err
		})
	route(a, "PUT", "/people/{id}", "change-person", "Replace a person's details", manage.PeopleWrite,
		func(ctx context.Context, by manage.By, in *changeIn) (*personOut, error) {
			p, changed, err := a.Flow.ChangePerson(ctx, by, people.ID(in.ID), in.Body.Version, in.Body.Details.flow())
			if changed {
				p.Version++
			}
			return &personOut{shownPerson(p)}, err
		})
	route(a, "POST", "/people/{id}/suspend", "suspend-person", "Suspend: sessions and tokens die at once", manage.PeopleWrite,
		func(ctx context.Context, by manage.By, in *whyIn) (*doneOut, error) {
			return &doneOut{}, a.Flow.SuspendPerson(ctx, by, people.ID(in.ID), in.Body.Why)
		})
	route(a, "POST", "/people/{id}/restore", "restore-person", "Undo a suspension", manage.PeopleWrite,
		func(ctx context.Context, by manage.By, in *whyIn) (*doneOut, error) {
			return &doneOut{}, a.Flow.RestorePerson(ctx, by, people.ID(in.ID), in.Body.Why)
		})
	a.invitations()
	route(a, "POST", "/people/{id}/reset", "reset-person", "Remove all methods and sessions and issue a new invitation", manage.PeopleWrite,
		func(ctx context.Context, by manage.By, in *whyIn) (*issuedOut, error) {
			typed, expires, err := a.Flow.Reset(ctx, by, people.ID(in.ID), in.Body.Why)
			return issued(typed.Reveal(), expires, err)
		})
	route(a, "GET", "/people/{id}/sessions", "list-sessions", "A person's live sessions", manage.PeopleRead, a.listSessions)
	route(a, "DELETE", "/people/{id}/sessions", "end-sessions", "End all sessions, grants and remembered browsers", manage.PeopleWrite,
		func(ctx context.Context, by manage.By, in *PersonPath) (*endedOut, error) {
			n, err := a.Flow.EndSessions(ctx, by, people.ID(in.ID), "")
			out := &endedOut{}
			out.Body.Ended = n
			return out, err
		})
	route(a, "DELETE", "/people/{id}/sessions/{session}", "end-session", "End one session", manage.PeopleWrite,
		func(ctx context.Context, by manage.By, in *oneSession) (*endedOut, error) {
			n, err := a.Flow.EndSessions(ctx, by, people.ID(in.ID), in.Session)
			out := &endedOut{}
			out.Body.Ended = n
			return out, err
		})
}

func (a *API) invitations() {
	route(a, "POST", "/people/{id}/invite", "invite-person", "Issue an invitation to register a first method", manage.PeopleWrite,
		func(ctx context.Context, by manage.By, in *PersonPath) (*issuedOut, error) {
			typed, expires, err := a.Flow.Invite(ctx, by, people.ID(in.ID), "invitation", manage.InviteFor)
			return issued(typed.Reveal(), expires, err)
		})
	route(a, "POST", "/people/{id}/invite-by-mail", "mail-invitation", "Send an invitation to the person's address; the secret is not shown", manage.PeopleWrite,
		func(ctx context.Context, by manage.By, in *PersonPath) (*mailedOut, error) {
			expires, err := a.Flow.InviteByMail(ctx, by, people.ID(in.ID))
			out := &mailedOut{}
			out.Body.Expires = expires
			return out, err
		})
}

func issued(typed string, expires time.Time, err error) (*issuedOut, error) {
	if err != nil {
		return nil, err
	}
	out := &issuedOut{}
	out.Body.Secret, out.Body.Expires = typed, expires
	return out, nil
}

// listPeople looks at up to ten store pages for a filter: a rare state costs the caller another page, never the house.
func (a *API) listPeople(ctx context.Context, by manage.By, in *peopleIn) (*peopleOut, error) {
	after := ""
	question := "people state=" + in.State
	if err := a.resume(by, question, in.Cursor, &after); err != nil && by.Has(manage.PeopleRead) {
		return nil, err
	}
	out := &peopleOut{}
	out.Body.People = []Person{}
	more := true
	for looked := 0; looked < 10 && more && len(out.Body.People) < in.Limit; looked++ {
		page, err := a.Flow.People(ctx, by, after, 200)
		if err != nil {
			return nil, err
		}
		more = len(page) == 200
		for i, p := range page {
			after = people.Normalise(p.Username)
			if in.State == "" || p.State == stateNamed(in.State) {
				out.Body.People = append(out.Body.People, shownPerson(p))
			}
			if len(out.Body.People) == in.Limit {
				more = more || i < len(page)-1
				break
			}
		}
	}
	if !more {
		return out, nil
	}
	var err error
	out.Body.Next, err = a.next(by, question, after)
	return out, err
}

func (a *API) listSessions(ctx context.Context, by manage.By, in *PersonPath) (*sessionsOut, error) {
	open, err := a.Flow.Sessions(ctx, by, people.ID(in.ID))
	if err != nil {
		return nil, err
	}
	out := &sessionsOut{}
	out.Body.Sessions = []Session{}
	for _, s := range open {
		shown := Session{ID: s.ID, Created: s.Created, LastSeen: s.LastSeen, Expires: s.Expires, Address: s.Address, Agent: s.Agent, Methods: []string{}}
		for _, e := range s.Evidence {
			shown.Methods = append(shown.Methods, string(e.Kind))
		}
		out.Body.Sessions = append(out.Body.Sessions, shown)
	}
	return out, nil
}

func (d Details) flow() manage.Details {
	out := manage.Details{Username: strings.TrimSpace(d.Username), Email: strings.TrimSpace(d.Email), DisplayName: d.DisplayName,
		GivenName: d.GivenName, FamilyName: d.FamilyName, Locale: d.Locale, Groups: d.Groups}
	for _, r := range d.Roles {
		out.Roles = append(out.Roles, people.Role(r))
	}
	return out
}

func shownPerson(p people.Person) Person {
	out := Person{ID: string(p.ID), Username: p.Username, Email: p.Email, DisplayName: p.DisplayName, GivenName: p.GivenName,
		FamilyName: p.FamilyName, Locale: p.Locale, Groups: p.Groups, Roles: []string{}, State: p.State.String(),
		Created: p.Created, Updated: p.Updated, Version: p.Version}
	if out.Groups == nil {
		out.Groups = []string{}
	}
	for _, r := range p.Roles {
		out.Roles = append(out.Roles, string(r))
	}
	return out
}

// stateNamed is 0 for what is no state.
func stateNamed(name string) people.State {
	for s := people.Invited; s <= people.Left; s++ {
		if s.String() == name {
			return s
		}
	}
	return 0
}
