// Package recovery proves possession of a set of codes that were written down: look-up secrets (NIST SP 800-63B section
// 3.1.2), for the day when everything else is out of reach.
//
//	Offer ─► ten codes, shown once ─► "I have saved them" ─► Enrol ─► hashes
//	Verify ─► one of the hashes ─► Verdict{Updated: without it}
//
// Each code works once: the flow saves Verdict.Updated by compare-and-swap, so that of fifty equal answers in parallel one
// succeeds (attack G37). A new set takes the place of the old one as a whole.
package recovery

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

const (
	// Codes is how many a set has.
	Codes = 10
	// Chars is how long each is: 70 bits, more than the 64 that make a plain hash safe to keep (ASVS 2.6.2).
	Chars = 14
	// OfferFor is how long a new set may wait to be confirmed.
	OfferFor = 30 * time.Minute
	// Saved is the answer that keeps a set; one of its codes does as well.
	Saved = "saved"
)

// Method is the set of recovery codes. It has no settings.
type Method struct{}

var (
	_ method.Method  = Method{}
	_ method.Stocked = Method{}
)

// Traits says what a recovery code is.
func (Method) Traits() method.Traits {
	return method.Traits{
		Kind: method.Recovery, Factors: method.Possession, Guessable: true, Limit: 1, Strength: 5, Removable: true,
		Replaced: true,
	}
}

// record is Credential.State.
type record struct {
	Hashes [][]byte `json:"h"` // of the unused codes
}

func read(c method.Credential) (record, error) {
	var r record
	if err := json.Unmarshal(c.State, &r); err != nil {
		return r, fmt.Errorf("recovery: stored credential %s does not read", c.ID)
	}
	return r, nil
}

// Left is how many codes are unused.
func (Method) Left(c method.Credential) int {
	r, err := read(c)
	if err != nil || c.Kind != method.Recovery {
		return 0
	}
	return len(r.Hashes)
}
