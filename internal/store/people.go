package store

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/people"
)

const personColumns = `id, username, email, display_name, given_name, family_name, locale, group_names, role_names,
	state, lead, new_password, audit_key, created, updated, version`

func personFields(p *people.Person) []any {
	return []any{(*string)(&p.ID), &p.Username, &p.Email, &p.DisplayName, &p.GivenName, &p.FamilyName, &p.Locale,
		jsonTo{&p.Groups}, jsonTo{&p.Roles}, (*uint8)(&p.State), &p.Lead, &p.NewPassword, &p.AuditKey,
		timeTo{&p.Created}, timeTo{&p.Updated}, &p.Version}
}

// PersonByID implements people.Store.
func (t *Tx) PersonByID(ctx context.Context, id people.ID) (people.Person, error) {
	return t.person("id = $1", string(id))
}

// PersonByName implements people.Store.
func (t *Tx) PersonByName(ctx context.Context, normalised string) (people.Person, error) {
	if normalised == "" || !clean(normalised) {
		return people.Person{}, notFound("people")
	}
	p, err := t.person("username_norm = $1", normalised)
	if fault.IsKind(err, fault.NotFound) {
		return t.person("email_norm = $1", normalised)
	}
	return p, err
}

func (t *Tx) person(where, arg string) (p people.Person, err error) {
	found, err := t.one("SELECT "+personColumns+" FROM people WHERE "+where, []any{arg}, personFields(&p)...)
	if err == nil && !found {
		err = notFound("people")
	}
	return p, err
}

var errNameTaken = fault.New(fault.Conflict, "people.name_taken", "Somebody has this username or e-mail address already, or had it before.")

// AddPerson implements people.Store; a person without an AuditKey is given one.
func (t *Tx) AddPerson(ctx context.Context, p people.Person) error {
	username := people.Normalise(p.Username)
	if username == "" {
		return people.CheckUsername(p.Username)
	}
	if err := t.nameFree(username, people.Normalise(p.Email)); err != nil {
		return err
	}
	if len(p.AuditKey) == 0 {
		key := make([]byte, 32)
		rand.Read(key)
		p.AuditKey = t.db.cfg.Keyring.Seal(auditKeyPlace(string(p.ID)), key)
	}
	groups, roles, err := groupsAndRoles(p)
	if err != nil {
		return err
	}
	n, err := t.exec(`INSERT INTO people (id, username, username_norm, email, email_norm, display_name, given_name, family_name,
		locale, group_names, role_names, state, lead, new_password, audit_key, created, updated, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) ON CONFLICT DO NOTHING`,
		string(p.ID), p.Username, username, p.Email, orNull(people.Normalise(p.Email)), p.DisplayName, p.GivenName, p.FamilyName,
		p.Locale, groups, roles, int64(p.State), p.Lead, p.NewPassword, p.AuditKey, p.Created, p.Updated, p.Version)
	return atMostOne(n, err, errNameTaken)
}

func groupsAndRoles(p people.Person) (groups, roles string, err error) {
	if groups, err = toJSON(p.Groups); err != nil {
		return "", "", err
	}
	roles, err = toJSON(p.Roles)
	return groups, roles, err
}

// nameFree refuses names of erased people: whoever had one might still be known by it elsewhere.
func (t *Tx) nameFree(username, email string) error {
	for _, name := range []string{username, email} {
		if name == "" {
			continue
		}
		var one int64
		found, err := t.one("SELECT 1 FROM reserved_names WHERE hash = $1", []any{t.reservedHash(name)}, &one)
		if err != nil {
			return err
		}
		if found {
			return errNameTaken
		}
	}
	return nil
}

func (t *Tx) reservedHash(name string) []byte {
	return t.db.cfg.Keyring.Pseudonym("reserved name", name)
}

// UpdatePerson implements people.Store; AuditKey is left alone (only ErasePerson ends it).
func (t *Tx) UpdatePerson(ctx context.Context, p people.Person) error {
	username, email := people.Normalise(p.Username), people.Normalise(p.Email)
	if username == "" {
		return people.CheckUsername(p.Username)
	}
	groups, roles, err := groupsAndRoles(p)
	if err != nil {
		return err
	}
	// A taken name is looked for first: a unique violation would end the transaction on PostgreSQL. Who slips in
	// between still meets the index.
	var other string
	found, err := t.one("SELECT id FROM people WHERE (username_norm = $1 OR email_norm = $2) AND id <> $3",
		[]any{username, orNull(email), string(p.ID)}, &other)
	if err != nil {
		return err
	}
	if found {
		return errNameTaken
	}
	n, err := t.exec(`UPDATE people SET username = $1, username_norm = $2, email = $3, email_norm = $4, display_name = $5,
		given_name = $6, family_name = $7, locale = $8, group_names = $9, role_names = $10, state = $11, lead = $12,
		new_password = $13, updated = $14, version = version + 1 WHERE id = $15 AND version = $16`,
		p.Username, username, p.Email, orNull(email), p.DisplayName, p.GivenName, p.FamilyName, p.Locale, groups, roles,
		int64(p.State), p.Lead, p.NewPassword, p.Updated, string(p.ID), p.Version)
	return atMostOne(n, err, changed("people"))
}

// ListPeople implements people.Store. Who was erased has no name to be listed by.
func (t *Tx) ListPeople(ctx context.Context, after string, limit int) (list []people.Person, err error) {
	err = t.each("SELECT "+personColumns+" FROM people WHERE username_norm > $1 AND username <> '' ORDER BY username_norm LIMIT $2",
		[]any{after, page(limit)}, func(scan func(...any) error) error {
			var p people.Person
			err := scan(personFields(&p)...)
			list = append(list, p)
			return err
		})
	return list, err
}

// page bounds a limit to 1…1000.
func page(limit int) int64 { return int64(max(1, min(limit, 1000))) }

// CountPeople implements people.Store.
func (t *Tx) CountPeople(ctx context.Context) (map[people.State]int, error) {
	counts := map[people.State]int{}
	err := t.each("SELECT state, COUNT(*) FROM people GROUP BY state", nil, func(scan func(...any) error) error {
		var state uint8
		var n int
		err := scan(&state, &n)
		counts[people.State(state)] = n
		return err
	})
	return counts, err
}

// actErased is the entry that an erasure leaves; VerifyAudit asks for it where a person's key is gone.
const actErased = "person.erased"

// ErasePerson implements manage.Store: it removes everything about a person that names them, in one transaction with its audit entry: the account
// becomes Left without names, its audit key is destroyed (what was sealed under it can never be read again, and the
// chain still verifies), methods, sessions, browsers and messages go. The names stay reserved as keyed hashes.
func (t *Tx) ErasePerson(ctx context.Context, id people.ID, by, door string, at time.Time) error {
	p, err := t.PersonByID(ctx, id)
	if err != nil {
		return err
	}
	for _, name := range []string{people.Normalise(p.Username), people.Normalise(p.Email)} {
		if name == "" {
			continue
		}
		if _, err := t.exec("INSERT INTO reserved_names (hash) VALUES ($1) ON CONFLICT DO NOTHING", t.reservedHash(name)); err != nil {
			return err
		}
	}
	// What stands in the normalised column is unique and nobody's name: CheckUsername refuses colons.
	n, err := t.exec(`UPDATE people SET username = '', username_norm = $1, email = '', email_norm = NULL, display_name = '', given_name = '',
		family_name = '', locale = '', group_names = '[]', role_names = '[]', state = $2, lead = '', new_password = FALSE,
		audit_key = NULL, updated = $3,
		version = version + 1 WHERE id = $4 AND version = $5`, "erased:"+string(id), int64(people.Left), at, string(id), p.Version)
	if err := atMostOne(n, err, changed("people")); err != nil {
		return err
	}
	for _, q := range []string{
		"DELETE FROM credentials WHERE person = $1", "DELETE FROM sessions WHERE person = $1",
		"DELETE FROM remembered_browsers WHERE person = $1", "DELETE FROM known_browsers WHERE person = $1",
		"DELETE FROM invitations WHERE person = $1", "DELETE FROM messages WHERE person = $1", "DELETE FROM attempts WHERE person = $1",
		"DELETE FROM deliveries WHERE challenge IN (SELECT id FROM challenges WHERE person = $1)",
		"DELETE FROM challenges WHERE person = $1", "DELETE FROM blocks WHERE person = $1", "DELETE FROM pairings WHERE person = $1",
		"UPDATE incidents SET sealed = NULL WHERE person = $1",
	} {
		if _, err := t.exec(q, string(id)); err != nil {
			return err
		}
	}
	if _, err := t.RevokeGrantsOf(ctx, string(id), ""); err != nil {
		return err
	}
	t.after = append(t.after, func() { t.db.keys.remove(string(id)) })
	return t.Record(ctx, audit.Entry{At: at, Act: actErased, Outcome: audit.Done, Actor: by, Subject: string(id), Door: door})
}
