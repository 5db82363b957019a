// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// exactArgs wants n arguments, called names in the help.
func exactArgs(n int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return usageError{fmt.Errorf("%s takes %s, and got %d argument(s): see %s --help", cmd.CommandPath(), names, len(args), cmd.CommandPath())}
	}
}

// minArgs wants at least n.
func minArgs(n int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= n {
			return nil
		}
		return usageError{fmt.Errorf("%s takes %s, and got %d argument(s): see %s --help", cmd.CommandPath(), names, len(args), cmd.CommandPath())}
	}
}

// maxArgs wants at most n.
func maxArgs(n int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= n {
			return nil
		}
		return usageError{fmt.Errorf("%s takes %s, and got %d arguments: see %s --help", cmd.CommandPath(), names, len(args), cmd.CommandPath())}
	}
}

// rangeArgs wants from low to high.
func rangeArgs(low, high int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := minArgs(low, names)(cmd, args); err != nil {
			return err
		}
		return maxArgs(high, names)(cmd, args)
	}
}

// misspelt gives cobra's complaint about a verb that is none one line, and what
// to do.
func misspelt(err error) error {
	if err == nil || !strings.HasPrefix(err.Error(), "unknown command") {
		return err
	}
	text, alike, _ := strings.Cut(err.Error(), "\n\nDid you mean this?\n")
	text += ": see parley --help"
	if alike != "" {
		text += ", or try " + strings.Join(strings.Fields(alike), " or ")
	}
	return usageError{errors.New(text)}
}

// wantSubcommand makes a verb that is only a family show its help, and an
// unknown member of it a mistake.
func wantSubcommand(cmd *cobra.Command) {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return usageError{fmt.Errorf("unknown command %q for %q: see %s --help", args[0], cmd.CommandPath(), cmd.CommandPath())}
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}
