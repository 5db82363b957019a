// SPDX-License-Identifier: Apache-2.0

package frame_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/parley-ipc/parley/message"
	"github.com/parley-ipc/parley/message/frame"
	"github.com/parley-ipc/parley/primitive/shm"
)

// touch writes a byte of each page, or reads it.
func touch(b []byte, write bool) (sum int) {
	for i := 0; i < len(b); i += 4096 {
		if write {
			b[i]++
		}
		sum += int(b[i])
	}
	return sum
}

// BenchmarkFrame takes a frame to a receiver and back, both touching each
// page; beside it, the same by memory that is made and sealed each time.
func BenchmarkFrame(b *testing.B) {
	for _, size := range []int{64 << 10, 8 << 20} {
		b.Run(fmt.Sprintf("pool/%d", size), func(b *testing.B) { benchPool(b, size) })
		b.Run(fmt.Sprintf("memory/%d", size), func(b *testing.B) { benchMemory(b, size) })
	}
}

func benchPool(b *testing.B, size int) {
	ctx := context.Background()
	p, err := frame.NewPool("bench", frame.Config{Size: size})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	x, y := connected(b)
	l, err := p.Attach(x)
	if err != nil {
		b.Fatal(err)
	}
	r := frame.NewReceiver(y, frame.ReceiverConfig{})
	defer func() { _ = r.Close() }()
	for b.Loop() {
		f, err := p.Take(ctx)
		if err != nil {
			b.Fatal(err)
		}
		touch(f.Bytes(), true)
		if err := l.Room(ctx); err != nil {
			b.Fatal(err)
		}
		if err := l.Send(f, size, nil); err != nil {
			b.Fatal(err)
		}
		f.Release()
		v, err := r.Receive(ctx)
		if err != nil {
			b.Fatal(err)
		}
		touch(v.Bytes(), false)
		if err := v.Release(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

func benchMemory(b *testing.B, size int) {
	ctx := context.Background()
	x, y := connected(b)
	from, to := message.NewConn(x, message.Config{}), message.NewConn(y, message.Config{})
	defer func() { _, _ = from.Close(), to.Close() }()
	for b.Loop() {
		m, err := shm.NewMemory("bench", size)
		if err != nil {
			b.Fatal(err)
		}
		p, _ := m.Bytes()
		touch(p, true)
		if err := m.Seal(); err != nil {
			b.Fatal(err)
		}
		if err := from.SendMemory(ctx, m, nil); err != nil {
			b.Fatal(err)
		}
		_ = m.Close()
		got, err := to.Receive(ctx)
		if err != nil {
			b.Fatal(err)
		}
		mem := got.Memory()
		got.Release()
		q, err := mem.Bytes()
		if err != nil {
			b.Fatal(err)
		}
		touch(q, false)
		_ = mem.Close()
	}
}
