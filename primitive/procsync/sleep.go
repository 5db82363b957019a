// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/parley-ipc/parley/internal/futex"
)

const (
	safety = time.Second // how long a sleep may last before it looks by itself

	// Between two looks where a life has ended but its proof still stands: its
	// other threads are ending, or a child goes on for it.
	firstSuspicion = 50 * time.Microsecond
	maxSuspicion   = 10 * time.Millisecond

	firstPause = 50 * time.Microsecond // between two looks where there is no seat to sleep on
	maxPause   = 5 * time.Millisecond
)

// sleep is one wait of the first of a line.
type sleep struct {
	h   *handle
	l   *line
	ctx context.Context

	seen      uint32 // the bell, before we looked
	members   uint32
	cancel    atomic.Uint32
	armed     bool
	undo      [2]func() bool
	pause     time.Duration
	suspicion time.Duration
}

func (h *handle) newSleep(ctx context.Context, l *line) *sleep {
	return &sleep{h: h, l: l, ctx: ctx, pause: firstPause, suspicion: firstSuspicion}
}

// listen notes the bells, before its caller looks at what it waits for.
func (w *sleep) listen() {
	seen, members := w.l.bell.word.Load(), w.h.members.Load()
	w.seen, w.members = seen, members
}

// over says whether the wait has ended without what was waited for.
func (w *sleep) over(op string) error {
	switch {
	case w.ctx.Err() != nil:
		return w.h.ended(w.ctx, op)
	case w.h.ctx.Err() != nil:
		return w.h.errClosed(op)
	}
	return nil
}

// arm makes the ends of both contexts wake us.
func (w *sleep) arm() {
	if w.armed {
		return
	}
	w.armed = true
	interrupt := func() {
		w.cancel.Store(1)
		futex.WakePrivate(&w.cancel, 1)
	}
	w.undo[0] = context.AfterFunc(w.h.ctx, interrupt)
	if w.ctx.Done() != nil {
		w.undo[1] = context.AfterFunc(w.ctx, interrupt)
	}
}

func (w *sleep) stop() {
	for _, undo := range w.undo {
		if undo != nil {
			undo()
		}
	}
}

// rest sleeps until the bell has rung since listen, somebody came, left or
// died, or the wait is over.
func (w *sleep) rest() {
	w.arm()
	limit := safety
	if w.h.suspects.Load() > 0 {
		limit = w.suspicion
		w.suspicion = min(2*w.suspicion, maxSuspicion)
	} else {
		w.suspicion = firstSuspicion
	}
	if !futex.Enter() {
		w.doze(limit)
		return
	}
	defer futex.Leave()
	b := w.l.bell
	b.rests.Store(1)
	start := time.Now()
	overslept, rested := w.fall(limit)
	slept := time.Since(start)
	b.rests.Store(0)
	w.l.pacer.Slept(slept)
	if !rested {
		w.doze(limit)
		return
	}
	if overslept && slept >= safety && w.h.lookRound(true) {
		w.h.late.Add(1)
	}
}

// fall sleeps in the kernel, on our bell and on the life of everybody else.
func (w *sleep) fall(limit time.Duration) (overslept, rested bool) {
	h := w.h
	var words [MaxParticipants + 2]futex.Word
	words[0] = futex.Word{Addr: w.l.bell.word, Value: w.seen}
	words[1] = futex.Word{Addr: h.members, Value: w.members}
	n := 2
	for i := range h.used() {
		l := h.life(i)
		if v := l.Load(); i != h.me && v != 0 {
			if v&lifeDied != 0 && h.suspects.Load() == 0 {
				return false, true // since we looked
			}
			words[n] = futex.Word{Addr: l, Value: v}
			n++
		}
	}
	return futex.WaitAny(words[:n], &w.cancel, 0, limit)
}

// doze looks every few milliseconds, where the process has enough threads
// asleep.
func (w *sleep) doze(limit time.Duration) {
	t := time.NewTimer(min(w.pause, limit))
	defer t.Stop()
	w.pause = min(2*w.pause, maxPause)
	select {
	case <-t.C:
	case <-w.ctx.Done():
	case <-w.h.ctx.Done():
	}
	w.h.lookRound(false)
}
