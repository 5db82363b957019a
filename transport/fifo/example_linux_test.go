// SPDX-License-Identifier: Apache-2.0

package fifo_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/fifo"
)

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx := context.Background()
	addr := endpoint.Address{Scheme: endpoint.FIFO, Path: filepath.Join(dir, "pipe")}
	ln, err := fifo.Listen(ctx, addr, transport.ListenConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = ln.Close() }()
	go func() {
		c, err := ln.AcceptConn(ctx)
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = io.WriteString(c, "welcome, "+string(c.Peer().Method))
	}()
	c, err := fifo.Dial(ctx, addr, transport.DialConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close() }()
	text, err := io.ReadAll(c)
	fmt.Println(string(text), err)
	// Output: welcome, file-owner <nil>
}
