// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"context"
	"time"

	"github.com/parley-ipc/parley/fault"
)

// Everything but the mutex keeps its state so: each handle's record is one
// word, which only it makes larger; what is free is worked out from all records.
// So whatever a handle dies at, the state is whole, and what the dead held is
// given back by setting one word to 0. Where somebody waits, or may have to, a
// record is made larger only within the lock word, which serves as a monitor;
// else it is done as gate.go says. To give back needs neither: who waits
// writes that it does, then looks at the records; who gives back changes its
// record, then looks at who waits.

// enter takes the lock word as a monitor, whatever happened to its last owner.
func (h *handle) enter(ctx context.Context, op string) (token uint64, err error) {
	if token, ok := h.grab(); ok {
		return token, nil
	}
	token, v, err := h.lockWord(ctx, op)
	switch {
	case err != nil:
		return 0, err
	case v == refused:
		return 0, damaged(op, h.name, "the lock word says that it is broken")
	case v == gotSuspect:
		for {
			s := h.state.Load()
			if h.state.CompareAndSwap(s, s&^flagInconsistent) {
				break
			}
		}
		h.ringAll() // whom the dead one had yet to wake
	}
	return token, nil
}

func (h *handle) leave() { _, _ = h.release() } // it is ours

// A claim is what is asked of an object: amount of it, granted once fits says
// so, by making the record what next says. Both run within the monitor.
type claim struct {
	op     string
	amount uint64
	fits   func(i int, amount uint64) bool         // could slot i have so much now?
	next   func(record uint64) (n uint64, ok bool) // not ok: the record does not let it
	number func(entered uint64) (token uint64)     // of a grant, by the monitor's token
	// excludes says whether somebody who asks for that much, and has waited too
	// long, keeps this claim from passing.
	excludes func(amount uint64) bool
	refuse   func() error // why nobody is granted anything; may be nil
}

// ask asks once, for somebody who does not wait yet.
func (h *handle) ask(ctx context.Context, c *claim) (token uint64, ok bool, err error) {
	token, err = h.enter(ctx, c.op)
	if err != nil {
		return 0, false, err
	}
	if c.refuse != nil {
		err = c.refuse()
	}
	if err == nil {
		token, ok = h.grant(c, token, 0)
	}
	dead := ok && h.openGate()
	h.leave()
	if dead {
		h.lookRound(false)
	}
	return token, ok, err
}

// acquire waits until the claim can be granted. No claim is passed by more than
// MaxPassed later ones that it excludes.
func (h *handle) acquire(ctx context.Context, c *claim) (token uint64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, h.ended(ctx, c.op)
	}
	if h.obj.count.Load() == 0 {
		if token, ok, err := h.ask(ctx, c); ok || err != nil {
			return token, err
		}
	}
	if err := h.enterHandle(c.op); err != nil {
		return 0, err
	}
	defer h.inside.Done()
	if err := h.standInLine(ctx, &h.obj, c.op); err != nil {
		return 0, err
	}
	defer h.leaveLine(&h.obj)
	return h.waitFor(ctx, c)
}

// tryAcquire is acquire for those who do not wait, for the object at least.
func (h *handle) tryAcquire(c *claim) (token uint64, ok bool, err error) {
	for again := true; ; again = false {
		if h.obj.count.Load() != 0 {
			return 0, false, nil // goroutines of our own stand in line
		}
		token, ok, err = h.askSoon(c)
		if ok || err != nil || !again {
			return token, ok, err
		}
		if err := h.enterHandle(c.op); err != nil {
			return 0, false, err
		}
		found := h.lookRound(false)
		h.inside.Done()
		if !found {
			return 0, false, nil
		}
	}
}

// monitorPatience bounds the wait for the monitor of those who do not wait:
// whoever is in it is out within a microsecond, unless it is stopped there.
const monitorPatience = 100 * time.Millisecond

func (h *handle) askSoon(c *claim) (token uint64, ok bool, err error) {
	ctx, cancel := context.WithTimeout(h.ctx, monitorPatience)
	defer cancel()
	token, ok, err = h.ask(ctx, c)
	if fault.KindOf(err) == fault.Timeout {
		return 0, false, nil
	}
	return token, ok, err
}

// grant makes the claim ours if it can be had. entered is the monitor's token,
// since is when we began to wait, 0 if we do not.
func (h *handle) grant(c *claim, entered, since uint64) (token uint64, ok bool) {
	h.shutGate()
	if !c.fits(h.me, c.amount) || h.tooLate(c, entered, since) {
		return 0, false
	}
	for mine := h.records[h.me]; ; { // other goroutines of ours may be giving back
		has := mine.Load()
		n, ok := c.next(has)
		if !ok {
			return 0, false // one of them tries, and rings when it gives up
		}
		if mine.CompareAndSwap(has, n) {
			break
		}
	}
	token = c.number(entered)
	h.note(token)
	return token, true
}

// note writes down for people who holds it since when.
func (h *handle) note(token uint64) {
	jot(h.slot.token, token)
	if now := h.clock.time(); h.slot.since.Load() != now {
		h.slot.since.Store(now)
	}
}

// tooLate says whether somebody waits longer than we do, and too long already.
func (h *handle) tooLate(c *claim, token, since uint64) bool {
	for i := range h.used() {
		t := h.wants[i].Load()
		if t == 0 || i == h.me || since != 0 && t >= since || token-(t-1) < MaxPassed || !h.seemsAlive(i) {
			continue
		}
		if c.excludes(h.slotAt(i).amount.Load()) {
			return true
		}
	}
	return false
}

func (h *handle) waitFor(ctx context.Context, c *claim) (token uint64, err error) {
	w := h.newSleep(ctx, &h.obj)
	defer w.stop()
	mine := &h.wants[h.me]
	defer h.slot.waiting.Store(0)
	for since := uint64(0); ; {
		w.listen()
		entered, err := h.enter(ctx, c.op)
		if err != nil {
			return 0, h.withdraw(err)
		}
		if c.refuse != nil {
			if err := c.refuse(); err != nil {
				h.leave()
				return 0, h.withdraw(err)
			}
		}
		if since == 0 {
			since = entered + 1
			h.slot.amount.Store(c.amount)
			mine.Store(since)
			h.slot.waiting.Store(monotonic())
		}
		token, ok := h.grant(c, entered, since)
		if ok {
			mine.Store(0)
			h.openGate()
			h.ringNext(c.fits)
		}
		h.leave()
		if ok {
			return token, nil
		}
		if err := w.over(c.op); err != nil {
			return 0, h.withdraw(err)
		}
		if h.lookRound(false) || h.obj.pacer.Spin(func() bool { return w.l.bell.word.Load() != w.seen }) {
			continue
		}
		w.rest()
	}
}

// withdraw ends a wait without a grant: whoever was kept back by it, or was
// not woken because we were, is.
func (h *handle) withdraw(err error) error {
	h.wants[h.me].Store(0)
	for i := range h.used() {
		if h.wants[i].Load() != 0 && i != h.me {
			ring(h.slotAt(i).obj)
		}
	}
	return err
}

// ringNext wakes who could be granted what it waits for, the longest wait
// first, up to the first that has waited too long to be passed.
func (h *handle) ringNext(fits func(i int, amount uint64) bool) {
	now := tokenOf(h.state.Load())
	var rung [MaxParticipants]bool
	for {
		next, since := -1, uint64(0)
		for i := range h.used() {
			t := h.wants[i].Load()
			if t != 0 && !rung[i] && (next < 0 || t < since) && h.seemsAlive(i) {
				next, since = i, t
			}
		}
		if next < 0 {
			return
		}
		rung[next] = true
		s := h.slotAt(next)
		if fits(next, s.amount.Load()) {
			ring(s.obj)
		} else if now-(since-1) >= MaxPassed {
			return
		}
	}
}

// ringFirst wakes whoever has waited longest on the parking of its handle, and
// takes it out, so that the next ring goes to another.
func (h *handle) ringFirst() {
	for {
		i, since := h.oldestOf(h.wants, -1)
		if i < 0 {
			return
		}
		if h.wants[i].CompareAndSwap(since+1, 0) {
			ring(h.slotAt(i).obj)
			return
		}
	}
}

// ringWaiting wakes all that wait on the parking of their handles.
func (h *handle) ringWaiting() {
	for i := range h.used() {
		if h.wants[i].Load() != 0 {
			ring(h.slotAt(i).obj)
		}
	}
}
