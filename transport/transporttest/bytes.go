// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/parley-ipc/parley/transport"
)

// sizes are the edges of pages, rings and socket buffers, and one that is
// larger than any of them.
var sizes = []int{0, 1, 4095, 4096, 4097, 1<<16 - 1, 1 << 16, 1<<16 + 1, 1<<20 + 1, 9<<20 + 7}

// noise is n bytes that depend on seed.
func noise(seed uint64, n int) []byte {
	p := make([]byte, n)
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	_, _ = rand.NewChaCha8(key).Read(p)
	return p
}

// A frame is a length of eight bytes, the bytes, and their SHA-256.

func writeFrame(w io.Writer, p []byte) error {
	var head [8]byte
	binary.BigEndian.PutUint64(head[:], uint64(len(p)))
	sum := sha256.Sum256(p)
	for _, part := range [][]byte{head[:], p, sum[:]} {
		if n, err := w.Write(part); err != nil || n != len(part) {
			return fmt.Errorf("wrote %d of %d bytes: %w", n, len(part), err)
		}
	}
	return nil
}

func readFrame(r io.Reader) ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint64(head[:])
	if n > 64<<20 {
		return nil, fmt.Errorf("a frame of %d bytes: the stream is garbled", n)
	}
	p := make([]byte, n+sha256.Size)
	if _, err := io.ReadFull(r, p); err != nil {
		return nil, fmt.Errorf("in a frame of %d bytes: %w", n, err)
	}
	if sum := sha256.Sum256(p[:n]); !bytes.Equal(sum[:], p[n:]) {
		return nil, fmt.Errorf("the checksum of %d bytes is wrong", n)
	}
	return p[:n], nil
}

// exchange sends p while it receives a frame, which must be want.
func exchange(c transport.Conn, p, want []byte) error {
	sent := make(chan error, 1)
	go func() { sent <- writeFrame(c, p) }()
	got, err := readFrame(c)
	if err != nil {
		_ = c.Close() // frees the writer
		return errors.Join(fmt.Errorf("receiving: %w", err), <-sent)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("received %d bytes, want the %d that were sent", len(got), len(want))
	}
	if err := <-sent; err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	return nil
}

// bytesWithin sends each size both ways at once.
func bytesWithin(t *testing.T, b Backend) {
	d, l := pair(t, b)
	for i, n := range sizes {
		up, down := noise(uint64(2*i), n), noise(uint64(2*i+1), n)
		done := make(chan error, 1)
		go func() { done <- exchange(l, down, up) }()
		dialerErr := exchange(d, up, down)
		if listenerErr := <-done; dialerErr != nil || listenerErr != nil {
			t.Fatalf("%d bytes, dialer: %v, listener: %v", n, dialerErr, listenerErr)
		}
	}
}

// writersDoNotInterleave has several goroutines write on one side. Each Write
// is one record of one value; a record that is broken up shows at once.
func writersDoNotInterleave(t *testing.T, b Backend) {
	const writers, records, size = 8, 40, 10_007
	near, far := pair(t, b)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			record := bytes.Repeat([]byte{byte(w + 1)}, size)
			for range records {
				if _, err := near.Write(record); err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
			}
		})
	}
	defer wg.Wait()
	record, seen := make([]byte, size), map[byte]int{}
	for range writers * records {
		if _, err := io.ReadFull(far, record); err != nil {
			_ = far.Close()
			t.Fatal(err)
		}
		if i := bytes.IndexFunc(record, func(r rune) bool { return byte(r) != record[0] }); i >= 0 {
			_ = far.Close()
			t.Fatalf("a record of writer %d continues with one of writer %d at byte %d", record[0], record[i], i)
		}
		seen[record[0]]++
	}
	for w := range writers {
		if seen[byte(w+1)] != records {
			t.Errorf("writer %d: %d records of %d arrived", w, seen[byte(w+1)], records)
		}
	}
}
