// SPDX-License-Identifier: Apache-2.0

package frame_test

import (
	"context"
	"fmt"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/message/frame"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/inproc"
)

// Over unix, shm and exec connections the receiver is another process.
func Example() {
	ctx := context.Background()
	addr, _ := endpoint.Parse("inproc://video")
	l, err := inproc.Listen(ctx, addr, transport.ListenConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	go show(ctx, l)

	pool, err := frame.NewPool("video", frame.Config{Size: 1920 * 1080 * 4})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	t, err := inproc.Dial(ctx, addr, transport.DialConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	link, err := pool.Attach(t)
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := pool.Take(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	n := copy(f.Bytes(), "much to see")
	if err := link.Send(f, n, []byte("frame 1")); err != nil {
		fmt.Println(err)
	}
	f.Release()
	<-link.Gone() // show has seen it, and left
	s := pool.Stats()
	fmt.Printf("%d sent, %d of %d free\n", s.Sent, s.Free, s.Made)
	// Output:
	// frame 1: much to see
	// 1 sent, 1 of 1 free
}

func show(ctx context.Context, l transport.Listener) {
	t, err := l.AcceptConn(ctx)
	if err != nil {
		return
	}
	r := frame.NewReceiver(t, frame.ReceiverConfig{})
	defer r.Close()
	v, err := r.Receive(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s: %s\n", v.Note(), v.Bytes())
	_ = v.Release(ctx)
}
