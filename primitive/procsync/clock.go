// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"sync"
	"sync/atomic"
	"time"
)

// clockStep is how exact the time of an acquisition is. Reading a clock costs
// more than a lock does, so a goroutine reads it for all, while there is use
// for it.
const clockStep = 50 * time.Millisecond

// clock is one for the process, as time is.
var clock coarse

// coarse is a clock that is read in no time: CLOCK_MONOTONIC in nanoseconds,
// which all processes of one boot share, as of at most clockStep ago; 0 while
// it rests.
type coarse struct {
	now  atomic.Uint64
	read atomic.Bool // somebody asked since the last step

	mu    sync.Mutex
	users int           // guarded by mu
	stop  chan struct{} // guarded by mu
	kick  chan struct{} // guarded by mu
	ended chan struct{} // guarded by mu
}

func (c *coarse) retain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users++; c.users == 1 {
		c.stop, c.kick, c.ended = make(chan struct{}), make(chan struct{}, 1), make(chan struct{})
		go c.run(c.stop, c.kick, c.ended)
	}
}

func (c *coarse) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users--; c.users == 0 {
		close(c.stop)
		<-c.ended
		c.now.Store(0)
	}
}

// run steps the clock while it is asked, and rests until it is asked again.
func (c *coarse) run(stop, kick <-chan struct{}, ended chan<- struct{}) {
	defer close(ended)
	t := time.NewTicker(clockStep)
	t.Stop()
	for {
		select {
		case <-stop:
			t.Stop()
			return
		case <-kick:
			c.now.Store(monotonic())
			t.Reset(clockStep)
		case <-t.C:
			if !c.read.Swap(false) {
				c.now.Store(0)
				t.Stop()
				continue
			}
			c.now.Store(monotonic())
		}
	}
}

// time is now, and cheap while it is asked often.
func (c *coarse) time() uint64 {
	if !c.read.Load() {
		c.read.Store(true)
	}
	if now := c.now.Load(); now != 0 {
		return now
	}
	return c.wind()
}

func (c *coarse) wind() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case c.kick <- struct{}{}:
	default:
	}
	return monotonic()
}
