// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"fmt"
	"syscall"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/ring"
)

// writer is the half that writes our ring.
type writer struct {
	half
	ring *ring.Producer
	sent uint64 // guarded by mu: groups of files announced
	seen uint64 // guarded by mu: groups that the peer has taken, as last read
	deaf uint32 // guarded by mu: writes since we woke a reader that has not stirred

	counts [maxGroups]uint8 // guarded by mu: files of the groups from seen to sent, modulo
}

// parked is how many files the peer has not taken.
func (w *writer) parked() int {
	n := 0
	for g := w.seen; g != w.sent; g++ {
		n += int(w.counts[g%maxGroups])
	}
	return n
}

// write implements Write and WriteContext.
func (s *stream) write(ctx context.Context, p []byte) (int, error) {
	w := &s.wr
	if err := s.lock(ctx, &w.half, "write", wrExpired); err != nil {
		return 0, err
	}
	defer s.unlock(&w.half)
	return s.writeLocked(ctx, p)
}

func (s *stream) writeLocked(ctx context.Context, p []byte) (n int, err error) {
	w := &s.wr
	if err := s.writable(ctx, "write"); err != nil {
		return 0, err
	}
	for n < len(p) {
		if w.ring.Free() < len(p)-n {
			if err = s.awaitSpace(ctx, 1, len(p)-n); err != nil {
				break
			}
		}
		m := copy(w.ring.Next(), p[n:min(len(p), n+chunk)])
		n += m
		if err = s.publish(m); err != nil {
			break
		}
	}
	s.count(&w.half, n)
	if n == len(p) {
		err = nil // the peer had it all, even if it has gone since
	}
	return n, err
}

// writable is why nothing can be written, if so.
func (s *stream) writable(ctx context.Context, op string) error {
	const bad = isClosed | isShut | isBroken | isHungUp | wrExpired
	if s.status.Load()&bad == 0 && s.theirs.state.Load()&stateClosed == 0 && ctx.Err() == nil {
		return nil
	}
	if err := s.stopped(ctx, op, wrExpired); err != nil {
		return err
	}
	if s.status.Load()&isShut != 0 {
		return fault.New(fault.Closed, op, s.addr, fmt.Errorf("our direction has been closed: %w", syscall.EPIPE))
	}
	return s.refused()
}

// publish gives n written bytes to the peer's reader, and wakes it if it
// sleeps: the publication is the fence between the two.
func (s *stream) publish(n int) error {
	w := &s.wr
	handOver()
	w.ring.Publish(n)
	sleep := s.theirs.rsleep.Load()
	if sleep&sleepAny == 0 {
		return nil
	}
	if sleep != w.woken {
		w.deaf = 0
		s.rouse(&w.half, sleep)
		return s.refused()
	}
	// Woken and still asleep: about to stir, or dead. Ask the socket, ever less often.
	if w.deaf++; w.deaf >= 8 && w.deaf&(w.deaf-1) == 0 {
		s.bell.look()
		return s.refused()
	}
	return nil
}

// awaitSpace waits until n bytes can be written. like is how many the caller
// would like, by which it is woken less often.
func (s *stream) awaitSpace(ctx context.Context, n, like int) error {
	w := &s.wr
	for {
		free, err := w.ring.Look()
		if err == nil {
			err = s.lookTaken()
		}
		if err != nil {
			return s.fail(err)
		}
		if free >= n {
			return nil
		}
		if err := s.writable(ctx, "write"); err != nil {
			return err
		}
		s.ours.want.Store(uint32(max(n, min(like, w.ring.Cap()/4))))
		s.pause(ctx, &w.half)
	}
}

// lookTaken reads how many groups of files the peer has taken.
func (s *stream) lookTaken() error {
	w := &s.wr
	taken := s.theirs.taken.Load()
	if taken-w.seen > w.sent-w.seen {
		return fmt.Errorf("%w: it took %d groups of files out of %d", fault.Protocol, taken, w.sent)
	}
	w.seen = taken
	return nil
}

// writeMoved is what a waiting writer watches.
func (s *stream) writeMoved() bool { return s.wr.ring.Moved() || s.writeNews() }

// writeNews is what it watches beside the ring.
func (s *stream) writeNews() bool {
	return s.theirs.taken.Load() != s.wr.seen ||
		s.status.Load()&(isClosed|isShut|isBroken|isHungUp|wrExpired) != 0 ||
		s.theirs.state.Load()&stateClosed != 0
}

// writeOverdue is what should have woken a sleeping writer: the peer keeps less
// room than it wants to itself.
func (s *stream) writeOverdue() bool {
	free, err := s.wr.ring.Look()
	return err != nil || free >= int(s.ours.want.Load()) || s.writeNews()
}

// publishEnd tells the peer that no byte will follow. The half is locked.
func (s *stream) publishEnd() {
	if s.ours.state.Or(stateEnded)&stateEnded == 0 {
		handOver()
		s.rouse(&s.wr.half, s.theirs.rsleep.Load())
	}
}

// reserve implements Reserve. The half stays locked while something is lent.
func (s *stream) reserve(ctx context.Context, n int) ([]byte, error) {
	w := &s.wr
	if n < 0 || n > s.maxLoan() {
		return nil, s.badLoan("reserve", n, s.maxLoan())
	}
	if err := s.lock(ctx, &w.half, "reserve", wrExpired); err != nil {
		return nil, err
	}
	err := s.writable(ctx, "reserve")
	if err == nil && w.ring.Free() < n {
		err = s.awaitSpace(ctx, n, n)
	}
	if err != nil {
		s.unlock(&w.half)
		return nil, err
	}
	w.lent.Store(1 + int64(n))
	return w.ring.Next()[:n:n], nil
}

// commit implements Commit.
func (s *stream) commit(n int) error {
	w := &s.wr
	lent := w.lent.Load() - 1
	if lent < 0 || n < 0 || int64(n) > lent {
		return s.badLoan("commit", n, int(lent))
	}
	w.lent.Store(0)
	defer s.unlock(&w.half)
	if n == 0 {
		return nil
	}
	if err := s.writable(context.Background(), "commit"); err != nil {
		return err
	}
	_ = s.publish(n) // a peer that has gone since is the next call's error
	s.count(&w.half, n)
	return nil
}

func (s *stream) badLoan(op string, n, most int) error { return badLoan(s.addr, op, n, most) }

// badLoan is a loan of n bytes where most are possible; -1: no loan at all.
func badLoan(addr, op string, n, most int) error {
	switch {
	case most < 0:
		return fault.New(fault.Invalid, op, addr, fmt.Errorf("%d bytes of no loan", n))
	case n < 0:
		return fault.New(fault.Invalid, op, addr, fmt.Errorf("%d bytes", n))
	}
	return fault.New(fault.TooLarge, op, addr, fmt.Errorf("%d bytes, of at most %d", n, most))
}
