// SPDX-License-Identifier: Apache-2.0

package broadcast_test

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/primitive/broadcast"
)

// Both ends in one process: between two, the descriptors go over a socket.
func Example() {
	ctx := context.Background()
	p, err := broadcast.NewPublisher(broadcast.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	segment, _ := unix.Dup(p.Segment().FD())
	s, err := broadcast.Subscribe(segment, p.Ring(), broadcast.SubscribeConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = s.Close() }()
	control, _ := unix.Dup(s.Control().FD())
	if _, err := p.Attach(control, broadcast.Terms{Name: "screen"}); err != nil {
		fmt.Println(err)
		return
	}

	_ = p.Publish(ctx, []byte("copied"))
	if b, err := p.Loan(ctx, 100); err == nil {
		_ = p.Commit(copy(b, "written in place"))
	}
	_ = p.Close()

	for {
		rec, lost, err := s.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		fmt.Printf("%d (%d lost): %s\n", rec.Seq, lost, rec.Bytes)
	}
	// Output:
	// 0 (0 lost): copied
	// 1 (0 lost): written in place
}
