// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

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
