// Package people is who there is: accounts, their groups and their lifecycle.
//
//	invited ─► active ─► suspended ─► active
//	                └──► left (never comes back; the name is not reused silently)
//
// The room knows no method and no session; it answers "who is this" and "may this account act".
package people

import (
	"context"
	"time"
)

// ID identifies a person for ever; it is never shown as a name and never reused.
type ID string

// State is where in the lifecycle an account is. The zero value allows nothing.
type State uint8

const (
	// Invited may register a first method by invitation and nothing else.
	Invited State = iota + 1
	// Active may sign in.
	Active
	// Suspended may not; sessions and tokens die at once.
	Suspended
	// Left is final.
	Left
)

// String is the state's name in lists and in the administration API.
func (s State) String() string {
	switch s {
	case Invited:
		return "invited"
	case Active:
		return "active"
	case Suspended:
		return "suspended"
	case Left:
		return "left"
	}
	return "unknown"
}

// Role is what a person may do in Gatehouse itself. Everybody is a member.
type Role string

// The roles, weakest first.
const (
	RoleDesk          Role = "desk"
	RoleAppOwner      Role = "application-owner"
	RoleAuditor       Role = "auditor"
	RoleAdministrator Role = "administrator"
)

// Person is an account.
type Person struct {
	ID          ID
	Username    string // as shown; compared by Normalise
	Email       string
	DisplayName string
	GivenName   string
	FamilyName  string
	Locale      string // BCP 47; empty: the browser decides
	Groups      []string
	Roles       []Role
	State       State
	// Lead is the method kind this member chose to be asked for first; empty: the strongest.
	Lead string
	// NewPassword: the password may be known to somebody else ("No, it's not me"); after the next full proof a new one
	// is asked for before anything else.
	NewPassword bool
	// AuditKey is this person's own audit key, sealed; erased with the person (see audit).
	AuditKey []byte
	Created  time.Time
	Updated  time.Time
	// Version is the compare-and-swap counter of the row.
	Version int64
}

// Has reports whether the person holds role.
func (p Person) Has(role Role) bool {
	for _, r := range p.Roles {
		if r == role {
			return true
		}
	}
	return false
}

// Store is what people needs kept.
type Store interface {
	// PersonByID returns fault NotFound where there is none.
	PersonByID(ctx context.Context, id ID) (Person, error)
	// PersonByName finds by normalised username, else by normalised e-mail address; fault NotFound.
	PersonByName(ctx context.Context, normalised string) (Person, error)
	// AddPerson refuses a taken username or address with fault Conflict "people.name_taken".
	AddPerson(ctx context.Context, p Person) error
	// UpdatePerson saves all fields where Version still matches and raises it; fault Conflict otherwise.
	UpdatePerson(ctx context.Context, p Person) error
	// ListPeople pages by username, after the given normalised username; limit 1 to 1000.
	ListPeople(ctx context.Context, after string, limit int) ([]Person, error)
	// CountPeople counts by state.
	CountPeople(ctx context.Context) (map[State]int, error)
}
