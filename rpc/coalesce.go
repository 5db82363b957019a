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
