package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// pgLanes is how many audit chains a node writes side by side, so that its transactions do not wait for one another's
// commit; each holds a lane only from its last statements to its commit.
const pgLanes = 16

// pgTries bounds how often a transaction is repeated after a serialisation failure, a deadlock or a moved audit head
// (which two processes with one node name may give each other on each of their lanes).
const pgTries = 24

// pgEngine is PostgreSQL: a transaction each, read committed, with compare-and-swap updates. pgx keeps the statements
// prepared on each connection.
type pgEngine struct {
	sql      *sql.DB
	lanes    chan *lane
	notifier *notifier
	listener *listener // nil where nobody can wait
}

func openPostgres(ctx context.Context, cfg Config) (engine, error) {
	pc, err := pgx.ParseConfig(cfg.DSN)
	if err != nil {
		return nil, fmt.Errorf("store: the PostgreSQL URL: %w", err)
	}
	for name, value := range map[string]string{
		"application_name": "gatehouse " + cfg.Node, "statement_timeout": "30000",
		"idle_in_transaction_session_timeout": "60000", "lock_timeout": "10000",
	} {
		if _, set := pc.RuntimeParams[name]; !set {
			pc.RuntimeParams[name] = value
		}
	}
	db := stdlib.OpenDB(*pc)
	db.SetMaxOpenConns(2 * cfg.Readers)
	db.SetMaxIdleConns(2 * cfg.Readers)
	db.SetConnMaxIdleTime(5 * time.Minute)
	if err := db.PingContext(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("store: PostgreSQL: %w", err)
	}
	e := &pgEngine{sql: db, lanes: make(chan *lane, pgLanes), notifier: &notifier{sql: db, log: cfg.Log}}
	for i := range pgLanes {
		e.lanes <- &lane{chain: cfg.Node + "/" + strconv.Itoa(i), headFirst: true}
	}
	if cfg.Hub != nil {
		e.listener = startListener(cfg, pc)
	}
	return e, nil
}

func (e *pgEngine) dialect() string { return "postgres" }

func (e *pgEngine) inTx(ctx context.Context, db *DB, fn func(*Tx) error) error {
	for try := 1; ; try++ {
		again, err := e.once(ctx, db, fn)
		if err == nil || !again || try == pgTries {
			return err
		}
		pause := time.NewTimer(time.Duration(rand.Int64N(int64(time.Millisecond) << min(try, 6))))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
}

// once runs fn in one transaction; again: the database asks to repeat it.
func (e *pgEngine) once(ctx context.Context, db *DB, fn func(*Tx) error) (again bool, err error) {
	c, err := e.sql.Conn(ctx)
	if err != nil {
		return false, fmt.Errorf("store: connect: %w", err)
	}
	defer c.Close()
	// From here on the request's end does not interrupt: half a transaction helps nobody.
	ctx = context.WithoutCancel(ctx)
	sqlTx, err := c.BeginTx(ctx, nil)
	if err != nil {
		return false, fmt.Errorf("store: begin: %w", err)
	}
	tx := &Tx{db: db, c: &pgConn{ctx, sqlTx}}
	defer func() {
		sqlTx.Rollback() // nothing after a commit; also where fn ended its goroutine
		if err != nil {
			again = repeatable(err) || repeatable(tx.broken)
		}
	}()
	if err := contained(tx, fn); err != nil {
		return false, err
	}
	l := &lane{headFirst: true}
	if len(tx.entries) > 0 {
		l = <-e.lanes
		defer func() {
			// Whatever was not committed is not the head: the next user of the lane reads it again.
			l.loaded = l.loaded && err == nil
			e.lanes <- l
		}()
	}
	if err := tx.finish(l); err != nil {
		return false, err
	}
	if err := sqlTx.Commit(); err != nil {
		return false, fmt.Errorf("store: commit: %w", err)
	}
	tx.committed()
	return false, nil
}

// repeatable are serialization_failure, deadlock_detected, and an audit head that another process moved.
func repeatable(err error) bool {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return pe.Code == "40001" || pe.Code == "40P01"
	}
	return errors.Is(err, errHeadMoved)
}

// pgUnique is unique_violation.
func pgUnique(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && pe.Code == "23505"
}

func (e *pgEngine) view(ctx context.Context, db *DB, fn func(*Tx) error) error {
	c, err := e.sql.Conn(ctx)
	if err != nil {
		return fmt.Errorf("store: connect: %w", err)
	}
	defer c.Close()
	ctx = context.WithoutCancel(ctx)
	sqlTx, err := c.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return fmt.Errorf("store: begin a view: %w", err)
	}
	defer sqlTx.Rollback()
	tx := &Tx{db: db, c: &pgConn{ctx, sqlTx}, readOnly: true}
	if err := fn(tx); err != nil {
		return err
	}
	if tx.broken != nil {
		return tx.broken
	}
	tx.committed()
	return nil
}

func (e *pgEngine) ping(ctx context.Context) error { return e.sql.PingContext(ctx) }

func (e *pgEngine) notify(topics []string) { e.notifier.notify(topics) }

func (e *pgEngine) close() error {
	if e.listener != nil {
		e.listener.close()
	}
	e.notifier.close()
	return e.sql.Close()
}

// pgConn runs statements in one transaction.
type pgConn struct {
	ctx context.Context
	tx  *sql.Tx
}

func (c *pgConn) exec(q string, args []any) (int64, error) {
	res, err := c.tx.ExecContext(c.ctx, q, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (c *pgConn) query(q string, args []any) (rows, error) {
	r, err := c.tx.QueryContext(c.ctx, q, args...)
	if err != nil {
		return nil, err
	}
	return pgRows{r}, nil
}

type pgRows struct{ r *sql.Rows }

func (r pgRows) next() bool            { return r.r.Next() }
func (r pgRows) scan(dest []any) error { return r.r.Scan(dest...) }
func (r pgRows) close() error {
	err := r.r.Err()
	if e := r.r.Close(); err == nil {
		err = e
	}
	return err
}
