// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/hex"
	"errors"
	"os"
	"sync"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/transfer"
	"github.com/parley-ipc/parley/message"
	"github.com/parley-ipc/parley/transport"
)

type receiveFlags struct {
	connectFlags
	dir               string
	keep, force, sync bool
}

func receiveVerb(a *app) *cobra.Command {
	var f receiveFlags
	cmd := &cobra.Command{
		Use:   "receive ADDR",
		Short: "Receive files from a parley send",
		Long: `Listens on ADDR and receives the files of one parley send into --dir, which is
made if need be. A file takes its name only when it is whole and its checksum
right; one that is there is never replaced unless --force says so; a name that
is more than a base name is refused. What is missing makes the exit code 1.

With --keep it goes on receiving, from several senders at once, until it is
interrupted; failures are then logged. On stdio: the summary goes to stderr.`,
		Example: `  parley receive shm://inbox --dir out
  parley receive tls://0.0.0.0:7000 --keep --dir in --cert s.crt --key s.key --ca ca.pem --allow 'spiffe://corp/**'
  parley send "exec:parley receive stdio: --dir out" big.img`,
		Args: exactArgs(1, "ADDR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(f.dir, 0o777); err != nil { // less the umask
				return hinted(fault.Wrap("receive", f.dir, err), "we may not write there: choose another directory with --dir")
			}
			ln, err := a.listen(cmd.Context(), &f.connectFlags, args[0], message.Refuse)
			if err != nil {
				return err
			}
			a.log.Info("receiving", "address", ln.Address().String(), "directory", f.dir)
			return errors.Join(a.receive(cmd.Context(), ln, &f), ln.Close())
		},
	}
	f.addListen(cmd)
	cmd.Flags().StringVar(&f.dir, "dir", ".", "where the files go")
	cmd.Flags().BoolVar(&f.keep, "keep", false, "go on after the first sender")
	cmd.Flags().BoolVar(&f.force, "force", false, "replace files that are there")
	cmd.Flags().BoolVar(&f.sync, "sync", false, "acknowledge a file only when it is on the disk")
	return cmd
}

func (a *app) receive(ctx context.Context, ln transport.Listener, f *receiveFlags) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	bar := newProgress(a.err)
	defer bar.clear()
	for {
		conn, err := ln.AcceptConn(ctx)
		switch {
		case err == nil:
		case f.keep && (ctx.Err() != nil || fault.KindOf(err) == fault.Closed):
			return nil // asked to end, or stdio: has ended
		default:
			return err
		}
		a.log.Debug("connected", "peer", conn.Peer().String(), "method", string(conn.Peer().Method))
		if !f.keep {
			if err := a.receiveFrom(ctx, conn, f, bar); err != nil {
				return failedError{err}
			}
			return nil
		}
		wg.Go(func() {
			if err := a.receiveFrom(ctx, conn, f, bar); err != nil {
				a.log.Warn("not everything was received", "peer", conn.Peer().String(), "error", err)
			}
		})
	}
}

func (a *app) receiveFrom(ctx context.Context, conn transport.Conn, f *receiveFlags, bar *progress) error {
	mc := message.NewConn(conn, message.Config{MaxFiles: -1})
	err := transfer.Receive(ctx, mc, f.dir, transfer.ReceiveOptions{
		Force:    f.force,
		Sync:     f.sync,
		Progress: func(p transfer.Progress) { bar.show(p.Name, p.Done, p.Total) },
		Received: func(r transfer.Received) {
			bar.clear()
			a.printFile("received", filed{Name: r.Name, Size: r.Size, SHA256: hex.EncodeToString(r.SHA256[:])})
		},
	})
	return errors.Join(err, mc.Close())
}
