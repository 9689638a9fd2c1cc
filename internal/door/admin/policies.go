package admin

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

// Version is one version of the policy, with who, when and why.
type Version struct {
	Version int64     `json:"version"`
	By      string    `json:"by"`
	Why     string    `json:"why"`
	At      time.Time `json:"at"`
}

type (
	policyOut struct {
		Body struct {
			Policy policy.Policy `json:"policy" doc:"Durations are in nanoseconds."`
		}
	}
	setPolicyIn struct {
		Body struct {
			Policy policy.Policy `json:"policy" doc:"Its version is the one that it was made from. Durations are in nanoseconds."`
			Why    string        `json:"why" minLength:"1" maxLength:"200"`
		}
	}
	versionOut struct {
		Body struct {
			Version int64 `json:"version" doc:"Now in force."`
		}
	}
	historyIn struct {
		Limit int `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}
	historyOut struct {
		Body struct {
			Versions []Version `json:"versions"`
		}
	}
)

func (a *API) policies() {
	route(a, "GET", "/policy", "get-policy", "The policy in force", manage.PolicyRead,
		func(ctx context.Context, by manage.By, _ *struct{}) (*policyOut, error) {
			p, err := a.Flow.Policy(ctx, by)
			out := &policyOut{}
			out.Body.Policy = p
			return out, err
		})
	route(a, "PUT", "/policy", "set-policy", "Put a policy in force; 409 where somebody else did meanwhile", manage.PolicyWrite,
		func(ctx context.Context, by manage.By, in *setPolicyIn) (*versionOut, error) {
			v, err := a.Flow.SetPolicy(ctx, by, in.Body.Policy, nil, in.Body.Why)
			out := &versionOut{}
			out.Body.Version = v
			return out, err
		})
	route(a, "GET", "/policy/history", "list-policy-history", "Who changed the policy, when and why, newest first", manage.PolicyRead,
		func(ctx context.Context, by manage.By, in *historyIn) (*historyOut, error) {
			list, err := a.Flow.PolicyHistory(ctx, by, in.Limit)
			out := &historyOut{}
			out.Body.Versions = []Version{}
			for _, r := range list {
				out.Body.Versions = append(out.Body.Versions, Version{Version: r.Policy.Version, By: r.By, Why: r.Why, At: r.At})
			}
			return out, err
		})
}
