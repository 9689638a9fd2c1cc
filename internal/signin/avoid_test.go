package signin_test

import (
	"slices"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/app"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// overheard is the app, with what it was asked to send.
type overheard struct {
	*app.Method
	asked *[]method.DispatchInput
}

func (o overheard) Dispatch(in method.DispatchInput) (method.Dispatch, error) {
	*o.asked = append(*o.asked, in)
	return o.Method.Dispatch(in)
}

func TestLiveNumbersDifferAndAnOldOneDoesNotFitTheNewRequest(t *testing.T) {
	h := quick(t)
	ada := h.Person("ada", method.App)
	var asked []method.DispatchInput
	h.Methods[method.App] = overheard{h.Methods[method.App].(*app.Method), &asked}
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
