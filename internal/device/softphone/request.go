package softphone

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/courier/webpush"
)

// Request is one that waits for an answer.
type Request struct {
	ID          string `json:"id"`
	Account     string `json:"account"`
	Digits      int    `json:"digits"`
	Application string `json:"application"`
	Country     string `json:"country"`
	Place       string `json:"place"`
	Address     string `json:"address"`
	Agent       string `json:"agent"`
	Known       bool   `json:"known"`
	Created     int64  `json:"created"`
	Expires     int64  `json:"expires"`
	Extend      bool   `json:"extend"`
}

// Requests gives what waits. Where nothing does, it waits for it, up to wait (25 seconds at most).
func (p *Phone) Requests(ctx context.Context, wait time.Duration) ([]Request, error) {
	var a struct {
		Now      int64     `json:"now"`
		Requests []Request `json:"requests"`
	}
	err := p.Call(ctx, http.MethodGet, fmt.Sprintf("/app/v1/requests?wait=%d", seconds(wait)), nil, &a)
	if err == nil {
		p.skew.Store(a.Now - p.Now().Unix()) // a decision is dated by it: the clock may have been set while this waited
	}
	return a.Requests, err
}

// Approve answers with the number that the sign-in page shows.
func (p *Phone) Approve(ctx context.Context, r Request, number string) error {
	_, err := p.Answer(ctx, r, "approve", number)
	return err
}

// Deny says no.
func (p *Phone) Deny(ctx context.Context, r Request) error {
	_, err := p.Answer(ctx, r, "deny", "")
	return err
}

// Report says "No, it's not me".
func (p *Phone) Report(ctx context.Context, r Request) error {
	_, err := p.Answer(ctx, r, "report", "")
	return err
}

// Decision is a signed decision, ready to be sent.
type Decision struct {
	Answer string          `json:"answer"`
	Unlock json.RawMessage `json:"unlock"`
}

// Decide signs a decision, and unlocks it where it approves and the phone has a passkey for it.
func (p *Phone) Decide(r Request, decision, number string) (d Decision, err error) {
	d.Unlock = json.RawMessage("null")
	d.Answer, err = p.Sign("gatehouse-answer+jwt", map[string]any{"request": r.ID, "number": number, "decision": decision,
		"account": r.Account, "server": p.server, "time": p.time()})
	if err == nil && decision == "approve" {
		d.Unlock, err = p.unlock(d.Answer)
	}
	return d, err
}

// Answer decides and sends. standing is "approved", "denied" or "reported".
func (p *Phone) Answer(ctx context.Context, r Request, decision, number string) (standing string, err error) {
	d, err := p.Decide(r, decision, number)
	if err != nil {
		return "", err
	}
	return p.SendDecision(ctx, r.ID, d)
}

// SendDecision sends what Decide made, perhaps not for the first time.
func (p *Phone) SendDecision(ctx context.Context, request string, d Decision) (standing string, err error) {
	var a struct {
		Standing string `json:"standing"`
	}
	err = p.Call(ctx, http.MethodPost, "/app/v1/requests/"+url.PathEscape(request)+"/answer", d, &a)
	return a.Standing, err
}

// Extend asks for more time; it gives when the request ends then.
func (p *Phone) Extend(ctx context.Context, request string) (time.Time, error) {
	var a struct {
		Expires int64 `json:"expires"`
	}
	err := p.Call(ctx, http.MethodPost, "/app/v1/requests/"+url.PathEscape(request)+"/extend", nil, &a)
	return time.Unix(a.Expires, 0), err
}

// unlock makes an assertion over the hash of text, or "null" where the phone has no passkey.
func (p *Phone) unlock(text string) (json.RawMessage, error) {
	if p.NoUnlock || !p.unlocks {
		return json.RawMessage("null"), nil
	}
	u, err := url.Parse(p.origin)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(text))
	options, err := json.Marshal(map[string]any{"challenge": b64(sum[:]), "rpId": u.Hostname(), "userVerification": "required"})
	if err != nil {
		return nil, err
	}
	return p.Platform.Get(options)
}

// subscription is a browser's side of Web Push.
type subscription struct {
	key  *ecdh.PrivateKey
	auth []byte
}

// Subscribe says where pushes go: endpoint is the push service's.
func (p *Phone) Subscribe(ctx context.Context, endpoint string) error {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	s := &subscription{key: key, auth: make([]byte, 16)}
	rand.Read(s.auth)
	err = p.Call(ctx, http.MethodPut, "/app/v1/push", map[string]string{"endpoint": endpoint, "p256dh": b64(key.PublicKey().Bytes()), "auth": b64(s.auth)}, nil)
	if err == nil {
		p.push = s
	}
	return err
}

// Unsubscribe ends pushes.
func (p *Phone) Unsubscribe(ctx context.Context) error {
	return p.Call(ctx, http.MethodDelete, "/app/v1/push", nil, nil)
}

// ReadPush decrypts what the push service was given for this phone.
func (p *Phone) ReadPush(body []byte) (string, error) {
	if p.push == nil {
		return "", fmt.Errorf("softphone: not subscribed")
	}
	plain, _, err := webpush.Decrypt(body, p.push.key, p.push.auth)
	return string(plain), err
}
