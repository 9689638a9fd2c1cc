package oath_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/method/methodtest"
	"github.com/gatehouse-id/gatehouse/internal/method/oath"
)

// After a typing error the phone's secret stays good; nobody else gets it, and it does not outlive its time.
func TestOfferAgain(t *testing.T) {
	m, err := oath.New(oath.Settings{Issuer: "Example"})
	if err != nil {
		t.Fatal(err)
	}
	offer := func(s method.Subject, now time.Time, again []byte) method.Prompt {
		p, err := m.Offer(method.OfferInput{Subject: s, Now: now, Again: again})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := offer(methodtest.Ada, methodtest.Noon, nil)
	late := methodtest.Noon.Add(oath.OfferFor - time.Second)
	if again := offer(methodtest.Ada, late, first.State); !bytes.Equal(again.Public, first.Public) || !bytes.Equal(again.State, first.State) {
		t.Error("the secret changed after a wrong code")
	}
	for what, other := range map[string]method.Prompt{
		"without again": offer(methodtest.Ada, methodtest.Noon, nil),
		"too late":      offer(methodtest.Ada, methodtest.Noon.Add(oath.OfferFor), first.State),
		"somebody else": offer(method.Subject{ID: "other", Username: methodtest.Ada.Username}, methodtest.Noon, first.State),
		"damaged":       offer(methodtest.Ada, methodtest.Noon, []byte(`{"r":{}}`)),
	} {
		if bytes.Equal(other.Public, first.Public) {
			t.Errorf("%s: the same secret", what)
		}
	}
}
