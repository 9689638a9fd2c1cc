// Package phone is the door that members' phones come through: docs/authenticator-protocol.md, on an origin of its own.
//
//	app's own Host ─► httpdoor (no cookie is read or set)
//	  GET /, /app.js, …, /manifest.webmanifest ─► the app's files, revalidated, under a policy that allows this origin only
//	  POST /app/v1/pairings/open, …/claim, /restore… ─► strict JSON ─► device.Flow            (no key yet)
//	  everything else under /app/v1/ ─► body, Authorization ─► device.Flow.Enter ─► Phone ─► strict JSON ─► device.Flow
//	  GET …/requests?wait=, …/pairings/{id}?wait= ─► subscribe (wake.Hub) ─► look ─► wait ─► look … ─► answer
//
// The signature is judged before the body is read as anything; while a call waits the signature is not judged again, but
// the phone's standing is, at each look (attack G8).
package phone

import (
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/wake"
)

// Protocol is the version of docs/authenticator-protocol.md that is spoken here.
const Protocol = 1

// MaxBody is the largest body, in bytes: a registration with an attestation is the largest thing that a phone sends.
const MaxBody = 32 << 10

// Flow is what phones do; device.Flow implements it and says what each call gives.
type Flow interface {
	Enter(ctx context.Context, s device.Signed) (device.Phone, error)
	EnterPairing(ctx context.Context, s device.Signed, id string) (device.Phone, error)
	Open(ctx context.Context, c device.Caller, token, code string) (device.Opening, error)
	Claim(ctx context.Context, c device.Caller, in device.Claim) (device.Claimed, error)
	Pairing(ctx context.Context, p device.Phone, id string) (standing, topic string, err error)
	CancelPairing(ctx context.Context, p device.Phone, id string) error
	Account(ctx context.Context, p device.Phone) (device.Account, error)
	Requests(ctx context.Context, p device.Phone) (list []device.Request, topic string, err error)
	Answer(ctx context.Context, p device.Phone, id string, a device.Answer) (standing string, err error)
	Extend(ctx context.Context, p device.Phone, id string) (expires time.Time, err error)
	Subscribe(ctx context.Context, p device.Phone, e device.Endpoint) error
	Unsubscribe(ctx context.Context, p device.Phone) error
	Move(ctx context.Context, p device.Phone, unlock json.RawMessage) (device.Moving, error)
	ConfirmMove(ctx context.Context, p device.Phone, pairing, code string) error
	OpenRestore(ctx context.Context, c device.Caller) (device.Opening, error)
	Restore(ctx context.Context, c device.Caller, in device.Claim) (device.Claimed, error)
	Leave(ctx context.Context, p device.Phone) error
}

var _ Flow = (*device.Flow)(nil)

// Texts are the words for people; the web door's catalogue has them.
type Texts interface {
	// Fault gives what an error says.
	Fault(lang string, f *fault.Error) string
	// Place names a country ("" unknown) with its uncertainty.
	Place(lang, country string) string
	// Agent names a browser.
	Agent(lang, raw string) (label string, small bool)
	// AppName is what the installed app is called.
	AppName(lang, institution string) string
}

// House is what the institution says of itself to anybody.
type House struct {
	Institution string
	Accent      string // "#rrggbb"
	Server      string // origin of the sign-in pages
	Push        string // VAPID public key, base64url; "" without push
	// UnlockRequired: phones answer only with their platform passkey.
	UnlockRequired               bool
	HelpURL, HelpPhone, HelpMail string
}

// Deps are what the door needs; all are required.
type Deps struct {
	// Door of the app's origin, with Problem set to this package's.
	Door *httpdoor.Door
	Flow Flow
	Hub  *wake.Hub
	// Files are the app (package authenticator).
	Files fs.FS
	// House is asked each time, for settings change.
	House func(context.Context) (House, error)
	Texts Texts
	Now   func() time.Time
}

// Phone is the door.
type Phone struct {
	Deps
	files *httpdoor.Static
	names []string
	polls polls
	// after is the clock of waiting calls.
	after func(time.Duration) <-chan time.Time
}

// New reads the app's files.
func New(d Deps) (*Phone, error) {
	files, names, err := readFiles(d.Files)
	if err != nil {
		return nil, err
	}
	return &Phone{Deps: d, files: files, names: names, after: time.After}, nil
}

// Routes registers every route, and the answer to all others.
func (p *Phone) Routes(mux *http.ServeMux) {
	open := func(pattern string, h func(*call) error) {
		p.Door.HandleSized(mux, httpdoor.API, pattern, MaxBody, p.open(h))
	}
	open("GET /app/v1/house", p.house)
	open("POST /app/v1/pairings/open", p.openPairing)
	open("POST /app/v1/pairings/claim", p.claim)
	open("POST /app/v1/restore/open", p.openRestore)
	open("POST /app/v1/restore", p.restore)

	signed := func(pattern string, h func(*call) error) {
		p.Door.HandleSized(mux, httpdoor.API, pattern, MaxBody, p.open(p.entered(h)))
	}
	signed("GET /app/v1/account", p.account)
	signed("GET /app/v1/requests", p.requests)
	signed("POST /app/v1/requests/{id}/answer", p.answer)
	signed("POST /app/v1/requests/{id}/extend", p.extend)
	signed("PUT /app/v1/push", p.subscribe)
	signed("DELETE /app/v1/push", p.unsubscribe)
	signed("POST /app/v1/move/confirm", p.confirmMove)
	signed("DELETE /app/v1/device", p.leave)

	p.Door.HandleSized(mux, httpdoor.API, "GET /app/v1/pairings/{id}", MaxBody, p.open(p.enteredPairing(p.pairing)))
	p.Door.HandleSized(mux, httpdoor.API, "DELETE /app/v1/pairings/{id}", MaxBody, p.open(p.enteredPairing(p.cancelPairing)))
	p.Door.HandleSized(mux, httpdoor.API, "POST /app/v1/move", MaxBody, p.open(p.enteredMove(p.move)))

	p.fileRoutes(mux)
	p.Door.FallbackAs(mux, httpdoor.API)
}
