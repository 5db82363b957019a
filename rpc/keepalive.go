// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"errors"

	"github.com/parley-ipc/parley/internal/rpcwire"
)

var errSilent = errors.New("the peer has not answered for the keep-alive time")

// keepAlive begins to ask a silent peer with calls under way whether it is
// there.
func (c *conn) keepAlive() {
	if c.limits.KeepaliveTime > 0 {
		c.pulse.Reset(c.limits.KeepaliveTime)
	}
}

// answered is told of an answer to a question of ours: the next one comes after
// KeepaliveTime of silence, not after what is left of the time for this one.
func (c *conn) answered() {
	if c.asked.CompareAndSwap(true, false) {
		c.lastHeard.Store(c.heard.Load())
		c.pulse.Reset(c.limits.KeepaliveTime)
	}
}

// beat is the keep-alive's timer; it sets itself again when it has run.
func (c *conn) beat() {
	c.mu.Lock()
	busy := c.busy > 0
	c.mu.Unlock()
	now := c.heard.Load()
	silent := c.lastHeard.Swap(now) == now
	switch {
	case c.ended.Load():
		return
	case silent && c.asked.Load():
		c.fail(errSilent)
		return
	case silent && busy:
		c.asked.Store(true)
		c.pulse.Reset(c.limits.KeepaliveTimeout) // before the answer can come
		c.w.control(rpcwire.Ping, 0, 0, make([]byte, 8))
		c.someoneReads()
		return
	}
	c.asked.Store(false)
	c.pulse.Reset(c.limits.KeepaliveTime)
}
