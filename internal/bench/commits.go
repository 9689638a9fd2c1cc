package bench

import (
	"context"
	"database/sql/driver"
	"errors"
	"net/url"

	"modernc.org/sqlite"
)

// commits writes rows to SQLite with synchronous=FULL. Whoever waits while one commit is on its way to the disk shares
// the next one.
type commits struct {
	conn    driver.Conn
	insert  driver.Stmt
	begin   driver.Stmt
	end     driver.Stmt
	waiting chan *row
	stopped chan struct{}
}

type row struct {
	text string
	done chan error
}

const perCommit = 256

func openCommits(path string) (*commits, error) {
	conn, err := (&sqlite.Driver{}).Open("file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, err
	}
	c := &commits{conn: conn, waiting: make(chan *row, perCommit), stopped: make(chan struct{})}
	var errs [4]error
	var create driver.Stmt
	if create, errs[0] = conn.Prepare("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, text TEXT NOT NULL)"); errs[0] == nil {
		errs[0] = run(create)
	}
	c.insert, errs[1] = conn.Prepare("INSERT INTO rows (text) VALUES ($1)")
	c.begin, errs[2] = conn.Prepare("BEGIN IMMEDIATE")
	c.end, errs[3] = conn.Prepare("COMMIT")
	if err := errors.Join(errs[:]...); err != nil {
		conn.Close()
		return nil, err
	}
	go c.write()
	return c, nil
}

func run(s driver.Stmt, args ...driver.Value) error {
	named := make([]driver.NamedValue, len(args))
	for i, a := range args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	exec, ok := s.(driver.StmtExecContext)
	if !ok {
		return errors.New("bench: the driver has no ExecContext")
	}
	_, err := exec.ExecContext(context.Background(), named)
	return err
}

// add returns when the row is on the disk.
func (c *commits) add(text string) error {
	r := &row{text, make(chan error, 1)}
	c.waiting <- r
	return <-r.done
}

func (c *commits) close() error {
	close(c.waiting)
	<-c.stopped
	return c.conn.Close()
}

func (c *commits) write() {
	defer close(c.stopped)
	group := make([]*row, 0, perCommit)
	for first := range c.waiting {
		group = append(group[:0], first)
	gather:
		for len(group) < perCommit {
			select {
			case r, ok := <-c.waiting:
				if !ok {
					break gather
				}
				group = append(group, r)
			default:
				break gather
			}
		}
		err := c.save(group)
		for _, r := range group {
			r.done <- err
		}
	}
}

func (c *commits) save(group []*row) error {
	if err := run(c.begin); err != nil {
		return err
	}
	for _, r := range group {
		if err := run(c.insert, r.text); err != nil {
			return errors.Join(err, c.rollback())
		}
	}
	return run(c.end)
}

func (c *commits) rollback() error {
	s, err := c.conn.Prepare("ROLLBACK")
	if err != nil {
		return err
	}
	return run(s)
}
