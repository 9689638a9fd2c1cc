// Command gatehouse is the sign-in service of a university or a hospital: one program that serves, and that
// operators keep it with.
//
//	gatehouse demo                    a living campus on this machine, nothing to set up
//	gatehouse init ─► serve           the real thing, from a configuration file
//	gatehouse people|apps|audit|…     the operator's acts, each written into the audit trail
//
// This package alone reads configuration; it hands every other package the few values it needs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/fault"
)

// Exit codes.
const (
	exitFailed = 1 // the act did not happen, or the trail is not whole
	exitUsage  = 2 // the command line or a file was not understood
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is main without the process around it.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	stdout, stderr = terminal{stdout}, terminal{stderr}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "gatehouse: "+explain(err))
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

// usageError is a mistake in what was written, on the command line or in a file.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// explain is an error for the operator at the machine: what to do, and the cause where there is one.
func explain(err error) string {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err.Error()
	}
	text := f.Public
	for _, key := range []string{"text", "scope", "role", "field", "uri"} {
		if v, ok := f.Params[key]; ok {
			text += fmt.Sprintf(" (%s: %v)", key, v)
		}
	}
	if cause := f.Unwrap(); cause != nil {
		text += " [" + cause.Error() + "]"
	}
	if before, _, found := strings.Cut(err.Error(), f.Error()); found && before != "" {
		text = before + text // what wrapped the fault says where
	}
	return text
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "gatehouse",
		Short: "The sign-in service of a university or a hospital",
		Long: "Gatehouse signs people in: passkeys, passwords with passcodes, one policy for every application.\n\n" +
			"Try it:       gatehouse demo\nSet it up:    gatehouse init --config gatehouse.yaml\nRun it:       gatehouse serve --config gatehouse.yaml",
		SilenceErrors: true, SilenceUsage: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("there is no command %q; \"gatehouse help\" lists them", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w; \"%s --help\" lists what it takes", err, cmd.CommandPath())
	})
	root.AddCommand(newServeCommand(), newDemoCommand(), newInitCommand(), newMigrateCommand(), newPeopleCommand(),
		newAppsCommand(), newPlanCommand(), newApplyCommand(), newAuditCommand(), newSessionsCommand(), newKeysCommand(),
		newTokensCommand(), newIncidentsCommand(), newDevCommand(), newBenchCommand(), newVersionCommand())
	return root
}

// group is a command that only holds others.
func group(use, short string, sub ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("there is no command %q under %s; \"%s --help\" lists them", args[0], cmd.CommandPath(), cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(sub...)
	return c
}

// takes checks the number of arguments and names what is wanted.
func takes(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			if n == 0 {
				return usagef("%s takes no argument", cmd.CommandPath())
			}
			return usagef("%s wants %s", cmd.CommandPath(), what)
		}
		return nil
	}
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: takes(0, ""), RunE: func(cmd *cobra.Command, _ []string) error {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "gatehouse", version())
		return err
	}}
}

// version is the module's version, or the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "development " + s.Value[:min(12, len(s.Value))]
		}
	}
	return "development"
}
