package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/door/admin"
	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/wake"
)

// house is a real store and flow behind the door, on a clock of its own.
type house struct {
	t    *testing.T
	db   *store.DB
	flow *manage.Flow
	api  *admin.API
	door *httpdoor.Door
	now  time.Time
	web  http.Handler
	root manage.By
	// failRecord makes the audit entry fail.
	failRecord bool
}

// failing is a store whose trail is full.
type failing struct {
	manage.Store
	h *house
}

func (f failing) Record(ctx context.Context, e audit.Entry) error {
	if f.h.failRecord {
		return fmt.Errorf("no space for the entry")
	}
	return f.Store.Record(ctx, e)
}

func newHouse(t *testing.T) *house {
	t.Helper()
	return newHouseWith(t, nil)
}

// newHouseWith wakes hub after its commits.
func newHouseWith(t *testing.T, hub *wake.Hub) *house {
	t.Helper()
	ring, err := secret.NewKeyring(map[uint32][]byte{1: bytes.Repeat([]byte{7}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC), root: manage.CommandLine("tester")}
	clock := func() time.Time { return h.now }
	h.db, err = store.Open(t.Context(), store.Config{DSN: filepath.Join(t.TempDir(), "x.db"), Keyring: ring, Now: clock, DefaultPolicy: policy.Default(), Hub: hub})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.db.Close() })
	if err := h.db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	appsInTx, appsView := store.Bind[apps.FlowStore](h.db)
	registry := apps.New(apps.Deps{InTx: appsInTx, View: appsView, Keyring: ring, Box: secret.NewBox(ring), Now: clock, Issuer: "http://localhost:8080"})
	inTx, view := store.Bind[manage.Store](h.db)
	h.flow = &manage.Flow{View: view, Apps: registry, Now: clock, CheckPolicy: func(p policy.Policy) error {
		if err := policy.Check(p); err != nil {
			return fault.New(fault.BadInput, "manage.policy", err.Error())
		}
		return nil
	}, InTx: func(ctx context.Context, f func(manage.Store) error) error {
		return inTx(ctx, func(s manage.Store) error { return f(failing{s, h}) })
	}}
	h.door, err = httpdoor.New(httpdoor.Config{Base: &url.URL{Scheme: "http", Host: "localhost:8080"}, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	h.api = admin.Register(mux, admin.Config{Flow: h.flow, Door: h.door, Box: secret.NewBox(ring), Now: clock, Log: slog.New(slog.DiscardHandler)})
	h.web = h.door.Wrap(mux)
	return h
}

func (h *house) token(scopes ...manage.Scope) string {
	h.t.Helper()
	_, shown, err := h.flow.AddToken(h.t.Context(), h.root, "t"+secret.NewID(h.now)[20:], scopes, 30*24*time.Hour)
	if err != nil {
		h.t.Fatal(err)
	}
	return shown.Reveal()
}

// call sends JSON and gives the answer.
func (h *house) call(token, verb, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(verb, "http://localhost:8080"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.web.ServeHTTP(w, r)
	return w
}

// ok is call where the answer must be a success; it is decoded into `into`.
func (h *house) ok(token, verb, path, body string, into any) {
	h.t.Helper()
	w := h.call(token, verb, path, body)
	if w.Code >= 300 {
		h.t.Fatalf("%s %s: %d %s", verb, path, w.Code, w.Body)
	}
	if into != nil {
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			h.t.Fatalf("%s %s: %v in %s", verb, path, err, w.Body)
		}
	}
}

func (h *house) person(name string) people.Person {
	h.t.Helper()
	p, err := h.flow.AddPerson(h.t.Context(), h.root, manage.Details{Username: name, Email: name + "@example.org"})
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func (h *house) trail() (acts []string) {
	h.t.Helper()
	rows, _, err := h.flow.Audit(h.t.Context(), h.root, nil, 1000)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, r := range rows {
		acts = append(acts, r.Act+" "+string(r.Outcome)+" "+r.Actor)
	}
	return acts
}

const prefix = admin.Prefix
