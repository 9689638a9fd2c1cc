package passkey_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/methodtest"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
)

const origin = "https://login.example.org"

var eve = method.Subject{ID: "01h00000000000000000000eve", Username: "eve"}

func settings() passkey.Settings {
	return passkey.Settings{RPID: "example.org", RPName: "Example College", Origins: []string{origin}}
}

func newMethod(t testing.TB, change ...func(*passkey.Settings)) *passkey.Method {
	t.Helper()
	s := settings()
	for _, c := range change {
		c(&s)
	}
	m, err := passkey.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// enrol registers a passkey for s; the error is Enrol's.
func enrol(t testing.TB, m *passkey.Method, key *softkey.Authenticator, s method.Subject, existing ...method.Credential) (method.Credential, error) {
	t.Helper()
	p := must[method.Prompt](t)(m.Offer(method.OfferInput{Subject: s, Existing: existing, Now: methodtest.Noon}))
	c, err := m.Enrol(method.EnrolInput{
		Subject: s, Existing: existing, State: p.State, Now: methodtest.Noon,
		Answer: method.Answer{JSON: must[json.RawMessage](t)(key.Create(p.Public))},
	})
	c.ID, c.Person = "cred-"+s.Username, s.ID
	return c, err
}

// why is the reason of a refused registration: its code, or behind "passkey.refused" its cause.
func why(err error) string {
	f := fault.Of(err)
	if f == nil {
		return ""
	}
	if f.Code == "passkey.refused" {
		return f.Unwrap().Error()
	}
	return f.Code
}

// signIn is a discoverable sign-in with what the authenticator gives, judged against c.
func signIn(t testing.TB, m *passkey.Method, key *softkey.Authenticator, c method.Credential, now time.Time) method.Verdict {
	t.Helper()
	p := must[method.Prompt](t)(m.Begin(method.BeginInput{Now: now}))
	return judge(t, m, p, must[json.RawMessage](t)(key.Get(p.Public)), c, now)
}

func judge(t testing.TB, m *passkey.Method, p method.Prompt, answer json.RawMessage, c method.Credential, now time.Time) method.Verdict {
	t.Helper()
	return must[method.Verdict](t)(m.Verify(method.VerifyInput{
		Credentials: []method.Credential{c}, State: p.State, Answer: method.Answer{JSON: answer}, Now: now,
	}))
}

func TestSuite(t *testing.T) {
	key := softkey.New(origin)
	key.Count = true
	methodtest.Run(t, methodtest.Case{
		Method: newMethod(t),
		Enrol: func(t *testing.T, p method.Prompt, _ time.Time) method.Answer {
			return method.Answer{JSON: must[json.RawMessage](t)(key.Create(p.Public))}
		},
		Right: func(t *testing.T, p method.Prompt, _ time.Time) method.Answer {
			return method.Answer{JSON: must[json.RawMessage](t)(key.Get(p.Public))}
		},
		Wrong: func(t *testing.T, p method.Prompt, _ time.Time) []method.Answer {
			other := softkey.New(origin)
			other.Add(key.Credentials()[0])
			other.Challenge = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
			return []method.Answer{{JSON: must[json.RawMessage](t)(other.Get([]byte(`{"challenge":"x","rpId":"example.org"}`)))}}
		},
	})
}

func TestDiscoverableSignIn(t *testing.T) {
	m, key := newMethod(t), softkey.New(origin)
	key.AAGUID = [16]byte{0xee, 0x88, 0x28, 0x79, 0x72, 0x1c, 0x49, 0x13, 0x97, 0x75, 0x3d, 0xfc, 0xce, 0x97, 0x07, 0x2a}
	c := must[method.Credential](t)(enrol(t, m, key, methodtest.Ada))
	if c.Name != "YubiKey 5" {
		t.Errorf("suggested name %q", c.Name)
	}
	p := must[method.Prompt](t)(m.Begin(method.BeginInput{Now: methodtest.Noon}))
	answer := method.Answer{JSON: must[json.RawMessage](t)(key.Get(p.Public))}
	handle, ok := m.Handle(answer)
	if !ok || !slices.Equal(handle, c.Handle) {
		t.Fatalf("handle %x, %t", handle, ok)
	}
	v := judge(t, m, p, answer.JSON, c, methodtest.Noon)
	if !v.OK || !v.Evidence.PhishingResistant || !v.Evidence.UserVerified || !v.Evidence.DeviceBound || v.Evidence.Attested ||
		v.Evidence.Factors != method.Possession|method.Inherence || v.Evidence.Model != "ee882879-721c-4913-9775-3dfcce97072a" {
		t.Errorf("%+v", v)
	}
	if v.Updated != nil {
		t.Error("a passkey without a counter is saved anew at every sign-in")
	}
}

// What the browser was asked is what the server demands.
func TestG56_ServerChecksWhatItAsked(t *testing.T) {
	for name, c := range map[string]struct {
		change   func(*softkey.Authenticator)
		settings func(*passkey.Settings)
		code     string
	}{
		"algorithm not offered":  {change: func(k *softkey.Authenticator) {}, settings: func(s *passkey.Settings) { s.Algorithms = []int64{passkey.EdDSA} }, code: "passkey.wrong_algorithm"},
		"algorithm of other key": {change: func(k *softkey.Authenticator) { k.Algorithm = passkey.EdDSA }, code: "passkey.weak_key"},
		"no user verification":   {change: func(k *softkey.Authenticator) { k.NotVerified = true }, code: "passkey.user_not_verified"},
		"nobody present":         {change: func(k *softkey.Authenticator) { k.NotPresent = true }, code: "passkey.user_not_present"},
		"not discoverable":       {change: func(k *softkey.Authenticator) { k.NotDiscoverable = true }, code: "passkey.not_discoverable"},
		"wrong attachment":       {change: func(k *softkey.Authenticator) {}, settings: func(s *passkey.Settings) { s.Attachment = "cross-platform" }, code: "passkey.wrong_attachment"},
		"other relying party":    {change: func(k *softkey.Authenticator) { k.RPID = "example.com" }, code: "passkey.wrong_site"},
		"assertion's type":       {change: func(k *softkey.Authenticator) { k.Type = "webauthn.get" }, code: "passkey.wrong_ceremony"},
		"framed":                 {change: func(k *softkey.Authenticator) { k.CrossOrigin = true }, code: "passkey.cross_origin"},
		"backed up, not able to": {change: func(k *softkey.Authenticator) { k.BackedUp = true }, code: "passkey.backup_flags"},
		"no attestation":         {change: func(k *softkey.Authenticator) {}, settings: func(s *passkey.Settings) { s.RequireAttested = true }, code: "passkey.not_attested"},
	} {
		key := softkey.New(origin)
		c.change(key)
		var m *passkey.Method
		if c.settings != nil {
			m = newMethod(t, c.settings)
		} else {
			m = newMethod(t)
		}
		if _, err := enrol(t, m, key, methodtest.Ada); err == nil || why(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestG56_ExcludedCredential(t *testing.T) {
	m, key := newMethod(t), softkey.New(origin)
	c := must[method.Credential](t)(enrol(t, m, key, methodtest.Ada))
	p := must[method.Prompt](t)(m.Offer(method.OfferInput{Subject: methodtest.Ada, Existing: []method.Credential{c}, Now: methodtest.Noon}))
	if _, err := key.Create(p.Public); err != softkey.ErrExcluded {
		t.Fatalf("an honest authenticator registers twice: %v", err)
	}
	key.IgnoreExclude, key.CredentialID = true, c.Handle
	if _, err := enrol(t, m, key, methodtest.Ada, c); why(err) != "passkey.already_registered" {
		t.Errorf("%v", err)
	}
}

func TestG65_OnlyTheOwnerProves(t *testing.T) {
	m, adas, eves := newMethod(t), softkey.New(origin), softkey.New(origin)
	ada := must[method.Credential](t)(enrol(t, m, adas, methodtest.Ada))
	evil := must[method.Credential](t)(enrol(t, m, eves, eve))
	none, victims := []byte{}, []byte(methodtest.Ada.ID)
	for name, handle := range map[string]*[]byte{"own user handle": nil, "none": &none, "the victim's": &victims} {
		eves.UserHandle = handle
		p := must[method.Prompt](t)(m.Begin(method.BeginInput{Subject: methodtest.Ada, Credentials: []method.Credential{ada}, Now: methodtest.Noon}))
		eves.Use = evil.Handle
		answer := method.Answer{JSON: must[json.RawMessage](t)(eves.Get(p.Public))}
		for _, creds := range [][]method.Credential{{ada}, {evil}, {ada, evil}} {
			v := must[method.Verdict](t)(m.Verify(method.VerifyInput{
				Subject: methodtest.Ada, Credentials: creds, State: p.State, Answer: answer, Now: methodtest.Noon,
			}))
			if v.OK {
				t.Errorf("%s: eve's passkey proved ada", name)
			}
		}
	}
	// Discoverable: eve's credential with the victim's handle, or with none, proves nobody.
	for name, handle := range map[string]*[]byte{"none": &none, "the victim's": &victims} {
		eves.UserHandle, eves.Use = handle, nil
		if v := signIn(t, m, eves, evil, methodtest.Noon); v.OK {
			t.Errorf("discoverable, %s: %+v", name, v)
		}
	}
}

// A stolen credential id on another key: the signature is the other key's.
func TestG66_SameCredentialIDAnotherKey(t *testing.T) {
	m, adas, eves := newMethod(t), softkey.New(origin), softkey.New(origin)
	ada := must[method.Credential](t)(enrol(t, m, adas, methodtest.Ada))
	eves.CredentialID = ada.Handle
	evil, err := enrol(t, m, eves, eve)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(evil.Handle, ada.Handle) {
		t.Fatal("the handle, by which the store refuses a second owner, differs")
	}
	handle := []byte(methodtest.Ada.ID)
	eves.UserHandle = &handle
	if v := signIn(t, m, eves, ada, methodtest.Noon); v.OK || v.Reason != "passkey.signature" {
		t.Errorf("%+v", v)
	}
}

func TestG67_ExactOrigin(t *testing.T) {
	m, honest := newMethod(t), softkey.New(origin)
	c := must[method.Credential](t)(enrol(t, m, honest, methodtest.Ada))
	for _, o := range []string{
		"http://login.example.org", origin + ":8443", origin + ":443", "https://login.example.org.evil.tld", "https://LOGIN.example.org",
		origin + "/", origin + ".", "https://example.org", "https://xn--lgin-5qa.example.org", "null", "", "https://evil.tld#" + origin,
		"https://login.example.org@evil.tld", " " + origin, "https://sub.login.example.org",
	} {
		honest.Origin = o
		if v := signIn(t, m, honest, c, methodtest.Noon); v.OK || v.Reason != "passkey.wrong_origin" {
			t.Errorf("sign-in from %q: %+v", o, v)
		}
		other := softkey.New(o)
		if _, err := enrol(t, m, other, methodtest.Ada); why(err) != "passkey.wrong_origin" {
			t.Errorf("registration from %q: %v", o, err)
		}
	}
}

func TestG71_BackupFlags(t *testing.T) {
	m := newMethod(t)
	bound := softkey.New(origin)
	c := must[method.Credential](t)(enrol(t, m, bound, methodtest.Ada))
	bound.BackupEligible = true
	if v := signIn(t, m, bound, c, methodtest.Noon); v.OK || v.Reason != "passkey.backup_changed" {
		t.Errorf("device-bound turned synced: %+v", v)
	}
	bound.BackupEligible, bound.BackedUp = false, true
	if v := signIn(t, m, bound, c, methodtest.Noon); v.OK || v.Reason != "passkey.backup_flags" {
		t.Errorf("backed up without being able to: %+v", v)
	}
	synced := softkey.New(origin)
	synced.BackupEligible = true
	c = must[method.Credential](t)(enrol(t, m, synced, methodtest.Ada))
	synced.BackedUp = true
	v := signIn(t, m, synced, c, methodtest.Noon)
	if !v.OK || v.Evidence.DeviceBound || v.Updated == nil {
		t.Fatalf("%+v", v)
	}
	if about := must[passkey.About](t)(passkey.Describe(*v.Updated)); !about.Synced || !about.BackedUp {
		t.Errorf("%+v", about)
	}
	synced.BackupEligible, synced.BackedUp = false, false
	if v := signIn(t, m, synced, c, methodtest.Noon); v.OK {
		t.Errorf("synced turned device-bound: %+v", v)
	}
}

func TestG72_ChallengeBelongsToOnePurpose(t *testing.T) {
	m, key := newMethod(t), softkey.New(origin)
	c := must[method.Credential](t)(enrol(t, m, key, methodtest.Ada))
	now := methodtest.Noon
	get := must[method.Prompt](t)(m.Begin(method.BeginInput{Now: now}))
	create := must[method.Prompt](t)(m.Offer(method.OfferInput{Subject: methodtest.Ada, Now: now}))
	other := must[method.Prompt](t)(m.Begin(method.BeginInput{Now: now}))
	evil := must[method.Prompt](t)(m.Begin(method.BeginInput{Subject: eve, Now: now}))
	answer := must[json.RawMessage](t)(key.Get(get.Public))
	registration := must[json.RawMessage](t)(softkey.New(origin).Create(create.Public))
	for name, v := range map[string]method.Verdict{
		"another challenge":                 judge(t, m, other, answer, c, now),
		"a registration's challenge":        judge(t, m, create, answer, c, now),
		"somebody else's challenge":         judge(t, m, evil, answer, c, now),
		"registration data at verification": judge(t, m, get, registration, c, now),
		"after ten minutes":                 judge(t, m, get, answer, c, now.Add(passkey.Lifetime+time.Second)),
	} {
		if v.OK {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if v := judge(t, m, get, answer, c, now.Add(passkey.Lifetime)); !v.OK {
		t.Errorf("within ten minutes: %+v", v)
	}
	key.RPID = "example.com"
	if v := signIn(t, m, key, c, now); v.OK {
		t.Error("signed for another relying party")
	}
	key.RPID, key.Type = "", "webauthn.create"
	if v := signIn(t, m, key, c, now); v.OK || v.Reason != "passkey.wrong_ceremony" {
		t.Errorf("%+v", v)
	}
	if _, err := m.Enrol(method.EnrolInput{Subject: methodtest.Ada, State: get.State, Answer: method.Answer{JSON: registration}, Now: now}); why(err) != "passkey.wrong_ceremony" {
		t.Errorf("registered with a sign-in's challenge: %v", err)
	}
}

func TestG56_UserVerificationAtSignIn(t *testing.T) {
	m, key := newMethod(t), softkey.New(origin)
	c := must[method.Credential](t)(enrol(t, m, key, methodtest.Ada))
	key.NotVerified = true
	if v := signIn(t, m, key, c, methodtest.Noon); v.OK || v.Reason != "passkey.user_not_verified" {
		t.Errorf("%+v", v)
	}
	key.NotVerified, key.NotPresent = false, true
	if v := signIn(t, m, key, c, methodtest.Noon); v.OK || v.Reason != "passkey.user_not_present" {
		t.Errorf("%+v", v)
	}
}

func TestG77_NoCredentialsBeforeTheFirstProof(t *testing.T) {
	m, key := newMethod(t), softkey.New(origin)
	c := must[method.Credential](t)(enrol(t, m, key, methodtest.Ada))
	allowed := func(in method.BeginInput) []any {
		var o map[string]any
		if err := json.Unmarshal(must[method.Prompt](t)(m.Begin(in)).Public, &o); err != nil {
			t.Fatal(err)
		}
		if o["userVerification"] != "required" || o["rpId"] != "example.org" {
			t.Errorf("%v", o)
		}
		return o["allowCredentials"].([]any)
	}
	if got := allowed(method.BeginInput{Credentials: []method.Credential{c}, Now: methodtest.Noon}); len(got) != 0 {
		t.Errorf("named %v", got)
	}
	if got := allowed(method.BeginInput{Subject: methodtest.Ada, Credentials: []method.Credential{c}, Now: methodtest.Noon}); len(got) != 1 {
		t.Errorf("for a known person named %v", got)
	}
}

func TestG80_CounterRegression(t *testing.T) {
	for _, lenient := range []bool{false, true} {
		m := newMethod(t, func(s *passkey.Settings) { s.AllowCounterRegression = lenient })
		key := softkey.New(origin)
		c := must[method.Credential](t)(enrol(t, m, key, methodtest.Ada))
		counter := uint32(10)
		key.CounterIs = &counter
		c = *signIn(t, m, key, c, methodtest.Noon).Updated
		for _, count := range []uint32{9, 10, 0} {
			counter = count
			v := signIn(t, m, key, c, methodtest.Noon.Add(time.Minute))
			if v.OK != lenient || !v.Risk || v.Reason != "passkey.counter_regressed" {
				t.Errorf("lenient %t, 10 then %d: %+v", lenient, count, v)
			}
		}
		counter = 11
		if v := signIn(t, m, key, c, methodtest.Noon.Add(time.Minute)); !v.OK || v.Risk {
			t.Errorf("10 then 11: %+v", v)
		}
	}
}

// A forged answer with a low counter raises no alarm: only the key's owner can.
func TestG80_OnlySignedCountersAlarm(t *testing.T) {
	m, key, other := newMethod(t), softkey.New(origin), softkey.New(origin)
	key.Count, other.Count = true, true
	c := must[method.Credential](t)(enrol(t, m, key, methodtest.Ada))
	c = *signIn(t, m, key, c, methodtest.Noon).Updated
	other.CredentialID = c.Handle
	must[method.Credential](t)(enrol(t, m, other, methodtest.Ada))
	if v := signIn(t, m, other, c, methodtest.Noon); v.OK || v.Risk {
		t.Errorf("%+v", v)
	}
}

func TestG80_AssertionsThatOvertakeEachOther(t *testing.T) {
	m, key := newMethod(t), softkey.New(origin)
	key.Count = true
	c := must[method.Credential](t)(enrol(t, m, key, methodtest.Ada))
	now := methodtest.Noon
	begin := func(at time.Time) (method.Prompt, json.RawMessage) {
		p := must[method.Prompt](t)(m.Begin(method.BeginInput{Now: at}))
		return p, must[json.RawMessage](t)(key.Get(p.Public))
	}
	p1, a1 := begin(now)
	p2, a2 := begin(now.Add(time.Second))
	v := judge(t, m, p2, a2, c, now.Add(2*time.Second))
	if !v.OK {
		t.Fatalf("%+v", v)
	}
	c = *v.Updated
	if v = judge(t, m, p1, a1, c, now.Add(3*time.Second)); !v.OK || v.Risk {
		t.Fatalf("the one overtaken: %+v", v)
	}
	c = *v.Updated
	if v = judge(t, m, p1, a1, c, now.Add(4*time.Second)); v.OK || !v.Risk {
		t.Errorf("the same counter again: %+v", v)
	}
	// A copy made earlier, asked after the others were received.
	clone := softkey.New(origin)
	low := uint32(1)
	clone.CounterIs = &low
	clone.Add(key.Credentials()[0])
	if v = signIn(t, m, clone, c, now.Add(5*time.Second)); v.OK || !v.Risk {
		t.Errorf("a copy that fell behind: %+v", v)
	}
	for range 50 {
		now = now.Add(time.Minute)
		v = signIn(t, m, key, c, now)
		if !v.OK {
			t.Fatalf("%+v", v)
		}
		c = *v.Updated
	}
	if len(c.State) > 4096 {
		t.Errorf("the state grew to %d bytes", len(c.State))
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for name, change := range map[string]func(*passkey.Settings){
		"no RP ID":               func(s *passkey.Settings) { s.RPID = "" },
		"RP ID with port":        func(s *passkey.Settings) { s.RPID = "example.org:443" },
		"no origin":              func(s *passkey.Settings) { s.Origins = nil },
		"origin outside":         func(s *passkey.Settings) { s.Origins = []string{"https://notexample.org"} },
		"origin with path":       func(s *passkey.Settings) { s.Origins = []string{origin + "/"} },
		"plain http":             func(s *passkey.Settings) { s.Origins = []string{"http://login.example.org"} },
		"upper case":             func(s *passkey.Settings) { s.Origins = []string{"https://LOGIN.example.org"} },
		"unverifiable algorithm": func(s *passkey.Settings) { s.Algorithms = []int64{-65535} },
	} {
		s := settings()
		change(&s)
		if _, err := passkey.New(s); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if _, err := passkey.New(passkey.Settings{RPID: "localhost", Origins: []string{"http://localhost:9001"}}); err != nil {
		t.Errorf("localhost: %v", err)
	}
}
