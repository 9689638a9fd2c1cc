package main

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/incident"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// TestG53_AThousandStartsAtOnceOnTwoNodes: a thousand new accounts, each with a number of its own in one range and from an
// address of its own, at two nodes on one PostgreSQL. What is sent is what the cap says, to the message.
func TestG53_AThousandStartsAtOnceOnTwoNodes(t *testing.T) {
	x := newTargetWith(t, storetest.PostgresDSN(t), 2, func(c *houseConfig) {
		wide := throttle.Limit{Burst: 10_000, Refill: time.Second}
		c.Text = &textSettings{Channels: []string{notice.Text}, Country: "GB", Caps: signin.SendingCaps{Countries: []string{"GB"},
			Number: wide, Account: wide, Address: wide, Prefix: throttle.Limit{Burst: 30, Refill: 2 * time.Minute}, Total: throttle.Limit{Burst: 50, Refill: time.Minute}}}
	})
	now := x.clock.Now()
	var all sync.WaitGroup
	var accepted, refused atomic.Int32
	start := func(n *node, i int, number string) {
		caller := signin.Caller{Browser: secret.Token(32), Address: netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), Agent: "Test", Door: "web"}
		person := people.Person{ID: people.ID(secret.NewID(now)), Username: fmt.Sprint("m", i), State: people.Active}
		inTx, _ := store.Bind[signin.Store](n.db)
		var problem *fault.Error
		err := inTx(context.Background(), func(s signin.Store) (err error) {
			problem, err = n.signin.SendCode(context.Background(), s, caller, person, method.Outgoing{Channel: notice.Text, Address: number, Country: "GB", Code: "123456"}, now.Add(5*time.Minute))
			return err
		})
		switch {
		case err != nil:
			t.Error(err)
		case problem == nil:
			accepted.Add(1)
		default:
			refused.Add(1)
		}
	}
	slots := make(chan struct{}, 24)
	for i := range 1000 {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			start(x.nodes[i%2], i, fmt.Sprintf("+4479111%05d", i))
		})
	}
	all.Wait()
	if accepted.Load() != 30 || refused.Load() != 970 {
		t.Errorf("%d of a thousand were accepted, %d refused", accepted.Load(), refused.Load())
	}
	// Other ranges are reached, as far as the house spends at all.
	for i := range 40 {
		start(x.nodes[i%2], 2000+i, fmt.Sprintf("+447%03d222333", 400+i))
	}
	if accepted.Load() != 50 {
		t.Errorf("%d in all", accepted.Load())
	}
	x.must(x.nodes[0].db.View(t.Context(), func(tx *store.Tx) error {
		waiting, err := tx.RecentMessages(t.Context(), 2000)
		if err != nil {
			return err
		}
		texts := 0
		for _, m := range waiting {
			if m.Channel == notice.Text {
				texts++
			}
		}
		open, err := tx.Incidents(t.Context(), "", true, 100)
		caps := 0
		for _, i := range open {
			if i.Kind == incident.Cap {
				caps++
			}
		}
		if texts != 50 || caps < 2 || caps > 10 {
			t.Errorf("%d messages, %d incidents", texts, caps)
		}
		return err
	}))
}
