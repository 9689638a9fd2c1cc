package password_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/methodtest"
	"github.com/gatehouse-id/gatehouse/internal/method/password"
)

// cheap keeps tests fast: the real parameters take 58 ms under the race detector.
var cheap = password.Params{Memory: 64, Time: 1, Threads: 1}

func newMethod(t testing.TB, change ...func(*password.Settings)) *password.Method {
	t.Helper()
	s := password.Settings{Params: cheap, Workers: 4, Context: []string{"Imperial College"}}
	for _, c := range change {
		c(&s)
	}
	m, err := password.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const good = "walnut-tepid-harbour-42-onyx"

func TestSuite(t *testing.T) {
	methodtest.Run(t, methodtest.Case{
		Method: newMethod(t),
		Enrol: func(*testing.T, method.Prompt, time.Time) method.Answer {
			return method.Answer{Text: good}
		},
		Right: func(*testing.T, method.Prompt, time.Time) method.Answer {
			return method.Answer{Text: good}
		},
		Wrong: func(*testing.T, method.Prompt, time.Time) []method.Answer {
			return []method.Answer{
				{Text: strings.ToUpper(good)}, {Text: good + " "}, {Text: good[:len(good)-1]}, {Text: good + strings.Repeat("x", 2000)},
			}
		},
	})
}

func enrol(m *password.Method, text string, existing ...method.Credential) (method.Credential, error) {
	c, err := m.Enrol(method.EnrolInput{Subject: methodtest.Ada, Existing: existing, Answer: method.Answer{Text: text}, Now: methodtest.Noon})
	c.ID, c.Person = "pw", methodtest.Ada.ID
	return c, err
}

func verify(t testing.TB, m *password.Method, text string, creds ...method.Credential) method.Verdict {
	t.Helper()
	v, err := m.Verify(method.VerifyInput{Subject: methodtest.Ada, Credentials: creds, Answer: method.Answer{Text: text}, Now: methodtest.Noon})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestWhatIsRefusedAndWhy(t *testing.T) {
	extra, err := password.NewList(strings.NewReader("Purple-Monkey-Dishwasher\r\n\nanother one of theirs\n"))
	if err != nil {
		t.Fatal(err)
	}
	m := newMethod(t, func(s *password.Settings) { s.Breached = extra })
	short := newMethod(t, func(s *password.Settings) { s.MinLength = func(method.Subject) int { return 1 } })
	for _, c := range []struct {
		m          *password.Method
		text, code string
	}{
		{m, "", "password.too_short"},
		{m, "fourteen chars", "password.too_short"},
		{m, "fifteen chars :", ""},
		{short, "sevench", "password.too_short"},
		{short, "qzxv-8pt", ""},
		{short, "password", "password.common"},
		{short, "Password", "password.common"},
		{short, "PassWord2026!", "password.common"},
		{short, "iloveyou!!", "password.common"},
		{short, "12345678", "password.common"},
		{short, "aaaaaaaa", "password.common"},
		{short, "abcabcabcabc", "password.common"},
		{m, "passwordpassword", "password.common"},
		{m, "123456789012345678", "password.common"},
		{m, "zyxwvutsrqponmlk", "password.common"},
		{m, "purple-monkey-dishwasher", "password.common"},
		{m, "Purple-Monkey-Dishwasher99!", "password.common"},
		{m, "ada@example.ac.uk", "password.context"},
		{m, "ImperialCollege2026!", "password.context"},
		{m, "imperial college imperial", "password.context"},
		{m, "my imperial walnut tepid harbour", ""},
		{m, "correct\nhorse\nbattery", "password.characters"},
		{m, strings.Repeat("ab3-", 256), "password.common"},
		{m, strings.Repeat("w", 5000), "password.too_long"},
		{m, long(password.MaxChars), ""},
		{m, long(password.MaxChars + 1), "password.too_long"},
		{m, "пароль длинный и непростой", ""},
		{m, "🌰🍋🌊🎻🐌🌰🎈🎃🎻🌊🍋🐌🌰🎈🎃", ""},
	} {
		_, err := enrol(c.m, c.text)
		if c.code == "" && err == nil {
			continue
		}
		if err == nil || fault.Of(err).Code != c.code || fault.Of(err).Kind != fault.BadInput {
			t.Errorf("%.40q: %v, want %q", c.text, err, c.code)
		}
	}
	_, err = enrol(m, "short")
	if fault.Of(err).Params["min"] != 15 {
		t.Errorf("parameters %v", fault.Of(err).Params)
	}
}

// long is n characters without a pattern.
func long(n int) string {
	var b strings.Builder
	x := uint32(7)
	for range n {
		x = x*1664525 + 1013904223
		b.WriteByte('!' + byte(x>>16%90))
	}
	return b.String()
}

func TestMinimumDependsOnThePerson(t *testing.T) {
	m := newMethod(t, func(s *password.Settings) {
		s.MinLength = func(p method.Subject) int {
			if p.Username == "ada" {
				return 8
			}
			return 15
		}
	})
	p, err := m.Offer(method.OfferInput{Subject: methodtest.Ada})
	if err != nil || string(p.Public) != `{"min":8,"max":1024}` {
		t.Errorf("%s %v", p.Public, err)
	}
	p, _ = m.Offer(method.OfferInput{Subject: method.Subject{ID: "eve"}})
	if string(p.Public) != `{"min":15,"max":1024}` {
		t.Errorf("%s", p.Public)
	}
}

func TestUnicodeSpellingsAreOnePassword(t *testing.T) {
	m := newMethod(t)
	c, err := enrol(m, "Crème\u00a0brûlée à la carte")
	if err != nil {
		t.Fatal(err)
	}
	if v := verify(t, m, "Cre\u0300me bru\u0302le\u0301e a\u0300 la carte", c); !v.OK {
		t.Errorf("%+v", v)
	}
	if v := verify(t, m, "Creme brulee a la carte", c); v.OK {
		t.Error("accents do not count")
	}
}

func TestLongPasswordsAreEvidenceOfTheirOwn(t *testing.T) {
	m := newMethod(t, func(s *password.Settings) { s.MinLength = func(method.Subject) int { return 8 } })
	for text, want := range map[string]bool{"qzxv-8ptrewmka": false, "qzxv-8ptrewmkab": true, "ééééé-ôôôô-zx8": false} {
		c, err := enrol(m, text)
		if err != nil {
			t.Fatal(err)
		}
		if v := verify(t, m, text, c); !v.OK || v.Evidence.Long != want {
			t.Errorf("%q: %+v", text, v)
		}
	}
}

func TestPresentPasswordIsNoNewPassword(t *testing.T) {
	m := newMethod(t)
	c, err := enrol(m, good)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = enrol(m, good, c); fault.Of(err).Code != "password.same" {
		t.Errorf("%v", err)
	}
	if _, err = enrol(m, good+"s", c); err != nil {
		t.Error(err)
	}
}

func TestHashIsMadeAnewWhenParametersRise(t *testing.T) {
	old, now := newMethod(t), newMethod(t, func(s *password.Settings) { s.Params = password.Params{Memory: 128, Time: 2, Threads: 1} })
	c, err := enrol(old, good)
	if err != nil {
		t.Fatal(err)
	}
	if v := verify(t, old, good, c); !v.OK || v.Updated != nil {
		t.Errorf("same parameters: %+v", v)
	}
	if v := verify(t, now, "wrong "+good, c); v.OK || v.Updated != nil {
		t.Errorf("a wrong password changed the hash: %+v", v)
	}
	v := verify(t, now, good, c)
	if !v.OK || v.Updated == nil || !strings.Contains(string(v.Updated.State), "m=128,t=2,p=1") {
		t.Fatalf("%+v", v)
	}
	if v := verify(t, now, good, *v.Updated); !v.OK || v.Updated != nil {
		t.Errorf("after it: %+v", v)
	}
	if v := verify(t, old, good, *v.Updated); !v.OK || v.Updated != nil {
		t.Errorf("lower parameters weakened a hash: %+v", v)
	}
}

func TestNothingOfThePasswordIsStored(t *testing.T) {
	c, err := enrol(newMethod(t), good)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(c.State), "walnut") || !strings.Contains(string(c.State), "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Errorf("%s", c.State)
	}
	again, _ := enrol(newMethod(t), good)
	if string(again.State) == string(c.State) {
		t.Error("the same salt twice")
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, s := range []password.Settings{
		{Params: password.Params{Memory: 4, Time: 1, Threads: 1}}, {Params: password.Params{Memory: 1 << 30, Time: 1, Threads: 1}},
		{Params: password.Params{Memory: 64, Time: 0, Threads: 1}}, {Workers: -1},
	} {
		if _, err := password.New(s); err == nil {
			t.Errorf("%+v was taken", s)
		}
	}
}

func TestG138_FloodOfPasswords(t *testing.T) {
	m := newMethod(t, func(s *password.Settings) {
		s.Params = password.Params{Memory: 8 * 1024, Time: 1, Threads: 1}
		s.Workers, s.Queue = 1, 2
	})
	in := method.VerifyInput{Answer: method.Answer{Text: good}}
	var mu sync.Mutex
	busy, served := 0, 0
	start := make(chan struct{})
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			<-start
			_, err := m.Verify(in)
			mu.Lock()
			defer mu.Unlock()
			f := fault.Of(err)
			switch {
			case err == nil:
				served++
			case f.Kind == fault.Busy && f.RetryAfter > 0:
				busy++
			default:
				t.Errorf("%v", err)
			}
		})
	}
	close(start)
	all.Wait()
	if busy == 0 || served == 0 {
		t.Errorf("%d served, %d told to come back", served, busy)
	}
	if _, err := m.Verify(in); err != nil {
		t.Errorf("after the flood: %v", err)
	}
	// A megabyte is refused before anything is hashed: no argon2 memory is taken.
	in.Answer.Text = strings.Repeat("x", 1<<20)
	if n := allocated(func() {
		if v, err := m.Verify(in); err != nil || v.OK {
			t.Errorf("%+v %v", v, err)
		}
	}); n > 4<<10 {
		t.Errorf("a megabyte of password took %d bytes", n)
	}
}

// allocated is how many bytes f takes, at the least of three times: other goroutines only add.
func allocated(f func()) uint64 {
	least := ^uint64(0)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// A known name, an unknown one and an imported hash cost the memory of one argon2 hash each.
func TestUnknownNamesCostTheSameHash(t *testing.T) {
	m := newMethod(t, func(s *password.Settings) { s.Params = password.Params{Memory: 1024, Time: 1, Threads: 1} })
	c, err := enrol(m, good)
	if err != nil {
		t.Fatal(err)
	}
	legacy, err := password.Import("{SSHA}qIUFvWjQpOphAFSZM+3AsSGnTdBzYWx0c2FsdA==")
	if err != nil {
		t.Fatal(err)
	}
	legacy.ID, legacy.Person = "pw", methodtest.Ada.ID
	for name, creds := range map[string][]method.Credential{"known": {c}, "unknown": nil, "imported": {legacy}} {
		n := allocated(func() { verify(t, m, "not the password at all", creds...) })
		if n < 1<<20 || n > 1<<20+1<<18 {
			t.Errorf("%s: %d bytes, one hash of 1 MiB expected", name, n)
		}
	}
}

func TestImportedHashes(t *testing.T) {
	m := newMethod(t)
	for name, c := range map[string]struct{ hash, text string }{
		// OpenSSL passwd -6 and the specification's own examples.
		"sha512-crypt":        {"$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1", "Hello world!"},
		"sha512-crypt rounds": {"$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.", "Hello world!"},
		"sha512-crypt long":   {"$6$rounds=1400$anotherlongsalts$POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbtEW7o7UmJEiDwGqd8p4ur1", "a very much longer text to encrypt.  This one even stretches over morethan one line."},
		"sha512-crypt few":    {"$6$rounds=1000$roundstoolow$kUMsbe306n21p9R.FRkW3IGn.S9NPN0x50YhH1xhLsPuWGsUSklZt58jaTfF4ZEQpyUNGc0dqbpBYYBaHHrsX.", "the minimum number is still observed"},
		"bcrypt":              {"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
		"bcrypt 2b":           {"$2b$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK", "U*U*"},
		"ldap crypt":          {"{CRYPT}$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
		// Made with Python's hashlib.
		"SSHA":              {"{SSHA}qIUFvWjQpOphAFSZM+3AsSGnTdBzYWx0c2FsdA==", "walnut-tepid-harbour"},
		"SSHA256":           {"{ssha256}Uqj0JGXr+O9RHocCgwkbChkkzlgI6eLSBcJuQxh02LVzYWx0c2FsdA==", "walnut-tepid-harbour"},
		"SSHA512":           {"{SSHA512}BIbUsxBZ63n5HtOdMFotRzQtljHn83TOXhwTdxpgBZH2zmjj7Le9sReBT9N/ZLoYVQ58hKRULk9+LA7misRuy3NhbHRzYWx0", "walnut-tepid-harbour"},
		"PBKDF2 as Django":  {"pbkdf2_sha256$1000$saltsalt$KgX4WIQQMeVsWNW1d7a9SIXJ8kqnhIT6ZJnUc/xBiyw=", "walnut-tepid-harbour"},
		"PBKDF2 as passlib": {"$pbkdf2-sha512$1000$c2FsdHNhbHQ$DRx6P9DjThQ3QgampehGKLDjoDgZDgPQAlUR3ow6IGkp.iTwiuq3azzsG2SlFKRxpFgDLE0iJatKhj6VgddJOg", "walnut-tepid-harbour"},
		"PBKDF2 with SHA-1": {"$pbkdf2$1000$c2FsdHNhbHQ$F/P8GzAw2QkUhe3lVdyC85qfNaM", "walnut-tepid-harbour"},
	} {
		imported(t, m, name, c.hash, c.text)
	}
}

func imported(t *testing.T, m *password.Method, name, hash, text string) {
	t.Helper()
	c, err := password.Import(hash)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	c.ID, c.Person = "pw", methodtest.Ada.ID
	if v := verify(t, m, text+"x", c); v.OK || v.Updated != nil {
		t.Errorf("%s: a wrong password: %+v", name, v)
	}
	v := verify(t, m, text, c)
	if !v.OK || v.Updated == nil {
		t.Errorf("%s: %+v", name, v)
		return
	}
	if !strings.Contains(string(v.Updated.State), "$argon2id$") {
		t.Errorf("%s: kept as %s", name, v.Updated.State)
	}
	if v := verify(t, m, text, *v.Updated); !v.OK {
		t.Errorf("%s: after the first sign-in: %+v", name, v)
	}
}

func TestHostileImports(t *testing.T) {
	for _, h := range []string{
		"", "plain", "$argon2id$", "$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=64,t=4000000000,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=16$m=64,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$", "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
		"$2a$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "$6$rounds=999999999$salt$" + strings.Repeat("a", 86),
		"$6$salt$short", "pbkdf2_sha256$2000000000$salt$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "{SSHA}", "{SSHA}AAAA", "{MD5}AAAA",
		"{CRYPT}{CRYPT}{CRYPT}$6$", "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", strings.Repeat("{", 5000),
	} {
		if _, err := password.Import(h); err == nil {
			t.Errorf("%.60q was taken", h)
		}
	}
}

func TestCorruptStateIsABrokenMachine(t *testing.T) {
	m := newMethod(t)
	state, _ := json.Marshal(map[string]string{"h": "nonsense"})
	_, err := m.Verify(method.VerifyInput{
		Credentials: []method.Credential{{ID: "c", Person: "p", Kind: method.Password, State: state}}, Answer: method.Answer{Text: good},
	})
	var f *fault.Error
	if err == nil || errors.As(err, &f) || strings.Contains(fmt.Sprint(err), "nonsense") {
		t.Errorf("%v", err)
	}
}

func FuzzImport(f *testing.F) {
	for _, s := range []string{"$6$rounds=1000$x$y", "{SSHA256}AAAA", "pbkdf2_sha256$1$a$b", "$pbkdf2-sha512$1$AA$AA", "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", "$2b$04$"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if c, err := password.Import(s); err == nil && c.Kind != method.Password {
			t.Error("imported nothing")
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	m, err := password.New(password.Settings{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		verify(b, m, good)
	}
}
