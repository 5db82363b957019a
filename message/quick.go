// SPDX-License-Identifier: Apache-2.0

package message

import "context"

// A transport.Framer moves whole messages past our locks, by its own, which
// keep frames apart: Send and Receive try it first. It may not come between
// the pieces that the slow way moves, so each half has a flag, open, which
// whoever holds the half's lock clears before it uses the ordinary methods, and
// which the framer looks at once it is its turn. What it says no to the slow
// way finds the reason for.

// plainTag is the tag of an ordinary message's frame: its kind, no flags, no files.
const plainTag = uint32(kindMessage)

// maxQuick bounds the frames that the framer is asked to move: of a larger one
// the peer copies a part while we copy the next.
const maxQuick = 32 << 10

// fit says whether each of ps can go by the framer.
func (w *writer) fit(ps [][]byte) bool {
	for _, p := range ps {
		if len(p) > w.c.maxFrame {
			return false
		}
	}
	return true
}

// quick sends the first of ps, all of them if nothing stands in the way, by
// the framer, and returns how many.
func (w *writer) quick(ctx context.Context, ps [][]byte) int {
	if ctx.Err() != nil || !w.open.Load() || !w.fit(ps) {
		return 0
	}
	return w.c.framer.WriteFrames(ctx, &w.open, plainTag, ps)
}

// reopen lets Sends past the lock, if they may. The caller holds the lock.
func (w *writer) reopen() {
	if w.c.framer != nil && w.whole && w.err == nil && !w.said {
		w.open.Store(true)
	}
}

// quick receives a message by the framer; nil if it says no.
func (r *reader) quick(ctx context.Context) *Message {
	if !r.open.Load() || ctx.Err() != nil {
		return nil
	}
	c := r.c
	m := newMessage(int(r.last.Load()), nil)
	for {
		n, ok := c.framer.ReadFrame(ctx, &r.open, plainTag, c.maxFrame, m.buf.b[:cap(m.buf.b)])
		if !ok {
			m.Release()
			return nil
		}
		if have := cap(m.buf.b); n <= have {
			if have > 4*max(n, 1<<minClass) {
				r.last.Store(uint32(n))
			}
			m.buf.b = m.buf.b[:n]
			return m
		}
		m.Release()
		m = newMessage(n, nil)
		r.last.Store(uint32(n))
	}
}

// acquire takes the lock and keeps the framer out.
func (r *reader) acquire(ctx context.Context, closed <-chan struct{}) bool {
	if !r.lock.acquire(ctx, closed) {
		return false
	}
	if r.framed() {
		r.open.Store(false)
	}
	return true
}

// release lets the framer in, if what comes next is a frame, and leaves the
// lock.
func (r *reader) release() {
	if r.framed() && r.hello && r.err == nil && r.msg == nil && r.off == len(r.buf) && len(r.queue) == 0 && r.c.w.greeted.Load() {
		r.open.Store(true)
	}
	r.lock.release()
}

// framed says whether messages may be received by the framer.
func (r *reader) framed() bool { return r.c.framer != nil && !r.inPlace }
