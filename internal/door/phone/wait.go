package phone

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
)

const (
	// MaxWait is the longest that one call waits.
	MaxWait = 25 * time.Second
	// lookAgain is how often a waiting call looks by itself: a wake may be lost where a node was cut off.
	lookAgain = 5 * time.Second
	// maxPolls is how many calls of one phone may wait at once: a network that drops connections leaves some behind.
	maxPolls = 6
)

var errPolls = fault.New(fault.TooMany, "request.flood", "Too many requests are coming from your network.").After(5 * time.Second)

// wait reads ?wait= (seconds, 0 to 25; absent: 0), the only parameter there is.
func (c *call) wait() (time.Duration, error) {
	if len(c.body) > 0 {
		return 0, errForm
	}
	if c.plainQuery() {
		return 0, nil
	}
	const name = "wait="
	q := c.r.URL.RawQuery
	if len(q) <= len(name) || q[:len(name)] != name || len(q) > len(name)+2 {
		return 0, errForm
	}
	n, err := strconv.ParseUint(q[len(name):], 10, 8)
	if err != nil || time.Duration(n)*time.Second > MaxWait {
		return 0, errForm
	}
	return time.Duration(n) * time.Second, nil
}

// hold looks, and looks again whenever topic is woken and every few seconds, until look is content, the time is over,
// the phone has gone away or the house closes.
func (p *Phone) hold(c *call, topic string, wait time.Duration, look func(context.Context) (content bool, err error)) error {
	ctx := c.r.Context()
	if wait == 0 {
		_, err := look(ctx)
		return err
	}
	if !p.polls.enter(c.phone.Device) {
		return errPolls
	}
	defer p.polls.leave(c.phone.Device)
	waiter := p.Hub.Subscribe(topic) // before the look: what comes between is not missed
	defer waiter.Close()
	end := p.after(wait)
	for {
		if content, err := look(ctx); err != nil || content {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, open := <-waiter.C:
			if !open {
				return nil
			}
		case <-p.after(lookAgain):
		case <-end:
			return nil
		}
	}
}

// polls counts the calls that wait, by phone.
type polls struct {
	mu sync.Mutex
	by map[string]int
}

func (p *polls) enter(device string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by == nil {
		p.by = map[string]int{}
	}
	if p.by[device] >= maxPolls {
		return false
	}
	p.by[device]++
	return true
}

func (p *polls) leave(device string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by[device]--; p.by[device] <= 0 {
		delete(p.by, device)
	}
}
