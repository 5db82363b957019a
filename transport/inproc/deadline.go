// SPDX-License-Identifier: Apache-2.0

package inproc

import (
	"sync"
	"time"
)

// deadline is a moment that can be moved while somebody waits for it.
type deadline struct {
	mu      sync.Mutex
	timer   *time.Timer   // guarded by mu
	version int           // of the timer; guarded by mu
	reached chan struct{} // guarded by mu; closed once the moment has come
}

// wait returns a channel that is closed when the deadline is reached.
func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reached == nil {
		d.reached = make(chan struct{})
	}
	return d.reached
}

func (d *deadline) passed() bool {
	select {
	case <-d.wait():
		return true
	default:
		return false
	}
}

// set moves the deadline; the zero time is never. Whoever waits goes on to
// wait for the new one, unless the old one had been reached.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.version++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.reached == nil || isClosed(d.reached) {
		d.reached = make(chan struct{})
	}
	if t.IsZero() {
		return
	}
	if left := time.Until(t); left > 0 {
		version := d.version
		d.timer = time.AfterFunc(left, func() { d.reach(version) })
		return
	}
	close(d.reached)
}

// reach is called by a timer, which may have been replaced meanwhile.
func (d *deadline) reach(version int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.version == version {
		close(d.reached)
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
