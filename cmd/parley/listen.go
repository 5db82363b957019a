// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/relay"
	"github.com/parley-ipc/parley/transport"
)

type listenFlags struct {
	connectFlags
	keep    bool
	command string
	whoami  bool
}

func listenVerb(a *app) *cobra.Command {
	var f listenFlags
	cmd := &cobra.Command{
		Use:   "listen ADDR",
		Short: "Listen on ADDR and join a connection to stdin and stdout",
		Long: `Listens on ADDR, takes one connection and copies stdin to it and what comes
from it to stdout, like netcat. The end of stdin ends our direction only, and
the command ends when both sides have ended theirs.

With --keep it goes on taking connections: without --exec one after the other,
stdin going to the first; with --exec as many at once as come. With --exec, CMD
gets each connection as its stdin and stdout; without --keep its exit code is
ours, a failure of our own is 125, and a CMD that cannot be run 126 or 127. With
--whoami each connection is told, in one line of JSON, who it is to us, and
closed (see parley whoami --ask).`,
		Example: `  parley listen shm://echo --keep --exec cat
  parley listen unix://inbox >got
  parley listen tls://0.0.0.0:7000 --cert s.pem --key s.key --ca ca.pem --allow 'spiffe://corp/**'`,
		Args: exactArgs(1, "ADDR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := a.listenAndServe(cmd.Context(), &f, args[0])
			if f.command != "" && !f.keep {
				return a.commandResult(err)
			}
			return err
		},
	}
	f.addListen(cmd)
	cmd.Flags().BoolVar(&f.keep, "keep", false, "go on after the first connection")
	cmd.Flags().StringVar(&f.command, "exec", "", "run CMD on each connection")
	cmd.Flags().BoolVar(&f.whoami, "whoami", false, "tell each connection who it is, and close it")
	return cmd
}

func (a *app) listenAndServe(ctx context.Context, f *listenFlags, address string) error {
	ln, err := a.listen(ctx, &f.connectFlags, address, nil)
	if err != nil {
		return err
	}
	a.log.Info("listening", "address", ln.Address().String())
	return errors.Join(a.serve(ctx, ln, f), ln.Close())
}

// serve handles connections until the listener or ctx ends. Only with --keep
// and --exec (or --whoami) do they run at once.
func (a *app) serve(ctx context.Context, ln transport.Listener, f *listenFlags) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	in := io.Reader(a.in)
	for {
		conn, err := ln.AcceptConn(ctx)
		if err != nil {
			if ctx.Err() != nil || fault.KindOf(err) == fault.Closed {
				return nil // asked to end, or stdio: has ended
			}
			return err
		}
		a.log.Info("connected", "peer", conn.Peer().String(), "method", string(conn.Peer().Method))
		if !f.keep {
			return errors.Join(a.handle(ctx, conn, f, in), conn.Close())
		}
		work := func() {
			defer func() { _ = conn.Close() }()
			if err := a.handle(ctx, conn, f, in); err != nil {
				a.log.Warn("connection ended", "peer", conn.Peer().String(), "error", err)
			}
		}
		if f.command == "" && !f.whoami {
			work()
			in = noInput{}
			continue
		}
		wg.Go(work)
	}
}

func (a *app) handle(ctx context.Context, conn transport.Conn, f *listenFlags, in io.Reader) error {
	switch {
	case f.whoami:
		return tellIdentity(conn)
	case f.command != "":
		return a.runOn(ctx, conn, f.command)
	}
	return relay.Stdio(ctx, conn, in, a.out)
}

// noInput is a stdin that has ended.
type noInput struct{}

func (noInput) Read([]byte) (int, error) { return 0, io.EOF }
