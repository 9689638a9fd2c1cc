package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/manage"
)

// cliNode is the audit lane of the command line: a second process beside a serving node writes a chain of its own.
const cliNode = "cli"

// operator is who sits at the machine, for the trail.
func operator() manage.By {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return manage.CommandLine(name)
}

// asOperator runs an act of a command on the configured house, also while serve runs beside it.
func asOperator(act func(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := configOf(cmd)
		if err != nil {
			return err
		}
		h, err := c.openForOperator(cmd.Context(), cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		defer h.close()
		if err := h.db.CheckSchema(cmd.Context()); err != nil {
			return err
		}
		if err := refuseDemo(cmd.Context(), c, h); err != nil {
			return err
		}
		return act(cmd.Context(), cmd, h, operator(), args)
	}
}

func (c config) openForOperator(ctx context.Context, stderr io.Writer) (*house, error) {
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	set, err := c.house(cliNode, log)
	if err != nil {
		return nil, err
	}
	if !c.Postgres {
		if _, err := os.Stat(set.DSN); errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("there is no database %s: run \"gatehouse init\" first", set.DSN)
		}
	}
	return openHouse(ctx, set)
}

func newMigrateCommand() *cobra.Command {
	return withConfig(&cobra.Command{Use: "migrate", Short: "Bring the database up to this version", Args: takes(0, ""),
		Long: "Migrate copies an SQLite database beside itself first. Nodes of the last version go on working on the new schema.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := configOf(cmd)
			if err != nil {
				return err
			}
			h, err := c.openForOperator(cmd.Context(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer h.close()
			before, _, err := h.db.SchemaVersion(cmd.Context())
			if err != nil {
				return err
			}
			if before > 0 {
				if err := refuseDemo(cmd.Context(), c, h); err != nil {
					return err
				}
			}
			if err := h.db.Migrate(cmd.Context()); err != nil {
				return err
			}
			after, _, err := h.db.SchemaVersion(cmd.Context())
			if err != nil {
				return err
			}
			if before == after {
				fmt.Fprintf(cmd.OutOrStdout(), "The database is up to date (step %d).\n", after)
				return nil
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Migrated from step %d to step %d.\n", before, after)
			return nil
		}})
}
