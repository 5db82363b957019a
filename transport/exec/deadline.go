// SPDX-License-Identifier: Apache-2.0

package exec

import (
	"sync"
	"time"
)

// deadline is a moment that can be moved and selected on.
type deadline struct {
	mu     sync.Mutex
	timer  *time.Timer   // guarded by mu; nil if none is set
	passed chan struct{} // guarded by mu; closed when the moment has passed
}

func newDeadline() *deadline { return &deadline{passed: make(chan struct{})} }

// set moves the deadline; the zero time is never. Who already waits on a
// channel that passed() returned keeps waiting for the later moment only if
// the old one had not passed.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.passed // the timer's function runs or ran: let it finish with this channel
	}
	d.timer = nil
	select {
	case <-d.passed:
		d.passed = make(chan struct{})
	default:
	}
	if t.IsZero() {
		return
	}
	passed := d.passed
	if wait := time.Until(t); wait > 0 {
		d.timer = time.AfterFunc(wait, func() { close(passed) })
		return
	}
	close(passed)
}

func (d *deadline) done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.passed
}
