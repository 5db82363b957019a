// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/internal/peer"
)

// peerVerb is what demo and bench start as their other process. It is not for
// people.
func peerVerb(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "peer ROLE",
		Short: "Be the other process of demo and bench",
		Long: `What demo and bench start, not for people: it listens, or intrudes, as ROLE
says in JSON, and tells on stdout what happens. It ends when stdin does.`,
		Example: `  parley peer '{"address": "unix:///tmp/here"}'`,
		Hidden:  true,
		Args:    exactArgs(1, "ROLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			role, err := peer.ParseRole(args[0])
			if err != nil {
				return err
			}
			return peer.Run(cmd.Context(), role, a.in, a.out)
		},
	}
}

// asPeer is how to start this program as a peer.
func asPeer() ([]string, error) {
	self, err := os.Executable()
	return []string{self, "peer"}, err
}
