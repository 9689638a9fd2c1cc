package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/pressly/goose/v3"

	"github.com/gatehouse-id/gatehouse/internal/store/schema"
)

// MigrateTo brings an empty database to an older step than this binary's, as its release did.
func MigrateTo(ctx context.Context, db *DB, step int64) error {
	var h *sql.DB
	dialect := goose.DialectPostgres
	switch e := db.engine.(type) {
	case *pgEngine:
		h = e.sql
	case *liteEngine:
		dialect = goose.DialectSQLite3
		var err error
		if h, err = e.openSQL(); err != nil {
			return err
		}
		defer h.Close()
	}
	p, err := goose.NewProvider(dialect, h, schema.For(db.Engine()), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	_, err = p.UpTo(ctx, step)
	return err
}

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
