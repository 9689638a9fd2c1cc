package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
)

// listening follows an address of server-sent events at the browser's node; the channel gives all that came, at the end.
func (b *browser) listening(path string) <-chan string {
	b.x.t.Helper()
	r := httptest.NewRequest("GET", attackBase+path, nil)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	ctx, stop := context.WithTimeout(r.Context(), 30*time.Second)
	before, all := b.node.hub.Waiting(), make(chan string, 1)
	go func() {
		defer stop()
		w := httptest.NewRecorder()
		b.node.handler.ServeHTTP(w, r.WithContext(ctx))
		all <- w.Body.String()
	}()
	for b.node.hub.Waiting() == before && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	return all
}

// withPasscode goes on with a passcode where the app is asked for.
func (b *browser) withPasscode(m *member, r *reply) *reply {
	for range 3 {
		if r.asks() == "" && r.attempt() != "" {
			r = b.post("/signin/choose", url.Values{"attempt": {r.attempt()}, "kind": {"totp"}})
		}
		r = b.proceed(r, m, false)
	}
	return r
}

// awake notes whether a topic is woken at a node: what is woken looks at once, and needs no clock.
func awake(t *testing.T, n *node, topic string) (check func(what string)) {
	w := n.hub.Subscribe(topic)
	t.Cleanup(w.Close)
	return func(what string) {
		t.Helper()
		defer w.Close()
		select {
		case <-w.C:
		case <-time.After(10 * time.Second):
			t.Errorf("%s: nobody who waits is told", what)
		}
	}
}

func (x *target) challenges(m *member) (list []signin.Challenge) {
	x.must(x.nodes[0].db.View(context.Background(), func(tx *store.Tx) (err error) {
		list, err = tx.RecentChallenges(context.Background(), string(m.id), 5)
		return err
	}))
	return list
}

// TestG8_WhatWaitsEndsWithItsSession: a page of a step-up and a page of a pairing are told at once that their session is
// over, and nothing is left on the phone that somebody could approve.
func TestG8_WhatWaitsEndsWithItsSession(t *testing.T) {
	x := newTarget(t, "", 1)
	n := x.nodes[0]
	ada := x.member("ada", longPassword, method.Password, method.TOTP)
	phone := x.browser().pair(ada, n)
	ends := map[string]func(b *browser, id string){
		"one session, by an administrator": func(_ *browser, id string) { x.admin("DELETE", "/people/"+string(ada.id)+"/sessions/"+id, "") },
		"all, by an administrator":         func(*browser, string) { x.admin("DELETE", "/people/"+string(ada.id)+"/sessions", "") },
		"one session, in another browser": func(_ *browser, id string) {
			other := x.browser()
			other.withPasscode(ada, other.byPassword(ada, "/security"))
			if r := other.post("/security/sessions/"+id+"/end", url.Values{}); r.status != 200 {
				t.Errorf("%d %s", r.status, r.text())
			}
		},
		"signed out in another tab": func(b *browser, _ string) { b.copied().post("/signout", url.Values{}) },
		"suspended":                 func(*browser, string) { ada.suspend(); ada.restore() },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			b := x.browser()
			b.withPasscode(ada, b.byPassword(ada, "/apps"))
			x.clock.Add(20 * time.Minute)
			r := b.get("/security/add/passkey")
			r = b.post("/signin/choose", url.Values{"attempt": {r.attempt()}, "kind": {"app"}})
			if r.number() == "" {
				t.Fatalf("no number: %s", r.text())
			}
			list, err := phone.Requests(context.Background(), 0)
			if err != nil || len(list) != 1 {
				t.Fatalf("%v %v", list, err)
			}
			stream := b.listening("/signin/events?attempt=" + url.QueryEscape(r.attempt()))
			told := awake(t, n, signin.ChallengeTopic(list[0].ID))
			hers := awake(t, n, signin.RequestsTopic(string(ada.id)))
			end(b, x.sessionOf(b))
			told("the page")
			hers("the phone")
			if got := <-stream; !strings.Contains(got, `"standing":"over"`) {
				t.Errorf("the page was told %q", got)
			}
			if list, _ := phone.Requests(context.Background(), 0); len(list) != 0 {
				t.Errorf("the phone still shows %+v", list)
			}
			if c := x.challenges(ada)[0]; c.Standing != signin.Ended {
				t.Errorf("the request stands %v", c.Standing)
			}
		})
	}
	t.Run("a pairing", func(t *testing.T) {
		b := x.browser()
		b.withPasscode(ada, b.byPassword(ada, "/apps"))
		x.clock.Add(20 * time.Minute)
		r := b.withPasscode(ada, b.get("/security/add/app"))
		sealed := r.field(sealedField)
		var p []enrol.Pairing
		x.must(n.db.View(t.Context(), func(tx *store.Tx) (err error) { p, err = tx.PairingsOf(t.Context(), string(ada.id)); return err }))
		if sealed == "" || len(p) != 1 {
			t.Fatalf("%v %s", p, r.text())
		}
		stream := b.listening("/security/pairing/events?standing=waiting&sealed=" + url.QueryEscape(sealed))
		told := awake(t, n, enrol.PairingTopic(p[0].ID))
		x.admin("DELETE", "/people/"+string(ada.id)+"/sessions/"+x.sessionOf(b), "")
		told("the page")
		if got := <-stream; !strings.Contains(got, `"standing":"ended"`) {
			t.Errorf("the page was told %q", got)
		}
		x.must(n.db.View(t.Context(), func(tx *store.Tx) (err error) { p, err = tx.PairingsOf(t.Context(), string(ada.id)); return err }))
		if len(p) != 0 {
			t.Errorf("left behind: %+v", p)
		}
	})
	if w := n.hub.Waiting(); w != 0 {
		t.Errorf("%d wait on", w)
	}
}

// sessionOf is the id of the browser's session.
func (x *target) sessionOf(b *browser) (id string) {
	x.t.Helper()
	x.must(x.nodes[0].db.View(context.Background(), func(tx *store.Tx) error {
		s, err := tx.SessionByToken(context.Background(), secret.Hash(b.session()))
		id = s.ID
		return err
	}))
	return id
}

// TestG46_AnApprovalThatNobodyTookIsNoSession: the house dies between the phone's answer and the browser's next request. The
// answer is kept, signs nobody in by itself, and is taken once, by the browser that asked and while it is worth anything.
func TestG46_AnApprovalThatNobodyTookIsNoSession(t *testing.T) {
	for name, dsn := range map[string]string{"sqlite": filepath.Join(t.TempDir(), "gatehouse.db"), "postgres": storetest.PostgresDSN(t)} {
		t.Run(name, func(t *testing.T) {
			x := newTarget(t, dsn, 1)
			ada, phone := x.withPhone("ada")
			x.clock.Add(20 * time.Minute)
			b := x.browser()
			r := b.ask(ada, "/apps")
			x.must(phone.Approve(t.Context(), x.one(phone), r.number()))
			sessions := func() (list []session.Session) {
				x.must(x.nodes[0].db.View(t.Context(), func(tx *store.Tx) (err error) { list, err = tx.SessionsOf(t.Context(), string(ada.id)); return err }))
				return list
			}
			before := len(sessions())
			x.must(x.nodes[0].close())
			x.nodes[0] = x.node("again", dsn)
			again := b.on(x.nodes[0])
			if n := len(sessions()); n != before || again.signedIn() {
				t.Fatalf("%d sessions instead of %d, signed in %v", n, before, again.signedIn())
			}
			if thief := x.browser(); true {
				thief.get("/signin")
				if thief.next(r); thief.session() != "" {
					t.Error("another browser took it")
				}
			}
			var all sync.WaitGroup
			tabs := make([]*browser, 20)
			for i := range tabs {
				tabs[i] = again.copied()
				all.Go(func() { tabs[i].next(r) })
			}
			all.Wait()
			if n := len(sessions()); n != before+1 {
				t.Errorf("%d sessions from one approval", n-before)
			}
			// What is too old by the time that the house is back is worth nothing.
			x.clock.Add(20 * time.Minute)
			late := x.browser()
			r = late.ask(ada, "/apps")
			x.must(x.phoneAgain(phone).Approve(t.Context(), x.one(x.phoneAgain(phone)), r.number()))
			x.clock.Add(signin.AttemptFor)
			if late.next(r); late.session() != "" {
				t.Error("an approval of long ago signed somebody in")
			}
			// A clock that jumps back makes no new life of it.
			x.clock.Add(-signin.AttemptFor - time.Hour)
			if c := x.challenges(ada)[0]; c.Live(x.clock.Now()) {
				t.Errorf("a clock that went back opened it again: %+v", c)
			}
		})
	}
}

// phoneAgain speaks to the node of now.
func (x *target) phoneAgain(p *softphone.Phone) *softphone.Phone {
	p.Client = &http.Client{Transport: throughHandler{x.last().handler}}
	return p
}
