// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"encoding/binary"
	"fmt"

	"github.com/parley-ipc/parley/internal/rpcwire"
)

// dispatchAll handles the whole frames that have been read. The caller holds
// the role; mine says whether it still does. It stops early when own, the
// caller's stream, has got something, which may lie in the reader's buffer.
func (c *conn) dispatchAll(own *clientStream) (mine bool, err error) {
	c.own = own
	if c.landing.to != nil {
		if mine, err = c.landed(); err != nil || !mine {
			return mine, err
		}
	}
	for c.n-c.r >= rpcwire.HeadSize {
		h, err := c.head()
		if err != nil {
			return true, err
		}
		end := c.r + rpcwire.HeadSize + int(h.Length)
		if end > c.n {
			if !c.lent {
				c.land(h)
			}
			break
		}
		p := c.in[c.r+rpcwire.HeadSize : end : end]
		c.r = end
		if mine, err = c.dispatch(h, p); err != nil || !mine {
			return mine, err
		}
		if own != nil && own.hit {
			break
		}
	}
	c.flushAnswers()
	return true, nil
}

// flushAnswers sends what handlers that ran here have answered.
func (c *conn) flushAnswers() {
	if c.answers.Load() && c.answers.Swap(false) {
		c.w.mu.Lock()
		c.w.flushUnlock(false)
	}
}

func (c *conn) dispatch(h rpcwire.Head, p []byte) (mine bool, err error) {
	p = c.private(h, p)
	if h.Stream == 0 {
		return true, c.onConn(h, p)
	}
	if h.Stream&1 == c.side() {
		return true, c.onOurs(h, p)
	}
	return c.onTheirs(h, p)
}

// onConn handles what concerns the connection itself.
func (c *conn) onConn(h rpcwire.Head, p []byte) error {
	switch h.Kind {
	case rpcwire.Window:
		if len(p) != 4 {
			return rpcwire.ErrFrame
		}
		return c.w.grant(int(binary.LittleEndian.Uint32(p)))
	case rpcwire.Ping:
		if len(p) != 8 {
			return rpcwire.ErrFrame
		}
		if h.Flags&rpcwire.FlagAck != 0 {
			c.answered()
		} else {
			c.w.control(rpcwire.Ping, rpcwire.FlagAck, 0, p)
		}
		return nil
	case rpcwire.GoAway:
		c.mu.Lock()
		c.closing = true
		c.room.Broadcast()
		c.mu.Unlock()
		if c.onAway != nil {
			c.onAway()
		}
		return nil
	case rpcwire.Open, rpcwire.Message, rpcwire.Header, rpcwire.Close, rpcwire.Reset: // of streams
	}
	return fmt.Errorf("%w: kind %d for the connection", rpcwire.ErrFrame, h.Kind)
}

// spend counts a part of a message against the connection's window, and gives
// it back once it is read.
func (c *conn) spend(n int) error {
	c.total -= cost(n)
	c.unread += cost(n)
	if c.total < 0 {
		return errWindow
	}
	if c.unread >= c.limits.ConnWindow/2 {
		c.w.control(rpcwire.Window, 0, 0, u32(c.unread))
		c.total += c.unread
		c.unread = 0
	}
	return nil
}

// onOurs handles a frame for a stream that we have opened.
func (c *conn) onOurs(h rpcwire.Head, p []byte) error {
	if h.Kind == rpcwire.Close {
		s := c.find(h.Stream)
		if s == nil {
			return errSlots
		}
		c.w.mu.Lock()
		s.out.retire()
		c.w.mu.Unlock()
		c.remove(h.Stream)
		return s.onClose(h, p)
	}
	s := c.find(h.Stream)
	if s == nil {
		return errSlots
	}
	switch h.Kind {
	case rpcwire.Message:
		return s.onMessage(h, p)
	case rpcwire.Header:
		return s.onHeader(p)
	case rpcwire.Window:
		if len(p) != 4 {
			return rpcwire.ErrFrame
		}
		return c.w.grantStream(&s.out, int(binary.LittleEndian.Uint32(p)))
	case rpcwire.Open, rpcwire.Close, rpcwire.Reset, rpcwire.Ping, rpcwire.GoAway: // not from a callee
	}
	return fmt.Errorf("%w: kind %d from the callee", rpcwire.ErrFrame, h.Kind)
}

// onTheirs handles a frame for a stream of the peer's. What comes for one that
// we have closed crossed our Close.
func (c *conn) onTheirs(h rpcwire.Head, p []byte) (mine bool, err error) {
	if c.serves == nil {
		return true, fmt.Errorf("%w: a call to one who serves nothing", rpcwire.ErrFrame)
	}
	if h.Kind == rpcwire.Open {
		return c.onOpen(h, p)
	}
	s := c.served(h.Stream)
	switch h.Kind {
	case rpcwire.Message:
		if err := rpcwire.CheckMessage(h.Flags, p); err != nil {
			return true, err
		}
		if h.Flags&rpcwire.FlagMessage != 0 {
			if err := c.spend(len(p)); err != nil {
				return true, err
			}
		}
		if s == nil {
			return true, nil
		}
		return s.onMessage(h, p)
	case rpcwire.Reset:
		if s != nil {
			s.onReset()
		}
		return true, nil
	case rpcwire.Window:
		if len(p) != 4 {
			return true, rpcwire.ErrFrame
		}
		if s == nil {
			return true, nil
		}
		return true, c.w.grantStream(&s.out, int(binary.LittleEndian.Uint32(p)))
	case rpcwire.Open, rpcwire.Header, rpcwire.Close, rpcwire.Ping, rpcwire.GoAway: // not from a caller
	}
	return true, fmt.Errorf("%w: kind %d from the caller", rpcwire.ErrFrame, h.Kind)
}
