package store_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/store"
	"github.com/gatehouse-id/gatehouse/internal/store/storetest"
)

// killedChild names the environment variable that makes this test binary the process to be killed.
const killedChild = "GATEHOUSE_STORE_TEST_CHILD"

// beKilled commits from several goroutines and prints each commit after it was acknowledged, until it is killed.
func beKilled(path string) int {
	ring, err := secret.NewKeyring(map[uint32][]byte{1: bytes.Repeat([]byte{7}, 32)})
	if err != nil {
		return 1
	}
	ctx := context.Background()
	db, err := store.Open(ctx, store.Config{DSN: path, Keyring: ring})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := db.Migrate(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var wg sync.WaitGroup
	var out sync.Mutex
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("w%d-%d", w, i)
				err := db.InTx(ctx, func(tx *store.Tx) error {
					if _, err := tx.SpendOnce(ctx, []byte(name), time.Now().Add(time.Hour)); err != nil {
						return err
					}
					return tx.Record(ctx, audit.Entry{At: time.Now(), Act: "committed", Outcome: audit.Done, Actor: "system", Object: name})
				})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				out.Lock()
				fmt.Println(name)
				out.Unlock()
			}
		})
	}
	wg.Wait()
	return 1
}

// Everything that a killed process had acknowledged is there afterwards, and the chain is whole.
func TestAcknowledgedSurvivesKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "killed.db")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var acked []string
	for round := range 3 {
		c := exec.Command(self)
		c.Env = append(os.Environ(), killedChild+"="+path)
		c.Stderr = os.Stderr
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			acked = append(acked, lines.Text())
			if n == 200 {
				c.Process.Signal(syscall.SIGKILL) // what was printed before it died is still read
			}
		}
		if err := c.Wait(); err == nil {
			t.Fatal("the child was not killed")
		}
		// The next round's child meets names that were spent: SpendOnce gives false and commits all the same.
		if len(acked) < 200*(round+1) {
			t.Fatalf("round %d: only %d commits were acknowledged", round, len(acked))
		}
	}
	db := storetest.Reopen(t, path)
	ctx := context.Background()
	if err := db.InTx(ctx, func(tx *store.Tx) error {
		for _, name := range acked {
			free, err := tx.SpendOnce(ctx, []byte(name), time.Now())
			if err != nil {
				return err
			}
			if free {
				t.Errorf("%s was acknowledged and is lost", name)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	rep, err := db.VerifyAudit(ctx, nil)
	if err != nil || !rep.OK() || rep.Entries < int64(len(acked)) {
		t.Errorf("trail: %+v %v", rep, err)
	}
}
