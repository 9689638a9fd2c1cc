package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/keys"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

func newKeysCommand() *cobra.Command {
	return withConfig(group("keys", "Keys: rotate", newKeysRotate()))
}

func newKeysRotate() *cobra.Command {
	var now, master bool
	c := &cobra.Command{Use: "rotate", Short: "Change the signing keys, or the key that seals the database", Args: takes(0, ""),
		Long: "Signing keys change by themselves every quarter. This does it earlier, in two steps: the first publishes new keys, the second,\n" +
			"48 hours later when every application has seen them, makes them sign. With --now both happen at once, for a key that leaked.\n" +
			"With --master a new key is put into the key file: what is sealed from the next start on is sealed with it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if master && now {
				return usagef("--master and --now do not go together")
			}
			return asOperator(func(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, _ []string) error {
				if master {
					return h.rotateMaster(ctx, cmd, by)
				}
				return h.rotateSigning(ctx, cmd, by, now)
			})(cmd, args)
		}}
	c.Flags().BoolVar(&now, "now", false, "sign with the new keys at once")
	c.Flags().BoolVar(&master, "master", false, "add a key to the key file instead")
	return c
}

// rotateMaster adds a key to the key file. The entry comes first: no entry, no key; a file that cannot be written then
// leaves an entry about a key that nothing was sealed with.
func (h *house) rotateMaster(ctx context.Context, cmd *cobra.Command, by manage.By) error {
	c, err := configOf(cmd)
	if err != nil {
		return err
	}
	_, have, err := readKeyFile(c.KeyFile)
	if err != nil {
		return err
	}
	err = h.db.InTx(ctx, func(tx *store.Tx) error {
		return tx.Record(ctx, audit.Entry{At: h.Now(), Act: "keys.master_added", Outcome: audit.Done, Actor: by.Actor, Door: by.Door})
	})
	if err != nil {
		return err
	}
	id, err := addKey(c.KeyFile, have)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "Key %d is in %s. Copy the file to every node, then restart them one by one. Older keys must stay.\n", id, c.KeyFile)
	return err
}

// rotateSigning moves the signing keys on, each step with its audit entry in one transaction.
func (h *house) rotateSigning(ctx context.Context, cmd *cobra.Command, by manage.By, now bool) error {
	before, err := h.keyStates(ctx)
	if err != nil {
		return err
	}
	schedule := keys.DefaultSchedule()
	schedule.Every = time.Nanosecond
	if now {
		schedule.Ahead = 0
	}
	keeper := &keys.Keeper{View: h.keys.View, Keyring: h.Keyring, Now: h.Now, Schedule: schedule,
		InTx: func(ctx context.Context, change func(keys.Store) error) error {
			return h.db.InTx(ctx, func(tx *store.Tx) error {
				if err := change(tx); err != nil {
					return err
				}
				return tx.Record(ctx, audit.Entry{At: h.Now(), Act: "keys.rotated", Outcome: audit.Done, Actor: by.Actor, Door: by.Door})
			})
		}}
	steps := 1
	if now {
		steps = 2
	}
	for range steps {
		if _, err := keeper.Turn(ctx); err != nil {
			return err
		}
	}
	after, err := h.keyStates(ctx)
	if err != nil {
		return err
	}
	if before == after {
		fmt.Fprintln(cmd.OutOrStdout(), "The next keys are published and not yet 48 hours old. Run this again then, or with --now.")
	}
	_, err = fmt.Fprint(cmd.OutOrStdout(), after)
	return err
}

// keyStates lists the signing keys, a line each.
func (h *house) keyStates(ctx context.Context) (string, error) {
	var b strings.Builder
	err := h.keys.View(ctx, func(s keys.Store) error {
		b.Reset()
		all, err := s.SigningKeys(ctx)
		for _, k := range all {
			state := map[keys.State]string{keys.Next: "published", keys.Active: "signs", keys.Retired: "retired"}[k.State]
			fmt.Fprintf(&b, "%s %s %s since %s\n", k.Algorithm, k.ID, state, k.Changed.UTC().Format("2006-01-02 15:04 MST"))
		}
		return err
	})
	return b.String(), err
}
