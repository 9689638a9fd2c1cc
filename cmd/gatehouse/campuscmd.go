package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/campus"
	"github.com/gatehouse-id/gatehouse/internal/manage"
)

func newPlanCommand() *cobra.Command {
	return withConfig(&cobra.Command{Use: "plan FILE", Short: "Show what a campus file would change", Args: takes(1, "one campus file"),
		RunE: asOperator(func(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, args []string) error {
			c, err := readCampus(args[0])
			if err != nil {
				return err
			}
			changes, _, err := h.plan(ctx, by, c)
			if err != nil {
				return err
			}
			printChanges(cmd.OutOrStdout(), changes)
			return nil
		})})
}

func newApplyCommand() *cobra.Command {
	var why string
	c := withConfig(&cobra.Command{Use: "apply FILE", Short: "Make a campus file so: policy and applications", Args: takes(1, "one campus file"),
		Long: "The policy becomes wholly the file's, as one more version of the record. Applications in the file are added or changed; others stay.\n" +
			"A new application's client secret is printed this once.",
		RunE: asOperator(func(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, args []string) error {
			c, err := readCampus(args[0])
			if err != nil {
				return err
			}
			src, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			changes, version, err := h.plan(ctx, by, c)
			if err != nil {
				return err
			}
			printChanges(cmd.OutOrStdout(), changes)
			if len(changes) == 0 {
				return nil
			}
			return h.apply(ctx, by, c, src, version, why, cmd.OutOrStdout())
		})})
	c.Flags().StringVar(&why, "why", "campus file applied", "the reason, for the policy's history and the audit trail")
	return c
}

func printChanges(w io.Writer, changes []campus.Change) {
	if len(changes) == 0 {
		fmt.Fprintln(w, "Nothing to change.")
	}
	for _, c := range changes {
		fmt.Fprintln(w, c)
	}
}

// plan compares a campus with what is in force; version is the policy's.
func (h *house) plan(ctx context.Context, by manage.By, c campus.Campus) ([]campus.Change, int64, error) {
	p, err := h.manage.Policy(ctx, by)
	if err != nil {
		return nil, 0, err
	}
	all, err := h.apps.List(ctx)
	if err != nil {
		return nil, 0, err
	}
	return campus.Plan(campus.CurrentState(p, all), c.State()), p.Version, nil
}

// apply puts the campus' policy in force after the version it was planned against, and registers its applications.
// New secrets are printed where out is given.
func (h *house) apply(ctx context.Context, by manage.By, c campus.Campus, src []byte, version int64, why string, out io.Writer) error {
	p := c.Policy
	p.Version = version
	if _, err := h.manage.SetPolicy(ctx, by, p, src, why); err != nil {
		return err
	}
	all, err := h.apps.List(ctx)
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for _, a := range all {
		have[a.OIDC.ClientID] = true
	}
	var wanted []apps.Application
	made := map[string]string{}
	for _, a := range c.Applications {
		if a.GenerateSecret && !have[a.OIDC.ClientID] {
			shown, hash := apps.NewSecret()
			a.OIDC.SecretHashes = [][]byte{hash}
			made[a.OIDC.ClientID] = shown.Reveal()
		}
		wanted = append(wanted, a.Application)
	}
	if _, err := h.apps.Apply(ctx, by.Actor, wanted); err != nil {
		return err
	}
	for _, a := range wanted {
		if s := made[a.OIDC.ClientID]; s != "" {
			fmt.Fprintf(out, "%s: client_id %s, client_secret %s (shown this once)\n", a.Name, a.OIDC.ClientID, s)
		}
	}
	return nil
}
