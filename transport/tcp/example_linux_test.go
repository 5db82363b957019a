// SPDX-License-Identifier: Apache-2.0

package tcp_test

import (
	"context"
	"fmt"
	"io"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/tcp"
)

func Example() {
	ctx := context.Background()
	addr, err := endpoint.Parse("tcp://127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	l, err := tcp.Listen(ctx, addr, transport.ListenConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = l.Close() }()

	c, err := tcp.Dial(ctx, l.Address(), transport.DialConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close() }()
	_, _ = c.Write([]byte("hello"))
	_ = c.CloseWrite()

	s, err := l.AcceptConn(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = s.Close() }()
	said, err := io.ReadAll(s)
	fmt.Printf("%s, %v, known by %s\n", said, err, s.Peer().Method)

	addr.Host = "0.0.0.0:7000"
	_, err = tcp.Listen(ctx, addr, transport.ListenConfig{})
	fmt.Println(err)
	// Output:
	// hello, <nil>, known by sockdiag
	// listen tcp://0.0.0.0:7000: denied: plain tcp is for loopback only, and 0.0.0.0 is not (use tls://, or add ?insecure=true if everybody on that network may read and change what passes)
}
