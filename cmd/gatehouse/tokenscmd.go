package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/manage"
)

func newTokensCommand() *cobra.Command {
	var scopes []string
	var days int
	names := make([]string, 0, 9)
	for _, s := range manage.Scopes() {
		names = append(names, string(s))
	}
	add := &cobra.Command{Use: "add NAME", Short: "Make a token for the administration API", Args: takes(1, "a name for the token"),
		RunE: asOperator(func(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, args []string) error {
			if len(scopes) == 0 {
				return usagef("say what the token may do: --scope, one or more of %s", strings.Join(names, ", "))
			}
			granted := make([]manage.Scope, len(scopes))
			for i, s := range scopes {
				granted[i] = manage.Scope(s)
			}
			_, shown, err := h.manage.AddToken(ctx, by, args[0], granted, time.Duration(days)*24*time.Hour)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "token:  %s\nIt is shown this once; only a hash is kept.\n", shown.Reveal())
			return err
		})}
	add.Flags().StringSliceVar(&scopes, "scope", nil, strings.Join(names, ", "))
	add.Flags().IntVar(&days, "days", 30, "for how many days, at most 366")
	listing := &cobra.Command{Use: "list", Short: "List tokens", Args: takes(0, ""),
		RunE: asOperator(func(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, _ []string) error {
			all, err := h.manage.Tokens(ctx, by)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tEXPIRES\tSCOPES")
			for _, t := range all {
				fmt.Fprintf(w, "%s\t%s\t%s\n", t.Name, t.Expires.UTC().Format("2006-01-02"), strings.Join(t.Scopes, " "))
			}
			return w.Flush()
		})}
	remove := &cobra.Command{Use: "remove NAME", Short: "End a token at once", Args: takes(1, "the token's name"),
		RunE: asOperator(func(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, args []string) error {
			if err := h.manage.RemoveToken(ctx, by, args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is removed.\n", args[0])
			return err
		})}
	return withConfig(group("tokens", "Tokens for the administration API: add, list, remove", add, listing, remove))
}
