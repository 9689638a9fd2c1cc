package signin

import (
	"context"
	"strconv"

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
			if err := f.endSession(ctx, s, live.ID); err != nil {
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
	if err := endRequests(ctx, s, person); err != nil {
		return 0, err
	}
	ended, err := s.EndSessionsOf(ctx, string(person), "")
	if err != nil {
		return 0, err
	}
	if _, err := s.RevokeGrantsOf(ctx, string(person), ""); err != nil {
		return 0, err
	}
	_, err = s.ForgetBrowsersOf(ctx, string(person))
	return len(ended), err
}
