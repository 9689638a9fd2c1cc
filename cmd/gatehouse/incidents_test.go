package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/incident"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

// atTheMachine is a folder with a configuration and a database that was set up, and the commands run in it.
func atTheMachine(t *testing.T) (config, func(args ...string) (string, int)) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "gatehouse.yaml")
	if err := os.WriteFile(file, []byte(minimalConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	command := func(args ...string) (string, int) {
		var out bytes.Buffer
		code := run(append(args, "--config", file), strings.NewReader(""), &out, &out)
		return out.String(), code
	}
	if out, code := command("init"); code != 0 {
		t.Fatal(out)
	}
	c, err := loadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	return c, command
}

func TestIncidentsOnTheCommandLine(t *testing.T) {
	c, command := atTheMachine(t)
	if out, code := command("people", "add", "ada", "--email", "ada@example.ac.uk"); code != 0 {
		t.Fatal(out)
	}
	if out, _ := command("incidents", "list"); !strings.Contains(out, "No incident is open.") {
		t.Errorf("%s", out)
	}
	h, err := c.openForOperator(context.Background(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	ada, err := h.manage.Person(t.Context(), manage.CommandLine("tester"), "ada")
	if err == nil {
		err = h.db.InTx(t.Context(), func(tx *store.Tx) error {
			return tx.AddIncident(t.Context(), incident.Incident{ID: "i1", Kind: incident.Reported, Person: string(ada.ID), Object: "c1",
				Personal: map[string]string{"address": "203.0.113.7"}, Opened: h.Now(), Count: 1, Version: 1})
		})
	}
	if h.close(); err != nil {
		t.Fatal(err)
	}
	if out, code := command("incidents", "list", "--person", "ada"); code != 0 || !strings.Contains(out, "not me") || !strings.Contains(out, "203.0.113.7") {
		t.Errorf("%d %s", code, out)
	}
	if out, code := command("incidents", "close", "i1"); code != exitUsage || !strings.Contains(out, "--why") {
		t.Errorf("closed without a reason: %d %s", code, out)
	}
	if out, code := command("incidents", "close", "i1", "--why", "A guessed password, changed"); code != 0 {
		t.Errorf("%s", out)
	}
	if out, code := command("incidents", "close", "i1", "--why", "again"); code != exitFailed || !strings.Contains(out, "closed already") {
		t.Errorf("closed twice: %d %s", code, out)
	}
	if out, _ := command("incidents", "list", "--all"); !strings.Contains(out, "A guessed password, changed") {
		t.Errorf("%s", out)
	}
	if out, code := command("people", "requests", "ada"); code != 0 || !strings.Contains(out, "Nothing was sent to ada") {
		t.Errorf("%d %s", code, out)
	}
	if out, code := command("people", "requests", "nobody"); code == 0 {
		t.Errorf("requests of nobody: %s", out)
	}
	if out, code := command("people", "invite", "ada", "--mail"); code != 0 || !strings.Contains(out, "on its way to ada@example.ac.uk") {
		t.Errorf("%d %s", code, out)
	}
	if out, code := command("people", "add", "ben"); code != 0 {
		t.Errorf("%s", out)
	}
	if out, code := command("people", "invite", "ben", "--mail"); code != exitFailed || !strings.Contains(out, "no mail address") {
		t.Errorf("mailed nowhere: %d %s", code, out)
	}
	if out, code := command("people", "invite", "ben"); code != 0 || !strings.Contains(out, "/welcome and type") {
		t.Errorf("%d %s", code, out)
	}
}
