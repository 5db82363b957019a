// SPDX-License-Identifier: Apache-2.0

package parley_test

import (
	"errors"
	"io"
	"path/filepath"
	"testing"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/shm"
)

// Ring size, spinning, trust and budget are fields of the front door, and the
// size of a ring may stand in the address, which goes before the field.
func TestSharedMemoryByTheFrontDoor(t *testing.T) {
	path := "shm://" + filepath.Join(t.TempDir(), "s")
	listen := parley.ListenConfig{SHM: shm.Options{RingSize: 256 << 10, Spin: shm.Off, Budget: new(shm.Budget)}}
	l, err := listen.Listen(t.Context(), path+"?ring=128KiB")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if got := l.Address().String(); got != path {
		t.Errorf("it listens on %s", got)
	}
	for _, tc := range []struct {
		address string
		options shm.Options
		loan    int // half the smaller ring
		peek    error
	}{
		{path, shm.Options{Trusted: true}, 64 << 10, nil},
		{path, shm.Options{Attach: shm.AtOnce, RingSize: 32 << 10}, 16 << 10, fault.Unsupported},
		{path + "?ring=65536&prefault=1", shm.Options{Attach: shm.AtOnce, RingSize: 32 << 10}, 32 << 10, fault.Unsupported},
		{path, shm.Options{Attach: shm.Never}, shm.MinRingSize / 2, fault.Unsupported},
	} {
		tc.options.Spin, tc.options.Budget = shm.Off, new(shm.Budget)
		c, err := (&parley.Dialer{SHM: tc.options}).Dial(t.Context(), tc.address)
		if err != nil {
			t.Fatal(err)
		}
		far, err := l.AcceptConn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.Copy(far, far); _ = far.Close() }()
		lender := c.(transport.Lender)
		if got := lender.MaxLoan(); got != tc.loan {
			t.Errorf("%s, %+v: a loan of %d, want %d", tc.address, tc.options, got, tc.loan)
		}
		if _, err := c.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		b, err := lender.Peek(t.Context(), 1)
		if !errors.Is(err, tc.peek) || tc.peek == nil && string(b) != "x" {
			t.Errorf("%s, %+v: peeked %q, %v", tc.address, tc.options, b, err)
		}
		if err == nil {
			_ = lender.Discard(1)
		}
		if n := c.(*shm.Conn).Counters().Spins.Load(); n != 0 {
			t.Errorf("it spun %d times", n)
		}
		_ = c.Close()
	}
}
