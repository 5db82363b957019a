// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
)

// echoes sends n bytes there and back, one by one.
func echoes(t *testing.T, a, b *Conn, n int) {
	t.Helper()
	p := []byte{0}
	for i := range n {
		p[0] = byte(i)
		for _, way := range [][2]*Conn{{a, b}, {b, a}} {
			if _, err := way[0].Write(p); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(way[1], p); err != nil || p[0] != byte(i) {
				t.Fatalf("exchange %d: %v, %v", i, p, err)
			}
		}
	}
}

func wantRings(t *testing.T, want bool, conns ...*Conn) {
	t.Helper()
	for i, c := range conns {
		if c.Rings() != want {
			t.Errorf("end %d: rings %v, want %v", i, c.Rings(), want)
		}
	}
}

// wantFallbacks wants that many of each end.
func wantFallbacks(t *testing.T, want uint64, conns ...*Conn) {
	t.Helper()
	for i, c := range conns {
		if n := c.Counters().Fallbacks.Load(); n != want {
			t.Errorf("end %d: %d fallbacks, want %d", i, n, want)
		}
	}
}

// A few exchanges are not worth rings, a few more soon after are; then
// the connection has one descriptor at each end again, and gives everything
// back in the end.
func TestTrafficAttaches(t *testing.T) {
	budget := new(Budget)
	opts := Options{RingSize: MinRingSize, Budget: budget}
	for i := range 2 { // the first one starts whatever starts once
		before := proctest.Descriptors(t)
		a, b := pair(t, opts, opts)
		echoes(t, a, b, worthFrames/4)
		wantRings(t, false, a, b)
		if n := budget.Used(); n != 0 {
			t.Errorf("%d bytes for a connection that has said little", n)
		}
		echoes(t, a, b, worthFrames)
		wantRings(t, true, a, b)
		if n := proctest.Descriptors(t) - before; n != 2 && i > 0 {
			t.Errorf("%d descriptors for two ends", n)
		}
		if n := a.MaxLoan(); n != MinRingSize/2 {
			t.Errorf("a loan of %d", n)
		}
		wantFallbacks(t, 0, a, b)
		_, _ = a.Close(), b.Close()
		if n := budget.Used(); n != 0 {
			t.Errorf("%d bytes left of the budget", n)
		}
		if n := proctest.Descriptors(t); n != before && i > 0 {
			t.Errorf("%d descriptors after, %d before", n, before)
		}
	}
}

// What comes once in a while is worth no rings, however much it becomes.
func TestThinTrafficStays(t *testing.T) {
	a, b := pair(t, Options{}.Within(time.Nanosecond), Options{})
	echoes(t, a, b, 10*worthFrames)
	wantRings(t, false, a, b)
	wantFallbacks(t, 0, a, b)
}

// A stream one way attaches rings too, whoever writes, though the writer never
// reads.
func TestOneWayAttaches(t *testing.T) {
	for name, swap := range map[string]bool{"Dialer": false, "Listener": true} {
		t.Run(name, func(t *testing.T) {
			from, to := pair(t, Options{}, Options{})
			if swap {
				from, to = to, from
			}
			const total = 4 << 20
			var wg sync.WaitGroup
			wg.Go(func() {
				for n := 0; n < total; n += 1 << 10 {
					if _, err := from.Write(make([]byte, 1<<10)); err != nil {
						t.Error(err)
						return
					}
				}
				_ = from.CloseWrite()
			})
			n, err := io.Copy(io.Discard, struct{ io.Reader }{to})
			wg.Wait()
			if err != nil || n != total {
				t.Errorf("%d bytes, %v", n, err)
			}
			if from.out.Load() == nil || to.in.Load() == nil {
				t.Error("the stream has stayed on the socket")
			}
		})
	}
}

// A listener that wants rings at once asks for them, and Never means never, on
// either side.
func TestAttachChoices(t *testing.T) {
	for _, tc := range []struct {
		dial, listen Attach
		after        int // exchanges
		rings        bool
		fell         uint64
	}{
		{OnTraffic, AtOnce, 2, true, 0},
		{AtOnce, OnTraffic, 0, true, 0},
		{AtOnce, Never, 100, false, 1},
		{Never, AtOnce, 100, false, 1},
		{OnTraffic, Never, 100, false, 1},
		{Never, OnTraffic, 100, false, 1},
		{Never, Never, 100, false, 0},
	} {
		t.Run(fmt.Sprintf("%d,%d", tc.dial, tc.listen), func(t *testing.T) {
			a, b := pair(t, Options{Attach: tc.dial}, Options{Attach: tc.listen})
			echoes(t, a, b, tc.after)
			wantRings(t, tc.rings, a, b)
			for attach, c := range map[Attach]*Conn{tc.dial: a, tc.listen: b} {
				if attach != Never {
					wantFallbacks(t, tc.fell, c)
				} else if tc.dial != tc.listen {
					wantFallbacks(t, 0, c)
				}
			}
		})
	}
}

// Who has no memory when there is traffic keeps to the socket, is counted once
// at each end, and tries again much later.
func TestNoMemoryOnTraffic(t *testing.T) {
	const each = MinRingSize + 4096
	for name, tc := range map[string]struct{ dial, listen int64 }{
		"Dialer": {1, 0}, "DialersHalf": {each, 0}, "Listener": {0, 1}, "ListenersHalf": {0, each},
	} {
		t.Run(name, func(t *testing.T) {
			dial := Options{RingSize: MinRingSize, Budget: &Budget{Max: tc.dial}}
			listen := Options{RingSize: MinRingSize, Budget: &Budget{Max: tc.listen}}
			var told [2]int
			dial.FellBack, listen.FellBack = func() { told[0]++ }, func() { told[1]++ }
			a, b := pair(t, dial, listen)
			echoes(t, a, b, 10*worthFrames)
			wantRings(t, false, a, b)
			wantFallbacks(t, 1, a, b)
			if told != [2]int{1, 1} {
				t.Errorf("told %v times", told)
			}
			if n, m := dial.Budget.Used(), listen.Budget.Used(); n != 0 || m != 0 {
				t.Errorf("%d and %d bytes are taken for nothing", n, m)
			}
			dial.Budget.Max, listen.Budget.Max = 0, 0 // no operation is under way
			p := make([]byte, 64<<10)
			for range backOff + 2 {
				go func() { _, _ = a.Write(p) }()
				if _, err := io.ReadFull(b, make([]byte, len(p))); err != nil {
					t.Fatal(err)
				}
			}
			echoes(t, a, b, 4)
			wantRings(t, true, a, b)
			wantFallbacks(t, 1, a, b)
		})
	}
}

// The bytes and files of both directions keep their order through the move,
// whatever their sizes.
func TestFilesThroughTheMove(t *testing.T) {
	a, b := pair(t, Options{RingSize: MinRingSize}, Options{RingSize: MinRingSize})
	const groups = 60
	var wg sync.WaitGroup
	for _, way := range [][2]*Conn{{a, b}, {b, a}} {
		wg.Go(func() {
			for i := range groups {
				if err := sendNumber(way[0], i); err != nil {
					t.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			for i := range groups {
				if err := receiveNumber(way[1], i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	echoes(t, a, b, 2) // the last words of the move may have been behind all that
	wantRings(t, true, a, b)
}

// sendNumber sends 300·i bytes of i and, with the first, a file that says so.
func sendNumber(c *Conn, i int) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	_, _ = w.Write([]byte{byte(i)})
	_ = w.Close()
	_, err = c.WriteFiles(bytes.Repeat([]byte{byte(i)}, 1+300*i), []*os.File{r})
	return err
}

func receiveNumber(c *Conn, i int) error {
	p := make([]byte, 1+300*i)
	n, files, err := c.ReadFiles(p)
	if err != nil || len(files) != 1 {
		return fmt.Errorf("group %d: %d files, %w", i, len(files), err)
	}
	said := make([]byte, 2)
	m, _ := files[0].Read(said)
	_ = files[0].Close()
	for n < len(p) {
		k, more, err := c.ReadFiles(p[n:])
		if err != nil || len(more) > 0 {
			return fmt.Errorf("group %d: %d files too many, %w", i, len(more), err)
		}
		n += k
	}
	if m != 1 || said[0] != byte(i) || !bytes.Equal(p, bytes.Repeat(said[:1], len(p))) {
		return fmt.Errorf("group %d: file %v, bytes %v", i, said[:m], p[:1])
	}
	return nil
}

// One large Write goes over from the socket into the ring; nothing comes in
// between.
func TestWriteGoesOver(t *testing.T) {
	a, b := pair(t, Options{RingSize: MinRingSize}, Options{RingSize: MinRingSize})
	const size, writers = 1 << 20, 4
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			if n, err := a.Write(bytes.Repeat([]byte{byte(i)}, size)); n != size || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		})
	}
	p := make([]byte, size)
	for range writers {
		if _, err := io.ReadFull(b, p); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(p, bytes.Repeat(p[:1], size)) {
			t.Fatal("two Writes are mixed")
		}
	}
	wg.Wait()
	if a.out.Load() == nil {
		t.Error("the stream has stayed on the socket")
	}
}

// Deadlines that were set before the move hold after it, and new ones too.
func TestDeadlinesMove(t *testing.T) {
	for in := 300 * time.Millisecond; !deadlinesMove(t, in); in *= 2 {
	}
}

// deadlinesMove reports whether the move was done before the deadline, without
// which nothing is proven.
func deadlinesMove(t *testing.T, in time.Duration) bool {
	t.Helper()
	a, b := pair(t, Options{}, Options{})
	soon := time.Now().Add(in)
	for _, c := range []*Conn{a, b} {
		if err := c.SetReadDeadline(soon); err != nil {
			t.Fatal(err)
		}
	}
	half := make(chan error, 1)
	go func() { // a Read that is under way when its direction moves
		p := make([]byte, 1)
		var err error
		for err == nil {
			if _, err = b.Read(p); err == nil {
				_, err = b.Write(p)
			}
		}
		half <- err
	}()
	p := make([]byte, 1)
	var err error
	for err == nil {
		if _, err = a.Write(p); err == nil {
			_, err = a.Read(p)
		}
	}
	for _, err := range []error{err, <-half} {
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v", err)
		}
	}
	if !a.Rings() || !b.Rings() {
		return false
	}
	for _, c := range []*Conn{a, b} {
		if err := c.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = a.Write(p)
	if _, err := b.Read(p); err != nil {
		t.Error(err)
	}
	return true
}

// Either side may end its direction at any moment of the move; the other
// direction goes on.
func TestHalfCloseDuringTheMove(t *testing.T) {
	for i := range 4 * worthFrames {
		a, b := pair(t, Options{RingSize: MinRingSize, Spin: Off}, Options{RingSize: MinRingSize, Spin: Off})
		if i%2 == 1 {
			a, b = b, a
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for range i / 2 {
				_, _ = a.Write([]byte{1})
			}
			if err := a.CloseWrite(); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if n, err := io.Copy(io.Discard, struct{ io.Reader }{a}); err != nil || n != 100_000 {
				t.Errorf("round %d: back came %d, %v", i, n, err)
			}
		})
		wg.Go(func() {
			for range 100 {
				if _, err := b.Write(make([]byte, 1000)); err != nil {
					t.Error(err)
				}
			}
			if err := b.CloseWrite(); err != nil {
				t.Error(err)
			}
		})
		n, err := io.Copy(io.Discard, struct{ io.Reader }{b})
		wg.Wait()
		if err != nil || int(n) != i/2 {
			t.Fatalf("round %d: %d, %v", i, n, err)
		}
		if err := errors.Join(a.Close(), b.Close()); err != nil {
			t.Fatal(err)
		}
		if n := a.Counters().SafetyTimeouts.Load() + b.Counters().SafetyTimeouts.Load(); n != 0 {
			t.Fatalf("round %d: %d safety time-outs", i, n)
		}
	}
}

// CloseWrite ends a Write that has gone into a full ring.
func TestCloseWriteEndsAWriteThatMoved(t *testing.T) {
	a, b := pair(t, Options{RingSize: MinRingSize}, Options{RingSize: MinRingSize})
	done := make(chan error, 1)
	go func() {
		_, err := a.Write(make([]byte, 8<<20))
		done <- err
	}()
	for a.out.Load() == nil { // reads move it along
		if _, err := b.Read(make([]byte, 4<<10)); err != nil {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
	if err := a.CloseWrite(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, fault.Closed) {
		t.Errorf("%v", err)
	}
	if _, err := io.Copy(io.Discard, struct{ io.Reader }{b}); err != nil {
		t.Errorf("the end is %v", err)
	}
}
