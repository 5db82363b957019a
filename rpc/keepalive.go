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

// beat is the keep-alive's timer; it sets itself again when it has run.
func (c *conn) beat() {
	now := c.heard.Load()
	c.mu.Lock()
	busy := c.busy > 0
	c.mu.Unlock()
	next := c.limits.KeepaliveTime
	switch {
	case c.ended.Load():
		return
	case now != c.lastHeard:
		c.asked = false
	case c.asked:
		c.fail(errSilent)
		return
	case busy:
		c.asked, next = true, c.limits.KeepaliveTimeout
		c.w.control(rpcwire.Ping, 0, 0, make([]byte, 8))
		c.someoneReads()
	}
	c.lastHeard = now
	c.pulse.Reset(next)
}
