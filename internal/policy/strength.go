package policy

import (
	"math/bits"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// clockSkew is how far ahead another node's clock may be: a proof from further in the future counts for nothing.
const clockSkew = time.Minute

// proofs are the entries of an evidence log that may count, latest first.
type proofs []method.Evidence

// usable takes from a log what may count now: an entry that does not say what, by what, or when proves nothing.
func usable(log []method.Evidence, now time.Time) proofs {
	ps := make(proofs, 0, len(log))
	for _, e := range log {
		if e.Kind == "" || e.Credential == "" || e.Factors == 0 || e.At.IsZero() || e.At.After(now.Add(clockSkew)) {
			continue
		}
		if e.Model == anyModel {
			e.Model = ""
		}
		ps = append(ps, e)
	}
	slices.SortStableFunc(ps, func(a, b method.Evidence) int { return b.At.Compare(a.At) })
	return ps
}

// since gives the proofs given at or after t.
func (ps proofs) since(t time.Time) proofs {
	n := len(ps)
	for n > 0 && ps[n-1].At.Before(t) {
		n--
	}
	return ps[:n]
}

// Meets reports whether evidence meets strength s, and the time of the oldest proof of the freshest set of proofs
// that does: freshness counts from there.
func (p Policy) Meets(s Strength, evidence []method.Evidence, now time.Time) (oldest time.Time, ok bool) {
	return p.freshest(s, usable(evidence, now))
}

// freshest adds proofs from the latest on until s is met: the one that completed it is the oldest one needed.
func (p Policy) freshest(s Strength, ps proofs) (time.Time, bool) {
	for i := range ps {
		if p.meets(s, ps[:i+1]) {
			return ps[i].At, true
		}
	}
	return time.Time{}, false
}

// meets is monotone: a further proof never undoes a strength. An unknown strength is never met.
func (p Policy) meets(s Strength, ps proofs) bool {
	switch s {
	case StrengthAny:
		return slices.ContainsFunc(ps, standsAlone)
	case StrengthMFA:
		return twoFactors(ps, false)
	case StrengthPasswordless:
		return twoFactors(ps, true)
	case StrengthPhishingResistant:
		return slices.ContainsFunc(ps, phishingResistant)
	case StrengthHardware:
		return slices.ContainsFunc(ps, func(e method.Evidence) bool {
			return phishingResistant(e) && e.DeviceBound && e.Attested
		})
	}
	for _, c := range p.Strengths[s] {
		if len(c) > 0 && combines(c, ps, nil) {
			return true
		}
	}
	return false
}

// standsAlone: a password that is the only proof has at least 15 characters (NIST SP 800-63B-4 section 3.1.1.2).
func standsAlone(e method.Evidence) bool { return e.Kind != method.Password || e.Long }

func phishingResistant(e method.Evidence) bool {
	return e.PhishingResistant && e.UserVerified && e.Factors&method.Possession != 0
}

// factors counts inherence only where the device verified its user.
func factors(e method.Evidence) method.Factor {
	if !e.UserVerified {
		return e.Factors &^ method.Inherence
	}
	return e.Factors
}

// twoFactors is met by one user-verified passkey, or by two proofs of different factors from different credentials.
func twoFactors(ps proofs, passwordless bool) bool {
	for i, a := range ps {
		if passwordless && a.Kind == method.Password {
			continue
		}
		if phishingResistant(a) {
			return true
		}
		for _, b := range ps[:i] {
			if passwordless && b.Kind == method.Password || a.Credential == b.Credential {
				continue
			}
			fa, fb := factors(a), factors(b)
			if fa != 0 && fb != 0 && bits.OnesCount8(uint8(fa|fb)) > 1 {
				return true
			}
		}
	}
	return false
}

// combines finds a different credential's proof for each element, trying all assignments.
func combines(c Combination, ps proofs, taken []string) bool {
	if len(c) == 0 {
		return true
	}
	for _, e := range ps {
		if c[0].matches(e) && !slices.Contains(taken, e.Credential) && combines(c[1:], ps, append(taken, e.Credential)) {
			return true
		}
	}
	return false
}

func (m ProofMatch) matches(e method.Evidence) bool {
	return (len(m.Kinds) == 0 || slices.Contains(m.Kinds, e.Kind)) &&
		(len(m.Models) == 0 || e.Model == anyModel || e.Model != "" && slices.Contains(m.Models, e.Model)) &&
		(!m.PhishingResistant || e.PhishingResistant) &&
		(!m.UserVerified || e.UserVerified) &&
		(!m.DeviceBound || e.DeviceBound) &&
		(!m.Attested || e.Attested)
}

// rank orders strengths for display and for which reason comes first; an administrator's own stand between MFA and
// passwordless. It never decides.
func rank(s Strength) int {
	switch s {
	case "":
		return -1
	case StrengthAny:
		return 0
	case StrengthMFA:
		return 1
	case StrengthPasswordless:
		return 3
	case StrengthPhishingResistant:
		return 4
	case StrengthHardware:
		return 5
	}
	return 2
}

// known reports whether s can be met at all under this policy.
func (p Policy) known(s Strength) bool {
	switch s {
	case StrengthAny, StrengthMFA, StrengthPasswordless, StrengthPhishingResistant, StrengthHardware:
		return true
	}
	return len(p.Strengths[s]) > 0
}

// reached lists every strength that ps meet, weakest first.
func (p Policy) reached(ps proofs) []Strength {
	var out []Strength
	for _, s := range []Strength{StrengthAny, StrengthMFA, StrengthPasswordless, StrengthPhishingResistant, StrengthHardware} {
		if p.meets(s, ps) {
			out = append(out, s)
		}
	}
	if len(p.Strengths) > 0 {
		own := make([]Strength, 0, len(p.Strengths))
		for s := range p.Strengths {
			if p.meets(s, ps) && !slices.Contains(out, s) {
				own = append(own, s)
			}
		}
		slices.Sort(own)
		out = append(out, own...)
	}
	return out
}
