// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"sync"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/relay"
	"github.com/parley-ipc/parley/transport"
)

func relayVerb(a *app) *cobra.Command {
	var c connectFlags
	var once bool
	cmd := &cobra.Command{
		Use:   "relay LISTEN-ADDR DIAL-ADDR",
		Short: "Bridge two addresses, of any two transports",
		Long: `Listens on the first address and, for each connection, dials the second and
copies both ways, keeping half-close and back-pressure. Policy is asked about
whoever connects to the first; to the second, the relay itself is the peer.`,
		Example: `  parley relay tls://0.0.0.0:7000 shm://orders --cert s.pem --key s.key --ca ca.pem --allow 'spiffe://corp/**'
  parley relay unix://db tcp://127.0.0.1:5432`,
		Args: exactArgs(2, "LISTEN-ADDR DIAL-ADDR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := betweenProcesses(args[1]); err != nil { // before anybody connects
				return err
			}
			ln, err := a.listen(cmd.Context(), &c, args[0], nil)
			if err != nil {
				return err
			}
			a.log.Info("relaying", "from", ln.Address().String(), "to", args[1])
			return errors.Join(a.relay(cmd.Context(), ln, &c, args[1], once), ln.Close())
		},
	}
	c.addListen(cmd)
	cmd.Flags().BoolVar(&once, "once", false, "end after the first connection")
	return cmd
}

func (a *app) relay(ctx context.Context, ln transport.Listener, c *connectFlags, to string, once bool) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		from, err := ln.AcceptConn(ctx)
		if err != nil {
			if ctx.Err() != nil || fault.KindOf(err) == fault.Closed {
				return nil
			}
			return err
		}
		if once {
			return a.bridge(ctx, from, c, to)
		}
		wg.Go(func() {
			if err := a.bridge(ctx, from, c, to); err != nil {
				a.log.Warn("connection ended", "peer", from.Peer().String(), "error", err)
			}
		})
	}
}

func (a *app) bridge(ctx context.Context, from transport.Conn, c *connectFlags, address string) error {
	defer func() { _ = from.Close() }()
	to, err := a.dial(ctx, c, address)
	if err != nil {
		return err
	}
	defer func() { _ = to.Close() }()
	return relay.Copy(ctx, from, to)
}
