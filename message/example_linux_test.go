// SPDX-License-Identifier: Apache-2.0

package message_test

import (
	"context"
	"fmt"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/message"
	"github.com/parley-ipc/parley/primitive/shm"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/inproc"
)

// Over unix, shm and exec connections the other side is another process.
func ExampleConn_SendMemory() {
	ctx := context.Background()
	addr, _ := endpoint.Parse("inproc://frames")
	l, err := inproc.Listen(ctx, addr, transport.ListenConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()

	go func() {
		t, err := inproc.Dial(ctx, addr, transport.DialConfig{})
		if err != nil {
			return
		}
		client := message.NewConn(t, message.Config{})
		defer client.Close()
		m, err := shm.NewMemory("frame", 1920*1080*4)
		if err != nil {
			return
		}
		defer m.Close()
		pixels, _ := m.Bytes()
		copy(pixels, "much to see")
		if m.Seal() == nil {
			_ = client.SendMemory(ctx, m, []byte("frame 1"))
		}
	}()

	t, err := l.AcceptConn(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	server := message.NewConn(t, message.Config{})
	defer server.Close()
	m, err := server.Receive(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Release()
	frame := m.Memory()
	defer frame.Close()
	pixels, err := frame.Bytes()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s: %d bytes, %s\n", m.Bytes(), len(pixels), pixels[:11])
	// Output: frame 1: 8294400 bytes, much to see
}
