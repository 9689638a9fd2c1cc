package signin_test

import (
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/signin/signintest"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
)

// FuzzStrangersPage: no ref, name or answer of a stranger's making is an error of ours, and none opens anything.
func FuzzStrangersPage(f *testing.F) {
	f.Add("", "", "", []byte(nil))
	f.Add("x", "ada", "password", []byte("violet"))
	f.Add("AAAA", "ad\x00a\u202e", "passkey", []byte(`{"rawId":"AA","response":{}}`))
	f.Add("", "ada@example.ac.uk", "totp", []byte("000000"))
	clock := signintest.NewClock()
	db := storetest.SQLite(f, storetest.Clock(clock.Now), func(c *store.Config) { c.DefaultPolicy = policy.Default() })
	h := signintest.New(f, db, storetest.Keyring(f), clock)
	h.Person("ada", method.TOTP, method.Passkey)
	f.Fuzz(func(t *testing.T, ref, name, kind string, answer []byte) {
		here := *h
		here.T = t
		b := here.Browser()
		b.Agent = httpdoor.CleanAgent(name)
		if s, err := h.Flow.Show(ctx, b.Caller, ref); err != nil || s.Kind != signin.StepExpired {
			t.Fatalf("a made-up ref: %+v %v", s, err)
		}
		s := b.Identify(b.Open(signin.Target{}).Attempt, name)
		a := method.Answer{Text: string(answer), JSON: answer}
		if string(answer) == signintest.Password {
			return
		}
		s, err := h.Flow.Answer(ctx, b.Caller, s.Attempt, method.Kind(kind), a, true)
		if err != nil {
			if kind != string(method.Password) && kind != string(method.Passkey) && kind != string(method.TOTP) {
				return
			}
			t.Fatal(err)
		}
		if s.Kind == signin.StepDone || s.Known || s.SetSession != nil {
			t.Fatalf("a stranger came in: %+v", s)
		}
		c := b.Caller
		c.Session, c.Remembered = secret.NewString(ref), []secret.String{secret.NewString(name), secret.NewString(ref)}
		if _, err := h.Flow.Show(ctx, c, s.Attempt); err != nil {
			t.Fatal(err)
		}
	})
}
