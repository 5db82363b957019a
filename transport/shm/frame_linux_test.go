// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/parley-ipc/parley/transport/shm"
)

const tag = 7

// framed returns both ends of a connection over rings of testRing bytes.
func framed(t *testing.T, start uint64) (a, b *shm.Conn) {
	t.Helper()
	opts := shm.Options{Attach: shm.AtOnce, RingSize: testRing}.WithStart(start)
	a, b = joined(t, opts, opts)
	if !a.Frames() || !b.Frames() {
		t.Fatal("no rings")
	}
	return a, b
}

// takeFrame wants one frame of content p.
func takeFrame(t *testing.T, c *shm.Conn, p []byte) {
	t.Helper()
	got := make([]byte, testRing)
	if n, ok := c.ReadFrame(t.Context(), nil, tag, testRing, got); !ok || !bytes.Equal(got[:n], p) {
		t.Fatalf("a frame of %d bytes, %v; want %d", n, ok, len(p))
	}
}

// Frames are bytes of the stream: written by either way, read by either, at
// every size, around the end of the ring and of the counters.
func TestFramesAreBytes(t *testing.T) {
	a, b := framed(t, 1<<64-3*testRing/2)
	most := a.MaxLoan() - 8
	for _, n := range []int{0, 1, 7, 8, 64, 1000, most - 1, most} {
		p := bytes.Repeat([]byte{byte(n)}, n)
		wire := append(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, uint32(n)), tag), p...)
		for range 3 {
			if !a.WriteFrame(t.Context(), nil, tag, p) {
				t.Fatalf("%d bytes: not written", n)
			}
			takeFrame(t, b, p)
			if _, err := a.Write(wire); err != nil {
				t.Fatal(err)
			}
			takeFrame(t, b, p)
			if got := a.WriteFrames(t.Context(), nil, tag, [][]byte{p}); got != 1 {
				t.Fatalf("%d bytes: %d written", n, got)
			}
			got := make([]byte, len(wire))
			for have := 0; have < len(wire); {
				m, err := b.Read(got[have:])
				if err != nil {
					t.Fatal(err)
				}
				have += m
			}
			if !bytes.Equal(got, wire) {
				t.Fatalf("%d bytes: %x on the wire", n, got[:8])
			}
		}
	}
}

// What a step cannot do leaves the stream as it was.
func TestFramesRefuse(t *testing.T) {
	a, b := framed(t, 0)
	var shut, open atomic.Bool
	open.Store(true)
	p := []byte("hello")
	if a.WriteFrame(t.Context(), &shut, tag, p) || a.WriteFrames(t.Context(), &shut, tag, [][]byte{p}) != 0 {
		t.Error("written past the flag")
	}
	if a.WriteFrame(t.Context(), nil, tag, make([]byte, testRing)) {
		t.Error("written in one piece, though the ring is smaller")
	}
	if !a.WriteFrame(t.Context(), &open, tag, p) {
		t.Fatal("not written")
	}
	got := make([]byte, testRing)
	if _, ok := b.ReadFrame(t.Context(), &shut, tag, testRing, got); ok {
		t.Error("read past the flag")
	}
	if _, ok := b.ReadFrame(t.Context(), nil, tag+1, testRing, got); ok {
		t.Error("read with another tag")
	}
	if _, ok := b.ReadFrame(t.Context(), nil, tag, len(p)-1, got); ok {
		t.Error("read though larger than allowed")
	}
	if n, ok := b.ReadFrame(t.Context(), nil, tag, testRing, got[:len(p)-1]); !ok || n != len(p) {
		t.Errorf("%d, %v for want of room, want %d", n, ok, len(p))
	}
	takeFrame(t, b, p)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok := b.ReadFrame(ended, nil, tag, testRing, got); ok {
		t.Error("read where nothing was")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok := b.ReadFrame(t.Context(), nil, tag, testRing, got); ok || a.WriteFrame(t.Context(), nil, tag, p) {
		t.Error("moved after Close")
	}
}

// Files stop frames until they are taken, for they belong to a byte.
func TestFramesBesideFiles(t *testing.T) {
	a, b := framed(t, 0)
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if !a.WriteFrame(t.Context(), nil, tag, []byte("one")) {
		t.Fatal("not written")
	}
	if _, err := a.WriteFiles([]byte("two"), []*os.File{f}); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 64)
	if _, ok := b.ReadFrame(t.Context(), nil, tag, 64, got); ok {
		t.Fatal("a frame, though files wait")
	}
	var files []*os.File
	for have := 0; have < 8+3+3; {
		n, came, err := b.ReadFiles(got)
		if err != nil {
			t.Fatal(err)
		}
		have, files = have+n, append(files, came...)
	}
	if len(files) != 1 {
		t.Fatalf("%d files", len(files))
	}
	_ = files[0].Close()
	if !a.WriteFrame(t.Context(), nil, tag, []byte("three")) {
		t.Fatal("not written")
	}
	takeFrame(t, b, []byte("three"))
}

// A reader that keeps what it has read to itself for a while still leaves the
// room that a writer was promised, whoever sleeps.
func TestFramesThroughAFullRing(t *testing.T) {
	a, b := framed(t, 1<<32-testRing/2)
	most := a.MaxLoan() - 8
	sizes := []int{0, 1, 8, 100, most, 3, 5000, most - 1}
	const rounds = 200
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range rounds * len(sizes) {
			n := sizes[i%len(sizes)]
			if !a.WriteFrame(t.Context(), nil, tag, bytes.Repeat([]byte{byte(i)}, n)) {
				t.Errorf("frame %d not written", i)
				return
			}
		}
	})
	got := make([]byte, testRing)
	for i := range rounds * len(sizes) {
		n, ok := b.ReadFrame(t.Context(), nil, tag, testRing, got)
		if want := sizes[i%len(sizes)]; !ok || n != want || n > 0 && (got[0] != byte(i) || got[n-1] != byte(i)) {
			t.Errorf("frame %d: %d bytes, %v; want %d", i, n, ok, want)
			_ = a.Close()
			break
		}
	}
	wg.Wait()
	if n := b.Counters().SafetyTimeouts.Load() + a.Counters().SafetyTimeouts.Load(); n != 0 {
		t.Errorf("%d safety time-outs", n)
	}
}
