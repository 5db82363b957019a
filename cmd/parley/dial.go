// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/internal/relay"
)

func dialVerb(a *app) *cobra.Command {
	var c connectFlags
	var command string
	cmd := &cobra.Command{
		Use:   "dial ADDR",
		Short: "Connect to ADDR and join it to stdin and stdout",
		Long: `Connects to ADDR and copies stdin to it and what comes from it to stdout, like
netcat. The end of stdin ends our direction only, and the command ends when both
sides have ended theirs; at a terminal, when the other side has. With --exec, CMD
gets the connection as its stdin and stdout instead, and its exit code is ours; a
failure of our own is then 125, and a CMD that cannot be run 126 or 127.`,
		Example: `  echo hello | parley dial shm://echo
  parley dial tls://host:7000 --ca ca.pem --cert me.pem --key me.key
  parley dial unix://shell --exec 'sh -i'`,
		Args: exactArgs(1, "ADDR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := a.join(cmd.Context(), &c, args[0], command)
			if command != "" {
				return a.commandResult(err)
			}
			return err
		},
	}
	c.addDial(cmd)
	cmd.Flags().StringVar(&command, "exec", "", "run CMD on the connection")
	return cmd
}

func (a *app) join(ctx context.Context, c *connectFlags, address, command string) error {
	conn, err := a.dial(ctx, c, address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if command != "" {
		return a.runOn(ctx, conn, command)
	}
	return relay.Stdio(ctx, conn, a.in, a.out)
}
