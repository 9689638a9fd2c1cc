package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/people"
)

func newAuditCommand() *cobra.Command {
	return withConfig(group("audit", "The audit trail: verify, export", newAuditVerify(),
		&cobra.Command{Use: "export", Short: "Write the trail as JSON lines", Args: takes(0, ""), RunE: asOperator(exportAudit)}))
}

func newAuditVerify() *cobra.Command {
	var file string
	c := &cobra.Command{Use: "verify", Short: "Check every chain and name the first bad entry of each", Args: takes(0, ""),
		Long: "Without checkpoints from outside the database a trail that was cut at its end, or replaced by an older copy, looks whole.\n" +
			"Exit code 0: the trail is whole. 1: it is not.",
		RunE: asOperator(func(ctx context.Context, cmd *cobra.Command, h *house, _ manage.By, _ []string) error {
			var checkpoints []audit.Checkpoint
			if file != "" {
				f, err := os.Open(file)
				if err != nil {
					return usageError{err}
				}
				defer f.Close()
				if checkpoints, err = audit.ReadCheckpoints(f); err != nil {
					return usagef("%s: %w", file, err)
				}
			}
			report, err := h.db.VerifyAudit(ctx, checkpoints)
			if err != nil {
				return err
			}
			for _, p := range report.Problems {
				fmt.Fprintf(cmd.OutOrStdout(), "BAD  %s\n", visible(p.String(), ""))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d entries in %d chains, %d checkpoints, %d erased\n", report.Entries, report.Chains, report.Checkpoints, report.Erased)
			if !report.OK() {
				return fmt.Errorf("the trail is not whole: %d chains have a bad entry", len(report.Problems))
			}
			fmt.Fprintln(cmd.OutOrStdout(), "The trail is whole.")
			return nil
		})}
	c.Flags().StringVar(&file, "checkpoints", "", "a file of signed checkpoints that was kept outside the database")
	return c
}

// exportAudit writes one JSON object a line; what is odd for a terminal is escaped by the encoding.
func exportAudit(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, _ []string) error {
	out := bufio.NewWriter(cmd.OutOrStdout())
	encode := json.NewEncoder(out)
	err := h.manage.EachAuditRow(ctx, by, func(r audit.Row) error {
		return encode.Encode(map[string]any{"chain": r.Chain, "seq": r.Seq, "prev": hex.EncodeToString(r.Prev), "hash": hex.EncodeToString(r.Hash),
			"at": r.At.UTC().Format(time.RFC3339Nano), "act": r.Act, "outcome": r.Outcome, "actor": r.Actor, "subject": r.Subject, "object": r.Object,
			"door": r.Door, "reason": r.Reason, "detail": r.Detail, "personal": r.Personal})
	})
	if err != nil {
		return err
	}
	return out.Flush()
}

func newSessionsCommand() *cobra.Command {
	var person, inGroup string
	end := &cobra.Command{Use: "end", Short: "End all sessions of a person or of a group", Args: takes(0, ""),
		RunE: asOperator(func(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, _ []string) error {
			if (person == "") == (inGroup == "") {
				return usagef("say whose sessions end: --person USERNAME or --group GROUP")
			}
			if inGroup != "" {
				n, members, err := h.manage.EndSessionsOfGroup(ctx, by, inGroup)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%d sessions of %d people ended.\n", n, members)
				return nil
			}
			p, err := h.named(ctx, by, person)
			if err != nil {
				return err
			}
			n, err := h.manage.EndSessions(ctx, by, people.ID(p.ID), "")
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d sessions of %s ended.\n", n, p.Username)
			return nil
		})}
	end.Flags().StringVar(&person, "person", "", "a username")
	end.Flags().StringVar(&inGroup, "group", "", "a group")
	return withConfig(group("sessions", "Sessions: end them, for a bad night", end))
}
