// SPDX-License-Identifier: Apache-2.0

package unix_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/unix"
)

func Example() {
	dir, err := os.MkdirTemp("", "unix")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx := context.Background()
	addr := endpoint.Address{Scheme: endpoint.Unix, Path: filepath.Join(dir, "greeter")}

	ln, err := unix.Listen(ctx, addr, transport.ListenConfig{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	go func() {
		conn, err := ln.AcceptConn(ctx)
		if err != nil {
			return
		}
		fmt.Fprintf(conn, "hello, known by %s", conn.Peer().Method)
		_ = conn.Close()
	}()

	conn, err := unix.Dial(ctx, addr, transport.DialConfig{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	text, err := io.ReadAll(conn)
	fmt.Println(string(text), err)
	// Output: hello, known by kernel <nil>
}
