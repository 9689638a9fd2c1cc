package campus

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/policy"
)

// app reads policy.app. What is not written is the stricter way.
func (r reader) app(w filePhone) policy.AppSettings {
	r.oneOf("policy.app.unlock", w.Unlock, "", "required", "optional")
	no := func(b *bool) bool { return b != nil && !*b }
	return policy.AppSettings{SixDigits: w.SixDigits, WithoutUnlock: w.Unlock == "optional",
		KeepSessions: no(w.NotMe.EndSessions), KeepPassword: no(w.NotMe.NewPassword)}
}

// firstEnrolment reads policy.first_enrolment: a named risk, so that whoever takes it says from where and what for.
func (r reader) firstEnrolment(w fileFirst) policy.FirstEnrolment {
	const at = "policy.first_enrolment"
	if !w.PasswordOnly {
		if len(w.Networks)+len(w.HoldCategories) > 0 || w.Hold != 0 || w.Dormant != 0 {
			r.file.At(at+".password_only", "write true, or remove what stands beside it: it would do nothing")
		}
		return policy.FirstEnrolment{}
	}
	out := policy.FirstEnrolment{PasswordOnly: true, Hold: w.Hold.Std(), HoldCategories: w.HoldCategories, Dormant: w.Dormant.Std()}
	if len(w.Networks) == 0 {
		r.file.At(at, "write the networks that a first method may be registered from, like networks: [192.0.2.0/24]: from elsewhere a password alone is never enough")
	}
	for i, text := range w.Networks {
		out.Networks = append(out.Networks, r.network(fmt.Sprintf("%s.networks[%d]", at, i), text))
	}
	if len(w.HoldCategories) == 0 {
		r.file.At(at, "write the categories of sensitive applications that such a method does not open at first, like hold_categories: [clinical]")
	}
	for field, d := range map[string]duration{"hold": w.Hold, "dormant": w.Dormant} {
		if d.Std() > policy.MaxHold {
			r.file.At(at+"."+field, "write at most 366d")
		}
	}
	return out
}

func (r reader) network(path, text string) netip.Prefix {
	p, err := netip.ParsePrefix(text)
	if a, e := netip.ParseAddr(text); e == nil && a.Zone() == "" {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	switch {
	case err != nil:
		r.file.At(path, "write a network or an address, like 192.0.2.0/24 or 2001:db8::/32")
	case p.Bits() < 8:
		r.file.At(path, "this is nearly everybody: write the campus' own networks")
	case p != p.Masked():
		r.file.At(path, "write the network as %s", p.Masked())
	}
	return p
}

// heldOf finds categories on hold that no application has: a spelling mistake would quietly hold nothing.
func (r reader) heldOf(w *fileFirst, applications []fileApp) {
	if w == nil {
		return
	}
	for i, name := range w.HoldCategories {
		if strings.TrimSpace(name) == "" || !slices.ContainsFunc(applications, func(a fileApp) bool { return strings.EqualFold(a.Category, name) }) {
			r.file.At(fmt.Sprintf("policy.first_enrolment.hold_categories[%d]", i), "no application in this file has the category %q: write one that is there", name)
		}
	}
}

// phoneFields are policy.app and policy.first_enrolment as their author reads them.
func phoneFields(p policy.Policy) map[string]string {
	unlock := "required"
	if p.App.WithoutUnlock {
		unlock = "optional"
	}
	f := map[string]string{"app.six_digits": text(p.App.SixDigits), "app.unlock": unlock,
		"app.not_me.end_sessions": text(!p.App.KeepSessions), "app.not_me.new_password": text(!p.App.KeepPassword),
		"first_enrolment.password_only": text(p.FirstEnrolment.PasswordOnly)}
	if e := p.FirstEnrolment; e.PasswordOnly {
		networks := make([]string, len(e.Networks))
		for i, n := range e.Networks {
			networks[i] = n.String()
		}
		f["first_enrolment.networks"] = strings.Join(networks, ", ")
		f["first_enrolment.hold"] = span(e.Hold, policy.DefaultHold)
		f["first_enrolment.hold_categories"] = strings.Join(e.HoldCategories, ", ")
		f["first_enrolment.dormant"] = span(e.Dormant, policy.DefaultDormant)
	}
	return f
}
