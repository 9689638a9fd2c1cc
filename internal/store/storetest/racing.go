package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

func exactlyOneWins(t *testing.T, db *store.DB) { ExactlyOneWins(t, db, db) }

// ExactlyOneWins lets 50 callers, on the nodes in turn, race for each single-use thing.
func ExactlyOneWins(t *testing.T, nodes ...*store.DB) {
	ctx := context.Background()
	db := nodes[0]
	do(t, db, func(tx *store.Tx) error {
		return errors.Join(
			tx.AddProof(ctx, signin.Proof{Session: "s", Act: policy.ActMethodAdd, At: start}),
			tx.AddBrowser(ctx, session.Browser{Family: "f", TokenHash: []byte("t"), Expires: start.Add(time.Hour)}),
			tx.AddGrant(ctx, apps.Grant{ID: "g", CodeHash: []byte("c"), Expires: start.Add(time.Hour)}),
			tx.AddAttempt(ctx, signin.Attempt{ID: "a", Browser: []byte("b"), Expires: start.Add(time.Hour)}),
			tx.AddSession(ctx, session.Session{ID: "s", TokenHash: []byte("s"), Expires: start.Add(time.Hour)}))
	})
	conflict := func(err error) (bool, error) {
		if fault.IsKind(err, fault.Conflict) {
			return false, nil
		}
		return err == nil, err
	}
	for name, try := range map[string]func(*store.Tx) (bool, error){
		"SpendOnce": func(tx *store.Tx) (bool, error) { return tx.SpendOnce(ctx, []byte("once"), start.Add(time.Hour)) },
		"TakeProof": func(tx *store.Tx) (bool, error) {
			return tx.TakeProof(ctx, "s", policy.ActMethodAdd, "", start)
		},
		"RotateBrowser": func(tx *store.Tx) (bool, error) {
			return conflict(tx.RotateBrowser(ctx, session.Browser{Family: "f", TokenHash: []byte("t2")}))
		},
		"UpdateGrant": func(tx *store.Tx) (bool, error) {
			return conflict(tx.UpdateGrant(ctx, apps.Grant{ID: "g", CodeUsed: true, CodeHash: []byte("c")}))
		},
		"UpdateAttempt": func(tx *store.Tx) (bool, error) {
			return conflict(tx.UpdateAttempt(ctx, signin.Attempt{ID: "a", Expires: start}))
		},
		"UpdateSession": func(tx *store.Tx) (bool, error) {
			return conflict(tx.UpdateSession(ctx, session.Session{ID: "s", TokenHash: []byte("s2")}))
		},
	} {
		n := race(t, 50, func(i int) (won bool, err error) {
			node := nodes[i%len(nodes)]
			err = node.InTx(ctx, func(tx *store.Tx) (err error) {
				won, err = try(tx)
				if err != nil {
					return err
				}
				return tx.Record(ctx, audit.Entry{At: start, Act: "race", Outcome: audit.Done, Actor: "system", Object: name})
			})
			return won, err
		})
		if n != 1 {
			t.Errorf("%s: %d of 50 won", name, n)
		}
	}
}

func counters(t *testing.T, db *store.DB) {
	ctx := context.Background()
	key := []byte("k")
	do(t, db, func(tx *store.Tx) error {
		_, _, err := tx.ReserveGuess(ctx, key, func(throttle.Counter) (throttle.Counter, bool) {
			return throttle.Counter{TAT: start, Wrong: 3, Told: start}, true
		})
		return err
	})
	do(t, db, func(tx *store.Tx) error {
		c, ok, err := tx.ReserveGuess(ctx, key, func(c throttle.Counter) (throttle.Counter, bool) {
			same(t, "what take sees", c, throttle.Counter{Key: key, TAT: start, Wrong: 3, Told: start})
			c.Wrong++
			return c, true
		})
		if !ok || c.Wrong != 4 {
			t.Errorf("%v %+v", ok, c)
		}
		return err
	})
	do(t, db, func(tx *store.Tx) error { return tx.ClearCounter(ctx, key) })
	look(t, db, func(tx *store.Tx) error {
		c, err := tx.CounterFor(ctx, key)
		if c.Wrong != 0 {
			t.Errorf("cleared: %+v", c)
		}
		return err
	})
}

func reserveGuessIsExact(t *testing.T, db *store.DB) { ReserveGuessIsExact(t, db) }

// ReserveGuessIsExact lets 200 callers, on the nodes in turn, take guesses of a budget of 10.
func ReserveGuessIsExact(t *testing.T, nodes ...*store.DB) {
	ctx := context.Background()
	const limit = 10
	key := []byte("account and kind")
	take := func(c throttle.Counter) (throttle.Counter, bool) {
		if c.Wrong >= limit {
			return c, false
		}
		c.Wrong++
		c.TAT = start.Add(time.Duration(c.Wrong) * time.Second)
		return c, true
	}
	n := race(t, 200, func(i int) (won bool, err error) {
		err = nodes[i%len(nodes)].InTx(ctx, func(tx *store.Tx) (err error) {
			_, won, err = tx.ReserveGuess(ctx, key, take)
			return err
		})
		return won, err
	})
	if n != limit {
		t.Errorf("%d guesses passed, the limit is %d", n, limit)
	}
}

func reserveWithin(t *testing.T, db *store.DB) {
	ctx := context.Background()
	do(t, db, func(tx *store.Tx) error {
		for want := 1; want <= 3; want++ {
			c, _, err := tx.ReserveGuess(ctx, []byte("k"), func(c throttle.Counter) (throttle.Counter, bool) { c.Wrong++; return c, true })
			if err != nil || c.Wrong != want {
				t.Errorf("guess %d: %+v %v", want, c, err)
			}
		}
		return nil
	})
}

var errWanted = errors.New("wanted")

func rollback(t *testing.T, db *store.DB) {
	ctx := context.Background()
	err := db.InTx(ctx, func(tx *store.Tx) error {
		if _, err := tx.SpendOnce(ctx, []byte("h"), start); err != nil {
			return err
		}
		if err := tx.Record(ctx, audit.Entry{At: start, Act: "x", Outcome: audit.Done, Actor: "system"}); err != nil {
			return err
		}
		return errWanted
	})
	if !errors.Is(err, errWanted) {
		t.Errorf("error came back as %v", err)
	}
	do(t, db, func(tx *store.Tx) error {
		first, err := tx.SpendOnce(ctx, []byte("h"), start)
		if !first {
			t.Error("a failed transaction left its row")
		}
		return err
	})
	if rep, err := db.VerifyAudit(ctx, nil); err != nil || rep.Entries != 0 {
		t.Errorf("a failed transaction left its entry: %+v %v", rep, err)
	}
}

func views(t *testing.T, db *store.DB) {
	ctx := context.Background()
	if err := db.View(ctx, func(tx *store.Tx) error { return tx.SaveSetting(ctx, "a", []byte("b")) }); err == nil {
		t.Error("a view wrote")
	}
	if err := db.View(ctx, func(tx *store.Tx) error { _, err := tx.EndSessionsOf(ctx, "p", ""); return err }); err == nil {
		t.Error("a view deleted")
	}
	if err := db.View(ctx, func(tx *store.Tx) error { _, err := tx.ClaimMessages(ctx, mail, start, start, 1); return err }); err == nil {
		t.Error("a view claimed")
	}
	do(t, db, func(tx *store.Tx) error { return tx.SaveSetting(ctx, "a", []byte("1")) })
	look(t, db, func(tx *store.Tx) error {
		before, err := tx.Setting(ctx, "a")
		if err != nil {
			return err
		}
		do(t, db, func(tx *store.Tx) error { return tx.SaveSetting(ctx, "a", []byte("2")) })
		after, err := tx.Setting(ctx, "a")
		if string(before) != string(after) {
			t.Errorf("one view saw %q and %q", before, after)
		}
		return err
	})
}

// badMembers puts failing, panicking and broken transactions between good ones, all at once.
func badMembers(t *testing.T, db *store.DB) {
	ctx := context.Background()
	const n = 120
	var good sync.Map
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			key := fmt.Appendf(nil, "h%d", i)
			err := db.InTx(ctx, func(tx *store.Tx) error {
				if _, err := tx.SpendOnce(ctx, key, start); err != nil {
					return err
				}
				if err := tx.Record(ctx, audit.Entry{At: start, Act: "x", Outcome: audit.Done, Actor: "system", Object: string(key)}); err != nil {
					return err
				}
				switch i % 6 {
				case 1:
					return errWanted
				case 2:
					panic("wanted")
				case 3:
					// A statement fails and the member goes on as if nothing had happened.
					if tx.AddAttempt(ctx, signin.Attempt{ID: "no browser"}) == nil {
						t.Error("an attempt without a browser was kept")
					}
				}
				return nil
			})
			if (err == nil) != (i%6 == 0 || i%6 > 3) {
				t.Errorf("member %d: %v", i, err)
			}
			if err == nil {
				good.Store(string(key), true)
			}
		})
	}
	wg.Wait()
	do(t, db, func(tx *store.Tx) error {
		for i := range n {
			key := fmt.Sprintf("h%d", i)
			_, kept := good.Load(key)
			free, err := tx.SpendOnce(ctx, []byte(key), start)
			if err != nil {
				return err
			}
			if free == kept {
				t.Errorf("%s: acknowledged %v, there %v", key, kept, !free)
			}
		}
		return nil
	})
	if rep, err := db.VerifyAudit(ctx, nil); err != nil || !rep.OK() || rep.Entries != n/2 {
		t.Errorf("trail: %+v %v", rep, err)
	}
}

// cancelled lets many callers leave while their transactions wait or run.
func cancelled(t *testing.T, db *store.DB) {
	const n = 200
	var wg sync.WaitGroup
	var acked [n]atomic.Bool
	for i := range n {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if i%2 == 0 {
				go func() { runtime.Gosched(); cancel() }()
			}
			err := db.InTx(ctx, func(tx *store.Tx) error {
				if i%4 == 0 {
					cancel() // in the middle of it
				}
				_, err := tx.SpendOnce(ctx, fmt.Appendf(nil, "c%d", i), start)
				return err
			})
			if err != nil && (i%2 == 1 || !errors.Is(err, context.Canceled)) {
				t.Errorf("member %d: %v", i, err)
			}
			acked[i].Store(err == nil)
		})
	}
	wg.Wait()
	ctx := context.Background()
	do(t, db, func(tx *store.Tx) error {
		for i := range n {
			free, err := tx.SpendOnce(ctx, fmt.Appendf(nil, "c%d", i), start)
			if err != nil {
				return err
			}
			if acked[i].Load() && free {
				t.Errorf("member %d was acknowledged and is not there", i)
			}
		}
		return nil
	})
}

func caches(t *testing.T, db *store.DB) {
	ctx := context.Background()
	idle := func() (d time.Duration) {
		look(t, db, func(tx *store.Tx) error {
			p, err := tx.PolicyInForce(ctx)
			d = p.SessionIdle
			return err
		})
		return d
	}
	for i := 1; i <= 3; i++ {
		want := time.Duration(i) * time.Hour
		do(t, db, func(tx *store.Tx) error {
			return tx.SavePolicy(ctx, policy.Policy{SessionIdle: want}, nil, "system", "")
		})
		// A change that is rolled back is never cached.
		err := db.InTx(ctx, func(tx *store.Tx) error {
			if err := tx.SavePolicy(ctx, policy.Policy{SessionIdle: 99 * time.Hour}, nil, "system", ""); err != nil {
				return err
			}
			if p, err := tx.PolicyInForce(ctx); err != nil || p.SessionIdle != 99*time.Hour {
				t.Errorf("inside: %v %v", p.SessionIdle, err)
			}
			return errWanted
		})
		if !errors.Is(err, errWanted) {
			t.Fatal(err)
		}
		for range 2 {
			if got := idle(); got != want {
				t.Errorf("in force %v, wanted %v", got, want)
			}
		}
	}
}

func closed(t *testing.T, db *store.DB) {
	ctx := context.Background()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "InTx", db.InTx(ctx, func(*store.Tx) error { return nil }), fault.Busy)
	wantKind(t, "View", db.View(ctx, func(*store.Tx) error { return nil }), fault.Busy)
	wantKind(t, "Ping", db.Ping(ctx), fault.Busy)
	if err := db.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

// namesRace lets many people take one name by renaming themselves: one has it, the others are told.
func namesRace(t *testing.T, db *store.DB) {
	ctx := context.Background()
	var all []people.Person
	for i := range 20 {
		all = append(all, Person(t, db, fmt.Sprint("p", i)))
	}
	n := race(t, len(all), func(i int) (bool, error) {
		p := all[i]
		p.Username = "Wanted"
		err := db.InTx(ctx, func(tx *store.Tx) error { return tx.UpdatePerson(ctx, p) })
		if fault.IsKind(err, fault.Conflict) {
			return false, nil
		}
		return err == nil, err
	})
	if n != 1 {
		t.Errorf("%d people have one name", n)
	}
}

func sweep(t *testing.T, db *store.DB) {
	ctx := context.Background()
	do(t, db, func(tx *store.Tx) error {
		for i := range 1203 {
			if _, err := tx.SpendOnce(ctx, fmt.Appendf(nil, "old%d", i), start); err != nil {
				return err
			}
		}
		_, err := tx.SpendOnce(ctx, []byte("fresh"), start.Add(time.Hour))
		if err != nil {
			return err
		}
		if err := tx.AddProof(ctx, signin.Proof{Session: "s", Act: "a", At: start.Add(-2 * time.Hour)}); err != nil {
			return err
		}
		if err := tx.AddSession(ctx, session.Session{ID: "s", TokenHash: []byte("s"), Expires: start}); err != nil {
			return err
		}
		return tx.AddGrant(ctx, apps.Grant{ID: "g", Expires: start})
	})
	n, err := db.Sweep(ctx, start.Add(time.Second))
	if err != nil || n != 1203+2 {
		t.Errorf("swept %d %v", n, err)
	}
	do(t, db, func(tx *store.Tx) error {
		if free, err := tx.SpendOnce(ctx, []byte("fresh"), start); free || err != nil {
			t.Errorf("a live hash was swept: %v", err)
		}
		_, err := tx.GrantByID(ctx, "g") // kept for a day, so that a late replay is recognised
		return err
	})
	do(t, db, func(tx *store.Tx) error { // browsers that were long unseen go when the person brings another
		for browser, at := range map[string]time.Time{"old": start, "new": start.Add(401 * 24 * time.Hour)} {
			if err := tx.RememberKnownBrowser(ctx, "known", []byte(browser), at); err != nil {
				return err
			}
		}
		if err := tx.RememberKnownBrowser(ctx, "known", []byte("newest"), start.Add(402*24*time.Hour)); err != nil {
			return err
		}
		for browser, want := range map[string]bool{"old": false, "new": true, "newest": true} {
			if known, err := tx.KnownBrowser(ctx, "known", []byte(browser)); known != want || err != nil {
				t.Errorf("%s browser: known %v %v", browser, known, err)
			}
		}
		return nil
	})
}

// CachesAcrossNodes changes on one node what the other has cached.
func CachesAcrossNodes(t *testing.T, a, b *store.DB) {
	ctx := context.Background()
	for i := range 6 {
		from, to := a, b
		if i%2 == 1 {
			from, to = b, a
		}
		want := time.Duration(i+1) * time.Minute
		name := fmt.Sprint("name ", i)
		do(t, from, func(tx *store.Tx) error {
			if err := tx.SavePolicy(ctx, policy.Policy{SessionIdle: want}, nil, "system", ""); err != nil {
				return err
			}
			return tx.SaveApplication(ctx, apps.Application{ID: "app", Name: name, Version: int64(i)})
		})
		look(t, to, func(tx *store.Tx) error {
			p, err := tx.PolicyInForce(ctx)
			if err != nil || p.SessionIdle != want {
				t.Errorf("round %d: policy %v %v", i, p.SessionIdle, err)
			}
			app, err := tx.ApplicationByID(ctx, "app")
			if app.Name != name {
				t.Errorf("round %d: application %q", i, app.Name)
			}
			return err
		})
	}
}
