package manage

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
)

// Details are what an administrator may write about a person.
type Details struct {
	Username, Email, DisplayName, GivenName, FamilyName, Locale string

	Groups []string
	Roles  []people.Role
}

var (
	errState = fault.New(fault.Conflict, "manage.state", "That account's state does not allow it.")
	errText  = fault.New(fault.BadInput, "manage.text", "A name or group is empty, too long, or holds characters that cannot be shown.")
	errRole  = fault.New(fault.BadInput, "manage.role", "Roles are desk, application-owner, auditor and administrator.")
	errTag   = fault.New(fault.BadInput, "manage.locale", "A language is written like en, nl or zh-Hant.")
)

// Check says what is wrong with d, as a fault BadInput.
func (d Details) Check() error {
	if err := people.CheckUsername(d.Username); err != nil {
		return err
	}
	if d.Email != "" {
		if err := people.CheckEmail(d.Email); err != nil {
			return err
		}
	}
	for _, text := range []string{d.DisplayName, d.GivenName, d.FamilyName} {
		if !plain(text, 120) {
			return errText.With("text", printable(text))
		}
	}
	if len(d.Groups) > 200 {
		return errText.With("text", "groups")
	}
	for _, g := range d.Groups {
		if g == "" || !plain(g, 120) {
			return errText.With("text", printable(g))
		}
	}
	for _, r := range d.Roles {
		switch r {
		case people.RoleDesk, people.RoleAppOwner, people.RoleAuditor, people.RoleAdministrator:
		default:
			return errRole.With("role", printable(string(r)))
		}
	}
	if d.Locale != "" && strings.Trim(d.Locale, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" || len(d.Locale) > 35 {
		return errTag
	}
	return nil
}

// plain accepts text that every terminal, spreadsheet and page shows as it is (attack G134): nothing unprintable,
// and no first character that a spreadsheet takes for a formula.
func plain(s string, most int) bool {
	return len(s) <= most && s == printable(s) && (s == "" || !strings.ContainsRune("=+-@", rune(s[0])))
}

func printable(s string) string {
	clean := strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	if len(clean) > 200 {
		clean = strings.ToValidUTF8(clean[:200], "")
	}
	return clean
}

func (d Details) into(p people.Person) people.Person {
	p.Username, p.Email, p.DisplayName = d.Username, d.Email, d.DisplayName
	p.GivenName, p.FamilyName, p.Locale = d.GivenName, d.FamilyName, d.Locale
	if p.DisplayName == "" {
		p.DisplayName = strings.TrimSpace(d.GivenName + " " + d.FamilyName)
	}
	if p.DisplayName == "" {
		p.DisplayName = d.Username
	}
	p.Groups = slices.Compact(slices.Sorted(slices.Values(d.Groups)))
	p.Roles = slices.Compact(slices.Sorted(slices.Values(d.Roles)))
	return p
}

// AddPerson makes an account that is Invited: it can do nothing until an invitation has given it a first method.
func (f *Flow) AddPerson(ctx context.Context, by By, d Details) (people.Person, error) {
	if err := d.Check(); err != nil && by.Has(PeopleWrite) {
		return people.Person{}, err
	}
	now := f.Now()
	p := d.into(people.Person{ID: people.ID(secret.NewID(now)), State: people.Invited, Created: now, Updated: now, Version: 1})
	err := f.do(ctx, by, PeopleWrite, "person.added", p.ID, "", func(s Store, e *audit.Entry) error {
		e.Personal = with(e.Personal, "username", p.Username)
		return s.AddPerson(ctx, p)
	})
	return p, err
}

// ChangePerson replaces what an administrator may write. version is the one that was read; 0: whatever is there. Where
// nothing differs, nothing is written.
func (f *Flow) ChangePerson(ctx context.Context, by By, id people.ID, version int64, d Details) (p people.Person, changed bool, err error) {
	if err := d.Check(); err != nil && by.Has(PeopleWrite) {
		return p, false, err
	}
	err = f.do(ctx, by, PeopleWrite, "person.changed", id, "", func(s Store, e *audit.Entry) error {
		was, err := s.PersonByID(ctx, id)
		if err != nil {
			return err
		}
		if version != 0 && was.Version != version {
			return errStale
		}
		p = d.into(was)
		fields := differ(was, p)
		if changed = len(fields) > 0; !changed {
			e.Act = ""
			return nil
		}
		e.Detail = map[string]string{"fields": strings.Join(fields, " ")}
		p.Updated = f.Now()
		if err := s.UpdatePerson(ctx, p); err != nil {
			return err
		}
		return f.tellRenamed(ctx, s, was, p)
	})
	return p, changed, err
}

// tellRenamed tells a member whose username or address was changed, at the address before and at the new one: nobody
// is moved out of an account unseen. The mail does not hold the new address, for whoever reads the old one now.
func (f *Flow) tellRenamed(ctx context.Context, s Store, was, p people.Person) error {
	if was.State == people.Invited || was.Username == p.Username && was.Email == p.Email {
		return nil
	}
	params := map[string]string{"username": p.Username}
	if err := signin.Tell(ctx, s, signin.Caller{}, f.Now(), p, "account.renamed", params); err != nil || was.Email == p.Email {
		return err
	}
	return signin.Tell(ctx, s, signin.Caller{}, f.Now(), was, "account.renamed", params)
}

var errStale = fault.New(fault.Conflict, "manage.stale", "Somebody changed it meanwhile. Read it again and then decide.")

func differ(a, b people.Person) (fields []string) {
	for _, f := range []struct{ name, a, b string }{
		{"username", a.Username, b.Username}, {"email", a.Email, b.Email}, {"display_name", a.DisplayName, b.DisplayName},
		{"given_name", a.GivenName, b.GivenName}, {"family_name", a.FamilyName, b.FamilyName}, {"locale", a.Locale, b.Locale},
	} {
		if f.a != f.b {
			fields = append(fields, f.name)
		}
	}
	if !slices.Equal(slices.Sorted(slices.Values(a.Groups)), b.Groups) {
		fields = append(fields, "groups")
	}
	if !slices.Equal(slices.Sorted(slices.Values(a.Roles)), b.Roles) {
		fields = append(fields, "roles")
	}
	return fields
}

// SuspendPerson ends all sessions and grants at once and lets nobody in until RestorePerson.
func (f *Flow) SuspendPerson(ctx context.Context, by By, id people.ID, why string) error {
	return f.do(ctx, by, PeopleWrite, "person.suspended", id, "", func(s Store, e *audit.Entry) error {
		p, err := s.PersonByID(ctx, id)
		if err != nil {
			return err
		}
		if p.State == people.Left {
			return errState
		}
		if p.State == people.Suspended {
			e.Act = ""
			return nil
		}
		e.Reason = printable(why)
		p.State, p.Updated = people.Suspended, f.Now()
		if err := s.UpdatePerson(ctx, p); err != nil {
			return err
		}
		_, err = endAll(ctx, s, p.ID, e)
		return err
	})
}

// RestorePerson undoes SuspendPerson: Active where there is a method to sign in with, Invited otherwise.
func (f *Flow) RestorePerson(ctx context.Context, by By, id people.ID, why string) error {
	return f.do(ctx, by, PeopleWrite, "person.restored", id, "", func(s Store, e *audit.Entry) error {
		p, err := s.PersonByID(ctx, id)
		if err != nil {
			return err
		}
		if p.State != people.Suspended {
			return errState
		}
		owned, err := s.CredentialsOf(ctx, string(id))
		if err != nil {
			return err
		}
		e.Reason = printable(why)
		p.State, p.Updated = people.Invited, f.Now()
		for _, c := range owned {
			if !c.Pending {
				p.State = people.Active
			}
		}
		return s.UpdatePerson(ctx, p)
	})
}

// ErasePerson removes a person for good: names, methods, and the key under which the trail keeps their personal data. It
// cannot be undone, so whoever can sign in is to be suspended first. The trail still verifies, and their names are given
// to nobody else.
func (f *Flow) ErasePerson(ctx context.Context, by By, id people.ID) error {
	return f.do(ctx, by, PeopleWrite, "person.erased", id, "", func(s Store, e *audit.Entry) error {
		p, err := s.PersonByID(ctx, id)
		if err != nil {
			return err
		}
		if p.State == people.Active {
			return errState
		}
		e.Act = "" // the store writes the entry: verification rests on it
		s.Wake(signin.RequestsTopic(string(id)))
		return s.ErasePerson(ctx, id, by.Actor, by.Door, f.Now())
	})
}

// Invite issues an invitation to register a first method; the secret is returned once. An account that has methods
// already is refused: that is a reset.
func (f *Flow) Invite(ctx context.Context, by By, id people.ID, purpose string, open time.Duration) (secret.String, time.Time, error) {
	expires := f.Now().Add(open)
	var typed secret.String
	err := f.do(ctx, by, PeopleWrite, "invitation.issued", id, "", func(s Store, e *audit.Entry) error {
		p, err := s.PersonByID(ctx, id)
		if err != nil {
			return err
		}
		if p.State != people.Invited {
			return errState
		}
		e.Detail = map[string]string{"purpose": purpose}
		typed, err = enrol.Invite(ctx, s, f.Now(), p.ID, purpose, open, by.Actor)
		return err
	})
	return typed, expires, err
}

var errNoAddress = fault.New(fault.BadInput, "manage.no_address", "This person has no mail address. Give them one first, or hand the invitation over.")

// InviteByMail is Invite, with the secret sent to the person's address and to nobody else.
func (f *Flow) InviteByMail(ctx context.Context, by By, id people.ID) (expires time.Time, err error) {
	expires = f.Now().Add(InviteFor)
	err = f.do(ctx, by, PeopleWrite, "invitation.issued", id, "", func(s Store, e *audit.Entry) error {
		p, err := s.PersonByID(ctx, id)
		if err != nil {
			return err
		}
		if p.State != people.Invited {
			return errState
		}
		e.Detail = map[string]string{"purpose": "invitation", "by": "mail"}
		mailed, err := enrol.InviteByMail(ctx, s, f.Now(), p, "invitation", InviteFor, by.Actor, f.Welcome)
		if err == nil && !mailed {
			err = errNoAddress
		}
		return err
	})
	return expires, err
}

// Reset is for somebody who lost everything: all methods, sessions, grants and remembered browsers go, the member is
// told, and a secret (returned once) lets them register anew. It signs nobody in.
func (f *Flow) Reset(ctx context.Context, by By, id people.ID, why string) (secret.String, time.Time, error) {
	expires := f.Now().Add(InviteFor)
	var typed secret.String
	err := f.do(ctx, by, PeopleWrite, "person.reset", id, "", func(s Store, e *audit.Entry) error {
		p, err := s.PersonByID(ctx, id)
		if err != nil {
			return err
		}
		if p.State == people.Suspended || p.State == people.Left {
			return errState
		}
		owned, err := s.CredentialsOf(ctx, string(id))
		if err != nil {
			return err
		}
		for _, c := range owned {
			if _, err := s.RemoveCredential(ctx, string(id), c.ID); err != nil {
				return err
			}
			if err := forgetGuesses(ctx, s, id, c.Kind); err != nil {
				return err
			}
		}
		p.State, p.Lead, p.NewPassword, p.Updated = people.Invited, "", false, f.Now()
		if err := s.UpdatePerson(ctx, p); err != nil {
			return err
		}
		e.Reason = printable(why)
		e.Detail = map[string]string{"methods": strconv.Itoa(len(owned))}
		if _, err := endAll(ctx, s, p.ID, e); err != nil {
			return err
		}
		if err := signin.Tell(ctx, s, signin.Caller{}, f.Now(), p, "account.reset", nil); err != nil {
			return err
		}
		typed, err = enrol.Invite(ctx, s, f.Now(), p.ID, "reset", InviteFor, by.Actor)
		return err
	})
	return typed, expires, err
}

// forgetGuesses gives the method that comes in the place of a removed one budgets of its own: guesses at the old one say
// nothing about it.
func forgetGuesses(ctx context.Context, s Store, id people.ID, kind method.Kind) error {
	for _, a := range []throttle.Audience{throttle.Stranger, throttle.Known} {
		if err := s.ClearCounter(ctx, throttle.Key(string(kind), string(id), a)); err != nil {
			return err
		}
	}
	return nil
}

// endAll ends what a person has open, and no browser is a known one of theirs any more.
func endAll(ctx context.Context, s Store, id people.ID, e *audit.Entry) (sessions int, err error) {
	if sessions, err = signin.EndEverything(ctx, s, id); err != nil {
		return 0, err
	}
	s.Wake(signin.RequestsTopic(string(id))) // their phones look, and find nothing to answer any more
	e.Detail = with(e.Detail, "sessions", strconv.Itoa(sessions))
	return sessions, s.ForgetKnownBrowsersOf(ctx, string(id))
}

// EndSessions ends one session of a person, or all ("") with their grants; n is how many.
func (f *Flow) EndSessions(ctx context.Context, by By, id people.ID, one string) (n int, err error) {
	err = f.do(ctx, by, PeopleWrite, "sessions.ended", id, one, func(s Store, e *audit.Entry) error {
		if _, err := s.PersonByID(ctx, id); err != nil {
			return err
		}
		if one == "" {
			n, err = endAll(ctx, s, id, e)
			return err
		}
		found, err := s.SessionByID(ctx, one)
		if err != nil {
			return err
		}
		if found.Person != string(id) {
			return errSession
		}
		n = 1
		_, err = signin.EndSession(ctx, s, id, one)
		return err
	})
	return n, err
}

var errSession = fault.New(fault.NotFound, "manage.session", "This person has no such session.")

// EndSessionsOfGroup ends all sessions of everybody in a group, one transaction a person: a bad night's lever must
// not fail as a whole. n is how many sessions of how many people.
func (f *Flow) EndSessionsOfGroup(ctx context.Context, by By, group string) (sessions, members int, err error) {
	err = f.EachPerson(ctx, by, func(p people.Person) error {
		if !slices.Contains(p.Groups, group) {
			return nil
		}
		n, err := f.EndSessions(ctx, by, p.ID, "")
		sessions, members = sessions+n, members+1
		return err
	})
	return sessions, members, err
}

// EachPerson walks all people by username.
func (f *Flow) EachPerson(ctx context.Context, by By, each func(people.Person) error) error {
	for after := ""; ; {
		page, err := f.People(ctx, by, after, 500)
		if err != nil {
			return err
		}
		for _, p := range page {
			if err := each(p); err != nil {
				return err
			}
			after = people.Normalise(p.Username)
		}
		if len(page) < 500 {
			return nil
		}
	}
}

// People lists by username, after a normalised one; limit 1 to 1000. Audit keys are left out.
func (f *Flow) People(ctx context.Context, by By, after string, limit int) (page []people.Person, err error) {
	err = f.see(ctx, by, PeopleRead, func(s Store) (err error) {
		page, err = s.ListPeople(ctx, after, limit)
		for i := range page {
			page[i].AuditKey = nil
		}
		return err
	})
	return page, err
}

// Person finds by id, else by username or address.
func (f *Flow) Person(ctx context.Context, by By, idOrName string) (p people.Person, err error) {
	err = f.see(ctx, by, PeopleRead, func(s Store) (err error) {
		p, err = s.PersonByID(ctx, people.ID(idOrName))
		if fault.IsKind(err, fault.NotFound) {
			p, err = s.PersonByName(ctx, people.Normalise(idOrName))
		}
		p.AuditKey = nil
		return err
	})
	return p, err
}

// Sessions lists what a person has open, without tokens or browser hashes.
func (f *Flow) Sessions(ctx context.Context, by By, id people.ID) (open []session.Session, err error) {
	err = f.see(ctx, by, PeopleRead, func(s Store) (err error) {
		if _, err := s.PersonByID(ctx, id); err != nil {
			return err
		}
		open, err = s.SessionsOf(ctx, string(id))
		for i := range open {
			open[i].TokenHash, open[i].Browser = nil, nil
		}
		return err
	})
	return open, err
}

func with(m map[string]string, key, value string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}

// Differs reports whether writing d would change p.
func (d Details) Differs(p people.Person) bool { return len(differ(p, d.into(p))) > 0 }
