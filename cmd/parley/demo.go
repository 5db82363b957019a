// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/parley-ipc/parley/internal/demo"
)

func demoVerb(a *app) *cobra.Command {
	var only []string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Let real processes talk over every transport, and check each",
		Long: `Starts real processes and has them talk over every transport. Each cell of the
tables is a check: bytes both ways against their SHA-256, round trips while both
sides are awake and after both slept, throughput, an open file each way, who
each side takes the other for, a stranger who is refused, and what we notice
when the other process is killed. The exit code is 1 if any of them fails.

As root the stranger is a process of another user; otherwise a rule refuses
ourselves. Everything it makes lies in a temporary directory, and goes with it.`,
		Example: `  parley demo
  parley demo --only shm,unix
  parley demo --json`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := knownRows(only); err != nil {
				return err
			}
			program, err := asPeer()
			if err != nil {
				return err
			}
			cfg := demo.Config{Program: program, Stderr: a.err, Progress: a.progress()}
			if len(only) > 0 {
				cfg.Only = func(mechanism string) bool { return slices.Contains(only, mechanism) }
			}
			report, err := demo.Run(cmd.Context(), cfg)
			a.endProgress()
			if err != nil {
				return err
			}
			return a.printDemo(report)
		},
	}
	cmd.Flags().StringSliceVar(&only, "only", nil, "play these rows only")
	return cmd
}

func knownRows(only []string) error {
	for _, name := range only {
		if !slices.Contains(demo.Mechanisms(), name) {
			return usageError{fmt.Errorf("--only %s: there is no such row: choose from %v", name, demo.Mechanisms())}
		}
	}
	return nil
}

func (a *app) printDemo(report demo.Report) error {
	show := func() error { return report.Print(a.out, isTerminal(a.out) && os.Getenv("NO_COLOR") == "") }
	if a.json {
		show = func() error { return a.printJSON(report) }
	}
	if err := show(); err != nil {
		return err
	}
	if report.Failed > 0 {
		return codeError(exitFailed)
	}
	return nil
}

// progress says on a terminal what is under way, on one line.
func (a *app) progress() func(mechanism, section string) {
	if !isTerminal(a.err) {
		return nil
	}
	return func(mechanism, section string) { fmt.Fprintf(a.err, "\r\x1b[K%s: %s …", section, mechanism) }
}

func (a *app) endProgress() {
	if isTerminal(a.err) {
		fmt.Fprint(a.err, "\r\x1b[K")
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
