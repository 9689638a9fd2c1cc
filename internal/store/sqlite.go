package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// liteEngine is SQLite: one writer (sqlite_writer.go) and a few readers, each with a connection of its own.
type liteEngine struct {
	path   string
	writer *writer
	// readers holds a slot for every reader allowed; a nil slot opens its connection at first use.
	readers chan *liteConn
	// gone is closed with the engine, for views that came in just before.
	gone   chan struct{}
	close1 sync.Once
	closed error
}

// pragmas of every connection. synchronous=FULL makes COMMIT wait for the disk; mmap spares readers a copy.
const litePragmas = "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)" +
	"&_pragma=mmap_size(268435456)&_pragma=temp_store(MEMORY)&_pragma=journal_size_limit(67108864)"

func liteDSN(path, more string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + litePragmas + more
}

func openSQLite(cfg Config) (engine, error) {
	if cfg.DSN == "" || cfg.DSN == ":memory:" {
		return nil, errors.New("store: the path of an SQLite file is required")
	}
	path, err := filepath.Abs(cfg.DSN)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	// The file holds everything: it is created for its owner alone.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	f.Close()
	c, err := openLite(liteDSN(path, "&_pragma=cache_size(-16000)"))
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w", path, err)
	}
	e := &liteEngine{path: path, readers: make(chan *liteConn, cfg.Readers), gone: make(chan struct{})}
	for range cfg.Readers {
		e.readers <- nil
	}
	e.writer = startWriter(c, cfg.Node+"/0", cfg.Log)
	return e, nil
}

func (e *liteEngine) dialect() string { return "sqlite" }

func (e *liteEngine) inTx(ctx context.Context, db *DB, fn func(*Tx) error) error {
	return e.writer.do(ctx, db, fn)
}

func (e *liteEngine) view(ctx context.Context, db *DB, fn func(*Tx) error) (err error) {
	var c *liteConn
	select {
	case c = <-e.readers:
	case <-e.gone:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { e.readers <- c }()
	if c == nil {
		if c, err = openLite(liteDSN(e.path, "&_pragma=query_only(1)")); err != nil {
			return fmt.Errorf("store: open a reader: %w", err)
		}
	}
	if _, err := c.exec("BEGIN", nil); err != nil {
		return fmt.Errorf("store: begin a view: %w", err)
	}
	defer func() {
		// A reader that cannot end its view is thrown away: its picture would grow old unseen.
		if _, e := c.exec("ROLLBACK", nil); e != nil {
			c.close()
			c = nil
		}
	}()
	tx := &Tx{db: db, c: c, readOnly: true}
	if err := fn(tx); err != nil {
		return err
	}
	if tx.broken != nil {
		return tx.broken
	}
	tx.committed()
	return nil
}

func (e *liteEngine) ping(ctx context.Context) error {
	return e.view(ctx, nil, func(tx *Tx) error {
		var one int64
		_, err := tx.one("SELECT 1", nil, &one)
		return err
	})
}

func (e *liteEngine) close() error {
	e.close1.Do(func() {
		e.closed = e.writer.stop()
		for range cap(e.readers) {
			if c := <-e.readers; c != nil {
				e.closed = errors.Join(e.closed, c.close())
			}
		}
		close(e.gone)
	})
	return e.closed
}

// openSQL gives a database/sql handle for migrations and for looking at the version.
func (e *liteEngine) openSQL() (*sql.DB, error) {
	db, err := sql.Open("sqlite", liteDSN(e.path, "&_txlock=immediate"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// liteConn is one SQLite connection with its prepared statements. It speaks to the driver directly: database/sql's
// locks, contexts and conversions cost more than a statement does. Only one goroutine uses it at a time, and no context
// reaches the driver, which would start a goroutine for every statement under one that can be cancelled.
type liteConn struct {
	dc    driver.Conn
	stmts map[string]*liteStmt
	named []driver.NamedValue
}

type liteStmt struct {
	driver.Stmt
	exec  driver.StmtExecContext
	query driver.StmtQueryContext
	rows  liteRows
}

func openLite(dsn string) (*liteConn, error) {
	dc, err := (&sqlite.Driver{}).Open(dsn)
	if err != nil {
		return nil, err
	}
	return &liteConn{dc: dc, stmts: map[string]*liteStmt{}}, nil
}

func (c *liteConn) stmt(q string) (*liteStmt, error) {
	if s, ok := c.stmts[q]; ok {
		return s, nil
	}
	ds, err := c.dc.Prepare(q)
	if err != nil {
		return nil, err
	}
	s := &liteStmt{Stmt: ds}
	var okExec, okQuery bool
	s.exec, okExec = ds.(driver.StmtExecContext)
	s.query, okQuery = ds.(driver.StmtQueryContext)
	if !okExec || !okQuery {
		ds.Close()
		return nil, fmt.Errorf("the SQLite driver's %T lacks StmtExecContext or StmtQueryContext", ds)
	}
	c.stmts[q] = s
	return s, nil
}

func (c *liteConn) bind(args []any) []driver.NamedValue {
	c.named = c.named[:0]
	for i, a := range args {
		c.named = append(c.named, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return c.named
}

func (c *liteConn) exec(q string, args []any) (int64, error) {
	s, err := c.stmt(q)
	if err != nil {
		return 0, err
	}
	res, err := s.exec.ExecContext(context.Background(), c.bind(args))
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (c *liteConn) query(q string, args []any) (rows, error) {
	s, err := c.stmt(q)
	if err != nil {
		return nil, err
	}
	r := &s.rows
	if r.dr != nil {
		return nil, errors.New("the same query is still under way")
	}
	r.err = nil
	if r.dr, err = s.query.QueryContext(context.Background(), c.bind(args)); err != nil {
		r.dr = nil
		return nil, err
	}
	if r.values == nil {
		r.values = make([]driver.Value, len(r.dr.Columns()))
	}
	return r, nil
}

func (c *liteConn) close() error {
	for _, s := range c.stmts {
		s.Close()
	}
	return c.dc.Close()
}

type liteRows struct {
	dr     driver.Rows
	values []driver.Value
	err    error
}

func (r *liteRows) next() bool {
	if r.err != nil {
		return false
	}
	r.err = r.dr.Next(r.values)
	return r.err == nil
}

func (r *liteRows) close() error {
	err := r.dr.Close()
	r.dr = nil
	if r.err != nil && r.err != io.EOF {
		return r.err
	}
	return err
}

// scan knows the destinations that this package uses.
func (r *liteRows) scan(dest []any) error {
	if len(dest) != len(r.values) {
		return fmt.Errorf("%d columns scanned into %d places", len(r.values), len(dest))
	}
	for i, d := range dest {
		if !scanValue(r.values[i], d) {
			s, ok := d.(sql.Scanner)
			if !ok {
				return fmt.Errorf("column %d: %T does not go into %T", i+1, r.values[i], d)
			}
			if err := s.Scan(r.values[i]); err != nil {
				return fmt.Errorf("column %d: %w", i+1, err)
			}
		}
	}
	return nil
}

func scanValue(v driver.Value, dest any) bool {
	switch d := dest.(type) {
	case *string:
		s, ok := v.(string)
		*d = s
		return ok
	case *int64:
		n, ok := v.(int64)
		*d = n
		return ok
	case *[]byte:
		b, ok := v.([]byte)
		*d = b
		return ok || v == nil
	case *bool:
		n, ok := v.(int64)
		*d = n != 0
		return ok
	case *int:
		n, ok := v.(int64)
		*d = int(n)
		return ok
	case *uint8:
		n, ok := v.(int64)
		*d = uint8(n)
		return ok && n >= 0 && n < 256
	}
	return false
}

func liteUnique(err error) bool {
	var se *sqlite.Error
	return errors.As(err, &se) && (se.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || se.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// liteTears reports whether an error may have ended the whole transaction, not only its statement (SQLite's
// "Response To Errors Within A Transaction"): everything but a constraint is treated so.
func liteTears(err error) bool {
	if err == nil {
		return false
	}
	var se *sqlite.Error
	return !errors.As(err, &se) || se.Code()&0xff != sqlite3.SQLITE_CONSTRAINT
}
