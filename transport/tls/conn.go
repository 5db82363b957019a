// SPDX-License-Identifier: Apache-2.0

package tls

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

const (
	piece         = 16 << 10 // the most plaintext that one record carries
	halfCloseTime = 5 * time.Second
)

// Conn is one TLS connection after its handshake.
type Conn struct {
	tls      *tls.Conn
	raw      *rawConn
	peer     auth.Identity
	counters *endpoint.Counters // of the listener; nil on the dialling side
	dialled  string             // the address we dialled; empty on the listening side

	writing sync.Mutex // held by Write and CloseWrite

	closed    atomic.Bool // set when Close begins
	closeOnce sync.Once
	closeErr  error
}

var (
	_ transport.Conn    = (*Conn)(nil)
	_ transport.Spinner = (*Conn)(nil)
)

// Peer implements transport.Conn with the name in the peer's certificate.
func (c *Conn) Peer() auth.Identity { return c.peer }

// ConnectionState tells what the handshake agreed on.
func (c *Conn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

// Read implements net.Conn. The end is io.EOF only if the peer said so
// (close_notify); a connection that was cut is io.ErrUnexpectedEOF.
//
// In TLS 1.3 a server judges our certificate when our handshake is over: if it
// refuses, the first Read of a dialled connection is fault.Denied.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.tls.Read(p)
	if c.counters != nil {
		c.counters.BytesIn.Add(uint64(n))
	}
	if err != nil {
		err = c.readError(err)
	}
	return n, err
}

func (c *Conn) readError(err error) error {
	if err == io.EOF && c.closed.Load() { // an end that was read before our Close
		return net.ErrClosed
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.ErrUnexpectedEOF
	}
	if code, ok := remoteAlert(err); ok && c.dialled != "" {
		return alertError("read", c.dialled, code, err)
	}
	return err
}

// SetSpin implements transport.Spinner.
func (c *Conn) SetSpin(s transport.Spin) { c.raw.poll.Set(c.raw.TCPConn, s) }

// Write implements net.Conn. Of the bytes that it counts as written when it
// meets a deadline, the last few may leave with the next Write or CloseWrite.
func (c *Conn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	n, err := c.write(p)
	if c.counters != nil {
		c.counters.BytesOut.Add(uint64(n))
	}
	return n, err
}

// write encrypts a record's worth at a time, so that after a deadline no more
// than that has been taken from p.
func (c *Conn) write(p []byte) (n int, err error) {
	for {
		if err := c.raw.late(); err != nil {
			return n, err
		}
		m, err := c.tls.Write(p[n:min(len(p), n+piece)])
		n += m
		if err != nil || n == len(p) {
			return n, err
		}
	}
}

// CloseWrite implements transport.Conn by a close_notify, behind what a Write
// that met its deadline left over. It heeds no deadline of the program's, but
// gives a peer that does not read five seconds, and may be called again.
func (c *Conn) CloseWrite() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	err := c.raw.drain(halfCloseTime)
	if err == nil {
		err = c.tls.CloseWrite()
	}
	if err == nil {
		err = c.raw.drain(0) // nothing, if close_notify has left
	}
	return unlessGone(err)
}

// unlessGone drops the error of a last word for which nobody is left.
func unlessGone(err error) error {
	if fault.KindOf(err) == fault.PeerDied {
		return nil
	}
	return err
}

// Close implements net.Conn. It says close_notify, for which a peer that does
// not read has a second; a Write under way is cut off instead. It is
// idempotent.
func (c *Conn) Close() error {
	c.closeOnce.Do(func() {
		c.closed.Store(true)
		if c.writing.TryLock() {
			c.closeErr = unlessGone(c.tls.Close())
			c.writing.Unlock()
		} else {
			c.closeErr = c.raw.Close()
		}
		if c.counters != nil {
			c.counters.Closed.Add(1)
		}
	})
	return c.closeErr
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.tls.LocalAddr() }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.tls.RemoteAddr() }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.raw.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.raw.setWriteDeadline(t) }
