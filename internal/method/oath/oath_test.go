package oath_test

import (
	"encoding/base32"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/methodtest"
	"github.com/gatehouse-id/gatehouse/internal/method/oath"
)

func secretOf(t *testing.T, p method.Prompt) []byte {
	t.Helper()
	var o oath.Offered
	if err := json.Unmarshal(p.Public, &o); err != nil {
		t.Fatal(err)
	}
	s, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(o.Secret, " ", ""))
	if err != nil || len(s) != 20 {
		t.Fatalf("secret %q: %v", o.Secret, err)
	}
	return s
}

// phone is an authenticator app.
type phone struct {
	secret []byte
	alg    oath.Algorithm
	digits int
	period time.Duration
}

func (p *phone) show(t time.Time) string { return oath.Code(p.secret, p.alg, p.digits, p.period, t) }

func setUp(t *testing.T, s oath.Settings) (methodtest.Case, *phone) {
	t.Helper()
	s.Issuer = "Example College"
	m, err := oath.New(s)
	if err != nil {
		t.Fatal(err)
	}
	ph := &phone{alg: oath.SHA1, digits: 6, period: 30 * time.Second}
	if s.Algorithm != "" {
		ph.alg, ph.digits, ph.period = s.Algorithm, s.Digits, s.Period
	}
	return methodtest.Case{
		Method: m,
		Enrol: func(t *testing.T, p method.Prompt, now time.Time) method.Answer {
			ph.secret = secretOf(t, p)
			return method.Answer{Text: ph.show(now)}
		},
		Right: func(_ *testing.T, _ method.Prompt, now time.Time) method.Answer {
			return method.Answer{Text: ph.show(now)}
		},
		Wrong: func(_ *testing.T, _ method.Prompt, now time.Time) []method.Answer {
			return []method.Answer{
				{Text: ph.show(now.Add(10 * time.Minute))}, {Text: ph.show(now.Add(-10 * time.Minute))},
				{Text: ph.show(now) + "0"}, {Text: ph.show(now)[1:]}, {Text: "12a456"},
			}
		},
	}, ph
}

func TestSuite(t *testing.T) {
	for _, s := range []oath.Settings{
		{}, {Algorithm: oath.SHA256, Digits: 8, Period: time.Minute}, {Algorithm: oath.SHA512, Digits: 6, Period: 30 * time.Second},
	} {
		t.Run(fmt.Sprint(s.Algorithm, s.Digits), func(t *testing.T) {
			c, _ := setUp(t, s)
			methodtest.Run(t, c)
		})
	}
}

// RFC 6238 appendix B: the secret is the ASCII digits repeated to the hash's length.
func TestVectorsOfRFC6238(t *testing.T) {
	secret := func(n int) []byte { return []byte(strings.Repeat("1234567890", 7)[:n]) }
	for _, v := range []struct {
		at                   int64
		sha1, sha256, sha512 string
	}{
		{59, "94287082", "46119246", "90693936"},
		{1111111109, "07081804", "68084774", "25091201"},
		{1111111111, "14050471", "67062674", "99943326"},
		{1234567890, "89005924", "91819424", "93441116"},
		{2000000000, "69279037", "90698825", "38618901"},
		{20000000000, "65353130", "77737706", "47863826"},
	} {
		now := time.Unix(v.at, 0)
		for alg, want := range map[oath.Algorithm]string{oath.SHA1: v.sha1, oath.SHA256: v.sha256, oath.SHA512: v.sha512} {
			n := map[oath.Algorithm]int{oath.SHA1: 20, oath.SHA256: 32, oath.SHA512: 64}[alg]
			if got := oath.Code(secret(n), alg, 8, 30*time.Second, now); got != want {
				t.Errorf("%s at %d: %s, want %s", alg, v.at, got, want)
			}
		}
	}
	// RFC 4226 appendix D: HOTP counters 0 to 9, with a period of one second.
	for i, want := range strings.Fields("755224 287082 359152 969429 338314 254676 287922 162583 399871 520489") {
		if got := oath.Code(secret(20), oath.SHA1, 6, time.Second, time.Unix(int64(i), 0)); got != want {
			t.Errorf("HOTP %d: %s, want %s", i, got, want)
		}
	}
	if oath.Code(secret(20), "MD5", 6, time.Minute, time.Unix(0, 0)) != "" {
		t.Error("an unknown algorithm gives a code")
	}
}

// account is one enrolled app with the state that a flow keeps.
type account struct {
	c    methodtest.Case
	cred method.Credential
}

func (a *account) try(t *testing.T, text string, now time.Time) method.Verdict {
	t.Helper()
	v, err := a.c.Method.Verify(method.VerifyInput{
		Subject: methodtest.Ada, Credentials: []method.Credential{a.cred}, Answer: method.Answer{Text: text}, Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	if v.Updated != nil {
		a.cred = *v.Updated
	}
	return v
}

func enrolled(t *testing.T) (*account, *phone) {
	c, ph := setUp(t, oath.Settings{})
	return &account{c, c.Enrolled(t, methodtest.Noon)}, ph
}

func TestG30_UsedStepAndOlderStepsNeverAgain(t *testing.T) {
	a, ph := enrolled(t)
	now := methodtest.Noon.Add(time.Hour)
	if v := a.try(t, ph.show(now), now); !v.OK {
		t.Fatalf("%+v", v)
	}
	for _, back := range []time.Duration{0, 30 * time.Second} {
		if v := a.try(t, ph.show(now.Add(-back)), now.Add(20*time.Second)); v.OK || v.Reason != "totp.replayed" {
			t.Errorf("code of %s ago: %+v", back, v)
		}
	}
	if v := a.try(t, ph.show(methodtest.Noon), methodtest.Noon.Add(20*time.Second)); v.OK {
		t.Error("the code that enrolled signs in")
	}
	if v := a.try(t, ph.show(now.Add(30*time.Second)), now.Add(30*time.Second)); !v.OK {
		t.Errorf("the next code: %+v", v)
	}
}

func TestG32_Window(t *testing.T) {
	shown := methodtest.Noon.Add(time.Hour) // the first second of a step
	for _, c := range []struct {
		after time.Duration
		ok    bool
	}{
		{0, true}, {29 * time.Second, true}, {30 * time.Second, true}, {59 * time.Second, true},
		{60 * time.Second, false}, {61 * time.Second, false}, {-30 * time.Second, true}, {-31 * time.Second, false}, {-60 * time.Second, false},
	} {
		a, ph := enrolled(t)
		if v := a.try(t, ph.show(shown), shown.Add(c.after)); v.OK != c.ok {
			t.Errorf("%s after it was shown: %+v", c.after, v)
		}
	}
}

func TestNarrowerWindow(t *testing.T) {
	c, ph := setUp(t, oath.Settings{Behind: -1, Ahead: -1})
	a := &account{c, c.Enrolled(t, methodtest.Noon)}
	now := methodtest.Noon.Add(time.Hour)
	if v := a.try(t, ph.show(now), now.Add(30*time.Second)); v.OK {
		t.Error("the step before counts")
	}
	if v := a.try(t, ph.show(now), now); !v.OK {
		t.Errorf("%+v", v)
	}
}

// A clock that gains five seconds a day is followed for a year; so is one that loses them.
func TestDriftIsLearned(t *testing.T) {
	for _, gain := range []time.Duration{time.Second, -time.Second} {
		a, ph := enrolled(t)
		off := time.Duration(0)
		for day := range 200 {
			now := methodtest.Noon.Add(time.Duration(day+1) * 24 * time.Hour)
			off += gain
			if v := a.try(t, ph.show(now.Add(off)), now); !v.OK {
				t.Fatalf("gaining %s a day: day %d, off by %s: %s", gain, day, off, v.Reason)
			}
		}
	}
}

func TestDriftIsBounded(t *testing.T) {
	a, ph := enrolled(t)
	now, last := methodtest.Noon.Add(time.Hour), 0
	for i := range 40 {
		now = now.Add(time.Hour)
		if a.try(t, ph.show(now.Add(time.Duration(i)*30*time.Second)), now).OK {
			last = i
		}
	}
	if last != oath.MaxDrift+1 {
		t.Errorf("followed a clock to %d steps ahead", last)
	}
}

func TestTwoCodesInARowSetTheClockRight(t *testing.T) {
	a, ph := enrolled(t)
	now, wrong := methodtest.Noon.Add(time.Hour), 17*time.Minute
	first, second := ph.show(now.Add(wrong)), ph.show(now.Add(wrong+30*time.Second))
	if v := a.try(t, first, now); v.OK {
		t.Fatal("one far code proves")
	}
	if v := a.try(t, second+first, now); v.OK {
		t.Error("two codes in the wrong order prove")
	}
	if v := a.try(t, first+" "+second, now.Add(30*time.Second)); !v.OK {
		t.Fatalf("%+v", v)
	}
	if v := a.try(t, first+second, now.Add(40*time.Second)); v.OK {
		t.Error("the pair proves twice")
	}
	if v := a.try(t, ph.show(now.Add(wrong+time.Hour)), now.Add(time.Hour)); !v.OK {
		t.Errorf("after setting the clock right: %+v", v)
	}
	b, ph := enrolled(t)
	far := now.Add(26 * time.Minute)
	if v := b.try(t, ph.show(far)+ph.show(far.Add(30*time.Second)), now); v.OK {
		t.Error("a pair from too far away proves")
	}
}

func TestHowPeopleTypeCodes(t *testing.T) {
	a, ph := enrolled(t)
	now := methodtest.Noon
	for _, form := range []string{"%s %s", "%s-%s", " %s%s ", "%s\u00a0%s"} {
		now = now.Add(time.Hour)
		code := ph.show(now)
		if v := a.try(t, fmt.Sprintf(form, code[:3], code[3:]), now); !v.OK {
			t.Errorf("%q: %+v", form, v)
		}
	}
	now = now.Add(time.Hour)
	wide := strings.Map(func(r rune) rune { return r - '0' + '\uff10' }, ph.show(now))
	if v := a.try(t, wide, now); !v.OK {
		t.Errorf("full-width digits: %+v", v)
	}
}

func TestOfferIsReadableByApps(t *testing.T) {
	c, _ := setUp(t, oath.Settings{})
	p, err := c.Method.Offer(method.OfferInput{Subject: method.Subject{ID: "x", Username: "ada: l&v"}, Now: methodtest.Noon})
	if err != nil {
		t.Fatal(err)
	}
	var o oath.Offered
	if err := json.Unmarshal(p.Public, &o); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(o.URI)
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Example College:ada  l&v" {
		t.Errorf("%s: %v", o.URI, err)
	}
	q := u.Query()
	if q.Get("secret") != strings.ReplaceAll(o.Secret, " ", "") || q.Get("issuer") != "Example College" || q.Get("digits") != "6" || q.Get("period") != "30" {
		t.Errorf("%s", o.URI)
	}
	if o.QRSize < 29 || !strings.HasPrefix(o.QRPath, "M4 4h7v1h-7z") {
		t.Errorf("QR code of %d: %.40s", o.QRSize, o.QRPath)
	}
	if len(strings.Fields(o.Secret)) != 8 {
		t.Errorf("secret %q", o.Secret)
	}
}

func TestEnrolSaysThatTheClockIsWrong(t *testing.T) {
	c, ph := setUp(t, oath.Settings{})
	p, _ := c.Method.Offer(method.OfferInput{Subject: methodtest.Ada, Now: methodtest.Noon})
	ph.secret = secretOf(t, p)
	_, err := c.Method.Enrol(method.EnrolInput{
		Subject: methodtest.Ada, State: p.State, Answer: method.Answer{Text: ph.show(methodtest.Noon.Add(15 * time.Minute))}, Now: methodtest.Noon,
	})
	if fault.Of(err).Code != "totp.clock" {
		t.Errorf("%v", err)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, s := range []oath.Settings{
		{}, {Issuer: "x", Digits: 7}, {Issuer: "x", Algorithm: "MD5"}, {Issuer: "x", Period: time.Second}, {Issuer: "x", Behind: 20},
	} {
		if _, err := oath.New(s); err == nil {
			t.Errorf("%+v was taken", s)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("123456", int64(1_800_000_000))
	f.Add("123456 654321", int64(-1))
	f.Add("\uff11\uff12", int64(1<<40))
	m, err := oath.New(oath.Settings{Issuer: "x"})
	if err != nil {
		f.Fatal(err)
	}
	state := []byte(`{"k":"MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=","a":"SHA1","d":6,"p":30,"l":0}`)
	f.Fuzz(func(t *testing.T, text string, at int64) {
		now := time.Unix(at%(1<<40), 0)
		v, err := m.Verify(method.VerifyInput{
			Credentials: []method.Credential{{ID: "c", Person: "p", Kind: method.TOTP, State: state}},
			Answer:      method.Answer{Text: text}, Now: now,
		})
		if err != nil {
			t.Fatal(err)
		}
		if v.OK && len(strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' || r >= '\uff10' && r <= '\uff19' {
				return r
			}
			return -1
		}, text)) < 6 {
			t.Errorf("%q proved", text)
		}
	})
}
