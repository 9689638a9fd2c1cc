package enrol

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/incident"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// recentRows is how much of the trail the page looks through, recentShown how much it shows at most.
const (
	recentRows  = 200
	recentShown = 30
)

// Overview is the security page, for a session that may see it (15 minutes after a proof).
func (f *Flow) Overview(ctx context.Context, caller signin.Caller) (Overview, error) {
	var o Overview
	err := f.View(ctx, func(s Store) error {
		m, err := f.onPage(ctx, s, caller)
		if err != nil {
			return err
		}
		o = Overview{Person: m.person, Lead: method.Kind(m.person.Lead), Here: m.live.ID, RefreshedAt: oldest(m.live)}
		inForce, err := s.PolicyInForce(ctx)
		if err != nil {
			return err
		}
		all, err := s.CredentialsOf(ctx, string(m.person.ID))
		if err != nil {
			return err
		}
		o.LeadNow = f.leadNow(inForce, o.Lead, all)
		if o.Addable, err = f.addable(ctx, s, m, all); err != nil {
			return err
		}
		o.OneDevice, o.RecoveryLeft = f.oneDevice(all)
		for _, c := range all {
			c.State = nil
			o.Methods = append(o.Methods, c)
		}
		return f.overviewSessions(ctx, s, m, inForce, &o)
	})
	return o, err
}

func (f *Flow) overviewSessions(ctx context.Context, s Store, m member, inForce policy.Policy, o *Overview) error {
	all, err := s.SessionsOf(ctx, string(m.person.ID))
	if err != nil {
		return err
	}
	for _, one := range all {
		if session.Live(one, m.person, signin.Limits(inForce), m.now) == nil {
			one.TokenHash, one.Browser = nil, nil
			o.Sessions = append(o.Sessions, one)
		}
	}
	browsers, err := s.BrowsersOf(ctx, string(m.person.ID))
	if err != nil {
		return err
	}
	for _, b := range browsers {
		if m.now.Before(b.Expires) {
			b.TokenHash, b.PrevHash, b.BrowserID = nil, nil, nil
			o.Browsers = append(o.Browsers, b)
		}
	}
	if o.HereFamily, err = f.familyHere(ctx, s, m); err != nil {
		return err
	}
	rows, err := s.AuditBySubject(ctx, string(m.person.ID), "", recentRows)
	if err != nil {
		return err
	}
	for _, r := range withoutSteps(rows) {
		if len(o.Recent) < recentShown && forMember(r.Act) {
			o.Recent = append(o.Recent, recent(r))
		}
	}
	return nil
}

// familyHere is this browser's own remembered family of the member, "" where there is none.
func (f *Flow) familyHere(ctx context.Context, s Store, m member) (string, error) {
	for _, token := range m.caller.Remembered {
		family, _, ok := session.ParseToken(token)
		if !ok {
			continue
		}
		b, err := s.BrowserByFamily(ctx, family)
		if fault.IsKind(err, fault.NotFound) || err == nil && b.Person != string(m.person.ID) {
			continue
		}
		return family, err
	}
	return "", nil
}

// memberActs are the acts of the trail that are for the member's eyes, by prefix.
var memberActs = []string{"signin.", "signout", "method.", "password.", "browser.", "session.", "invitation.", "incident.", "person.reset",
	"challenge.started", "approval.", "pairing.", "code.sent"}

func forMember(act string) bool {
	return slices.ContainsFunc(memberActs, func(p string) bool { return strings.HasPrefix(act, p) })
}

// withoutSteps leaves out the steps that went well on the way to what is told anyway: the right password of a sign-in that
// finished, the phone that answered in a pairing that came about, the beginning of a pairing that went on. Each is known
// by its attempt, pairing or credential, never by time or place: the right password of somebody who came no further stays.
func withoutSteps(rows []audit.Row) []audit.Row {
	attempts, pairings, credentials := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, r := range rows {
		switch {
		case strings.HasPrefix(r.Act, "pairing.") && r.Act != "pairing.started":
			pairings[r.Object] = true
		case r.Outcome != audit.Done:
		case r.Act == "signin.finished" || r.Act == "signin.stepped_up":
			attempts[r.Detail["attempt"]] = true
		case r.Act == "method.added" || r.Act == "method.moved":
			credentials[r.Object] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(rows), func(r audit.Row) bool {
		switch {
		case r.Outcome != audit.Done:
			return false
		case r.Act == "signin.proof":
			return r.Detail["attempt"] != "" && attempts[r.Detail["attempt"]]
		case r.Act == "pairing.started":
			return pairings[r.Object]
		case r.Act == "pairing.claimed":
			return credentials[r.Detail["credential"]]
		}
		return false
	})
}

func recent(r audit.Row) Recent {
	kind, _, _ := strings.Cut(r.Detail["methods"], " ")
	if kind == "" {
		kind = r.Detail["method"]
	}
	out := Recent{
		ID: fmt.Sprintf("%s:%d", r.Chain, r.Seq), At: r.At, Act: r.Act, Outcome: r.Outcome, Method: method.Kind(kind),
		Address: r.Personal["address"], Agent: r.Personal["agent"], App: r.Detail["application_name"],
	}
	if strings.HasPrefix(r.Act, "signin.") && r.Outcome == audit.Done {
		out.Session = r.Object
	}
	return out
}

// oneDevice reports whether losing one thing would leave the password at most, and how many recovery codes are left.
func (f *Flow) oneDevice(all []method.Credential) (one bool, left int) {
	things := map[string]bool{}
	for _, c := range all {
		if c.Pending || c.Kind == method.Password {
			continue
		}
		if stock, ok := f.Methods[c.Kind].(method.Stocked); ok {
			left += stock.Left(c)
			continue
		}
		if c.Device != "" {
			things[c.Device] = true
		} else {
			things[c.ID] = true
		}
	}
	return len(things) == 1 && left == 0, left
}

func (f *Flow) leadNow(inForce policy.Policy, lead method.Kind, all []method.Credential) method.Kind {
	var kinds []method.Kind
	for _, c := range all {
		if !c.Pending && !slices.Contains(kinds, c.Kind) {
			kinds = append(kinds, c.Kind)
		}
	}
	ordered := inForce.Order(lead, kinds, f.SignIn.Traits())
	if len(ordered) == 0 {
		return ""
	}
	return ordered[0]
}

// addable lists the kinds of this house, with the reason where one cannot be added now.
func (f *Flow) addable(ctx context.Context, s Store, m member, all []method.Credential) ([]Addable, error) {
	d, err := f.SignIn.Judge(ctx, s, m.live, m.person, policy.Application{}, policy.ActMethodAdd, policy.Demand{}, nil)
	if err != nil {
		return nil, err
	}
	refused := ""
	if d.Verdict == policy.Deny && len(d.Reasons) > 0 {
		refused = d.Reasons[0].Code
	}
	var out []Addable
	for kind, t := range f.SignIn.Traits() {
		have := len(counted(all, kind))
		switch {
		case have > 0 && !t.Removable:
			// A password that is there is changed, not added.
		case t.Limit > 0 && !t.Replaced && have >= t.Limit:
			out = append(out, Addable{kind, "method.limit"})
		default:
			out = append(out, Addable{kind, refused})
		}
	}
	slices.SortFunc(out, func(a, b Addable) int {
		if d := f.SignIn.Traits()[b.Kind].Strength - f.SignIn.Traits()[a.Kind].Strength; d != 0 {
			return d
		}
		return strings.Compare(string(a.Kind), string(b.Kind))
	})
	return out, nil
}

func oldest(s session.Session) time.Time {
	at := s.Created
	for i, e := range s.Evidence {
		if i == 0 || e.At.Before(at) {
			at = e.At
		}
	}
	return at
}

// EndSession ends one of the member's sessions; their own here too, which then also leaves the cookie.
func (f *Flow) EndSession(ctx context.Context, caller signin.Caller, id string) (Done, error) {
	var done Done
	err := f.InTx(ctx, func(s Store) error {
		done = Done{}
		m, err := f.onPage(ctx, s, caller)
		if err != nil {
			return err
		}
		one, err := s.SessionByID(ctx, id)
		if fault.IsKind(err, fault.NotFound) || err == nil && one.Person != string(m.person.ID) {
			return fault.New(fault.NotFound, "session.gone", "This sign-in has ended already.")
		}
		if err != nil {
			return err
		}
		if err := endSession(ctx, s, m, id, &done); err != nil {
			return err
		}
		entry := signin.Entry(caller, m.now, m.person, "session.ended", audit.Done)
		entry.Object = id
		if err := s.Record(ctx, entry); err != nil {
			return err
		}
		return signin.Tell(ctx, s, caller, m.now, m.person, "session.ended", nil)
	})
	return done, err
}

func endSession(ctx context.Context, s Store, m member, id string, done *Done) error {
	if id == m.live.ID {
		none := secret.NewString("")
		done.SetSession = &none
	}
	_, err := signin.EndSession(ctx, s, m.person.ID, id)
	return err
}

// ForgetBrowser ends "don't ask again" on a browser, and the sessions that rest on it; this one stays.
func (f *Flow) ForgetBrowser(ctx context.Context, caller signin.Caller, family string) (Done, error) {
	return f.change(ctx, caller, policy.ActBrowserForget, family, "browser.forgotten",
		func(ctx context.Context, s Store, m member, e *audit.Entry, done *Done) (map[string]string, error) {
			b, err := forget(ctx, s, m, family)
			if err != nil {
				return nil, err
			}
			if err := f.endFamily(ctx, s, m, family, false, done); err != nil {
				return nil, err
			}
			for _, token := range caller.Remembered {
				if here, _, ok := session.ParseToken(token); ok && here == family {
					done.SetRemembered = signin.WithoutFamily(caller.Remembered, family)
				}
			}
			return map[string]string{"browser": b.Agent}, nil
		})
}

var errBrowserGone = fault.New(fault.NotFound, "browser.gone", "This browser is not remembered any more.")

// forget forgets one of the member's remembered browsers; errBrowserGone also for anybody else's.
func forget(ctx context.Context, s Store, m member, family string) (session.Browser, error) {
	b, err := s.BrowserByFamily(ctx, family)
	if fault.IsKind(err, fault.NotFound) || err == nil && b.Person != string(m.person.ID) {
		err = errBrowserGone
	}
	if err == nil {
		_, err = s.ForgetBrowser(ctx, family)
	}
	return b, err
}

// endFamily ends the sessions born from a family, the member's own here only where all is set.
func (f *Flow) endFamily(ctx context.Context, s Store, m member, family string, all bool, done *Done) error {
	sessions, err := s.SessionsOf(ctx, string(m.person.ID))
	if err != nil {
		return err
	}
	for _, one := range sessions {
		if one.Family != family || one.ID == m.live.ID && !all {
			continue
		}
		if err := endSession(ctx, s, m, one.ID, done); err != nil {
			return err
		}
	}
	return nil
}

// ReportSignIn is "this wasn't me": it ends the session that a recent line speaks of, the remembered browser it
// rested on with everything born from it, and all grants; it opens an incident in the trail and tells the member.
func (f *Flow) ReportSignIn(ctx context.Context, caller signin.Caller, recentID string) (Done, error) {
	var done Done
	err := f.InTx(ctx, func(s Store) error {
		done = Done{}
		m, err := f.onPage(ctx, s, caller)
		if err != nil {
			return err
		}
		row, err := rowOf(ctx, s, m, recentID)
		if err != nil {
			return err
		}
		if err := f.endReported(ctx, s, m, row, &done); err != nil {
			return err
		}
		if _, err := s.RevokeGrantsOf(ctx, string(m.person.ID), ""); err != nil {
			return err
		}
		// Whoever sat there is no known browser any more: the member's own become known again as they sign in.
		if err := s.ForgetKnownBrowsersOf(ctx, string(m.person.ID)); err != nil {
			return err
		}
		entry := signin.Entry(caller, m.now, m.person, "incident.reported", audit.Done)
		entry.Object, entry.Detail["about"] = recentID, row.Act
		if err := s.Record(ctx, entry); err != nil {
			return err
		}
		err = s.AddIncident(ctx, incident.Incident{ID: secret.NewID(m.now), Kind: incident.Reported, Person: string(m.person.ID), Object: recentID,
			Detail: map[string]string{"about": row.Act}, Personal: map[string]string{"address": row.Personal["address"], "agent": row.Personal["agent"]},
			Opened: m.now, Count: 1})
		if err != nil {
			return err
		}
		return signin.Tell(ctx, s, caller, m.now, m.person, "incident.reported",
			map[string]string{"about": row.At.UTC().Format(time.RFC3339)})
	})
	return done, err
}

func rowOf(ctx context.Context, s Store, m member, id string) (audit.Row, error) {
	rows, err := s.AuditBySubject(ctx, string(m.person.ID), "", recentRows)
	if err != nil {
		return audit.Row{}, err
	}
	for _, r := range rows {
		if recent(r).ID == id && forMember(r.Act) {
			return r, nil
		}
	}
	return audit.Row{}, fault.New(fault.NotFound, "incident.unknown", "This line is not in your list any more.")
}

// endReported ends what a reported sign-in opened: its session, and the family it was born from or remembered.
func (f *Flow) endReported(ctx context.Context, s Store, m member, row audit.Row, done *Done) error {
	family := row.Detail["remembered"]
	if row.Act == "browser.remembered" {
		family = row.Object
	}
	if one, err := s.SessionByID(ctx, row.Object); err == nil && one.Person == string(m.person.ID) {
		if one.Family != "" {
			family = one.Family
		}
		if err := endSession(ctx, s, m, one.ID, done); err != nil {
			return err
		}
	} else if err != nil && !fault.IsKind(err, fault.NotFound) {
		return err
	}
	if family == "" {
		return nil
	}
	if _, err := forget(ctx, s, m, family); err != nil && !errors.Is(err, errBrowserGone) {
		return err
	}
	return f.endFamily(ctx, s, m, family, true, done)
}
