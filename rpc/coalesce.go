// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"runtime"
	"time"
)

// Messages of a stream that follow one another closely are written together:
// the first at once, those behind it by a goroutine that is woken for the first
// of them and finds the others, or by the sender when there are enough. A
// transport that writes without a system call needs none of that.
const (
	closely   = 20 * time.Microsecond
	enoughOut = 16 << 10
)

// flushSoonUnlock is flushUnlock for a small message of a stream.
func (w *writer) flushSoonUnlock() {
	if w.cheap {
		w.flushUnlock(true)
		return
	}
	now := time.Since(w.born)
	follows := now-w.lastSoon < closely
	w.lastSoon = now
	if w.busy || follows && w.awake && len(w.tail) < enoughOut {
		w.mu.Unlock()
		return
	}
	if !follows || len(w.tail) >= enoughOut || !w.c.crew.enlist() {
		w.flushUnlock(true)
		return
	}
	w.awake = true
	w.mu.Unlock()
	go w.flushLater()
}

// flushLater writes what has gathered.
func (w *writer) flushLater() {
	defer w.c.crew.discharge()
	runtime.Gosched() // to the sender, who may have more
	w.mu.Lock()
	w.awake = false
	w.flushUnlock(true)
}

// gather is called by the reader's holder who has woken several callers and is
// about to let them run: their next calls wait for one another, and for
// gathered. It says whether they do.
func (w *writer) gather() bool {
	if w.cheap || w.try == nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waits = w.err == nil
	return w.waits
}

// gathered writes what has come meanwhile.
func (w *writer) gathered() {
	w.mu.Lock()
	w.waits = false
	w.flushUnlock(false)
}

// flushCallUnlock is flushUnlock for a call of ours.
func (w *writer) flushCallUnlock() {
	if w.waits && len(w.tail) < enoughOut {
		w.mu.Unlock()
		return
	}
	w.flushUnlock(true)
}
