// Package pgtest starts a real PostgreSQL for tests: once per test binary, on a free port, in a temporary folder.
//
//	first call ─► initdb ─► postgres (unprivileged) ─► template database with C.UTF-8, prepared once
//	DSN(t, prepare) ─► CREATE DATABASE … TEMPLATE ─► dropped at the test's end
//	Main(m) ─► m.Run ─► server stopped, folder removed
//
// A package without Main in its TestMain leaves no server behind either: it is killed with the test binary, and the
// next start removes the folder.
//
// The server never runs as root: a root test drops it to the user postgres, or nobody. fsync is off: these data are
// thrown away. Tests fail, and never skip, where the binaries are absent.
package pgtest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// Server is a running PostgreSQL.
type Server struct {
	dir  string
	port int
	cmd  *exec.Cmd
	log  *bytes.Buffer
	db   *sql.DB
	next atomic.Int64
}

var (
	once   sync.Once
	shared *Server
	failed error
)

// Main runs a package's tests and stops the server, if one was started; TestMain calls os.Exit with its result.
func Main(m *testing.M) int {
	code := m.Run()
	if shared != nil {
		shared.Stop()
	}
	return code
}

// DSN gives the URL of a database of this test's own, on the test binary's one server. It is a copy of a template on
// which prepare (which may be nil) ran once; every test of a binary gives the same prepare.
func DSN(t testing.TB, prepare func(dsn string) error) string {
	t.Helper()
	once.Do(func() {
		if shared, failed = Start(); failed == nil {
			failed = shared.prepare(prepare)
		}
	})
	if failed != nil {
		t.Fatalf("PostgreSQL does not start: %v", failed)
	}
	dsn, drop, err := shared.Database()
	if err != nil {
		t.Fatalf("create a database: %v", err)
	}
	t.Cleanup(drop)
	return dsn
}

// binaries finds initdb and postgres: on the PATH or where Debian keeps them, the newest version first.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", err
	}
	sort.Slice(found, func(i, j int) bool { return version(found[i]) > version(found[j]) })
	if len(found) > 0 {
		return filepath.Dir(found[0]), nil
	}
	if p, err := exec.LookPath("postgres"); err == nil {
		return filepath.Dir(p), nil
	}
	return "", errors.New("the PostgreSQL server binaries are not installed; on Debian: apt-get install postgresql-15 (any version from 13)")
}

func version(path string) int {
	n, err := strconv.Atoi(strings.Split(path, "/")[4])
	if err != nil {
		return 0
	}
	return n
}

const folder = "gatehouse-pgtest-"

// removeLeft removes the folders of test binaries that were killed.
func removeLeft() {
	left, err := filepath.Glob(filepath.Join(os.TempDir(), folder+"*"))
	if err != nil {
		return
	}
	for _, dir := range left {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), folder), "-")
		n, err := strconv.Atoi(pid)
		if err == nil && syscall.Kill(n, 0) == syscall.ESRCH {
			os.RemoveAll(dir)
		}
	}
}

// Start starts a server of its own; Stop ends it. Tests use DSN.
func Start() (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	removeLeft()
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", folder, os.Getpid()))
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, log: &bytes.Buffer{}}
	if err := s.start(bin); err != nil {
		s.Stop()
		return nil, fmt.Errorf("%w\n%s", err, s.log)
	}
	return s, nil
}

func (s *Server) start(bin string) error {
	who, err := unprivileged()
	if err != nil {
		return err
	}
	if who.Credential != nil {
		if err := os.Chown(s.dir, int(who.Credential.Uid), int(who.Credential.Gid)); err != nil {
			return err
		}
	}
	run := func(name string, args ...string) *exec.Cmd {
		c := exec.Command(filepath.Join(bin, name), args...)
		c.Dir, c.Env = s.dir, []string{"PATH=" + bin + ":/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC"}
		c.Stdout, c.Stderr = s.log, s.log
		c.SysProcAttr = who
		return c
	}
	data := filepath.Join(s.dir, "data")
	if err := run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N").Run(); err != nil {
		return fmt.Errorf("initdb: %w", err)
	}
	if s.port, err = freePort(); err != nil {
		return err
	}
	s.cmd = run("postgres", "-D", data, "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "max_connections=200",
		"-c", "shared_buffers=32MB", "-c", "deadlock_timeout=100ms")
	if err := startLocked(s.cmd); err != nil {
		s.cmd = nil
		return fmt.Errorf("postgres: %w", err)
	}
	if s.db, err = sql.Open("pgx", s.url("postgres")); err != nil {
		return err
	}
	return s.ready()
}

// startLocked starts c from a thread that lives as long as the process: the kernel sends Pdeathsig when the starting
// thread ends, not the process (prctl(2), PR_SET_PDEATHSIG).
func startLocked(c *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		started <- c.Start()
		select {}
	}()
	return <-started
}

// ready waits until the server answers.
func (s *Server) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for {
		err := s.db.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server did not answer within a minute: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

const template = "gatehouse_template"

// prepare makes the template database.
func (s *Server) prepare(prepare func(dsn string) error) error {
	_, err := s.db.Exec("CREATE DATABASE " + template + " TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'")
	if err != nil || prepare == nil {
		return err
	}
	return prepare(s.url(template))
}

// Database copies the template and gives the copy's URL and the function that drops it.
func (s *Server) Database() (dsn string, drop func(), err error) {
	name := "test_" + strconv.FormatInt(s.next.Add(1), 10)
	if _, err := s.db.Exec("CREATE DATABASE " + name + " TEMPLATE " + template); err != nil {
		return "", nil, err
	}
	return s.url(name), func() { s.db.Exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)") }, nil
}

func (s *Server) url(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}

// Stop ends the server and removes its folder.
func (s *Server) Stop() {
	if s.db != nil {
		s.db.Close()
	}
	if s.cmd != nil {
		s.cmd.Process.Signal(syscall.SIGQUIT) // immediate shutdown: the data are thrown away
		s.cmd.Wait()
	}
	os.RemoveAll(s.dir)
}

// unprivileged gives how the server is started: as another user where the tests run as root.
func unprivileged() (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if os.Getuid() != 0 {
		return attr, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
			return attr, nil
		}
	}
	return nil, errors.New("the tests run as root and there is neither a user postgres nor nobody to run the server as")
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Dir is where the server keeps everything.
func (s *Server) Dir() string { return s.dir }
