// SPDX-License-Identifier: Apache-2.0

package message

import (
	"context"
	"fmt"
	"io"
	"testing"
)

// echo answers every message until the peer ends.
func echo(c *Conn) {
	for {
		m, err := c.Receive(context.Background())
		if err != nil {
			return
		}
		err = c.Send(context.Background(), m.Bytes())
		m.Release()
		if err != nil {
			return
		}
	}
}

func roundTrip(ctx context.Context, tb testing.TB, c *Conn, p []byte) {
	if err := c.Send(ctx, p); err != nil {
		tb.Fatal(err)
	}
	m, err := c.Receive(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	m.Release()
}

func TestNoAllocationPerMessage(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, and sync.Pool drops at random under it")
	}
	a, b := pair(t, Config{})
	done := make(chan struct{})
	go func() { defer close(done); echo(b) }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := make([]byte, 1000)
	for range 10 {
		roundTrip(ctx, t, a, p)
	}
	if n := testing.AllocsPerRun(1000, func() { roundTrip(ctx, t, a, p) }); n >= 1 {
		t.Errorf("%v allocations a round trip, want none", n)
	}
	_ = a.Close()
	<-done
}

func BenchmarkRoundTrip(b *testing.B) {
	for _, size := range []int{32, 1 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			x, y := pair(b, Config{})
			go echo(y)
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			p := make([]byte, size)
			b.ReportAllocs()
			b.SetBytes(int64(2 * size))
			for b.Loop() {
				roundTrip(ctx, b, x, p)
			}
		})
	}
}

// BenchmarkRawRoundTrip is the same over the bare sockets.
func BenchmarkRawRoundTrip(b *testing.B) {
	for _, size := range []int{32, 1 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			x, y := sockets(b)
			go func() {
				p := make([]byte, size)
				for {
					if _, err := io.ReadFull(y, p); err != nil {
						return
					}
					if _, err := y.Write(p); err != nil {
						return
					}
				}
			}()
			p := make([]byte, size)
			b.ReportAllocs()
			b.SetBytes(int64(2 * size))
			for b.Loop() {
				if _, err := x.Write(p); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(x, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSend is the cost of our own code: the transport takes anything.
func BenchmarkSend(b *testing.B) {
	c := NewConn(devNull{}, Config{})
	defer func() { _ = c.Close() }()
	p := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Send(context.Background(), p); err != nil {
			b.Fatal(err)
		}
	}
}
