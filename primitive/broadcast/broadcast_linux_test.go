// SPDX-License-Identifier: Apache-2.0

package broadcast

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-ipc/parley/fault"
)

func TestSizes(t *testing.T) {
	p := publisher(t, Config{})
	s := subscribe(t, p, SubscribeConfig{})
	most := MaxRecord(p.Ring())
	for _, n := range []int{0, 1, 7, 8, 9, most - 1, most} {
		mustPublish(t, p, make([]byte, n))
		if rec, lost, err := s.Next(now()); err != nil || lost != 0 || len(rec.Bytes) != n {
			t.Errorf("%d bytes: %d, gap %d, %v", n, len(rec.Bytes), lost, err)
		}
	}
	if err := p.Publish(t.Context(), make([]byte, most+1)); !errors.Is(err, fault.TooLarge) {
		t.Errorf("one too many: %v", err)
	}
	if _, err := p.Loan(t.Context(), most+1); !errors.Is(err, fault.TooLarge) {
		t.Errorf("a loan of one too many: %v", err)
	}
	if _, err := p.Loan(t.Context(), -1); err == nil {
		t.Error("a negative loan")
	}
	for _, ring := range []int{-1, 1, MinRing - 1, MinRing + 4096, MaxRing + MinRing} {
		if _, err := NewPublisher(Config{Ring: ring}); !errors.Is(err, fault.Invalid) {
			t.Errorf("a ring of %d: %v", ring, err)
		}
	}
}

func TestLoanRules(t *testing.T) {
	p := publisher(t, Config{})
	if err := p.Commit(0); !errors.Is(err, fault.Invalid) {
		t.Errorf("Commit without a loan: %v", err)
	}
	b, err := p.Loan(t.Context(), 10)
	if err != nil || len(b) != 10 || cap(b) != 10 {
		t.Fatal(len(b), cap(b), err)
	}
	if err := p.Publish(t.Context(), nil); !errors.Is(err, fault.InUse) {
		t.Errorf("Publish with a loan out: %v", err)
	}
	if err := p.Commit(100); !errors.Is(err, fault.Invalid) {
		t.Errorf("Commit of more than was lent: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	b[9] = 1 // still mapped: the loan is out
	if err := p.Commit(10); !errors.Is(err, fault.Closed) {
		t.Errorf("Commit after Close: %v", err)
	}
	if p.data != nil {
		t.Error("still mapped after the last loan")
	}
}

func TestJoinTheLastN(t *testing.T) {
	p := publisher(t, Config{}.WithStart(1<<64-256, 1<<64-3))
	for i := range 10 {
		mustPublish(t, p, []byte{byte(i)})
	}
	for n, want := range map[int]uint64{1: 1, 2: 2, 9: 9, 10: 10, 11: 10, 1 << 30: 10} {
		s := subscribe(t, p, SubscribeConfig{Last: n})
		for i := range want {
			if rec, lost, err := s.Next(now()); err != nil || lost != 0 || rec.Bytes[0] != byte(10-want+i) {
				t.Fatalf("last %d: %v, gap %d, %v", n, rec, lost, err)
			}
		}
		if _, _, err := s.Next(now()); !nothingNow(err) {
			t.Errorf("last %d: %v after the newest", n, err)
		}
	}
	if s := subscribe(t, p, SubscribeConfig{}); s.seq != 7 {
		t.Errorf("joined after the newest at %d", s.seq)
	}
}

// What is borrowed is never overwritten under Reliable, and told to be under
// Lossy, where it is counted in the next gap.
func TestBorrowed(t *testing.T) {
	p := publisher(t, Config{})
	lossy, reliable := subscribe(t, p, SubscribeConfig{}), subscribe(t, p, SubscribeConfig{Policy: Reliable})
	attach(t, p, lossy, Terms{})
	h := attach(t, p, reliable, Terms{Patience: time.Hour})
	mustPublish(t, p, []byte("mine"))
	a, _, err1 := lossy.Borrow(now())
	b, _, err2 := reliable.Borrow(now())
	if err1 != nil || err2 != nil || string(a.Bytes) != "mine" || string(b.Bytes) != "mine" {
		t.Fatalf("%q %v, %q %v", a.Bytes, err1, b.Bytes, err2)
	}
	if _, _, err := reliable.Next(now()); !errors.Is(err, fault.InUse) {
		t.Errorf("Next with a record borrowed: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	sent := uint64(1)
	for p.Publish(ctx, make([]byte, 1000)) == nil {
		sent++
	}
	if string(b.Bytes) != "mine" || sent < 14 || h.Err() != nil {
		t.Fatalf("after %d records: %q, %v", sent, b.Bytes, h.Err())
	}
	if !reliable.Release() || reliable.Release() {
		t.Error("Release of what was not overwritten, or again")
	}
	h.Detach()
	for range 20 {
		mustPublish(t, p, make([]byte, 1000))
		sent++
	}
	if lossy.Release() {
		t.Error("an overwritten record was called valid")
	}
	if rec, lost, err := lossy.Next(now()); err != nil || rec.Seq != lost {
		t.Errorf("record %d after %d lost, %v: the spoilt one is lost, too", rec.Seq, lost, err)
	}
	if err := h.Err(); !errors.Is(err, fault.Closed) {
		t.Errorf("detached: %v", err)
	}
}

// A borrowed record outlives Close.
func TestCloseWhileBorrowed(t *testing.T) {
	p := publisher(t, Config{})
	s := subscribe(t, p, SubscribeConfig{})
	mustPublish(t, p, []byte("mine"))
	rec, _, err := s.Borrow(now())
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	if string(rec.Bytes) != "mine" || !s.Release() {
		t.Errorf("%q", rec.Bytes)
	}
	if _, _, err := s.Next(now()); !errors.Is(err, fault.Closed) {
		t.Errorf("Next after Close: %v", err)
	}
}

// fillUp publishes until a reliable subscriber that does not read must be
// waited for.
func fillUp(t *testing.T, p *Publisher) {
	t.Helper()
	for range MinRing / int(recordSize(1000)) {
		mustPublish(t, p, make([]byte, 1000))
	}
}

func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := publisher(t, Config{})
		s := subscribe(t, p, SubscribeConfig{Policy: Reliable})
		var told error
		h := attach(t, p, s, Terms{Name: "slow", Patience: 3 * time.Second, Dropped: func(h *Handle, why error) { told = h.Err() }})
		fillUp(t, p)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Publish(ctx, make([]byte, 1000)); !errors.Is(err, fault.Timeout) || h.Err() != nil {
			t.Errorf("ctx: %v, %v", err, h.Err())
		}
		mustPublish(t, p, make([]byte, 1000))
		if took := time.Since(start); took != 4*time.Second || !errors.Is(told, fault.Timeout) {
			t.Errorf("waited %v, told %v", took, told)
		}
	})
}

// Detach, Close and the subscriber's own Close end the publisher's wait; so
// does a read, at the latest once there was time for more of them.
func TestEndsOfAWait(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(p *Publisher, s *Subscriber, h *Handle)
		want   error
		within time.Duration
	}{
		"Detach":          {func(_ *Publisher, _ *Subscriber, h *Handle) { h.Detach() }, nil, 0},
		"Close":           {func(p *Publisher, _ *Subscriber, _ *Handle) { _ = p.Close() }, fault.Closed, 0},
		"SubscriberClose": {func(_ *Publisher, s *Subscriber, _ *Handle) { _ = s.Close() }, nil, 0},
		"Read":            {func(_ *Publisher, s *Subscriber, _ *Handle) { _, _, _ = s.Next(now()) }, nil, gatherTime},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kick := newBell()
				p := publisher(t, Config{Wait: kick.wait})
				s := subscribe(t, p, SubscribeConfig{Policy: Reliable, Wake: kick.ring})
				h := attach(t, p, s, Terms{Patience: time.Hour})
				fillUp(t, p)
				done := make(chan error, 1)
				go func() { done <- p.Publish(t.Context(), make([]byte, 1000)) }()
				synctest.Wait()
				start := time.Now()
				c.end(p, s, h)
				if err := <-done; !errors.Is(err, c.want) || time.Since(start) > c.within {
					t.Errorf("%v after %v", err, time.Since(start))
				}
			})
		})
	}
}

// bell is a token, as a byte in a socket is.
type bell struct{ c chan struct{} }

func newBell() bell { return bell{make(chan struct{}, 1)} }

func (b bell) ring() {
	select {
	case b.c <- struct{}{}:
	default:
	}
}

func (b bell) wait(ctx context.Context) error {
	select {
	case <-b.c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// No wake-up is lost either way: nobody ever looks without being woken, so a
// loss would stand still.
func TestWakeUps(t *testing.T) {
	const total, readers = 20000, 3
	toPublisher := newBell()
	p := publisher(t, Config{Wait: toPublisher.wait})
	var wg sync.WaitGroup
	for range readers {
		b := newBell()
		s := subscribe(t, p, SubscribeConfig{Policy: Reliable, Wait: b.wait, Wake: toPublisher.ring, Spin: Off})
		attach(t, p, s, Terms{Patience: time.Hour, Wake: b.ring})
		wg.Go(func() {
			for next := uint64(0); ; next++ {
				rec, lost, err := s.Next(limited(t))
				if errors.Is(err, io.EOF) && next == total {
					return
				}
				if err != nil || rec.Seq != next || lost != 0 || checkContent(rec, 500) != nil {
					t.Errorf("record %d, want %d, gap %d: %v", rec.Seq, next, lost, err)
					return
				}
			}
		})
	}
	ctx, buf := limited(t), []byte(nil)
	for seq := range uint64(total) {
		buf = content(buf, seq, 500)
		if err := p.Publish(ctx, buf); err != nil {
			t.Error(err)
			break
		}
	}
	_ = p.Close()
	wg.Wait()
}

// What moves between a look and the announcement of a sleep is seen before
// the sleep: nobody would wake for it.
func TestLooksAgainBeforeItSleeps(t *testing.T) {
	never := func(context.Context) error {
		t.Error("slept although something had moved")
		return nil
	}
	p := publisher(t, Config{Wait: never})
	s := subscribe(t, p, SubscribeConfig{Policy: Reliable, Wait: never, Spin: Off})
	attach(t, p, s, Terms{Patience: time.Hour})
	if was, err := s.fill(); was != nothing || err != nil {
		t.Fatal(was, err)
	}
	fillUp(t, p)
	if err := s.sleep(t.Context()); err != nil {
		t.Error(err)
	}
	const n = 1024
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, behind := p.look(n, 0); !behind {
		t.Fatal("the ring is not full")
	}
	if _, _, err := s.Next(now()); err != nil {
		t.Fatal(err)
	}
	if err := p.rest(t.Context(), n, time.Hour); err != nil {
		t.Error(err)
	}
}

// TestOvertakenGoesOnHalfARingBack: it loses no more than that, and is not
// overtaken again at once.
func TestOvertakenGoesOnHalfARingBack(t *testing.T) {
	const size = 100
	for _, at := range []uint64{0, 1<<64 - 3*MinRing/2&^7} {
		p := publisher(t, Config{}.WithStart(at, 7))
		s := subscribe(t, p, SubscribeConfig{})
		n := 3*MinRing/int(recordSize(size)) + 5
		for range n {
			mustPublish(t, p, make([]byte, size))
		}
		rec, lost, err := s.Next(now())
		if err != nil || rec.Seq != 7+lost {
			t.Fatalf("record %d after %d lost, %v", rec.Seq, lost, err)
		}
		if back := uint64(n) - lost; back*recordSize(size) < MinRing*3/8 || back*recordSize(size) > MinRing*5/8 {
			t.Errorf("it goes on %d bytes back in a ring of %d", back*recordSize(size), MinRing)
		}
		got := uint64(1)
		for ; ; got++ {
			if _, lost, err := s.Next(now()); nothingNow(err) {
				break
			} else if err != nil || lost != 0 {
				t.Fatal(lost, err)
			}
		}
		if got+lost != uint64(n) {
			t.Errorf("%d received and %d lost of %d", got, lost, n)
		}
	}
}

// TestMarksOutOfPlace: whatever a publisher writes there, a reader goes on at
// a record or finds the publisher out.
// TestNoMarkIsNoPosition: positions may be those of a counter that has gone
// round, where an eighth that was never marked must not be taken for 0.
func TestNoMarkIsNoPosition(t *testing.T) {
	p := publisher(t, Config{}.WithStart(1<<64-4096, 0))
	s := subscribe(t, p, SubscribeConfig{Spin: Off})
	attach(t, p, s, Terms{})
	for _, n := range []int{2572, MinRing / 4, 1000, 1000, 1000, 1000, 1000, 1000} { // the second lies over position 0 and all its eighth
		mustPublish(t, p, make([]byte, n))
	}
	if _, err := p.Loan(t.Context(), MinRing/4); err != nil { // which overtakes s
		t.Fatal(err)
	}
	p.Abort()
	rec, lost, err := s.Next(t.Context())
	if err != nil || rec.Seq != 2 || lost != 2 {
		t.Errorf("record %d after %d lost, %v", rec.Seq, lost, err)
	}
}

func TestMarksOutOfPlace(t *testing.T) {
	for _, lie := range []uint64{0, 8, 9, MinRing * 2, 1<<64 - 8, MinRing*3 - 8, MinRing*5/2 + 8} {
		p := publisher(t, Config{})
		s := subscribe(t, p, SubscribeConfig{})
		for range 3 * MinRing / 128 {
			mustPublish(t, p, make([]byte, 104))
		}
		for _, m := range p.w.marks {
			m.Store(lie)
		}
		rec, lost, err := s.Next(now())
		if !errors.Is(err, fault.Protocol) && (err != nil || rec.Seq != lost) {
			t.Errorf("mark %d: record %d after %d lost, %v", lie, rec.Seq, lost, err)
		}
	}
}
