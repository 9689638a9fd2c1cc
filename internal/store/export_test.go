package store

import (
	"context"
	"errors"
)

// CopyBeforeMigrating makes the copy that Migrate makes before it changes a database with data.
func CopyBeforeMigrating(ctx context.Context, db *DB) (to string, err error) {
	e, ok := db.engine.(*liteEngine)
	if !ok {
		return "", errors.New("only SQLite is copied")
	}
	h, err := e.openSQL()
	if err != nil {
		return "", err
	}
	defer h.Close()
	return e.copyFile(ctx, h, 1, db.cfg.Now())
}

// Statements gives every statement that an SQLite database has prepared so far; all its views must have ended.
func Statements(db *DB) (all []string) {
	e, ok := db.engine.(*liteEngine)
	if !ok || db.closed.Load() {
		return nil
	}
	conns := []*liteConn{e.writer.c}
	for range cap(e.readers) {
		c := <-e.readers
		defer func() { e.readers <- c }()
		if c != nil {
			conns = append(conns, c)
		}
	}
	for _, c := range conns {
		for q := range c.stmts {
			all = append(all, q)
		}
	}
	return all
}
