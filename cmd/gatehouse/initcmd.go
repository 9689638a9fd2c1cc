package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/people"
)

func newInitCommand() *cobra.Command {
	var username, email string
	c := withConfig(&cobra.Command{Use: "init", Short: "Set a new house up: keys, database, first administrator", Args: takes(0, ""),
		Long: "Init makes the key file (readable by you alone) and the database, and prints a one-time secret. Within 30 minutes the first\n" +
			"administrator types it at /welcome and registers a passkey; the secret works once. Running init again is safe: what is there\n" +
			"stays, and a new secret is printed as long as the first administrator has not used one.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := configOf(cmd)
			if err != nil {
				return err
			}
			return initialise(cmd.Context(), c, manage.Details{Username: username, Email: email, DisplayName: username,
				Roles: []people.Role{people.RoleAdministrator}}, cmd.OutOrStdout(), cmd.ErrOrStderr())
		}})
	c.Flags().StringVar(&username, "username", "admin", "the first administrator's username")
	c.Flags().StringVar(&email, "email", "", "the first administrator's address, for notices")
	return c
}

func initialise(ctx context.Context, c config, first manage.Details, out, stderr io.Writer) error {
	if err := first.Check(); err != nil {
		return usageError{err}
	}
	if err := makeKeys(c, out); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	set, err := c.house(cliNode, log)
	if err != nil {
		return err
	}
	if !c.Postgres {
		if err := os.MkdirAll(filepath.Dir(set.DSN), 0o700); err != nil {
			return err
		}
	}
	h, err := openHouse(ctx, set)
	if err != nil {
		return err
	}
	defer h.close()
	if have, _, err := h.db.SchemaVersion(ctx); err != nil {
		return err
	} else if have > 0 {
		if err := refuseDemo(ctx, c, h); err != nil {
			return err
		}
	}
	if err := h.db.Migrate(ctx); err != nil {
		return err
	}
	fmt.Fprintf(out, "Database ready: %s\n", h.db.Engine())
	if _, err := h.keys.Turn(ctx); err != nil {
		return err
	}
	return h.inviteFirst(ctx, operator(), first, out)
}

// makeKeys makes the key file unless there is one. A database without its key file is never given a new one: what is
// sealed in it would be lost for good.
func makeKeys(c config, out io.Writer) error {
	_, err := os.Stat(c.KeyFile)
	if err == nil {
		fmt.Fprintf(out, "Key file kept: %s\n", c.KeyFile)
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if !c.Postgres {
		if _, err := os.Stat(c.Database.Reveal()); err == nil {
			return fmt.Errorf("there is a database %s but no key file %s: put the key file back; a new one could not open what the old one sealed",
				c.Database.Reveal(), c.KeyFile)
		}
	}
	if err := makeKeyFile(c.KeyFile); err != nil {
		return err
	}
	fmt.Fprintf(out, "Key file made: %s (keep a copy in a safe, apart from the database's backups)\n", c.KeyFile)
	return nil
}

// inviteFirst makes or finds the first administrator and issues the one-time secret, unless somebody already
// administers this house.
func (h *house) inviteFirst(ctx context.Context, by manage.By, first manage.Details, out io.Writer) error {
	administrator := false
	if err := h.manage.EachPerson(ctx, by, func(p people.Person) error {
		administrator = administrator || p.Has(people.RoleAdministrator) && p.State == people.Active
		return nil
	}); err != nil {
		return err
	}
	if administrator {
		fmt.Fprintln(out, "This house has an administrator already. To let one in again: gatehouse people reset USERNAME")
		return nil
	}
	p, err := h.manage.Person(ctx, by, first.Username)
	if fault.IsKind(err, fault.NotFound) {
		p, err = h.manage.AddPerson(ctx, by, first)
	}
	if err != nil {
		return err
	}
	if !p.Has(people.RoleAdministrator) {
		return fmt.Errorf("%s exists and is no administrator: choose another name with --username", p.Username)
	}
	typed, _, err := h.manage.Invite(ctx, by, p.ID, enrol.PurposeFirstAdministrator, manage.FirstAdministratorFor)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nFirst administrator: %s\nStart the server (gatehouse serve), then open %s/welcome within 30 minutes and type:\n\n    %s\n\n"+
		"It opens once, registers a passkey, and dies.\n", p.Username, h.issuer(), typed.Reveal())
	return nil
}
