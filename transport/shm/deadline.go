// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"sync"
	"time"
)

// deadline sets a status bit when its time comes, so that the hot path looks
// at no clock.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer // guarded by mu
	turn  uint64      // guarded by mu: a timer of an earlier turn is void
}

// set arms the deadline: change(false) now, change(true) when t has come.
func (d *deadline) set(t time.Time, change func(expired bool)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopLocked()
	if t.IsZero() {
		change(false)
		return
	}
	left := time.Until(t)
	change(left <= 0)
	if left <= 0 {
		return
	}
	turn := d.turn
	d.timer = time.AfterFunc(left, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.turn == turn {
			change(true)
		}
	})
}

func (d *deadline) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopLocked()
}

func (d *deadline) stopLocked() {
	d.turn++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
