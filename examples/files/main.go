// SPDX-License-Identifier: Apache-2.0

// Files hands an open file to another process. The receiver reads a file that
// it could not have opened itself: it has no name any more.
//
// It prints:
//
//	receiver: got "a gift" and 1 file from uid:1000: "the file has no name any more"
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"time"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/transport"
)

const address = "shm://example-files"

func receive(ctx context.Context) error {
	ln, err := parley.Listen(ctx, address)
	if err != nil {
		return err
	}
	defer ln.Close()
	conn, err := ln.AcceptConn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	buf := make([]byte, 100)
	n, files, err := conn.(transport.FilePasser).ReadFiles(buf)
	if err != nil {
		return err
	}
	for _, f := range files {
		defer f.Close()
		text, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<20))
		if err != nil {
			return err
		}
		fmt.Printf("receiver: got %q and %d file from %v: %q\n", buf[:n], len(files), conn.Peer(), text)
	}
	return nil
}

func send(ctx context.Context) error {
	f, err := os.CreateTemp("", "gift")
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString("the file has no name any more")
	if err := errors.Join(err, os.Remove(f.Name())); err != nil {
		return err
	}
	d := parley.Dialer{WaitFor: 10 * time.Second}
	conn, err := d.Dial(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	passer, ok := conn.(transport.FilePasser)
	if !ok {
		return errors.New(address + " carries no files")
	}
	if _, err := passer.WriteFiles([]byte("a gift"), []*os.File{f}); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, conn) // until the receiver has done
	return err
}

func run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if len(os.Args) > 1 {
		return receive(ctx)
	}
	receiver := exec.CommandContext(ctx, os.Args[0], "receive") // the other process
	receiver.Stdout, receiver.Stderr = os.Stdout, os.Stderr
	if err := receiver.Start(); err != nil {
		return err
	}
	err := send(ctx)
	if err != nil {
		cancel()
	}
	return errors.Join(err, receiver.Wait())
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
