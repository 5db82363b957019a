// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"context"
	"sync/atomic"
)

// MaxPassed is how often somebody who came later may get an object before
// whoever is first in the queue: then it is handed over. To let a running
// process take it again is what makes a contended lock fast.
const MaxPassed = 128

// The lock word, state:
//
//	bits  0…7   the owner's slot + 1; 0: free
//	bit   8     queue: somebody waits, so whoever unlocks looks for whom
//	bit   9     inconsistent: an owner died, and nobody has repaired since
//	bit  10     broken: it was unlocked unrepaired; nobody gets it
//	bit  11     handed: given to the owner, who has not yet noticed
//	bits 12…63  the token of the last acquisition
const (
	ownerMask        = 1<<8 - 1
	flagQueue        = 1 << 8
	flagInconsistent = 1 << 9
	flagBroken       = 1 << 10
	flagHanded       = 1 << 11
	tokenShift       = 12
	tokenOne         = 1 << tokenShift
)

func tokenOf(state uint64) uint64 { return state >> tokenShift }

// grab is the fast path: one atomic operation on a free lock. It does not pass
// goroutines of our own that stand in line.
func (h *handle) grab() (token uint64, ok bool) {
	s := h.state.Load()
	if s&(ownerMask|flagInconsistent|flagBroken) != 0 || h.lock.count.Load() != 0 {
		return 0, false
	}
	n := (s + tokenOne) | h.who
	if !h.state.CompareAndSwap(s, n) {
		return 0, false
	}
	takeOver()
	return tokenOf(n), true
}

// A verdict is what one try to lock came to.
type verdict uint8

const (
	busy verdict = iota
	got
	gotSuspect // with the lock, an owner died
	refused    // broken
)

// try takes the lock if it is free, or has been handed to us. Only the first
// of our line may.
func (h *handle) try() (token uint64, v verdict) {
	for {
		s := h.state.Load()
		var n uint64
		switch {
		case s&flagBroken != 0:
			return 0, refused
		case s&ownerMask == 0:
			n = (s + tokenOne) | h.who
		case s&ownerMask == h.who && s&flagHanded != 0:
			n = s &^ flagHanded
		default:
			return 0, busy
		}
		if !h.state.CompareAndSwap(s, n) {
			continue
		}
		takeOver()
		if n&flagInconsistent != 0 {
			return tokenOf(n), gotSuspect
		}
		return tokenOf(n), got
	}
}

// lockWord takes the lock, whatever it takes.
func (h *handle) lockWord(ctx context.Context, op string) (token uint64, v verdict, err error) {
	if err := h.enterHandle(op); err != nil {
		return 0, refused, err
	}
	defer h.inside.Done()
	if err := h.standInLine(ctx, &h.lock, op); err != nil {
		return 0, refused, err
	}
	defer h.leaveLine(&h.lock)
	began := tokenOf(h.state.Load())
	h.lock.pacer.Spin(func() bool {
		token, v = h.try()
		return v != busy || tokenOf(h.state.Load())-began > MaxPassed/2
	})
	if v != busy {
		return token, v, nil
	}
	return h.queueUp(ctx, op)
}

func (h *handle) standInLine(ctx context.Context, l *line, op string) error {
	l.count.Add(1)
	select {
	case l.first <- struct{}{}:
		return nil
	default:
	}
	select {
	case l.first <- struct{}{}:
		return nil
	case <-ctx.Done():
		l.count.Add(-1)
		return h.ended(ctx, op)
	case <-h.ctx.Done():
		l.count.Add(-1)
		return h.errClosed(op)
	}
}

func (h *handle) leaveLine(l *line) {
	<-l.first
	l.count.Add(-1)
}

// queueUp waits in shared memory. The order of what it stores and loads is
// what no wake-up is lost by: our place in the queue, then the lock word; who
// unlocks stores the lock word, then looks at the queue.
func (h *handle) queueUp(ctx context.Context, op string) (token uint64, v verdict, err error) {
	w := h.newSleep(ctx, &h.lock)
	defer w.stop()
	mine := &h.queue[h.me]
	mine.Store(tokenOf(h.state.Load()) + 1)
	h.slot.waiting.Store(monotonic())
	defer h.slot.waiting.Store(0)
	for placed := false; ; {
		w.listen()
		token, v = h.try()
		if v != busy {
			if placed && h.onPassed != nil {
				h.onPassed(token - mine.Load())
			}
			mine.Store(0)
			return token, v, nil
		}
		if err := w.over(op); err != nil {
			return h.quit(op, err)
		}
		s := h.state.Load()
		switch {
		case s&ownerMask == 0, s&flagHanded != 0 && s&ownerMask == h.who:
			continue
		case s&flagQueue == 0:
			h.state.CompareAndSwap(s, s|flagQueue)
			continue
		case !placed:
			// Seen by all from this token on: what we are passed counts from here.
			mine.Store(tokenOf(s) + 1)
			placed = true
			continue
		}
		if !h.lookRound(false) {
			w.rest()
		}
	}
}

// quit leaves the queue without the lock, unless it was handed to us just now.
// A new token makes whoever is about to hand it to us look again.
func (h *handle) quit(op string, err error) (token uint64, v verdict, _ error) {
	h.queue[h.me].Store(0)
	for {
		s := h.state.Load()
		if s&ownerMask == h.who && s&flagHanded != 0 {
			if token, v = h.try(); v != busy {
				return token, v, nil
			}
			continue
		}
		if !h.state.CompareAndSwap(s, s+tokenOne) {
			continue
		}
		if s&ownerMask == 0 { // we may have been the one that was woken for it
			h.ringOldest()
		}
		return 0, refused, err
	}
}

// release gives the lock back, if this handle has it. broken says that it was
// to be repaired and was not.
func (h *handle) release() (broken, ok bool) {
	handOver()
	for {
		s := h.state.Load()
		if s&ownerMask != h.who || s&flagHanded != 0 {
			return false, false
		}
		if s&(flagQueue|flagInconsistent) == 0 {
			if h.state.CompareAndSwap(s, s&^ownerMask) {
				return false, true
			}
			continue
		}
		if broken, ok := h.releaseTo(s); ok {
			return broken, true
		}
	}
}

// releaseTo is release where somebody waits, or has to be told. ok is false if
// the lock word has changed meanwhile.
func (h *handle) releaseTo(s uint64) (broken, ok bool) {
	free := s &^ ownerMask
	if s&flagInconsistent != 0 {
		if ok = h.state.CompareAndSwap(s, free&^(flagInconsistent|flagQueue)|flagBroken); ok {
			h.ringAll()
		}
		return ok, ok
	}
	i, since := h.oldest()
	switch {
	case i < 0:
		if ok = h.state.CompareAndSwap(s, free&^flagQueue); ok {
			h.ringOldest()
		}
	case tokenOf(s)-since >= MaxPassed:
		if ok = h.state.CompareAndSwap(s, (free+tokenOne)|flagHanded|uint64(i+1)); ok {
			ring(h.slotAt(i).lock)
		}
	default:
		if ok = h.state.CompareAndSwap(s, free); ok {
			ring(h.slotAt(i).lock)
		}
	}
	return false, ok
}

// oldest is who has waited longest for the lock word, and since which token;
// -1: nobody.
func (h *handle) oldest() (slot int, since uint64) {
	return h.oldestOf(h.queue, -1)
}

func (h *handle) oldestOf(queue []atomic.Uint64, except int) (slot int, since uint64) {
	slot = -1
	for i := range h.used() {
		t := queue[i].Load()
		if t == 0 || i == except || slot >= 0 && t-1 >= since || !h.seemsAlive(i) {
			continue
		}
		slot, since = i, t-1
	}
	return slot, since
}

func (h *handle) ringOldest() {
	if i, _ := h.oldest(); i >= 0 {
		ring(h.slotAt(i).lock)
	}
}
