package throttle_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/throttle"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

// guesses takes n guesses at one time and counts those that pass.
func guesses(c throttle.Counter, l throttle.Limit, n int, now time.Time) (throttle.Counter, int) {
	passed := 0
	for range n {
		var ok bool
		if c, ok = throttle.Take(l, now)(c); ok {
			passed++
		}
	}
	return c, passed
}

func TestBurstThenOneEachRefill(t *testing.T) {
	l := throttle.Limit{Burst: 10, Refill: time.Minute, Cap: 50}
	c, passed := guesses(throttle.Counter{}, l, 200, noon)
	if passed != 10 {
		t.Fatalf("burst: %d", passed)
	}
	if d := throttle.RetryAfter(l, c, noon); d != time.Minute {
		t.Errorf("retry after %s", d)
	}
	if _, passed = guesses(c, l, 5, noon.Add(time.Minute-time.Microsecond)); passed != 0 {
		t.Errorf("%d before the refill", passed)
	}
	if _, passed = guesses(c, l, 5, noon.Add(3*time.Minute)); passed != 3 {
		t.Errorf("%d after three refills", passed)
	}
	if throttle.RetryAfter(l, throttle.Counter{}, noon) != 0 {
		t.Error("a fresh counter makes wait")
	}
}

func TestRefusedGuessChangesNothing(t *testing.T) {
	l := throttle.Default("password", throttle.Stranger)
	c, _ := guesses(throttle.Counter{}, l, 10, noon)
	again, passed := guesses(c, l, 1000, noon)
	if passed != 0 || !again.TAT.Equal(c.TAT) || again.Wrong != c.Wrong {
		t.Errorf("%+v became %+v", c, again)
	}
}

func TestDelayGrowsAndStopsGrowing(t *testing.T) {
	l := throttle.Limit{Burst: 5, Refill: time.Minute, Cap: 10}
	c, now := throttle.Counter{}, noon
	var waits []time.Duration
	for range 40 {
		now = now.Add(throttle.RetryAfter(l, c, now))
		var ok bool
		if c, ok = throttle.Take(l, now)(c); !ok {
			t.Fatal("refused at the time that RetryAfter named")
		}
		waits = append(waits, throttle.RetryAfter(l, c, now))
	}
	for i := 11; i < len(waits); i++ {
		if waits[i] < waits[i-1] || waits[i] > throttle.MaxDelay {
			t.Errorf("wait %d is %s after %s", i, waits[i], waits[i-1])
		}
	}
	if waits[len(waits)-1] != throttle.MaxDelay {
		t.Errorf("last wait %s", waits[len(waits)-1])
	}
	c = throttle.Refund(l, 1, now)(c)
	if _, passed := guesses(c, l, 1, now); passed != 1 {
		t.Error("after a success the grown delay still stands")
	}
}

// A year of hammering a six-digit passcode, while the member signs in rightly through the same audience every hour.
func TestPasscodeGuessesOfAYear(t *testing.T) {
	total := 0
	for _, a := range []throttle.Audience{throttle.Stranger, throttle.Known} {
		l := throttle.Default("totp", a)
		c := throttle.Counter{}
		for now := noon; now.Before(noon.AddDate(1, 0, 0)); now = now.Add(time.Hour) {
			var passed int
			c, passed = guesses(c, l, 20, now)
			total += passed
			var ok bool
			if c, ok = throttle.Take(l, now)(c); ok {
				c = throttle.Refund(l, 1, now)(c)
			}
		}
	}
	if chance := float64(total) * 3e-6; chance >= 0.001 {
		t.Errorf("%d guesses, %.3f %%", total, chance*100)
	}
	if total < 100 {
		t.Errorf("only %d guesses in a year: a member who errs would be locked out", total)
	}
}

func TestPasswordGuessesOfAYear(t *testing.T) {
	l := throttle.Default("password", throttle.Stranger)
	c, total := throttle.Counter{}, 0
	for now := noon; now.Before(noon.AddDate(1, 0, 0)); now = now.Add(time.Minute) {
		var passed int
		c, passed = guesses(c, l, 20, now)
		total += passed
	}
	if total > 450 || total < 300 {
		t.Errorf("%d guesses", total)
	}
}

// 5,000 people behind one address, 3 % typing errors, three sign-ins a day for ten days: nobody waits.
func TestCrowdBehindOneAddressIsServed(t *testing.T) {
	counters := map[string]throttle.Counter{}
	kinds := []string{"password", "totp"}
	try := func(kind, who string, wrong bool, now time.Time) {
		l := throttle.Default(kind, throttle.Stranger)
		k := string(throttle.Key(kind, who, throttle.Stranger))
		for n := 1; ; n++ {
			c, ok := throttle.Take(l, now)(counters[k])
			if !ok {
				t.Fatalf("%s was refused at %s", who, now)
			}
			if !wrong {
				counters[k] = throttle.Refund(l, 1, now)(c)
				return
			}
			counters[k], wrong = c, false
		}
	}
	seed := uint32(1)
	for now := noon; now.Before(noon.AddDate(0, 0, 10)); now = now.Add(8 * time.Hour) {
		for i := range 5000 {
			for _, kind := range kinds {
				seed = seed*1664525 + 1013904223
				try(kind, string(rune('a'+i%26))+time.Duration(i).String(), seed>>16%100 < 3, now)
			}
		}
	}
}

func TestStrangersDoNotSpendTheKnownBrowsersBudget(t *testing.T) {
	a, b := throttle.Key("password", "p1", throttle.Stranger), throttle.Key("password", "p1", throttle.Known)
	if bytes.Equal(a, b) || bytes.Equal(a, throttle.Key("totp", "p1", throttle.Stranger)) || bytes.Equal(a, throttle.Key("password", "p2", throttle.Stranger)) {
		t.Error("two budgets share a counter")
	}
	if bytes.Equal(a, throttle.UnknownKey([]byte("p1"), "password", throttle.Stranger)) {
		t.Error("a name can be made to share a member's counter")
	}
	if len(a) != len(throttle.UnknownKey([]byte("x"), "password", throttle.Stranger)) {
		t.Error("keys of unknown names look different")
	}
}

func TestTellOnceADay(t *testing.T) {
	c := throttle.Counter{Wrong: throttle.TellAfter - 1}
	if _, tell := throttle.Tell(c, noon); tell {
		t.Error("told too early")
	}
	c.Wrong++
	c, tell := throttle.Tell(c, noon)
	if !tell {
		t.Fatal("not told")
	}
	if _, tell = throttle.Tell(c, noon.Add(23*time.Hour)); tell {
		t.Error("told twice in a day")
	}
	if _, tell = throttle.Tell(c, noon.Add(24*time.Hour)); !tell {
		t.Error("not told the next day")
	}
}

func TestZeroLimitTakesNothing(t *testing.T) {
	if _, ok := throttle.Take(throttle.Limit{}, noon)(throttle.Counter{}); ok {
		t.Error("no budget let a guess through")
	}
}

// Whatever the times and successes, no window of time passes more than Burst + window/Refill wrong guesses.
func TestNeverMoreThanTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := throttle.Limit{
			Burst:  rapid.IntRange(1, 12).Draw(t, "burst"),
			Refill: time.Duration(rapid.IntRange(1, 600).Draw(t, "refill")) * time.Second,
			Cap:    rapid.IntRange(0, 20).Draw(t, "cap"),
		}
		c, now, wrong := throttle.Counter{}, noon, 0
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "wait")) * time.Second)
			next, ok := throttle.Take(l, now)(c)
			if !ok {
				if throttle.RetryAfter(l, c, now) <= 0 {
					t.Fatal("refused without a time to come back")
				}
				continue
			}
			c = next
			if rapid.IntRange(0, 4).Draw(t, "right") == 0 && (l.Cap == 0 || c.Wrong <= l.Cap) {
				c = throttle.Refund(l, 1, now)(c)
			} else {
				wrong++
			}
		}
		if most := l.Burst + int(now.Sub(noon)/l.Refill); wrong > most {
			t.Fatalf("%d wrong guesses where %d may be", wrong, most)
		}
	})
}

// TestG46_StartsGrowApart: five at once, then each twice as far from the next as the one before, whoever begins anew.
func TestG46_StartsGrowApart(t *testing.T) {
	for a, first := range map[throttle.Audience]time.Duration{throttle.Stranger: 10 * time.Minute, throttle.Known: 5 * time.Minute} {
		l := throttle.Starts(a)
		at, c := noon, throttle.Counter{}
		var waits []time.Duration
		for n := range 20 {
			next, ok := throttle.Take(l, at)(c)
			if n < 5 != ok && n <= 5 {
				t.Fatalf("audience %d, start %d: %v", a, n+1, ok)
			}
			if !ok {
				wait := throttle.RetryAfter(l, next, at)
				waits, at = append(waits, wait), at.Add(wait)
				if next, ok = throttle.Take(l, at)(next); !ok {
					t.Fatal("refused when its time has come")
				}
			}
			c = next
		}
		if waits[0] != first || !slices.IsSorted(waits[1:]) || waits[len(waits)-1] != throttle.MaxDelay {
			t.Fatalf("audience %d: %v", a, waits)
		}
		// An approval gives its own back; the delay that had grown ends.
		if c = throttle.Refund(l, 1, at)(c); throttle.RetryAfter(l, c, at.Add(l.Refill)) != 0 {
			t.Fatalf("audience %d: still waiting after an approval: %v", a, throttle.RetryAfter(l, c, at))
		}
	}
}
