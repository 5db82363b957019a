// SPDX-License-Identifier: Apache-2.0

package message

import (
	"context"
	"sync"
	"time"
)

var longAgo = time.Unix(1, 0)

// watch ends one direction's wait in the transport when a context ends, by
// moving the direction's deadline into the past. A context used twice in a
// row stays watched between the calls, so that a loop with one context costs
// nothing; any other is let go when its call ends.
type watch struct {
	set func(time.Time) error // SetReadDeadline or SetWriteDeadline

	mu     sync.Mutex
	closed bool
	last   <-chan struct{} // Done of the latest context that was watched
	stop   func() bool     // nil when none is watched
	moved  chan struct{}   // closed when the deadline has been moved
}

// begin watches ctx.
func (w *watch) begin(ctx context.Context) {
	done := ctx.Done()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || done == w.last && (done == nil || w.stop != nil) {
		return
	}
	w.letGo()
	if done == nil {
		w.last = nil
		return
	}
	moved := make(chan struct{})
	w.moved = moved
	w.stop = context.AfterFunc(ctx, func() {
		_ = w.set(longAgo)
		close(moved)
	})
}

// end ends the call that began with ctx.
func (w *watch) end(ctx context.Context) {
	done := ctx.Done()
	if done == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if done != w.last || ctx.Err() != nil {
		w.letGo()
	}
	w.last = done
}

// release ends all watching, for what waits without begin.
func (w *watch) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.letGo()
}

// close lets the context go for good.
func (w *watch) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.letGo()
}

// letGo stops watching and takes back a deadline that was moved.
func (w *watch) letGo() {
	if w.stop == nil {
		return
	}
	if !w.stop() {
		<-w.moved
		_ = w.set(time.Time{})
	}
	w.stop, w.last = nil, nil
}
