package enrol

import (
	"context"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// OfferMethodTo answers an offer that first needed something typed (a phone number): typed is judged, a code is sent,
// and the new offer asks for it.
func (f *Flow) OfferMethodTo(ctx context.Context, caller signin.Caller, kind method.Kind, typed, via string) (Offer, error) {
	return Offer{}, errUnbuilt
}

// OfferFirstTo is OfferMethodTo within an invitation.
func (f *Flow) OfferFirstTo(ctx context.Context, caller signin.Caller, ref string, kind method.Kind, typed, via string) (Offer, error) {
	return Offer{}, errUnbuilt
}
