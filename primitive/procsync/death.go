// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"math"

	"github.com/parley-ipc/parley/internal/futex"
)

// A life word is 0, or the id of the thread that keeps it together with
// lifeWaiters, without which the kernel wakes nobody. At its death the kernel
// sets lifeDied.
const (
	lifeWaiters = 1 << 31
	lifeDied    = 1 << 30
)

// seemsAlive is a glance. The word is set by the kernel, but any participant
// could: nothing is taken from anybody on its word alone.
func (h *handle) seemsAlive(i int) bool {
	l := h.life(i).Load()
	return l != 0 && l&lifeDied == 0
}

// lookRound buries whoever has died, and says whether there was anybody: then
// the caller looks again before it sleeps. The life words tell whom to ask the
// kernel about; thorough asks about everybody.
func (h *handle) lookRound(thorough bool) bool {
	found, suspects := false, int32(0)
	for i := range h.used() {
		if i == h.me {
			continue
		}
		l := h.life(i).Load()
		suspect := l&lifeDied != 0 || l == 0 && h.dirty(i)
		if !suspect && !(thorough && l != 0 && !h.lives.held(i)) {
			continue
		}
		if h.bury(i) {
			found = true
		} else if h.life(i).Load()&lifeDied != 0 {
			suspects++ // its threads are still ending, or a child goes on for it
		}
	}
	if owner := int(h.state.Load() & ownerMask); owner > h.slots {
		found = h.evict(owner) || found
	}
	h.suspects.Store(suspects)
	return found
}

// dirty says whether something stands to slot i's name that nobody lives for.
func (h *handle) dirty(i int) bool {
	return h.life(i).Load() != 0 || h.queue[i].Load() != 0 || h.records[i].Load() != 0 || h.wants[i].Load() != 0 ||
		h.state.Load()&ownerMask == uint64(i)+1
}

// bury cleans up after slot i, if the kernel proves that nobody holds it: we
// can lock its byte. While we hold it, nobody can move in.
func (h *handle) bury(i int) bool {
	h.burying.Lock()
	defer h.burying.Unlock()
	if ok, err := h.lives.take(i); err != nil || !ok {
		return false
	}
	defer func() { _ = h.lives.drop(i) }() // fails only with the description, and then has dropped
	if !h.dirty(i) {
		return false
	}
	h.clean(i)
	return true
}

// clean gives back what slot i held, and wakes all who might want it. Whoever
// calls it holds the byte of the slot. It may be cut short by our own death at
// any point: the life word goes last, so that the next one does it again.
func (h *handle) clean(i int) {
	h.queue[i].Store(0)
	h.evict(i + 1)
	h.bequeath(h.records[i].Load())
	h.records[i].Store(0)
	h.wants[i].Store(0)
	s := h.slotAt(i)
	s.pid.Store(0)
	s.waiting.Store(0)
	s.next.Store(0)
	s.life.Store(0)
	h.announce()
	h.ringAll()
}

// evict takes the lock word from the owner. The new token makes anybody look
// again who is about to hand the lock to that slot.
func (h *handle) evict(owner int) (held bool) {
	for {
		s := h.state.Load()
		n := s + tokenOne
		held = s&ownerMask == uint64(owner)
		if held {
			n &^= ownerMask | flagHanded
			if s&flagHanded == 0 {
				n |= flagInconsistent
			}
		}
		if h.state.CompareAndSwap(s, n) {
			return held
		}
	}
}

// ring wakes who sleeps on b: one wake-up a sleep.
func ring(b bell) {
	b.word.Add(1)
	if b.rests.CompareAndSwap(1, 0) {
		futex.Wake(b.word, math.MaxInt32)
	}
}

// ringAll wakes everybody who waits for anything, also whoever a dead one was
// about to wake.
func (h *handle) ringAll() {
	for i := range h.used() {
		if h.life(i).Load() == 0 {
			continue
		}
		s := h.slotAt(i)
		for _, b := range []bell{s.lock, s.obj} {
			b.word.Add(1)
			futex.Wake(b.word, math.MaxInt32)
		}
	}
}
