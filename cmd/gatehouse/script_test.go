package main

import (
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gatehouse": main})
}

// TestScripts runs testdata/*.txtar against the real program. Beside testscript's own commands there are
//
//	freeport VAR              puts a free port's number into the environment
//	sqlite FILE STATEMENT     changes a database behind the program's back
//	answers URL STATUS        waits until an address answers with that status
//	mode FILE PERM            checks a file's permissions
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	testscript.Run(t, testscript.Params{
		Files:               files,
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"freeport": scriptPort, "sqlite": editDatabase, "answers": answers, "mode": fileMode,
		},
	})
}

func scriptPort(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
	ts.Check(l.Close())
}

func editDatabase(ts *testscript.TestScript, neg bool, args []string) {
	db, err := sql.Open("sqlite", ts.MkAbs(args[0])+"?_pragma=busy_timeout(5000)")
	ts.Check(err)
	defer db.Close()
	result, err := db.Exec(args[1])
	ts.Check(err)
	if n, err := result.RowsAffected(); err == nil && n == 0 && !neg {
		ts.Fatalf("%s changed nothing", args[1])
	}
}

func answers(ts *testscript.TestScript, _ bool, args []string) {
	last := "nothing"
	for range 200 {
		resp, err := http.Get(args[0])
		if err == nil {
			resp.Body.Close()
			if last = fmt.Sprint(resp.StatusCode); last == args[1] {
				return
			}
		}
		time.Sleep(25 * time.Millisecond)
	}
	ts.Fatalf("%s answers %s, want %s", args[0], last, args[1])
}

func fileMode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(filepath.Clean(ts.MkAbs(args[0])))
	ts.Check(err)
	if have := fmt.Sprintf("%04o", info.Mode().Perm()); have != args[1] {
		ts.Fatalf("%s has mode %s, want %s", args[0], have, args[1])
	}
}
