// SPDX-License-Identifier: Apache-2.0

package rpc

import "sync"

// crew is a connection's own goroutines: what reads and what writes, but no
// handler that has been left to itself. A duty may pass from one goroutine to
// another.
type crew struct {
	mu     sync.Mutex
	n      int
	closed bool
	idle   *sync.Cond
}

// enlist takes on one more, unless the connection has ended.
func (w *crew) enlist() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.n++
	return true
}

func (w *crew) discharge() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n--; w.n == 0 && w.idle != nil {
		w.idle.Broadcast()
	}
}

// wait takes on nobody any more and waits for the rest.
func (w *crew) wait() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.idle == nil {
		w.idle = sync.NewCond(&w.mu)
	}
	for w.n > 0 {
		w.idle.Wait()
	}
}
