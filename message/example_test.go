// SPDX-License-Identifier: Apache-2.0

package message_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/message"
	"github.com/parley-ipc/parley/transport"
)

// parley.Dial and parley.Listen give a transport.Conn; the examples make do
// with two ends in one process.
type end struct{ net.Conn }

func (end) Peer() auth.Identity { return auth.Identity{Method: auth.None} }
func (end) CloseWrite() error   { return nil }

func ends() (a, b transport.Conn) {
	x, y := net.Pipe()
	return end{x}, end{y}
}

func Example() {
	x, y := ends()
	ctx := context.Background()

	go func() {
		client := message.NewConn(x, message.Config{})
		defer client.Close()
		_ = client.Send(ctx, []byte("hello"))
		_ = client.SendBatch(ctx, [][]byte{[]byte("how"), []byte("are you?")})
	}()

	server := message.NewConn(y, message.Config{})
	defer server.Close()
	for {
		m, err := server.Receive(ctx)
		if errors.Is(err, io.EOF) {
			fmt.Println("the client said goodbye")
			return
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s\n", m.Bytes())
		m.Release()
	}
	// Output:
	// hello
	// how
	// are you?
	// the client said goodbye
}

func ExampleConn_Reserve() {
	x, y := ends()
	ctx := context.Background()

	go func() {
		client := message.NewConn(x, message.Config{})
		defer client.Close()
		room, err := client.Reserve(ctx, 100)
		if err != nil {
			return
		}
		_ = room.Commit(ctx, copy(room.Bytes(), "written in place"))
	}()

	server := message.NewConn(y, message.Config{})
	defer server.Close()
	m, err := server.Receive(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Release()
	fmt.Printf("%s\n", m.Bytes())
	// Output: written in place
}

// A listener that speaks this protocol tells a denied peer so:
// transport.ListenConfig{Refuse: message.Refuse}.
func ExampleRefuse() {
	x, y := ends()
	go func() {
		defer y.Close()
		message.Refuse(y)
	}()

	client := message.NewConn(x, message.Config{})
	defer client.Close()
	_, err := client.Receive(context.Background())
	fmt.Println(errors.Is(err, fault.Denied), err)
	// Output: true receive pipe: denied: the peer ended the connection
}
