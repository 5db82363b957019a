// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/parley-ipc/parley/fault"
)

// lends reserves n bytes, fills them with fill, and commits the first m.
func lends(t *testing.T, c *Conn, n, m int, fill byte) {
	t.Helper()
	room := c.TryReserve(n)
	if len(room) != n || cap(room) != n {
		t.Fatalf("%d bytes of %d, for %d", len(room), cap(room), n)
	}
	for i := range room {
		room[i] = fill
	}
	if err := c.Commit(m); err != nil {
		t.Fatal(err)
	}
}

// arrives reads what lends has committed.
func arrives(t *testing.T, c *Conn, m int, fill byte) {
	t.Helper()
	got := make([]byte, m)
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, bytes.Repeat([]byte{fill}, m)) {
		t.Fatalf("%d bytes of %d: %v", m, fill, err)
	}
}

// TestTryReserve lends what fits now, and nothing else. Whoever waited in it
// would wait for ever: nobody reads meanwhile.
func TestTryReserve(t *testing.T) {
	for name, start := range map[string]uint64{"at 0": 0, "at 2^32": 1<<32 - 100, "at 2^64": 1<<64 - 100} {
		t.Run(name, func(t *testing.T) {
			opts := Options{Attach: AtOnce, RingSize: MinRingSize, start: start}
			a, b := pair(t, opts, opts)
			wantRings(t, true, a, b)
			most := a.MaxLoan()
			if a.TryReserve(most+1) != nil {
				t.Error("more than may be lent is lent")
			}
			lends(t, a, most, 0, 1) // given back: nothing of it arrives
			lends(t, a, most, most-1, 2)
			arrives(t, b, most-1, 2)
			for fill := byte(3); fill < 10; fill++ { // round the ring
				lends(t, a, most, most, fill)
				arrives(t, b, most, fill)
			}
			for range 2 { // half a ring each
				lends(t, a, most, most, 10)
			}
			if a.TryReserve(1) != nil {
				t.Error("a full ring lends")
			}
			if n, err := a.TryWrite([]byte{1}); n != 0 || err != nil {
				t.Errorf("a full ring takes %d bytes, %v", n, err)
			}
			arrives(t, b, most, 10)
			lends(t, a, most, most, 11)
			arrives(t, b, most, 10)
			arrives(t, b, most, 11)
		})
	}
}

// TestTryReserveKeepsToItsTurn: it does not wait for another loan, or for the
// end, and what is not lent cannot be committed.
func TestTryReserveKeepsToItsTurn(t *testing.T) {
	opts := Options{Attach: AtOnce, RingSize: MinRingSize}
	a, b := pair(t, opts, opts)
	if a.TryReserve(10) == nil {
		t.Fatal("an empty ring lends nothing")
	}
	if a.TryReserve(10) != nil {
		t.Error("two loans at once")
	}
	if n, err := a.TryWrite([]byte{1}); n != 0 || err != nil {
		t.Errorf("%d bytes written into a loan, %v", n, err)
	}
	if err := a.Commit(11); !errors.Is(err, fault.TooLarge) {
		t.Errorf("more than is lent is committed: %v", err)
	}
	if err := a.Commit(0); err != nil {
		t.Fatal(err)
	}
	if err := a.Commit(0); !errors.Is(err, fault.Invalid) {
		t.Errorf("no loan is committed: %v", err)
	}
	lends(t, a, 10, 10, 1)
	arrives(t, b, 10, 1)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if a.TryReserve(10) != nil {
		t.Error("a closed connection lends")
	}
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Fatal(err)
	}
}

// TestTryReserveOnTheSocket: there is nothing to lend without rings.
func TestTryReserveOnTheSocket(t *testing.T) {
	opts := Options{Attach: Never}
	a, b := pair(t, opts, opts)
	wantRings(t, false, a, b)
	if a.TryReserve(10) != nil {
		t.Error("the socket lends")
	}
}
