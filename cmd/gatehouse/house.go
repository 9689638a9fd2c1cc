package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/campus"
	"github.com/gatehouse-id/gatehouse/internal/courier"
	"github.com/gatehouse-id/gatehouse/internal/door/admin"
	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/door/oidc"
	"github.com/gatehouse-id/gatehouse/internal/door/web"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/keys"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/oath"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey"
	"github.com/gatehouse-id/gatehouse/internal/method/password"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// houseConfig is what a house is built from, whoever builds it: serve, demo, or a command beside them.
type houseConfig struct {
	Base    *url.URL
	DSN     string
	Node    string // audit lane; the command line has its own beside a serving node's
	Keyring *secret.Keyring
	Campus  campus.Campus
	Now     func() time.Time
	Log     *slog.Logger
	Proxies []netip.Prefix
	// Banner stands above every page and leads to a local path; "" for none.
	Banner, BannerPath string
	// Passwords are the password method's settings but its context words; zero: the defaults.
	Passwords password.Settings
}

// house is everything but its doors: what the command line needs too.
type house struct {
	houseConfig
	db      *store.DB
	box     *secret.Box
	methods map[method.Kind]method.Method
	keys    *keys.Keeper
	signin  *signin.Flow
	enrol   *enrol.Flow
	apps    *apps.Flow
	manage  *manage.Flow
	// wake is called after a commit that left a notice in the outbox.
	wake atomic.Pointer[func()]
}

// openHouse opens the database and builds the flows. It changes nothing and computes nothing slow.
func openHouse(ctx context.Context, c houseConfig) (*house, error) {
	h := &house{houseConfig: c, box: secret.NewBox(c.Keyring)}
	var err error
	if h.methods, err = h.newMethods(); err != nil {
		return nil, err
	}
	h.db, err = store.Open(ctx, store.Config{DSN: c.DSN, Keyring: c.Keyring, Node: c.Node, Now: c.Now, Log: c.Log,
		DefaultPolicy: policy.Default(), Enqueued: h.enqueued})
	if err != nil {
		return nil, err
	}
	h.flows()
	return h, nil
}

func (h *house) enqueued() {
	if f := h.wake.Load(); f != nil {
		(*f)()
	}
}

// guessLimits are the budgets for wrong answers, and what the help page says of them.
func guessLimits(k method.Kind, a throttle.Audience) throttle.Limit {
	return throttle.Default(string(k), a)
}

func (h *house) flows() {
	c := h.houseConfig
	keyInTx, keyView := store.Bind[keys.Store](h.db)
	h.keys = &keys.Keeper{InTx: keyInTx, View: keyView, Keyring: c.Keyring, Now: c.Now}
	signInTx, signView := store.Bind[signin.Store](h.db)
	h.signin = signin.New(signin.Deps{InTx: signInTx, View: signView, Methods: h.methods, Box: h.box, Keyring: c.Keyring, Now: c.Now,
		Limits: guessLimits, Log: c.Log})
	enrolInTx, enrolView := store.Bind[enrol.Store](h.db)
	h.enrol = enrol.New(enrol.Deps{InTx: enrolInTx, View: enrolView, SignIn: h.signin, Methods: h.methods, Box: h.box,
		Now: c.Now, Log: c.Log})
	appsInTx, appsView := store.Bind[apps.FlowStore](h.db)
	h.apps = apps.New(apps.Deps{InTx: appsInTx, View: appsView, SignIn: h.signin, Keys: h.keys, Keyring: c.Keyring, Box: h.box, Now: c.Now,
		Issuer: c.issuer(), Log: c.Log})
	manageInTx, manageView := store.Bind[manage.Store](h.db)
	h.manage = &manage.Flow{InTx: manageInTx, View: manageView, Apps: h.apps, Now: c.Now, CheckPolicy: checkPolicy}
}

func (c houseConfig) issuer() string { return c.Base.Scheme + "://" + c.Base.Host }

// newMethods makes the ways of proving that this house offers.
func (h *house) newMethods() (map[method.Kind]method.Method, error) {
	c := h.houseConfig
	pk, err := passkey.New(passkey.Settings{RPID: c.Base.Hostname(), RPName: c.Campus.Name, Origins: []string{c.issuer()}})
	if err != nil {
		return nil, err
	}
	settings := c.Passwords
	settings.Context = []string{c.Campus.Name, c.Campus.ID}
	settings.MinLength = h.leastPassword
	pw, err := password.New(settings)
	if err != nil {
		return nil, err
	}
	codes, err := oath.New(oath.Settings{Issuer: c.Campus.Name})
	if err != nil {
		return nil, err
	}
	return map[method.Kind]method.Method{
		method.Passkey:  c.limited(pk),
		method.Password: c.limited(pw),
		method.TOTP:     c.limited(codes),
	}, nil
}

// leastPassword is how long a person's password must be under the policy in force. Where that cannot be read, a
// password is taken to be the only proof.
func (h *house) leastPassword(s method.Subject) int {
	least := password.AloneChars
	_, view := store.Bind[signin.Store](h.db)
	ctx := context.Background()
	err := view(ctx, func(st signin.Store) error {
		inForce, err := st.PolicyInForce(ctx)
		if err != nil {
			return err
		}
		p, err := st.PersonByID(ctx, people.ID(s.ID))
		if err == nil && !inForce.PasswordMayStandAlone(signin.PolicyPerson(p)) {
			least = password.MinChars
		}
		return err
	})
	if err != nil && !fault.IsKind(err, fault.NotFound) {
		h.Log.Error("the policy for a password's length could not be read", "err", err)
	}
	return least
}

// limited is m with the campus' own limit of credentials per person, where it set one.
func (c houseConfig) limited(m method.Method) method.Method {
	n := c.Campus.Limits[m.Traits().Kind]
	if n == 0 {
		return m
	}
	if h, ok := m.(method.Handled); ok {
		return limitedHandled{limited{m, n}, h}
	}
	return limited{m, n}
}

type limited struct {
	method.Method
	limit int
}

func (l limited) Traits() method.Traits {
	t := l.Method.Traits()
	t.Limit = l.limit
	return t
}

type limitedHandled struct {
	limited
	method.Handled
}

func checkPolicy(p policy.Policy) error {
	if err := policy.Check(p); err != nil {
		return fault.New(fault.BadInput, "manage.policy", "The policy cannot be put in force.").With("text", err.Error())
	}
	return nil
}

func (h *house) close() error { return h.db.Close() }

// courier carries this house's notices through the channels, and is woken by its commits.
func (h *house) courier(texts *web.Texts, channels map[string]courier.Channel) *courier.Courier {
	inTx, _ := store.Bind[notice.Queue](h.db)
	c := courier.New(courier.Courier{InTx: inTx, Texts: letters{texts}, Channels: channels, Now: h.Now, Log: h.Log})
	wake := c.Wake
	h.wake.Store(&wake)
	return c
}

// letters writes notices in the words of the pages' catalogue.
type letters struct{ texts *web.Texts }

func (l letters) Notice(kind, locale string, params map[string]string) (subject, body string, ok bool) {
	subject, body = l.texts.Notice(kind, locale, params)
	return subject, body, subject != ""
}

// doors are a house's HTTP side.
type doors struct {
	door  *httpdoor.Door
	pages *web.Pages
	mux   *http.ServeMux
	admin *admin.API
}

// openDoors builds every door on one mux.
func (h *house) openDoors(metrics httpdoor.Metrics) (*doors, error) {
	dress := webCampus(h.Campus)
	dress.Banner, dress.BannerURL = h.Banner, h.BannerPath
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
		Now: h.Now, RPID: h.Base.Hostname(), Log: h.Log}).Routes(out.mux)
	oidc.New(oidc.Deps{Door: d, Apps: h.apps, SignIn: h.signin, Keys: h.keys, Pages: pages, Now: h.Now, Issuer: h.issuer()}).Routes(out.mux)
	out.admin = admin.Register(out.mux, admin.Config{Flow: h.manage, Door: d, Box: h.box, Now: h.Now, Log: h.Log})
	return out, nil
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

// demoMark is the setting that tells a demonstration's database from a real one.
const demoMark = "demo"

var errDemoData = errors.New("this is the data of a demonstration: its people and passwords are public, so serve refuses it. " +
	"Point database at another place and run \"gatehouse init\"")

// setting gives a setting, nil where it was never saved.
func (h *house) setting(ctx context.Context, name string) (value []byte, err error) {
	err = h.db.View(ctx, func(tx *store.Tx) (err error) {
		value, err = tx.Setting(ctx, name)
		return err
	})
	if fault.IsKind(err, fault.NotFound) {
		return nil, nil
	}
	return value, err
}
