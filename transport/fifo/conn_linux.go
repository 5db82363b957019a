// SPDX-License-Identifier: Apache-2.0

package fifo

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// Conn is one connection over two named pipes.
type Conn struct {
	addr     endpoint.Address
	peer     auth.Identity
	r, w     *os.File           // r of the dialler's side holds the lock on the pair; w is nil until the handshake is over
	counters *endpoint.Counters // of the listener; nil on the dialling side

	renew, release func() // of the listener: before and after the pair is let go; nil on the dialling side

	first struct { // what was read to see that the peer is there
		sync.Mutex
		bytes []byte
	}

	mu         sync.Mutex // guards what follows
	halfClosed bool
	closed     bool
}

var _ transport.Conn = (*Conn)(nil)

// Peer implements transport.Conn: the owner of the pipes, which let in nobody
// else but root.
func (c *Conn) Peer() auth.Identity { return c.peer }

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.addr.Addr() }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.addr.Addr() }

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n := c.takeFirst(p)
	var err error
	if n == 0 {
		n, err = c.r.Read(p)
	}
	if c.counters != nil {
		c.counters.BytesIn.Add(uint64(n))
	}
	if err == io.EOF && c.isClosed() { // the peer's answer to our Close
		err = net.ErrClosed
	}
	return n, c.wrap("read", err)
}

func (c *Conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func (c *Conn) takeFirst(p []byte) int {
	c.first.Lock()
	defer c.first.Unlock()
	n := copy(p, c.first.bytes)
	c.first.bytes = c.first.bytes[n:]
	return n
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if c.counters != nil {
		c.counters.BytesOut.Add(uint64(n))
	}
	return n, c.wrap("write", err)
}

// CloseWrite implements transport.Conn.
func (c *Conn) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.halfClosed {
		return nil
	}
	c.halfClosed = true
	return c.w.Close()
}

// Close implements net.Conn. It is idempotent.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	if c.renew != nil {
		c.renew()
		defer c.release()
	}
	var err error
	if c.w != nil && !c.halfClosed {
		err = c.w.Close()
	}
	err = errors.Join(err, c.r.Close())
	if c.counters != nil {
		c.counters.Closed.Add(1)
	}
	return err
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if c.r.SetReadDeadline(t) != nil { // only ever: closed
		return fault.New(fault.Closed, "set deadline", c.addr.String(), nil)
	}
	return nil
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.w.SetWriteDeadline(t) != nil && !c.halfClosed {
		return fault.New(fault.Closed, "set deadline", c.addr.String(), nil)
	}
	return nil
}

func (c *Conn) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return fault.Wrap(op, c.addr.String(), err)
}
