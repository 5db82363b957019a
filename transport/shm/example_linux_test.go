// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/transport/shm"
)

func Example() {
	dir, err := os.MkdirTemp("", "shm")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	addr := endpoint.Address{Scheme: endpoint.SHM, Path: filepath.Join(dir, "orders")}

	ctx := context.Background()
	l, err := shm.Listen(ctx, addr, shm.ListenConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = l.Close() }()

	c, err := shm.Dial(ctx, addr, shm.DialConfig{}) // usually another process
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = c.Write([]byte("hello through memory"))
	_ = c.Close()

	s, err := l.AcceptConn(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = s.Close() }()
	text, err := io.ReadAll(s)
	fmt.Printf("%s; %v\n", text, err)
	// Output: hello through memory; <nil>
}
