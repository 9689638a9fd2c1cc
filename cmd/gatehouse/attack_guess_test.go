package main

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// atOnce does n things at the same time and counts those that came true.
func atOnce(n int, do func(i int) bool) (count int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			if do(i) {
				mu.Lock()
				count++
				mu.Unlock()
			}
		})
	}
	close(start)
	wg.Wait()
	return count
}

func TestG22_TwoHundredAttemptsShareOneBudgetOnAllNodes(t *testing.T) {
	everywhere(t, func(t *testing.T, x *target) {
		ada := x.member("ada", longPassword, method.Password, method.TOTP)
		browsers, pages := make([]*browser, 200), make([]*reply, 200)
		for i := range pages {
			browsers[i] = x.browser()
			browsers[i].node = x.nodes[i%len(x.nodes)]
			pages[i] = browsers[i].byPassword(ada, "/apps")
		}
		wrong := ada.wrong()
		judged := atOnce(len(pages), func(i int) bool {
			r := browsers[i].answer(pages[i], method.TOTP, wrong, false)
			if browsers[i].session() != "" {
				t.Error("a wrong code opened a session")
			}
			pages[i] = r
			return !strings.Contains(r.text(), "Wait")
		})
		const budget = 10
		if judged > budget {
			t.Errorf("%d of 200 wrong codes were judged, the budget is %d", judged, budget)
		}
		right := ada.code()
		for i := range 20 {
			if browsers[i].answer(pages[i], method.TOTP, right, false); browsers[i].session() != "" {
				t.Fatal("the right code was taken while the budget was spent")
			}
		}
		for _, again := range x.nodes {
			b := x.browser()
			b.node = again
			if b.answer(b.byPassword(ada, "/apps"), method.TOTP, right, false); b.session() != "" {
				t.Error("a new attempt has a budget of its own")
			}
		}
		if !slices.Contains(ada.notices(), "signin.guessing") {
			t.Errorf("the member was told of %v", ada.notices())
		}
	})
}

// sealedText is what differs between two pages that say the same: sealed references, challenges, request ids.
var sealedText = regexp.MustCompile(`[A-Za-z0-9_-]{40,}|value="[A-Za-z0-9_-]{22,}"`)

func normal(r *reply) string {
	body := sealedText.ReplaceAllString(r.body, "…")
	return http.StatusText(r.status) + body
}

func TestG27_LockedSaysTheSameToTheByte(t *testing.T) {
	x := newTarget(t, "", 1)
	ada := x.member("ada", longPassword, method.Password, method.TOTP)
	t.Run("passcode", func(t *testing.T) {
		b := x.browser()
		r := b.byPassword(ada, "/apps")
		for range 12 {
			r = b.answer(r, method.TOTP, ada.wrong(), false)
		}
		wrong, right := b.answer(r, method.TOTP, ada.wrong(), false), b.answer(r, method.TOTP, ada.code(), false)
		if normal(wrong) != normal(right) || b.session() != "" {
			t.Errorf("right and wrong differ while locked:\n%s\n%s", wrong.text(), right.text())
		}
		if !strings.Contains(wrong.text(), "Wait") {
			t.Errorf("not locked: %s", wrong.text())
		}
	})
	t.Run("password", func(t *testing.T) {
		b := x.browser()
		r := b.name(b.get("/signin"), ada.name)
		for range 12 {
			r = b.answer(r, method.Password, "wrong password", false)
		}
		wrong, right := b.answer(r, method.Password, "another wrong one", false), b.answer(r, method.Password, ada.password, false)
		if normal(wrong) != normal(right) {
			t.Errorf("right and wrong differ while locked:\n%s\n%s", wrong.text(), right.text())
		}
		unlocked := x.browser()
		if r := unlocked.answer(unlocked.name(unlocked.get("/signin"), "nobody.else"), method.Password, "x", false); normal(r) != strings.ReplaceAll(normal(wrong), ada.name, "nobody.else") {
			t.Error("a locked account differs from an unknown one that was never asked")
		}
	})
}

func TestUnknownNamesAnswerAsKnownOnes(t *testing.T) {
	x := newTarget(t, "", 1)
	x.member("ada.known", longPassword, method.Password, method.TOTP)
	x.member("bob.nopwd", "", method.Passkey)
	gone := x.member("cyd.gone.", longPassword, method.Password, method.TOTP)
	gone.suspend()
	names := []string{"ada.known", "bob.nopwd", "cyd.gone.", "eve.never"}
	walk := func(name string) (pages []string) {
		b := x.browser()
		keep := func(r *reply) *reply {
			pages = append(pages, strings.ReplaceAll(normal(r), name, "NAME"))
			return r
		}
		r := keep(b.name(keep(b.get("/signin")), name))
		for range 3 {
			r = keep(b.answer(r, method.Password, "not the password", false))
		}
		r = keep(b.post("/signin/choose", map[string][]string{"attempt": {r.attempt()}, "kind": {"passkey"}}))
		r = keep(b.post("/signin/choose", map[string][]string{"attempt": {r.attempt()}, "kind": {"totp"}}))
		keep(b.answer(r, method.TOTP, "123456", false))
		return pages
	}
	first := walk(names[len(names)-1])
	for _, name := range names[:len(names)-1] {
		for i, page := range walk(name) {
			if page != first[i] {
				t.Errorf("page %d tells %s from an unknown name:\n%s\n%s", i, name, page, first[i])
			}
		}
	}
}

func TestG29_OnePasscodeFiftyTimesAcrossTabsAndNodes(t *testing.T) {
	everywhere(t, func(t *testing.T, x *target) {
		ada := x.member("ada", longPassword, method.Password, method.TOTP)
		library := x.application("Library", "teaching")
		// Two tabs in each of 25 browsers; every other one is a step-up within a session.
		stepping := x.browser()
		stepping.signIn(ada, "/apps", false)
		x.clock.Add(20 * time.Minute)
		browsers, pages := make([]*browser, 50), make([]*reply, 50)
		for i := range pages {
			switch {
			case i%5 == 4:
				browsers[i] = stepping.on(x.nodes[i%len(x.nodes)])
				pages[i] = browsers[i].get("/security")
			case i%2 == 1 && i%5 != 0:
				browsers[i] = browsers[i-1].on(x.nodes[i%len(x.nodes)])
				pages[i] = browsers[i].byPassword(ada, library.authorize())
			default:
				browsers[i] = x.browser()
				browsers[i].node = x.nodes[i%len(x.nodes)]
				pages[i] = browsers[i].byPassword(ada, library.authorize())
			}
			if pages[i].asks() != "totp" {
				t.Fatalf("tab %d asks %q: %s", i, pages[i].asks(), pages[i].text())
			}
		}
		code := ada.code()
		won := atOnce(len(pages), func(i int) bool {
			r := browsers[i].answer(pages[i], method.TOTP, code, false)
			return r.code() != "" || r.asks() == "password" // a step-up wants the password too
		})
		if won != 1 {
			t.Errorf("one passcode succeeded %d times", won)
		}
	})
}

func TestG30_G32_PasscodesAreUsedOnceAndEnd(t *testing.T) {
	x := newTarget(t, "", 1)
	ada := x.member("ada", longPassword, method.Password, method.TOTP)
	try := func(code string) bool {
		b := x.browser()
		b.answer(b.byPassword(ada, "/apps"), method.TOTP, code, false)
		return b.session() != ""
	}
	// G30: once, then again, then the one before, then the same at a step-up.
	code := ada.code()
	older := ada.at(x.clock.Now().Add(-30 * time.Second))
	if !try(code) || try(code) || try(older) {
		t.Error("a passcode was taken again, or one older than the last, or not at all")
	}
	// G32: shown at second 0 of its step; taken at +29 s and +59 s, refused at +61 s and with the clock set back.
	for _, c := range []struct {
		after time.Duration
		taken bool
	}{{29 * time.Second, true}, {58 * time.Second, true}, {61 * time.Second, false}} {
		x.clock.Add(5 * time.Minute)
		x.clock.Add(time.Duration(30-x.clock.Now().Unix()%30) * time.Second)
		shown := ada.at(x.clock.Now())
		x.clock.Add(c.after)
		if try(shown) != c.taken {
			t.Errorf("a passcode shown %s ago: taken is not %t", c.after, c.taken)
		}
	}
	x.clock.Add(5 * time.Minute)
	used := ada.at(x.clock.Now())
	if !try(used) {
		t.Fatal("refused")
	}
	x.clock.Add(-time.Minute)
	if try(used) || try(ada.at(x.clock.Now())) {
		t.Error("with the clock set back a used or an older passcode was taken")
	}
}

func TestG44_StrangersDoNotLockTheMemberOutThroughPages(t *testing.T) {
	everywhere(t, func(t *testing.T, x *target) {
		ada := x.member("ada", longPassword, method.Password, method.TOTP)
		bob := x.member("bob", longPassword, method.Password, method.Passkey)
		home := x.browser()
		home.signIn(ada, "/apps", false)
		home.post("/signout", map[string][]string{})
		for i := range 60 {
			for _, m := range []*member{ada, bob} {
				b := x.browser()
				b.node = x.nodes[i%len(x.nodes)]
				b.address = "203.0.113.9:1"
				b.answer(b.name(b.get("/signin"), m.name), method.Password, "a guess", false)
			}
		}
		stranger := x.browser()
		if r := stranger.byPassword(ada, "/apps"); r.asks() == "totp" {
			t.Error("the strangers' budget is not spent")
		}
		if r := home.byPassword(ada, "/apps"); r.asks() != "totp" {
			t.Errorf("the member's own browser is locked out with the strangers: %s", r.text())
		}
		fresh := x.browser()
		if fresh.signIn(bob, "/apps", false); !fresh.signedIn() {
			t.Error("a passkey is locked by wrong passwords")
		}
	})
}
