// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/transport/shm"
)

var spins = map[string]shm.Spin{"auto": shm.Auto, "off": shm.Off, "always": shm.Always}

// benchServer listens at Args[0] and either echoes messages of Args[1] bytes
// or, if they are "sink", swallows everything and answers one byte at the end.
func benchServer(p *proctest.Self) error {
	addr, err := endpoint.Parse(p.Args[0])
	if err != nil {
		return err
	}
	ring, err := strconv.Atoi(p.Args[3])
	if err != nil {
		return err
	}
	l, err := shm.Listen(context.Background(), addr, shm.ListenConfig{Options: shm.Options{Attach: shm.AtOnce, RingSize: ring, Spin: spins[p.Args[2]]}})
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	p.Say("listening")
	c, err := l.AcceptConn(context.Background())
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if p.Args[1] == "sink" {
		if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{c}, make([]byte, 64<<10)); err != nil {
			return err
		}
		_, err = c.Write([]byte{1})
		return err
	}
	size, err := strconv.Atoi(p.Args[1])
	if err != nil {
		return err
	}
	buf := make([]byte, size)
	for {
		if _, err := io.ReadFull(c, buf); err != nil {
			return nil // the benchmark is over
		}
		if _, err := c.Write(buf); err != nil {
			return err
		}
	}
}

func benchPeer(b *testing.B, what, spin string, ring int) *shm.Conn {
	b.Helper()
	address := "shm://" + filepath.Join(b.TempDir(), "s")
	proctest.Start(b, "bench", address, what, spin, strconv.Itoa(ring)).Expect("listening")
	addr, err := endpoint.Parse(address)
	if err != nil {
		b.Fatal(err)
	}
	c, err := shm.Dial(b.Context(), addr, shm.DialConfig{Options: shm.Options{Attach: shm.AtOnce, RingSize: ring, Spin: spins[spin]}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return c
}

// BenchmarkRoundTrip is one message there and back between two processes.
func BenchmarkRoundTrip(b *testing.B) {
	for _, spin := range []string{"auto", "off", "always"} {
		for _, size := range []int{64, 1 << 10, 64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("spin=%s/size=%d", spin, size), func(b *testing.B) { roundTrips(b, spin, size, 0) })
		}
	}
}

func roundTrips(b *testing.B, spin string, size, ring int) {
	c := benchPeer(b, strconv.Itoa(size), spin, ring)
	buf := make([]byte, size)
	b.SetBytes(int64(2 * size))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, buf); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRing is the same, and messages to a process that reads what there
// is, for each size of the rings: what DefaultRingSize was chosen by.
func BenchmarkRing(b *testing.B) {
	for _, size := range []int{64, 1 << 10, 64 << 10, 1 << 20} {
		for _, ring := range []int{64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20} {
			name := fmt.Sprintf("/size=%d/ring=%dKiB", size, ring>>10)
			b.Run("trip"+name, func(b *testing.B) { roundTrips(b, "auto", size, ring) })
			b.Run("way"+name, func(b *testing.B) { oneWay(b, size, ring) })
		}
	}
}

func oneWay(b *testing.B, size, ring int) {
	c := benchPeer(b, "sink", "auto", ring)
	buf := make([]byte, size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
	if err := c.CloseWrite(); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(c, buf[:1]); err != nil {
		b.Fatal(err)
	}
}
