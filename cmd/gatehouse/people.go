package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/people"
)

func newPeopleCommand() *cobra.Command {
	return withConfig(group("people", "People: add, invite, list, requests, reset, suspend, restore, erase, import",
		newPeopleAdd(), newPeopleInvite(), newPeopleList(), newPeopleRequests(), newPeopleReset(), newPeopleState("suspend"), newPeopleState("restore"), newPeopleErase(), newPeopleImport()))
}

func newPeopleAdd() *cobra.Command {
	var d manage.Details
	var roles []string
	var invite bool
	c := &cobra.Command{Use: "add USERNAME", Short: "Add a person", Args: takes(1, "one username"),
		RunE: asOperator(func(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, args []string) error {
			d.Username = args[0]
			for _, r := range roles {
				d.Roles = append(d.Roles, people.Role(r))
			}
			p, err := h.manage.AddPerson(ctx, by, d)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Added %s (%s).\n", p.Username, p.ID)
			if !invite {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "They cannot sign in yet: gatehouse people reset %s prints an invitation.\n", p.Username)
				return err
			}
			typed, expires, err := h.manage.Invite(ctx, by, p.ID, "invitation", manage.InviteFor)
			if err != nil {
				return err
			}
			return printTyped(cmd, h, p, typed.Reveal(), expires)
		})}
	f := c.Flags()
	f.StringVar(&d.Email, "email", "", "address for notices")
	f.StringVar(&d.DisplayName, "name", "", "name as shown")
	f.StringVar(&d.GivenName, "given", "", "given name")
	f.StringVar(&d.FamilyName, "family", "", "family name")
	f.StringVar(&d.Locale, "locale", "", "language, like en or nl")
	f.StringSliceVar(&d.Groups, "group", nil, "group (may be repeated)")
	f.StringSliceVar(&roles, "role", nil, "desk, application-owner, auditor or administrator")
	f.BoolVar(&invite, "invite", false, "also print an invitation to register a first method")
	return c
}

func newPeopleInvite() *cobra.Command {
	var mail bool
	c := &cobra.Command{Use: "invite USERNAME", Short: "Invite somebody who has no method yet to register a first one", Args: takes(1, "one username"),
		RunE: asOperator(func(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, args []string) error {
			p, err := h.named(ctx, by, args[0])
			if err != nil {
				return err
			}
			if mail {
				expires, err := h.manage.InviteByMail(ctx, by, p.ID)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "An invitation for %s is on its way to %s; it is valid until %s.\n", p.Username, p.Email,
					expires.UTC().Format(clockForm))
				return err
			}
			typed, expires, err := h.manage.Invite(ctx, by, p.ID, "invitation", manage.InviteFor)
			if err != nil {
				return err
			}
			return printTyped(cmd, h, p, typed.Reveal(), expires)
		})}
	c.Flags().BoolVar(&mail, "mail", false, "send it to the person's address instead of printing it")
	return c
}

// named finds a person by username, address or ID.
func (h *house) named(ctx context.Context, by manage.By, name string) (people.Person, error) {
	p, err := h.manage.Person(ctx, by, name)
	if fault.IsKind(err, fault.NotFound) {
		return p, fmt.Errorf("nobody here has the username %q: \"gatehouse people list\" shows everybody", name)
	}
	return p, err
}

func printTyped(cmd *cobra.Command, h *house, p people.Person, typed string, expires time.Time) error {
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "Until %s, %s may open %s/welcome and type:\n\n    %s\n\n",
		expires.UTC().Format(clockForm), p.Username, h.issuer(), typed)
	return err
}

func newPeopleList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "list", Short: "List people by username", Args: takes(0, ""),
		RunE: asOperator(func(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, _ []string) error {
			if asJSON {
				encode := json.NewEncoder(cmd.OutOrStdout())
				return h.manage.EachPerson(ctx, by, func(p people.Person) error {
					return encode.Encode(map[string]any{"id": p.ID, "username": p.Username, "email": p.Email, "display_name": p.DisplayName,
						"groups": p.Groups, "roles": p.Roles, "state": p.State.String()})
				})
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "USERNAME\tSTATE\tNAME\tGROUPS\tROLES")
			err := h.manage.EachPerson(ctx, by, func(p people.Person) error {
				roles := make([]string, len(p.Roles))
				for i, r := range p.Roles {
					roles[i] = string(r)
				}
				_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", p.Username, p.State, p.DisplayName, strings.Join(p.Groups, " "), strings.Join(roles, " "))
				return err
			})
			if err != nil {
				return err
			}
			return w.Flush()
		})}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return c
}

func newPeopleReset() *cobra.Command {
	var why string
	c := &cobra.Command{Use: "reset USERNAME", Short: "For somebody who lost everything: remove all methods, print a new invitation",
		Args: takes(1, "one username"),
		RunE: asOperator(func(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, args []string) error {
			p, err := h.named(ctx, by, args[0])
			if err != nil {
				return err
			}
			typed, expires, err := h.manage.Reset(ctx, by, p.ID, why)
			if err != nil {
				return err
			}
			return printTyped(cmd, h, p, typed.Reveal(), expires)
		})}
	c.Flags().StringVar(&why, "why", "", "the reason, for the audit trail")
	return c
}

func newPeopleErase() *cobra.Command {
	return &cobra.Command{Use: "erase USERNAME", Short: "Remove a suspended or invited person and everything that names them, for good",
		Args: takes(1, "one username"),
		Long: "Erase cannot be undone. The audit trail still verifies afterwards: what it holds about the person can no longer be read.\n" +
			"Backups from before hold it until they are gone.",
		RunE: asOperator(func(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, args []string) error {
			p, err := h.named(ctx, by, args[0])
			if err != nil {
				return err
			}
			if err := h.manage.ErasePerson(ctx, by, p.ID); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s erased.\n", p.ID)
			return err
		})}
}

func newPeopleState(what string) *cobra.Command {
	short, done, act := "Let nobody in as this person; sessions and tokens end at once", "suspended", (*manage.Flow).SuspendPerson
	if what == "restore" {
		short, done, act = "Undo a suspension", "restored", (*manage.Flow).RestorePerson
	}
	var why string
	c := &cobra.Command{Use: what + " USERNAME", Short: short, Args: takes(1, "one username"),
		RunE: asOperator(func(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, args []string) error {
			p, err := h.named(ctx, by, args[0])
			if err != nil {
				return err
			}
			if err := act(h.manage, ctx, by, p.ID, why); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s.\n", p.Username, done)
			return err
		})}
	c.Flags().StringVar(&why, "why", "", "the reason, for the audit trail")
	return c
}
