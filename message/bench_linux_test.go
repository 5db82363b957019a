// SPDX-License-Identifier: Apache-2.0

package message

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/shm"
	"github.com/parley-ipc/parley/transport"
	shmconn "github.com/parley-ipc/parley/transport/shm"
	unixconn "github.com/parley-ipc/parley/transport/unix"
)

// roleSink answers each message, with or without looking at its memory.
func roleSink(p *proctest.Self) error {
	c, err := dial(p.Args[0])
	if err != nil {
		return err
	}
	for {
		m, err := c.Receive(context.Background())
		if err != nil {
			return nil //nolint:nilerr // the benchmark is over
		}
		mem := m.Memory()
		if p.Args[1] == "map" {
			if _, err := mem.Bytes(); err != nil {
				return err
			}
		}
		_ = mem.Close()
		m.Release()
		if err := c.Send(context.Background(), nil); err != nil {
			return nil //nolint:nilerr // the same
		}
	}
}

// BenchmarkSendMemory is the hand-over of sealed memory to another process and
// its answer: checked only, or mapped too. What sealing and the first touch
// cost is primitive/shm's BenchmarkMemory.
func BenchmarkSendMemory(b *testing.B) {
	for _, scheme := range []string{"unix", "shm"} {
		for _, use := range []string{"take", "map"} {
			for _, size := range []int{64 << 10, 1 << 20, 64 << 20} {
				b.Run(fmt.Sprintf("%s/%s/%d", scheme, use, size), func(b *testing.B) { benchMemory(b, scheme, use, size) })
			}
		}
	}
}

func benchMemory(b *testing.B, scheme, use string, size int) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	a, err := endpoint.Parse(scheme + "://" + filepath.Join(b.TempDir(), "s"))
	if err != nil {
		b.Fatal(err)
	}
	var l transport.Listener
	if scheme == "shm" {
		l, err = shmconn.Listen(ctx, a, shmconn.ListenConfig{})
	} else {
		l, err = unixconn.Listen(ctx, a, transport.ListenConfig{})
	}
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	proctest.Start(b, "sink", a.String(), use)
	t, err := l.AcceptConn(ctx)
	if err != nil {
		b.Fatal(err)
	}
	c := conn(b, t, Config{})
	m, err := shm.NewMemory("bench", size)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	p, _ := m.Bytes()
	for i := range p {
		p[i] = byte(i)
	}
	if err := m.Seal(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := c.SendMemory(ctx, m, nil); err != nil {
			b.Fatal(err)
		}
		r, err := c.Receive(ctx)
		if err != nil {
			b.Fatal(err)
		}
		r.Release()
	}
}
