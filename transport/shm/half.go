// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/parley-ipc/parley/internal/futex"
	"github.com/parley-ipc/parley/internal/wake"
)

// half is what both directions have: a lock that lasts for one operation, and
// a way to wait.
type half struct {
	mu   gate
	side int // reading or writing

	gone   bool           // guarded by mu: given up for good
	lent   atomic.Int64   // 1 + bytes lent while mu stays locked; 0: no loan
	sleep  *atomic.Uint32 // our word: whether and how this half sleeps
	nap    uint32         // guarded by mu: its value
	hammer *atomic.Uint32 // our word: what we move to wake the peer's other half
	bed    futex.Bed      // where it dozes: on the peer's word that moves when it wakes us
	vigil  vigil          // guarded by mu: over the context of its sleeps
	woken  uint32         // guarded by mu: the sleep of the peer's other half that we ended last
	strays int            // guarded by mu: bytes that may have come without a sleep
	pacer  wake.Pacer     // guarded by mu
	tally  tally          // guarded by mu

	moved   func() bool // whether a wait should look again; allocated once
	overdue func() bool // whether the peer should have ended a sleep; likewise
	wakeUp  func()      // ends a sleep; likewise

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
			h.vigil.letGo()
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
	h.vigil.begin(ctx, h.wakeUp)
	if !h.pacer.Brief() || !s.doze(h) {
		s.slumber(h)
	}
	h.vigil.end(ctx)
}

// doze sleeps on the peer's knock word, which holds a thread: for a few
// milliseconds at most, and only if there is a bed free; else it is false. A
// peer's death goes unheard meanwhile, so whoever is not woken goes on to
// slumber, who hears it.
func (s *stream) doze(h *half) bool {
	if !h.bed.Enter() {
		return false
	}
	defer h.bed.Leave()
	turn, knock := h.bed.Turn(), h.bed.Word.Load() // before the looks that they guard
	if !s.lieDown(h, sleepKnock) {
		return true
	}
	start := time.Now()
	overslept, rested := h.bed.Sleep(knock, turn)
	if overslept && h.overdue() {
		s.suspectDoze(h, knock)
	}
	h.pacer.Slept(time.Since(start))
	s.getUp(h)
	return rested
}

// slumber sleeps on the socket, in the poller, for as long as it takes.
func (s *stream) slumber(h *half) {
	if !s.lieDown(h, 0) {
		return
	}
	start := time.Now()
	if s.bell.wait(h.side) && h.overdue() {
		s.suspect(h)
	}
	h.pacer.Slept(time.Since(start))
	s.getUp(h)
}

// lieDown announces a sleep and looks once more; false means that there is no
// need for it, and that it is taken back.
func (s *stream) lieDown(h *half, how uint32) bool {
	h.nap += sleepNext
	h.sleep.Store(h.nap | sleepAny | how) // and a full fence: what the peer published before it saw this, we see now
	if h.moved() {
		s.rise(h, how)
		return false
	}
	h.tally.sleeps++
	s.flush(h)
	return true
}

func (s *stream) getUp(h *half) { h.sleep.Store(h.nap) }

// rise takes the sleep back before it began. The peer may have sent its byte
// already: it stays on the socket, so now and then they are cleared away.
func (s *stream) rise(h *half, how uint32) {
	s.getUp(h)
	if how == sleepKnock {
		return
	}
	if h.strays++; h.strays >= maxStrays {
		h.strays = 0
		s.bell.look()
	}
}

// suspectDoze is suspect for a doze. A knock that is only late comes within
// grace, unless the peer has died of it.
func (s *stream) suspectDoze(h *half, knock uint32) {
	ours := uint32(isClosed | isBroken | isHungUp | rdExpired)
	if h.side == writing {
		ours = isClosed | isShut | isBroken | isHungUp | wrExpired
	}
	for end := time.Now().Add(grace); time.Now().Before(end); {
		s.bell.look()
		if h.bed.Word.Load() != knock || s.status.Load()&ours != 0 || !h.overdue() {
			return
		}
		turn := h.bed.Turn()
		if _, rested := h.bed.Sleep(knock, turn); !rested {
			return
		}
	}
	h.tally.safes++
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
	if sleep&sleepAny == 0 || sleep == h.woken {
		return
	}
	h.woken = sleep
	h.tally.wakes++
	if !s.knockUp(h.hammer, sleep) {
		s.bell.ring()
	}
	s.flush(h)
}

// knockUp wakes a peer's half that dozes, and reports whether it does.
func (s *stream) knockUp(hammer *atomic.Uint32, sleep uint32) bool {
	if sleep&(sleepAny|sleepKnock) != sleepAny|sleepKnock {
		return false
	}
	hammer.Add(1) // before the call: who has not fallen asleep yet will not
	futex.Wake(hammer, math.MaxInt32)
	return true
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
