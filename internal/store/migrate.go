package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/store/schema"
)

// Migrate brings the schema to this binary's step; nodes that start together wait for one another. An SQLite file with
// data is copied first, to PATH.step-N.TIME beside it. A schema one step newer is left as it is.
func (db *DB) Migrate(ctx context.Context) error {
	have, err := db.engine.version(ctx)
	if err != nil {
		return err
	}
	if have >= schema.Latest() {
		return nil
	}
	if err := db.engine.migrate(ctx, db); err != nil {
		return fmt.Errorf("store: migrate from step %d: %w", have, err)
	}
	return nil
}

// SchemaVersion gives the database's step and the newest that this binary knows; 0: an empty database.
func (db *DB) SchemaVersion(ctx context.Context) (have, known int64, err error) {
	have, err = db.engine.version(ctx)
	return have, schema.Latest(), err
}

// CheckSchema refuses an older schema than this binary's with fault Internal "store.schema_older": migrate first.
func (db *DB) CheckSchema(ctx context.Context) error {
	have, known, err := db.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	if have < known {
		return fault.New(fault.Internal, "store.schema_older", "The database must be brought up to date first: run gatehouse migrate.").
			Because(fmt.Errorf("schema step %d, this binary needs %d", have, known))
	}
	return nil
}

func (e *liteEngine) migrate(ctx context.Context, db *DB) (err error) {
	h, err := e.openSQL()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	have, err := e.version(ctx)
	if err != nil {
		return err
	}
	if have > 0 {
		to, err := e.copyFile(ctx, h, have, db.cfg.Now())
		if err != nil {
			return err
		}
		db.cfg.Log.Info("copied the database before migrating", "to", to)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, h, schema.For("sqlite"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// copyFile writes a consistent copy of the database beside it, for its owner alone; it never overwrites one.
func (e *liteEngine) copyFile(ctx context.Context, h *sql.DB, have int64, now time.Time) (to string, err error) {
	to = fmt.Sprintf("%s.step-%d.%s", e.path, have, now.UTC().Format("20060102T150405"))
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // VACUUM INTO accepts an empty file
	if err != nil {
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	if _, err := h.ExecContext(ctx, "VACUUM INTO $1", to); err != nil {
		return "", fmt.Errorf("copy to %s: %w", to, err)
	}
	return to, nil
}

func (e *liteEngine) version(ctx context.Context) (v int64, err error) {
	err = e.view(ctx, nil, func(tx *Tx) error {
		var n int64
		if _, err := tx.one(liteHasTable, []any{goose.DefaultTablename}, &n); err != nil || n == 0 {
			return err
		}
		_, err := tx.one(gooseMax, nil, &v)
		return err
	})
	return v, err
}

func (e *pgEngine) migrate(ctx context.Context, db *DB) error {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60), lock.WithUnlockTimeout(1, 60))
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, e.sql, schema.For("postgres"),
		goose.WithDisableGlobalRegistry(true), goose.WithSessionLocker(locker))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	_, err = p.Up(ctx)
	return err
}

func (e *pgEngine) version(ctx context.Context) (int64, error) {
	return gooseVersion(ctx, e.sql)
}

const (
	liteHasTable = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = $1"
	pgHasTable   = "SELECT COUNT(*) FROM pg_catalog.pg_tables WHERE schemaname = ANY (current_schemas(false)) AND tablename = $1"
	gooseMax     = "SELECT COALESCE(MAX(version_id), 0) FROM " + goose.DefaultTablename + " WHERE is_applied"
)

// gooseVersion reads goose's own table without creating it.
func gooseVersion(ctx context.Context, h *sql.DB) (int64, error) {
	var n, v int64
	if err := h.QueryRowContext(ctx, pgHasTable, goose.DefaultTablename).Scan(&n); err != nil {
		return 0, fmt.Errorf("store: schema version: %w", err)
	}
	if n == 0 {
		return 0, nil
	}
	if err := h.QueryRowContext(ctx, gooseMax).Scan(&v); err != nil {
		return 0, fmt.Errorf("store: schema version: %w", err)
	}
	return v, nil
}
