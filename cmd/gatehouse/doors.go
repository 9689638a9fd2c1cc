package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/gatehouse-id/gatehouse/authenticator"
	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/campus"
	"github.com/gatehouse-id/gatehouse/internal/door/admin"
	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/door/oidc"
	"github.com/gatehouse-id/gatehouse/internal/door/phone"
	"github.com/gatehouse-id/gatehouse/internal/door/web"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

// doors are a house's HTTP side.
type doors struct {
	door  *httpdoor.Door
	pages *web.Pages
	mux   *http.ServeMux
	admin *admin.API
	// app is the authenticator app's own door, with a host, a mux and routes of its own; nil where it is not offered.
	app    *httpdoor.Door
	appMux *http.ServeMux
}

// handler tells the two origins apart by the request's Host: exactly the app's goes to the app, everything else to
// the house, which answers 421 under a name that is not its own. The machine room's probes are asked by address.
func (d *doors) handler() http.Handler {
	house := d.door.Wrap(d.mux)
	if d.app == nil {
		return house
	}
	app := d.app.Wrap(d.appMux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.app.Answers(r) && r.URL.Path != "/healthz" && r.URL.Path != "/readyz" {
			app.ServeHTTP(w, r)
			return
		}
		house.ServeHTTP(w, r)
	})
}

// routes is the inventory of both origins; the app's are marked.
func (d *doors) routes() []string {
	list := d.door.Routes()
	if d.app != nil {
		for _, r := range d.app.Routes() {
			list = append(list, "app: "+r)
		}
	}
	return list
}

// openDoors builds every door of the house on one mux, and the app's on another.
func (h *house) openDoors(metrics httpdoor.Metrics) (*doors, error) {
	dress := webCampus(h.Campus)
	dress.Banner, dress.BannerURL = h.Banner, h.BannerPath
	dress.Domain = h.Base.Hostname()
	pages, err := web.NewPages(dress, h.Log)
	if err != nil {
		return nil, err
	}
	d, err := httpdoor.New(httpdoor.Config{Base: h.Base, TrustedProxies: h.Proxies, Errors: pages, Metrics: metrics, Log: h.Log, Now: h.Now,
		Locale: pages.Texts.Locale})
	if err != nil {
		return nil, err
	}
	out := &doors{door: d, pages: pages, mux: http.NewServeMux()}
	web.New(web.Deps{Pages: pages, Door: d, SignIn: h.signin, Security: h.enrol, Catalogue: catalogue{h.apps}, Answers: policyAnswers{h}, Box: h.box,
		Now: h.Now, RPID: h.Base.Hostname(), Hub: h.hub, AppURL: h.appOrigin(), Log: h.Log,
		PasswordLeast: func(id people.ID) int { return h.leastPassword(method.Subject{ID: string(id)}) }}).Routes(out.mux)
	oidc.New(oidc.Deps{Door: d, Apps: h.apps, SignIn: h.signin, Keys: h.keys, Pages: pages, Now: h.Now, Issuer: h.issuer()}).Routes(out.mux)
	out.admin = admin.Register(out.mux, admin.Config{Flow: h.manage, Door: d, Box: h.box, Now: h.Now, Log: h.Log})
	if h.AppBase != nil {
		if err := h.openAppDoor(out, metrics); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// openAppDoor builds what phones meet. It sets no cookie and reads none.
func (h *house) openAppDoor(out *doors, metrics httpdoor.Metrics) error {
	texts := out.pages.Texts
	language := func(r *http.Request) string { return texts.Locale(r.Header.Get("Accept-Language")) }
	var err error
	out.app, err = httpdoor.New(httpdoor.Config{Base: h.AppBase, TrustedProxies: h.Proxies, Metrics: metrics, Log: h.Log, Now: h.Now,
		Locale: texts.Locale, Problem: phone.Problem(texts, language)})
	if err != nil {
		return err
	}
	door, err := phone.New(phone.Deps{Door: out.app, Flow: h.device, Hub: h.hub, Files: authenticator.Files, House: h.shownToPhones, Texts: texts,
		Now: h.Now})
	if err != nil {
		return err
	}
	out.appMux = http.NewServeMux()
	door.Routes(out.appMux)
	return nil
}

// shownToPhones is what the app learns of this house.
func (h *house) shownToPhones(ctx context.Context) (phone.House, error) {
	inForce, err := h.policyInForce(ctx)
	help := h.Campus.Help
	return phone.House{Institution: h.Campus.Name, Accent: h.Campus.Accent, Server: h.issuer(), Push: h.pushKey,
		UnlockRequired: !inForce.App.WithoutUnlock, HelpURL: help.URL, HelpPhone: help.Phone, HelpMail: help.Mail}, err
}

func (h *house) policyInForce(ctx context.Context) (inForce policy.Policy, err error) {
	_, view := store.Bind[signin.Store](h.db)
	err = view(ctx, func(s signin.Store) error {
		inForce, err = s.PolicyInForce(ctx)
		return err
	})
	return inForce, err
}

// catalogue shows the applications flow's tiles to the pages.
type catalogue struct{ flow *apps.Flow }

func (c catalogue) Tiles(ctx context.Context, person people.Person) ([]web.Tile, error) {
	tiles, err := c.flow.Tiles(ctx, person)
	out := make([]web.Tile, len(tiles))
	for i, t := range tiles {
		out[i] = web.Tile(t)
	}
	return out, err
}

// webCampus is how a campus file dresses the pages.
func webCampus(c campus.Campus) web.Campus {
	out := web.Campus{Name: c.Name, Accent: c.Accent, HelpURL: c.Help.URL, HelpPhone: c.Help.Phone, HelpMail: c.Help.Mail}
	if c.Logo != nil {
		out.Logo = fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="%s"><path fill="%s" d="%s"/></svg>`,
			c.Logo.ViewBox, c.Accent, c.Logo.Path)
		out.LogoType = ".svg"
	}
	return out
}
