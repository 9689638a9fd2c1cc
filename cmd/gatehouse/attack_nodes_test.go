package main

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
)

// TestNodesThatAreConfiguredDifferently share one database: while a rollout is half done, a node without the app's address
// asks for what it can judge, breaks at nothing that it finds, and undoes nothing.
func TestNodesThatAreConfiguredDifferently(t *testing.T) {
	for name, dsn := range map[string]string{"sqlite, one after the other": filepath.Join(t.TempDir(), "gatehouse.db"), "postgres, side by side": storetest.PostgresDSN(t)} {
		t.Run(name, func(t *testing.T) {
			x := newTarget(t, dsn, 1)
			ada, phone := x.withPhone("ada")
			eve, only := x.withPhone("eve")
			x.must(x.nodes[0].db.InTx(t.Context(), func(tx *store.Tx) error { // her app is her only second proof
				owned, err := tx.CredentialsOf(t.Context(), string(eve.id))
				for _, c := range owned {
					if c.Kind == method.TOTP && c.Device == "" && err == nil {
						_, err = tx.RemoveCredential(t.Context(), string(eve.id), c.ID)
					}
				}
				return err
			}))
			x.clock.Add(20 * time.Minute)
			b := x.browser()
			half := b.ask(ada, "/apps")
			if half.number() == "" {
				t.Fatalf("no request: %s", half.text())
			}
			if strings.HasPrefix(name, "sqlite") {
				x.must(x.nodes[0].close())
			}
			x.change = func(c *houseConfig) { c.AppBase, c.Push = nil, nil }
			without := x.node("without", dsn)
			there := b.on(without)
			for _, path := range []string{"/signin?attempt=" + url.QueryEscape(half.attempt()), "/signin/next?attempt=" + url.QueryEscape(half.attempt()), "/security", "/apps", "/help"} {
				if r := there.send("GET", path, nil); r.status >= 500 {
					t.Errorf("%s: %d %s", path, r.status, r.text())
				}
			}
			r := x.browser().on(without).byPassword(ada, "/apps")
			if r.asks() != "totp" || r.status >= 500 {
				t.Errorf("not asked for what this node can judge: %d %s", r.status, r.text())
			}
			fresh := x.browser().on(without)
			if r := fresh.proceed(fresh.get("/security"), ada, false); r.status != http.StatusOK || fresh.session() == "" {
				t.Errorf("her security page: %d %s", r.status, r.text())
			}
			if r := x.browser().on(without).byPassword(eve, "/apps"); r.status >= 500 || r.status == 200 && r.asks() == "" && r.attempt() == "" {
				t.Errorf("whose only second proof is an app: %d %s", r.status, r.text())
			}
			if w := ask(without.handler, "GET", "app.localhost:8080", "/app/v1/house"); w.Code != http.StatusMisdirectedRequest {
				t.Errorf("the app's address at a node without: %d", w.Code)
			}
			if log := x.log.String(); strings.Contains(log, "level=ERROR") || strings.Contains(log, "panic") {
				t.Errorf("logged: %.600s", log[strings.Index(log, "level=ERROR"):])
			}
			// Back at a node with the app, all is as it was.
			if strings.HasPrefix(name, "sqlite") {
				x.must(without.close())
				x.change = nil
				x.nodes[0] = x.node("again", dsn)
			}
			for _, p := range []*softphone.Phone{phone, only} {
				p.Client = &http.Client{Transport: throughHandler{x.nodes[0].handler}}
				if _, err := p.Show(t.Context()); err != nil {
					t.Errorf("a phone is no phone any more: %v", err)
				}
			}
		})
	}
}
