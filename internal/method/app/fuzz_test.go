package app_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/method/app"
	"github.com/gatehouse-id/gatehouse/internal/method/methodtest"
)

// Whatever is not the phone's own text verifies by nobody's key.
func FuzzJWS(f *testing.F) {
	p := newPhone(f)
	good := p.answer(decision(nil))
	for _, seed := range []string{good, "", "..", good + ".", good[:50], "eyJhbGciOiJub25lIn0..", "eyJhbGciOiJFUzI1NiJ9.e30.AA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		jws, ok := app.ReadJWS(token, app.AnswerType)
		payload, verified := jws.Verify(p.public)
		if verified && (!ok || token != good) {
			t.Errorf("%q verifies", token)
		}
		if !verified && payload != nil {
			t.Error("bytes that nobody signed are given out")
		}
	})
}

// What is taken as a key is written again as the same key.
func FuzzJWK(f *testing.F) {
	for _, seed := range []string{
		string(newPhone(f).public.JWK()), `{}`, `{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`, `{"kty":"EC","crv":"P-256","x":1,"y":[]}`, "\xff", `[`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, jwk []byte) {
		key, err := app.ParseKey(jwk)
		if err != nil {
			return
		}
		again, err := app.ParseKey(key.JWK())
		if err != nil || !bytes.Equal(again.Thumbprint(), key.Thumbprint()) {
			t.Errorf("%s: %v", jwk, err)
		}
	})
}

// A decision that a phone signed, whatever it says, is judged or refused, and an approval is for exactly this request.
func FuzzDecision(f *testing.F) {
	m, p := newMethod(f), newPhone(f)
	cred := p.pair(m, "cred-1", false)
	for _, seed := range []string{decision(nil), decision(map[string]any{"decision": "deny", "number": ""}), `{}`, `null`, `{"request":"r1"`, "{\"request\":\"\\ud800\"}", `{"time":1e99}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		r, reason := m.Judge(cred, asked((&phone{t: t, key: p.key}).answer(payload), nil))
		if reason != "" {
			if r != (app.Ruling{}) {
				t.Errorf("refused for %s, and %+v", reason, r)
			}
			return
		}
		var said map[string]any
		if err := json.Unmarshal([]byte(payload), &said); err != nil || len(said) != 6 || said["request"] != "r1" || said["account"] != methodtest.Ada.ID || said["server"] != server {
			t.Errorf("%q decided %+v", payload, r)
		}
	})
}

// Whatever a stranger sends as an assertion unlocks nothing.
func FuzzUnlock(f *testing.F) {
	m, p := newMethod(f), newPhone(f)
	cred := p.pair(m, "cred-1", true)
	jws := p.answer(decision(nil))
	good := p.unlocked(jws)
	for _, seed := range []string{string(good), `{}`, `null`, `{"id":"AA","rawId":"AA","type":"public-key","response":{}}`, "[", string(p.unlocked("other"))} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, assertion []byte) {
		app.Claims(assertion)
		_, reason := m.Unlock(cred, jws, assertion, methodtest.Noon)
		if reason == "" && !bytes.Equal(assertion, good) {
			var said, right struct {
				Response struct {
					Signature string `json:"signature"`
				} `json:"response"`
			}
			_, _ = json.Unmarshal(assertion, &said), json.Unmarshal(good, &right)
			if said.Response.Signature != right.Response.Signature {
				t.Errorf("%s unlocks", assertion)
			}
		}
	})
}
