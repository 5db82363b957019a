// SPDX-License-Identifier: Apache-2.0

package inproc_test

import (
	"context"
	"fmt"
	"io"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/inproc"
)

func Example() {
	ctx := context.Background()
	addr, err := endpoint.Parse("inproc://greeter")
	if err != nil {
		fmt.Println(err)
		return
	}
	l, err := inproc.Listen(ctx, addr, transport.ListenConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()

	c, err := inproc.Dial(ctx, addr, transport.DialConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Fprint(c, "hello")
	c.CloseWrite()

	peer, err := l.AcceptConn(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer peer.Close()
	p, err := io.ReadAll(peer)
	fmt.Println(string(p), err)

	_, err = inproc.Dial(ctx, endpoint.Address{Scheme: endpoint.Inproc, Name: "nobody"}, transport.DialConfig{})
	fmt.Println(err)
	// Output:
	// hello <nil>
	// dial inproc://nobody: unavailable: nobody listens on it in this process (inproc:// reaches this process only; another one needs unix:// or shm://)
}
