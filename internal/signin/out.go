package signin

import (
	"context"
	"strconv"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/people"
)

// SignOut ends the caller's session with the grants that hang on it. everywhere: all sessions, grants and remembered
// browsers of the person; that needs a live session. Signing out without one is no error.
func (f *Flow) SignOut(ctx context.Context, caller Caller, everywhere bool) error {
	return f.InTx(ctx, func(s Store) error {
		live, person, err := f.Session(ctx, s, caller)
		if fault.IsKind(err, fault.Unauthenticated) {
			return nil
		}
		if err != nil {
			return err
		}
		now := f.Now()
		if !everywhere {
			if _, err := EndSession(ctx, s, person.ID, live.ID); err != nil {
				return err
			}
			entry := Entry(caller, now, person, "signout", audit.Done)
			entry.Object = live.ID
			return s.Record(ctx, entry)
		}
		ended, err := EndEverything(ctx, s, person.ID)
		if err != nil {
			return err
		}
		entry := Entry(caller, now, person, "signout.everywhere", audit.Done)
		entry.Object, entry.Detail["sessions"] = live.ID, strconv.Itoa(ended)
		if err := s.Record(ctx, entry); err != nil {
			return err
		}
		return Tell(ctx, s, caller, now, person, "signout.everywhere", map[string]string{"sessions": strconv.Itoa(ended)})
	})
}

// EndEverything ends all of a person's sessions, with sign-ins that are half done and their requests, grants and remembered
// browsers, in the caller's transaction. It returns how many sessions ended.
func EndEverything(ctx context.Context, s Store, person people.ID) (int, error) {
	ended, err := EndSessions(ctx, s, person, "")
	if err != nil {
		return 0, err
	}
	if _, err := s.RevokeGrantsOf(ctx, string(person), ""); err != nil {
		return 0, err
	}
	_, err = s.ForgetBrowsersOf(ctx, string(person))
	return len(ended), err
}

// EndSessions ends a person's sessions but one ("" for none), with sign-ins that are half done and what those have open on
// the person's phones, in the caller's transaction. It gives the sessions' IDs.
func EndSessions(ctx context.Context, s Store, person people.ID, except string) ([]string, error) {
	if err := EndRequests(ctx, s, person); err != nil {
		return nil, err
	}
	return s.EndSessionsOf(ctx, string(person), except)
}

// EndRequests ends what a person has open on their phones. What was answered in this very moment is left: its attempt
// is gone, and nobody takes the answer.
func EndRequests(ctx context.Context, s Store, person people.ID) error {
	open, err := s.OpenChallenges(ctx, string(person), time.Time{})
	if err != nil {
		return err
	}
	for _, c := range open {
		if err := EndChallenge(ctx, s, c); err != nil && !fault.IsKind(err, fault.Conflict) {
			return err
		}
	}
	return nil
}

// EndSession ends one session of a person with its grants, and what was asked of their phones in it, in the caller's
// transaction: nobody approves what nobody waits for, and the page that waits learns of it at once (attack G8). It
// reports whether there was one.
func EndSession(ctx context.Context, s Store, person people.ID, id string) (bool, error) {
	open, err := s.OpenChallenges(ctx, string(person), time.Time{})
	if err != nil {
		return false, err
	}
	for _, c := range open {
		a, err := s.AttemptByID(ctx, c.Attempt)
		if err == nil && a.Session == id {
			err = EndChallenge(ctx, s, c)
		}
		if err != nil && !fault.IsKind(err, fault.NotFound) && !fault.IsKind(err, fault.Conflict) {
			return false, err
		}
	}
	ended, err := s.EndSession(ctx, id)
	if err == nil {
		_, err = s.RevokeGrantsOfSession(ctx, id)
	}
	return ended, err
}
