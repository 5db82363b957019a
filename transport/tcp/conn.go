// SPDX-License-Identifier: Apache-2.0

package tcp

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/busypoll"
	"github.com/parley-ipc/parley/transport"
)

// Conn is one connection over a TCP socket. It does not embed the socket, so
// that nothing passes by its counters.
//
// Close with bytes of the peer unread resets the connection, as TCP does: the
// peer may lose what it has not read yet. CloseWrite, then read to the end,
// then Close, loses nothing.
type Conn struct {
	sock     *net.TCPConn
	peer     auth.Identity
	counters *endpoint.Counters // of the listener; nil on the dialling side
	poll     busypoll.Socket

	closeOnce sync.Once
	closeErr  error
}

var (
	_ transport.Conn    = (*Conn)(nil)
	_ transport.Spinner = (*Conn)(nil)
)

// Peer implements transport.Conn: the uid of a peer on loopback, else nobody.
// A peer that hung up before the kernel was asked, right after the connect, is
// nobody too; to a dialler, one that has not accepted yet is the listener's
// owner.
func (c *Conn) Peer() auth.Identity { return c.peer }

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.poll.Read(c.sock, p)
	if c.counters != nil {
		c.counters.BytesIn.Add(uint64(n))
	}
	return n, err
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.sock.Write(p)
	if c.counters != nil {
		c.counters.BytesOut.Add(uint64(n))
	}
	return n, err
}

// SetSpin implements transport.Spinner.
func (c *Conn) SetSpin(s transport.Spin) { c.poll.Set(c.sock, s) }

// CloseWrite implements transport.Conn.
func (c *Conn) CloseWrite() error {
	if err := c.sock.CloseWrite(); !errors.Is(err, syscall.ENOTCONN) {
		return err
	}
	return nil // the peer has gone: there is nobody left to tell
}

// Close implements net.Conn. It is idempotent.
func (c *Conn) Close() error {
	c.closeOnce.Do(func() {
		c.closeErr = c.sock.Close()
		if c.counters != nil {
			c.counters.Closed.Add(1)
		}
	})
	return c.closeErr
}

// SetNoDelay says whether small writes leave at once, which is the default.
func (c *Conn) SetNoDelay(on bool) error { return c.sock.SetNoDelay(on) }

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.sock.LocalAddr() }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.sock.RemoteAddr() }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.sock.SetDeadline(t) }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.sock.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.sock.SetWriteDeadline(t) }
