package main

import (
	"context"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/courier"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

// delivered keeps how far a code came on its way, as the desk reads it to a member who says that nothing arrives. A
// failure to keep it is logged; the code is on its way all the same.
func (h *house) delivered(ctx context.Context, m notice.Message) {
	d := signin.Delivery{Challenge: m.Params["challenge"], Credential: m.Params["credential"], At: h.Now()}
	switch {
	case d.Challenge == "" || m.SentAt.IsZero() && !m.GivenUp:
		return
	case !m.GivenUp:
		d.State = signin.Accepted
	case strings.HasPrefix(m.LastFail, courier.Expired):
		d.State, d.Detail = signin.Failed, courier.Expired
	default:
		d.State, d.Detail = signin.Failed, "refused"
	}
	if err := h.db.InTx(ctx, func(tx *store.Tx) error { return tx.SaveDelivery(ctx, d) }); err != nil && ctx.Err() == nil {
		h.Log.Error("how far a code came could not be kept", "message", m.ID, "error", err)
	}
}
