// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/parley-ipc/parley/internal/wake"
)

// half is what both directions have: a lock that lasts for one operation, and
// a way to wait.
type half struct {
	mu   gate
	side int // reading or writing

	gone   bool           // guarded by mu: given up for good
	lent   atomic.Int64   // 1 + bytes lent while mu stays locked; 0: no loan
	sleep  *atomic.Uint32 // our word: odd while this half sleeps
	nap    uint32         // guarded by mu: its value
	woken  uint32         // guarded by mu: the sleep of the peer's other half that we ended last
	strays int            // guarded by mu: bytes that may have come without a sleep
	pacer  wake.Pacer     // guarded by mu
	tally  tally          // guarded by mu

	moved   func() bool // whether a wait should look again; allocated once
	overdue func() bool // whether the peer should have ended a sleep; likewise

	deadline deadline
}

// tally gathers counts between two flushes.
type tally struct {
	ops                         uint32
	bytes, files                uint64
	spins, sleeps, wakes, safes uint64
}

const (
	flushEvery = 64 // operations
	maxStrays  = 16

	grace = 100 * time.Millisecond // how late the byte of a wake-up may be
)

// lock takes a half for one operation, unless the operation cannot be.
func (s *stream) lock(ctx context.Context, h *half, op string, expired uint32) error {
	if h.mu.tryLock() {
		return nil
	}
	return h.mu.lock(ctx, func() error { return s.stopped(ctx, op, expired) })
}

// unlock lets go of a half, and does what Close or CloseWrite left to do.
func (s *stream) unlock(h *half) {
	h.mu.unlock()
	if s.status.Load()&(isClosed|isShut) != 0 {
		s.settle(h)
	}
}

// settle does what the status asks of a half, unless somebody holds it, who
// will. The loop closes the gap between the look and the unlocking.
func (s *stream) settle(h *half) {
	for {
		if !h.mu.tryLock() {
			return
		}
		st := s.status.Load()
		if h.side == writing && st&isShut != 0 && !h.gone {
			s.publishEnd()
		}
		if st&isClosed != 0 && !h.gone {
			h.gone = true
			s.flush(h)
			s.giveUp()
		}
		h.mu.unlock()
		if s.status.Load()&(isClosed|isShut) == st&(isClosed|isShut) {
			return
		}
	}
}

// giveUp counts the halves out; the last one unmaps.
func (s *stream) giveUp() {
	if s.halves.Add(-1) > 0 {
		return
	}
	for _, m := range s.maps {
		_ = m.Unmap()
	}
	s.drop()
}

// pause waits until it is worth looking again: by spinning, else asleep. The
// caller holds h and has found nothing.
func (s *stream) pause(ctx context.Context, h *half) {
	if h.pacer.Spin(h.moved) {
		h.tally.spins++
		return
	}
	if h.pacer.Awake() {
		s.bell.look()
		return
	}
	h.nap++
	h.sleep.Store(h.nap) // and a full fence: what the peer published before it saw this, we see now
	if h.moved() {
		s.rise(h)
		return
	}
	stop := func() bool { return true }
	if ctx.Done() != nil {
		stop = context.AfterFunc(ctx, func() { s.bell.kick(h.side) })
	}
	h.tally.sleeps++
	s.flush(h)
	start := time.Now()
	if s.bell.wait(h.side) && h.overdue() {
		s.suspect(h)
	}
	h.pacer.Slept(time.Since(start))
	h.nap++
	h.sleep.Store(h.nap)
	stop()
}

// rise takes the sleep back before it began. The peer may have sent its byte
// already: it stays on the socket, so now and then they are cleared away.
func (s *stream) rise(h *half) {
	h.nap++
	h.sleep.Store(h.nap)
	if h.strays++; h.strays >= maxStrays {
		h.strays = 0
		s.bell.look()
	}
}

// suspect is called when the safety time-out ended a sleep although there is
// something to do. If the byte is only late it comes now; else it was lost.
func (s *stream) suspect(h *half) {
	s.bell.hurry(grace)
	if s.bell.wait(h.side) {
		h.tally.safes++
	}
}

// rouse wakes the peer's half that sleeps by that word, once for each sleep.
func (s *stream) rouse(h *half, sleep uint32) {
	if sleep&1 == 0 || sleep == h.woken {
		return
	}
	h.woken = sleep
	h.tally.wakes++
	s.bell.ring()
	s.flush(h)
}

// count notes one operation's bytes.
func (s *stream) count(h *half, n int) {
	h.tally.bytes += uint64(n)
	if h.tally.ops++; h.tally.ops >= flushEvery {
		s.flush(h)
	}
}

// flush adds the tally to the counters that others see.
func (s *stream) flush(h *half) {
	t, c := &h.tally, s.counters
	bytes, files := &c.BytesIn, &c.FilesIn
	if h.side == writing {
		bytes, files = &c.BytesOut, &c.FilesOut
	}
	add(bytes, t.bytes)
	add(files, t.files)
	add(&c.Spins, t.spins)
	add(&c.Sleeps, t.sleeps)
	add(&c.Wakes, t.wakes)
	add(&c.SafetyTimeouts, t.safes)
	*t = tally{}
}

func add(c *atomic.Uint64, n uint64) {
	if n != 0 {
		c.Add(n)
	}
}
