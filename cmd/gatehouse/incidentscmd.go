package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/incident"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/people"
)

func newIncidentsCommand() *cobra.Command {
	return withConfig(group("incidents", "What members reported, and floods: list, close", newIncidentsList(), newIncidentsClose()))
}

// clockForm is how times look on the command line.
const clockForm = "2006-01-02 15:04 MST"

// incidentKinds say in words what a kind is.
var incidentKinds = map[string]string{incident.Reported: "not me", incident.Flood: "flood of requests", incident.Cap: "sending cap reached"}

func newIncidentsList() *cobra.Command {
	var all bool
	var name string
	c := &cobra.Command{Use: "list", Short: "List open incidents, newest first", Args: takes(0, ""),
		RunE: asOperator(func(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, _ []string) error {
			var who people.ID
			if name != "" {
				p, err := h.named(ctx, by, name)
				if err != nil {
					return err
				}
				who = p.ID
			}
			list, err := h.manage.Incidents(ctx, by, who, all, 200)
			if err != nil {
				return err
			}
			if len(list) == 0 {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), "No incident is open.")
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tOPENED\tWHAT\tWHO\tTIMES\tFROM\tCLOSED")
			for _, i := range list {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", i.ID, i.Opened.UTC().Format(clockForm), incidentKinds[i.Kind], orDash(i.Username), i.Count,
					orDash(i.Personal["address"]), closedBy(i.Incident))
			}
			return w.Flush()
		})}
	c.Flags().BoolVar(&all, "all", false, "closed ones too")
	c.Flags().StringVar(&name, "person", "", "only those about this username")
	return c
}

func closedBy(i incident.Incident) string {
	if i.Closed.IsZero() {
		return "-"
	}
	return i.ClosedBy + ": " + i.Why
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func newIncidentsClose() *cobra.Command {
	var why string
	c := &cobra.Command{Use: "close ID", Short: "Close an incident that was looked at", Args: takes(1, "the incident's id: \"gatehouse incidents list\" shows it"),
		RunE: asOperator(func(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, args []string) error {
			if strings.TrimSpace(why) == "" {
				return usagef("say with --why what was found and done; it goes into the audit trail")
			}
			if err := h.manage.CloseIncident(ctx, by, args[0], why); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is closed.\n", args[0])
			return err
		})}
	c.Flags().StringVar(&why, "why", "", "what was found and done, for the audit trail")
	return c
}

func newPeopleRequests() *cobra.Command {
	return &cobra.Command{Use: "requests USERNAME", Short: "Show the requests and codes that were sent to a person lately, and how far each came",
		Args: takes(1, "one username"),
		Long: "For a member who says that nothing arrives: accepted is the push service's or gateway's word, shown is the phone's own.\n" +
			"Numbers and codes are not shown.",
		RunE: asOperator(func(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, args []string) error {
			p, err := h.named(ctx, by, args[0])
			if err != nil {
				return err
			}
			list, err := h.manage.Requests(ctx, by, p.ID, 20)
			if err != nil {
				return err
			}
			if len(list) == 0 {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "Nothing was sent to %s in the last 30 days.\n", p.Username)
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "SENT\tBY\tFOR\tFROM\tSTANDS\tDEVICE\tDELIVERY")
			for _, r := range list {
				line := []string{r.Created.UTC().Format(clockForm), r.Via, orDash(r.Application), orDash(r.Address), strings.ReplaceAll(r.Standing, "_", " ")}
				if len(r.Deliveries) == 0 {
					fmt.Fprintln(w, strings.Join(append(line, "-", "-"), "\t"))
				}
				for _, d := range r.Deliveries {
					fmt.Fprintln(w, strings.Join(append(line, orDash(d.Name), delivered(d)), "\t"))
					line = []string{"", "", "", "", ""}
				}
			}
			return w.Flush()
		})}
}

func delivered(d manage.RequestDelivery) string {
	text := strings.ReplaceAll(d.State, "_", " ")
	if d.Detail != "" {
		text += " (" + d.Detail + ")"
	}
	return text + " " + d.At.UTC().Format(time.TimeOnly)
}
