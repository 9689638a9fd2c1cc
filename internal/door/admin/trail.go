package admin

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/people"
)

// Entry is one line of the audit trail.
type Entry struct {
	Chain    string            `json:"chain"`
	Seq      int64             `json:"seq"`
	Hash     string            `json:"hash"`
	At       time.Time         `json:"at"`
	Act      string            `json:"act"`
	Outcome  string            `json:"outcome"`
	Actor    string            `json:"actor"`
	Subject  string            `json:"subject,omitempty"`
	Object   string            `json:"object,omitempty"`
	Door     string            `json:"door,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Detail   map[string]string `json:"detail,omitempty"`
	Personal map[string]string `json:"personal,omitempty" doc:"Absent once the person was erased."`
}

// Token is a token as the API shows it, without its value.
type Token struct {
	Name    string    `json:"name"`
	Scopes  []string  `json:"scopes"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

type (
	auditIn  struct{ Page }
	auditOut struct {
		Body struct {
			Entries []Entry `json:"entries"`
			Next    string  `json:"next,omitempty"`
		}
	}
	statsOut struct {
		Body struct {
			People        map[string]int `json:"people" doc:"Accounts by state."`
			Applications  int            `json:"applications"`
			PolicyVersion int64          `json:"policy_version"`
			AuditEntries  int64          `json:"audit_entries"`
		}
	}
	tokensOut struct {
		Body struct {
			Tokens []Token `json:"tokens"`
		}
	}
	addTokenIn struct {
		Body struct {
			Name   string   `json:"name" minLength:"1" maxLength:"60"`
			Scopes []string `json:"scopes" minItems:"1" maxItems:"20"`
			Days   int      `json:"days" minimum:"1" maximum:"366"`
		}
	}
	addTokenOut struct {
		Body struct {
			Token Token  `json:"token"`
			Value string `json:"value" doc:"Shown this once."`
		}
	}
	tokenPath struct {
		Name string `path:"name" maxLength:"60"`
	}
)

func (a *API) trail() {
	route(a, "GET", "/audit", "list-audit", "The audit trail, newest first over all chains", manage.AuditRead, a.listAudit)
	route(a, "GET", "/stats", "get-stats", "Counts", manage.PeopleRead,
		func(ctx context.Context, by manage.By, _ *struct{}) (*statsOut, error) {
			st, err := a.Flow.Stats(ctx, by)
			out := &statsOut{}
			out.Body.People = map[string]int{}
			for s := people.Invited; s <= people.Left; s++ {
				out.Body.People[s.String()] = st.People[s]
			}
			out.Body.Applications, out.Body.PolicyVersion, out.Body.AuditEntries = st.Applications, st.Policy, st.AuditRows
			return out, err
		})
}

func (a *API) listAudit(ctx context.Context, by manage.By, in *auditIn) (*auditOut, error) {
	var at manage.AuditPosition
	if err := a.resume(by, "audit", in.Cursor, &at); err != nil && by.Has(manage.AuditRead) {
		return nil, err
	}
	rows, next, err := a.Flow.Audit(ctx, by, at, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &auditOut{}
	out.Body.Entries = []Entry{}
	for _, r := range rows {
		out.Body.Entries = append(out.Body.Entries, Entry{Chain: r.Chain, Seq: r.Seq, Hash: hex.EncodeToString(r.Hash), At: r.At, Act: r.Act,
			Outcome: string(r.Outcome), Actor: r.Actor, Subject: r.Subject, Object: r.Object, Door: r.Door, Reason: r.Reason,
			Detail: r.Detail, Personal: r.Personal})
	}
	if next != nil {
		out.Body.Next, err = a.next(by, "audit", next)
	}
	return out, err
}

func (a *API) tokens() {
	route(a, "GET", "/tokens", "list-tokens", "Administration tokens, without their values", manage.TokensRead,
		func(ctx context.Context, by manage.By, _ *struct{}) (*tokensOut, error) {
			list, err := a.Flow.Tokens(ctx, by)
			out := &tokensOut{}
			out.Body.Tokens = []Token{}
			for _, t := range list {
				out.Body.Tokens = append(out.Body.Tokens, shownToken(t))
			}
			return out, err
		})
	route(a, "POST", "/tokens", "create-token", "Make a token with some of the caller's own scopes", manage.TokensWrite,
		func(ctx context.Context, by manage.By, in *addTokenIn) (*addTokenOut, error) {
			granted := make([]manage.Scope, len(in.Body.Scopes))
			for i, s := range in.Body.Scopes {
				granted[i] = manage.Scope(s)
			}
			t, made, err := a.Flow.AddToken(ctx, by, in.Body.Name, granted, time.Duration(in.Body.Days)*24*time.Hour)
			if err != nil {
				return nil, err
			}
			out := &addTokenOut{}
			out.Body.Token, out.Body.Value = shownToken(t), made.Reveal()
			return out, nil
		})
	route(a, "DELETE", "/tokens/{name}", "remove-token", "End a token at once", manage.TokensWrite,
		func(ctx context.Context, by manage.By, in *tokenPath) (*doneOut, error) {
			return &doneOut{}, a.Flow.RemoveToken(ctx, by, in.Name)
		})
}

func shownToken(t apps.APIToken) Token {
	return Token{Name: t.Name, Scopes: t.Scopes, Created: t.Created, Expires: t.Expires}
}
