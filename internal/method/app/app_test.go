package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/app"
	"github.com/gatehouse-id/gatehouse/internal/method/methodtest"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
)

const (
	server = "https://signin.example.ac.uk"
	origin = "https://phone.example.ac.uk"
)

func newMethod(t testing.TB) *app.Method {
	t.Helper()
	m, err := app.New(app.Settings{Server: server, Origin: origin, RPID: "phone.example.ac.uk", Name: "Example"})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// phone is a software phone: a key, and a platform passkey where it has one.
type phone struct {
	t      testing.TB
	key    *ecdsa.PrivateKey
	public app.Key
	unlock *softkey.Authenticator
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func newPhone(t testing.TB) *phone {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	public, err := app.ParseKey(fmt.Appendf(nil, `{"kty":"EC","crv":"P-256","x":"%s","y":"%s"}`, b64(point[1:33]), b64(point[33:])))
	if err != nil {
		t.Fatal(err)
	}
	return &phone{t, key, public, softkey.New(origin)}
}

// sign makes a compact JWS of any header and payload.
func (p *phone) sign(header, payload string) string {
	p.t.Helper()
	text := b64([]byte(header)) + "." + b64([]byte(payload))
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, sum[:])
	if err != nil {
		p.t.Fatal(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return text + "." + b64(sig)
}

func (p *phone) answer(payload string) string {
	return p.sign(`{"alg":"ES256","typ":"gatehouse-answer+jwt"}`, payload)
}

// pair makes the phone's credential; with: it has an unlocking passkey.
func (p *phone) pair(m *app.Method, id string, with bool) method.Credential {
	p.t.Helper()
	user := app.UserHandle(methodtest.Ada.ID, id)
	var registration json.RawMessage
	prompt, err := m.OfferUnlock(user, methodtest.Ada, methodtest.Noon)
	if err == nil && with {
		registration, err = p.unlock.Create(prompt.Public)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	state, err := m.Pair(p.public, user, prompt.State, registration, methodtest.Noon)
	if err != nil {
		p.t.Fatal(err)
	}
	return method.Credential{ID: id, Person: methodtest.Ada.ID, Kind: method.App, Handle: p.public.Thumbprint(), State: state, Created: methodtest.Noon}
}

// unlocked is the assertion over the hash of text.
func (p *phone) unlocked(text string) json.RawMessage {
	p.t.Helper()
	sum := sha256.Sum256([]byte(text))
	out, err := p.unlock.Get(fmt.Appendf(nil, `{"challenge":%q,"rpId":"phone.example.ac.uk","allowCredentials":[],"userVerification":"required"}`, b64(sum[:])))
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

func TestSuite(t *testing.T) {
	m := newMethod(t)
	methodtest.RunElsewhere(t, methodtest.Elsewhere{Method: m, Credential: func(t *testing.T, id string) method.Credential {
		return newPhone(t).pair(m, id, true)
	}})
}

func TestNumbersHaveTheirDigitsAndAreDrawnEvenly(t *testing.T) {
	m, cred := newMethod(t), newPhone(t).pair(newMethod(t), "cred-1", false)
	in := method.DispatchInput{Subject: methodtest.Ada, Credentials: []method.Credential{cred}, Digits: 2, Now: methodtest.Noon, Avoid: []string{"47", "10"}}
	seen := map[string]int{}
	for range 20_000 {
		d, err := m.Dispatch(in)
		if err != nil {
			t.Fatal(err)
		}
		seen[d.Number]++
		if string(d.Public) != `{"number":"`+d.Number+`"}` {
			t.Fatalf("%s for %s", d.Public, d.Number)
		}
	}
	if len(seen) != 88 || seen["47"] != 0 || seen["10"] != 0 {
		t.Errorf("%d numbers, avoided ones %d and %d times", len(seen), seen["47"], seen["10"])
	}
	for n, times := range seen { // 227 expected; six standard deviations either way
		if len(n) != 2 || n < "10" || times < 137 || times > 317 {
			t.Errorf("%s came %d times", n, times)
		}
	}
	in.Digits = 6
	if d, err := m.Dispatch(in); err != nil || len(d.Number) != 6 || d.Number[0] == '0' {
		t.Errorf("%+v %v", d, err)
	}
	in.Digits = 3
	if _, err := m.Dispatch(in); err == nil {
		t.Error("three digits are no setting")
	}
	in.Digits, in.Avoid = 2, slices.Repeat([]string{"1"}, 10)
	if _, err := m.Dispatch(in); !fault.IsKind(err, fault.TooMany) {
		t.Errorf("too many live numbers: %v", err)
	}
}

func decision(change map[string]any) string {
	d := map[string]any{"request": "r1", "number": "47", "decision": "approve", "account": methodtest.Ada.ID, "server": server, "time": methodtest.Noon.Unix()}
	for k, v := range change {
		if d[k] = v; v == nil {
			delete(d, k)
		}
	}
	out, _ := json.Marshal(d)
	return string(out)
}

func asked(jws string, unlock json.RawMessage) app.Answered {
	return app.Answered{JWS: jws, Unlock: unlock, Request: "r1", Account: methodtest.Ada.ID,
		Started: methodtest.Noon.Add(-500 * time.Millisecond), Now: methodtest.Noon.Add(time.Second)}
}

func TestAnUnlockedApprovalIsJudged(t *testing.T) {
	m, p := newMethod(t), newPhone(t)
	p.unlock.Count = true
	cred := p.pair(m, "cred-1", true)
	jws := p.answer(decision(nil))
	r, reason := m.Judge(cred, asked(jws, p.unlocked(jws)))
	if reason != "" || r.Decision != app.Approve || r.Number != "47" || !r.Unlocked || r.Updated == nil {
		t.Fatalf("%+v %s", r, reason)
	}
	e := app.Evidence(cred.ID, r.Unlocked, methodtest.Noon)
	if e.Kind != method.App || e.Factors != method.Possession || !e.UserVerified || e.DeviceBound || e.PhishingResistant || e.Attested {
		t.Errorf("evidence claims more than a software key: %+v", e)
	}
	for _, d := range []string{"deny", "report"} {
		jws := p.answer(decision(map[string]any{"decision": d, "number": ""}))
		if r, reason := m.Judge(cred, asked(jws, nil)); reason != "" || string(r.Decision) != d || r.Unlocked {
			t.Errorf("%s: %+v %s", d, r, reason)
		}
	}
}

// Whatever is not exactly this request, this number's form, this account, this server and this time decides nothing.
func TestADecisionSpeaksOfExactlyThisRequest(t *testing.T) {
	m, p := newMethod(t), newPhone(t)
	cred := p.pair(m, "cred-1", false)
	noon := methodtest.Noon.Unix()
	for name, c := range map[string]struct {
		payload, reason string
	}{
		"another request":      {decision(map[string]any{"request": "r2"}), "app.wrong_request"},
		"no request":           {decision(map[string]any{"request": ""}), "app.wrong_request"},
		"another account":      {decision(map[string]any{"account": "eve"}), "app.wrong_account"},
		"another server":       {decision(map[string]any{"server": "https://signin.example.com"}), "app.wrong_server"},
		"server with a slash":  {decision(map[string]any{"server": server + "/"}), "app.wrong_server"},
		"too late":             {decision(map[string]any{"time": noon + 123}), "app.wrong_time"},
		"before the request":   {decision(map[string]any{"time": noon - 2}), "app.wrong_time"},
		"no time":              {decision(map[string]any{"time": nil}), "app.malformed"},
		"time as text":         {decision(map[string]any{"time": "now"}), "app.malformed"},
		"time with a fraction": {decision(map[string]any{"time": 1.5}), "app.malformed"},
		"one member more":      {decision(map[string]any{"place": "GB"}), "app.malformed"},
		"another spelling":     {strings.Replace(decision(nil), `"request"`, `"Request"`, 1), "app.malformed"},
		"said twice":           {strings.Replace(decision(nil), `{`, `{"number":"48",`, 1), "app.malformed"},
		"something after it":   {decision(nil) + "{}", "app.malformed"},
		"no object":            {`["r1"]`, "app.malformed"},
		"another decision":     {decision(map[string]any{"decision": "maybe"}), "app.malformed"},
		"approve, no number":   {decision(map[string]any{"number": ""}), "app.malformed"},
		"a sign as number":     {decision(map[string]any{"number": "4７"}), "app.malformed"},
		"a number as number":   {decision(map[string]any{"number": 47}), "app.malformed"},
		"deny with a number":   {decision(map[string]any{"decision": "deny"}), "app.malformed"},
		"an object inside":     {decision(map[string]any{"number": map[string]any{}}), "app.malformed"},
		"not text":             {strings.Replace(decision(nil), "r1", "r\xff", 1), "app.malformed"},
	} {
		if r, reason := m.Judge(cred, asked(p.answer(c.payload), nil)); reason != c.reason || r.Decision != "" || r.Number != "" {
			t.Errorf("%s: %+v %q", name, r, reason)
		}
	}
}

func TestOnlyThePhonesOwnKeyAndTypeCount(t *testing.T) {
	m, p, other := newMethod(t), newPhone(t), newPhone(t)
	cred := p.pair(m, "cred-1", false)
	good, another := p.answer(decision(nil)), p.answer(decision(map[string]any{"number": "48"}))
	kid := b64(p.public.Thumbprint())
	for name, jws := range map[string]string{
		"another key":              other.answer(decision(nil)),
		"another key, our name":    other.sign(`{"alg":"ES256","typ":"gatehouse-answer+jwt","kid":"`+kid+`"}`, decision(nil)),
		"our key, another name":    p.sign(`{"alg":"ES256","typ":"gatehouse-answer+jwt","kid":"`+b64(other.public.Thumbprint())+`"}`, decision(nil)),
		"another type":             p.sign(`{"alg":"ES256","typ":"gatehouse-device+jwt"}`, decision(nil)),
		"no type":                  p.sign(`{"alg":"ES256"}`, decision(nil)),
		"none":                     p.sign(`{"alg":"none","typ":"gatehouse-answer+jwt"}`, decision(nil)),
		"HS256":                    p.sign(`{"alg":"HS256","typ":"gatehouse-answer+jwt"}`, decision(nil)),
		"a key in the header":      p.sign(`{"alg":"ES256","typ":"gatehouse-answer+jwt","jwk":`+string(other.public.JWK())+`}`, decision(nil)),
		"crit":                     p.sign(`{"alg":"ES256","typ":"gatehouse-answer+jwt","crit":["b64"]}`, decision(nil)),
		"alg said twice":           p.sign(`{"alg":"ES256","alg":"ES256","typ":"gatehouse-answer+jwt"}`, decision(nil)),
		"signature left out":       good[:strings.LastIndex(good, ".")+1],
		"two parts":                good[:strings.LastIndex(good, ".")],
		"four parts":               good + ".",
		"a line break":             good[:20] + "\n" + good[20:],
		"padded":                   good + "=",
		"payload of another":       another[:strings.LastIndex(another, ".")] + good[strings.LastIndex(good, "."):],
		"longer than may be":       good + strings.Repeat("A", app.MaxJWS),
		"nothing":                  "",
		"a zero signature":         good[:strings.LastIndex(good, ".")+1] + b64(make([]byte, 64)),
		"a signature in DER form":  good[:strings.LastIndex(good, ".")+1] + b64(append([]byte{0x30}, make([]byte, 70)...)),
		"only dots":                "..",
		"a header that is no JSON": p.sign(`alg`, decision(nil)),
	} {
		if r, reason := m.Judge(cred, asked(jws, nil)); reason == "" || r.Decision != "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if _, reason := m.Judge(cred, asked(p.sign(`{"alg":"ES256","typ":"gatehouse-answer+jwt","kid":"`+kid+`"}`, decision(nil)), nil)); reason != "" {
		t.Errorf("the right key id: %s", reason)
	}
	foreign := cred
	foreign.Person = "eve"
	if _, reason := m.Judge(foreign, asked(good, nil)); reason == "" {
		t.Error("somebody else's credential decides")
	}
}

func TestUnlockIsForThisAnswerByThisPerson(t *testing.T) {
	m, p, other := newMethod(t), newPhone(t), newPhone(t)
	cred := p.pair(m, "cred-1", true)
	other.pair(m, "cred-2", true)
	jws := p.answer(decision(nil))
	another := p.answer(decision(map[string]any{"number": "48"}))
	unverified := softkey.New(origin)
	for _, c := range p.unlock.Credentials() {
		unverified.Add(c)
	}
	unverified.NotVerified = true
	cold := &phone{t, p.key, p.public, unverified}
	elsewhere := softkey.New("https://phone.example.com")
	for _, c := range p.unlock.Credentials() {
		elsewhere.Add(c)
	}
	far := &phone{t, p.key, p.public, elsewhere}
	for name, c := range map[string]struct {
		unlock json.RawMessage
		reason string
	}{
		"none":               {nil, "app.locked"},
		"null":               {json.RawMessage(`null`), "app.locked"},
		"another answer's":   {p.unlocked(another), "app.unlock_wrong_challenge"},
		"another phone's":    {other.unlocked(jws), "app.unlock_unknown"},
		"nobody looked":      {cold.unlocked(jws), "app.unlock_user_not_verified"},
		"at another origin":  {far.unlocked(jws), "app.unlock_wrong_origin"},
		"not an assertion":   {json.RawMessage(`{"id":1}`), "app.unlock_malformed"},
		"nested without end": {json.RawMessage(strings.Repeat(`{"response":`, 20_000)), "app.unlock_malformed"},
	} {
		if r, reason := m.Judge(cred, asked(jws, c.unlock)); reason != c.reason || r.Unlocked || r.Decision != "" {
			t.Errorf("%s: %+v %q", name, r, reason)
		}
	}
}

func TestARegistrationWithoutUserVerificationIsRefused(t *testing.T) {
	m, p := newMethod(t), newPhone(t)
	for name, change := range map[string]func(*softkey.Authenticator){
		"nobody looked":     func(a *softkey.Authenticator) { a.NotVerified = true },
		"a security key":    func(a *softkey.Authenticator) { a.Attachment = "cross-platform" },
		"at another origin": func(a *softkey.Authenticator) { a.Origin = server },
	} {
		p.unlock = softkey.New(origin)
		change(p.unlock)
		user := app.UserHandle(methodtest.Ada.ID, "x")
		prompt, err := m.OfferUnlock(user, methodtest.Ada, methodtest.Noon)
		if err != nil {
			t.Fatal(err)
		}
		registration, err := p.unlock.Create(prompt.Public)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Pair(p.public, user, prompt.State, registration, methodtest.Noon); !fault.IsKind(err, fault.BadInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRestoreFindsThePhoneByItsPasskey(t *testing.T) {
	m, p, fresh, other := newMethod(t), newPhone(t), newPhone(t), newPhone(t)
	lost := p.pair(m, "cred-1", true)
	without := other.pair(m, "cred-2", false)
	prompt, err := m.OfferRestore(methodtest.Noon)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(prompt.Public), b64(p.unlock.Credentials()[0].ID)) {
		t.Error("before anybody is known a passkey is named")
	}
	assertion, err := p.unlock.Get(prompt.Public)
	if err != nil {
		t.Fatal(err)
	}
	if app.Claims(assertion) != methodtest.Ada.ID {
		t.Fatalf("claims %q", app.Claims(assertion))
	}
	found, state, reason := m.Restore([]method.Credential{without, lost}, prompt.State, assertion, fresh.public, methodtest.Noon)
	if reason != "" || found.ID != lost.ID {
		t.Fatalf("%+v %s", found, reason)
	}
	found.State = state
	if key, err := app.KeyOf(found); err != nil || b64(key.Thumbprint()) != b64(fresh.public.Thumbprint()) || !app.Unlocks(found) {
		t.Errorf("the phone in its place: %v", err)
	}
	pending := lost
	pending.Pending = true
	for name, owned := range map[string][]method.Credential{"removed": {without}, "pending": {pending}, "nobody's": nil} {
		if _, _, reason := m.Restore(owned, prompt.State, assertion, fresh.public, methodtest.Noon); reason == "" {
			t.Errorf("%s: restored", name)
		}
	}
	if _, _, reason := m.Restore([]method.Credential{lost}, prompt.State, assertion, fresh.public, methodtest.Noon.Add(11*time.Minute)); reason == "" {
		t.Error("restored after the question's time")
	}
	again, err := m.OfferRestore(methodtest.Noon)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, reason := m.Restore([]method.Credential{lost}, again.State, assertion, fresh.public, methodtest.Noon); reason == "" {
		t.Error("an assertion for another question restored")
	}
}

// RFC 7638 section 3.1 gives an RSA example only; this value was computed with another implementation (openssl and
// sha256sum) over the canonical text of the P-256 key of RFC 7517 appendix A.1.
func TestThumbprint(t *testing.T) {
	key, err := app.ParseKey([]byte(`{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := b64(key.Thumbprint()); got != "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s" {
		t.Errorf("%s", got)
	}
}

func TestOnlyPublicKeysOnP256(t *testing.T) {
	x, y := "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
	for name, jwk := range map[string]string{
		"a private part":    `{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + y + `","d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}`,
		"off the curve":     `{"kty":"EC","crv":"P-256","x":"` + y + `","y":"` + x + `"}`,
		"the zero point":    `{"kty":"EC","crv":"P-256","x":"` + b64(make([]byte, 32)) + `","y":"` + b64(make([]byte, 32)) + `"}`,
		"another curve":     `{"kty":"EC","crv":"P-384","x":"` + x + `","y":"` + y + `"}`,
		"another type":      `{"kty":"OKP","crv":"P-256","x":"` + x + `","y":"` + y + `"}`,
		"a short x":         `{"kty":"EC","crv":"P-256","x":"` + x[:40] + `","y":"` + y + `"}`,
		"a zero in front":   `{"kty":"EC","crv":"P-256","x":"AA` + x + `","y":"` + y + `"}`,
		"no y":              `{"kty":"EC","crv":"P-256","x":"` + x + `"}`,
		"x twice":           `{"kty":"EC","crv":"P-256","x":"` + x + `","x":"` + x + `","y":"` + y + `"}`,
		"padding":           `{"kty":"EC","crv":"P-256","x":"` + x + `=","y":"` + y + `"}`,
		"stray bits":        `{"kty":"EC","crv":"P-256","x":"` + x[:42] + `5","y":"` + y + `"}`,
		"a key set":         `{"keys":[]}`,
		"nothing":           ``,
		"null":              `null`,
		"much white space":  `{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + y + `"` + strings.Repeat(" ", 2000) + `}`,
		"something behind":  `{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + y + `"} {}`,
		"a member unknown":  `{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + y + `","use":"sig"}`,
		"names of any case": `{"KTY":"EC","crv":"P-256","x":"` + x + `","y":"` + y + `"}`,
	} {
		if _, err := app.ParseKey([]byte(jwk)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, s := range []app.Settings{
		{}, {Server: server}, {Server: server + "/", Origin: origin, RPID: "phone.example.ac.uk"},
		{Server: server, Origin: "http://phone.example.ac.uk", RPID: "phone.example.ac.uk"},
		{Server: server, Origin: origin, RPID: "phone.example.com"},
	} {
		if _, err := app.New(s); err == nil {
			t.Errorf("%+v was taken", s)
		}
	}
}
