package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
)

// Tx is one transaction, or one view. It implements the ports of every room and belongs to the function it was given
// to; it is not safe for concurrent use.
type Tx struct {
	db       *DB
	c        conn
	readOnly bool
	// broken is the first failed statement: after it the transaction can only end, on both engines alike.
	broken error
	// entries wait to be chained at the end of the transaction, when the lane is held for the shortest time.
	entries []audit.Entry
	// versions are the cache versions as this transaction sees them; dirty ones were changed by it.
	versions map[string]int64
	dirty    map[string]bool
	// judged are the versions of the credentials that this transaction has read.
	judged map[string]int64
	// after runs once the transaction is durable.
	after []func()
	// topics are woken then.
	topics []string
}

// conn runs statements in the transaction that is open on it.
type conn interface {
	exec(q string, args []any) (int64, error)
	query(q string, args []any) (rows, error)
}

// rows is a result under way; close must be called.
type rows interface {
	next() bool
	scan(dest []any) error
	close() error // also the error that ended next early
}

func (t *Tx) committed() {
	for _, f := range t.after {
		f()
	}
	t.db.woken(t.topics)
}

var errReadOnly = fmt.Errorf("store: a view cannot write")

// exec runs a statement and gives the number of rows it changed.
func (t *Tx) exec(q string, args ...any) (int64, error) {
	if t.readOnly {
		return 0, errReadOnly
	}
	if err := t.prepare(args); err != nil {
		return 0, err
	}
	n, err := t.c.exec(q, args)
	if err != nil {
		return 0, t.fail(q, err)
	}
	return n, nil
}

// one scans the first row, or reports that there is none.
func (t *Tx) one(q string, args []any, dest ...any) (bool, error) {
	if err := t.prepare(args); err != nil {
		return false, err
	}
	r, err := t.c.query(q, args)
	if err != nil {
		return false, t.fail(q, err)
	}
	found := r.next()
	if found {
		err = r.scan(dest)
	}
	if e := r.close(); err == nil {
		err = e
	}
	if err != nil {
		return false, t.fail(q, err)
	}
	return found, nil
}

// each calls row for every row; row scans and must run no statement.
func (t *Tx) each(q string, args []any, row func(scan func(dest ...any) error) error) error {
	if err := t.prepare(args); err != nil {
		return err
	}
	r, err := t.c.query(q, args)
	if err != nil {
		return t.fail(q, err)
	}
	scan := func(dest ...any) error { return r.scan(dest) }
	for err == nil && r.next() {
		err = row(scan)
	}
	if e := r.close(); err == nil {
		err = e
	}
	if err != nil {
		return t.fail(q, err)
	}
	return nil
}

func (t *Tx) fail(q string, err error) error {
	if f := fault.Of(err); f.Code != "internal" {
		return err
	}
	verb, rest, _ := strings.Cut(strings.TrimSpace(q), "\n")
	if rest != "" {
		verb += " …"
	}
	err = fmt.Errorf("store: %s: %w", verb, err)
	if t.broken == nil {
		t.broken = err
	}
	if liteUnique(err) || pgUnique(err) {
		// Whoever updates a unique value in the moment in which another takes it.
		return fault.New(fault.Conflict, "store.taken", "Somebody else took this at the same moment. Look again and repeat.").Because(err)
	}
	return err
}

// prepare turns the arguments, in place, into the few types that both engines bind alike, and refuses text that
// PostgreSQL could not keep.
func (t *Tx) prepare(args []any) error {
	if t.broken != nil {
		return fmt.Errorf("store: the transaction has failed before: %w", t.broken)
	}
	for i, a := range args {
		switch v := a.(type) {
		case string:
			if !clean(v) {
				return fault.New(fault.BadInput, "text.invalid", "This text contains characters that cannot be kept.")
			}
		case time.Time:
			args[i] = micros(v)
		case []byte:
			if len(v) == 0 {
				args[i] = nil
			}
		case int:
			args[i] = int64(v)
		case int64, bool, nil:
		default:
			return fmt.Errorf("store: argument %d has type %T", i+1, a)
		}
	}
	return nil
}

// clean reports whether text is UTF-8 without NUL.
func clean(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// micros is how times are kept: unix microseconds, 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fromMicros is the other way, in UTC.
func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// timeTo scans microseconds into a time.
type timeTo struct{ t *time.Time }

// Scan implements sql.Scanner.
func (d timeTo) Scan(src any) error {
	us, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a time is kept as a number, not %T", src)
	}
	*d.t = fromMicros(us)
	return nil
}

// jsonTo scans JSON text into a value.
type jsonTo struct{ v any }

// Scan implements sql.Scanner.
func (d jsonTo) Scan(src any) error {
	switch s := src.(type) {
	case string:
		return d.decode([]byte(s))
	case []byte:
		return d.decode(s)
	}
	return fmt.Errorf("JSON is kept as text, not %T", src)
}

func (d jsonTo) decode(text []byte) error {
	if len(text) == 0 || string(text) == "null" {
		return nil
	}
	return json.Unmarshal(text, d.v)
}

// textTo scans text that may be absent.
type textTo struct{ s *string }

// Scan implements sql.Scanner.
func (d textTo) Scan(src any) error {
	switch s := src.(type) {
	case nil:
		*d.s = ""
	case string:
		*d.s = s
	case []byte:
		*d.s = string(s)
	default:
		return fmt.Errorf("text expected, not %T", src)
	}
	return nil
}

// toJSON encodes v, which the types of this house always allow.
func toJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// orNull keeps an empty text as NULL, so that it takes no part in a unique index.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func notFound(what string) error {
	return fault.New(fault.NotFound, what+".not_found", "There is no such thing here.")
}

func changed(what string) error {
	return fault.New(fault.Conflict, what+".changed", "Somebody else changed this meanwhile. Look again and repeat.")
}

func taken(what string) error {
	return fault.New(fault.Conflict, what+".taken", "This is taken already.")
}

// atMostOne turns a row count of a guarded update into the port's answer.
func atMostOne(n int64, err error, otherwise error) error {
	if err != nil {
		return err
	}
	if n == 0 {
		return otherwise
	}
	return nil
}

// did turns a row count into "was there one".
func did(n int64, err error) (bool, error) { return n > 0, err }

// finish chains and writes the entries that fn left; the last thing in a transaction.
func (t *Tx) finish(lane *lane) error {
	if t.broken != nil {
		return fmt.Errorf("store: the transaction has failed before: %w", t.broken)
	}
	return t.writeAudit(lane)
}
