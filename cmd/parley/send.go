// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/relay"
	"github.com/parley-ipc/parley/internal/transfer"
	"github.com/parley-ipc/parley/message"
)

// A filed is one file of parley send or receive in JSON.
type filed struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"`
	Error  string `json:"error,omitempty"`
}

func sendVerb(a *app) *cobra.Command {
	var c connectFlags
	var name string
	var raw bool
	cmd := &cobra.Command{
		Use:   "send ADDR FILE…|-",
		Short: "Send files to a parley receive, or one file's bytes to anybody",
		Long: `Sends files, each with its base name, mode and checksum, and ends when the
receiver has acknowledged every one: whole, checked and under its final name.
"-" is stdin. A file that cannot be read or is not taken does not keep the others
from being sent; the exit code is then 1. --timeout bounds the wait for the
receiver to listen, never the transfer.

With --raw the bytes of one file and nothing else go to whoever listens: no name,
no checksum, and nobody acknowledges them. Over unix, tcp and fifo the kernel
moves them, as for parley dial ADDR <FILE, which also prints what is answered.`,
		Example: `  parley send shm://inbox report.pdf photo.jpg
  tar c src | parley send tls://host:7000 - --name src.tar --ca ca.pem --cert me.crt --key me.key
  parley send --raw tcp://host:7000 disk.img        # there: parley listen … >disk.img
  parley send "exec:ssh host parley receive stdio: --dir backup" big.img`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := minArgs(2, "ADDR FILE…|-")(cmd, args); err != nil {
				return err
			}
			if raw && (len(args) != 2 || name != "") {
				return usageError{errors.New("--raw sends one file, without a name")}
			}
			return checkStdinName(args[1:], name)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if raw {
				return a.sendRaw(cmd.Context(), &c, args[0], args[1])
			}
			return a.send(cmd.Context(), &c, args[0], args[1:], name)
		},
	}
	c.addDial(cmd)
	cmd.Flags().StringVar(&name, "name", "", `what "-" is called over there (default "stdin")`)
	cmd.Flags().BoolVar(&raw, "raw", false, "the bytes of one file and nothing else")
	return cmd
}

// checkStdinName refuses what could only be a mistake about "-".
func checkStdinName(files []string, name string) error {
	first := slices.Index(files, "-")
	switch {
	case first >= 0 && slices.Contains(files[first+1:], "-"):
		return usageError{errors.New("stdin can be sent once: write - once")}
	case name == "":
		return nil
	case first < 0:
		return usageError{errors.New("--name names stdin, which is not sent: write - among the files")}
	}
	if err := transfer.CheckName(name); err != nil {
		return usageError{fmt.Errorf("--name: %w", err)}
	}
	return nil
}

func (a *app) send(ctx context.Context, c *connectFlags, address string, files []string, name string) (err error) {
	conn, err := a.dial(ctx, c, address)
	if err != nil {
		return err
	}
	mc := message.NewConn(conn, message.Config{})
	defer func() { err = errors.Join(err, mc.Close()) }()
	bar := newProgress(a.err)
	defer bar.clear()
	var unsent int
	err = transfer.Send(ctx, mc, files, transfer.SendOptions{
		Stdin:    a.in,
		Name:     name,
		Progress: func(p transfer.Progress) { bar.show(p.Name, p.Done, p.Total) },
		Sent: func(s transfer.Sent) {
			bar.clear()
			f := filed{Name: s.Name, Size: s.Size, SHA256: hex.EncodeToString(s.SHA256[:])}
			if s.Err != nil {
				unsent++
				f = filed{Name: s.Name, Error: s.Err.Error()}
			}
			a.printFile("sent", f)
		},
	})
	if unsent > 0 {
		err = failedError{err}
	}
	a.awaitGoodbye(ctx, mc)
	return err
}

// sendRaw leaves the bytes to the kernel wherever it can move them.
func (a *app) sendRaw(ctx context.Context, c *connectFlags, address, name string) error {
	in := a.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return failedError{fault.Wrap("send", name, err)}
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	conn, err := a.dial(ctx, c, address)
	if err != nil {
		return err
	}
	return relay.Stdio(ctx, conn, in, io.Discard)
}

// awaitGoodbye lets the receiver end first, so that what lies between the two
// sees an orderly end. All is acknowledged, or lost: how it ends is no news.
func (a *app) awaitGoodbye(ctx context.Context, mc *message.Conn) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	if m, err := mc.Receive(ctx); err == nil {
		m.Release()
	}
}

// printFile reports one file. Text has no line for a failure: it is part of
// the error that ends the command.
func (a *app) printFile(done string, f filed) {
	switch {
	case a.json:
		_ = a.printJSON(f)
	case f.Error == "":
		fmt.Fprintf(a.out, "%s %s  %s  sha256 %s\n", done, f.Name, byteCount(uint64(f.Size)), f.SHA256)
	}
}
