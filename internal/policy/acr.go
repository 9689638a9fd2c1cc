package policy

import (
	"slices"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// acrStrength gives the strength behind a name of assurance.
func (p Policy) acrStrength(name string) (Strength, bool) {
	for _, a := range p.ACR {
		if a.Name == name && p.known(a.Strength) {
			return a.Strength, true
		}
	}
	return "", false
}

// withACR adds the first name, in the application's order, that is known here and met or within the person's reach.
// Without one, a voluntary demand is let go and an essential one refuses (ok false).
func (p Policy) withACR(g goal, in Input, ps proofs) (with goal, ok bool) {
	g.essential = in.Demand.Essential
	if !signsIn(in.Act) {
		return g, true
	}
	// Where the rules themselves are out of reach, that is the reason to give.
	if len(in.Demand.ACR) > 0 && !p.reachable(g, in, ps) {
		return g, true
	}
	for _, name := range in.Demand.ACR {
		s, known := p.acrStrength(name)
		if !known {
			continue
		}
		with := g
		with.strengths = append(slices.Clone(g.strengths), want{RuleDemand, "demand.acr", s,
			map[string]any{"acr": name, "strength": string(s)}})
		if p.reachable(with, in, ps) {
			return with, true
		}
	}
	return g, !in.Demand.Essential || len(in.Demand.ACR) == 0
}

// acr is the first name asked for that ps reach, else the strongest reached (Policy.ACR is in that order).
func (p Policy) acr(asked []string, ps proofs) string {
	for _, name := range asked {
		if s, ok := p.acrStrength(name); ok && p.meets(s, ps) {
			return name
		}
	}
	for _, a := range p.ACR {
		if p.meets(a.Strength, ps) {
			return a.Name
		}
	}
	return ""
}

// amr gives the RFC 8176 values of the proofs, in the order first given.
func amr(ps proofs) []string {
	var out []string
	put := func(v string) {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	for _, e := range slices.Backward(ps) {
		switch {
		case e.Kind == method.Password:
			put("pwd")
		case e.PhishingResistant && e.DeviceBound && e.Attested:
			put("hwk")
		case e.PhishingResistant:
			put("pop")
		case e.Kind == method.TOTP:
			put("otp")
		case e.Kind == method.App:
			put("swk") // the phone's key is software
		case e.Kind == method.Phone:
			put("sms")
		}
		if e.PhishingResistant && e.UserVerified {
			put("user")
		}
	}
	if twoFactors(ps, false) {
		put("mfa")
	}
	return out
}
