// Package softphone is a member's phone in software: it speaks docs/authenticator-protocol.md over HTTP, for tests, the
// demo, the bench and `gatehouse dev phone`.
//
//	OpenPairing(link or code) ─► Claim(name) ─► the code to type into the browser ─► WaitPaired
//	Requests(wait) ─► Approve(number) | Deny | Report | Extend
//	Passcode(now)    Subscribe ─► ReadPush    Move ─► ConfirmMove    Restore    Leave
//
// It knows of the house what the protocol says and nothing else. What a real phone keeps in its key store lies in memory
// and in a file, unprotected: it is no place for a real key.
package softphone

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 20

// Phone is one pairing with one account. It is safe for concurrent use once it is paired.
type Phone struct {
	// Client makes the calls; its timeout, if any, is longer than a long poll (25 seconds).
	Client *http.Client
	// Now is the phone's clock, which may be wrong.
	Now func() time.Time
	// NoUnlock is a phone that cannot make passkeys, or whose owner will not: it makes none and unlocks nothing.
	NoUnlock bool

	// Alter is for attackers: it changes what is about to be signed. typ is the JWS type.
	Alter func(typ string, claims map[string]any)
	// Platform is the phone's own authenticator. Its knobs are for attackers.
	Platform *softkey.Authenticator

	kept
	skew atomic.Int64 // seconds that the house's clock is ahead
}

// kept is what stays when the phone is switched off.
type kept struct {
	origin  string
	server  string
	key     *ecdsa.PrivateKey
	device  string
	account string
	unlocks bool
	pairing string
	opening opening
	secret  passcode
	push    *subscription
}

// New is a phone whose browser stands at the app's origin, like "https://phone.example.ac.uk".
func New(origin string, client *http.Client) *Phone {
	return &Phone{Client: client, Now: time.Now, Platform: softkey.New(origin), kept: kept{origin: strings.TrimSuffix(origin, "/")}}
}

// Paired is a phone that is paired already, with an account of the house at server; passkey unlocks it where its Key is set.
func Paired(origin, server, account string, key *ecdsa.PrivateKey, passkey softkey.Credential, client *http.Client) (*Phone, error) {
	p := New(origin, client)
	p.server, p.account, p.unlocks = server, account, passkey.Key != nil
	if p.unlocks {
		p.Platform.Add(passkey)
	}
	return p, p.keep(key)
}

// Origin is the app's, as New was given it, without a slash at its end.
func (p *Phone) Origin() string { return p.origin }

// Device is the phone's name: its key's thumbprint, "" before Claim.
func (p *Phone) Device() string { return p.device }

// Account is the opaque name of the account, "" before Claim.
func (p *Phone) Account() string { return p.account }

// Key is the phone's key: for tests of what happens when it is stolen.
func (p *Phone) Key() *ecdsa.PrivateKey { return p.key }

// Error is an answer of 400 or more.
type Error struct {
	Status     int           `json:"-"`
	Code       string        `json:"error"`
	Message    string        `json:"message"`
	RetryAfter time.Duration `json:"-"`
	Left       int           `json:"left"` // tries
	Now        int64         `json:"now"`  // with device.clock
}

// Error gives the sentence for the person, and the code.
func (e *Error) Error() string { return fmt.Sprintf("%s (%d %s)", e.Message, e.Status, e.Code) }

// Code is the code of an answer of 400 or more, "" for any other error.
func Code(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// House is what the institution says of itself.
type House struct {
	Protocol    int    `json:"protocol"`
	Institution string `json:"institution"`
	Accent      string `json:"accent"`
	Server      string `json:"server"`
	Origin      string `json:"origin"`
	Unlock      string `json:"unlock"` // "required" or "optional"
	Push        string `json:"push"`   // VAPID public key, base64url; "": no push
	Help        struct {
		URL   string `json:"url"`
		Phone string `json:"phone"`
		Mail  string `json:"mail"`
	} `json:"help"`
	Now int64 `json:"now"`
}

// House asks who is there.
func (p *Phone) House(ctx context.Context) (h House, err error) {
	err = p.Ask(ctx, http.MethodGet, "/app/v1/house", nil, &h)
	return h, err
}

// AccountView is what the app shows of the account.
type AccountView struct {
	Account     string `json:"account"`
	Username    string `json:"username"`
	Name        string `json:"name"`
	DeviceName  string `json:"device_name"`
	Push        bool   `json:"push"`
	Unlock      bool   `json:"unlock"`
	PasskeyURL  string `json:"passkey_url"`
	SecurityURL string `json:"security_url"`
}

// Show asks what the app shows of the account.
func (p *Phone) Show(ctx context.Context) (a AccountView, err error) {
	err = p.Call(ctx, http.MethodGet, "/app/v1/account", nil, &a)
	return a, err
}

// Leave gives the phone up.
func (p *Phone) Leave(ctx context.Context) error {
	return p.Call(ctx, http.MethodDelete, "/app/v1/device", nil, nil)
}

// Ask calls without a signature. path may have a query; body becomes JSON unless it is nil, the answer goes into into
// unless that is nil. An answer of 400 or more is an *Error.
func (p *Phone) Ask(ctx context.Context, method, path string, body, into any) error {
	text, err := encode(body)
	if err != nil {
		return err
	}
	return p.send(ctx, method, path, "", text, into)
}

// Call is Ask, signed by the phone's key. A clock that is wrong is learned from the answer, once.
func (p *Phone) Call(ctx context.Context, method, path string, body, into any) error {
	text, err := encode(body)
	if err != nil {
		return err
	}
	return p.withClock(func() error {
		token, err := p.authorization(method, path, text)
		if err != nil {
			return err
		}
		return p.send(ctx, method, path, token, text, into)
	})
}

// withClock calls again after an answer that told the time.
func (p *Phone) withClock(f func() error) error {
	err := f()
	var e *Error
	if errors.As(err, &e) && e.Code == "device.clock" && e.Now != 0 {
		p.skew.Store(e.Now - p.Now().Unix())
		err = f()
	}
	return err
}

func encode(body any) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	return json.Marshal(body)
}

// authorization signs one call.
func (p *Phone) authorization(method, path string, body []byte) (string, error) {
	id := make([]byte, 16)
	rand.Read(id)
	claims := map[string]any{"aud": p.origin, "htm": method, "htp": path, "iat": p.time(), "jti": b64(id)}
	if body != nil {
		sum := sha256.Sum256(body)
		claims["bh"] = b64(sum[:])
	}
	return p.Sign("gatehouse-device+jwt", claims)
}

// time is the house's, as far as the phone knows it.
func (p *Phone) time() int64 { return p.Now().Unix() + p.skew.Load() }

// Sign makes a compact JWS by the phone's key.
func (p *Phone) Sign(typ string, claims map[string]any) (string, error) {
	if p.key == nil {
		return "", errors.New("softphone: not paired")
	}
	if p.Alter != nil {
		p.Alter(typ, claims)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: p.key, KeyID: p.device}},
		(&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func (p *Phone) send(ctx context.Context, method, path, token string, body []byte, into any) error {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	r, err := http.NewRequestWithContext(ctx, method, p.origin+path, reader)
	if err != nil {
		return err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Device "+token)
	}
	answer, err := p.Client.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // the path may name a request; the origin says enough
		}
		return fmt.Errorf("%s does not answer: %w", p.origin, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return err
	}
	if answer.StatusCode >= 400 {
		return refusal(answer, text)
	}
	if into == nil || answer.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s answers what is not the protocol: %w", p.origin, err)
	}
	return nil
}

func refusal(answer *http.Response, text []byte) error {
	e := &Error{Status: answer.StatusCode}
	if json.Unmarshal(text, e) != nil || e.Code == "" {
		e.Code, e.Message = "broken", "This is no authenticator service."
	}
	if n, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && n > 0 {
		e.RetryAfter = time.Duration(n) * time.Second
	}
	return e
}

// makeKey gives the phone a new key and with it a new name.
func (p *Phone) makeKey() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	return p.keep(key)
}

func (p *Phone) keep(key *ecdsa.PrivateKey) error {
	p.key = key
	sum, err := p.jwk().Thumbprint(thumbprintHash)
	if err != nil {
		return err
	}
	p.device = b64(sum)
	return nil
}

func (p *Phone) jwk() *jose.JSONWebKey { return &jose.JSONWebKey{Key: &p.key.PublicKey} }

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
