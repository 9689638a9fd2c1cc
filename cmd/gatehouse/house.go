package main

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/campus"
	"github.com/gatehouse-id/gatehouse/internal/courier"
	"github.com/gatehouse-id/gatehouse/internal/courier/webpush"
	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/door/web"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/keys"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/password"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/place"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
	"github.com/gatehouse-id/gatehouse/internal/wake"
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
	// AppBase is the authenticator app's origin; nil: the app is not offered.
	AppBase *url.URL
	// Push is how phones are woken; nil: the open app finds a request by itself.
	Push *pushSettings
	// Country says where an address is; nil: the table in the binary.
	Country func(netip.Addr) string
	// Text is who may be sent codes by text message and call; nil: nobody, and telephone numbers are no method.
	Text *textSettings
}

// textSettings bound text messages and calls, whoever carries them.
type textSettings struct {
	Country  string   // where numbers without a country code are from, "" none
	Channels []string // notice.Text, notice.Voice, in order of preference
	Caps     signin.SendingCaps
}

// pushSettings are Web Push's.
type pushSettings struct {
	Contact  string
	Services []string       // beside the browsers' own
	Roots    *x509.CertPool // nil: the system's
}

// house is everything but its doors: what the command line needs too.
type house struct {
	houseConfig
	db      *store.DB
	box     *secret.Box
	methods map[method.Kind]method.Method
	// built are the same without the campus' limits, as the phone's flow knows them by their types.
	built  map[method.Kind]method.Method
	keys   *keys.Keeper
	signin *signin.Flow
	enrol  *enrol.Flow
	apps   *apps.Flow
	manage *manage.Flow
	device *device.Flow
	// hub wakes who waits on this node: pages, and phones.
	hub *wake.Hub
	// hosts are where pushes may go; pusher carries them, nil where there is no push or openPush was not called.
	hosts  *webpush.Hosts
	pusher atomic.Pointer[webpush.Courier]
	// pushKey is what browsers subscribe with, "" without push.
	pushKey string
	// enqueuedThen is called after a commit that left a notice in the outbox.
	enqueuedThen atomic.Pointer[func()]
}

// openHouse opens the database and builds the flows. It changes nothing and computes nothing slow.
func openHouse(ctx context.Context, c houseConfig) (*house, error) {
	h := &house{houseConfig: c, box: secret.NewBox(c.Keyring), hub: &wake.Hub{}}
	var err error
	if c.Push != nil {
		if h.hosts, err = webpush.NewHosts(c.Push.Services); err != nil {
			return nil, err
		}
	}
	if h.Country == nil {
		places, err := place.Open()
		if err != nil {
			return nil, err
		}
		h.Country = places.Country
	}
	if h.built, err = h.newMethods(); err != nil {
		return nil, err
	}
	h.methods = map[method.Kind]method.Method{}
	for kind, m := range h.built {
		h.methods[kind] = c.limited(m)
	}
	h.db, err = store.Open(ctx, store.Config{DSN: c.DSN, Keyring: c.Keyring, Node: c.Node, Now: c.Now, Log: c.Log,
		DefaultPolicy: policy.Default(), Enqueued: h.enqueued, Hub: h.hub})
	if err != nil {
		return nil, err
	}
	h.flows()
	return h, nil
}

func (h *house) enqueued() {
	if f := h.enqueuedThen.Load(); f != nil {
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
		Limits: guessLimits, Push: h.push, Country: c.Country, Gateway: c.caps(), Log: c.Log})
	enrolInTx, enrolView := store.Bind[enrol.Store](h.db)
	h.enrol = enrol.New(enrol.Deps{InTx: enrolInTx, View: enrolView, SignIn: h.signin, Methods: h.methods, Box: h.box,
		Now: c.Now, AppOrigin: c.appOrigin(), Log: c.Log})
	deviceInTx, deviceView := store.Bind[device.Store](h.db)
	h.device = device.New(device.Deps{InTx: deviceInTx, View: deviceView, SignIn: h.signin, Methods: h.built, Box: h.box, Keyring: c.Keyring,
		Origin: c.appOrigin(), Server: c.issuer(), PushAllowed: h.pushAllowed, Now: c.Now, Log: c.Log})
	appsInTx, appsView := store.Bind[apps.FlowStore](h.db)
	h.apps = apps.New(apps.Deps{InTx: appsInTx, View: appsView, SignIn: h.signin, Keys: h.keys, Keyring: c.Keyring, Box: h.box, Now: c.Now,
		Issuer: c.issuer(), Log: c.Log})
	manageInTx, manageView := store.Bind[manage.Store](h.db)
	h.manage = &manage.Flow{InTx: manageInTx, View: manageView, Apps: h.apps, Now: c.Now, Welcome: c.issuer() + "/welcome",
		CheckPolicy: checkPolicy}
}

func (c houseConfig) issuer() string { return c.Base.Scheme + "://" + c.Base.Host }

func (c houseConfig) caps() signin.SendingCaps {
	if c.Text == nil {
		return signin.SendingCaps{}
	}
	return c.Text.Caps
}

// appOrigin is the authenticator app's, "" where it is not offered.
func (c houseConfig) appOrigin() string {
	if c.AppBase == nil {
		return ""
	}
	return c.AppBase.Scheme + "://" + c.AppBase.Host
}

func checkPolicy(p policy.Policy) error {
	if err := policy.Check(p); err != nil {
		return fault.New(fault.BadInput, "manage.policy", "The policy cannot be put in force.").With("text", err.Error())
	}
	return nil
}

func (h *house) close() error { return h.db.Close() }

// couriers carry this house's notices through the channels, and are woken by its commits. Mail has one of its own: a
// relay that hangs keeps no code waiting.
func (h *house) couriers(texts *web.Texts, channels map[string]courier.Channel) (list []*courier.Courier) {
	inTx, _ := store.Bind[notice.Queue](h.db)
	mail, codes := map[string]courier.Channel{}, map[string]courier.Channel{}
	for name, c := range channels {
		if name == notice.Mail {
			mail[name] = c
		} else {
			codes[name] = c
		}
	}
	for _, some := range []map[string]courier.Channel{mail, codes} {
		if len(some) > 0 {
			list = append(list, courier.New(courier.Courier{InTx: inTx, Texts: letters{texts}, Channels: some, Tried: h.delivered,
				Now: h.Now, Log: h.Log}))
		}
	}
	wakeAll := func() {
		for _, c := range list {
			c.Wake()
		}
	}
	h.enqueuedThen.Store(&wakeAll)
	return list
}

// letters writes notices in the words of the pages' catalogue.
type letters struct{ texts *web.Texts }

func (l letters) Notice(kind, locale string, params map[string]string) (subject, body string, ok bool) {
	subject, body = l.texts.Notice(kind, locale, params)
	return subject, body, subject != ""
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
