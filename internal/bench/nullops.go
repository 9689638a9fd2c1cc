package bench

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
)

// Signer answers a WebAuthn challenge, as navigator.credentials.get does, in JSON.
type Signer func(options []byte) (json.RawMessage, error)

// NullOperations are the floors, by the name of the operation they stand under.
func NullOperations(sign Signer) []Operation {
	return []Operation{
		{Name: PasskeySignIn, Do: func(ctx context.Context, w *Worker) error {
			a, err := w.Expect(ctx, http.StatusOK, Request{Method: http.MethodGet, Path: "/challenge", Page: true})
			if err != nil {
				return err
			}
			var c struct{ Challenge string }
			if err := json.Unmarshal(a.Body, &c); err != nil {
				return err
			}
			options, err := json.Marshal(map[string]string{
				"challenge": base64.RawURLEncoding.EncodeToString([]byte(c.Challenge)), "rpId": "localhost"})
			if err != nil {
				return err
			}
			answer, err := sign(options)
			if err != nil {
				return err
			}
			_, err = w.Expect(ctx, http.StatusSeeOther, Request{Method: http.MethodPost, Path: "/assertion", Page: true,
				Form: url.Values{"answer": {string(answer)}}})
			return err
		}},
		{Name: CodeAndTokens, Do: func(ctx context.Context, w *Worker) error {
			if _, err := w.Expect(ctx, http.StatusSeeOther, Request{Method: http.MethodGet, Path: "/code", Page: true}); err != nil {
				return err
			}
			return nullTokens(ctx, w, "authorization_code")
		}},
		{Name: Refresh, Do: func(ctx context.Context, w *Worker) error { return nullTokens(ctx, w, "refresh_token") }},
		{Name: PasswordSignIn, Do: func(ctx context.Context, w *Worker) error {
			_, err := w.Expect(ctx, http.StatusOK, Request{Method: http.MethodPost, Path: "/password", Page: true,
				Form: url.Values{"password": {"correct horse battery staple"}}})
			return err
		}},
	}
}

func nullTokens(ctx context.Context, w *Worker, grant string) error {
	_, err := w.Expect(ctx, http.StatusOK, Request{Method: http.MethodPost, Path: "/tokens", Basic: [2]string{"bench", "secret"},
		Form: url.Values{"grant_type": {grant}, "code": {"a code of the usual length"}, "redirect_uri": {"http://127.0.0.1/callback"}}})
	return err
}

// NullPhoneOperations are the floors of what phones and passcodes take: as many requests, and the phone's own signed ones.
func NullPhoneOperations(phone *softphone.Phone) []Operation {
	return []Operation{
		{Name: PasscodeSignIn, Do: func(ctx context.Context, w *Worker) error {
			if err := nullForms(ctx, w); err != nil {
				return err
			}
			_, err := w.Expect(ctx, http.StatusSeeOther, Request{Method: http.MethodPost, Path: "/session", Page: true,
				Form: url.Values{"answer": {"123456"}}})
			return err
		}},
		{Name: AppSignIn, Do: func(ctx context.Context, w *Worker) error {
			if err := nullForms(ctx, w); err != nil {
				return err
			}
			list, err := phone.Requests(ctx, 0)
			if err != nil {
				return err
			}
			if err := phone.Approve(ctx, list[0], "47"); err != nil {
				return err
			}
			_, err = w.Expect(ctx, http.StatusSeeOther, Request{Method: http.MethodGet, Path: "/session", Page: true})
			return err
		}},
	}
}

// nullForms is a page with a name, a page with a password, and the page after them.
func nullForms(ctx context.Context, w *Worker) error {
	for _, field := range []string{"name", "password"} {
		if _, err := w.Expect(ctx, http.StatusOK, Request{Method: http.MethodGet, Path: "/empty", Page: true}); err != nil {
			return err
		}
		if _, err := w.Expect(ctx, http.StatusSeeOther, Request{Method: http.MethodPost, Path: "/form", Page: true,
			Form: url.Values{field: {"a text of the usual length"}}}); err != nil {
			return err
		}
	}
	_, err := w.Expect(ctx, http.StatusOK, Request{Method: http.MethodGet, Path: "/empty", Page: true})
	return err
}

// The operations' names.
const (
	PasskeySignIn  = "passkey sign-in"
	CodeAndTokens  = "code + PKCE + tokens"
	Refresh        = "refresh"
	PasswordSignIn = "password sign-in"
	Introspection  = "introspection"
	UserInfo       = "userinfo"
	Discovery      = "discovery"
	PasscodeSignIn = "passcode sign-in"
	AppSignIn      = "app sign-in"
	MovedOn        = "approve to moved on"
)
