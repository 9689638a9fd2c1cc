package signin_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/app"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/signin/signintest"
)

func TestLiveNumbersDifferAndAnOldOneDoesNotFitTheNewRequest(t *testing.T) {
	h := quick(t)
	ada := h.Person("ada", method.App)
	var asked []method.DispatchInput
	h.Methods[method.App] = listener{h.Methods[method.App].(*app.Method), func(in method.DispatchInput) { asked = append(asked, in) }}
	h.Rebuild()
	stranger, own := h.Browser(), h.Browser().KnownTo(ada)
	first := waits(t, passwordGiven(stranger, "ada", signin.Target{})).Number
	s := passwordGiven(own, "ada", signin.Target{})
	second := waits(t, s).Number
	waits(t, own.Send(s.Attempt, method.App, ""))
	waits(t, passwordGiven(own, "ada", signin.Target{})) // another tab takes the place of the first
	third := asked[3].Avoid
	if len(asked[0].Avoid) != 0 || !slices.Equal(asked[1].Avoid, []string{first}) ||
		!slices.Contains(asked[2].Avoid, first) || !slices.Contains(asked[2].Avoid, second) || len(third) != 2 || !slices.Contains(third, first) {
		t.Fatalf("avoided: %v %v %v %v", asked[0].Avoid, asked[1].Avoid, asked[2].Avoid, third)
	}
}

// A stranger's start and a known browser's in the same instant queue up, so that the second avoids the first's number.
func TestNumbersDrawnAtOnceDiffer(t *testing.T) {
	both(t, func(t *testing.T, h *signintest.House) {
		ada := h.Person("ada", method.App)
		var mu sync.Mutex
		var asked [][]string
		h.Methods[method.App] = listener{h.Methods[method.App].(*app.Method), func(in method.DispatchInput) {
			mu.Lock()
			asked = append(asked, in.Avoid)
			mu.Unlock()
			time.Sleep(50 * time.Millisecond) // whoever does not queue up overtakes here
		}}
		h.Rebuild()
		var pages []func()
		for _, b := range []*signintest.Browser{h.Browser(), h.Browser().KnownTo(ada)} {
			ref := passwordGiven(b, "ada", signin.Target{}).Attempt
			pages = append(pages, func() {
				if _, err := h.Flow.Send(ctx, b.Caller, ref, method.App, ""); err != nil {
					t.Error(err)
				}
			})
		}
		var wg sync.WaitGroup
		for _, p := range pages {
			wg.Go(p)
		}
		wg.Wait()
		open := h.Requests(ada)
		if len(open) != 2 {
			t.Fatalf("%d requests", len(open))
		}
		if last := asked[len(asked)-1]; !slices.Contains(last, open[0].Number) && !slices.Contains(last, open[1].Number) {
			t.Fatalf("neither number was drawn beside the other: %v", asked)
		}
	})
}

// listener is the app, and tells what it is asked to send.
type listener struct {
	*app.Method
	heard func(method.DispatchInput)
}

func (l listener) Dispatch(in method.DispatchInput) (method.Dispatch, error) {
	l.heard(in)
	return l.Method.Dispatch(in)
}
