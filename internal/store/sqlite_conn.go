package store

import (
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// liteConn is one SQLite connection with its prepared statements, on SQLite's own interface. The driver for database/sql
// asks for the name and the declared type of every column at every query, takes a mutex for each, and puts every value into
// an interface: that cost as much as the query. Only one goroutine uses a connection at a time, so it is opened without
// mutexes. Memory that SQLite reads or gives is SQLite's: what is bound lies in a buffer of the statement until it is
// reset, and what is read is copied before the next step.
type liteConn struct {
	tls   *libc.TLS
	db    uintptr // sqlite3*
	stmts map[string]*liteStmt
}

// liteStmt is a prepared statement. It is also the rows of a query under way.
type liteStmt struct {
	c       *liteConn
	p       uintptr // sqlite3_stmt*
	order   []int   // by parameter: which argument it is ("$3" is the third wherever it stands)
	columns int
	buf     uintptr // the bound texts and blobs
	size    int     // of buf, in bytes
	busy    bool
	err     error // that ended next early
}

// liteError is a result code of SQLite with its message.
type liteError struct {
	code int32
	text string
}

// Error implements error.
func (e *liteError) Error() string { return fmt.Sprintf("sqlite: %s (%d)", e.text, e.code) }

// pointer turns an address in SQLite's memory, which no garbage collector moves, into a pointer.
func pointer(address uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&address)) }

// bytesAt is SQLite's memory as it lies there.
func bytesAt(address uintptr, n int) []byte {
	if address == 0 || n <= 0 {
		return nil
	}
	return unsafe.Slice((*byte)(pointer(address)), n)
}

// alloc takes memory from SQLite; give it back with free.
func (c *liteConn) alloc(n int) (uintptr, error) {
	p := sqlite3.Xsqlite3_malloc64(c.tls, sqlite3.Tsqlite3_uint64(max(n, 1)))
	if p == 0 {
		return 0, &liteError{sqlite3.SQLITE_NOMEM, "out of memory"}
	}
	return p, nil
}

func (c *liteConn) free(p uintptr) {
	if p != 0 {
		sqlite3.Xsqlite3_free(c.tls, p)
	}
}

// text copies s, with a zero at its end, and leaves room for a pointer before it: where SQLite writes its answer.
func (c *liteConn) text(s string) (p uintptr, err error) {
	const room = 16
	if p, err = c.alloc(room + len(s) + 1); err != nil {
		return 0, err
	}
	b := bytesAt(p, room+len(s)+1)
	clear(b[:room])
	copy(b[room:], s)
	b[room+len(s)] = 0
	return p, nil
}

const afterRoom = 16

// openLite opens the file and makes the settings, in their order.
func openLite(path string, pragmas ...string) (*liteConn, error) {
	c := &liteConn{tls: libc.NewTLS(), stmts: map[string]*liteStmt{}}
	p, err := c.text(path)
	if err != nil {
		c.tls.Close()
		return nil, err
	}
	rc := sqlite3.Xsqlite3_open_v2(c.tls, p+afterRoom, p,
		sqlite3.SQLITE_OPEN_READWRITE|sqlite3.SQLITE_OPEN_CREATE|sqlite3.SQLITE_OPEN_NOMUTEX, 0)
	c.db = *(*uintptr)(pointer(p))
	c.free(p)
	if rc != sqlite3.SQLITE_OK {
		err := c.fail(rc)
		return nil, errors.Join(err, c.close())
	}
	sqlite3.Xsqlite3_extended_result_codes(c.tls, c.db, 1)
	for _, pragma := range pragmas {
		if _, err := c.exec("PRAGMA "+pragma, nil); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	return c, nil
}

func (c *liteConn) fail(rc int32) error {
	text := sqlite3.Xsqlite3_errstr(c.tls, rc)
	if c.db != 0 {
		text = sqlite3.Xsqlite3_errmsg(c.tls, c.db)
	}
	return &liteError{rc, libc.GoString(text)}
}

func (c *liteConn) stmt(q string) (*liteStmt, error) {
	if s, ok := c.stmts[q]; ok {
		return s, nil
	}
	p, err := c.text(q)
	if err != nil {
		return nil, err
	}
	defer c.free(p)
	if rc := sqlite3.Xsqlite3_prepare_v3(c.tls, c.db, p+afterRoom, int32(len(q)+1), sqlite3.SQLITE_PREPARE_PERSISTENT, p, 0); rc != sqlite3.SQLITE_OK {
		return nil, c.fail(rc)
	}
	s := &liteStmt{c: c, p: *(*uintptr)(pointer(p))}
	if s.p == 0 {
		return nil, errors.New("sqlite: an empty statement")
	}
	s.columns = int(sqlite3.Xsqlite3_column_count(c.tls, s.p))
	for i := range sqlite3.Xsqlite3_bind_parameter_count(c.tls, s.p) {
		name := libc.GoString(sqlite3.Xsqlite3_bind_parameter_name(c.tls, s.p, i+1))
		n, err := strconv.Atoi(strings.TrimPrefix(name, "$"))
		if err != nil || n < 1 {
			sqlite3.Xsqlite3_finalize(c.tls, s.p)
			return nil, fmt.Errorf("sqlite: parameter %q: they are named $1, $2, …", name)
		}
		s.order = append(s.order, n-1)
	}
	c.stmts[q] = s
	return s, nil
}

// exec runs a statement to its end and gives the number of rows that the last change touched.
func (c *liteConn) exec(q string, args []any) (int64, error) {
	s, err := c.start(q, args)
	if err != nil {
		return 0, err
	}
	for s.next() {
	}
	if err := s.close(); err != nil {
		return 0, err
	}
	return sqlite3.Xsqlite3_changes64(c.tls, c.db), nil
}

func (c *liteConn) query(q string, args []any) (rows, error) {
	s, err := c.start(q, args)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// start binds the arguments; next runs the statement.
func (c *liteConn) start(q string, args []any) (*liteStmt, error) {
	s, err := c.stmt(q)
	if err != nil {
		return nil, err
	}
	if s.busy {
		return nil, errors.New("the same query is still under way")
	}
	if err := s.bind(args); err != nil {
		return nil, err
	}
	s.busy, s.err = true, nil
	return s, nil
}

// bind knows the types that Tx.prepare leaves.
func (s *liteStmt) bind(args []any) error {
	need := 0
	for _, a := range args {
		switch v := a.(type) {
		case string:
			need += len(v)
		case []byte:
			need += len(v)
		}
	}
	if err := s.reserve(need); err != nil {
		return err
	}
	tls, free := s.c.tls, bytesAt(s.buf, s.size)
	for i, n := range s.order {
		if n >= len(args) {
			return fmt.Errorf("sqlite: $%d has no argument", n+1)
		}
		at, rc := int32(i+1), int32(0)
		switch v := args[n].(type) {
		case nil:
			rc = sqlite3.Xsqlite3_bind_null(tls, s.p, at)
		case int64:
			rc = sqlite3.Xsqlite3_bind_int64(tls, s.p, at, v)
		case bool:
			var one int64
			if v {
				one = 1
			}
			rc = sqlite3.Xsqlite3_bind_int64(tls, s.p, at, one)
		case string:
			p := s.buf + uintptr(s.size-len(free))
			copy(free, v)
			free = free[len(v):]
			rc = sqlite3.Xsqlite3_bind_text(tls, s.p, at, p, int32(len(v)), 0)
		case []byte:
			p := s.buf + uintptr(s.size-len(free))
			copy(free, v)
			free = free[len(v):]
			rc = sqlite3.Xsqlite3_bind_blob(tls, s.p, at, p, int32(len(v)), 0)
		default:
			return fmt.Errorf("sqlite: argument %d has type %T", n+1, v)
		}
		if rc != sqlite3.SQLITE_OK {
			return s.c.fail(rc)
		}
	}
	return nil
}

// reserve makes room for n bytes of arguments, and is never empty: SQLite takes a null pointer for NULL.
func (s *liteStmt) reserve(n int) error {
	if n < s.size {
		return nil
	}
	size := max(64, 2*n)
	buf, err := s.c.alloc(size)
	if err != nil {
		return err
	}
	s.c.free(s.buf)
	s.buf, s.size = buf, size
	return nil
}

func (s *liteStmt) next() bool {
	if s.err != nil {
		return false
	}
	switch rc := sqlite3.Xsqlite3_step(s.c.tls, s.p); rc {
	case sqlite3.SQLITE_ROW:
		return true
	case sqlite3.SQLITE_DONE:
		return false
	default:
		s.err = s.c.fail(rc)
		return false
	}
}

// close makes the statement ready for its next use.
func (s *liteStmt) close() error {
	sqlite3.Xsqlite3_reset(s.c.tls, s.p) // repeats the error of the last step
	s.busy = false
	return s.err
}

func (s *liteStmt) scan(dest []any) error {
	if len(dest) != s.columns {
		return fmt.Errorf("%d columns scanned into %d places", s.columns, len(dest))
	}
	for i, d := range dest {
		if err := s.column(int32(i), d); err != nil {
			return fmt.Errorf("column %d: %w", i+1, err)
		}
	}
	return nil
}

// column reads one value into one of the destinations that this package uses.
func (s *liteStmt) column(i int32, dest any) error {
	kind := sqlite3.Xsqlite3_column_type(s.c.tls, s.p, i)
	switch d := dest.(type) {
	case *string:
		if kind == sqlite3.SQLITE_TEXT {
			*d = string(s.bytes(i, kind))
			return nil
		}
	case *[]byte:
		if kind == sqlite3.SQLITE_NULL || kind == sqlite3.SQLITE_BLOB {
			*d = append([]byte(nil), s.bytes(i, kind)...)
			return nil
		}
	case jsonTo:
		if kind == sqlite3.SQLITE_TEXT {
			return d.decode(s.bytes(i, kind)) // encoding/json copies what it keeps
		}
	case sql.Scanner:
		return d.Scan(s.value(i, kind))
	default:
		if kind == sqlite3.SQLITE_INTEGER && scanInteger(sqlite3.Xsqlite3_column_int64(s.c.tls, s.p, i), dest) {
			return nil
		}
	}
	return fmt.Errorf("SQLite's type %d does not go into %T", kind, dest)
}

func scanInteger(n int64, dest any) bool {
	switch d := dest.(type) {
	case *int64:
		*d = n
	case *int:
		*d = int(n)
	case *bool:
		*d = n != 0
	case *uint8:
		*d = uint8(n)
		return n >= 0 && n < 256
	default:
		return false
	}
	return true
}

// bytes are a text's or a blob's, valid until the next step.
func (s *liteStmt) bytes(i, kind int32) []byte {
	switch kind {
	case sqlite3.SQLITE_TEXT:
		p := sqlite3.Xsqlite3_column_text(s.c.tls, s.p, i)
		return bytesAt(p, int(sqlite3.Xsqlite3_column_bytes(s.c.tls, s.p, i)))
	case sqlite3.SQLITE_BLOB:
		p := sqlite3.Xsqlite3_column_blob(s.c.tls, s.p, i)
		return bytesAt(p, int(sqlite3.Xsqlite3_column_bytes(s.c.tls, s.p, i)))
	}
	return nil
}

func (s *liteStmt) value(i, kind int32) any {
	switch kind {
	case sqlite3.SQLITE_INTEGER:
		return sqlite3.Xsqlite3_column_int64(s.c.tls, s.p, i)
	case sqlite3.SQLITE_FLOAT:
		return sqlite3.Xsqlite3_column_double(s.c.tls, s.p, i)
	case sqlite3.SQLITE_TEXT:
		return string(s.bytes(i, kind))
	case sqlite3.SQLITE_BLOB:
		return append([]byte{}, s.bytes(i, kind)...)
	}
	return nil
}

func (c *liteConn) close() error {
	for _, s := range c.stmts {
		sqlite3.Xsqlite3_finalize(c.tls, s.p)
		c.free(s.buf)
	}
	c.stmts = nil
	rc := sqlite3.Xsqlite3_close_v2(c.tls, c.db)
	c.tls.Close()
	if rc != sqlite3.SQLITE_OK {
		return &liteError{rc, "close"}
	}
	return nil
}
