package session_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
)

var (
	now   = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	ada   = people.Person{ID: "ada", State: people.Active}
	here  = secret.Hash("browser-1")
	other = secret.Hash("browser-2")
)

func proof(kind method.Kind, at time.Time) method.Evidence {
	return method.Evidence{Kind: kind, Credential: "c-" + string(kind), Factors: method.Possession, At: at}
}

func begin() (session.Session, secret.String) {
	return session.Start(now, session.Beginning{Person: "ada", Browser: here, Evidence: []method.Evidence{proof(method.Passkey, now)}},
		session.Limits{Idle: time.Hour, Max: 3 * time.Hour})
}

func TestStartMakesANewToken(t *testing.T) {
	a, tokenA := begin()
	b, tokenB := begin()
	if tokenA.Equal(tokenB) || a.ID == b.ID || len(tokenA.Reveal()) != 43 {
		t.Error("two sessions share a token or an id, or the token is short")
	}
	if !bytes.Equal(a.TokenHash, secret.Hash(tokenA.Reveal())) || !a.Expires.Equal(now.Add(3*time.Hour)) || !a.LastSeen.Equal(now) {
		t.Errorf("%+v", a)
	}
	if d, _ := session.Start(now, session.Beginning{Person: "ada"}, session.Limits{}); !d.Expires.Equal(now.Add(24 * time.Hour)) {
		t.Errorf("default end %v", d.Expires)
	}
}

func TestLive(t *testing.T) {
	limits := session.Limits{Idle: time.Hour, Max: 3 * time.Hour}
	suspended, left, invited, eve := ada, ada, ada, ada
	suspended.State, left.State, invited.State, eve.ID = people.Suspended, people.Left, people.Invited, "eve"
	for _, c := range []struct {
		name   string
		seen   time.Duration // last seen after now
		at     time.Duration
		person people.Person
		limits session.Limits
		want   *fault.Error
	}{
		{"fresh", 0, time.Minute, ada, limits, nil},
		{"just not idle", 0, time.Hour - time.Microsecond, ada, limits, nil},
		{"idle", 0, time.Hour, ada, limits, session.ErrIdle},
		{"used until the end", 3*time.Hour - time.Minute, 3*time.Hour - time.Microsecond, ada, limits, nil},
		{"ended, however used", 3*time.Hour - time.Minute, 3 * time.Hour, ada, limits, session.ErrEnded},
		{"policy was shortened", 0, 30 * time.Minute, ada, session.Limits{Idle: time.Hour, Max: 30 * time.Minute}, session.ErrEnded},
		{"policy was lengthened", 3*time.Hour - time.Minute, 3 * time.Hour, ada, session.Limits{Idle: time.Hour, Max: 90 * time.Hour}, session.ErrEnded},
		{"suspended", 0, time.Minute, suspended, limits, session.ErrAccount},
		{"left", 0, time.Minute, left, limits, session.ErrAccount},
		{"invited", 0, time.Minute, invited, limits, session.ErrAccount},
		{"nobody", 0, time.Minute, people.Person{}, limits, session.ErrAccount},
		{"somebody else", 0, time.Minute, eve, limits, session.ErrAccount},
	} {
		s, _ := begin()
		s.LastSeen = now.Add(c.seen)
		err := session.Live(s, c.person, c.limits, now.Add(c.at))
		if c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && !fault.IsKind(err, fault.Unauthenticated) {
			t.Errorf("%s: kind of %v", c.name, err)
		}
	}
	if session.Live(session.Session{}, people.Person{State: people.Active}, limits, now) == nil {
		t.Error("the zero session lives")
	}
}

func TestFromAnotherBrowser(t *testing.T) {
	s, _ := begin()
	if session.From(s, here) != nil || session.From(s, other) == nil || session.From(s, nil) == nil || session.From(session.Session{}, nil) == nil {
		t.Error("a session and its browser")
	}
}

func TestNeedsTouch(t *testing.T) {
	s, _ := begin()
	if session.NeedsTouch(s, now.Add(session.SeenEvery-1)) || !session.NeedsTouch(s, now.Add(session.SeenEvery)) {
		t.Error("last seen is saved too often or too seldom")
	}
}

func TestStepUpChangesTheTokenAndNothingElse(t *testing.T) {
	s, old := begin()
	later := now.Add(time.Hour)
	up, token := session.StepUp(s, later, proof(method.TOTP, later))
	if token.Equal(old) || !bytes.Equal(up.TokenHash, secret.Hash(token.Reveal())) {
		t.Error("the token did not change")
	}
	if !up.Expires.Equal(s.Expires) || up.ID != s.ID || !up.Created.Equal(s.Created) {
		t.Error("a step-up moved the end or the identity")
	}
	if len(up.Evidence) != 2 || len(s.Evidence) != 1 {
		t.Errorf("evidence %v, before %v", up.Evidence, s.Evidence)
	}
}

// TestEvidenceIsAppendOnly: whatever is appended, what was there stays as it was and in its order, nothing stands
// twice, and each credential's latest proof is kept however long the log grows.
func TestEvidenceIsAppendOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, _ := begin()
		latest := map[string]time.Time{s.Evidence[0].Credential: s.Evidence[0].At}
		for range rapid.IntRange(0, 120).Draw(t, "steps") {
			e := proof(rapid.SampledFrom([]method.Kind{method.Password, method.TOTP}).Draw(t, "kind"), now.Add(time.Duration(rapid.IntRange(0, 500).Draw(t, "second"))*time.Second))
			before := slices.Clone(s.Evidence)
			next := session.Append(s, e, e)
			if !slices.Equal(before, s.Evidence) {
				t.Fatal("Append changed the session it was given")
			}
			i := 0
			for _, kept := range next.Evidence {
				if i < len(before) && kept == before[i] {
					i++
				} else if skip := slices.Index(before, kept); skip >= 0 {
					if skip < i {
						t.Fatal("the order changed")
					}
					i = skip + 1
				}
			}
			if e.At.After(latest[e.Credential]) {
				latest[e.Credential] = e.At
			}
			s = next
		}
		if len(s.Evidence) > 64 {
			t.Fatalf("%d entries", len(s.Evidence))
		}
		for c, at := range latest {
			if !slices.ContainsFunc(s.Evidence, func(e method.Evidence) bool { return e.Credential == c && e.At.Equal(at) }) {
				t.Fatalf("the latest proof of %s is gone", c)
			}
		}
	})
}

func TestAppendKnowsStoredTimes(t *testing.T) {
	s, _ := begin()
	stored := s.Evidence[0]
	stored.At = time.UnixMicro(stored.At.UnixMicro()).In(time.FixedZone("x", 3600))
	if got := session.Append(s, stored); len(got.Evidence) != 1 {
		t.Errorf("the same proof stands twice: %v", got.Evidence)
	}
}
