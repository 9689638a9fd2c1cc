package signin

import (
	"crypto/subtle"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// take applies the generic cell rate algorithm and the cap to one guess, counted before it is checked.
func take(c throttle.Counter, l throttle.Limit, now time.Time) (throttle.Counter, bool) {
	if l.Cap > 0 && c.Wrong >= l.Cap {
		return c, false
	}
	tat := c.TAT
	if tat.Before(now) {
		tat = now
	}
	tat = tat.Add(l.Refill)
	if tat.Sub(now) > time.Duration(l.Burst)*l.Refill {
		return c, false
	}
	c.TAT = tat
	c.Wrong++
	return c, true
}

// overlap is how long the token before the present one is still taken for a lost answer.
const overlap = 30 * time.Second

// freshToken reports whether token is the family's present one, or the one before within the overlap.
func freshToken(b session.Browser, token string, now time.Time) bool {
	h := secret.Hash(token)
	if subtle.ConstantTimeCompare(h, b.TokenHash) == 1 {
		return true
	}
	return len(b.PrevHash) > 0 && subtle.ConstantTimeCompare(h, b.PrevHash) == 1 && now.Before(b.Rotated.Add(overlap))
}

// rotated gives the browser with its next token.
func rotated(b session.Browser, now time.Time) (session.Browser, secret.String) {
	token := secret.NewString(b.Family + "." + secret.Token(32).Reveal())
	b.PrevHash, b.TokenHash = b.TokenHash, secret.Hash(token.Reveal())
	b.Rotated, b.LastUsed = now, now
	return b, token
}

// startSession makes a session that policy has just allowed.
func startSession(sit *situation, inForce policy.Policy) (session.Session, secret.String) {
	token := secret.Token(32)
	return session.Session{
		ID: secret.NewID(sit.now), TokenHash: secret.Hash(token.Reveal()),
		Person: string(sit.person.ID), Browser: sit.browser,
		Created: sit.now, LastSeen: sit.now, Expires: sessionEnd(inForce, sit.now),
		Address: address(sit.caller), Agent: sit.caller.Agent,
	}, token
}

func sessionEnd(inForce policy.Policy, now time.Time) time.Time {
	if inForce.SessionMax > 0 {
		return now.Add(inForce.SessionMax)
	}
	return now.Add(policy.DefaultSessionMax)
}

func withoutFamily(tokens []secret.String, family string) []secret.String {
	out := []secret.String{}
	for _, t := range tokens {
		if f, _, _ := strings.Cut(t.Reveal(), "."); f != family && len(out) < MaxRemembered {
			out = append(out, t)
		}
	}
	return out
}

func address(c Caller) string {
	if !c.Address.IsValid() {
		return ""
	}
	return c.Address.Unmap().String()
}
