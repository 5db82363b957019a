// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"bytes"
	"context"
	"io"
	"os"
	"testing"
)

// TestPeekPlain lends what may be read without its files, and nothing else.
func TestPeekPlain(t *testing.T) {
	for name, start := range map[string]uint64{"at 0": 0, "at 2^32": 1<<32 - 100, "at 2^64": 1<<64 - 100} {
		t.Run(name, func(t *testing.T) {
			opts := Options{Trusted: true, RingSize: MinRingSize, start: start}
			a, b := pair(t, opts, opts)
			wantRings(t, true, a, b)
			write(t, a, "hello")
			borrows(t, b, 5, "hello", 2)
			borrows(t, b, 1, "llo", 0)
			if _, ok := b.PeekPlain(t.Context(), b.MaxLoan()+1); ok {
				t.Error("more than may be lent is lent")
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			if _, ok := b.PeekPlain(ended, 4); ok {
				t.Error("four bytes of three are lent")
			}
			sendFile(t, a, "files")
			write(t, a, "beyond")
			borrows(t, b, 3, "llo", 3) // and none of those behind it
			if _, ok := b.PeekPlain(t.Context(), 1); ok {
				t.Error("a byte with files is lent")
			}
			p := make([]byte, 100)
			n, files, err := b.ReadFiles(p)
			if string(p[:n]) != "filesbeyond" || len(files) != 1 || err != nil {
				t.Fatalf("%q, %d files, %v", p[:n], len(files), err)
			}
			_ = files[0].Close()
			write(t, a, "last")
			if err := a.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if _, ok := b.PeekPlain(t.Context(), 5); ok {
				t.Error("five bytes of four are lent")
			}
			lent, ok := b.PeekPlain(t.Context(), 4)
			_ = a.Close()
			_ = b.Close()
			if !ok || string(lent) != "last" { // the loan outlives Close
				t.Errorf("%q, %v", lent, ok)
			}
			if err := b.Discard(4); err != nil {
				t.Error(err)
			}
			if _, ok := b.PeekPlain(t.Context(), 1); ok {
				t.Error("a closed connection lends")
			}
		})
	}
	t.Run("Untrusted", func(t *testing.T) {
		opts := Options{Attach: AtOnce, RingSize: MinRingSize}
		a, b := pair(t, opts, opts)
		write(t, a, "hello")
		if _, ok := b.PeekPlain(t.Context(), 1); ok {
			t.Error("a peer that nobody trusts is read in place")
		}
		if p, err := io.ReadAll(io.LimitReader(b, 5)); string(p) != "hello" || err != nil {
			t.Errorf("%q, %v", p, err)
		}
	})
}

func write(t *testing.T, c *Conn, s string) {
	t.Helper()
	if _, err := c.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
}

func sendFile(t *testing.T, c *Conn, s string) {
	t.Helper()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := c.WriteFiles([]byte(s), []*os.File{f}); err != nil {
		t.Fatal(err)
	}
}

// borrows wants at least n bytes to be lent, which are want, and takes m.
func borrows(t *testing.T, c *Conn, n int, want string, m int) {
	t.Helper()
	p, ok := c.PeekPlain(t.Context(), n)
	if !ok || !bytes.Equal(p, []byte(want)) || cap(p) != len(p) {
		t.Fatalf("%q with room for %d, %v, want %q", p, cap(p), ok, want)
	}
	if err := c.Discard(m); err != nil {
		t.Fatal(err)
	}
}
