// SPDX-License-Identifier: Apache-2.0

package message

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/proctest"
	shmconn "github.com/parley-ipc/parley/transport/shm"
)

// roleEcho answers each message of Args[0] with itself.
func roleEcho(p *proctest.Self) error {
	c, err := dial(p.Args[0])
	if err != nil {
		return err
	}
	echo(c)
	return nil
}

// roleSwallow receives messages one by one, or many at once if Args[1] says
// "each", and answers the number of each Args[2]th.
func roleSwallow(p *proctest.Self) error {
	c, err := dial(p.Args[0])
	if err != nil {
		return err
	}
	per, err := strconv.Atoi(p.Args[2])
	if err != nil {
		return err
	}
	ctx := context.Background()
	got := 0
	count := func(*Message) error {
		if got++; got%per == 0 {
			return c.Send(ctx, []byte(strconv.Itoa(got)))
		}
		return nil
	}
	for {
		if p.Args[1] == "each" {
			if _, err := c.Each(ctx, count); err != nil {
				return nil //nolint:nilerr // the benchmark is over
			}
			continue
		}
		m, err := c.Receive(ctx)
		if err != nil {
			return nil //nolint:nilerr // the same
		}
		m.Release()
		if err := count(nil); err != nil {
			return nil //nolint:nilerr // the same
		}
	}
}

// awayShm is a connection to another process over shared memory.
func awayShm(b testing.TB, role string, args ...string) *Conn {
	b.Helper()
	a, err := endpoint.Parse("shm://" + filepath.Join(b.TempDir(), "s"))
	if err != nil {
		b.Fatal(err)
	}
	l, err := shmconn.Listen(b.Context(), a, shmconn.ListenConfig{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	proctest.Start(b, role, append([]string{a.String()}, args...)...)
	t, err := l.AcceptConn(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return conn(b, t, Config{})
}

// BenchmarkAway is a message there and back between two processes.
func BenchmarkAway(b *testing.B) {
	for _, size := range []int{64, 1 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c, p := awayShm(b, "echo"), make([]byte, size)
			b.ReportAllocs()
			for b.Loop() {
				roundTrip(context.Background(), b, c, p)
			}
		})
	}
}

// BenchmarkFlow is messages one way between two processes.
func BenchmarkFlow(b *testing.B) {
	const batch, per = 64, 1 << 12
	for _, size := range []int{64, 1 << 10, 64 << 10} {
		for _, how := range []string{"single", "batch"} {
			for _, take := range []string{"receive", "each"} {
				b.Run(fmt.Sprintf("%d/%s/%s", size, how, take), func(b *testing.B) {
					benchFlow(b, size, how == "batch", take, batch, per)
				})
			}
		}
	}
}

func benchFlow(b *testing.B, size int, many bool, take string, batch, per int) {
	ctx := context.Background()
	c := awayShm(b, "swallow", take, strconv.Itoa(per))
	ps := make([][]byte, batch)
	for i := range ps {
		ps[i] = make([]byte, size)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	total := (b.N + per - 1) / per * per
	for sent := 0; sent < total; sent += batch {
		if many {
			if err := c.SendBatch(ctx, ps); err != nil {
				b.Fatal(err)
			}
			continue
		}
		for _, p := range ps {
			if err := c.Send(ctx, p); err != nil {
				b.Fatal(err)
			}
		}
	}
	for range total / per {
		m, err := c.Receive(ctx)
		if err != nil {
			b.Fatal(err)
		}
		m.Release()
	}
}
