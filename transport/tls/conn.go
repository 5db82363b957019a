// SPDX-License-Identifier: Apache-2.0

package tls

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// Conn is one TLS connection after its handshake. A Write that met its
// deadline may have cut a record, so that every later Write fails.
type Conn struct {
	tls      *tls.Conn
	peer     auth.Identity
	counters *endpoint.Counters // of the listener; nil on the dialling side
	dialled  string             // the address we dialled; empty on the listening side

	closeOnce sync.Once
	closeErr  error
}

var _ transport.Conn = (*Conn)(nil)

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
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.ErrUnexpectedEOF
	}
	if code, ok := remoteAlert(err); ok && c.dialled != "" {
		return alertError("read", c.dialled, code, err)
	}
	return err
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.tls.Write(p)
	if c.counters != nil {
		c.counters.BytesOut.Add(uint64(n))
	}
	return n, err
}

// CloseWrite implements transport.Conn by a close_notify.
func (c *Conn) CloseWrite() error {
	err := c.tls.CloseWrite()
	if fault.KindOf(err) == fault.PeerDied {
		return nil // there is nobody left to tell
	}
	return err
}

// Close implements net.Conn: it says close_notify, for which a peer that does
// not read has five seconds. It is idempotent.
func (c *Conn) Close() error {
	c.closeOnce.Do(func() {
		c.closeErr = c.tls.Close()
		if fault.KindOf(c.closeErr) == fault.PeerDied {
			c.closeErr = nil
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
func (c *Conn) SetDeadline(t time.Time) error { return c.tls.SetDeadline(t) }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.tls.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.tls.SetWriteDeadline(t) }
