package softkey_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
)

const (
	create = `{"challenge":"AAAA","rp":{"id":"example.org"},"user":{"id":"YWRh"},"excludeCredentials":[%s]}`
	get    = `{"publicKey":{"challenge":"AAAA","rpId":"example.org","allowCredentials":[%s]}}`
)

func id(t *testing.T, answer json.RawMessage, err error) string {
	t.Helper()
	var r struct{ ID, RawID, Type string }
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(answer, &r); err != nil || r.ID != r.RawID || r.Type != "public-key" {
		t.Fatalf("%s: %v", answer, err)
	}
	return r.ID
}

func TestItChoosesAsAnAuthenticatorDoes(t *testing.T) {
	a := softkey.New("https://example.org")
	if _, err := a.Get(fmt.Appendf(nil, get, "")); !errors.Is(err, softkey.ErrNoCredential) {
		t.Errorf("empty: %v", err)
	}
	answer, err := a.Create(fmt.Appendf(nil, create, ""))
	first := id(t, answer, err)
	if _, err := a.Create(fmt.Appendf(nil, create, `{"id":"`+first+`"}`)); !errors.Is(err, softkey.ErrExcluded) {
		t.Errorf("excluded: %v", err)
	}
	answer, err = a.Create(fmt.Appendf(nil, create, ""))
	second := id(t, answer, err)
	answer, err = a.Get(fmt.Appendf(nil, get, ""))
	if got := id(t, answer, err); got != second {
		t.Errorf("without a list: %s", got)
	}
	answer, err = a.Get(fmt.Appendf(nil, get, `{"id":"`+first+`"}`))
	if got := id(t, answer, err); got != first {
		t.Errorf("with a list: %s", got)
	}
	if _, err := a.Get(fmt.Appendf(nil, get, `{"id":"AAAA"}`)); !errors.Is(err, softkey.ErrNoCredential) {
		t.Errorf("another's list: %v", err)
	}
	if _, err := a.Get([]byte(`{"challenge":"AAAA","rpId":"example.com"}`)); !errors.Is(err, softkey.ErrNoCredential) {
		t.Errorf("another site: %v", err)
	}
	clone := softkey.New("https://example.org")
	clone.Add(a.Credentials()[0])
	answer, err = clone.Get(fmt.Appendf(nil, get, ""))
	if got := id(t, answer, err); got != first {
		t.Errorf("clone: %s", got)
	}
}

func TestCounterRises(t *testing.T) {
	a := softkey.New("https://example.org")
	a.Count = true
	if _, err := a.Create(fmt.Appendf(nil, create, "")); err != nil {
		t.Fatal(err)
	}
	for want := byte(1); want < 4; want++ {
		answer, err := a.Get(fmt.Appendf(nil, get, ""))
		if err != nil {
			t.Fatal(err)
		}
		var r struct {
			Response struct{ AuthenticatorData string }
		}
		if err := json.Unmarshal(answer, &r); err != nil {
			t.Fatal(err)
		}
		auth, err := base64.RawURLEncoding.DecodeString(r.Response.AuthenticatorData)
		if err != nil || len(auth) != 37 || auth[36] != want {
			t.Errorf("%x: %v", auth, err)
		}
	}
}
