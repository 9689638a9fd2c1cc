package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	_ "modernc.org/sqlite" // for database/sql, which migrates
	sqlite3 "modernc.org/sqlite/lib"
)

// liteEngine is SQLite: one writer (sqlite_writer.go) and a few readers, each with a connection of its own.
type liteEngine struct {
	path   string
	writer *writer
	copier *copier
	// readers holds a slot for every reader allowed; a nil slot opens its connection at first use.
	readers chan *liteConn
	// gone is closed with the engine, for views that came in just before.
	gone   chan struct{}
	close1 sync.Once
	closed error
}

// litePragmas are the settings of every connection. synchronous=FULL makes COMMIT wait for the disk; mmap spares readers a
// copy.
var litePragmas = []string{"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "mmap_size(268435456)",
	"temp_store(MEMORY)", "journal_size_limit(67108864)"}

func (e *liteEngine) open(more ...string) (*liteConn, error) {
	return openLite(e.path, slices.Concat(litePragmas, more)...)
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
	e := &liteEngine{path: path, readers: make(chan *liteConn, cfg.Readers), gone: make(chan struct{})}
	c, err := e.open("cache_size(-16000)", "wal_autocheckpoint("+copyInside+")")
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w", path, err)
	}
	for range cfg.Readers {
		e.readers <- nil
	}
	e.copier = startCopier(func() (*liteConn, error) { return e.open() }, cfg.Log)
	e.writer = startWriter(c, cfg.Node+"/0", cfg.Log, e.copier.nudge)
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
		if c, err = e.open("query_only(1)"); err != nil {
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

// notify has nobody to tell: the one process that serves an SQLite file has one hub.
func (e *liteEngine) notify([]string) {}

func (e *liteEngine) close() error {
	e.close1.Do(func() {
		e.closed = e.writer.stop()
		e.copier.stop()
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
	dsn := "file:" + (&url.URL{Path: e.path}).EscapedPath() + "?_txlock=immediate&_pragma=" + strings.Join(litePragmas, "&_pragma=")
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

func liteUnique(err error) bool {
	var se *liteError
	return errors.As(err, &se) && (se.code == sqlite3.SQLITE_CONSTRAINT_UNIQUE || se.code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// liteTears reports whether an error may have ended the whole transaction, not only its statement (SQLite's
// "Response To Errors Within A Transaction"): everything but a constraint is treated so.
func liteTears(err error) bool {
	if err == nil {
		return false
	}
	var se *liteError
	return !errors.As(err, &se) || se.code&0xff != sqlite3.SQLITE_CONSTRAINT
}
