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
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/secret"
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
		Replaced: true, Fallback: true,
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

// Offered is Prompt.Public of a registration: the only time that the codes are seen.
type Offered struct {
	Codes []string `json:"codes"`
}

type offered struct {
	Subject string   `json:"u"`
	Issued  int64    `json:"i"` // Unix microseconds
	Codes   []string `json:"c"`
}

func (o offered) live(s method.Subject, now time.Time) bool {
	issued := time.UnixMicro(o.Issued)
	return len(o.Codes) == Codes && o.Subject == s.ID && s.ID != "" && !now.Before(issued) && now.Before(issued.Add(OfferFor))
}

// Offer makes a set, or shows the one again that was not confirmed: it may be on paper already.
func (Method) Offer(in method.OfferInput) (method.Prompt, error) {
	o := offered{Subject: in.Subject.ID, Issued: in.Now.UnixMicro()}
	for range Codes {
		o.Codes = append(o.Codes, secret.Typed(Chars, 5).Reveal())
	}
	var before offered
	if json.Unmarshal(in.Again, &before) == nil && before.live(in.Subject, in.Now) {
		o = before
	}
	public, err := json.Marshal(Offered{Codes: o.Codes})
	if err != nil {
		return method.Prompt{}, err
	}
	state, err := json.Marshal(o)
	return method.Prompt{Public: public, State: state}, err
}

// Enrol keeps the hashes of a set that its owner says to have, or shows to have by one of its codes.
func (Method) Enrol(in method.EnrolInput) (method.Credential, error) {
	var o offered
	if json.Unmarshal(in.State, &o) != nil || !o.live(in.Subject, in.Now) {
		return method.Credential{}, fault.New(fault.BadInput, "recovery.expired", "This page waited too long. Make a new set of codes.")
	}
	var r record
	confirmed := strings.TrimSpace(in.Answer.Text) == Saved
	typed, _ := secret.Untype(in.Answer.Text, Chars)
	for _, code := range o.Codes {
		clean, _ := secret.Untype(code, Chars)
		r.Hashes = append(r.Hashes, secret.Hash(clean))
		confirmed = confirmed || subtle.ConstantTimeCompare([]byte(clean), []byte(typed)) == 1
	}
	if !confirmed {
		return method.Credential{}, fault.New(fault.BadInput, "recovery.unconfirmed",
			"Save or print the codes, then confirm it. They are not shown again.")
	}
	state, err := json.Marshal(r)
	return method.Credential{Kind: method.Recovery, Name: in.Name, State: state}, err
}

// Begin has nothing to prepare: the codes were made long ago.
func (Method) Begin(method.BeginInput) (method.Prompt, error) { return method.Prompt{}, nil }

// Verify judges a code against every unused one, always all of them. The verdict's credential is without it.
func (Method) Verify(in method.VerifyInput) (method.Verdict, error) {
	clean, ok := secret.Untype(in.Answer.Text, Chars)
	hash := secret.Hash(clean)
	v := method.Verdict{Reason: "recovery.none"}
	for _, c := range in.Credentials {
		if c.Kind != method.Recovery || c.Pending || c.Person == "" || in.Subject.ID != "" && c.Person != in.Subject.ID {
			continue
		}
		r, err := read(c)
		if err != nil {
			return method.Verdict{}, err
		}
		found := -1
		for i, h := range r.Hashes {
			if subtle.ConstantTimeCompare(h, hash) == 1 {
				found = i
			}
		}
		if found < 0 || !ok {
			v = method.Verdict{Used: c.ID, Reason: "recovery.wrong"}
			continue
		}
		return used(c, r, found, in.Now)
	}
	return v, nil
}

// used is the verdict of the right code: it is gone, and the member hears how many are left.
func used(c method.Credential, r record, found int, now time.Time) (method.Verdict, error) {
	r.Hashes = slices.Delete(slices.Clone(r.Hashes), found, found+1)
	state, err := json.Marshal(r)
	if err != nil {
		return method.Verdict{}, err
	}
	c.State = state
	return method.Verdict{
		OK: true, Used: c.ID, Updated: &c, Notice: "recovery.used", Params: map[string]string{"left": strconv.Itoa(len(r.Hashes))},
		Evidence: method.Evidence{Kind: method.Recovery, Credential: c.ID, Factors: method.Possession, At: now},
	}, nil
}
