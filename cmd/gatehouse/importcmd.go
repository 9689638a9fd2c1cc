package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/manage"
	"github.com/gatehouse-id/gatehouse/internal/people"
)

// importColumns are the columns of a people file; only username must be there.
var importColumns = []string{"username", "email", "display_name", "given_name", "family_name", "locale", "groups", "roles"}

func newPeopleImport() *cobra.Command {
	var dryRun bool
	c := &cobra.Command{Use: "import FILE.csv", Short: "Add or change people from a CSV file", Args: takes(1, "one CSV file (or - for standard input)"),
		Long: "The first line names the columns: " + strings.Join(importColumns, ", ") + ".\n" +
			"Groups and roles are separated by semicolons. A username that exists is changed, one that does not is added, nobody is removed:\n" +
			"running the same file again changes nothing. Each bad row is named and left out; the others are done.",
		RunE: asOperator(func(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, args []string) error {
			name, in := args[0], cmd.InOrStdin()
			if name != "-" {
				f, err := os.Open(name)
				if err != nil {
					return usageError{err}
				}
				defer f.Close()
				in = f
			}
			r, err := h.importPeople(ctx, by, name, in, dryRun, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			would := ""
			if dryRun {
				would = " (dry run: nothing was written)"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d added, %d changed, %d unchanged, %d refused%s\n", r.added, r.changed, r.same, r.refused, would)
			if r.refused > 0 {
				return fmt.Errorf("%d rows were refused; correct them and run the same file again", r.refused)
			}
			return nil
		})}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "say what would happen and write nothing")
	return c
}

type importResult struct{ added, changed, same, refused int }

// importPeople does one row a transaction: a row that fails takes no other with it, and what was done stays done.
func (h *house) importPeople(ctx context.Context, by manage.By, name string, in io.Reader, dryRun bool, report io.Writer) (r importResult, err error) {
	file := csv.NewReader(in)
	file.FieldsPerRecord = -1
	head, err := file.Read()
	if err != nil {
		return r, usagef("%s:1:1: the first line names the columns, like username,email,display_name,groups", name)
	}
	head[0] = strings.TrimPrefix(head[0], "\ufeff")
	for i, column := range head {
		head[i] = strings.ToLower(strings.TrimSpace(column))
		if !slices.Contains(importColumns, head[i]) || slices.Contains(head[:i], head[i]) {
			line, col := file.FieldPos(i)
			return r, usagef("%s:%d:%d: %q is no column here, or stands twice; the columns are %s", name, line, col, column, strings.Join(importColumns, ", "))
		}
	}
	if !slices.Contains(head, "username") {
		return r, usagef("%s:1:1: there is no column username", name)
	}
	seen := map[string]int{}
	for {
		row, err := file.Read()
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err == nil {
			err = h.importRow(ctx, by, head, row, seen, dryRun, &r)
		}
		if err == nil {
			continue
		}
		var bad *csv.ParseError
		if ctx.Err() != nil || fault.IsKind(err, fault.Internal) && !errors.As(err, &bad) {
			return r, err
		}
		r.refused++
		if bad != nil {
			fmt.Fprintf(report, "%s:%d:%d: %v\n", name, bad.Line, bad.Column, bad.Err)
			continue
		}
		line, column := file.FieldPos(0)
		fmt.Fprintf(report, "%s:%d:%d: %s\n", name, line, column, explain(err))
	}
}

func (h *house) importRow(ctx context.Context, by manage.By, head, row []string, seen map[string]int, dryRun bool, r *importResult) error {
	if len(row) != len(head) {
		return fault.New(fault.BadInput, "import.columns", fmt.Sprintf("This row has %d fields; the first line names %d.", len(row), len(head)))
	}
	var d manage.Details
	at := func(column string) string {
		if i := slices.Index(head, column); i >= 0 {
			return strings.TrimSpace(row[i])
		}
		return ""
	}
	d.Username = at("username")
	key := people.Normalise(d.Username)
	if seen[key]++; seen[key] > 1 {
		return fault.New(fault.BadInput, "import.twice", "This username stands in the file more than once.")
	}
	have, err := h.manage.Person(ctx, by, d.Username)
	exists := err == nil && people.Normalise(have.Username) == key
	if err != nil && !fault.IsKind(err, fault.NotFound) {
		return err
	}
	if exists { // columns that the file does not have stay as they are
		d = manage.Details{Username: have.Username, Email: have.Email, DisplayName: have.DisplayName, GivenName: have.GivenName,
			FamilyName: have.FamilyName, Locale: have.Locale, Groups: have.Groups, Roles: have.Roles}
	}
	for _, column := range head {
		switch v := at(column); column {
		case "username":
			d.Username = v
		case "email":
			d.Email = v
		case "display_name":
			d.DisplayName = v
		case "given_name":
			d.GivenName = v
		case "family_name":
			d.FamilyName = v
		case "locale":
			d.Locale = v
		case "groups":
			d.Groups = list(v)
		case "roles":
			d.Roles = nil
			for _, role := range list(v) {
				d.Roles = append(d.Roles, people.Role(role))
			}
		}
	}
	return h.importOne(ctx, by, have, exists, d, dryRun, r)
}

func (h *house) importOne(ctx context.Context, by manage.By, have people.Person, exists bool, d manage.Details, dryRun bool, r *importResult) error {
	if err := d.Check(); err != nil {
		return err
	}
	if !exists {
		if !dryRun {
			if _, err := h.manage.AddPerson(ctx, by, d); err != nil {
				return err
			}
		}
		r.added++
		return nil
	}
	changed := d.Differs(have)
	if !dryRun && changed {
		var err error
		if _, changed, err = h.manage.ChangePerson(ctx, by, have.ID, have.Version, d); err != nil {
			return err
		}
	}
	if changed {
		r.changed++
	} else {
		r.same++
	}
	return nil
}

func list(s string) []string {
	var out []string
	for _, item := range strings.Split(s, ";") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}
