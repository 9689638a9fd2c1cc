package device_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/app"
	"github.com/gatehouse-id/gatehouse/internal/method/oath"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/signin/signintest"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/pgtest"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
)

var ctx = context.Background()

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

const appOrigin = signintest.AppOrigin

// house adds the phone's side to a signintest.House.
type house struct {
	*signintest.House
	enrol  *enrol.Flow
	device *device.Flow
	inTx   func(context.Context, func(device.Store) error) error
}

func both(t *testing.T, body func(t *testing.T, h house)) {
	t.Helper()
	clock := signintest.NewClock()
	storetest.Engines(t, func(t *testing.T, db *store.DB) {
		h := house{House: signintest.New(t, db, storetest.Keyring(t), clock)}
		enrolInTx, enrolView := store.Bind[enrol.Store](db)
		h.enrol = enrol.New(enrol.Deps{InTx: enrolInTx, View: enrolView, SignIn: h.Flow, Methods: h.Methods, Box: h.Box, AppOrigin: appOrigin, Now: clock.Now})
		inTx, view := store.Bind[device.Store](db)
		h.inTx = inTx
		h.device = device.New(device.Deps{InTx: inTx, View: view, SignIn: h.Flow, Methods: h.Methods, Box: h.Box, Keyring: h.Keyring,
			Origin: appOrigin, Server: signintest.Origin, PushAllowed: func(e string) bool { return strings.HasPrefix(e, "https://push.example.net/") }, Now: clock.Now})
		body(t, h)
	}, storetest.Clock(clock.Now), func(c *store.Config) { c.DefaultPolicy = policy.Default() })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	if err == nil || fault.Of(err).Code != code {
		t.Fatalf("error %v, want %s", err, code)
	}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// phone is a member's phone: its key, its platform passkey, and what it keeps.
type phone struct {
	t       testing.TB
	h       house
	key     *ecdsa.PrivateKey
	jwk     json.RawMessage
	unlock  *softkey.Authenticator
	device  string
	account string
	claimed device.Claimed
}

func newPhone(t testing.TB, h house) *phone {
	t.Helper()
	p := &phone{t: t, h: h, unlock: softkey.New(appOrigin)}
	p.newKey()
	return p
}

func (p *phone) newKey() {
	p.t.Helper()
	var err error
	p.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(p.t, err)
	point, err := p.key.PublicKey.Bytes()
	must(p.t, err)
	p.jwk = fmt.Appendf(nil, `{"kty":"EC","crv":"P-256","x":"%s","y":"%s"}`, b64(point[1:33]), b64(point[33:]))
	key, err := app.ParseKey(p.jwk)
	must(p.t, err)
	p.device = b64(key.Thumbprint())
}

func (p *phone) jws(header string, payload any) string {
	p.t.Helper()
	body, err := json.Marshal(payload)
	must(p.t, err)
	text := b64([]byte(header)) + "." + b64(body)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, sum[:])
	must(p.t, err)
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return text + "." + b64(sig)
}

func (p *phone) now() int64 { return p.h.Clock.Now().Unix() }

// call signs a call; change alters its claims.
func (p *phone) call(verb, path string, body []byte, change ...func(map[string]any)) device.Signed {
	p.t.Helper()
	nonce := make([]byte, 16)
	rand.Read(nonce)
	claims := map[string]any{"aud": appOrigin, "htm": verb, "htp": path, "iat": p.now(), "jti": b64(nonce)}
	if len(body) > 0 {
		sum := sha256.Sum256(body)
		claims["bh"] = b64(sum[:])
	}
	for _, c := range change {
		c(claims)
	}
	return device.Signed{Caller: from(), Method: verb, Path: path, Body: body,
		Token: p.jws(`{"alg":"ES256","typ":"gatehouse-device+jwt","kid":"`+p.device+`"}`, claims)}
}

func from() device.Caller {
	return device.Caller{Address: netip.MustParseAddr("198.51.100.9"), Agent: "Phone/1.0"}
}

func (p *phone) enter() device.Phone {
	p.t.Helper()
	in, err := p.h.device.Enter(ctx, p.call("POST", "/app/v1/x", nil))
	must(p.t, err)
	return in
}

func (p *phone) enterPairing(id string) device.Phone {
	p.t.Helper()
	in, err := p.h.device.EnterPairing(ctx, p.call("POST", "/app/v1/pairings/"+id, nil), id)
	must(p.t, err)
	return in
}

func (p *phone) claimOf(o device.Opening) device.Claim {
	p.t.Helper()
	registration, err := p.unlock.Create(o.Unlock.Options)
	must(p.t, err)
	return device.Claim{State: o.State, Key: p.jwk, Unlock: registration, Name: "Pixel 9",
		Proof: p.jws(`{"alg":"ES256","typ":"gatehouse-pairing+jwt"}`, map[string]any{"pairing": o.Pairing, "aud": appOrigin, "iat": p.now()})}
}

// claim opens a pairing by its link and claims it.
func (p *phone) claim(link string) (device.Opening, error) {
	p.t.Helper()
	_, token, _ := strings.Cut(link, "#pair=")
	o, err := p.h.device.Open(ctx, from(), token, "")
	if err != nil {
		return o, err
	}
	c, err := p.h.device.Claim(ctx, from(), p.claimOf(o))
	if err == nil {
		p.claimed, p.account = c, c.Account
	}
	return o, err
}

// over is the assertion over the hash of text.
func (p *phone) over(text string) json.RawMessage {
	p.t.Helper()
	sum := sha256.Sum256([]byte(text))
	out, err := p.unlock.Get(fmt.Appendf(nil, `{"challenge":%q,"rpId":"phone.example.ac.uk","allowCredentials":[],"userVerification":"required"}`, b64(sum[:])))
	must(p.t, err)
	return out
}

// decide signs a decision; change alters it.
func (p *phone) decide(id, number, decision string, change ...func(map[string]any)) device.Answer {
	p.t.Helper()
	d := map[string]any{"request": id, "number": number, "decision": decision, "account": p.account, "server": signintest.Origin, "time": p.now()}
	for _, c := range change {
		c(d)
	}
	a := device.Answer{JWS: p.jws(`{"alg":"ES256","typ":"gatehouse-answer+jwt"}`, d)}
	if decision == "approve" {
		a.Unlock = p.over(a.JWS)
	}
	return a
}

func (p *phone) answer(id, number, decision string, change ...func(map[string]any)) (string, error) {
	p.t.Helper()
	return p.h.device.Answer(ctx, p.enter(), id, p.decide(id, number, decision, change...))
}

// prove goes through the step-up of an act by password and passcode.
func (h house) prove(t *testing.T, b *signintest.Browser, p *signintest.Person, act policy.Act, object string) {
	t.Helper()
	h.Clock.Add(time.Minute)
	needed, err := h.enrol.Needs(ctx, b.Caller, enrol.Act{Act: act, Object: object, Return: "/security"})
	must(t, err)
	if needed == nil {
		t.Fatal("no proof is needed")
	}
	s := b.Open(needed.Target)
	for range 4 {
		if s.Kind != signin.StepProve {
			break
		}
		switch s.Method {
		case method.Password:
			s = b.Type(s.Attempt, signintest.Password)
		case method.App:
			s = b.Choose(s.Attempt, method.TOTP)
		default:
			h.Clock.Add(time.Minute)
			s = b.Answer(s.Attempt, s.Method, p.Code(), false)
		}
	}
	if s.Kind != signin.StepDone {
		t.Fatalf("%s: step %d %v %v", act, s.Kind, s.Problem, s.Reasons)
	}
}

// member signs in by password and passcode and proves that they may add a phone.
func (h house) member(t *testing.T, name string) (*signintest.Person, *signintest.Browser) {
	t.Helper()
	p, b := h.Person(name, method.TOTP), h.Browser()
	b.SignIn(p, signin.Target{}, false)
	h.prove(t, b, p, policy.ActMethodAdd, string(method.App))
	return p, b
}

// paired is a member with a phone.
func (h house) paired(t *testing.T, name string) (*signintest.Person, *signintest.Browser, *phone) {
	t.Helper()
	p, b := h.member(t, name)
	return p, b, h.pair(t, b)
}

func (h house) pair(t *testing.T, b *signintest.Browser) *phone {
	t.Helper()
	v, err := h.enrol.StartPairing(ctx, b.Caller)
	must(t, err)
	ph := newPhone(t, h)
	_, err = ph.claim(v.Link)
	must(t, err)
	done, err := h.enrol.ConfirmPairing(ctx, b.Caller, v.Sealed, ph.claimed.Code, "")
	must(t, err)
	b.Keep(done.SetSession, done.SetRemembered)
	return ph
}

// asked is a sign-in that waits for the phone.
type asked struct {
	b          *signintest.Browser
	ref        string
	id, number string
}

func (h house) ask(t *testing.T, p *signintest.Person, b *signintest.Browser) asked {
	t.Helper()
	s := b.Open(signin.Target{Another: true})
	s = b.Identify(s.Attempt, p.Username)
	s = b.Type(s.Attempt, signintest.Password)
	if s.Kind == signin.StepProve && s.Method != method.App {
		s = b.Choose(s.Attempt, method.App)
	}
	if s.Kind != signin.StepProve || s.Method != method.App || s.Sending == nil {
		t.Fatalf("no request was sent: step %d %s %v %v", s.Kind, s.Method, s.Problem, s.Reasons)
	}
	return asked{b, s.Attempt, s.Sending.ID, s.Sending.Number}
}

func (h house) credentials(t *testing.T, p *signintest.Person) (all []method.Credential) {
	t.Helper()
	must(t, h.inTx(ctx, func(s device.Store) (err error) {
		all, err = s.CredentialsOf(ctx, string(p.ID))
		return err
	}))
	return all
}

func (h house) challenge(t *testing.T, id string) (c signin.Challenge) {
	t.Helper()
	must(t, h.inTx(ctx, func(s device.Store) (err error) {
		c, err = s.ChallengeByID(ctx, id)
		return err
	}))
	return c
}

func (h house) pairings(t *testing.T, p *signintest.Person) (all []enrol.Pairing) {
	t.Helper()
	must(t, h.inTx(ctx, func(s device.Store) (err error) {
		all, err = s.PairingsOf(ctx, string(p.ID))
		return err
	}))
	return all
}

// passcode is what the phone shows now.
func (p *phone) passcode() string {
	p.t.Helper()
	c := p.claimed.Passcode
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(c.Secret.Reveal())
	must(p.t, err)
	return oath.Code(secret, oath.Algorithm(c.Algorithm), c.Digits, time.Duration(c.Period)*time.Second, p.h.Clock.Now())
}
