// Package fault is the one vocabulary for what can go wrong.
//
// A flow or a room returns a *fault.Error; a door turns its Kind into a status
// and shows Public (looked up in the language catalogue by Code). What is not a
// *fault.Error is Internal: its text goes to the log and never to a stranger.
//
//	room ─► *fault.Error{Kind, Code, Public, cause} ─► door ─► status + catalogue text
//	                                                  └─────► log: cause
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what sort of failure happened. The zero value is Internal.
type Kind uint8

const (
	// Internal is a broken machine: details stay in the log.
	Internal Kind = iota
	// BadInput is something the sender can correct.
	BadInput
	// Unauthenticated means no (live) session, token or client credential.
	Unauthenticated
	// Forbidden means known but not allowed, or a proof is missing.
	Forbidden
	// NotFound also stands for "exists, but not for you".
	NotFound
	// Conflict means somebody was first, or the thing changed meanwhile.
	Conflict
	// Expired means it was right once; start again.
	Expired
	// TooMany means a budget is spent; see RetryAfter.
	TooMany
	// TooLarge means the input exceeds a documented size.
	TooLarge
	// Busy means the house is full for the moment; see RetryAfter.
	Busy
	// Misdirected means a Host this house does not answer for (RFC 9110 section 15.5.20).
	Misdirected
)

// Error is a failure with a public face and a private cause.
type Error struct {
	Kind Kind
	// Code is stable and lower-case with dots, like "password.too_short". It is the catalogue
	// key ("error."+Code) and the name in the log and in audit reasons.
	Code string
	// Public is one English sentence that says what to do; used where no catalogue is at hand.
	Public string
	// Params fill the catalogue text's placeholders. Never secrets.
	Params map[string]any
	// RetryAfter is set for TooMany and Busy.
	RetryAfter time.Duration

	cause error
}

// New makes an Error.
func New(kind Kind, code, public string) *Error {
	return &Error{Kind: kind, Code: code, Public: public}
}

// Because returns a copy of e with a private cause for the log.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// With returns a copy of e with one catalogue parameter more.
func (e *Error) With(key string, value any) *Error {
	c := *e
	c.Params = make(map[string]any, len(e.Params)+1)
	for k, v := range e.Params {
		c.Params[k] = v
	}
	c.Params[key] = value
	return &c
}

// After returns a copy of e with RetryAfter set.
func (e *Error) After(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// Error gives the code, and the cause for the log.
func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %v", e.Code, e.cause)
	}
	return e.Code
}

// Unwrap gives the private cause.
func (e *Error) Unwrap() error { return e.cause }

// Is reports two faults with the same code as equal, so that sentinel values work with errors.Is.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Of returns err as *Error; anything unknown becomes Internal with err as its cause. Of(nil) is nil.
func Of(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return New(Internal, "internal", "Something on our side is not working. Try again in a minute.").Because(err)
}

// IsKind reports whether err is a fault of that kind. A nil error is of no kind.
func IsKind(err error, kind Kind) bool {
	return err != nil && Of(err).Kind == kind
}
